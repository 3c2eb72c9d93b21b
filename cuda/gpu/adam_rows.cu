// Adam over the rows of a tensor that have a gradient. A warp takes 32 rows: it reads their gradients once, side by
// side, to see which rows have any, and reads and writes the rest of those rows alone.
#include "gpu/kernels.h"
#include "gpu/thread.h"
#include "math/adam.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 256;

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
    const AdamStep<float> step = {s.beta1, s.beta2, s.schedule ? s.schedule[0] : s.rate,
                                  s.schedule ? s.schedule[1] : s.second_moment_scale, s.epsilon};
    for (int i = lane; i < count; i += kWarp) {
        if (!(seen >> (i / width) & 1)) continue;
        const int64_t at = begin + i;
        float value = in.values[at], first = in.first_moments[at], second = in.second_moments[at];
        adam(step, in.gradients[at], value, first, second);
        in.values[at] = value;
        in.first_moments[at] = first;
        in.second_moments[at] = second;
    }
}

}  // namespace

void adam_rows(const AdamInputs& in, const AdamSettings& settings, Stream stream) {
    launch("adam_rows", adam_kernel, blocks_for(in.rows, kThreads), kThreads, stream, in, settings);
}

}  // namespace gsrecon::gpu
