#include "cpu/binning.h"

#include <omp.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "math/blend.h"

namespace gsrecon {
namespace {

// One range of depth-ordered work a thread takes.
struct Share {
    int64_t begin, end;
    Share(int64_t count, int thread, int threads)
        : begin(count * thread / threads), end(count * (thread + 1) / threads) {}
};

// Finds the spans of a record among the parts that the threads have filled.
class SpanFinder {
  public:
    explicit SpanFinder(const Binning& binning) {
        for (const auto& part : binning.parts) parts_.push_back({part->first_record, part->spans.data()});
    }
    const TileSpan* of(int64_t record, const TileRows& rows) const {
        const Part* part = &parts_.back();
        while (part->first_record > record) part--;
        return part->spans + rows.offset;
    }

  private:
    struct Part {
        int64_t first_record;
        const TileSpan* spans;
    };
    std::vector<Part> parts_;
};

}  // namespace

// Least significant digit first, three digits wide enough for the keys' span; (key, record) pairs travel together.
void sort_by_depth(Binning& b) {
    const int64_t n = b.records;
    uint64_t* from = b.pairs.reserve((size_t)n);
    uint64_t* to = b.scratch.reserve((size_t)n);
    uint32_t* order = b.order.reserve((size_t)n);
    const uint32_t* keys = b.depth_keys.data();
    const int threads = n < 20000 ? 1 : omp_get_max_threads();

    uint32_t lowest = UINT32_MAX, highest = 0;
#pragma omp parallel for num_threads(threads) reduction(min : lowest) reduction(max : highest)
    for (int64_t i = 0; i < n; i++) {
        lowest = std::min(lowest, keys[i]);
        highest = std::max(highest, keys[i]);
    }
    const int digit_bits = n ? std::max(1, ((int)std::bit_width(highest - lowest) + 2) / 3) : 1;
    const size_t buckets = size_t{1} << digit_bits;
    const uint32_t mask = (uint32_t)buckets - 1;
    std::vector<uint32_t> counts((size_t)threads * buckets);

#pragma omp parallel num_threads(threads)
    {
        const int t = omp_get_thread_num();
        const Share share(n, t, omp_get_num_threads());
        uint32_t* count = counts.data() + (size_t)t * buckets;
        uint64_t *source = from, *target = to;
        for (int64_t i = share.begin; i < share.end; i++) source[i] = (uint64_t)(keys[i] - lowest) << 32 | (uint32_t)i;
        for (int digit = 0; digit < 3; digit++) {
            const int shift = 32 + digit * digit_bits;
            std::fill_n(count, buckets, 0u);
            for (int64_t i = share.begin; i < share.end; i++) count[(source[i] >> shift) & mask]++;
#pragma omp barrier
#pragma omp single
            {
                uint32_t sum = 0;
                for (size_t bucket = 0; bucket < buckets; bucket++)
                    for (int s = 0; s < omp_get_num_threads(); s++) {
                        uint32_t& c = counts[(size_t)s * buckets + bucket];
                        const uint32_t here = c;
                        c = sum;
                        sum += here;
                    }
            }
            if (digit < 2)
                for (int64_t i = share.begin; i < share.end; i++)
                    target[count[(source[i] >> shift) & mask]++] = source[i];
            else
                for (int64_t i = share.begin; i < share.end; i++)
                    order[count[(source[i] >> shift) & mask]++] = (uint32_t)source[i];
#pragma omp barrier
            std::swap(source, target);
        }
    }
}

// Each thread takes one range of the depth order: it counts its entries for every tile, and, once all know where their
// part of each tile begins, writes them. Inside a tile the order is the depth order by construction.
void scatter_to_tiles(Binning& b, int tiles_x, int tiles_y, uint32_t first_record, int64_t first_entry,
                      int64_t* tile_entries, uint32_t* entries, uint32_t* slot_entries) {
    const size_t tiles = (size_t)tiles_x * (size_t)tiles_y;
    const int threads = b.entries < 20000 ? 1 : omp_get_max_threads();
    int32_t* cursors = b.cursors.reserve(tiles * (size_t)threads);
    const uint32_t* order = b.order.data();
    const TileRows* all_rows = b.rows.data();
    const SpanFinder finder(b);
    constexpr int64_t kAhead = 16;

#pragma omp parallel num_threads(threads)
    {
        const int team = omp_get_num_threads(), t = omp_get_thread_num();
        const Share share(b.records, t, team);
        int32_t* cursor = cursors + tiles * (size_t)t;
        std::fill_n(cursor, tiles, 0);

        const auto for_each_span = [&](auto visit) {
            for (int64_t i = share.begin; i < share.end; i++) {
                if (i + 2 * kAhead < share.end) __builtin_prefetch(&all_rows[order[i + 2 * kAhead]]);
                if (i + kAhead < share.end) {
                    const uint32_t next = order[i + kAhead];
                    __builtin_prefetch(finder.of(next, all_rows[next]));
                }
                const uint32_t record = order[i];
                const TileRows rows = all_rows[record];
                const TileSpan* spans = finder.of(record, rows);
                visit(record, rows, spans);
            }
        };
        for_each_span([&](uint32_t, const TileRows& rows, const TileSpan* spans) {
            for (int r = 0; r < rows.count; r++) {
                int32_t* row = cursor + (size_t)(rows.first_row + r) * (size_t)tiles_x;
                for (int x = spans[r].begin; x < spans[r].end; x++) row[x]++;
            }
        });
#pragma omp barrier
#pragma omp single
        {
            int64_t sum = first_entry;
            for (size_t tile = 0; tile < tiles; tile++) {
                tile_entries[tile] = sum;
                for (int s = 0; s < team; s++) {
                    int32_t& c = cursors[tiles * (size_t)s + tile];
                    const int32_t here = c;
                    c = (int32_t)sum;
                    sum += here;
                }
            }
            tile_entries[tiles] = sum;
        }
        for_each_span([&](uint32_t record, const TileRows& rows, const TileSpan* spans) {
            const uint32_t id = first_record + record;
            uint32_t* slot = slot_entries ? slot_entries + rows.first_slot : nullptr;
            for (int r = 0; r < rows.count; r++) {
                int32_t* row = cursor + (size_t)(rows.first_row + r) * (size_t)tiles_x;
                for (int x = spans[r].begin; x < spans[r].end; x++) {
                    const int32_t at = row[x]++;
                    entries[at] = id;
                    if (slot) *slot++ = (uint32_t)at;
                }
            }
        });
    }
}

}  // namespace gsrecon
