// What a picture shows where: the object with the most blend weight in every pixel, and the median depth. No gradient.
#include <omp.h>

#include <algorithm>
#include <bit>

#include "cpu/composite.h"
#include "cpu/kernels.h"
#include "cpu/tile.h"

namespace gsrecon {
inline namespace GSRECON_ISA {
namespace {

constexpr int kSlots = 8;  // objects a pixel can tell apart

// The objects a pixel meets, in order from the front, with their summed weights. For a ninth the lightest makes room,
// which would have to outweigh all others from then on.
struct PixelObjects {
    int32_t id[kSlots];
    float weight[kSlots];
    int used = 0;

    void add(int32_t object, float w) {
        for (int i = 0; i < used; i++)
            if (id[i] == object) {
                weight[i] += w;
                return;
            }
        const int slot = used < kSlots ? used++ : (int)(std::min_element(weight, weight + kSlots) - weight);
        id[slot] = object;
        weight[slot] = w;
    }

    // The heaviest object; the transmittance that is left competes as -1; ties go to the front.
    int32_t heaviest(float transmittance) const {
        int32_t best = -1;
        float most = -1.0f;
        for (int i = 0; i < used; i++)
            if (weight[i] > most) {
                most = weight[i];
                best = id[i];
            }
        return used && most >= transmittance ? best : -1;
    }
};

struct SubtileState {
    alignas(64) float transmittance[kSubtilePixels];
    PixelObjects objects[kSubtilePixels];
    float median_depth[kSubtilePixels];
};

void inspect_list(const Batch& batch, int sub, const PixelLanes& pixels, float x, float y, const int32_t* object_index,
                  const float* depths, SubtileState& state) {
    const vfloat floor = broadcast(kLog2AlphaFloor), ceiling = broadcast(kAlphaCeiling),
                 stop = broadcast(kTransmittanceStop);
    for (int i = 0; i < batch.length[sub]; i++) {
        const Record& r = batch.records[batch.list[sub][i]];
        const Exponent e(r, pixels, x, y);
        const int32_t object = object_index ? object_index[r.gaussian] : 0;
        for (int v = 0; v < kVectors; v++) {
            const vfloat t = load(state.transmittance + v * kLanes), p = e.at(e.row(v));
            const vmask hit = at_least(p, floor);
            const vfloat alpha = smaller(exp2(p), ceiling);
            const vmask used = and_above(hit, negative_fma(alpha, t, t), stop);
            const vfloat weight = where(used, alpha * t), after = negate_unused(t - weight, hit, used);
            alignas(64) float w[kLanes];
            store(w, weight);
            for (uint32_t lanes = bits(used); lanes; lanes &= lanes - 1) {
                const int l = std::countr_zero(lanes), pixel = v * kLanes + l;
                state.objects[pixel].add(object, w[l]);
                const float before = state.transmittance[pixel];
                if (before > 0.5f && before - w[l] <= 0.5f) state.median_depth[pixel] = depths[r.gaussian];
            }
            store(state.transmittance + v * kLanes, after);
        }
    }
}

void inspect_camera(const CompositeInputs& in, const TileLists& lists, int64_t camera, const int32_t* object_index,
                    int32_t* ids, float* median_depth) {
    const int tiles_x = (in.width + kTile - 1) / kTile, tiles = tiles_x * ((in.height + kTile - 1) / kTile);
    const int64_t* tile_entries = lists.tile_entries + camera * tiles;
#pragma omp parallel
    {
        const auto batch = std::make_unique<Batch>();
        const auto states = std::make_unique<SubtileState[]>(kSubtiles);
        const PixelLanes pixels;
#pragma omp for schedule(dynamic, 4)
        for (int index = 0; index < tiles; index++) {
            const Tile tile(index, tiles_x, in.width, in.height);
            for (int sub = 0; sub < kSubtiles; sub++)
                for (int p = 0; p < kSubtilePixels; p++) {
                    states[sub].transmittance[p] = 1.0f;
                    states[sub].objects[p].used = 0;
                    states[sub].median_depth[p] = 0.0f;
                }
            // The forward pass has left in each entry the sub-tiles where it matters.
            for (int64_t first = tile_entries[index]; first < tile_entries[index + 1]; first += kBatch) {
                batch->copy_marked(lists.records, lists.entries + first, tile_entries[index + 1] - first);
                batch->make_lists();
                for (int sub = 0; sub < kSubtiles; sub++)
                    inspect_list(*batch, sub, pixels, (float)tile.subtile_x(sub), (float)tile.subtile_y(sub),
                                 object_index, in.depths + camera * in.n, states[sub]);
            }
            for (int sub = 0; sub < kSubtiles; sub++)
                for (int p = 0; p < kSubtilePixels; p++) {
                    const int x = tile.subtile_x(sub) + p % kSubtile, y = tile.subtile_y(sub) + p / kSubtile;
                    if (x >= in.width || y >= in.height) continue;
                    const int64_t pixel = (int64_t)y * in.width + x;
                    if (ids) ids[pixel] = states[sub].objects[p].heaviest(std::fabs(states[sub].transmittance[p]));
                    if (median_depth) median_depth[pixel] = states[sub].median_depth[p];
                }
        }
    }
}

}  // namespace

void inspect(const CompositeInputs& in, const TileLists& lists, const int32_t* object_index,
             const InspectOutputs& out) {
    const int64_t pixels = (int64_t)in.width * in.height;
    for (int64_t camera = 0; camera < in.c; camera++)
        inspect_camera(in, lists, camera, object_index, out.ids ? out.ids + camera * pixels : nullptr,
                       out.median_depth ? out.median_depth + camera * pixels : nullptr);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
