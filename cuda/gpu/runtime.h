// What the kernels ask of CUDA: launches that are checked, and errors that say what failed.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace gsrecon::gpu {

using Stream = cudaStream_t;

// A CUDA call that failed. `code` is CUDA's number for it.
struct CudaError : std::runtime_error {
    cudaError_t code;
    CudaError(const char* what, cudaError_t error)
        : std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error)), code(error) {}
};

inline void check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
    cudaGetLastError();  // an error that is told is not told again by the next call
    throw CudaError(what, error);
}

// Every kernel is started here. Nothing is started for no blocks.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), int64_t blocks, int threads, Stream stream,
            Arguments... arguments) {
    if (blocks == 0) return;
    if (blocks > INT32_MAX) throw std::runtime_error(std::string(name) + ": more than 2^31 blocks");
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3((unsigned)blocks);
    config.blockDim = dim3((unsigned)threads);
    config.stream = stream;
    check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), name);
}

inline int64_t blocks_for(int64_t work, int per_block) { return (work + per_block - 1) / per_block; }

inline void clear(void* data, size_t bytes, Stream stream) {
    if (bytes) check(cudaMemsetAsync(data, 0, bytes, stream), "clearing memory");
}

// Hands out pieces of one block of memory. Without memory it only measures: the same code tells how much is needed.
class Workspace {
  public:
    explicit Workspace(void* data = nullptr, size_t bytes = 0) : data_(static_cast<char*>(data)), bytes_(bytes) {}

    template <class T> T* take(int64_t count) {
        const size_t begin = used_;
        used_ += ((size_t)count * sizeof(T) + 255) & ~size_t{255};
        if (data_ && used_ > bytes_) throw std::logic_error("workspace: smaller than was measured");
        return data_ ? reinterpret_cast<T*>(data_ + begin) : nullptr;
    }
    size_t used() const { return used_; }

  private:
    char* data_;
    size_t bytes_, used_ = 0;
};

}  // namespace gsrecon::gpu
