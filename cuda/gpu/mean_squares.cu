// Weighted mean squares of a few small tables: one block adds them up in a fixed order.
#include "gpu/kernels.h"
#include "gpu/thread.h"
#include "math/mean_square.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 512;

// One block.
__global__ void __launch_bounds__(kThreads) mean_squares_kernel(MeanSquaresInputs in, float* sum_of_means) {
    __shared__ double sums[kThreads];
    double sum = 0.0;
    for (int k = 0; k < in.count; k++)
        for (int64_t i = threadIdx.x; i < in.sizes[k]; i += kThreads)
            sum += mean_square_part(in.weights[k], in.sizes[k], in.values[k][i]);
    sums[threadIdx.x] = sum;
    for (int half = kThreads / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x == 0) *sum_of_means = (float)sums[0];
}

// One thread an element of the tables, one table after the other.
__global__ void __launch_bounds__(kThreads)
    mean_squares_vjp_kernel(MeanSquaresInputs in, const float* v_sum, MeanSquaresGradients out) {
    int64_t i = thread_index();
    int k = 0;
    while (k < in.count && i >= in.sizes[k]) i -= in.sizes[k++];
    if (k < in.count) out.values[k][i] = mean_square_part_vjp(in.weights[k], in.sizes[k], in.values[k][i], *v_sum);
}

}  // namespace

void mean_squares(const MeanSquaresInputs& in, float* sum_of_means, Stream stream) {
    launch("mean_squares", mean_squares_kernel, 1, kThreads, stream, in, sum_of_means);
}

void mean_squares_vjp(const MeanSquaresInputs& in, const float* v_sum, const MeanSquaresGradients& out, Stream stream) {
    int64_t values = 0;
    for (int k = 0; k < in.count; k++) values += in.sizes[k];
    launch("mean_squares_vjp", mean_squares_vjp_kernel, blocks_for(values, kThreads), kThreads, stream, in, v_sum, out);
}

}  // namespace gsrecon::gpu
