// One Gaussian, held by one lane of a warp.
#pragma once

#include "gpu/thread.h"
#include "math/projection.h"

namespace gsrecon::gpu {

struct GaussianRow {
    int64_t row;
    bool present;  // lanes past the end hold the last Gaussian, but are not there
    int object;
    Vec3<float> mean, scale;
    Vec4<float> quat;
    float opacity;

    // Place and size; they decide whether the rest is needed.
    __device__ __forceinline__ GaussianRow(const ProjectInputs& in, int64_t index)
        : row(index < in.n ? index : in.n - 1), present(index < in.n), quat{}, opacity(0) {
        const float *m = in.means + 3 * row, *s = in.scales + 3 * row;
        mean = {m[0], m[1], m[2]};
        scale = {s[0], s[1], s[2]};
        object = in.object_index ? in.object_index[row] : 0;
        if (object < 0 || object >= in.k) {
            object = 0;
            present = false;
        }
    }
    __device__ __forceinline__ void load_rest(const ProjectInputs& in) {
        const float* q = in.quats + 4 * row;
        quat = {q[0], q[1], q[2], q[3]};
        opacity = in.opacities[row];
    }
    __device__ __forceinline__ RigidPose<float> pose(const ProjectInputs& in, int64_t camera) const {
        return rigid_pose(in.cam_from_object + 16 * (camera * in.k + object));
    }
};

}  // namespace gsrecon::gpu
