// The mean error of depths at pixels that were measured, one thread a point, and its gradient.
#include "gpu/block_sums.h"
#include "gpu/kernels.h"
#include "math/depth_error.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 256;
constexpr int kSums = 2;  // errors, and points where something is drawn

// The depth at the i-th place, 0 where there is none.
__device__ __forceinline__ float depth_at(const ComparedDepths& in, int64_t i) {
    if (i >= in.count) return 0.0f;
    const int32_t place = in.places[i];
    return place >= 0 && place < in.pixels ? in.depth[place] : 0.0f;
}

__global__ void __launch_bounds__(kThreads) depth_error_kernel(ComparedDepths in, float* block_sums) {
    const int64_t i = thread_index();
    const float depth = depth_at(in, i);
    const bool drawn = depth > 0.0f;
    const float sums[kSums] = {drawn ? depth_error(depth, in.measured[i], in.limit) : 0.0f, drawn ? 1.0f : 0.0f};
    write_block_sums<kSums, kThreads>(sums, block_sums + blockIdx.x * kSums);
}

// One block.
__global__ void __launch_bounds__(kThreads)
    depth_figures_kernel(const float* block_sums, int64_t blocks, DepthFigures* figures) {
    double sums[kSums];
    add_block_sums<kSums, kThreads>(block_sums, blocks, sums);
    if (threadIdx.x == 0) *figures = depth_figures(sums[0], sums[1]);
}

__global__ void __launch_bounds__(kThreads)
    depth_error_vjp_kernel(ComparedDepths in, const DepthFigures* figures, const float* v_mean, float* v_depth) {
    const int64_t i = thread_index();
    const float depth = depth_at(in, i);
    if (!(depth > 0.0f)) return;
    v_depth[in.places[i]] = *v_mean * figures->one_point * depth_error_vjp(depth, in.measured[i], in.limit);
}

int64_t blocks_of(const ComparedDepths& in) { return blocks_for(in.count, kThreads); }

}  // namespace

size_t compare_depths_workspace(const ComparedDepths& in) {
    Workspace work;
    work.take<float>(blocks_of(in) * kSums);
    return work.used();
}

void compare_depths(const ComparedDepths& in, DepthFigures* figures, void* workspace, size_t bytes, Stream stream) {
    Workspace work(workspace, bytes);
    float* block_sums = work.take<float>(blocks_of(in) * kSums);
    launch("depth_error", depth_error_kernel, blocks_of(in), kThreads, stream, in, block_sums);
    launch("depth_figures", depth_figures_kernel, 1, kThreads, stream, block_sums, blocks_of(in), figures);
}

void compare_depths_vjp(const ComparedDepths& in, const DepthFigures* figures, const float* v_mean, float* v_depth,
                        Stream stream) {
    clear(v_depth, (size_t)in.pixels * sizeof(float), stream);
    launch("depth_error_vjp", depth_error_vjp_kernel, blocks_of(in), kThreads, stream, in, figures, v_mean, v_depth);
}

}  // namespace gsrecon::gpu
