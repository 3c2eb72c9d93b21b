// Front-to-back blending: a block a tile, a thread a pixel.
#include "gpu/tile.h"

namespace gsrecon::gpu {
namespace {

constexpr int kBlocks = 4;  // on a multiprocessor: at most 64 registers
constexpr int kSome = 8;    // channels a block blends where the records do not hold them all

// Blends `D` channels from `first_channel` on. in_record: they stand in the record.
template <int D, bool in_record>
__global__ void __launch_bounds__(kTileThreads, kBlocks)
    composite_kernel(CompositeInputs in, TileLists lists, int64_t tiles, Pictures out) {
    __shared__ Record records[kTileThreads];
    __shared__ float values[in_record ? 1 : kTileThreads][D];
    const TilePixel at(in, lists, blockIdx.x % tiles);
    const int first_channel = (int)(blockIdx.x / tiles) * D, channels = in.channels + in.with_depth;
    const int lane = lane_index();
    const RecordChannels all(in, at.camera);
    float t = at.inside ? 1.0f : -1.0f, sums[D] = {};
    bool finished = false;  // the whole warp
    for (int64_t first = at.begin; first < at.end; first += kTileThreads) {
        // Nobody is still reading the records of the batch before once all have arrived here.
        if (__syncthreads_count(finished) == kTileThreads) break;
        const int count = (int)minimum((int64_t)kTileThreads, at.end - first), own = (int)threadIdx.x;
        if (own < count) {
            copy_record(lists.records + lists.entries[first + own], &records[own]);
            if constexpr (!in_record)
                for (int d = 0; d < D; d++)
                    values[own][d] = first_channel + d < channels ? all.of(records[own], first_channel + d) : 0.0f;
        }
        __syncthreads();
        for (int group = 0; group < count && !finished; group += kWarp) {
            const bool reached = group + lane < count && reaches(records[group + lane], at);
            for (unsigned left = __ballot_sync(kAllLanes, reached); left; left &= left - 1) {
                const int k = group + __ffs(left) - 1;
                const Record& r = records[k];
                const Blend blend(r, at.x, at.y, t);
#pragma unroll
                for (int d = 0; d < D; d++) sums[d] += blend.weight * (in_record ? r.channel[d] : values[k][d]);
            }
            finished = __all_sync(kAllLanes, t < 0.0f);
        }
    }
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
        launch("composite", kernel, tiles * passes, kTileThreads, stream, in, lists, tiles, out);
    };
    if (channels == 3)
        run(composite_kernel<3, true>, 1);
    else if (channels == 4)
        run(composite_kernel<4, true>, 1);
    else
        run(composite_kernel<kSome, false>, blocks_for(channels, kSome));
}

}  // namespace gsrecon::gpu
