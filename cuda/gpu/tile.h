// What blending, its gradient and inspection share: a block is a tile of 16 x 16 pixels, each of its eight warps a
// sub-tile of 8 x 4, and a batch of the tile's records stands in shared memory. A warp first asks, one record a lane,
// which records reach those of its pixels that have not ended, lists them, and then walks only those, two at a time:
// what one record waits for, the other one fills.
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
    int64_t begin;       // the tile's first entry
    int entries;         // how many it has

    // `index` numbers the tiles of all cameras.
    __device__ __forceinline__ TilePixel(const CompositeInputs& in, const TileLists& lists, unsigned index) {
        const TileGrid grid(in);
        const unsigned columns = (unsigned)grid.x, tiles = (unsigned)grid.tiles(), in_camera = index % tiles;
        const int warp = warp_index(), lane = lane_index();
        camera = index / tiles;
        warp_x = (int)(in_camera % columns) * kTile + warp % (kTile / kWarpWidth) * kWarpWidth;
        warp_y = (int)(in_camera / columns) * kTile + warp / (kTile / kWarpWidth) * kWarpHeight;
        x = warp_x + lane % kWarpWidth;
        y = warp_y + lane / kWarpWidth;
        inside = x < in.width && y < in.height;
        pixel = (camera * in.height + y) * in.width + x;
        begin = lists.tile_entries[index];
        entries = (int)(lists.tile_entries[index + 1] - begin);
    }
};

// A batch of a tile's records, and behind them one that nothing sees.
constexpr int kNoRecord = kTileThreads;
struct RecordBatch {
    Record records[kTileThreads + 1];

    __device__ __forceinline__ void write_no_record() {
        if (threadIdx.x == 0) records[kNoRecord] = {0, 0, 0, 0, 0, -INFINITY, {0, 0, 0, 0}, 0, 0};
    }
};

// Walks a tile's records, a batch of them at a time. `alive` holds the warp's lanes whose pixels have not ended; once
// no warp of the block has any, the walk is over. A thread fetches a record, and `fetched(place in the batch, entry,
// record)` what belongs to it; `blend(count)` then finds a batch of so many. All threads of a block take part.
template <class Fetched, class Blend>
__device__ __forceinline__ void walk_records(const TilePixel& at, const TileLists& lists, RecordBatch& batch,
                                             const unsigned& alive, Fetched fetched, Blend blend) {
    const int own = (int)threadIdx.x;
    batch.write_no_record();
    uint32_t record = own < at.entries ? lists.entries[at.begin + own] : 0;  // of the batch to come
    for (int first = 0; first < at.entries; first += kTileThreads) {
        // Nobody is still reading the records of the batch before once all have arrived here.
        if (__syncthreads_count(alive == 0) == kTileThreads) break;
        const int count = minimum(kTileThreads, at.entries - first);
        if (own < count) {
            batch.records[own] = lists.records[record];  // 16 bytes at a time: records are aligned so
            fetched(own, at.begin + first + own, record);
        }
        if (own + kTileThreads < at.entries - first) record = lists.entries[at.begin + first + kTileThreads + own];
        __syncthreads();
        blend(count);
    }
}

// The smallest rectangle around pixel centres.
struct PixelBox {
    float left, right, top, bottom;

    // Around those pixels of the warp's sub-tile whose lanes are in `alive`, at least one.
    __device__ __forceinline__ PixelBox(const TilePixel& at, unsigned alive) {
        static_assert(kWarpWidth == 8 && kWarpHeight == 4, "four rows of eight bits");
        const unsigned halves = alive | alive >> 16, columns = (halves | halves >> 8) & 0xff;
        left = (float)(at.warp_x + first_bit(columns));
        right = (float)(at.warp_x + last_bit(columns));
        top = (float)(at.warp_y + first_bit(alive) / kWarpWidth);
        bottom = (float)(at.warp_y + last_bit(alive) / kWarpWidth);
    }

  private:
    static __device__ __forceinline__ int first_bit(unsigned bits) { return __ffs(bits) - 1; }
    static __device__ __forceinline__ int last_bit(unsigned bits) { return 31 - __clz(bits); }
};

// Whether alpha can reach its floor at a pixel centre in the box. A little is added, as quick divisions round: pixels
// are tested exactly.
__device__ __forceinline__ bool reaches(const Record& r, const PixelBox& box) {
    constexpr float kMargin = 1e-3f;
    const float most = largest_exponent(r.a, r.b, r.c, __fdividef(-0.5f * r.b, r.a), __fdividef(-0.5f * r.b, r.c),
                                        box.left - r.x, box.right - r.x, box.top - r.y, box.bottom - r.y);
    return most + r.log2_opacity >= kLog2AlphaFloor - kMargin;
}

// Numbers of records in a batch.
struct alignas(8) RecordPair {
    int first, second;
};

// The records of a group that reach pixels of one warp's sub-tile which have not ended, in shared memory.
struct ReachedRecords {
    static constexpr int kGroup = 2 * kWarp;
    RecordPair pairs[kGroup / 2 + 1];

    // Lists, in their order, those of the group from `group` on in a batch of `count`; kNoRecord fills the last pair.
    // Tells how many there are.
    __device__ __forceinline__ int list(const RecordBatch& batch, int group, int count, const PixelBox& box) {
        int* numbers = &pairs[0].first;
        const int lane = lane_index(), one = group + lane, other = one + kWarp;
        // What stands behind the end of the batch is old.
        const bool has_one = reaches(batch.records[one], box) && one < count;
        const bool has_other = reaches(batch.records[other], box) && other < count;
        const unsigned ones = __ballot_sync(kAllLanes, has_one), others = __ballot_sync(kAllLanes, has_other);
        const unsigned before = (1u << lane) - 1;
        const int first_other = __popc(ones), total = first_other + __popc(others);
        __syncwarp();  // the group before has been read
        if (has_one) numbers[__popc(ones & before)] = one;
        if (has_other) numbers[first_other + __popc(others & before)] = other;
        if (lane == 0) numbers[total] = kNoRecord;
        __syncwarp();
        return total;
    }
};

// One record at one pixel with transmittance t, which is positive until the pixel has ended.
struct Blend {
    float dx, dy;
    float raw, alpha;  // before and after the clamp; alpha is 0 where the record does not touch the pixel
    float weight;      // alpha t; 0 where nothing is blended

    // Changes t: to what is left behind the record, or to -t where the pixel ends before it.
    __device__ __forceinline__ Blend(const Record& r, int x, int y, float& t) : dx((float)x - r.x), dy((float)y - r.y) {
        const float p = (r.c * dy + r.b * dx) * dy + (r.a * dx * dx + r.log2_opacity);
        raw = exp2f(p);
        alpha = p >= kLog2AlphaFloor ? minimum(raw, kAlphaCeiling) : 0.0f;
        const float left = fmaf(-alpha, t, t);  // negative where the pixel has ended
        const bool goes_on = left > kTransmittanceStop;
        weight = goes_on ? alpha * t : 0.0f;
        t = goes_on ? left : fminf(t, -t);
    }
    __device__ __forceinline__ bool used() const { return weight > 0.0f; }
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
