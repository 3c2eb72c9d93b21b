// What compositing, its gradient and the inspection of a picture share.
#pragma once

#include <memory>

#include "math/picture.h"
#include "math/real.h"
#include "ops.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

// The channels of one camera's records: the first four stand in the record, the others in the inputs.
struct Channels {
    const CompositeInputs& in;
    const float* colors;
    const float* depths;
    int count;

    Channels(const CompositeInputs& inputs, int64_t camera)
        : in(inputs),
          colors(inputs.colors ? inputs.colors + (inputs.colors_per_camera ? camera * inputs.n * inputs.channels : 0)
                               : nullptr),
          depths(inputs.depths ? inputs.depths + camera * inputs.n : nullptr),
          count(inputs.channels + inputs.with_depth) {}

    float of(const Record& r, int d) const {
        if (d < 4) return r.channel[d];
        return d < in.channels ? colors[(int64_t)r.gaussian * in.channels + d] : depths[r.gaussian];
    }
};

}  // namespace GSRECON_ISA
}  // namespace gsrecon
