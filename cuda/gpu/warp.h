// Sums over the 32 lanes of a warp, or over runs of them.
#pragma once

#include "gpu/thread.h"

namespace gsrecon::gpu {

__device__ __forceinline__ float warp_sum(float value) {
    for (int distance = kWarp / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(kAllLanes, value, distance);
    return value;
}

// Neighbouring lanes with the same key.
struct LaneRun {
    bool first;  // whether this lane begins the run

    // Asked by all lanes.
    __device__ __forceinline__ explicit LaneRun(int key) : lane_(lane_index()) {
        const int before = __shfl_up_sync(kAllLanes, key, 1);
        first = lane_ == 0 || before != key;
        const unsigned later = __ballot_sync(kAllLanes, first) & ~(2u * (1u << lane_) - 1);
        last_ = later ? __ffs(later) - 2 : kWarp - 1;
    }

    // The sum over the run, for its first lane. Asked by all lanes.
    __device__ __forceinline__ float sum(float value) const {
#pragma unroll
        for (int distance = 1; distance < kWarp; distance *= 2) {
            const float later = __shfl_down_sync(kAllLanes, value, distance);
            if (lane_ + distance <= last_) value += later;
        }
        return value;
    }

  private:
    int lane_, last_;
};

// Sums of several values over the lanes, all at once. A step at a distance halves the values that a lane still carries
// and hands the other half to its partner: about `count` + log2(32 / count) shuffles in place of 5 * `count`. Steps go
// from the distance `from` down to `to`, so that sums over some of a lane's bits can be had, too.

// How many values a lane carries then.
constexpr int carried_sums(int count, int from, int to) {
    for (int distance = from; distance >= to; distance /= 2) count = (count + 1) / 2;
    return count;
}

// Which of the `count` sums is the i-th that a lane carries then; -1: none, or the same as its neighbour's.
template <int count, int from = kWarp / 2, int to = 1> __device__ __forceinline__ int slot_of_lane(int lane,
                                                                                                   int i = 0) {
    int slot = i, here = count, widest = count;
    for (int distance = from; distance >= to; distance /= 2) {
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
    return i < here ? slot : -1;
}

// The steps: the first `carried_sums` of the values become the sums named by `slot_of_lane`, the others are used up.
template <int count, int from = kWarp / 2, int to = 1>
__device__ __forceinline__ void transposed_sums(float* values, int lane) {
    int widest = count;
#pragma unroll
    for (int distance = from; distance >= to; distance /= 2) {
        const int half = (widest + 1) / 2;
        const bool upper = lane & distance;
#pragma unroll
        for (int i = 0; i < (count + 1) / 2; i++) {
            if (i >= half) break;
            if (half + i < widest) {
                const float low = values[i], high = values[half + i];
                const float received = __shfl_xor_sync(kAllLanes, upper ? low : high, distance);
                values[i] = (upper ? high : low) + received;
            } else {
                values[i] += __shfl_xor_sync(kAllLanes, values[i], distance);  // the lower lane's; the upper needs none
            }
        }
        widest = half;
    }
}

}  // namespace gsrecon::gpu
