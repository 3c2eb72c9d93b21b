// Front-to-back blending: a block a tile, a thread a pixel.
#include "gpu/tile.h"

namespace gsrecon::gpu {
namespace {

constexpr int kBlocks = 4;  // on a multiprocessor: at most 64 registers
constexpr int kSome = 8;    // channels a block blends where the records do not hold them all

// Blends `D` channels from `first_channel` on. in_record: they stand in the record.
template <int D, bool in_record>
__global__ void __launch_bounds__(kTileThreads, kBlocks)
    composite_kernel(CompositeInputs in, TileLists lists, unsigned tiles, Pictures out) {
    __shared__ RecordBatch batch;
    __shared__ ReachedRecords reached[kTileWarps];
    __shared__ float values[in_record ? 1 : kTileThreads + 1][D];
    const TilePixel at(in, lists, blockIdx.x % tiles);
    const int first_channel = (int)(blockIdx.x / tiles) * D, channels = in.channels + in.with_depth;
    const RecordChannels all(in, at.camera);
    ReachedRecords& of_warp = reached[warp_index()];
    float t = at.inside ? 1.0f : -1.0f, sums[D] = {};
    const auto blend = [&](int k) {
        const Record& r = batch.records[k];
        const Blend blend(r, at.x, at.y, t);
#pragma unroll
        for (int d = 0; d < D; d++) sums[d] += blend.weight * (in_record ? r.channel[d] : values[k][d]);
    };
    if constexpr (!in_record)
        if (threadIdx.x < D) values[kNoRecord][threadIdx.x] = 0.0f;
    const auto fetch_channels = [&](int place, int64_t, uint32_t) {
        if constexpr (!in_record) {
            const Record& r = batch.records[place];
            float of_record[D];  // all of them, before any is stored: their loads are under way together
#pragma unroll
            for (int d = 0; d < D; d++)
                of_record[d] = first_channel + d < channels ? all.of(r, first_channel + d) : 0.0f;
#pragma unroll
            for (int d = 0; d < D; d++) values[place][d] = of_record[d];
        }
    };
    unsigned alive = __ballot_sync(kAllLanes, t > 0.0f);  // lanes whose pixels have not ended
    walk_records(at, lists, batch, alive, fetch_channels, [&](int count) {
        for (int group = 0; group < count && alive; group += ReachedRecords::kGroup) {
            const int total = of_warp.list(batch, group, count, PixelBox(at, alive));
            int i = 0;
            for (; i + 4 <= total && alive; i += 4) {
                const RecordPair k = of_warp.pairs[i / 2], l = of_warp.pairs[i / 2 + 1];
                blend(k.first);
                blend(k.second);
                blend(l.first);
                blend(l.second);
                alive = __ballot_sync(kAllLanes, t > 0.0f);
            }
            for (; i < total && alive; i += 2) {
                const RecordPair k = of_warp.pairs[i / 2];
                blend(k.first);
                blend(k.second);
            }
            alive = __ballot_sync(kAllLanes, t > 0.0f);
        }
    });
    if (!at.inside) return;
    const float alpha = 1.0f - fabsf(t);
#pragma unroll
    for (int d = 0; d < D; d++)
        if (first_channel + d < channels) write_channel(out, at.pixel, first_channel + d, sums[d], alpha);
    if (first_channel == 0) out.alpha[at.pixel] = alpha;
}

}  // namespace

void composite(const CompositeInputs& in, const TileLists& lists, const Pictures& out, Stream stream) {
    const int channels = in.channels + in.with_depth;
    const int64_t tiles = all_tiles(in);
    const auto run = [&](auto* kernel, int64_t passes) {
        launch("composite", kernel, tiles * passes, kTileThreads, stream, in, lists, (unsigned)tiles, out);
    };
    if (channels == 3)
        run(composite_kernel<3, true>, 1);
    else if (channels == 4)
        run(composite_kernel<4, true>, 1);
    else
        run(composite_kernel<kSome, false>, blocks_for(channels, kSome));
}

}  // namespace gsrecon::gpu
