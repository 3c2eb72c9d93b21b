// The gradient of blending, front to back again with the state (T, S) of cpu/composite_vjp.cpp.
//
// A warp sums what a record collects over its 32 pixels with shuffles, all sums at once, so that one instruction adds
// them to the record's row of sums: no atomic addition per pixel. Or, where every run has to give the same bits, each
// entry of a tile gets its own row, the tile's warps are added in their order, and each record's entries in theirs.
#include "gpu/tile.h"
#include "gpu/warp.h"

namespace gsrecon::gpu {
namespace {

constexpr int kBlocks = 3;   // on a multiprocessor: at most 80 registers
constexpr int kSome = 16;    // channels whose gradients a block sums where the records do not hold them all
constexpr int kMoments = 6;  // of s = alpha dL/d(alpha): 1, dx, dy, dx^2, dx dy, dy^2
constexpr int kThreads = 256;

enum Moment { kOne, kDx, kDy, kDxDx, kDxDy, kDyDy };

// A record's row of sums: moments, |dL/dx| and |dL/dy| where wanted, channels.
struct SumsLayout {
    int channels;  // with the depth
    bool absgrad;
    __host__ __device__ int first_channel() const { return kMoments + 2 * absgrad; }
    __host__ __device__ int stride() const { return (first_channel() + channels + 3) & ~3; }
};

// What a pixel carries.
template <int D> struct PixelState {
    float t = -1.0f, behind = 0.0f, v_alpha = 0.0f, v_depth = 0.0f, g[D > 0 ? D : 1] = {};

    __device__ __forceinline__ PixelState(const TilePixel& at, const DrawnPictures& drawn, const DrawnPictures& v,
                                          int channels, int first_channel) {
        if (!at.inside) return;
        const PixelGradient pixel(drawn, v, at.pixel);
        t = 1.0f, behind = pixel.behind, v_alpha = pixel.v_alpha, v_depth = pixel.v_depth;
#pragma unroll
        for (int d = 0; d < D; d++)
            if (first_channel + d < channels) g[d] = channel_gradient(v, at.pixel, first_channel + d, v_depth);
    }
};

// What one record collects at one pixel. D channels are summed; `moments`, too, for which the colours' share in the
// pixel's gradient, c . g, is needed in full.
template <int D, bool moments, bool absgrad>
__device__ __forceinline__ bool collect(const Record& r, const TilePixel& at, const RecordChannels& all,
                                        const DrawnPictures& v, int channels, PixelState<D>& state, float* values) {
    const Blend blend(r, at.x, at.y, state.t);
    int next = 0;
    if constexpr (moments) {
        float along = state.v_alpha;
        if constexpr (D > 0) {
#pragma unroll
            for (int d = 0; d < D; d++) along += r.channel[d] * state.g[d];
        } else if (blend.used) {
            for (int d = 0; d < channels; d++) along += all.of(r, d) * channel_gradient(v, at.pixel, d, state.v_depth);
        }
        const float gained = blend.weight * along;
        state.behind -= gained;
        const float lost = gained - __fdividef(blend.alpha, 1.0f - blend.alpha) * state.behind;
        const float s = blend.used && blend.raw <= kAlphaCeiling ? lost : 0.0f;
        const float sx = s * blend.dx, sy = s * blend.dy;
        values[kOne] = s, values[kDx] = sx, values[kDy] = sy;
        values[kDxDx] = sx * blend.dx, values[kDxDy] = sx * blend.dy, values[kDyDy] = sy * blend.dy;
        next = kMoments;
        if constexpr (absgrad) {
            // of the centre in this pixel, in units of log2(e)
            values[next++] = fabsf(s * (2.0f * r.a * blend.dx + r.b * blend.dy));
            values[next++] = fabsf(s * (2.0f * r.c * blend.dy + r.b * blend.dx));
        }
    }
#pragma unroll
    for (int d = 0; d < D; d++) values[next + d] = blend.weight * state.g[d];
    return blend.used;
}

// The sums of a group of 32 records, warp by warp, until the block has added them up.
template <int count> struct GroupSums {
    float values[kTileWarps][kWarp][count];
    unsigned touched[kTileWarps];  // records of the group that the warp has summed
};

// slots: rows of sums belong to entries, else to records and are shared by atomic addition.
template <int D, bool moments, bool absgrad, bool slots>
__global__ void __launch_bounds__(kTileThreads, kBlocks)
    sums_kernel(CompositeInputs in, TileLists lists, TileSlots places, SumsLayout layout, DrawnPictures drawn,
                DrawnPictures v, int64_t tiles, float* sums) {
    constexpr int count = (moments ? kMoments + 2 * absgrad : 0) + D;
    __shared__ Record records[kTileThreads];
    __shared__ int rows[kTileThreads];
    __shared__ GroupSums<slots ? count : 1> group_sums;
    const TilePixel at(in, lists, blockIdx.x % tiles);
    const int first_channel = moments ? 0 : (int)(blockIdx.x / tiles) * D;
    const int first_sum = moments ? 0 : layout.first_channel() + first_channel;
    const int lane = lane_index(), warp = (int)threadIdx.x / kWarp, slot = slot_of_lane<count>(lane);
    const bool wanted = slot >= 0 && first_sum + slot < layout.first_channel() + layout.channels;
    const RecordChannels all(in, at.camera);
    PixelState<D> state(at, drawn, v, layout.channels, first_channel);
    bool finished = false;  // the whole warp
    for (int64_t first = at.begin; first < at.end; first += kTileThreads) {
        if (__syncthreads_count(finished) == kTileThreads) break;
        const int batch = (int)minimum((int64_t)kTileThreads, at.end - first), own = (int)threadIdx.x;
        if (own < batch) {
            const uint32_t record = lists.entries[first + own];
            copy_record(lists.records + record, &records[own]);
            rows[own] = slots ? places.entry_slots[first + own] : (int)record;
        }
        __syncthreads();
        for (int group = 0; group < batch && (slots || !finished); group += kWarp) {
            unsigned touched = 0;
            if (!finished) {
                const bool reached = group + lane < batch && reaches(records[group + lane], at);
                for (unsigned left = __ballot_sync(kAllLanes, reached); left; left &= left - 1) {
                    const int k = __ffs(left) - 1;
                    const Record& r = records[group + k];
                    float values[count];
                    const bool used = collect<D, moments, absgrad>(r, at, all, v, layout.channels, state, values);
                    if (!__any_sync(kAllLanes, used)) continue;
                    const float sum = transposed_sums<count>(values, lane);
                    if constexpr (slots) {
                        touched |= 1u << k;
                        if (wanted) group_sums.values[warp][k][slot] = sum;
                    } else if (wanted) {
                        atomicAdd(sums + (int64_t)rows[group + k] * layout.stride() + first_sum + slot, sum);
                    }
                }
                finished = __all_sync(kAllLanes, state.t < 0.0f);
            }
            if constexpr (slots) {
                if (lane == 0) group_sums.touched[warp] = touched;
                __syncthreads();
                for (int i = (int)threadIdx.x; i < kWarp * count; i += kTileThreads) {
                    const int k = i / count, j = i % count;
                    float sum = 0.0f;
                    bool any = false;
                    for (int w = 0; w < kTileWarps; w++)
                        if (group_sums.touched[w] >> k & 1) {
                            sum += group_sums.values[w][k][j];
                            any = true;
                        }
                    if (any && first_sum + j < layout.first_channel() + layout.channels)
                        sums[(int64_t)rows[group + k] * layout.stride() + first_sum + j] = sum;
                }
                __syncthreads();
            }
        }
    }
}

// Adds up a record's rows where it has one an entry, and turns moments into gradients. One thread a record.
// camera >= 0: only this camera's records, whose colours' gradients are added to what is there.
__global__ void __launch_bounds__(kThreads, kBlocks)
    gradient_kernel(CompositeInputs in, TileLists lists, TileSlots places, SumsLayout layout, const float* sums,
                    CompositeGradients out, int64_t only_camera) {
    const int64_t i = thread_index() + (only_camera >= 0 ? lists.camera_records[only_camera] : 0);
    const int64_t end = lists.camera_records[only_camera >= 0 ? only_camera + 1 : in.c];
    if (i >= end || i >= places.records) return;
    int64_t camera = only_camera;
    if (camera < 0)
        for (camera = 0; lists.camera_records[camera + 1] <= i;) camera++;
    const Record r = lists.records[i];
    const int stride = layout.stride(), entries = places.record_entries ? places.record_entries[i] : 1;
    const float* own = sums + (places.record_entries ? (int64_t)r.first_slot : i) * stride;
    const auto total = [&](int k) {
        float sum = 0.0f;
#pragma unroll 2
        for (int e = 0; e < entries; e++) sum += own[(int64_t)e * stride + k];
        return sum;
    };
    const int64_t g = camera * in.n + r.gaussian;
    const float a = r.a * (-2.0f / kLog2E), b = r.b * (-1.0f / kLog2E), c = r.c * (-2.0f / kLog2E);
    const float dx = total(kDx), dy = total(kDy);
    out.means2d[2 * g] = a * dx + b * dy;
    out.means2d[2 * g + 1] = b * dx + c * dy;
    out.conics[3 * g] = -0.5f * total(kDxDx);
    out.conics[3 * g + 1] = -total(kDxDy);
    out.conics[3 * g + 2] = -0.5f * total(kDyDy);
    out.opacities[g] = total(kOne) * exp2f(-r.log2_opacity);
    const bool shared = !in.colors_per_camera;
    float* colors = out.colors + (shared ? r.gaussian : g) * in.channels;
    for (int d = 0; d < in.channels; d++) colors[d] = total(layout.first_channel() + d) + (shared ? colors[d] : 0.0f);
    if (out.depths) out.depths[g] = in.with_depth ? total(layout.first_channel() + in.channels) : 0.0f;
    if (out.absgrad)
        for (int j = 0; j < 2; j++) out.absgrad[2 * g + j] = total(kMoments + j) / kLog2E;
}

SumsLayout layout_of(const CompositeInputs& in, bool absgrad) { return {in.channels + in.with_depth, absgrad}; }

int64_t sums_floats(const CompositeInputs& in, const TileSlots& places, bool absgrad) {
    return (places.entry_slots ? places.entries : places.records) * layout_of(in, absgrad).stride();
}

// Calls `run` with two flags as constants.
template <class Run> void with_flags(bool first, bool second, Run run) {
    const auto inner = [&](auto constant) {
        second ? run(constant, std::true_type{}) : run(constant, std::false_type{});
    };
    first ? inner(std::true_type{}) : inner(std::false_type{});
}

}  // namespace

size_t composite_vjp_workspace(const CompositeInputs& in, const TileSlots& places, bool absgrad) {
    Workspace work;
    work.take<float>(sums_floats(in, places, absgrad));
    return work.used();
}

void composite_vjp(const CompositeInputs& in, const TileLists& lists, const TileSlots& places,
                   const DrawnPictures& drawn, const DrawnPictures& v, const CompositeGradients& out, void* workspace,
                   size_t bytes, Stream stream) {
    const SumsLayout layout = layout_of(in, out.absgrad != nullptr);
    const int64_t floats = sums_floats(in, places, layout.absgrad), cells = in.c * in.n;
    float* sums = Workspace(workspace, bytes).take<float>(floats);
    clear(sums, (size_t)floats * sizeof(float), stream);
    clear(out.means2d, (size_t)cells * 2 * sizeof(float), stream);
    clear(out.conics, (size_t)cells * 3 * sizeof(float), stream);
    clear(out.opacities, (size_t)cells * sizeof(float), stream);
    clear(out.colors, (size_t)((in.colors_per_camera ? cells : in.n) * in.channels) * sizeof(float), stream);
    if (out.depths) clear(out.depths, (size_t)cells * sizeof(float), stream);
    if (out.absgrad) clear(out.absgrad, (size_t)cells * 2 * sizeof(float), stream);

    const int64_t tiles = all_tiles(in);
    const auto run = [&](auto* kernel, int64_t passes) {
        launch("composite_vjp", kernel, tiles * passes, kTileThreads, stream, in, lists, places, layout, drawn, v,
               tiles, sums);
    };
    with_flags(layout.absgrad, places.entry_slots != nullptr, [&](auto absgrad, auto slots) {
        if (layout.channels == 3) return run(sums_kernel<3, true, absgrad.value, slots.value>, 1);
        if (layout.channels == 4) return run(sums_kernel<4, true, absgrad.value, slots.value>, 1);
        run(sums_kernel<0, true, absgrad.value, slots.value>, 1);
        run(sums_kernel<kSome, false, false, slots.value>, blocks_for(layout.channels, kSome));
    });

    const bool camera_by_camera = !in.colors_per_camera && in.c > 1;  // their colours are the same rows
    for (int64_t camera = 0; camera < (camera_by_camera ? in.c : 1); camera++)
        launch("composite_gradients", gradient_kernel,
               blocks_for(camera_by_camera ? minimum(places.records, in.n) : places.records, kThreads), kThreads,
               stream, in, lists, places, layout, sums, out, camera_by_camera ? camera : (int64_t)-1);
}

}  // namespace gsrecon::gpu
