// Where a thread stands in its launch.
#pragma once

#include "gpu/runtime.h"

namespace gsrecon::gpu {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// Index of this thread in the whole grid.
__device__ __forceinline__ int64_t thread_index() { return (int64_t)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ int lane_index() { return (int)(threadIdx.x % kWarp); }
__device__ __forceinline__ int warp_index() { return (int)(threadIdx.x / kWarp); }

}  // namespace gsrecon::gpu
