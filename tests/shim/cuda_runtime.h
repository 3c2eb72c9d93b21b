// A stand-in for CUDA's header: with it the kernels of cuda/gpu compile as plain C++ and run on a processor, so that
// they can be tested, and watched by sanitizers, where there is no GPU. "Device" memory is ordinary memory.
//
// The threads of a block are real: they stop at barriers, trade values in warps and share memory. Two engines run them
// (block.cpp): operating system threads, which race as they would on a GPU, or fibers, which switch a hundred times
// faster. What a GPU leaves undefined is told: a warp operation that not all its lanes reach, or that some reach while
// others are at another one, stops the test.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __grid_constant__
#define __restrict__
#define __launch_bounds__(...)
#define __shared__ static  // blocks run one after another; every kernel has its own copy

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
inline int2 make_int2(int x, int y) { return {x, y}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

namespace gsrecon_shim {

// What a running thread knows of itself.
struct Thread {
    unsigned thread, block, block_size, grid_size;
};
const Thread& self();

// Waits for all threads of the block, or for the lanes of `mask` in the own warp. `line`: where the kernel asks for it.
void wait_for_block(int line);
void wait_for_warp(unsigned mask, int line);
// The bits that every thread of the block, or lane of the warp, gave.
int count_in_block(bool value, int line);
unsigned votes(unsigned mask, bool value, int line);
// The 32-bit value that `lane` of the own warp gave.
uint32_t value_of_lane(unsigned mask, uint32_t value, int lane, int line);

void run(int64_t blocks, int threads, const std::function<void()>& kernel);

// Seen by tests: "threads" or "fibers".
void use_engine(const char* name);

}  // namespace gsrecon_shim

// What a kernel reads as threadIdx.x and so on. One dimension is all our kernels use.
template <unsigned (*read)()> struct ShimIndex {
    struct {
        operator unsigned() const { return read(); }
    } x;
};
inline constexpr ShimIndex<[]() -> unsigned { return gsrecon_shim::self().thread; }> threadIdx;
inline constexpr ShimIndex<[]() -> unsigned { return gsrecon_shim::self().block; }> blockIdx;
inline constexpr ShimIndex<[]() -> unsigned { return gsrecon_shim::self().block_size; }> blockDim;
inline constexpr ShimIndex<[]() -> unsigned { return gsrecon_shim::self().grid_size; }> gridDim;

#define SHIM_LINE int line = __builtin_LINE()

inline void __syncthreads(SHIM_LINE) { gsrecon_shim::wait_for_block(line); }
inline int __syncthreads_count(int value, SHIM_LINE) { return gsrecon_shim::count_in_block(value != 0, line); }
inline int __syncthreads_or(int value, SHIM_LINE) { return gsrecon_shim::count_in_block(value != 0, line) > 0; }
inline void __syncwarp(unsigned mask = 0xffffffffu, SHIM_LINE) { gsrecon_shim::wait_for_warp(mask, line); }
inline unsigned __ballot_sync(unsigned mask, int value, SHIM_LINE) {
    return gsrecon_shim::votes(mask, value != 0, line);
}
inline int __any_sync(unsigned mask, int value, SHIM_LINE) { return gsrecon_shim::votes(mask, value != 0, line) != 0; }
inline int __all_sync(unsigned mask, int value, SHIM_LINE) {
    return gsrecon_shim::votes(mask, value != 0, line) == mask;
}

template <class T> T __shfl_sync(unsigned mask, T value, int lane, SHIM_LINE) {
    static_assert(sizeof(T) == 4);
    uint32_t bits;
    memcpy(&bits, &value, 4);
    bits = gsrecon_shim::value_of_lane(mask, bits, lane & 31, line);
    memcpy(&value, &bits, 4);
    return value;
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int distance, SHIM_LINE) {
    return __shfl_sync(mask, value, (int)(threadIdx.x & 31u) ^ distance, line);
}
template <class T> T __shfl_up_sync(unsigned mask, T value, int distance, SHIM_LINE) {
    const int lane = (int)(threadIdx.x & 31u);
    return __shfl_sync(mask, value, lane >= distance ? lane - distance : lane, line);
}
template <class T> T __shfl_down_sync(unsigned mask, T value, int distance, SHIM_LINE) {
    const int lane = (int)(threadIdx.x & 31u);
    return __shfl_sync(mask, value, lane + distance < 32 ? lane + distance : lane, line);
}

template <class T> T atomicAdd(T* address, T value) { return std::atomic_ref<T>(*address).fetch_add(value); }
template <class T> T atomicOr(T* address, T value) { return std::atomic_ref<T>(*address).fetch_or(value); }

inline float __fdividef(float a, float b) { return a / b; }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(unsigned bits) { return __builtin_ffs((int)bits); }
inline int __clz(unsigned bits) { return bits ? __builtin_clz(bits) : 32; }
inline unsigned __float_as_uint(float value) {
    unsigned bits;
    memcpy(&bits, &value, 4);
    return bits;
}

// ---- The host's side.

typedef int cudaError_t;
typedef void* cudaStream_t;
constexpr cudaError_t cudaSuccess = 0;

struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    void* attrs;
    unsigned numAttrs;
};

inline const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaSuccess ? "no error" : "an error that is made up";
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t) {
    memset(data, value, bytes);
    return cudaSuccess;
}
enum cudaMemcpyKind { cudaMemcpyDeviceToDevice };
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
    memcpy(to, from, bytes);
    return cudaSuccess;
}

inline cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
// The machine that is made up: what the driver knows (0: there is none), how many GPUs it sees, and what it answers.
struct ShimMachine {
    int driver = 13000, devices = 1;
    cudaError_t answer = cudaSuccess;
};
inline ShimMachine shim_machine;

inline cudaError_t cudaGetDeviceCount(int* count) {
    *count = shim_machine.devices;
    return shim_machine.answer;
}
inline cudaError_t cudaDriverGetVersion(int* version) {
    *version = shim_machine.driver;
    return cudaSuccess;
}
inline cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = 13000;
    return cudaSuccess;
}

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments... arguments) {
    if (shim_machine.answer != cudaSuccess) return shim_machine.answer;
    gsrecon_shim::run(config->gridDim.x, (int)config->blockDim.x, [&] { kernel(arguments...); });
    return cudaSuccess;
}
