// The part of tile work that the forward and the backward pass share: a batch of records of one tile, copied near and
// tested against the tile's four sub-tiles.
#pragma once

#include <algorithm>
#include <cstring>

#include "cpu/simd.h"
#include "math/ellipse.h"
#include "ops.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

constexpr int kBatch = 128;                          // records held at a time
constexpr int kSubtiles = 4;                         // in a tile
constexpr int kSubtilePixels = kSubtile * kSubtile;  // 64
constexpr int kVectors = kSubtilePixels / kLanes;    // vectors a sub-tile takes
constexpr int kRowsPerVector = kLanes / kSubtile;    // pixel rows in a vector

// Geometry of one tile of a picture.
struct Tile {
    int x, y;  // first pixel
    int width, height;

    Tile(int index, int tiles_x, int width, int height)
        : x(index % tiles_x * kTile), y(index / tiles_x * kTile), width(width), height(height) {}
    int subtile_x(int sub) const { return x + (sub & 1) * kSubtile; }
    int subtile_y(int sub) const { return y + (sub >> 1) * kSubtile; }
};

// Positions of the pixels of a sub-tile's first vector, counted from its first pixel.
struct PixelLanes {
    vfloat x, y;
    PixelLanes() {
        alignas(64) float px[kLanes], py[kLanes];
        for (int l = 0; l < kLanes; l++) {
            px[l] = (float)(l % kSubtile);
            py[l] = (float)(l / kSubtile);
        }
        x = load(px);
        y = load(py);
    }
};

struct Batch {
    alignas(64) Record records[kBatch];
    alignas(64) uint32_t masks[kBatch];  // sub-tiles each record reaches, in the four low bits
    uint8_t source[kBatch];              // the record's place among the entries it came from
    uint8_t list[kSubtiles][kBatch + 8];
    int length[kSubtiles];
    int count;

    // Copies the records of up to kBatch entries.
    void copy(const Record* all, const uint32_t* entries, int64_t remaining) {
        count = (int)std::min<int64_t>(kBatch, remaining);
        for (int k = 0; k < count; k++) memcpy(&records[k], &all[entries[k] & kEntryIdMask], sizeof(Record));
    }

    // Copies the records of those entries in which a forward pass has marked sub-tiles, with the marks as masks.
    void copy_marked(const Record* all, const uint32_t* entries, int64_t remaining) {
        const int taken = (int)std::min<int64_t>(kBatch, remaining);
        count = 0;
        for (int k = 0; k < taken; k++) {
            source[count] = (uint8_t)k;
            masks[count] = entries[k] >> kEntryIdBits;
            count += masks[count] != 0;
        }
        for (int k = 0; k < count; k++) memcpy(&records[k], &all[entries[source[k]] & kEntryIdMask], sizeof(Record));
    }

    // Which sub-tiles hold a pixel centre's neighbourhood where alpha can reach its floor: the largest value of
    // log2(alpha) over the sub-tile's square of pixel centres, exact for an ellipse.
    void test(float tile_x, float tile_y) {
        alignas(64) float columns[6][kBatch];
        for (int k = 0; k < count; k++) {
            const Record& r = records[k];
            columns[0][k] = r.x - tile_x;
            columns[1][k] = r.y - tile_y;
            columns[2][k] = r.a;
            columns[3][k] = r.b;
            columns[4][k] = r.c;
            columns[5][k] = r.log2_opacity;
        }
        const vfloat floor = broadcast(kLog2AlphaFloor);
        for (int k = 0; k < count; k += kLanes) {
            const vfloat x = load(columns[0] + k), y = load(columns[1] + k), a = load(columns[2] + k),
                         b = load(columns[3] + k), c = load(columns[4] + k), opacity = load(columns[5] + k);
            const vfloat x_of_y = -0.5f * b / a, y_of_x = -0.5f * b / c;  // the ridge lines
            vint mask = {};
            for (int sub = 0; sub < kSubtiles; sub++) {
                const vfloat left = (float)((sub & 1) * kSubtile) - x, right = left + (kSubtile - 1.0f);
                const vfloat top = (float)((sub >> 1) * kSubtile) - y, bottom = top + (kSubtile - 1.0f);
                const vfloat most = largest_exponent(a, b, c, x_of_y, y_of_x, left, right, top, bottom);
                mask |= (most + opacity >= floor) & (1 << sub);
            }
            memcpy(masks + k, &mask, sizeof mask);
        }
    }

    // One list of records per sub-tile, without branches.
    void make_lists() {
        for (int sub = 0; sub < kSubtiles; sub++) {
            int n = 0;
            for (int k = 0; k < count; k++) {
                list[sub][n] = (uint8_t)k;
                n += (int)(masks[k] >> sub & 1);
            }
            length[sub] = n;
        }
    }
};

// Asks for the records that the next copy will read.
GSRECON_INLINE void prefetch_records(const Record* all, const uint32_t* entries, int64_t remaining) {
    const int64_t count = std::min<int64_t>(kBatch, remaining);
    for (int64_t k = 0; k < count; k++) {
        const char* record = reinterpret_cast<const char*>(&all[entries[k] & kEntryIdMask]);
        __builtin_prefetch(record);
        __builtin_prefetch(record + sizeof(Record) - 1);
    }
}

// log2(alpha) of one record over a sub-tile: a dx^2 + (b dx) dy + c dy^2 + log2(opacity), vector by vector.
struct Exponent {
    vfloat dx, dy, base, linear, c;
    Exponent(const Record& r, const PixelLanes& pixels, float x, float y)
        : dx(pixels.x - broadcast(r.x - x)),
          dy(pixels.y - broadcast(r.y - y)),
          base(fma(broadcast(r.a) * dx, dx, broadcast(r.log2_opacity))),
          linear(broadcast(r.b) * dx),
          c(broadcast(r.c)) {}
    vfloat row(int v) const { return v ? dy + broadcast((float)(v * kRowsPerVector)) : dy; }
    vfloat at(vfloat y) const { return fma(fma(c, y, linear), y, base); }
};

}  // namespace GSRECON_ISA
}  // namespace gsrecon
