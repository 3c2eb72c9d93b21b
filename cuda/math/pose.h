// Where an object is in a camera, and what turns with it.
#pragma once

#include "real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

// cam_from_object of one (camera, object) pair, with the camera's centre in the object.
template <class R> struct RigidPose {
    Mat3<R> r;
    Vec3<R> t, centre;
};

// From a row-major 4 x 4 matrix: centre = -R^T t.
GSRECON_HD RigidPose<float> rigid_pose(const float* m) {
    const Mat3<float> r = {{m[0], m[1], m[2]}, {m[4], m[5], m[6]}, {m[8], m[9], m[10]}};
    const Vec3<float> t = {m[3], m[7], m[11]};
    return {r, t, -1.0f * transposed_times(r, t)};
}

// Gradient of the matrix from those of R (row by row), t and the centre, [15] in that order.
GSRECON_HD void rigid_pose_vjp(const float* m, const double* v, float* v_m) {
    for (int i = 0; i < 16; i++) v_m[i] = 0.0f;
    for (int i = 0; i < 3; i++) {
        double v_t = v[9 + i];
        for (int j = 0; j < 3; j++) {
            v_t -= (double)m[4 * i + j] * v[12 + j];
            v_m[4 * i + j] = (float)(v[3 * i + j] - (double)m[4 * i + 3] * v[12 + j]);
        }
        v_m[4 * i + 3] = (float)v_t;
    }
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
