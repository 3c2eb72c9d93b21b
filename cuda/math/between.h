// Values that are linear between two rows of a table [rows, width], and their gradient.
#pragma once

#include "ops.h"
#include "real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

GSRECON_HD double between(const float* table, int width, const BetweenRows& at, int column) {
    return (1.0 - at.share) * (double)table[width * at.before + column] +
           at.share * (double)table[width * at.after + column];
}

// Gradient of an element of the table, in that row, from the value's: zero but in the rows that are read.
GSRECON_HD float between_vjp(const BetweenRows& at, int64_t row, double v) {
    const double share = (row == at.before ? 1.0 - at.share : 0.0) + (row == at.after ? at.share : 0.0);
    return share == 0.0 ? 0.0f : (float)(share * v);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
