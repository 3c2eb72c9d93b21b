// What is made of a pixel's blended channels, and what their gradients are.
#pragma once

#include "math/blend.h"
#include "math/real.h"
#include "ops.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

// Writes channel d of a pixel, blended to `sum`; see PictureArrays.
GSRECON_HD void write_channel(const Pictures& out, int64_t pixel, int d, float sum, float alpha) {
    const int feature = d - out.image_channels;
    if (feature < 0)
        out.image[pixel * out.image_channels + d] = sum;
    else if (feature < out.feature_channels)
        out.features[pixel * out.feature_channels + feature] = sum;
    else
        out.depth[pixel] = alpha >= kDepthAlphaMin ? sum / alpha : 0.0f;
}

// The gradient of channel d at a pixel; `v_depth` is that of sum(w z).
GSRECON_HD float channel_gradient(const DrawnPictures& v, int64_t pixel, int d, float v_depth) {
    const int feature = d - v.image_channels;
    if (feature < 0) return v.image ? v.image[pixel * v.image_channels + d] : 0.0f;
    if (feature < v.feature_channels) return v.features ? v.features[pixel * v.feature_channels + feature] : 0.0f;
    return v_depth;
}

// Gradients at one pixel, with respect to what was blended there.
struct PixelGradient {
    float v_alpha = 0.0f, v_depth = 0.0f;  // of alpha and of sum(w z)
    float behind = 0.0f;                   // g . (what was blended), alpha included

    // The depth is sum(w z) / alpha: what its gradient gives to the two cancels in `behind`.
    GSRECON_HD PixelGradient(const DrawnPictures& drawn, const DrawnPictures& v, int64_t pixel) {
        const float alpha = drawn.alpha[pixel];
        if (v.alpha) v_alpha = v.alpha[pixel];
        behind = v_alpha * alpha;
        if (v.image)
            for (int64_t i = pixel * v.image_channels; i < (pixel + 1) * v.image_channels; i++)
                behind += v.image[i] * drawn.image[i];
        if (v.features)
            for (int64_t i = pixel * v.feature_channels; i < (pixel + 1) * v.feature_channels; i++)
                behind += v.features[i] * drawn.features[i];
        if (v.depth && alpha >= kDepthAlphaMin) {
            v_depth = v.depth[pixel] / alpha;
            v_alpha -= v_depth * drawn.depth[pixel];
        }
    }
};

}  // namespace GSRECON_ISA
}  // namespace gsrecon
