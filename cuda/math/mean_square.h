// weight * (mean square) of a table.
#pragma once

#include "ops.h"
#include "real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

// What one of `size` elements adds.
GSRECON_HD double mean_square_part(double weight, int64_t size, float x) {
    return weight / (double)size * ((double)x * (double)x);
}
GSRECON_HD float mean_square_part_vjp(double weight, int64_t size, float x, float v) {
    return (float)(2.0 * weight / (double)size * (double)x * (double)v);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
