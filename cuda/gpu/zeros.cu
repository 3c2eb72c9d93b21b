#include "gpu/thread.h"
#include "gpu/zeros.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = 4096;  // more than are on any GPU at once

__global__ void __launch_bounds__(kThreads) zeros_kernel(Zeros::Arrays arrays) {
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
#pragma unroll
    for (int a = 0; a < Zeros::kMost; a++)
        for (int64_t i = thread_index(); i < arrays.counts[a]; i += step) arrays.data[a][i] = 0.0f;
}

}  // namespace

void Zeros::write(Stream stream) const {
    int64_t most = 0;
    for (int64_t count : arrays_.counts) most = most < count ? count : most;
    const int64_t blocks = blocks_for(most, kThreads);
    launch("zeros", zeros_kernel, blocks < kMostBlocks ? blocks : kMostBlocks, kThreads, stream, arrays_);
}

}  // namespace gsrecon::gpu
