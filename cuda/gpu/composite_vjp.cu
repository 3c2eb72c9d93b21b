// The gradient of blending, front to back again with the state (T, S) of cpu/composite_vjp.cpp.
//
// A warp sums what a record collects over its 32 pixels with shuffles, all sums at once, so that one instruction adds
// them to the record's row of sums: no atomic addition per pixel. Or, where every run has to give the same bits, each
// entry of a tile gets its own row, the tile's warps are added in their order, and each record's entries in theirs.
#include "gpu/record_sums.h"
#include "gpu/zeros.h"

namespace gsrecon::gpu {
namespace {

constexpr int kBlocks = 3;        // on a multiprocessor: at most 80 registers
constexpr int kMomentBlocks = 4;  // of those with moments and atomic additions, which do with 64
constexpr int kSome = 16;         // channels whose gradients a block sums where the records do not hold them all
constexpr int kThreads = 256;
constexpr int kFewRows = 32;  // of a record, that one thread adds up

// The sums of a group of records, warp by warp, until the block has added them up.
template <int count> struct GroupSums {
    float values[kTileWarps][ReachedRecords::kGroup][count];
    uint64_t touched[kTileWarps];  // records of the group that the warp has summed
};

// Adds the warps' sums in their order, and writes those of the group's records that any has touched. A few threads
// share a record.
template <int count>
__device__ __forceinline__ void write_group(const GroupSums<count>& group, const int* rows, int stride, int wanted,
                                            float* sums) {
    constexpr int kTeam = kTileThreads / ReachedRecords::kGroup;
    const int k = (int)threadIdx.x / kTeam;
    unsigned warps = 0;  // that have touched it
#pragma unroll
    for (int w = 0; w < kTileWarps; w++) warps |= (unsigned)(group.touched[w] >> k & 1) << w;
    if (!warps) return;
    float* row = sums + (int64_t)rows[k] * stride;
#pragma unroll 1
    for (int i = (int)threadIdx.x % kTeam; i < wanted; i += kTeam) {
        float sum = 0.0f;
#pragma unroll
        for (int w = 0; w < kTileWarps; w++)
            if (warps >> w & 1) sum += group.values[w][k][i];
        row[i] = sum;
    }
}

// slots: rows of sums belong to entries, else to records and are shared by atomic addition.
template <int D, bool moments, bool absgrad, bool slots>
__global__ void __launch_bounds__(kTileThreads, moments && !slots ? kMomentBlocks : kBlocks)
    sums_kernel(CompositeInputs in, TileLists lists, TileSlots places, SumsLayout layout, DrawnPictures drawn,
                DrawnPictures v, unsigned tiles, float* sums) {
    using Sums = RecordSums<D, moments, absgrad>;
    __shared__ RecordBatch batch;
    __shared__ int rows[kTileThreads];
    __shared__ ReachedRecords reached[kTileWarps];
    __shared__ GroupSums<slots ? Sums::kSums : 1> group_sums;
    const TilePixel at(in, lists, blockIdx.x % tiles);
    const int first_channel = moments ? 0 : (int)(blockIdx.x / tiles) * D;
    const int first_sum = moments ? 0 : layout.first_channel() + first_channel;
    const int lane = lane_index(), slot = Sums::sum_of_lane(lane);
    const int stride = moments && D > 0 ? SumsLayout{D, absgrad}.stride() : layout.stride();
    const int wanted = minimum(Sums::kSums, layout.first_channel() + layout.channels - first_sum);  // sums
    const bool has_sum = slot >= 0 && slot < wanted;
    const RecordChannels all(in, at.camera);
    PixelState<D> state(at, drawn, v, layout.channels, first_channel);
    ReachedRecords& of_warp = reached[warp_index()];
    float* const own_sums = sums + first_sum + (slot < 0 ? 0 : slot);
    uint64_t touched = 0;
    const auto add = [&](int group, int k, float sum) {
        if constexpr (slots) {
            touched |= uint64_t{1} << (k - group);
            if (has_sum) group_sums.values[warp_index()][k - group][slot] = sum;
        } else if (has_sum) {
            atomicAdd(own_sums + (int64_t)rows[k] * stride, sum);
        }
    };
    const auto blended = [&](int k) { return Sums(batch.records[k], at, all, v, layout.channels, state); };
    const auto add_one = [&](int group, int k) {
        Sums one = blended(k);
        if (__any_sync(kAllLanes, one.used)) add(group, k, one.summed(lane));
    };
    const auto add_two = [&](int group, RecordPair k) {
        Sums one = blended(k.first), other = blended(k.second);
        const bool has_one = __any_sync(kAllLanes, one.used), has_other = __any_sync(kAllLanes, other.used);
        if (has_one && has_other) {
            const float sum = one.summed(lane), other_sum = other.summed(lane);
            add(group, k.first, sum);
            add(group, k.second, other_sum);
        } else if (has_one || has_other) {
            one.become(other, has_other);
            add(group, has_one ? k.first : k.second, one.summed(lane));
        }
    };
    const auto fetch_row = [&](int place, int64_t entry, uint32_t record) {
        rows[place] = slots ? places.entry_slots[entry] : (int)record;
    };
    unsigned alive = __ballot_sync(kAllLanes, state.t > 0.0f);  // lanes whose pixels have not ended
    walk_records(at, lists, batch, alive, fetch_row, [&](int count) {
        for (int group = 0; group < count && (slots || alive); group += ReachedRecords::kGroup) {
            const int total = alive ? of_warp.list(batch, group, count, PixelBox(at, alive)) : 0;
            for (int i = 0; i < total && alive; i += 2) {
                const RecordPair k = of_warp.pairs[i / 2];
                if constexpr (moments)
                    add_two(group, k);
                else
                    add_one(group, k.first), add_one(group, k.second);
                alive = __ballot_sync(kAllLanes, state.t > 0.0f);
            }
            alive = __ballot_sync(kAllLanes, state.t > 0.0f);
            if constexpr (slots) {
                if (lane == 0) group_sums.touched[warp_index()] = touched;
                touched = 0;
                __syncthreads();
                write_group(group_sums, rows + group, stride, wanted, sums + first_sum);
                __syncthreads();
            }
        }
    });
}

// A part of a row of sums, 16 bytes at a time.
struct RowPart {
    static constexpr int kWords = 3, kFloats = 4 * kWords;
    float values[kFloats] = {};

    // Adds that part of the row; what the row does not have stays 0.
    __device__ __forceinline__ void add(const float* row, int from, int stride) {
#pragma unroll
        for (int w = 0; w < kWords; w++) {
            if (from + 4 * w >= stride) break;
            const float4 word = reinterpret_cast<const float4*>(row + from)[w];
            values[4 * w] += word.x, values[4 * w + 1] += word.y;
            values[4 * w + 2] += word.z, values[4 * w + 3] += word.w;
        }
    }
};

// Adds up the rows of each lane's record in its first row. Those of a record that has many are shared by the warp.
// The order is always the same.
__device__ __forceinline__ void add_rows(float* sums, int first_slot, int entries, int stride) {
    if (entries > 1 && entries <= kFewRows) {
        float* own = sums + (int64_t)first_slot * stride;
        for (int from = 0; from < stride; from += RowPart::kFloats) {
            RowPart part;
#pragma unroll 2
            for (int e = 0; e < entries; e++) part.add(own + (int64_t)e * stride, from, stride);
#pragma unroll
            for (int k = 0; k < RowPart::kFloats; k++)
                if (from + k < stride) own[from + k] = part.values[k];
        }
    }
    const int lane = lane_index(), slot = slot_of_lane<RowPart::kFloats>(lane);
    for (unsigned many = __ballot_sync(kAllLanes, entries > kFewRows); many; many &= many - 1) {
        const int owner = __ffs(many) - 1, rows = __shfl_sync(kAllLanes, entries, owner);
        float* own = sums + (int64_t)__shfl_sync(kAllLanes, first_slot, owner) * stride;
        for (int from = 0; from < stride; from += RowPart::kFloats) {
            RowPart part;
#pragma unroll 2
            for (int e = lane; e < rows; e += kWarp) part.add(own + (int64_t)e * stride, from, stride);
            __syncwarp();  // the first row has been read
            transposed_sums<RowPart::kFloats>(part.values, lane);
            if (slot >= 0 && from + slot < stride) own[from + slot] = part.values[0];
        }
    }
    __syncwarp();  // a record's thread reads what others wrote
}

// Turns a record's moments into gradients. One thread a record.
// camera >= 0: only this camera's records, whose colours' gradients are added to what is there.
__global__ void __launch_bounds__(kThreads, kBlocks)
    gradient_kernel(CompositeInputs in, TileLists lists, TileSlots places, SumsLayout layout, float* sums,
                    CompositeGradients out, int64_t only_camera) {
    const int64_t i = thread_index() + (only_camera >= 0 ? lists.camera_records[only_camera] : 0);
    const int64_t end = lists.camera_records[only_camera >= 0 ? only_camera + 1 : in.c];
    const bool here = i < end && i < places.records;
    const int stride = layout.stride(), entries = here && places.record_entries ? places.record_entries[i] : 0;
    if (places.record_entries) add_rows(sums, here ? lists.records[i].first_slot : 0, entries, stride);
    if (!here) return;
    const Record r = lists.records[i];
    int64_t camera = only_camera;
    if (camera < 0)
        for (camera = 0; lists.camera_records[camera + 1] <= i;) camera++;
    const float* own = sums + (places.record_entries ? (int64_t)r.first_slot : i) * stride;
    const bool has_row = entries > 0 || !places.record_entries;
    const auto total = [&](int k) { return has_row ? own[k] : 0.0f; };
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
    Zeros zeros;
    zeros.add(sums, floats);
    zeros.add(out.means2d, cells * 2);
    zeros.add(out.conics, cells * 3);
    zeros.add(out.opacities, cells);
    zeros.add(out.colors, (in.colors_per_camera ? cells : in.n) * in.channels);
    zeros.add(out.depths, cells);
    zeros.add(out.absgrad, cells * 2);
    zeros.write(stream);

    const int64_t tiles = all_tiles(in);
    const auto run = [&](auto* kernel, int64_t passes) {
        launch("composite_vjp", kernel, tiles * passes, kTileThreads, stream, in, lists, places, layout, drawn, v,
               (unsigned)tiles, sums);
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
