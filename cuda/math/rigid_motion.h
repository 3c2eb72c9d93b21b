// Rigid motions and the exponential map of SE(3), in double precision. Tangent vectors are (v, w): translation [m],
// then rotation vector [rad]. (Sola, Deray, Atchuthan, "A micro Lie theory for state estimation in robotics", 2018.)
// gsrecon/geometry/rigid.py is the specification.
#pragma once

#include "real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

// x -> r x + t
struct RigidMotion {
    Mat3<double> r;
    Vec3<double> t;
};

struct Tangent {
    Vec3<double> v, w;
};

GSRECON_HD Tangent read_tangent(const double* p) { return {{p[0], p[1], p[2]}, {p[3], p[4], p[5]}}; }
GSRECON_HD void write_tangent(const Tangent& tangent, double* p) {
    p[0] = tangent.v.x, p[1] = tangent.v.y, p[2] = tangent.v.z;
    p[3] = tangent.w.x, p[4] = tangent.w.y, p[5] = tangent.w.z;
}

// The upper three rows of a row-major 4 x 4 matrix.
template <class T> GSRECON_HD RigidMotion rigid_motion(const T* m) {
    return {{{(double)m[0], (double)m[1], (double)m[2]},
             {(double)m[4], (double)m[5], (double)m[6]},
             {(double)m[8], (double)m[9], (double)m[10]}},
            {(double)m[3], (double)m[7], (double)m[11]}};
}

template <class T> GSRECON_HD void write_rigid_motion(const RigidMotion& motion, T* m) {
    const Vec3<double> rows[3] = {motion.r.r0, motion.r.r1, motion.r.r2};
    const double shifts[3] = {motion.t.x, motion.t.y, motion.t.z};
    for (int i = 0; i < 3; i++) {
        m[4 * i] = (T)rows[i].x, m[4 * i + 1] = (T)rows[i].y, m[4 * i + 2] = (T)rows[i].z;
        m[4 * i + 3] = (T)shifts[i];
        m[12 + i] = (T)0;
    }
    m[15] = (T)1;
}

GSRECON_HD RigidMotion inverse(const RigidMotion& a) { return {transposed(a.r), -1.0 * transposed_times(a.r, a.t)}; }

// First b, then a.
GSRECON_HD RigidMotion compose(const RigidMotion& a, const RigidMotion& b) {
    return {times(a.r, b.r), times(a.r, b.t) + a.t};
}

struct ComposeGradients {
    RigidMotion a, b;
};
GSRECON_HD ComposeGradients compose_vjp(const RigidMotion& a, const RigidMotion& b, const RigidMotion& v) {
    return {{times_transposed(v.r, b.r) + outer(v.t, b.t), v.t},
            {transposed_times(a.r, v.r), transposed_times(a.r, v.t)}};
}

// c_k(s) = 1/k! - s/(k+2)! + s^2/(k+4)! - ... of the squared angle s = a^2, smooth at zero: c1 = sin(a)/a,
// c2 = (1 - cos a)/a^2, c3 = (a - sin a)/a^3. The last two are for derivatives, c_k' = (k c_{k+2} - c_{k+1}) / 2.
struct ExpCoefficients {
    double c1, c2, c3, c4, c5;
};
GSRECON_HD ExpCoefficients exp_coefficients(double s) {
    ExpCoefficients c;
    // Below, the closed forms lose digits to cancellation; the series are exact to 1e-15 there.
    if (s < 0.1) {
        const double even[6] = {87178291200.0, 479001600.0, 3628800.0, 40320.0, 720.0, 24.0};  // 14!, 12!, ..., 4!
        const double odd[6] = {1307674368000.0, 6227020800.0, 39916800.0, 362880.0, 5040.0, 120.0};
        c.c4 = c.c5 = 0.0;
        for (int i = 0; i < 6; i++) c.c4 = 1.0 / even[i] - s * c.c4, c.c5 = 1.0 / odd[i] - s * c.c5;
        c.c3 = 1 / 6.0 - s * c.c5;
        c.c2 = 0.5 - s * c.c4;
        c.c1 = 1.0 - s * c.c3;
    } else {
        const double angle = sqrt(s), half = sin(0.5 * angle) / (0.5 * angle);
        c.c1 = sin(angle) / angle;
        c.c2 = 0.5 * half * half;
        c.c3 = (angle - sin(angle)) / (s * angle);
        c.c4 = (0.5 - c.c2) / s;
        c.c5 = (1 / 6.0 - c.c3) / s;
    }
    return c;
}

// I + p [w]x + q [w]x^2
GSRECON_HD Mat3<double> about(Vec3<double> w, double p, double q) {
    const double xx = w.x * w.x, yy = w.y * w.y, zz = w.z * w.z;
    const double xy = q * w.x * w.y, xz = q * w.x * w.z, yz = q * w.y * w.z;
    return {{1.0 - q * (yy + zz), xy - p * w.z, xz + p * w.y},
            {xy + p * w.z, 1.0 - q * (xx + zz), yz - p * w.x},
            {xz - p * w.y, yz + p * w.x, 1.0 - q * (xx + yy)}};
}

struct AboutGradients {
    Vec3<double> w;
    double p, q;
};
GSRECON_HD AboutGradients about_vjp(Vec3<double> w, double p, double q, const Mat3<double>& v) {
    const Vec3<double> axial = {v.r2.y - v.r1.z, v.r0.z - v.r2.x, v.r1.x - v.r0.y};
    const Vec3<double> along = times(v, w);
    const double trace = v.r0.x + v.r1.y + v.r2.z;
    return {p * axial + q * (along + transposed_times(v, w) + (-2.0 * trace) * w), dot(w, axial),
            dot(w, along) - trace * dot(w, w)};
}

GSRECON_HD RigidMotion se3_exp(const Tangent& tangent) {
    const ExpCoefficients c = exp_coefficients(dot(tangent.w, tangent.w));
    return {about(tangent.w, c.c1, c.c2), times(about(tangent.w, c.c2, c.c3), tangent.v)};
}

GSRECON_HD Tangent se3_exp_vjp(const Tangent& tangent, const RigidMotion& v) {
    const auto [t, w] = tangent;
    const ExpCoefficients c = exp_coefficients(dot(w, w));
    const AboutGradients turn = about_vjp(w, c.c1, c.c2, v.r), shift = about_vjp(w, c.c2, c.c3, outer(v.t, t));
    const double v_squared =
        0.5 * (turn.p * (c.c3 - c.c2) + (turn.q + shift.p) * (2.0 * c.c4 - c.c3) + shift.q * (3.0 * c.c5 - c.c4));
    return {transposed_times(about(w, c.c2, c.c3), v.t), turn.w + shift.w + (2.0 * v_squared) * w};
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
