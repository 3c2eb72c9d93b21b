// Lenses: a point in the camera (x right, y down, z forward) [m] -> pixels, with the derivative that carries a
// covariance.
#pragma once

#include "real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

// The lens and picture of one camera. The last two are the fisheye's alone: Kannala-Brandt coefficients, and the
// tangent of the angle at which r(theta) stops growing and would fold the world back into the picture.
struct Lens {
    float fx, fy, cx, cy;
    float width, height;
    float k[4];
    float widest_tangent;
};

// Picture of a point: its pixel and the rows of the derivative d(pixel)/d(point).
template <class R> struct LensImage {
    Vec2<R> mean;
    Vec3<R> jx, jy;
};

// ---- Pinhole: u = fx x / z + cx.
// The derivative is taken at a point clamped to 30 % beyond the picture's edges (EWA splatting, Zwicker et al. 2002, as
// gsplat bounds it), so that Gaussians far outside do not smear over the picture.
template <class R> struct PinholeClamp {
    R tx, ty;              // x / z and y / z after the clamp
    R inside_x, inside_y;  // 1 where the clamp did nothing, else 0
};

template <class R> GSRECON_HD PinholeClamp<R> pinhole_clamp(const Lens& lens, R x_over_z, R y_over_z) {
    const float margin_x = 0.15f * lens.width, margin_y = 0.15f * lens.height;
    const float per_x = 1.0f / lens.fx, per_y = 1.0f / lens.fy;
    const R zero = R{};
    const R high_x = zero + (lens.width - lens.cx + margin_x) * per_x, low_x = zero - (lens.cx + margin_x) * per_x;
    const R high_y = zero + (lens.height - lens.cy + margin_y) * per_y, low_y = zero - (lens.cy + margin_y) * per_y;
    PinholeClamp<R> c;
    c.tx = minimum(high_x, maximum(low_x, x_over_z));
    c.ty = minimum(high_y, maximum(low_y, y_over_z));
    c.inside_x = select(c.tx == x_over_z, zero + 1.0f, zero);
    c.inside_y = select(c.ty == y_over_z, zero + 1.0f, zero);
    return c;
}

template <class R> GSRECON_HD LensImage<R> pinhole(const Lens& lens, Vec3<R> p) {
    const R rz = 1.0f / p.z, zero = R{};
    const R a = p.x * rz, b = p.y * rz;
    const PinholeClamp<R> c = pinhole_clamp(lens, a, b);
    return {{lens.fx * a + lens.cx, lens.fy * b + lens.cy},
            {lens.fx * rz, zero, -lens.fx * c.tx * rz},
            {zero, lens.fy * rz, -lens.fy * c.ty * rz}};
}

template <class R>
GSRECON_HD Vec3<R> pinhole_vjp(const Lens& lens, Vec3<R> p, Vec2<R> v_mean, Vec3<R> v_jx, Vec3<R> v_jy) {
    const R rz = 1.0f / p.z, rz2 = rz * rz;
    const R a = p.x * rz, b = p.y * rz;
    const PinholeClamp<R> c = pinhole_clamp(lens, a, b);
    // Where the clamp holds, jx.z = -fx t / z with t constant; elsewhere t = x / z moves too.
    const R v_tx = -lens.fx * rz * v_jx.z * c.inside_x, v_ty = -lens.fy * rz * v_jy.z * c.inside_y;
    const R v_a = lens.fx * v_mean.x + v_tx, v_b = lens.fy * v_mean.y + v_ty;
    const R v_z =
        lens.fx * rz2 * (c.tx * v_jx.z - v_jx.x) + lens.fy * rz2 * (c.ty * v_jy.z - v_jy.y) - rz * (a * v_a + b * v_b);
    return {v_a * rz, v_b * rz, v_z};
}

// ---- Fisheye (Kannala and Brandt 2006): r = theta (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8).
// Written in a = x / z, b = y / z, w = a^2 + b^2: u = fx a F(w) + cx with F = (theta / tan theta)-like and smooth at
// the axis: F(w) = A D(p), A = atan(sqrt w) / sqrt w, p = theta^2 = w A^2, D = 1 + k1 p + k2 p^2 + k3 p^3 + k4 p^4.
template <class R> struct FisheyeProfile {
    R f, f1, f2;  // F, dF/dw, d2F/dw2
};

template <class R> GSRECON_HD FisheyeProfile<R> fisheye_profile(const Lens& lens, R w) {
    const R zero = R{};
    const auto near_axis = w < 0.05f;
    // Away from the axis; there, a value that stays finite.
    const R ws = select(near_axis, zero + 1.0f, w);
    const R q = square_root(ws), s = 1.0f / (1.0f + ws), half = 0.5f / ws;
    const R far_a = arc_tangent(q) / q;
    const R far_a1 = (s - far_a) * half;
    const R far_a2 = (-s * s - 3.0f * far_a1) * half;
    // Taylor series of atan(sqrt w) / sqrt w = sum (-w)^n / (2n + 1)
    const R near_a =
        1.0f + w * (-1.0f / 3 + w * (1.0f / 5 + w * (-1.0f / 7 + w * (1.0f / 9 + w * (-1.0f / 11 + w * (1.0f / 13))))));
    const R near_a1 =
        -1.0f / 3 + w * (2.0f / 5 + w * (-3.0f / 7 + w * (4.0f / 9 + w * (-5.0f / 11 + w * (6.0f / 13)))));
    const R near_a2 = 2.0f / 5 + w * (-6.0f / 7 + w * (12.0f / 9 + w * (-20.0f / 11 + w * (30.0f / 13))));
    const R a = select(near_axis, near_a, far_a), a1 = select(near_axis, near_a1, far_a1),
            a2 = select(near_axis, near_a2, far_a2);
    const R p = w * a * a;
    const R p1 = a * a + 2.0f * w * a * a1;
    const R p2 = 4.0f * a * a1 + 2.0f * w * (a1 * a1 + a * a2);
    const R d = 1.0f + p * (lens.k[0] + p * (lens.k[1] + p * (lens.k[2] + p * lens.k[3])));
    const R d1 = lens.k[0] + p * (2.0f * lens.k[1] + p * (3.0f * lens.k[2] + p * (4.0f * lens.k[3])));
    const R d2 = 2.0f * lens.k[1] + p * (6.0f * lens.k[2] + p * (12.0f * lens.k[3]));
    const R d_w = d1 * p1, d_ww = d2 * p1 * p1 + d1 * p2;
    return {a * d, a1 * d + a * d_w, a2 * d + 2.0f * a1 * d_w + a * d_ww};
}

template <class R> GSRECON_HD LensImage<R> fisheye(const Lens& lens, Vec3<R> p) {
    const R rz = 1.0f / p.z, a = p.x * rz, b = p.y * rz, w = a * a + b * b;
    const FisheyeProfile<R> h = fisheye_profile(lens, w);
    const R across = 2.0f * a * b * h.f1, radial = h.f + 2.0f * w * h.f1;
    return {{lens.fx * a * h.f + lens.cx, lens.fy * b * h.f + lens.cy},
            {lens.fx * rz * (h.f + 2.0f * a * a * h.f1), lens.fx * rz * across, -lens.fx * rz * a * radial},
            {lens.fy * rz * across, lens.fy * rz * (h.f + 2.0f * b * b * h.f1), -lens.fy * rz * b * radial}};
}

template <class R>
GSRECON_HD Vec3<R> fisheye_vjp(const Lens& lens, Vec3<R> p, Vec2<R> v_mean, Vec3<R> v_jx, Vec3<R> v_jy) {
    const R rz = 1.0f / p.z, a = p.x * rz, b = p.y * rz, w = a * a + b * b;
    const FisheyeProfile<R> h = fisheye_profile(lens, w);
    // The derivative's entries without fx / z and fy / z, called e: jx = fx rz (e_aa, e_ab, -a radial), jy likewise.
    const Vec3<R> gx = (lens.fx * rz) * v_jx, gy = (lens.fy * rz) * v_jy;
    const R v_aa = gx.x, v_bb = gy.y, v_ab = gx.y + gy.x;
    const R v_radial = -(a * gx.z + b * gy.z), radial = h.f + 2.0f * w * h.f1;
    const R v_f = lens.fx * a * v_mean.x + lens.fy * b * v_mean.y + v_aa + v_bb + v_radial;
    const R v_f1 = 2.0f * (a * a * v_aa + b * b * v_bb + a * b * v_ab + w * v_radial);
    const R v_w = v_f * h.f1 + v_f1 * h.f2 + 2.0f * h.f1 * v_radial;
    const R v_a =
        lens.fx * h.f * v_mean.x + 4.0f * a * h.f1 * v_aa + 2.0f * b * h.f1 * v_ab - radial * gx.z + 2.0f * a * v_w;
    const R v_b =
        lens.fy * h.f * v_mean.y + 4.0f * b * h.f1 * v_bb + 2.0f * a * h.f1 * v_ab - radial * gy.z + 2.0f * b * v_w;
    // Every entry of the derivative carries one factor rz.
    const R v_rz_entries = (gx.x * (h.f + 2.0f * a * a * h.f1) + gx.y * (2.0f * a * b * h.f1) - gx.z * a * radial +
                            gy.x * (2.0f * a * b * h.f1) + gy.y * (h.f + 2.0f * b * b * h.f1) - gy.z * b * radial);
    return {v_a * rz, v_b * rz, -rz * (a * v_a + b * v_b + v_rz_entries)};
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
