// What blending, its gradient and inspection share: a block is a tile of 16 x 16 pixels, each of its eight warps a
// sub-tile of 8 x 4, and a batch of the tile's records stands in shared memory. A warp first asks, one record a lane,
// which records reach its sub-tile, and then walks only those.
#pragma once

#include "gpu/kernels.h"
#include "gpu/thread.h"
#include "gpu/tile_grid.h"
#include "math/ellipse.h"
#include "math/picture.h"

namespace gsrecon::gpu {

constexpr int kTileThreads = kTile * kTile;
constexpr int kTileWarps = kTileThreads / kWarp;
constexpr int kWarpWidth = 8, kWarpHeight = 4;  // pixels of a warp's sub-tile

// Where a thread of a tile's block stands.
struct TilePixel {
    int64_t camera;
    int warp_x, warp_y;  // first pixel of the warp
    int x, y;            // own pixel
    int64_t pixel;       // of all cameras; only where inside
    bool inside;         // of the picture
    int64_t begin, end;  // the tile's entries

    // `index` numbers the tiles of all cameras.
    __device__ __forceinline__ TilePixel(const CompositeInputs& in, const TileLists& lists, int64_t index) {
        const TileGrid grid(in);
        camera = index / grid.tiles();
        const int in_camera = (int)(index % grid.tiles()), warp = (int)threadIdx.x / kWarp, lane = lane_index();
        warp_x = in_camera % grid.x * kTile + warp % (kTile / kWarpWidth) * kWarpWidth;
        warp_y = in_camera / grid.x * kTile + warp / (kTile / kWarpWidth) * kWarpHeight;
        x = warp_x + lane % kWarpWidth;
        y = warp_y + lane / kWarpWidth;
        inside = x < in.width && y < in.height;
        pixel = (camera * in.height + y) * in.width + x;
        begin = lists.tile_entries[index];
        end = lists.tile_entries[index + 1];
    }
};

// Copies one 48-byte record as three 16-byte words.
__device__ __forceinline__ void copy_record(const Record* from, Record* to) {
    const float4* words = reinterpret_cast<const float4*>(from);
    float4* out = reinterpret_cast<float4*>(to);
    for (int i = 0; i < 3; i++) out[i] = words[i];
}

// Whether alpha can reach its floor at a pixel centre of the warp's sub-tile. A little is added, as quick divisions
// round: pixels are tested exactly.
__device__ __forceinline__ bool reaches(const Record& r, const TilePixel& at) {
    constexpr float kMargin = 1e-3f;
    const float left = (float)at.warp_x - r.x, top = (float)at.warp_y - r.y;
    const float most = largest_exponent(r.a, r.b, r.c, __fdividef(-0.5f * r.b, r.a), __fdividef(-0.5f * r.b, r.c), left,
                                        left + (kWarpWidth - 1), top, top + (kWarpHeight - 1));
    return most + r.log2_opacity >= kLog2AlphaFloor - kMargin;
}

// One record at one pixel that has not ended (its transmittance t is positive).
struct Blend {
    float dx, dy;
    float raw, alpha;  // before and after the clamp
    float weight;      // alpha t; 0 where the record does not touch the pixel
    bool used;

    // Changes t: to what is left behind the record, or to -t where the pixel ends before it.
    __device__ __forceinline__ Blend(const Record& r, int x, int y, float& t)
        : dx((float)x - r.x), dy((float)y - r.y), raw(0.0f), alpha(0.0f), weight(0.0f), used(false) {
        const float p = (r.c * dy + r.b * dx) * dy + (r.a * dx * dx + r.log2_opacity);
        if (!(p >= kLog2AlphaFloor) || !(t > 0.0f)) return;
        raw = exp2f(p);
        alpha = minimum(raw, kAlphaCeiling);
        weight = alpha * t;
        used = t - weight > kTransmittanceStop;
        t = used ? t - weight : -t;
        weight = used ? weight : 0.0f;
    }
};

// Channel d of a record: the first four stand in it, the others in the inputs; the depth comes last.
struct RecordChannels {
    const float *colors, *depths;
    int channels;

    __device__ __forceinline__ RecordChannels(const CompositeInputs& in, int64_t camera)
        : colors(in.colors ? in.colors + (in.colors_per_camera ? camera * in.n * in.channels : 0) : nullptr),
          depths(in.depths ? in.depths + camera * in.n : nullptr),
          channels(in.channels) {}
    __device__ __forceinline__ float of(const Record& r, int d) const {
        if (d < 4) return r.channel[d];
        return d < channels ? colors[(int64_t)r.gaussian * channels + d] : depths[r.gaussian];
    }
};

}  // namespace gsrecon::gpu
