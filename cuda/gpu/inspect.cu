// The object with the most blend weight in every pixel, and the median depth. No gradient.
#include "gpu/tile.h"

namespace gsrecon::gpu {
namespace {

constexpr int kBlocks = 4;  // on a multiprocessor: at most 64 registers
constexpr int kSlots = 8;   // objects a pixel can tell apart

// The objects a pixel meets, in order from the front, with their summed weights. For a ninth the lightest makes room,
// which would have to outweigh all others from then on.
struct PixelObjects {
    int32_t id[kSlots];
    float weight[kSlots];

    __device__ __forceinline__ PixelObjects() {
        for (int i = 0; i < kSlots; i++) {
            id[i] = -1;
            weight[i] = 0.0f;
        }
    }
    __device__ __forceinline__ void add(int32_t object, float w) {
        bool placed = false;
#pragma unroll
        for (int i = 0; i < kSlots; i++) {
            const bool here = !placed && (id[i] == object || id[i] < 0);
            id[i] = here ? object : id[i];
            weight[i] += here ? w : 0.0f;
            placed |= here;
        }
        if (placed) return;
        float least = weight[0];
#pragma unroll
        for (int i = 1; i < kSlots; i++) least = minimum(least, weight[i]);
#pragma unroll
        for (int i = 0; i < kSlots; i++) {
            const bool here = !placed && weight[i] == least;
            id[i] = here ? object : id[i];
            weight[i] = here ? w : weight[i];
            placed |= here;
        }
    }
    // The heaviest object; the transmittance that is left competes as -1; ties go to the front.
    __device__ __forceinline__ int32_t heaviest(float transmittance) const {
        int32_t best = -1;
        float most = -1.0f;
#pragma unroll
        for (int i = 0; i < kSlots; i++)
            if (id[i] >= 0 && weight[i] > most) {
                most = weight[i];
                best = id[i];
            }
        return most >= transmittance ? best : -1;
    }
};

__global__ void __launch_bounds__(kTileThreads, kBlocks)
    inspect_kernel(CompositeInputs in, TileLists lists, const int32_t* object_index, InspectOutputs out) {
    __shared__ RecordBatch batch;
    __shared__ ReachedRecords reached[kTileWarps];
    __shared__ int32_t objects[kTileThreads];
    __shared__ float depths[kTileThreads];
    const TilePixel at(in, lists, blockIdx.x);
    ReachedRecords& of_warp = reached[warp_index()];
    float t = at.inside ? 1.0f : -1.0f, median_depth = 0.0f;
    PixelObjects seen;
    const auto blend = [&](int k) {
        const float before = t;
        const Blend blend(batch.records[k], at.x, at.y, t);
        if (!blend.used()) return;
        seen.add(objects[k], blend.weight);
        if (before > 0.5f && before - blend.weight <= 0.5f) median_depth = depths[k];
    };
    const auto fetch_object = [&](int place, int64_t, uint32_t) {
        const int32_t gaussian = batch.records[place].gaussian;
        objects[place] = object_index ? object_index[gaussian] : 0;
        depths[place] = in.depths[at.camera * in.n + gaussian];
    };
    unsigned alive = __ballot_sync(kAllLanes, t > 0.0f);
    walk_records(at, lists, batch, alive, fetch_object, [&](int count) {
        for (int group = 0; group < count && alive; group += ReachedRecords::kGroup) {
            const int total = of_warp.list(batch, group, count, PixelBox(at, alive));
            for (int i = 0; i < total && alive; i += 2) {
                const RecordPair k = of_warp.pairs[i / 2];
                blend(k.first);
                blend(k.second);
                alive = __ballot_sync(kAllLanes, t > 0.0f);
            }
            alive = __ballot_sync(kAllLanes, t > 0.0f);
        }
    });
    if (!at.inside) return;
    if (out.ids) out.ids[at.pixel] = seen.heaviest(fabsf(t));
    if (out.median_depth) out.median_depth[at.pixel] = median_depth;
}

}  // namespace

void inspect(const CompositeInputs& in, const TileLists& lists, const int32_t* object_index, const InspectOutputs& out,
             Stream stream) {
    const int64_t tiles = all_tiles(in);
    launch("inspect", inspect_kernel, tiles, kTileThreads, stream, in, lists, object_index, out);
}

}  // namespace gsrecon::gpu
