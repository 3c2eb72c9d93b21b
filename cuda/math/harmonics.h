// Real spherical harmonics up to degree 4 as polynomials of a unit direction, in the order and with the signs the field
// uses (Sloan 2013, "Efficient Spherical Harmonic Evaluation").
#pragma once

#include "real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

constexpr int kMaxHarmonics = 25;
constexpr float kHarmonic0 = 0.2820947917738781f;  // of degree 0, whatever the direction
GSRECON_HD constexpr int harmonics_count(int degree) { return (degree + 1) * (degree + 1); }

// basis[k] for k < harmonics_count(degree)
template <class R> GSRECON_HD void harmonics(int degree, Vec3<R> d, R* basis) {
    const R x = d.x, y = d.y, z = d.z;
    basis[0] = R{} + kHarmonic0;
    if (degree < 1) return;
    basis[1] = -0.48860251190292f * y;
    basis[2] = 0.48860251190292f * z;
    basis[3] = -0.48860251190292f * x;
    if (degree < 2) return;
    const R zz = z * z, c1 = x * x - y * y, s1 = 2.0f * x * y;
    basis[4] = 0.5462742152960395f * s1;
    basis[5] = -1.092548430592079f * z * y;
    basis[6] = 0.9461746957575601f * zz - 0.3153915652525201f;
    basis[7] = -1.092548430592079f * z * x;
    basis[8] = 0.5462742152960395f * c1;
    if (degree < 3) return;
    const R c2 = x * c1 - y * s1, s2 = x * s1 + y * c1;
    const R m31 = -2.285228997322329f * zz + 0.4570457994644658f, m32 = 1.445305721320277f * z;
    basis[9] = -0.5900435899266435f * s2;
    basis[10] = m32 * s1;
    basis[11] = m31 * y;
    basis[12] = z * (1.865881662950577f * zz - 1.119528997770346f);
    basis[13] = m31 * x;
    basis[14] = m32 * c1;
    basis[15] = -0.5900435899266435f * c2;
    if (degree < 4) return;
    const R c3 = x * c2 - y * s2, s3 = x * s2 + y * c2;
    const R m41 = z * (-4.683325804901025f * zz + 2.007139630671868f), m42 = 3.31161143515146f * zz - 0.47308734787878f;
    const R m43 = -1.770130769779931f * z;
    basis[16] = 0.6258357354491763f * s3;
    basis[17] = m43 * s2;
    basis[18] = m42 * s1;
    basis[19] = m41 * y;
    basis[20] = 1.984313483298443f * z * basis[12] - 1.006230589874905f * basis[6];
    basis[21] = m41 * x;
    basis[22] = m42 * c1;
    basis[23] = m43 * c2;
    basis[24] = 0.6258357354491763f * c3;
}

// Gradient of the polynomials with respect to the direction, before its normalisation.
template <class R> GSRECON_HD Vec3<R> harmonics_vjp(int degree, Vec3<R> d, const R* v) {
    const R x = d.x, y = d.y, z = d.z;
    Vec3<R> g = {R{}, R{}, R{}};
    if (degree < 1) return g;
    g = {-0.48860251190292f * v[3], -0.48860251190292f * v[1], 0.48860251190292f * v[2]};
    if (degree < 2) return g;
    const R zz = z * z, c1 = x * x - y * y, s1 = 2.0f * x * y;
    R v_c1 = 0.5462742152960395f * v[8], v_s1 = 0.5462742152960395f * v[4];
    g.x = g.x - 1.092548430592079f * z * v[7];
    g.y = g.y - 1.092548430592079f * z * v[5];
    g.z = g.z - 1.092548430592079f * (x * v[7] + y * v[5]) + 1.8923493915151202f * z * v[6];
    if (degree >= 3) {
        const R c2 = x * c1 - y * s1, s2 = x * s1 + y * c1;
        const R m31 = -2.285228997322329f * zz + 0.4570457994644658f, m32 = 1.445305721320277f * z;
        R v_c2 = -0.5900435899266435f * v[15], v_s2 = -0.5900435899266435f * v[9];
        v_c1 = v_c1 + m32 * v[14];
        v_s1 = v_s1 + m32 * v[10];
        g.x = g.x + m31 * v[13];
        g.y = g.y + m31 * v[11];
        g.z = g.z + 1.445305721320277f * (s1 * v[10] + c1 * v[14]) - 4.570457994644658f * z * (y * v[11] + x * v[13]) +
              (5.597644988851731f * zz - 1.119528997770346f) * v[12];
        if (degree >= 4) {
            const R m41 = z * (-4.683325804901025f * zz + 2.007139630671868f);
            const R m42 = 3.31161143515146f * zz - 0.47308734787878f, m43 = -1.770130769779931f * z;
            const R v_c3 = 0.6258357354491763f * v[24], v_s3 = 0.6258357354491763f * v[16];
            v_c2 = v_c2 + m43 * v[23] + x * v_c3 + y * v_s3;
            v_s2 = v_s2 + m43 * v[17] + x * v_s3 - y * v_c3;
            v_c1 = v_c1 + m42 * v[22];
            v_s1 = v_s1 + m42 * v[18];
            g.x = g.x + m41 * v[21] + c2 * v_c3 + s2 * v_s3;
            g.y = g.y + m41 * v[19] - s2 * v_c3 + c2 * v_s3;
            const R v_12 = 1.984313483298443f * z * v[20];
            const R b12 = z * (1.865881662950577f * zz - 1.119528997770346f);
            g.z = g.z + (-14.049977414703075f * zz + 2.007139630671868f) * (y * v[19] + x * v[21]) +
                  6.62322287030292f * z * (s1 * v[18] + c1 * v[22]) - 1.770130769779931f * (s2 * v[17] + c2 * v[23]) +
                  1.984313483298443f * b12 * v[20] + (5.597644988851731f * zz - 1.119528997770346f) * v_12 -
                  1.006230589874905f * 1.8923493915151202f * z * v[20];
        }
        // c2 = x c1 - y s1, s2 = x s1 + y c1
        g.x = g.x + c1 * v_c2 + s1 * v_s2;
        g.y = g.y - s1 * v_c2 + c1 * v_s2;
        v_c1 = v_c1 + x * v_c2 + y * v_s2;
        v_s1 = v_s1 - y * v_c2 + x * v_s2;
    }
    // c1 = x^2 - y^2, s1 = 2 x y
    g.x = g.x + 2.0f * (x * v_c1 + y * v_s1);
    g.y = g.y + 2.0f * (x * v_s1 - y * v_c1);
    return g;
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
