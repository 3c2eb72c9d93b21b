// Unit quaternions (w, x, y, z) and rotation matrices.
#pragma once

#include "real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

// q / |q|. A zero quaternion stays zero.
template <class R> GSRECON_HD Vec4<R> normalized(Vec4<R> q, R& inverse_norm) {
    const R squared = q.w * q.w + q.x * q.x + q.y * q.y + q.z * q.z;
    inverse_norm = select(squared > 0.0f, 1.0f / square_root(squared), R{});
    return {q.w * inverse_norm, q.x * inverse_norm, q.y * inverse_norm, q.z * inverse_norm};
}

// Gradient of q / |q| at the unit quaternion u: (v - u (u . v)) / |q|
template <class R> GSRECON_HD Vec4<R> normalized_vjp(Vec4<R> u, R inverse_norm, Vec4<R> v_u) {
    const R along = u.w * v_u.w + u.x * v_u.x + u.y * v_u.y + u.z * v_u.z;
    return {(v_u.w - u.w * along) * inverse_norm, (v_u.x - u.x * along) * inverse_norm,
            (v_u.y - u.y * along) * inverse_norm, (v_u.z - u.z * along) * inverse_norm};
}

// Rotation matrix of a unit quaternion.
template <class R> GSRECON_HD Mat3<R> rotation_matrix(Vec4<R> q) {
    return {{1.0f - 2.0f * (q.y * q.y + q.z * q.z), 2.0f * (q.x * q.y - q.w * q.z), 2.0f * (q.x * q.z + q.w * q.y)},
            {2.0f * (q.x * q.y + q.w * q.z), 1.0f - 2.0f * (q.x * q.x + q.z * q.z), 2.0f * (q.y * q.z - q.w * q.x)},
            {2.0f * (q.x * q.z - q.w * q.y), 2.0f * (q.y * q.z + q.w * q.x), 1.0f - 2.0f * (q.x * q.x + q.y * q.y)}};
}

template <class R> GSRECON_HD Vec4<R> rotation_matrix_vjp(Vec4<R> q, const Mat3<R>& v) {
    return {2.0f * (q.x * (v.r2.y - v.r1.z) + q.y * (v.r0.z - v.r2.x) + q.z * (v.r1.x - v.r0.y)),
            2.0f * (q.y * (v.r0.y + v.r1.x) + q.z * (v.r0.z + v.r2.x) + q.w * (v.r2.y - v.r1.z) -
                    2.0f * q.x * (v.r1.y + v.r2.z)),
            2.0f * (q.x * (v.r0.y + v.r1.x) + q.z * (v.r1.z + v.r2.y) + q.w * (v.r0.z - v.r2.x) -
                    2.0f * q.y * (v.r0.x + v.r2.z)),
            2.0f * (q.x * (v.r0.z + v.r2.x) + q.y * (v.r1.z + v.r2.y) + q.w * (v.r1.x - v.r0.y) -
                    2.0f * q.z * (v.r0.x + v.r1.y))};
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
