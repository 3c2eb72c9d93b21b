// The camera of a recorded picture with a correction of its rig and one of its own:
//   world_from_cam' = world_from_cam cam_from_ego exp(rig) ego_from_cam exp(own),
// of which rendering wants the inverse, cam_from_world'. The rig's tangent vector is linear between two knots.
// gsrecon/ops/rig_camera.py is the specification.
#pragma once

#include "between.h"
#include "rigid_motion.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

GSRECON_HD Tangent tangent_between(const float* translations, const float* rotations, const BetweenRows& at) {
    const auto row = [&](const float* table) {
        return Vec3<double>{between(table, 3, at, 0), between(table, 3, at, 1), between(table, 3, at, 2)};
    };
    return {row(translations), row(rotations)};
}

GSRECON_HD Tangent negated(const Tangent& tangent) { return {-1.0 * tangent.v, -1.0 * tangent.w}; }

// cam_from_world' = exp(-own) q, q = cam_from_ego (exp(-rig) ego_from_world)
struct RigCameraParts {
    Tangent minus_rig, minus_own;
    RigidMotion of_rig, of_own, cam_from_ego, ego_from_world, moved, q;

    GSRECON_HD RigCameraParts(const RigCorrections& corrections, const RigCamera& camera) {
        minus_rig = negated(tangent_between(corrections.rig_translations, corrections.rig_rotations, camera.knots));
        minus_own = negated(tangent_between(corrections.camera_translations, corrections.camera_rotations, camera.row));
        const RigidMotion ego_from_cam = rigid_motion(camera.ego_from_cam);
        of_rig = se3_exp(minus_rig), of_own = se3_exp(minus_own);
        cam_from_ego = inverse(ego_from_cam);
        ego_from_world = compose(ego_from_cam, inverse(rigid_motion(camera.world_from_cam)));
        moved = compose(of_rig, ego_from_world);
        q = compose(cam_from_ego, moved);
    }
};

GSRECON_HD RigidMotion rig_camera_viewmat(const RigCorrections& corrections, const RigCamera& camera) {
    const RigCameraParts parts(corrections, camera);
    return compose(parts.of_own, parts.q);
}

// Gradients of the tangent vectors: the rig's at the picture's time and the camera's own.
struct RigCameraGradients {
    Tangent rig, own;
};
GSRECON_HD RigCameraGradients rig_camera_viewmat_vjp(const RigCorrections& corrections, const RigCamera& camera,
                                                     const RigidMotion& v) {
    const RigCameraParts parts(corrections, camera);
    const ComposeGradients last = compose_vjp(parts.of_own, parts.q, v);
    const RigidMotion v_moved = compose_vjp(parts.cam_from_ego, parts.moved, last.b).b;
    const Tangent rig = se3_exp_vjp(parts.minus_rig, compose_vjp(parts.of_rig, parts.ego_from_world, v_moved).a);
    const Tangent own = se3_exp_vjp(parts.minus_own, last.a);
    return {negated(rig), negated(own)};
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
