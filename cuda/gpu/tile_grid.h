// The tiles of one picture.
#pragma once

#include "gpu/runtime.h"
#include "math/blend.h"
#include "ops.h"

namespace gsrecon::gpu {

struct TileGrid {
    int x, y;
    __host__ __device__ explicit TileGrid(const CompositeInputs& in)
        : x((in.width + kTile - 1) / kTile), y((in.height + kTile - 1) / kTile) {}
    __host__ __device__ int tiles() const { return x * y; }
};

// Of all cameras.
inline int64_t all_tiles(const CompositeInputs& in) { return in.c * TileGrid(in).tiles(); }

}  // namespace gsrecon::gpu
