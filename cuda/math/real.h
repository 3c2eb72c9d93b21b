// The arithmetic every formula is written in: R is float or double on the host, float on the device, or a vector of
// floats (cpu/simd.h, included before the formulas), so that one formula serves the scalar and the vector code. Poses
// far from the origin are double everywhere.
#pragma once

#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define GSRECON_HD __host__ __device__ __forceinline__
#else
#define GSRECON_HD inline __attribute__((always_inline))
#endif

// Each instruction set compiles the headers into a namespace of its own, so that the linker cannot hand AVX-512 code to
// a machine without it.
#if !defined(GSRECON_ISA)
#define GSRECON_ISA baseline
#endif

namespace gsrecon {
inline namespace GSRECON_ISA {

GSRECON_HD float select(bool condition, float yes, float no) { return condition ? yes : no; }
GSRECON_HD float square_root(float x) { return sqrtf(x); }
GSRECON_HD float arc_tangent(float x) { return atanf(x); }
GSRECON_HD float round_up(float x) { return ceilf(x); }
#if defined(__CUDA_ARCH__)  // one instruction each; they differ from the host's only where a is not a number
GSRECON_HD float minimum(float a, float b) { return fminf(a, b); }
GSRECON_HD float maximum(float a, float b) { return fmaxf(a, b); }
#else
GSRECON_HD float minimum(float a, float b) { return b < a ? b : a; }
GSRECON_HD float maximum(float a, float b) { return a < b ? b : a; }
#endif
GSRECON_HD float sign(float x) { return (float)((x > 0.0f) - (x < 0.0f)); }
GSRECON_HD double select(bool condition, double yes, double no) { return condition ? yes : no; }
GSRECON_HD double square_root(double x) { return sqrt(x); }
GSRECON_HD double arc_tangent(double x) { return atan(x); }
GSRECON_HD double round_up(double x) { return ceil(x); }
GSRECON_HD double minimum(double a, double b) { return b < a ? b : a; }
GSRECON_HD double maximum(double a, double b) { return a < b ? b : a; }
GSRECON_HD int minimum(int a, int b) { return b < a ? b : a; }
GSRECON_HD int64_t minimum(int64_t a, int64_t b) { return b < a ? b : a; }
GSRECON_HD int64_t maximum(int64_t a, int64_t b) { return a < b ? b : a; }

// A column vector, and a matrix of three rows.
template <class R> struct Vec2 {
    R x, y;
};
template <class R> struct Vec3 {
    R x, y, z;
};
template <class R> struct Vec4 {
    R w, x, y, z;
};
template <class R> struct Mat3 {
    Vec3<R> r0, r1, r2;
};

template <class R> GSRECON_HD Vec3<R> operator+(Vec3<R> a, Vec3<R> b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
template <class R> GSRECON_HD Vec3<R> operator-(Vec3<R> a, Vec3<R> b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
template <class R> GSRECON_HD Vec3<R> operator*(R s, Vec3<R> a) { return {s * a.x, s * a.y, s * a.z}; }
template <class R> GSRECON_HD R dot(Vec3<R> a, Vec3<R> b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
template <class R> GSRECON_HD Vec3<R> times(const Mat3<R>& m, Vec3<R> v) {
    return {dot(m.r0, v), dot(m.r1, v), dot(m.r2, v)};
}
// m^T v
template <class R> GSRECON_HD Vec3<R> transposed_times(const Mat3<R>& m, Vec3<R> v) {
    return v.x * m.r0 + v.y * m.r1 + v.z * m.r2;
}
template <class R> GSRECON_HD Mat3<R> times(const Mat3<R>& a, const Mat3<R>& b) {
    return {transposed_times(b, a.r0), transposed_times(b, a.r1), transposed_times(b, a.r2)};
}
// a^T b
template <class R> GSRECON_HD Mat3<R> transposed_times(const Mat3<R>& a, const Mat3<R>& b) {
    return {a.r0.x * b.r0 + a.r1.x * b.r1 + a.r2.x * b.r2, a.r0.y * b.r0 + a.r1.y * b.r1 + a.r2.y * b.r2,
            a.r0.z * b.r0 + a.r1.z * b.r1 + a.r2.z * b.r2};
}
// a b^T
template <class R> GSRECON_HD Mat3<R> times_transposed(const Mat3<R>& a, const Mat3<R>& b) {
    return {times(b, a.r0), times(b, a.r1), times(b, a.r2)};
}
template <class R> GSRECON_HD Mat3<R> operator+(const Mat3<R>& a, const Mat3<R>& b) {
    return {a.r0 + b.r0, a.r1 + b.r1, a.r2 + b.r2};
}
template <class R> GSRECON_HD Mat3<R> transposed(const Mat3<R>& m) {
    return {{m.r0.x, m.r1.x, m.r2.x}, {m.r0.y, m.r1.y, m.r2.y}, {m.r0.z, m.r1.z, m.r2.z}};
}
// a b^T
template <class R> GSRECON_HD Mat3<R> outer(Vec3<R> a, Vec3<R> b) { return {a.x * b, a.y * b, a.z * b}; }
template <class R> GSRECON_HD Vec3<R> cross(Vec3<R> a, Vec3<R> b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
// diag(s) from the right: scales the columns
template <class R> GSRECON_HD Mat3<R> scale_columns(const Mat3<R>& m, Vec3<R> s) {
    return {{m.r0.x * s.x, m.r0.y * s.y, m.r0.z * s.z},
            {m.r1.x * s.x, m.r1.y * s.y, m.r1.z * s.z},
            {m.r2.x * s.x, m.r2.y * s.y, m.r2.z * s.z}};
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
