// The corrected camera of one picture: one thread has all the arithmetic, a block writes the tables' gradients.
#include "gpu/kernels.h"
#include "gpu/thread.h"
#include "math/rig_camera.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kWarp)
    rig_camera_kernel(RigCorrections corrections, RigCamera camera, float* viewmat) {
    if (thread_index() == 0) write_rigid_motion(rig_camera_viewmat(corrections, camera), viewmat);
}

__device__ __forceinline__ void write_rows(const BetweenRows& at, Vec3<double> v, int64_t rows, float* table) {
    const double along[3] = {v.x, v.y, v.z};
    for (int64_t i = threadIdx.x; i < 3 * rows; i += kThreads) table[i] = between_vjp(at, i / 3, along[i % 3]);
}

// One block.
__global__ void __launch_bounds__(kThreads) rig_camera_vjp_kernel(RigCorrections corrections, RigCamera camera,
                                                                  const float* v_viewmat, RigCorrectionGradients out) {
    __shared__ RigCameraGradients v;
    if (threadIdx.x == 0) v = rig_camera_viewmat_vjp(corrections, camera, rigid_motion(v_viewmat));
    __syncthreads();
    write_rows(camera.knots, v.rig.v, out.knots, out.rig_translations);
    write_rows(camera.knots, v.rig.w, out.knots, out.rig_rotations);
    write_rows(camera.row, v.own.v, out.cameras, out.camera_translations);
    write_rows(camera.row, v.own.w, out.cameras, out.camera_rotations);
}

}  // namespace

void rig_camera(const RigCorrections& corrections, const RigCamera& camera, float* viewmat, Stream stream) {
    launch("rig_camera", rig_camera_kernel, 1, kWarp, stream, corrections, camera, viewmat);
}

void rig_camera_vjp(const RigCorrections& corrections, const RigCamera& camera, const float* v_viewmat,
                    const RigCorrectionGradients& out, Stream stream) {
    launch("rig_camera_vjp", rig_camera_vjp_kernel, 1, kThreads, stream, corrections, camera, v_viewmat, out);
}

}  // namespace gsrecon::gpu
