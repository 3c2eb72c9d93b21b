// Sums over a whole launch in a fixed order: each block leaves its own, and one block adds those up.
#pragma once

#include "gpu/warp.h"

namespace gsrecon::gpu {

// Adds up `count` values over the block; `out` [count] gets the sums. All threads take part.
template <int count, int threads> __device__ __forceinline__ void write_block_sums(const float* values, float* out) {
    __shared__ float warp_sums[count][threads / kWarp];
    for (int i = 0; i < count; i++) {
        const float sum = warp_sum(values[i]);
        if (lane_index() == 0) warp_sums[i][threadIdx.x / kWarp] = sum;
    }
    __syncthreads();
    if (threadIdx.x >= count) return;
    float sum = 0.0f;
    for (float s : warp_sums[threadIdx.x]) sum += s;
    out[threadIdx.x] = sum;
}

// Adds up what `blocks` blocks have left, [blocks, count]; thread 0 has the sums. All threads take part, and there is
// one block of them.
template <int count, int threads>
__device__ __forceinline__ void add_block_sums(const float* block_sums, int64_t blocks, double* sums) {
    __shared__ double partial[count][threads];
    for (int i = 0; i < count; i++) sums[i] = 0.0;
    for (int64_t b = threadIdx.x; b < blocks; b += threads)
        for (int i = 0; i < count; i++) sums[i] += (double)block_sums[b * count + i];
    for (int i = 0; i < count; i++) partial[i][threadIdx.x] = sums[i];
    __syncthreads();
    for (unsigned half = threads / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            for (int i = 0; i < count; i++) partial[i][threadIdx.x] += partial[i][threadIdx.x + half];
        __syncthreads();
    }
    for (int i = 0; i < count; i++) sums[i] = partial[i][0];
}

}  // namespace gsrecon::gpu
