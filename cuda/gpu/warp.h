// Sums over the 32 lanes of a warp.
#pragma once

#include "gpu/thread.h"

namespace gsrecon::gpu {

__device__ __forceinline__ float warp_sum(float value) {
    for (int distance = kWarp / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(kAllLanes, value, distance);
    return value;
}

// Which of `count` <= 32 sums a lane holds after `transposed_sums`; -1: none.
template <int count> __device__ __forceinline__ int slot_of_lane(int lane) {
    int slot = 0, here = count, widest = count;
    for (int distance = kWarp / 2; distance > 0; distance /= 2) {
        const int half = (widest + 1) / 2;
        if (widest > 1) {
            if (lane & distance) {
                slot += half;
                here -= half;
            } else if (here > half) {
                here = half;
            }
            widest = half;
        } else if (lane & distance) {
            here = 0;  // the same sum as its neighbour
        }
    }
    return here > 0 ? slot : -1;
}

// Sums each of `count` values over the lanes. Every step halves the values a lane still carries and hands the other
// half to its partner: about `count` + log2(32 / count) shuffles in place of 5 * `count`. The lane named by
// `slot_of_lane` gets its sum. `values` is used up.
template <int count> __device__ __forceinline__ float transposed_sums(float* values, int lane) {
    static_assert(count >= 1 && count <= kWarp);
    int widest = count;
#pragma unroll
    for (int distance = kWarp / 2; distance > 0; distance /= 2) {
        const int half = (widest + 1) / 2;
        const bool upper = lane & distance;
        if (widest > 1) {
#pragma unroll
            for (int i = 0; i < (count + 1) / 2; i++) {
                if (i >= half) break;
                const float low = values[i], high = half + i < widest ? values[half + i] : 0.0f;
                const float received = __shfl_xor_sync(kAllLanes, upper ? low : high, distance);
                values[i] = (upper ? high : low) + received;
            }
            widest = half;
        } else {
            values[0] += __shfl_xor_sync(kAllLanes, values[0], distance);
        }
    }
    return values[0];
}

}  // namespace gsrecon::gpu
