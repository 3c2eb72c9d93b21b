// Exposure of a picture: one thread a value. Gradients of gain and bias are sums over the picture, in a fixed order:
// blocks leave partial sums, one block adds them up and writes the tables. Threads come in threes, so that each keeps
// to one channel.
#include "gpu/kernels.h"
#include "gpu/thread.h"
#include "math/exposure.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 384;  // halves down to 6 and 3 threads without a rest
constexpr int kValues = 8;     // that a thread of the gradient takes

// Adds up each column of `sums`, which lies `columns` apart, into the first `columns`.
template <class T> __device__ __forceinline__ void add_columns(T* sums, int columns) {
    for (int half = kThreads / 2; half >= columns; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    __syncthreads();
}

__global__ void __launch_bounds__(kThreads) exposure_kernel(ExposureInputs in, float* out) {
    __shared__ float gain[3], bias[3];
    if (threadIdx.x < 3) {
        gain[threadIdx.x] = exposure_gain(in, (int)threadIdx.x);
        bias[threadIdx.x] = exposure_bias(in, (int)threadIdx.x);
    }
    __syncthreads();
    const int64_t i = thread_index();
    const int channel = (int)threadIdx.x % 3;
    if (i < 3 * in.pixels) out[i] = in.image[i] * gain[channel] + bias[channel];
}

// `block_sums` [blocks, 6]: of v * image and of v, RGB each.
__global__ void __launch_bounds__(kThreads)
    exposure_vjp_kernel(ExposureInputs in, const float* v_out, float* v_image, float* block_sums) {
    __shared__ float gain[3], sums[2][kThreads];
    if (threadIdx.x < 3) gain[threadIdx.x] = exposure_gain(in, (int)threadIdx.x);
    __syncthreads();
    const int64_t begin = (int64_t)blockIdx.x * kValues * kThreads + threadIdx.x;
    const float own_gain = gain[threadIdx.x % 3];
    float of_gain = 0.0f, of_bias = 0.0f;
#pragma unroll
    for (int k = 0; k < kValues; k++) {
        const int64_t i = begin + k * kThreads;
        if (i >= 3 * in.pixels) break;
        const float v = v_out[i];
        of_gain += v * in.image[i];
        of_bias += v;
        if (v_image) v_image[i] = v * own_gain;
    }
    sums[0][threadIdx.x] = of_gain;
    sums[1][threadIdx.x] = of_bias;
    add_columns(sums[0], 3);
    add_columns(sums[1], 3);
    if (threadIdx.x < 3) {
        block_sums[6 * blockIdx.x + threadIdx.x] = sums[0][threadIdx.x];
        block_sums[6 * blockIdx.x + 3 + threadIdx.x] = sums[1][threadIdx.x];
    }
}

// One block.
__global__ void __launch_bounds__(kThreads)
    exposure_tables_kernel(ExposureInputs in, const float* block_sums, int64_t blocks, ExposureGradients out) {
    __shared__ double sums[kThreads];
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < kExposureValues * blocks; i += kThreads) sum += (double)block_sums[i];
    sums[threadIdx.x] = sum;
    add_columns(sums, kExposureValues);
    const int column = (int)threadIdx.x % kExposureValues;
    const double v = column < 3 ? sums[column] * (double)exposure_gain(in, column) : sums[column];
    for (int64_t i = threadIdx.x; i < kExposureValues * in.cameras; i += kThreads)
        out.camera_values[i] = camera_value_vjp(in, i, v);
    for (int64_t i = threadIdx.x; i < kExposureValues * in.pictures; i += kThreads)
        out.picture_values[i] = picture_value_vjp(in, i, v);
}

int64_t gradient_blocks(int64_t pixels) { return blocks_for(3 * pixels, kValues * kThreads); }

}  // namespace

void exposure(const ExposureInputs& in, float* out, Stream stream) {
    launch("exposure", exposure_kernel, blocks_for(3 * in.pixels, kThreads), kThreads, stream, in, out);
}

size_t exposure_vjp_workspace(const ExposureInputs& in) {
    Workspace work;
    work.take<float>(kExposureValues * gradient_blocks(in.pixels));
    return work.used();
}

void exposure_vjp(const ExposureInputs& in, const float* v_out, const ExposureGradients& out, void* workspace,
                  size_t bytes, Stream stream) {
    const int64_t blocks = gradient_blocks(in.pixels);
    Workspace work(workspace, bytes);
    float* block_sums = work.take<float>(kExposureValues * blocks);
    launch("exposure_vjp", exposure_vjp_kernel, blocks, kThreads, stream, in, v_out, out.image, block_sums);
    launch("exposure_tables", exposure_tables_kernel, 1, kThreads, stream, in, block_sums, blocks, out);
}

}  // namespace gsrecon::gpu
