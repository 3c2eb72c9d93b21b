// From projected Gaussians to a front-to-back list for every tile of every camera.
//
// Visible Gaussians get records in the order of the cameras and rows, are sorted by depth (32 bits), and write one
// entry per tile they reach in that order; one more stable sort, by tile, keeps the depth order inside every tile.
// Tiles come from the same exact intervals as on the CPU. Two sorts of 8 bytes an element move less memory than one of
// 12 with keys of tile and depth together.
#include "gpu/kernels.h"
#include "gpu/sort.h"
#include "gpu/tile_grid.h"
#include "gpu/warp.h"
#include "math/ellipse.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 256;
constexpr int kShared = 64;  // Gaussians that reach more tiles are written by a whole warp
constexpr int kRun = 8;      // neighbours in depth that a warp takes at once

__global__ void __launch_bounds__(kThreads) count_kernel(CompositeInputs in, TileCounts out) {
    const int64_t i = thread_index(), count = in.c * in.n;
    const TileGrid grid(in);
    int tiles = 0, visible = 0;
    if (i < count && in.radii[2 * i] > 0) {
        visible = 1;
        const Ellipse ellipse(in.means2d[2 * i], in.means2d[2 * i + 1], in.conics + 3 * i, log2f(in.opacities[i]));
        const TileSpan rows = tile_rows(ellipse, grid.y);
        for (int row = rows.begin; row < rows.end; row++) {
            const TileSpan span = tiles_of_row(ellipse, row, grid.x);
            tiles += span.end - span.begin;
        }
    }
    if (i < count) {
        out.record_index[i] = visible;
        out.tiles[i] = tiles;
    }
    // Integers: any order of the additions gives the same.
    __shared__ unsigned long long sums[2];
    if (threadIdx.x < 2) sums[threadIdx.x] = 0;
    __syncthreads();
    for (int distance = kWarp / 2; distance > 0; distance /= 2) {
        tiles += __shfl_xor_sync(kAllLanes, tiles, distance);
        visible += __shfl_xor_sync(kAllLanes, visible, distance);
    }
    if (lane_index() == 0) {
        atomicAdd(&sums[0], (unsigned long long)visible);
        atomicAdd(&sums[1], (unsigned long long)tiles);
    }
    __syncthreads();
    if (threadIdx.x < 2) atomicAdd((unsigned long long*)out.totals + threadIdx.x, sums[threadIdx.x]);
}

// What the sorts work on.
struct Lists {
    uint32_t *depth_keys[2], *order[2];  // [records]
    uint32_t *tile_keys[2], *values[2];  // [entries]; values[0] is the result's own memory
    int32_t* record_tiles;               // [records] tiles of each record
    int32_t* offsets;                    // [records] in depth order: the first entry of each; where depth keys were
    uint32_t* slot_records;              // [entries] whose entry a slot is; null without slots
    void* scratch;
    size_t scratch_bytes;

    Lists(Workspace& work, const TileRoom& room, bool slots, uint32_t* entries) {
        for (int i = 0; i < 2; i++) {
            depth_keys[i] = work.take<uint32_t>(room.records);
            order[i] = work.take<uint32_t>(room.records);
            tile_keys[i] = work.take<uint32_t>(room.entries);
        }
        values[0] = entries;
        values[1] = work.take<uint32_t>(room.entries);
        record_tiles = work.take<int32_t>(room.records);
        offsets = reinterpret_cast<int32_t*>(depth_keys[0]);
        slot_records = slots ? work.take<uint32_t>(room.entries) : nullptr;
        scratch_bytes = sort_workspace(room.records);
        for (size_t more : {sort_workspace(room.entries), exclusive_sum_workspace(room.records)})
            if (more > scratch_bytes) scratch_bytes = more;
        scratch = work.take<char>((int64_t)scratch_bytes);
    }
};

__global__ void __launch_bounds__(kThreads)
    record_kernel(CompositeInputs in, TileCounts counts, TileRoom room, FilledTiles out, Lists lists) {
    const int64_t i = thread_index();
    if (i > in.c * in.n) return;
    if (i == in.c * in.n) {
        out.camera_records[in.c] = counts.totals[0];
        return;
    }
    const int64_t camera = i / in.n, row = i % in.n, r = counts.record_index[i];
    if (row == 0) out.camera_records[camera] = r;
    if (in.radii[2 * i] <= 0 || r >= room.records) return;
    const float* conic = in.conics + 3 * i;
    Record record;
    record.x = in.means2d[2 * i] - 0.5f;
    record.y = in.means2d[2 * i + 1] - 0.5f;
    record.a = -0.5f * kLog2E * conic[0];
    record.b = -kLog2E * conic[1];
    record.c = -0.5f * kLog2E * conic[2];
    record.log2_opacity = log2f(in.opacities[i]);
    const float* colors = in.colors + (in.colors_per_camera ? i : row) * in.channels;
#pragma unroll
    for (int k = 0; k < 4; k++)
        record.channel[k] = k < in.channels ? colors[k] : in.with_depth && k == in.channels ? in.depths[i] : 0.0f;
    record.gaussian = (int32_t)row;
    record.first_slot = 0;
    out.records[r] = record;
    lists.depth_keys[0][r] = __float_as_uint(in.depths[i]);  // positive floats sort as their bits
    lists.order[0][r] = (uint32_t)r;
    lists.record_tiles[r] = counts.tiles[i];
}

// What stands behind the last record and the last entry where the room is larger: sorted to the end, and empty.
__global__ void __launch_bounds__(kThreads) pad_kernel(TileCounts counts, TileRoom room, Lists lists) {
    const int64_t i = thread_index();
    if (i >= counts.totals[0] && i < room.records) {
        lists.depth_keys[0][i] = 0xffffffffu;
        lists.order[0][i] = (uint32_t)i;
        lists.record_tiles[i] = 0;
    }
    if (i >= counts.totals[1] && i < room.entries) {
        lists.tile_keys[0][i] = 0xffffffffu;
        lists.values[0][i] = 0;
    }
}

// Where one record writes its entries: [begin, end), as many as were counted. The compiler may round the ellipse
// differently here than where tiles were counted; a tile more is dropped, a tile less leaves an entry of no tile.
struct Writer {
    uint32_t *keys, *values, *slot_records;
    int64_t room, begin, end;
    uint32_t first_tile;  // of its camera
    uint32_t record;

    __device__ __forceinline__ Writer(const Lists& lists, const TileRoom& available, int64_t offset, int tiles,
                                      int64_t camera_tile, uint32_t of)
        : keys(lists.tile_keys[0]),
          values(lists.values[0]),
          slot_records(lists.slot_records),
          room(available.entries),
          begin(offset),
          end(offset + tiles),
          first_tile((uint32_t)camera_tile),
          record(of) {}

    __device__ __forceinline__ void write_key(int64_t place, uint32_t key) const {
        const int64_t at = begin + place;
        if (at >= end || at < 0 || at >= room) return;
        keys[at] = key;
        values[at] = slot_records ? (uint32_t)at : record;
        if (slot_records) slot_records[at] = record;
    }
    __device__ __forceinline__ void write(int64_t place, int tile) const {
        write_key(place, first_tile + (uint32_t)tile);
    }
    __device__ __forceinline__ void write_no_tile(int64_t place) const { write_key(place, 0xffffffffu); }
};

__device__ __forceinline__ int camera_of(const int64_t* camera_records, int64_t cameras, int64_t record) {
    int camera = 0;
    while (camera + 1 < cameras && camera_records[camera + 1] <= record) camera++;
    return camera;
}

__device__ __forceinline__ Ellipse ellipse_of(const CompositeInputs& in, const Record& r, int64_t camera) {
    const int64_t i = camera * in.n + r.gaussian;
    return Ellipse(in.means2d[2 * i], in.means2d[2 * i + 1], in.conics + 3 * i, r.log2_opacity);
}

// That of another lane.
__device__ __forceinline__ Ellipse ellipse_of_lane(Ellipse own, int lane) {
    const auto there = [&](float& value) { value = __shfl_sync(kAllLanes, value, lane); };
    there(own.x), there(own.y), there(own.a), there(own.b), there(own.c);
    there(own.q), there(own.det), there(own.inverse_a), there(own.half_height), there(own.dy_of_right);
    return own;
}

// The place in depth order that a thread takes. The nearest Gaussians are the largest ones: a warp's runs lie far
// apart, so that no warp has 32 of those.
__device__ __forceinline__ int64_t spread_place(int64_t records) {
    const int64_t warps = (records + kWarp - 1) / kWarp, warp = thread_index() / kWarp;
    const int lane = lane_index();
    return warp < warps ? (lane / kRun * warps + warp) * kRun + lane % kRun : records;
}

// One thread a record, in depth order. Records that reach many tiles are written together: a lane takes a row.
__global__ void __launch_bounds__(kThreads) emit_kernel(CompositeInputs in, TileCounts counts, TileRoom room,
                                                        FilledTiles out, Lists lists, const uint32_t* order) {
    const TileGrid grid(in);
    const int64_t place = spread_place(room.records);
    const bool here = place < room.records && place < counts.totals[0];
    const uint32_t record = here ? order[place] : 0;
    const int tiles = here ? lists.record_tiles[record] : 0;
    const int64_t offset = here ? lists.offsets[place] : 0;
    const int lane = lane_index();
    if (here && out.entry_slots) {  // only what has room; an offset that has wrapped around has none
        const int64_t fitting = offset < 0 ? 0 : minimum((int64_t)tiles, maximum(room.entries - offset, (int64_t)0));
        out.records[record].first_slot = fitting ? (int32_t)offset : 0;
        out.record_entries[record] = (int32_t)fitting;
    }
    if (!__any_sync(kAllLanes, tiles > 0)) return;
    const int camera = tiles > 0 ? camera_of(out.camera_records, in.c, record) : 0;
    const Ellipse own = ellipse_of(in, out.records[tiles > 0 ? record : 0], camera);
    if (tiles > 0 && tiles <= kShared) {
        const Writer writer(lists, room, offset, tiles, camera * grid.tiles(), record);
        const TileSpan rows = tile_rows(own, grid.y);
        int written = 0;
        for (int row = rows.begin; row < rows.end; row++) {
            const TileSpan span = tiles_of_row(own, row, grid.x);
            for (int x = span.begin; x < span.end; x++) writer.write(written++, row * grid.x + x);
        }
        for (; written < tiles; written++) writer.write_no_tile(written);
    }
    for (unsigned large = __ballot_sync(kAllLanes, tiles > kShared); large; large &= large - 1) {
        const int owner = __ffs(large) - 1, expected = __shfl_sync(kAllLanes, tiles, owner);
        const Writer writer(lists, room, __shfl_sync(kAllLanes, (int32_t)offset, owner), expected,
                            __shfl_sync(kAllLanes, camera, owner) * grid.tiles(),
                            __shfl_sync(kAllLanes, record, owner));
        const Ellipse ellipse = ellipse_of_lane(own, owner);
        const TileSpan rows = tile_rows(ellipse, grid.y);
        int written = 0;
        for (int row = rows.begin; row < rows.end; row += kWarp) {
            const bool mine = row + lane < rows.end;
            const TileSpan span = mine ? tiles_of_row(ellipse, row + lane, grid.x) : TileSpan{0, 0};
            const int length = span.end - span.begin;
            int before = length;  // becomes the sum up to and with this lane
            for (int distance = 1; distance < kWarp; distance *= 2) {
                const int other = __shfl_up_sync(kAllLanes, before, distance);
                if (lane >= distance) before += other;
            }
            for (int x = 0; x < length; x++)
                writer.write(written + before - length + x, (row + lane) * grid.x + span.begin + x);
            written += __shfl_sync(kAllLanes, before, kWarp - 1);
        }
        for (written += lane; written < expected; written += kWarp) writer.write_no_tile(written);
    }
}

// Finds where each tile's entries begin, one thread a tile; what stands behind the last one belongs to no tile.
__global__ void __launch_bounds__(kThreads)
    range_kernel(TileRoom room, int64_t tiles, const uint32_t* keys, int64_t* tile_entries) {
    const int64_t tile = thread_index();
    if (tile > tiles) return;
    int64_t begin = 0, end = room.entries;
    while (begin < end) {
        const int64_t middle = (begin + end) / 2;
        if ((int64_t)keys[middle] < tile)
            begin = middle + 1;
        else
            end = middle;
    }
    tile_entries[tile] = begin;
}

__global__ void __launch_bounds__(kThreads)
    slot_kernel(TileRoom room, const uint32_t* slots, const uint32_t* slot_records, uint32_t* entries,
                int32_t* entry_slots) {
    const int64_t i = thread_index();
    if (i >= room.entries) return;
    const uint32_t slot = slots[i];  // `entries` may be the same memory
    entry_slots[i] = (int32_t)slot;
    entries[i] = slot_records[slot];
}

int bits_for(int64_t largest) {
    int bits = 0;
    while (largest >> bits) bits++;
    return bits;
}

}  // namespace

size_t count_tiles_workspace(const CompositeInputs& in) { return exclusive_sum_workspace(in.c * in.n); }

void count_tiles(const CompositeInputs& in, const TileCounts& out, void* workspace, size_t bytes, Stream stream) {
    clear(out.totals, 2 * sizeof(int64_t), stream);
    launch("count_tiles", count_kernel, blocks_for(in.c * in.n, kThreads), kThreads, stream, in, out);
    exclusive_sum(out.record_index, out.record_index, in.c * in.n, workspace, bytes, stream);
}

size_t fill_tiles_workspace(const CompositeInputs&, const TileRoom& room, bool slots) {
    Workspace work;
    Lists(work, room, slots, nullptr);
    return work.used();
}

void fill_tiles(const CompositeInputs& in, const TileCounts& counts, const TileRoom& room, const FilledTiles& out,
                void* workspace, size_t bytes, Stream stream) {
    Workspace work(workspace, bytes);
    const Lists lists(work, room, out.entry_slots != nullptr, out.entries);
    const int64_t tiles = all_tiles(in), most = room.records > room.entries ? room.records : room.entries;
    const auto start = [&](const char* name, auto* kernel, int64_t work_items, auto... arguments) {
        launch(name, kernel, blocks_for(work_items, kThreads), kThreads, stream, arguments...);
    };
    start("records", record_kernel, in.c * in.n + 1, in, counts, room, out, lists);
    if (!room.exact) start("pad", pad_kernel, most, counts, room, lists);
    const uint32_t* order = lists.order[sort_pairs(lists.depth_keys, lists.order, room.records, 32, lists.scratch,
                                                   lists.scratch_bytes, stream)];
    exclusive_sum_in_order(lists.record_tiles, order, lists.offsets, room.records, lists.scratch, lists.scratch_bytes,
                           stream);
    start("entries", emit_kernel, room.records, in, counts, room, out, lists, order);
    const int sorted = sort_pairs(lists.tile_keys, lists.values, room.entries, bits_for(tiles), lists.scratch,
                                  lists.scratch_bytes, stream);
    start("tiles", range_kernel, tiles + 1, room, tiles, lists.tile_keys[sorted], out.tile_entries);
    const uint32_t* values = lists.values[sorted];
    if (out.entry_slots)
        start("slots", slot_kernel, room.entries, room, values, lists.slot_records, out.entries, out.entry_slots);
    else if (room.entries && values != out.entries)
        check(cudaMemcpyAsync(out.entries, values, (size_t)room.entries * sizeof(uint32_t), cudaMemcpyDeviceToDevice,
                              stream),
              "entries");
}

}  // namespace gsrecon::gpu
