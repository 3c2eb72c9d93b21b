// Adam over the rows of a tensor that have a gradient. A warp takes 32 rows: it reads their gradients once, side by
// side, to see which rows have any, and reads and writes the rest of those rows alone. Long rows (a sky's faces) take a
// block each.
#include "gpu/kernels.h"
#include "gpu/thread.h"
#include "math/adam.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 256;
constexpr int kLongRow = 256, kLongThreads = 1024;

__device__ __forceinline__ AdamStep<float> step_of(const AdamSettings& s) {
    return {s.beta1, s.beta2, s.schedule ? s.schedule[0] : s.rate, s.schedule ? s.schedule[1] : s.second_moment_scale,
            s.epsilon};
}

__device__ __forceinline__ void step_value(const AdamInputs& in, const AdamStep<float>& step, int64_t at) {
    float value = in.values[at], first = in.first_moments[at], second = in.second_moments[at];
    adam(step, in.gradients[at], value, first, second);
    in.values[at] = value;
    in.first_moments[at] = first;
    in.second_moments[at] = second;
}

__global__ void __launch_bounds__(kThreads) adam_kernel(AdamInputs in, AdamSettings s) {
    const int64_t first_row = thread_index() / kWarp * kWarp;
    if (first_row >= in.rows) return;
    const int lane = lane_index();
    const int rows = (int)(in.rows - first_row < kWarp ? in.rows - first_row : kWarp);
    const int width = (int)in.width, count = rows * width;
    const int64_t begin = first_row * in.width;
    unsigned seen = 0;
    for (int i = lane; i < count; i += kWarp)
        if (in.gradients[begin + i] != 0.0f) seen |= 1u << (i / width);
    for (int distance = kWarp / 2; distance > 0; distance /= 2) seen |= __shfl_xor_sync(kAllLanes, seen, distance);
    if (!seen) return;
    const AdamStep<float> step = step_of(s);
    for (int i = lane; i < count; i += kWarp)
        if (seen >> (i / width) & 1) step_value(in, step, begin + i);
}

// One block a row.
__global__ void __launch_bounds__(kLongThreads) long_row_kernel(AdamInputs in, AdamSettings s) {
    const int64_t begin = blockIdx.x * in.width;
    bool any = false;
    for (int64_t i = threadIdx.x; i < in.width; i += kLongThreads) any |= in.gradients[begin + i] != 0.0f;
    if (!__syncthreads_or(any)) return;
    const AdamStep<float> step = step_of(s);
    for (int64_t i = threadIdx.x; i < in.width; i += kLongThreads) step_value(in, step, begin + i);
}

}  // namespace

void adam_rows(const AdamInputs& in, const AdamSettings& settings, Stream stream) {
    if (in.width > kLongRow)
        launch("adam_rows", long_row_kernel, in.rows, kLongThreads, stream, in, settings);
    else
        launch("adam_rows", adam_kernel, blocks_for(in.rows, kThreads), kThreads, stream, in, settings);
}

}  // namespace gsrecon::gpu
