// A Gaussian of an object seen by a camera: the chain from its parameters to its footprint, and back.
#pragma once

#include "blend.h"
#include "gaussian.h"
#include "ops.h"
#include "pose.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

constexpr float kFarthestReach = 3.33f;  // standard deviations at which even opacity 1 has fallen to the alpha floor

GSRECON_HD Lens lens_of(const ProjectInputs& in, const ProjectSettings& settings, int64_t camera) {
    const float* k = in.Ks + 9 * camera;
    Lens lens = {k[0], k[4], k[2], k[5], (float)settings.width, (float)settings.height, {0, 0, 0, 0}, INFINITY};
    if (in.distortion) {
        for (int i = 0; i < 4; i++) lens.k[i] = in.distortion[5 * camera + i];
        lens.widest_tangent = in.distortion[5 * camera + 4];
    }
    return lens;
}

template <class R> GSRECON_HD LensImage<R> lens_image(LensModel model, const Lens& lens, Vec3<R> in_cam) {
    return model == LensModel::fisheye ? fisheye(lens, in_cam) : pinhole(lens, in_cam);
}

template <class R> GSRECON_HD auto between_planes(R z, const ProjectSettings& s) {
    return (z > 0.0f) & (z >= s.near_plane) & (z <= s.far_plane);
}

// Whether a box of half-size (rx, ry) around a pixel meets the picture.
template <class R> GSRECON_HD auto meets_picture(Vec2<R> mean, R rx, R ry, const Lens& lens) {
    return (mean.x + rx > 0.0f) & (mean.x - rx < lens.width) & (mean.y + ry > 0.0f) & (mean.y - ry < lens.height);
}

// Whether it can be seen, by a bound on the footprint from place and size alone: its variance along x is at most |jx|^2
// times the largest scale's square, plus eps2d.
template <class R>
GSRECON_HD auto may_be_seen(const RigidPose<R>& pose, const Lens& lens, const ProjectSettings& s, Vec3<R> mean,
                            Vec3<R> scales) {
    const Vec3<R> in_cam = times(pose.r, mean) + pose.t;
    const LensImage<R> image = lens_image(s.model, lens, in_cam);
    const R scale = maximum(scales.x, maximum(scales.y, scales.z));
    const R rx = kFarthestReach * square_root(scale * scale * dot(image.jx, image.jx) + s.eps2d) * 1.0001f + 1.0f;
    const R ry = kFarthestReach * square_root(scale * scale * dot(image.jy, image.jy) + s.eps2d) * 1.0001f + 1.0f;
    return between_planes(in_cam.z, s) & meets_picture(image.mean, rx, ry, lens);
}

// Everything between a Gaussian and its footprint; computed going forward, and again going backward.
template <class R> struct Geometry {
    Vec4<R> unit_quat;
    R inverse_norm;
    Vec3<R> in_cam;
    Mat3<R> rotated, axes;  // cam_from_object R(q), and with the scales
    LensImage<R> image;
    Footprint<R> print;
    decltype(R{} > R{}) drawable;

    GSRECON_HD Geometry(const RigidPose<R>& pose, const Lens& lens, const ProjectSettings& s, Vec3<R> mean,
                        Vec4<R> quat, Vec3<R> scale) {
        unit_quat = normalized(quat, inverse_norm);
        in_cam = times(pose.r, mean) + pose.t;
        rotated = times(pose.r, rotation_matrix(unit_quat));
        axes = scale_columns(rotated, scale);
        image = lens_image(s.model, lens, in_cam);
        print = footprint(picture_covariance(image, axes), s.eps2d);
        drawable = between_planes(in_cam.z, s) & (inverse_norm > 0.0f) & (print.determinant > 0.0f) &
                   (print.determinant < 3e38f);
        if (s.model == LensModel::fisheye) {
            const R limit = lens.widest_tangent * in_cam.z;
            drawable = drawable & (in_cam.x * in_cam.x + in_cam.y * in_cam.y < limit * limit);
        }
    }
};

// How far alpha stays above its floor, in standard deviations (Radl et al. 2024, appendix B.2), as gsplat rounds it.
GSRECON_HD float reach_of_opacity(float opacity) {
    const float above = opacity * 255.0f;
    return above >= 1.0f ? minimum(kFarthestReach, sqrtf(2.0f * logf(above))) : 0.0f;
}

// Unit direction from the camera's centre to a Gaussian, both in the object's frame.
template <class R> struct Direction {
    R inverse_length;
    Vec3<R> unit;

    GSRECON_HD Direction(const RigidPose<R>& pose, Vec3<R> mean) {
        const Vec3<R> d = mean - pose.centre;
        const R squared = dot(d, d);
        inverse_length = select(squared > 0.0f, 1.0f / square_root(squared), R{});
        unit = inverse_length * d;
    }
    // Gradient of the Gaussian's place; that of the camera's centre is the opposite.
    GSRECON_HD Vec3<R> vjp(Vec3<R> v_unit) const { return inverse_length * (v_unit - dot(v_unit, unit) * unit); }
};

// Gradients of what goes into a footprint.
template <class R> struct GeometryGradient {
    Vec3<R> in_cam, scale;
    Vec4<R> quat;
    R opacity;
    Mat3<R> rotated;  // of cam_from_object R(q)

    GSRECON_HD GeometryGradient(const Geometry<R>& geo, const RigidPose<R>& pose, const Lens& lens,
                                const ProjectSettings& s, Vec3<R> scales, R opacity_before, Vec2<R> v_mean2d, R v_depth,
                                Sym2<R> v_conic, R v_opacity) {
        R v_compensation = R{};
        opacity = v_opacity;
        if (s.antialiased) {
            v_compensation = v_opacity * opacity_before;
            opacity = v_opacity * geo.print.compensation;
        }
        const Sym2<R> v_cov = footprint_vjp(geo.print, s.eps2d, v_conic, v_compensation);
        Vec3<R> v_jx, v_jy;
        Mat3<R> v_axes;
        picture_covariance_vjp(geo.image, geo.axes, v_cov, v_jx, v_jy, v_axes);
        in_cam = s.model == LensModel::fisheye ? fisheye_vjp(lens, geo.in_cam, v_mean2d, v_jx, v_jy)
                                               : pinhole_vjp(lens, geo.in_cam, v_mean2d, v_jx, v_jy);
        in_cam.z = in_cam.z + v_depth;
        // axes = (cam_from_object R(q)) diag(s)
        const Mat3<R>& a = geo.rotated;
        scale = {a.r0.x * v_axes.r0.x + a.r1.x * v_axes.r1.x + a.r2.x * v_axes.r2.x,
                 a.r0.y * v_axes.r0.y + a.r1.y * v_axes.r1.y + a.r2.y * v_axes.r2.y,
                 a.r0.z * v_axes.r0.z + a.r1.z * v_axes.r1.z + a.r2.z * v_axes.r2.z};
        rotated = scale_columns(v_axes, scales);
        const Vec4<R> v_unit = rotation_matrix_vjp(geo.unit_quat, transposed_times(pose.r, rotated));
        quat = normalized_vjp(geo.unit_quat, geo.inverse_norm, v_unit);
    }

    // Gradients of the pose: R row by row, t, centre. `direction` is the gradient through the harmonics' direction.
    GSRECON_HD void of_pose(const Geometry<R>& geo, Vec3<R> mean, Vec3<R> direction, R* v) const {
        const Mat3<R> from_axes = times_transposed(rotated, rotation_matrix(geo.unit_quat));
        const Vec3<R> r0 = from_axes.r0 + in_cam.x * mean, r1 = from_axes.r1 + in_cam.y * mean,
                      r2 = from_axes.r2 + in_cam.z * mean;
        const R values[15] = {r0.x, r0.y,     r0.z,     r1.x,     r1.y,         r1.z,         r2.x,        r2.y,
                              r2.z, in_cam.x, in_cam.y, in_cam.z, -direction.x, -direction.y, -direction.z};
        for (int i = 0; i < 15; i++) v[i] = values[i];
    }
};

}  // namespace GSRECON_ISA
}  // namespace gsrecon
