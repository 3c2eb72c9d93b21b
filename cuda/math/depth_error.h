// How far a depth above 0 is off: |log(depth / measured)|, up to a limit beyond which it pulls no more.
#pragma once

#include "ops.h"
#include "real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

GSRECON_HD float depth_error(float depth, float measured, float limit) {
    return minimum(fabsf(logf(depth / measured)), limit);
}

GSRECON_HD float depth_error_vjp(float depth, float measured, float limit) {
    const float ratio = depth / measured, largest = expf(limit);
    return ratio <= largest && ratio * largest >= 1.0f ? sign(depth - measured) / depth : 0.0f;
}

GSRECON_HD DepthFigures depth_figures(double errors, double drawn) {
    const double one_point = 1.0 / maximum(drawn, 1.0);
    return {(float)(one_point * errors), (float)one_point};
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
