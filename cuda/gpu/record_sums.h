// What a record collects from a warp's pixels in the gradient of blending.
//
// The gradients of its place, its form and its opacity are made of moments: sums over pixels of s = alpha dL/d(alpha)
// times 1, dx, dy, dx^2, dx dy and dy^2. Pixels of one column have the same dx: sums of s, s dy and s dy^2 over a
// column's rows come first, and only what each lane then still carries is multiplied by dx.
#pragma once

#include "gpu/tile.h"
#include "gpu/warp.h"

namespace gsrecon::gpu {

enum Moment { kOne, kDx, kDy, kDxDx, kDxDy, kDyDy, kMoments };

// A record's row of sums: moments, |dL/dx| and |dL/dy| where wanted, channels.
struct SumsLayout {
    int channels;  // with the depth
    bool absgrad;
    __host__ __device__ int first_channel() const { return kMoments + 2 * absgrad; }
    __host__ __device__ int stride() const { return (first_channel() + channels + 3) & ~3; }
};

// What a pixel carries from record to record: T and S of cpu/composite_vjp.cpp, and the gradients of its channels.
template <int D> struct PixelState {
    float t = -1.0f, behind = 0.0f, v_alpha = 0.0f, v_depth = 0.0f, g[D > 0 ? D : 1] = {};

    __device__ __forceinline__ PixelState(const TilePixel& at, const DrawnPictures& drawn, const DrawnPictures& v,
                                          int channels, int first_channel) {
        if (!at.inside) return;
        const PixelGradient pixel(drawn, v, at.pixel);
        t = 1.0f, behind = pixel.behind, v_alpha = pixel.v_alpha, v_depth = pixel.v_depth;
#pragma unroll
        for (int d = 0; d < D; d++)
            if (first_channel + d < channels) g[d] = channel_gradient(v, at.pixel, first_channel + d, v_depth);
    }
};

// One record's share at one pixel, and its sums over the warp. D channels are summed; `moments`, too, for which the
// colours' share in the pixel's gradient, c . g, is needed in full.
template <int D, bool moments, bool absgrad> struct RecordSums {
    static constexpr int kSums = (moments ? kMoments + 2 * absgrad : 0) + D;

    bool used;  // at this pixel

    // The record is blended: `state` goes on behind it.
    __device__ __forceinline__ RecordSums(const Record& r, const TilePixel& at, const RecordChannels& all,
                                          const DrawnPictures& v, int channels, PixelState<D>& state) {
        const Blend blend(r, at.x, at.y, state.t);
        used = blend.used();
        dx_ = blend.dx;
        if constexpr (moments) {
            float along = state.v_alpha;
            if constexpr (D > 0) {
#pragma unroll
                for (int d = 0; d < D; d++) along += r.channel[d] * state.g[d];
            } else if (used) {
                for (int d = 0; d < channels; d++)
                    along += all.of(r, d) * channel_gradient(v, at.pixel, d, state.v_depth);
            }
            const float gained = blend.weight * along;
            state.behind -= gained;
            const float lost = gained - __fdividef(blend.alpha, 1.0f - blend.alpha) * state.behind;
            const float s = used && blend.raw <= kAlphaCeiling ? lost : 0.0f;
            values_[0] = s, values_[kDyAt] = s * blend.dy, values_[kDyDyAt] = s * blend.dy * blend.dy;
            if constexpr (absgrad) {
                // of the centre in this pixel, in units of log2(e)
                values_[place(0)] = fabsf(s * (2.0f * r.a * blend.dx + r.b * blend.dy));
                values_[place(1)] = fabsf(s * (2.0f * r.c * blend.dy + r.b * blend.dx));
            }
        }
#pragma unroll
        for (int d = 0; d < D; d++) values_[place(2 * absgrad + d)] = blend.weight * state.g[d];
    }

    // Takes the other one's place where asked to; value by value, so that both stay in registers.
    __device__ __forceinline__ void become(const RecordSums& other, bool asked) {
        dx_ = asked ? other.dx_ : dx_;
#pragma unroll
        for (int i = 0; i < kValues; i++) values_[i] = asked ? other.values_[i] : values_[i];
    }

    // The sum over the warp that `sum_of_lane` names. Uses up the values.
    __device__ __forceinline__ float summed(int lane) {
        transposed_sums<kValues, kWarp / 2, kWarpWidth>(values_, lane);
        float left[kLeft];
        if constexpr (moments) left[1] = values_[0] * dx_, left[2] = left[1] * dx_;
        left[0] = values_[0];
#pragma unroll
        for (int i = 1; i < kCarried; i++) left[i + kPowers] = values_[i];
        transposed_sums<kLeft, kWarpWidth / 2, 1>(left, lane);
        return left[0];
    }

    // Which sum of a record's row a lane has then, from the first of these sums on; -1: none.
    static __device__ __forceinline__ int sum_of_lane(int lane) {
        const int i = slot_of_lane<kLeft, kWarpWidth / 2, 1>(lane);
        if (i < 0) return -1;
        const int power = i <= kPowers ? i : 0;  // of dx
        const int at = slot_of_lane<kValues, kWarp / 2, kWarpWidth>(lane, i <= kPowers ? 0 : i - kPowers);
        if (!moments || at < 0) return at;
        if (at == 0) return power == 0 ? kOne : power == 1 ? kDx : kDxDx;
        if (at == kDyAt) return power == 0 ? kDy : power == 1 ? kDxDy : -1;
        if (at == kDyDyAt) return power == 0 ? kDyDy : -1;
        return power == 0 ? kMoments + at - 1 - (at > kDyAt) - (at > kDyDyAt) : -1;
    }

  private:
    static constexpr int kValues = (moments ? 3 + 2 * absgrad : 0) + D;            // of a pixel
    static constexpr int kCarried = carried_sums(kValues, kWarp / 2, kWarpWidth);  // of a column, by a lane
    static constexpr int kPowers = moments ? 2 : 0, kLeft = kCarried + kPowers;    // with powers of dx
    static constexpr int kDyDyAt = (kValues + 1) / 2, kDyAt = (kDyDyAt + 1) / 2;   // each a lane's first one
    static_assert(kWarp / kWarpWidth == 4, "two steps add up a column");

    // Where the k-th of the values stands that are no moments.
    static __host__ __device__ constexpr int place(int k) {
        if (!moments) return k;
        int at = k + 1;
        if (at >= kDyAt) at++;
        if (at >= kDyDyAt) at++;
        return at;
    }

    float dx_, values_[kValues];
};

}  // namespace gsrecon::gpu
