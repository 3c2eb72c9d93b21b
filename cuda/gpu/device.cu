#include "gpu/device.h"

namespace gsrecon::gpu {
namespace {

std::string dotted(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

}  // namespace

std::pair<int, int> versions() {
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    cudaGetLastError();
    return {driver, runtime};
}

std::string problem() {
    const auto [driver, runtime] = versions();
    if (driver == 0) return "there is no NVIDIA driver on this machine";
    if (driver / 1000 < runtime / 1000)
        return "the NVIDIA driver is too old: it knows CUDA " + dotted(driver) + ", these kernels need " +
               dotted(runtime / 1000 * 1000) + "; update the driver, or build gsrecon with an older toolkit";
    int devices = 0;
    const cudaError_t error = cudaGetDeviceCount(&devices);
    cudaGetLastError();
    if (error != cudaSuccess) return std::string("CUDA does not start: ") + cudaGetErrorString(error);
    if (devices == 0) return "the NVIDIA driver sees no GPU";
    return "";
}

}  // namespace gsrecon::gpu
