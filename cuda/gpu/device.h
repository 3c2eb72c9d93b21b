// The device: which one is current, and whether there is one at all.
#pragma once

#include <string>
#include <utility>

#include "gpu/runtime.h"

namespace gsrecon::gpu {

// Makes a device the current one as long as it lives.
class DeviceGuard {
  public:
    explicit DeviceGuard(int device) : wanted_(device) {
        check(cudaGetDevice(&before_), "device");
        if (before_ != wanted_) check(cudaSetDevice(wanted_), "device");
    }
    ~DeviceGuard() {
        if (before_ != wanted_) cudaSetDevice(before_);
    }
    DeviceGuard(const DeviceGuard&) = delete;
    DeviceGuard& operator=(const DeviceGuard&) = delete;

  private:
    int before_ = 0, wanted_;
};

// Why no device can be used, in one sentence; empty where one can.
std::string problem();

// CUDA's numbers for the driver (0: none) and for the runtime, 1000 * major + 10 * minor.
std::pair<int, int> versions();

}  // namespace gsrecon::gpu
