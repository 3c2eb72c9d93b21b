// Exploration and relocation of MCMC densification: one thread a Gaussian.
#include "gpu/kernels.h"
#include "gpu/thread.h"
#include "math/mcmc.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) explore_kernel(ExploreInputs in, float* means) {
    const int64_t i = thread_index();
    if (i >= in.n) return;
    const float opacity = 1.0f / (1.0f + expf(-in.logit_opacities[i]));
    if (!(opacity < kExploringOpacity)) return;
    const float *q = in.quats + 4 * i, *s = in.log_scales + 3 * i, *n = in.noise + 3 * i;
    float inverse_norm;
    const Vec4<float> unit = normalized(Vec4<float>{q[0], q[1], q[2], q[3]}, inverse_norm);
    const float strength = in.strength * exploration_gate(opacity, in.dead_opacity);
    const Vec3<float> step =
        along_covariance(unit, {expf(s[0]), expf(s[1]), expf(s[2])}, strength * Vec3<float>{n[0], n[1], n[2]});
    means[3 * i] += step.x;
    means[3 * i + 1] += step.y;
    means[3 * i + 2] += step.z;
}

__global__ void __launch_bounds__(kThreads)
    relocate_kernel(int64_t count, const float* opacities, const int64_t* copies, float* new_opacities,
                    float* scale_factors) {
    const int64_t i = thread_index();
    if (i >= count) return;
    const int64_t n = copies[i];
    const Relocated r = relocated(opacities[i], n > kMostCopies ? kMostCopies : (int)n);
    new_opacities[i] = r.opacity;
    scale_factors[i] = r.scale_factor;
}

}  // namespace

void explore(const ExploreInputs& in, float* means, Stream stream) {
    launch("explore", explore_kernel, blocks_for(in.n, kThreads), kThreads, stream, in, means);
}

void relocate(int64_t count, const float* opacities, const int64_t* copies, float* new_opacities, float* scale_factors,
              Stream stream) {
    launch("relocate", relocate_kernel, blocks_for(count, kThreads), kThreads, stream, count, opacities, copies,
           new_opacities, scale_factors);
}

}  // namespace gsrecon::gpu
