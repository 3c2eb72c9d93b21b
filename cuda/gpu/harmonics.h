// Rows of harmonics' coefficients in shared memory. A warp's 32 rows lie one after the other in memory, so that loads
// of neighbouring lanes are neighbours; from shared memory each lane then reads its own row, whose odd stride keeps the
// lanes in different banks. Where rows in memory have that stride, too, they move 16 bytes at a time.
#pragma once

#include "gpu/thread.h"
#include "math/harmonics.h"

namespace gsrecon::gpu {

template <int degree> struct HarmonicsRows {
    static_assert(degree >= 1);
    static constexpr int used = 3 * (harmonics_count(degree) - 1);  // floats of a row that are read
    static constexpr int stride = used | 1;
    static constexpr int floats = kWarp * stride;  // a warp's

    // Those of the lanes in `wanted`, of `count` rows that there are; `width` is a row's length in memory, at least
    // `used`. `shared` is aligned to 16 bytes.
    static __device__ __forceinline__ void load(const float* rows, int64_t first, unsigned wanted, int count,
                                                int64_t width, float* shared) {
        __syncwarp();  // words that are written again have been read
        const float* from = rows + first * width;
        if (as_in_memory(from, count, width)) {
            const float4* words = reinterpret_cast<const float4*>(from);
#pragma unroll 4
            for (int i = lane_index(); i < kWords; i += kWarp) {  // a word has floats of up to two rows
                const int row = 4 * i / used, last_row = (4 * i + 3) / used;
                if ((wanted >> row | wanted >> last_row) & 1) reinterpret_cast<float4*>(shared)[i] = words[i];
            }
        } else {
            for (int e = lane_index(); e < kWarp * used; e += kWarp) {
                const int row = e / used, column = e % used;
                if (wanted >> row & 1) shared[row * stride + column] = from[row * width + column];
            }
        }
        __syncwarp();
    }

    // What is beyond the used part becomes 0.
    static __device__ __forceinline__ void store(const float* shared, int64_t first, int count, int64_t width,
                                                 float* rows) {
        __syncwarp();
        float* to = rows + first * width;
        if (as_in_memory(to, count, width)) {
            float4* words = reinterpret_cast<float4*>(to);
#pragma unroll 4
            for (int i = lane_index(); i < kWords; i += kWarp) words[i] = reinterpret_cast<const float4*>(shared)[i];
        } else {
            for (int row = 0; row < count; row++)
                for (int64_t column = lane_index(); column < width; column += kWarp)
                    to[row * width + column] = column < used ? shared[row * stride + column] : 0.0f;
        }
    }

    static __device__ __forceinline__ void store_zeros(int64_t first, int count, int64_t width, float* rows) {
        float* to = rows + first * width;
        for (int64_t e = lane_index(); e < count * width; e += kWarp) to[e] = 0.0f;
    }

  private:
    static constexpr int kWords = kWarp * used / 4;
    static_assert(kWarp * used % 4 == 0);

    // Whether the warp's rows fill memory as they fill shared memory.
    static __device__ __forceinline__ bool as_in_memory(const float* rows, int count, int64_t width) {
        return stride == used && width == used && count == kWarp && reinterpret_cast<uintptr_t>(rows) % 16 == 0;
    }
};

// Calls `run` with the degree as a constant; -1 stands for colours that are not made from harmonics.
template <class Run> void with_degree(int degree, Run run) {
    switch (degree) {
        case 0:
            return run(std::integral_constant<int, 0>{});
        case 1:
            return run(std::integral_constant<int, 1>{});
        case 2:
            return run(std::integral_constant<int, 2>{});
        case 3:
            return run(std::integral_constant<int, 3>{});
        case 4:
            return run(std::integral_constant<int, 4>{});
        default:
            return run(std::integral_constant<int, -1>{});
    }
}

}  // namespace gsrecon::gpu
