// Rigid motions of tangent vectors: one thread each.
#include "gpu/kernels.h"
#include "gpu/thread.h"
#include "math/rigid_motion.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 64;

__global__ void __launch_bounds__(kThreads) se3_exps_kernel(int64_t count, const double* tangents, double* motions) {
    const int64_t i = thread_index();
    if (i < count) write_rigid_motion(se3_exp(read_tangent(tangents + 6 * i)), motions + 16 * i);
}

__global__ void __launch_bounds__(kThreads)
    se3_exps_vjp_kernel(int64_t count, const double* tangents, const double* v_motions, double* v_tangents) {
    const int64_t i = thread_index();
    if (i >= count) return;
    write_tangent(se3_exp_vjp(read_tangent(tangents + 6 * i), rigid_motion(v_motions + 16 * i)), v_tangents + 6 * i);
}

}  // namespace

void se3_exps(int64_t count, const double* tangents, double* motions, Stream stream) {
    launch("se3_exps", se3_exps_kernel, blocks_for(count, kThreads), kThreads, stream, count, tangents, motions);
}

void se3_exps_vjp(int64_t count, const double* tangents, const double* v_motions, double* v_tangents, Stream stream) {
    launch("se3_exps_vjp", se3_exps_vjp_kernel, blocks_for(count, kThreads), kThreads, stream, count, tangents,
           v_motions, v_tangents);
}

}  // namespace gsrecon::gpu
