// What a comparison of pictures comes to, from sums over their values.
#pragma once

#include "ops.h"
#include "real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

constexpr double kLeastShareCounting = 1e-6;

// Over all values: |difference|, its square and SSIM; and how many pixels count.
template <class R> struct PictureSums {
    R absolute, squared, similarity, counting;
};

GSRECON_HD PictureFigures picture_figures(const PictureSums<double>& sums, const ComparisonWeights& weights,
                                          int64_t pixels, int channels) {
    const double share = maximum(sums.counting / (double)pixels, kLeastShareCounting);
    const double one_value = 1.0 / ((double)pixels * channels * share);
    const double weighted = weights.absolute * sums.absolute + weights.similarity * sums.similarity;
    return {(float)(weights.constant / share + one_value * weighted), (float)(one_value * sums.squared),
            (float)one_value};
}

// Gradient of the comparison with respect to a value of the picture. `v_similarity` is that of the sum of SSIM.
GSRECON_HD float picture_vjp(const ComparisonWeights& weights, float image, float truth, float v_similarity) {
    return weights.absolute * sign(image - truth) + weights.similarity * v_similarity;
}

// An 8-bit colour in [0, 1].
GSRECON_HD float color_of_byte(uint8_t byte) { return (float)byte / 255.0f; }

}  // namespace GSRECON_ISA
}  // namespace gsrecon
