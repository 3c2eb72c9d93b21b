// The corrected camera of one picture.
#include "math/rig_camera.h"

#include "cpu/kernels.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

namespace {

void write_rows(const BetweenRows& at, Vec3<double> v, int64_t rows, float* table) {
    const double along[3] = {v.x, v.y, v.z};
    for (int64_t i = 0; i < 3 * rows; i++) table[i] = between_vjp(at, i / 3, along[i % 3]);
}

}  // namespace

void rig_camera(const RigCorrections& corrections, const RigCamera& camera, float* viewmat) {
    write_rigid_motion(rig_camera_viewmat(corrections, camera), viewmat);
}

void rig_camera_vjp(const RigCorrections& corrections, const RigCamera& camera, const float* v_viewmat,
                    const RigCorrectionGradients& out) {
    const RigCameraGradients v = rig_camera_viewmat_vjp(corrections, camera, rigid_motion(v_viewmat));
    write_rows(camera.knots, v.rig.v, out.knots, out.rig_translations);
    write_rows(camera.knots, v.rig.w, out.knots, out.rig_rotations);
    write_rows(camera.row, v.own.v, out.cameras, out.camera_translations);
    write_rows(camera.row, v.own.w, out.cameras, out.camera_rotations);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
