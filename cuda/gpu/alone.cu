// Objects drawn without anything else: one thread a pixel of the objects' windows, over the object's own Gaussians. A
// product needs no order.
#include "gpu/kernels.h"
#include "gpu/thread.h"
#include "math/blend.h"
#include "math/real.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads) alone_kernel(AloneInputs in, int64_t pixels, float* alpha) {
    const int64_t pixel = thread_index();
    if (pixel >= pixels) return;
    int64_t object = 0, beyond = in.objects;  // the last whose window begins here or before; empty ones hold no pixel
    while (beyond - object > 1) {
        const int64_t middle = (object + beyond) / 2;
        (in.first_pixel[middle] <= pixel ? object : beyond) = middle;
    }
    const int32_t* window = in.windows + 4 * object;
    const int64_t place = pixel - in.first_pixel[object];
    const int width = window[2] - window[0];
    const float x = (float)(window[0] + (int)(place % width)) + 0.5f;
    const float y = (float)(window[1] + (int)(place / width)) + 0.5f;
    float left = 1.0f;
    for (int64_t i = in.first_gaussian[object]; i < in.first_gaussian[object + 1]; i++) {
        const int64_t g = in.gaussians[i];
        const float dx = x - in.means2d[2 * g], dy = y - in.means2d[2 * g + 1];
        if (fabsf(dx) > (float)in.radii[2 * g] + 1.0f || fabsf(dy) > (float)in.radii[2 * g + 1] + 1.0f) continue;
        const float* conic = in.conics + 3 * g;
        const float p =
            log2f(in.opacities[g]) - kLog2E * (0.5f * (conic[0] * dx * dx + conic[2] * dy * dy) + conic[1] * dx * dy);
        if (p >= kLog2AlphaFloor) left -= minimum(exp2f(p), kAlphaCeiling) * left;
    }
    alpha[pixel] = 1.0f - left;
}

}  // namespace

void alone(const AloneInputs& in, int64_t pixels, float* alpha, Stream stream) {
    launch("alone", alone_kernel, blocks_for(pixels, kThreads), kThreads, stream, in, pixels, alpha);
}

}  // namespace gsrecon::gpu
