// A 3D Gaussian in the camera's picture: EWA splatting (Zwicker et al. 2002; Kerbl et al. 2023, eq. 5).
#pragma once

#include "lens.h"
#include "rotation.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

// Symmetric 2 x 2 matrix [[a, b], [b, c]].
template <class R> struct Sym2 {
    R a, b, c;
};

// Half axes of the Gaussian in the camera, as columns: cam_from_object R(q) diag(s). Their outer product is the
// covariance.
template <class R> GSRECON_HD Mat3<R> half_axes(const Mat3<R>& cam_from_object, Vec4<R> unit_quat, Vec3<R> scales) {
    return scale_columns(times(cam_from_object, rotation_matrix(unit_quat)), scales);
}

// A covariance with its determinant, which the entries alone would give with the loss of every digit for long thin
// Gaussians.
template <class R> struct PictureCovariance {
    Sym2<R> entries;
    R determinant;
};

// Covariance in the picture: (J M)(J M)^T with J the lens' derivative and M the half axes. With tx and ty the rows of J
// M its determinant is |tx x ty|^2 (Lagrange's identity).
template <class R> GSRECON_HD PictureCovariance<R> picture_covariance(const LensImage<R>& image, const Mat3<R>& axes) {
    const Vec3<R> tx = transposed_times(axes, image.jx), ty = transposed_times(axes, image.jy);
    const Vec3<R> cross = {tx.y * ty.z - tx.z * ty.y, tx.z * ty.x - tx.x * ty.z, tx.x * ty.y - tx.y * ty.x};
    return {{dot(tx, tx), dot(tx, ty), dot(ty, ty)}, dot(cross, cross)};
}

template <class R>
GSRECON_HD void picture_covariance_vjp(const LensImage<R>& image, const Mat3<R>& axes, Sym2<R> v_cov, Vec3<R>& v_jx,
                                       Vec3<R>& v_jy, Mat3<R>& v_axes) {
    const Vec3<R> tx = transposed_times(axes, image.jx), ty = transposed_times(axes, image.jy);
    const Vec3<R> v_tx = (2.0f * v_cov.a) * tx + v_cov.b * ty, v_ty = (2.0f * v_cov.c) * ty + v_cov.b * tx;
    v_jx = times(axes, v_tx);
    v_jy = times(axes, v_ty);
    v_axes = {image.jx.x * v_tx + image.jy.x * v_ty, image.jx.y * v_tx + image.jy.y * v_ty,
              image.jx.z * v_tx + image.jy.z * v_ty};
}

// The footprint that is drawn: covariance widened by `eps2d` [px^2], its inverse, and the opacity factor that undoes
// the widening in `antialiased` mode (Yu et al. 2024, Mip-Splatting): sqrt(max(0, det before / det after)).
template <class R> struct Footprint {
    Sym2<R> covariance, conic;
    R determinant, compensation;
};

template <class R> GSRECON_HD Footprint<R> footprint(const PictureCovariance<R>& before, float eps2d) {
    const Sym2<R>& s = before.entries;
    Footprint<R> f;
    f.covariance = {s.a + eps2d, s.b, s.c + eps2d};
    f.determinant = before.determinant + eps2d * (s.a + s.c) + eps2d * eps2d;
    const R inverse = 1.0f / f.determinant;
    f.conic = {f.covariance.c * inverse, -f.covariance.b * inverse, f.covariance.a * inverse};
    f.compensation = square_root(before.determinant * inverse);
    return f;
}

// Gradient of the conic and of the compensation with respect to the covariance before widening.
template <class R> GSRECON_HD Sym2<R> footprint_vjp(const Footprint<R>& f, float eps2d, Sym2<R> v_conic,
                                                    R v_compensation) {
    // d(inverse) = -inverse d(cov) inverse; v_conic.b belongs to both off-diagonal entries together.
    const R half_b = 0.5f * v_conic.b;
    const Sym2<R>& k = f.conic;
    const R m00 = k.a * v_conic.a + k.b * half_b, m01 = k.a * half_b + k.b * v_conic.c;
    const R m10 = k.b * v_conic.a + k.c * half_b, m11 = k.b * half_b + k.c * v_conic.c;
    Sym2<R> v = {-(m00 * k.a + m01 * k.b), -(m00 * k.b + m01 * k.c) - (m10 * k.a + m11 * k.b),
                 -(m10 * k.b + m11 * k.c)};
    // rho^2 = det(cov) / det(cov + eps I):
    // d(rho) = (adj(cov) / det_after - rho^2 adj(cov + eps I) / det_after) : d(cov) / (2 rho)
    const R zero = R{};
    const R rho2 = f.compensation * f.compensation;
    const R scale = select(f.compensation > 1e-6f, v_compensation / (2.0f * f.compensation), zero);
    const R shrink = (1.0f - rho2), shift = eps2d / f.determinant;
    v.a = v.a + scale * (shrink * k.a - shift);
    v.b = v.b + 2.0f * scale * shrink * k.b;
    v.c = v.c + scale * (shrink * k.c - shift);
    return v;
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
