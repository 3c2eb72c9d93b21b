// Clears arrays of floats together: a launch each would take longer than the writing, where pictures are small.
#pragma once

#include "gpu/runtime.h"

namespace gsrecon::gpu {

class Zeros {
  public:
    static constexpr int kMost = 7;

    // Null is left out.
    void add(float* data, int64_t count) {
        if (!data || !count) return;
        if (used_ == kMost) throw std::logic_error("zeros: more arrays than there is room for");
        arrays_.data[used_] = data;
        arrays_.counts[used_++] = count;
    }
    void write(Stream) const;

    struct Arrays {
        float* data[kMost] = {};
        int64_t counts[kMost] = {};
    };

  private:
    Arrays arrays_;
    int used_ = 0;
};

}  // namespace gsrecon::gpu
