// From visible Gaussians to a front-to-back list for every tile.
#pragma once

#include <memory>
#include <vector>

#include "cpu/buffer.h"
#include "math/blend.h"
#include "ops.h"

namespace gsrecon {

// Where a record's tile rows stand: rows first_row, first_row + 1, ... in `spans[offset...]`; and its part's entries so
// far.
struct TileRows {
    uint32_t offset;
    uint16_t first_row, count;
    int32_t first_slot;
};

// The working memory of one camera's binning; kept from frame to frame.
struct Binning {
    struct Part {  // what one thread found
        Buffer<TileSpan> spans;
        int64_t first_record = 0, entries = 0;
    };
    int64_t records = 0, entries = 0;
    std::vector<std::unique_ptr<Part>> parts;
    Buffer<uint32_t> depth_keys;  // [records]
    Buffer<TileRows> rows;        // [records]
    Buffer<uint32_t> order;       // [records] front to back
    Buffer<uint64_t> pairs, scratch;
    Buffer<int32_t> cursors;  // [threads, tiles]
};

// Sorts the records of `binning` by depth (ties keep the order of the Gaussians) into `order`.
void sort_by_depth(Binning& binning);

// Writes the entries of every tile front to back. `tile_entries` [tiles + 1] starts at `first_entry`; `slot_entries`
// may be null.
void scatter_to_tiles(Binning& binning, int tiles_x, int tiles_y, uint32_t first_record, int64_t first_entry,
                      int64_t* tile_entries, uint32_t* entries, uint32_t* slot_entries);

}  // namespace gsrecon
