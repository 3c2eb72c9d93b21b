// The statistics of densification: a thread a Gaussian, all cameras.
#include "gpu/kernels.h"
#include "gpu/thread.h"
#include "math/screen_statistics.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) screen_statistics_kernel(ScreenGradients in, ScreenStatistics out) {
    const int64_t i = thread_index();
    if (i < in.n) note_gaussian(in, i, out);
}

}  // namespace

void add_screen_statistics(const ScreenGradients& in, const ScreenStatistics& out, Stream stream) {
    launch("add_screen_statistics", screen_statistics_kernel, blocks_for(in.n, kThreads), kThreads, stream, in, out);
}

}  // namespace gsrecon::gpu
