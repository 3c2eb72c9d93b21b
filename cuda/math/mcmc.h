// Densification as Markov chain Monte Carlo (Kheradmand et al., "3D Gaussian Splatting as Markov Chain Monte Carlo",
// NeurIPS 2024). gsrecon/gaussians/density_mcmc.py is the specification.
#pragma once

#include "rotation.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

constexpr float kExploringOpacity = 0.1f;  // above, the gate is under 1e-4 and a Gaussian stays where it is
constexpr int kMostCopies = 51;            // in one place and round

// How much a Gaussian of this opacity explores: sigmoid(100 (dead - opacity)).
GSRECON_HD float exploration_gate(float opacity, float dead_opacity) {
    return 1.0f / (1.0f + expf(100.0f * (opacity - dead_opacity)));
}

// Covariance times noise, R diag(s^2) R^T n (Equation 8).
GSRECON_HD Vec3<float> along_covariance(Vec4<float> unit_quat, Vec3<float> scales, Vec3<float> noise) {
    const Mat3<float> axes = scale_columns(rotation_matrix(unit_quat), scales);
    return times(axes, transposed_times(axes, noise));
}

// Opacity of each of n equal Gaussians that look like one, and the factor on their scales (Equation 9).
struct Relocated {
    float opacity, scale_factor;
};

GSRECON_HD Relocated relocated(float opacity, int copies) {
    const int n = copies < 1 ? 1 : copies > kMostCopies ? kMostCopies : copies;
    const double each = 1.0 - pow(1.0 - (double)opacity, 1.0 / n);
    double sum = 0.0, binomial = n, power = each, sign = 1.0;
    for (int k = 0; k < n; k++) {
        sum += sign * binomial * power / sqrt((double)(k + 1));
        binomial = binomial * (n - k - 1) / (k + 2);
        power *= each;
        sign = -sign;
    }
    return {(float)each, sum > 0.0 ? (float)((double)opacity / sum) : 1.0f};
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
