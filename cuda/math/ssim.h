// Structural similarity of two pictures at one pixel (Wang et al. 2004), from Gaussian-weighted means around it.
#pragma once

#include "real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

constexpr float kSsimC1 = 0.01f * 0.01f, kSsimC2 = 0.03f * 0.03f;
constexpr int kSsimReach = 5;  // the window is 11 pixels wide, sigma 1.5

struct SsimWindow {
    float weight[2 * kSsimReach + 1];
};

inline SsimWindow ssim_window() {
    SsimWindow window;
    float sum = 0;
    for (int k = -kSsimReach; k <= kSsimReach; k++)
        sum += window.weight[k + kSsimReach] = (float)std::exp(-k * k / (2 * 1.5 * 1.5));
    for (float& w : window.weight) w /= sum;
    return window;
}

// Weighted means of a, b, a^2, b^2 and a b.
template <class R> struct WindowMeans {
    R a, b, aa, bb, ab;
};

// Their gradient, as far as picture a goes.
template <class R> struct WindowGradient {
    R a, aa, ab;
};

template <class R> GSRECON_HD R similarity(const WindowMeans<R>& m, WindowGradient<R>& v) {
    const R luminance_above = 2.0f * m.a * m.b + kSsimC1, luminance_below = m.a * m.a + m.b * m.b + kSsimC1;
    const R contrast_above = 2.0f * (m.ab - m.a * m.b) + kSsimC2;
    const R contrast_below = (m.aa - m.a * m.a) + (m.bb - m.b * m.b) + kSsimC2;
    const R below = 1.0f / (luminance_below * contrast_below);
    const R value = luminance_above * contrast_above * below;
    v.aa = -value / contrast_below;
    v.ab = 2.0f * luminance_above * below;
    v.a = 2.0f * m.b * contrast_above * below - 2.0f * m.a * value / luminance_below - 2.0f * m.a * v.aa - m.b * v.ab;
    return value;
}

// Gradient of a sum of similarities with respect to a value of picture a, from the terms' means around it.
template <class R> GSRECON_HD R similarity_vjp(const WindowGradient<R>& v, R a, R b) {
    return v.a + 2.0f * a * v.aa + b * v.ab;
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
