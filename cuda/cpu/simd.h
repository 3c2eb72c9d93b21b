// One vector of floats per instruction set, and the few operations the kernels are written in. AVX-512 and AVX2 have
// their own lines; everything else goes through the compiler's generic vectors.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#include "math/real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

#define GSRECON_INLINE inline __attribute__((always_inline))

#if defined(__AVX512F__)
constexpr int kLanes = 16;
typedef __mmask16 vmask;
#else
constexpr int kLanes = 8;
typedef int32_t vmask __attribute__((vector_size(32)));
#endif
typedef float vfloat __attribute__((vector_size(kLanes * 4)));
typedef int32_t vint __attribute__((vector_size(kLanes * 4)));

GSRECON_INLINE vfloat broadcast(float x) { return vfloat{} + x; }
GSRECON_INLINE vfloat load(const float* p) {
    vfloat v;
    memcpy(&v, p, sizeof v);
    return v;
}
GSRECON_INLINE void store(float* p, vfloat v) { memcpy(p, &v, sizeof v); }

// The names the formulas of math/ use.
GSRECON_INLINE vfloat select(vint condition, vfloat yes, vfloat no) { return condition ? yes : no; }
GSRECON_INLINE vfloat minimum(vfloat a, vfloat b) { return b < a ? b : a; }
GSRECON_INLINE vfloat maximum(vfloat a, vfloat b) { return a < b ? b : a; }
template <class F> GSRECON_INLINE vfloat lane_by_lane(vfloat v, F function) {
    for (int l = 0; l < kLanes; l++) v[l] = function(v[l]);
    return v;
}
GSRECON_INLINE vfloat arc_tangent(vfloat v) {
    return lane_by_lane(v, [](float x) { return atanf(x); });
}
GSRECON_INLINE vfloat round_up(vfloat v) {
    return lane_by_lane(v, [](float x) { return ceilf(x); });
}

#if defined(__AVX512F__)

GSRECON_INLINE vfloat square_root(vfloat v) { return _mm512_sqrt_ps(v); }
GSRECON_INLINE vfloat fma(vfloat a, vfloat b, vfloat c) { return _mm512_fmadd_ps(a, b, c); }
GSRECON_INLINE vfloat negative_fma(vfloat a, vfloat b, vfloat c) { return _mm512_fnmadd_ps(a, b, c); }
GSRECON_INLINE vfloat smaller(vfloat a, vfloat b) { return _mm512_min_ps(a, b); }
GSRECON_INLINE vfloat larger(vfloat a, vfloat b) { return _mm512_max_ps(a, b); }
GSRECON_INLINE vfloat magnitude(vfloat a) { return _mm512_abs_ps(a); }
GSRECON_INLINE vfloat reciprocal(vfloat a) {
    const vfloat r = _mm512_rcp14_ps(a);
    return r * negative_fma(a, r, broadcast(2.0f));
}
GSRECON_INLINE vmask at_least(vfloat a, vfloat b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
GSRECON_INLINE vmask and_at_least(vmask m, vfloat a, vfloat b) { return _mm512_mask_cmp_ps_mask(m, a, b, _CMP_GE_OQ); }
GSRECON_INLINE vmask and_above(vmask m, vfloat a, vfloat b) { return _mm512_mask_cmp_ps_mask(m, a, b, _CMP_GT_OQ); }
GSRECON_INLINE vfloat where(vmask m, vfloat a) { return _mm512_maskz_mov_ps(m, a); }
GSRECON_INLINE vmask either(vmask a, vmask b) { return _kor_mask16(a, b); }
GSRECON_INLINE uint32_t bits(vmask m) { return m; }
// -|t| in the lanes of `hit` that are not in `used`
GSRECON_INLINE vfloat negate_unused(vfloat t, vmask hit, vmask used) {
    const __m512i i = _mm512_castps_si512(t);
    return _mm512_castsi512_ps(_mm512_mask_or_epi32(i, _kandn_mask16(used, hit), i, _mm512_set1_epi32(INT32_MIN)));
}
GSRECON_INLINE uint32_t sign_bits(vfloat t) { return _mm512_movepi32_mask(_mm512_castps_si512(t)); }
GSRECON_INLINE vfloat fraction_of(vfloat p) { return _mm512_reduce_ps(p, 0); }  // p - round(p)
GSRECON_INLINE vfloat times_power_of_two(vfloat r, vfloat p, vfloat) {
    return _mm512_scalef_ps(r, _mm512_roundscale_ps(p, 0));
}

#elif defined(__AVX2__)

GSRECON_INLINE vfloat square_root(vfloat v) { return _mm256_sqrt_ps(v); }
GSRECON_INLINE vfloat fma(vfloat a, vfloat b, vfloat c) { return _mm256_fmadd_ps(a, b, c); }
GSRECON_INLINE vfloat negative_fma(vfloat a, vfloat b, vfloat c) { return _mm256_fnmadd_ps(a, b, c); }
GSRECON_INLINE vfloat smaller(vfloat a, vfloat b) { return _mm256_min_ps(a, b); }
GSRECON_INLINE vfloat larger(vfloat a, vfloat b) { return _mm256_max_ps(a, b); }
GSRECON_INLINE vfloat magnitude(vfloat a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
GSRECON_INLINE vfloat reciprocal(vfloat a) {
    const vfloat r = _mm256_rcp_ps(a);
    return r * negative_fma(a, r, broadcast(2.0f));
}
GSRECON_INLINE vmask at_least(vfloat a, vfloat b) { return (vmask)_mm256_cmp_ps(a, b, _CMP_GE_OQ); }
GSRECON_INLINE vmask and_at_least(vmask m, vfloat a, vfloat b) { return m & at_least(a, b); }
GSRECON_INLINE vmask and_above(vmask m, vfloat a, vfloat b) { return m & (vmask)_mm256_cmp_ps(a, b, _CMP_GT_OQ); }
GSRECON_INLINE vfloat where(vmask m, vfloat a) { return _mm256_and_ps((vfloat)m, a); }
GSRECON_INLINE vmask either(vmask a, vmask b) { return a | b; }
GSRECON_INLINE uint32_t sign_bits(vfloat t) { return (uint32_t)_mm256_movemask_ps(t); }
GSRECON_INLINE uint32_t bits(vmask m) { return sign_bits((vfloat)m); }
GSRECON_INLINE vfloat negate_unused(vfloat t, vmask hit, vmask used) {
    return _mm256_or_ps(t, _mm256_and_ps(_mm256_andnot_ps((vfloat)used, (vfloat)hit), _mm256_set1_ps(-0.0f)));
}
GSRECON_INLINE vfloat fraction_of(vfloat p) { return p - _mm256_round_ps(p, _MM_FROUND_TO_NEAREST_INT); }
GSRECON_INLINE vfloat times_power_of_two(vfloat r, vfloat p, vfloat) {
    const __m256i k = _mm256_cvtps_epi32(_mm256_max_ps(p, _mm256_set1_ps(-120.0f)));
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(r), _mm256_slli_epi32(k, 23)));
}

#else

GSRECON_INLINE vfloat square_root(vfloat v) {
    return lane_by_lane(v, [](float x) { return sqrtf(x); });
}
GSRECON_INLINE vfloat fma(vfloat a, vfloat b, vfloat c) { return a * b + c; }
GSRECON_INLINE vfloat negative_fma(vfloat a, vfloat b, vfloat c) { return c - a * b; }
GSRECON_INLINE vfloat smaller(vfloat a, vfloat b) { return a < b ? a : b; }
GSRECON_INLINE vfloat larger(vfloat a, vfloat b) { return a > b ? a : b; }
GSRECON_INLINE vfloat magnitude(vfloat a) { return a < 0.0f ? -a : a; }
GSRECON_INLINE vfloat reciprocal(vfloat a) { return 1.0f / a; }
GSRECON_INLINE vmask at_least(vfloat a, vfloat b) { return a >= b; }
GSRECON_INLINE vmask and_at_least(vmask m, vfloat a, vfloat b) { return m & (a >= b); }
GSRECON_INLINE vmask and_above(vmask m, vfloat a, vfloat b) { return m & (a > b); }
GSRECON_INLINE vfloat where(vmask m, vfloat a) { return (vfloat)((vint)a & m); }
GSRECON_INLINE vmask either(vmask a, vmask b) { return a | b; }
GSRECON_INLINE uint32_t bits(vmask m) {
    uint32_t r = 0;
    for (int l = 0; l < kLanes; l++) r |= (uint32_t)(m[l] < 0) << l;
    return r;
}
GSRECON_INLINE uint32_t sign_bits(vfloat t) { return bits((vmask)t); }
GSRECON_INLINE vfloat negate_unused(vfloat t, vmask hit, vmask used) {
    return (vfloat)((vint)t | (hit & ~used & INT32_MIN));
}
GSRECON_INLINE vint nearest(vfloat p) {
    return __builtin_convertvector(p + (p < 0.0f ? broadcast(-0.5f) : broadcast(0.5f)), vint);
}
GSRECON_INLINE vfloat fraction_of(vfloat p) {
    p = larger(p, broadcast(-120.0f));
    return p - __builtin_convertvector(nearest(p), vfloat);
}
GSRECON_INLINE vfloat times_power_of_two(vfloat r, vfloat p, vfloat) {
    return (vfloat)((vint)r + (nearest(larger(p, broadcast(-120.0f))) << 23));
}

#endif

// 2^p, relative error 1e-7: a polynomial on [-1/2, 1/2], exact at 0.
GSRECON_INLINE vfloat exp2(vfloat p) {
    const vfloat f = fraction_of(p);
    vfloat r = broadcast(0.00132647f);
    r = fma(r, f, broadcast(0.00967151f));
    r = fma(r, f, broadcast(0.05550734f));
    r = fma(r, f, broadcast(0.24022242f));
    r = fma(r, f, broadcast(0.69314698f));
    r = fma(r, f, broadcast(1.0f));
    return times_power_of_two(r, p, f);
}

// out[i] += sum of the lanes of v[i], for `count` <= 12 vectors; out has room for 12.
template <int count> GSRECON_INLINE void add_lane_sums(const vfloat* v, float* out) {
#if defined(__AVX512F__)
    const auto get = [&](int i) -> vfloat { return i < count ? v[i] : vfloat{}; };
    // Each step halves the lanes that belong to one sum and puts two vectors into one.
    const auto pairs = [](vfloat a, vfloat b) { return _mm512_unpacklo_ps(a, b) + _mm512_unpackhi_ps(a, b); };
    const auto quads = [](vfloat a, vfloat b) {
        const __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
        return _mm512_castpd_ps(_mm512_unpacklo_pd(x, y)) + _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
    };
    const auto halves = [](vfloat a, vfloat b) {
        return _mm512_shuffle_f32x4(a, b, 0x88) + _mm512_shuffle_f32x4(a, b, 0xdd);
    };
    vfloat q[3];
    for (int i = 0; i < 3; i++)
        q[i] =
            4 * i < count ? quads(pairs(get(4 * i), get(4 * i + 1)), pairs(get(4 * i + 2), get(4 * i + 3))) : vfloat{};
    const vfloat all = halves(halves(q[0], q[1]), halves(q[2], vfloat{}));
    _mm512_mask_storeu_ps(out, 0x0fff, _mm512_maskz_loadu_ps(0x0fff, out) + all);
#elif defined(__AVX2__)
    const auto get = [&](int i) -> vfloat { return i < count ? v[i] : vfloat{}; };
    for (int i = 0; i < count; i += 4) {
        const vfloat q = _mm256_hadd_ps(_mm256_hadd_ps(get(i), get(i + 1)), _mm256_hadd_ps(get(i + 2), get(i + 3)));
        const __m128 s = _mm_add_ps(_mm256_castps256_ps128(q), _mm256_extractf128_ps(q, 1));
        _mm_storeu_ps(out + i, _mm_add_ps(_mm_loadu_ps(out + i), s));
    }
#else
    for (int i = 0; i < count; i++) {
        float s = 0;
        for (int l = 0; l < kLanes; l++) s += v[i][l];
        out[i] += s;
    }
#endif
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
