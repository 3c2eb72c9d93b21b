// Mean structural similarity and its gradient: a block is 16 x 16 pixels, read with the window's reach around them into
// shared memory, blurred along x and then along y. The first pass compares and leaves three planes of terms, the second
// blurs those. Block sums are added up in a fixed order.
#include "gpu/kernels.h"
#include "gpu/warp.h"
#include "math/ssim.h"

namespace gsrecon::gpu {
namespace {

constexpr int kSide = 16, kThreads = kSide * kSide;
constexpr int kBlocks = 4;  // on a multiprocessor: at most 64 registers
constexpr int kWide = kSide + 2 * kSsimReach;
constexpr int kMeans = 5, kTerms = 3;

struct Pictures {
    const float *a, *b;  // [pictures, height, width, channels]
    int64_t pictures;
    int height, width, channels;

    __host__ __device__ int across() const { return (width + kSide - 1) / kSide; }
    __host__ __device__ int64_t blocks() const { return pictures * across() * ((height + kSide - 1) / kSide); }
    __host__ __device__ int64_t values() const { return pictures * height * width * channels; }
};

// The block's part of the pictures.
struct Part {
    int64_t picture;
    int x0, y0, x, y;
    bool inside;

    __device__ __forceinline__ explicit Part(const Pictures& in) {
        const int64_t per_picture = in.blocks() / in.pictures;
        const int block = (int)(blockIdx.x % per_picture);
        picture = blockIdx.x / per_picture;
        x0 = block % in.across() * kSide;
        y0 = block / in.across() * kSide;
        x = x0 + (int)threadIdx.x % kSide;
        y = y0 + (int)threadIdx.x / kSide;
        inside = x < in.width && y < in.height;
    }
    __device__ __forceinline__ int64_t value(const Pictures& in, int px, int py, int channel) const {
        return ((picture * in.height + py) * in.width + px) * in.channels + channel;
    }
};

// Reads a plane with its surroundings, 0 outside of the picture; `read` gives a value at a pixel.
template <class Read>
__device__ __forceinline__ void read_wide(const Pictures& in, const Part& part, Read read, float (*wide)[kWide]) {
    for (int i = (int)threadIdx.x; i < kWide * kWide; i += kThreads) {
        const int px = part.x0 + i % kWide - kSsimReach, py = part.y0 + i / kWide - kSsimReach;
        const bool there = px >= 0 && px < in.width && py >= 0 && py < in.height;
        wide[i / kWide][i % kWide] = there ? read(px, py) : 0.0f;
    }
}

__device__ __forceinline__ float blur_along_y(const SsimWindow& window, const float (*rows)[kSide]) {
    const int x = (int)threadIdx.x % kSide, y = (int)threadIdx.x / kSide;
    float sum = 0.0f;
#pragma unroll
    for (int k = 0; k <= 2 * kSsimReach; k++) sum += window.weight[k] * rows[y + k][x];
    return sum;
}

// Compares; `terms` [3, values] may be null.
__global__ void __launch_bounds__(kThreads, kBlocks)
    compare_kernel(Pictures in, SsimWindow window, float* terms, float* block_sums) {
    __shared__ float wide_a[kWide][kWide], wide_b[kWide][kWide], rows[kMeans][kWide][kSide];
    __shared__ float warp_sums[kThreads / kWarp];
    const Part part(in);
    float sum = 0.0f;
    for (int channel = 0; channel < in.channels; channel++) {
        read_wide(in, part, [&](int x, int y) { return in.a[part.value(in, x, y, channel)]; }, wide_a);
        read_wide(in, part, [&](int x, int y) { return in.b[part.value(in, x, y, channel)]; }, wide_b);
        __syncthreads();
        for (int i = (int)threadIdx.x; i < kWide * kSide; i += kThreads) {
            const int x = i % kSide, y = i / kSide;
            WindowMeans<float> m = {};
#pragma unroll
            for (int k = 0; k <= 2 * kSsimReach; k++) {
                const float w = window.weight[k], a = wide_a[y][x + k], b = wide_b[y][x + k];
                m.a += w * a, m.b += w * b, m.aa += w * (a * a), m.bb += w * (b * b), m.ab += w * (a * b);
            }
            rows[0][y][x] = m.a, rows[1][y][x] = m.b, rows[2][y][x] = m.aa, rows[3][y][x] = m.bb, rows[4][y][x] = m.ab;
        }
        __syncthreads();
        const WindowMeans<float> means = {blur_along_y(window, rows[0]), blur_along_y(window, rows[1]),
                                          blur_along_y(window, rows[2]), blur_along_y(window, rows[3]),
                                          blur_along_y(window, rows[4])};
        WindowGradient<float> v;
        const float value = similarity(means, v);
        if (!part.inside) continue;
        sum += value;
        if (!terms) continue;
        const int64_t at = part.value(in, part.x, part.y, channel), plane = in.values();
        terms[at] = v.a;
        terms[plane + at] = v.aa;
        terms[2 * plane + at] = v.ab;
    }
    sum = warp_sum(sum);
    if (lane_index() == 0) warp_sums[threadIdx.x / kWarp] = sum;
    __syncthreads();
    if (threadIdx.x > 0) return;
    for (int w = 1; w < kThreads / kWarp; w++) sum += warp_sums[w];
    block_sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads, kBlocks)
    gradient_kernel(Pictures in, SsimWindow window, const float* terms, float* gradient) {
    __shared__ float wide[kWide][kWide], rows[kTerms][kWide][kSide];
    const Part part(in);
    const float scale = (float)(1.0 / (double)in.values());
    for (int channel = 0; channel < in.channels; channel++) {
        for (int q = 0; q < kTerms; q++) {
            const float* plane = terms + q * in.values();
            read_wide(in, part, [&](int x, int y) { return plane[part.value(in, x, y, channel)]; }, wide);
            __syncthreads();
            for (int i = (int)threadIdx.x; i < kWide * kSide; i += kThreads) {
                const int x = i % kSide, y = i / kSide;
                float sum = 0.0f;
#pragma unroll
                for (int k = 0; k <= 2 * kSsimReach; k++) sum += window.weight[k] * wide[y][x + k];
                rows[q][y][x] = sum;
            }
            __syncthreads();
        }
        if (part.inside) {
            const int64_t at = part.value(in, part.x, part.y, channel);
            gradient[at] = scale * (blur_along_y(window, rows[0]) + 2.0f * in.a[at] * blur_along_y(window, rows[1]) +
                                    in.b[at] * blur_along_y(window, rows[2]));
        }
    }
}

// One block.
__global__ void __launch_bounds__(kThreads)
    mean_kernel(const float* block_sums, int64_t blocks, int64_t values, float* mean) {
    __shared__ double sums[kThreads];
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < blocks; i += kThreads) sum += (double)block_sums[i];
    sums[threadIdx.x] = sum;
    __syncthreads();
    for (unsigned half = kThreads / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) *mean = (float)(sums[0] / (double)values);
}

struct Planes {
    float *block_sums, *terms;
    Planes(Workspace& work, const Pictures& in, bool gradient)
        : block_sums(work.take<float>(in.blocks())),
          terms(gradient ? work.take<float>(kTerms * in.values()) : nullptr) {}
};

}  // namespace

size_t ssim_workspace(int64_t pictures, int height, int width, int channels, bool gradient) {
    Workspace work;
    Planes(work, {nullptr, nullptr, pictures, height, width, channels}, gradient);
    return work.used();
}

void ssim(const float* a, const float* b, int64_t pictures, int height, int width, int channels, float* mean,
          float* gradient, void* workspace, size_t bytes, Stream stream) {
    const Pictures in = {a, b, pictures, height, width, channels};
    const SsimWindow window = ssim_window();
    Workspace work(workspace, bytes);
    const Planes planes(work, in, gradient != nullptr);
    launch("ssim", compare_kernel, in.blocks(), kThreads, stream, in, window, planes.terms, planes.block_sums);
    launch("ssim_mean", mean_kernel, 1, kThreads, stream, planes.block_sums, in.blocks(), in.values(), mean);
    if (gradient)
        launch("ssim_gradient", gradient_kernel, in.blocks(), kThreads, stream, in, window, planes.terms, gradient);
}

}  // namespace gsrecon::gpu
