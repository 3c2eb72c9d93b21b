// Weighted mean squares of a few small tables.
#include "cpu/kernels.h"
#include "math/mean_square.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

double mean_squares(const MeanSquaresInputs& in) {
    double sum = 0.0;
    for (int k = 0; k < in.count; k++)
        for (int64_t i = 0; i < in.sizes[k]; i++) sum += mean_square_part(in.weights[k], in.sizes[k], in.values[k][i]);
    return sum;
}

void mean_squares_vjp(const MeanSquaresInputs& in, float v_sum, const MeanSquaresGradients& out) {
    for (int k = 0; k < in.count; k++)
        for (int64_t i = 0; i < in.sizes[k]; i++)
            out.values[k][i] = mean_square_part_vjp(in.weights[k], in.sizes[k], in.values[k][i], v_sum);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
