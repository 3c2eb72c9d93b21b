// What classic densification asks of a Gaussian: how hard the pictures it was seen in pull at its centre (Kerbl et al.,
// 2023, section 5, with the absolute gradients of Ye et al., "AbsGS", 2024), how many they were, and how large it was.
#pragma once

#include "math/real.h"
#include "ops.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

// sqrt(x^2 + y^2), rounded once: squares of floats are exact in double precision.
GSRECON_HD float length(float x, float y) { return (float)square_root((double)x * x + (double)y * y); }

// Takes note of Gaussian i as all cameras saw it. Gradients count in half picture sizes, so that the sums do not depend
// on the resolution.
GSRECON_HD void note_gaussian(const ScreenGradients& in, int64_t i, const ScreenStatistics& out) {
    for (int64_t camera = 0; camera < in.c; camera++) {
        const int32_t* radii = in.radii + camera * in.radii_stride + 2 * i;
        const int32_t radius = radii[0] < radii[1] ? radii[1] : radii[0];
        if (radius <= 0) continue;  // not in the picture
        const float* gradient = in.gradients + camera * in.gradients_stride + 2 * i;
        out.gradient_sum[i] += length(gradient[0] * in.half_width, gradient[1] * in.half_height);
        out.times_seen[i] += 1.0f;
        out.largest_radius[i] = maximum(out.largest_radius[i], (float)radius);
    }
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
