// Front-to-back blending, tile by tile: a sub-tile's 64 pixels stay in registers while its list of Gaussians runs past.
// The forward pass notes in each entry the sub-tiles where it changed a pixel; the backward pass walks only those.
#include "cpu/composite.h"

#include <omp.h>

#include <vector>

#include "cpu/kernels.h"
#include "cpu/tile.h"

namespace gsrecon {
inline namespace GSRECON_ISA {
namespace {

// What a sub-tile carries from batch to batch. A finished pixel holds -T: its next transmittance is negative and fails
// the stop rule by itself.
struct SubtileState {
    alignas(64) float transmittance[kSubtilePixels];
    bool alive;
};

// Blends a batch's list into one sub-tile. D > 0: that many channels, held in registers; D = 0: any number, in `sums`.
template <int D>
void blend(Batch& batch, int sub, const Channels& channels, const PixelLanes& pixels, float x, float y,
           SubtileState& state, float* sums) {
    vfloat t[kVectors], c[D > 0 ? D : 1][kVectors];
    for (int v = 0; v < kVectors; v++) t[v] = load(state.transmittance + v * kLanes);
    for (int d = 0; d < D; d++)
        for (int v = 0; v < kVectors; v++) c[d][v] = load(sums + d * kSubtilePixels + v * kLanes);
    const vfloat floor = broadcast(kLog2AlphaFloor), ceiling = broadcast(kAlphaCeiling),
                 stop = broadcast(kTransmittanceStop);

    for (int i = 0; i < batch.length[sub]; i++) {
        const int k = batch.list[sub][i];
        const Record& r = batch.records[k];
        const Exponent e(r, pixels, x, y);
        vmask touched{};
        vfloat weight[kVectors];
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; v++) {
            const vfloat p = e.at(e.row(v));
            const vmask hit = at_least(p, floor);
            const vfloat alpha = smaller(exp2(p), ceiling);
            const vmask used = and_above(hit, negative_fma(alpha, t[v], t[v]), stop);
            touched = either(touched, and_above(hit, t[v], vfloat{}));  // blended into, or finished by it
            weight[v] = where(used, alpha * t[v]);
            t[v] = negate_unused(t[v] - weight[v], hit, used);
            if constexpr (D > 0)
                for (int d = 0; d < D; d++) c[d][v] = fma(weight[v], broadcast(r.channel[d]), c[d][v]);
        }
        const bool matters = bits(touched) != 0;
        batch.masks[k] &= ~((uint32_t)!matters << sub);
        if constexpr (D == 0) {
            if (!matters) continue;
            for (int d = 0; d < channels.count; d++) {
                const vfloat value = broadcast(channels.of(r, d));
                float* sum = sums + d * kSubtilePixels;
                for (int v = 0; v < kVectors; v++)
                    store(sum + v * kLanes, fma(weight[v], value, load(sum + v * kLanes)));
            }
        }
    }
    state.alive = false;
    for (int v = 0; v < kVectors; v++) {
        state.alive |= sign_bits(t[v]) != (uint32_t)((1ull << kLanes) - 1);
        store(state.transmittance + v * kLanes, t[v]);
    }
    for (int d = 0; d < D; d++)
        for (int v = 0; v < kVectors; v++) store(sums + d * kSubtilePixels + v * kLanes, c[d][v]);
}

template <int D>
void write_pixels(const Tile& tile, int sub, int count, const SubtileState& state, const float* sums,
                  int64_t first_pixel, const Pictures& out) {
    const int channels = D > 0 ? D : count;
    const int x0 = tile.subtile_x(sub), y0 = tile.subtile_y(sub);
    const int columns = std::min(kSubtile, tile.width - x0), rows = std::min(kSubtile, tile.height - y0);
    for (int j = 0; j < rows; j++) {
        const int64_t first = first_pixel + (int64_t)(y0 + j) * tile.width + x0;
        const float *row = sums + j * kSubtile, *t = state.transmittance + j * kSubtile;
        for (int i = 0; i < columns; i++) {
            const float alpha = 1.0f - std::fabs(t[i]);
            for (int d = 0; d < channels; d++) write_channel(out, first + i, d, row[d * kSubtilePixels + i], alpha);
            out.alpha[first + i] = alpha;
        }
    }
}

template <int D>
void composite_camera(const CompositeInputs& in, const TileLists& lists, int64_t camera, const Pictures& out) {
    const int tiles_x = (in.width + kTile - 1) / kTile, tiles = tiles_x * ((in.height + kTile - 1) / kTile);
    const Channels channels(in, camera);
    const int64_t* tile_entries = lists.tile_entries + camera * tiles;
#pragma omp parallel
    {
        const auto batch = std::make_unique<Batch>();
        std::vector<float> sums((size_t)(kSubtiles * kSubtilePixels * channels.count));
        const PixelLanes pixels;
#pragma omp for schedule(dynamic, 4)
        for (int index = 0; index < tiles; index++) {
            const Tile tile(index, tiles_x, in.width, in.height);
            SubtileState states[kSubtiles];
            std::fill(sums.begin(), sums.end(), 0.0f);
            int alive = 0;
            for (int sub = 0; sub < kSubtiles; sub++) {
                // Pixels beyond the picture's edge are finished from the start.
                SubtileState& s = states[sub];
                for (int p = 0; p < kSubtilePixels; p++)
                    s.transmittance[p] =
                        tile.subtile_x(sub) + p % kSubtile < in.width && tile.subtile_y(sub) + p / kSubtile < in.height
                            ? 1.0f
                            : -1.0f;
                s.alive = tile.subtile_x(sub) < in.width && tile.subtile_y(sub) < in.height;
                alive += s.alive;
            }
            if (index + 1 < tiles)
                prefetch_records(lists.records, lists.entries + tile_entries[index + 1],
                                 tile_entries[index + 2] - tile_entries[index + 1]);
            for (int64_t first = tile_entries[index]; first < tile_entries[index + 1] && alive; first += kBatch) {
                const int64_t end = tile_entries[index + 1], next = first + kBatch;
                batch->copy(lists.records, lists.entries + first, end - first);
                if (next < end) prefetch_records(lists.records, lists.entries + next, end - next);
                batch->test((float)tile.x, (float)tile.y);
                batch->make_lists();
                alive = 0;
                for (int sub = 0; sub < kSubtiles; sub++) {
                    if (states[sub].alive)
                        blend<D>(*batch, sub, channels, pixels, (float)tile.subtile_x(sub), (float)tile.subtile_y(sub),
                                 states[sub], &sums[(size_t)(sub * kSubtilePixels * channels.count)]);
                    else
                        for (int k = 0; k < batch->count; k++) batch->masks[k] &= ~(1u << sub);
                    alive += states[sub].alive;
                }
                for (int k = 0; k < batch->count; k++) lists.entries[first + k] |= batch->masks[k] << kEntryIdBits;
            }
            for (int sub = 0; sub < kSubtiles; sub++)
                write_pixels<D>(tile, sub, channels.count, states[sub],
                                &sums[(size_t)(sub * kSubtilePixels * channels.count)], camera * in.width * in.height,
                                out);
        }
    }
}

}  // namespace

void composite(const CompositeInputs& in, const TileLists& lists, const Pictures& out) {
    const int channels = in.channels + in.with_depth;
    const auto run = channels == 1   ? composite_camera<1>
                     : channels == 3 ? composite_camera<3>
                     : channels == 4 ? composite_camera<4>
                                     : composite_camera<0>;
    for (int64_t camera = 0; camera < in.c; camera++) run(in, lists, camera, out);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
