// The gradient of blending, front to back again. With g the upstream gradient of a pixel, S_i = sum over j > i of w_j
// (c_j . g) is what is left behind Gaussian i, and dL/d(alpha_i) = T_i (c_i . g) - S_i / (1 - alpha_i). The state of a
// pixel is (T, S), however many channels there are.
//
// Each tile sums six moments of s = alpha dL/d(alpha) per Gaussian (1, dx, dy, dx^2, dx dy, dy^2) and w g per channel
// into its own entries; a second pass adds up the entries of each Gaussian in a fixed order. No atomics, the same bits
// for any number of threads.
#include <omp.h>

#include <cmath>
#include <vector>

#include "cpu/buffer.h"
#include "cpu/composite.h"
#include "cpu/kernels.h"
#include "cpu/tile.h"

namespace gsrecon {
inline namespace GSRECON_ISA {
namespace {

typedef float float4 __attribute__((vector_size(16)));

enum Sum { kOne, kDx, kDy, kDxDx, kDxDy, kDyDy, kChannel0 };

struct SubtileState {
    alignas(64) float transmittance[kSubtilePixels], behind[kSubtilePixels], v_alpha[kSubtilePixels];
};

// Sums of a batch's list over one sub-tile, added to `sums` [record, stride]. `v_pixels` holds g, [D, 64].
template <int D, bool absgrad>
void blend_vjp(const Batch& batch, int sub, const Channels& channels, const PixelLanes& pixels, float x, float y,
               SubtileState& state, const float* v_pixels, float* sums, int stride) {
    vfloat t[kVectors], behind[kVectors], v_alpha[kVectors], g[D > 0 ? D : 1][kVectors];
    for (int v = 0; v < kVectors; v++) {
        t[v] = load(state.transmittance + v * kLanes);
        behind[v] = load(state.behind + v * kLanes);
        v_alpha[v] = load(state.v_alpha + v * kLanes);
        for (int d = 0; d < D; d++) g[d][v] = load(v_pixels + d * kSubtilePixels + v * kLanes);
    }
    const vfloat floor = broadcast(kLog2AlphaFloor), ceiling = broadcast(kAlphaCeiling),
                 stop = broadcast(kTransmittanceStop);
    const vfloat one = broadcast(1.0f);

    for (int i = 0; i < batch.length[sub]; i++) {
        const int k = batch.list[sub][i];
        const Record& r = batch.records[k];
        const Exponent e(r, pixels, x, y);
        constexpr int count = 6 + D + 2 * absgrad;
        vfloat s[count] = {}, weight[kVectors];
        vfloat along[kVectors];  // c . g
        if constexpr (D == 0) {
            for (int v = 0; v < kVectors; v++) along[v] = v_alpha[v];
            for (int d = 0; d < channels.count; d++)
                for (int v = 0; v < kVectors; v++)
                    along[v] =
                        fma(broadcast(channels.of(r, d)), load(v_pixels + d * kSubtilePixels + v * kLanes), along[v]);
        }
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; v++) {
            const vfloat dy = e.row(v), p = e.at(dy);
            const vmask hit = at_least(p, floor);
            const vfloat raw = exp2(p), alpha = smaller(raw, ceiling);
            const vmask used = and_above(hit, negative_fma(alpha, t[v], t[v]), stop);
            weight[v] = where(used, alpha * t[v]);
            if constexpr (D > 0) {
                along[v] = v_alpha[v];
                for (int d = 0; d < D; d++) {
                    along[v] = fma(broadcast(r.channel[d]), g[d][v], along[v]);
                    s[kChannel0 + d] = fma(weight[v], g[d][v], s[kChannel0 + d]);
                }
            }
            const vfloat gained = weight[v] * along[v];
            behind[v] = behind[v] - gained;
            const vfloat lost = negative_fma(alpha * reciprocal(one - alpha), behind[v], gained);
            const vfloat v_log = where(and_at_least(used, ceiling, raw), lost);  // alpha dL/d(alpha), cut where clamped
            s[kOne] = s[kOne] + v_log;
            const vfloat v_dy = v_log * dy;
            s[kDy] = s[kDy] + v_dy;
            s[kDyDy] = fma(v_dy, dy, s[kDyDy]);
            if constexpr (absgrad) {
                // |dL/dx| and |dL/dy| of the centre in this pixel, in units of log2(e)
                const vfloat slope_x = fma(broadcast(2.0f * r.a), e.dx, broadcast(r.b) * dy);
                const vfloat slope_y = fma(broadcast(2.0f * r.c), dy, e.linear);
                s[count - 2] = s[count - 2] + magnitude(v_log * slope_x);
                s[count - 1] = s[count - 1] + magnitude(v_log * slope_y);
            }
            t[v] = negate_unused(t[v] - weight[v], hit, used);
        }
        // The rows of a vector share their dx.
        s[kDx] = s[kOne] * e.dx;
        s[kDxDx] = s[kDx] * e.dx;
        s[kDxDy] = s[kDy] * e.dx;
        float* out = sums + (int64_t)batch.source[k] * stride;
        if constexpr (D > 0) {
            add_lane_sums<count>(s, out);
        } else {
            alignas(64) float first[12] = {};
            add_lane_sums<count>(s, first);
            for (int j = 0; j < 6; j++) out[j] += first[j];
            for (int d = 0; d < channels.count; d += 4) {
                vfloat c[4] = {};
                alignas(16) float sum[12] = {};
                for (int j = 0; j < std::min(4, channels.count - d); j++)
                    for (int v = 0; v < kVectors; v++)
                        c[j] = fma(weight[v], load(v_pixels + (d + j) * kSubtilePixels + v * kLanes), c[j]);
                add_lane_sums<4>(c, sum);
                for (int j = 0; j < std::min(4, channels.count - d); j++) out[kChannel0 + d + j] += sum[j];
            }
            for (int j = 0; j < 2 * absgrad; j++) out[kChannel0 + channels.count + j] += first[6 + j];
        }
    }
    for (int v = 0; v < kVectors; v++) {
        store(state.transmittance + v * kLanes, t[v]);
        store(state.behind + v * kLanes, behind[v]);
    }
}

// Floats of one entry's sums; the vector code adds twelve at a time.
int sums_stride(int channels, bool absgrad, bool in_registers) {
    return in_registers ? 12 : (6 + channels + 2 * absgrad + 3) & ~3;
}

struct Upstream {
    const DrawnPictures &drawn, &v;
    int64_t first_pixel;  // of the camera

    // Brings a sub-tile's pixels into lanes: g, its alpha part, T = 1 and S = g . (what was blended). Pixels beyond the
    // picture's edge are finished from the start.
    template <int D> void read(const Tile& tile, int sub, int count, SubtileState& state, float* v_pixels) const {
        const int channels = D > 0 ? D : count;
        const int x0 = tile.subtile_x(sub), y0 = tile.subtile_y(sub);
        const int columns = std::clamp(tile.width - x0, 0, kSubtile), rows = std::clamp(tile.height - y0, 0, kSubtile);
        if (columns < kSubtile || rows < kSubtile) {
            std::fill_n(state.transmittance, kSubtilePixels, -1.0f);
            std::fill_n(state.v_alpha, kSubtilePixels, 0.0f);
            std::fill_n(state.behind, kSubtilePixels, 0.0f);
            std::fill_n(v_pixels, kSubtilePixels * channels, 0.0f);
        }
        for (int j = 0; j < rows; j++) {
            const int64_t first = first_pixel + (int64_t)(y0 + j) * tile.width + x0;
            for (int i = 0; i < columns; i++) {
                const int lane = j * kSubtile + i;
                const PixelGradient pixel(drawn, v, first + i);
                state.transmittance[lane] = 1.0f;
                state.v_alpha[lane] = pixel.v_alpha;
                state.behind[lane] = pixel.behind;
                for (int d = 0; d < channels; d++)
                    v_pixels[d * kSubtilePixels + lane] = channel_gradient(v, first + i, d, pixel.v_depth);
            }
        }
    }
};

template <int D, bool absgrad>
void tile_sums(const CompositeInputs& in, const TileLists& lists, int64_t camera, const Upstream& upstream, float* sums,
               int stride) {
    const int tiles_x = (in.width + kTile - 1) / kTile, tiles = tiles_x * ((in.height + kTile - 1) / kTile);
    const Channels channels(in, camera);
    const int64_t* tile_entries = lists.tile_entries + camera * tiles;
    const int64_t camera_entries = tile_entries[0];
#pragma omp parallel
    {
        const auto batch = std::make_unique<Batch>();
        std::vector<float> v_pixels((size_t)(kSubtiles * kSubtilePixels * channels.count));
        const PixelLanes pixels;
#pragma omp for schedule(dynamic, 4)
        for (int index = 0; index < tiles; index++) {
            const int64_t begin = tile_entries[index], end = tile_entries[index + 1];
            if (index + 1 < tiles) prefetch_records(lists.records, lists.entries + end, tile_entries[index + 2] - end);
            if (begin == end) continue;
            const Tile tile(index, tiles_x, in.width, in.height);
            SubtileState states[kSubtiles];
            for (int sub = 0; sub < kSubtiles; sub++)
                upstream.read<D>(tile, sub, channels.count, states[sub],
                                 &v_pixels[(size_t)(sub * kSubtilePixels * channels.count)]);
            for (int64_t first = begin; first < end; first += kBatch) {
                batch->copy_marked(lists.records, lists.entries + first, end - first);
                const int64_t next = first + kBatch;
                if (next < end) prefetch_records(lists.records, lists.entries + next, end - next);
                if (batch->count == 0) continue;
                batch->make_lists();
                float* batch_sums = sums + (first - camera_entries) * stride;
                for (int k = 0; k < batch->count; k++)
                    std::fill_n(batch_sums + batch->source[k] * stride, stride, 0.0f);
                for (int sub = 0; sub < kSubtiles; sub++)
                    blend_vjp<D, absgrad>(
                        *batch, sub, channels, pixels, (float)tile.subtile_x(sub), (float)tile.subtile_y(sub),
                        states[sub], &v_pixels[(size_t)(sub * kSubtilePixels * channels.count)], batch_sums, stride);
            }
        }
    }
}

// Adds up each Gaussian's entries and turns moments into gradients. Gaussians that are not in the picture get zeros.
void gather(const CompositeInputs& in, const TileLists& lists, int64_t camera, const float* sums, int stride,
            const CompositeGradients& out) {
    const int tiles = ((in.width + kTile - 1) / kTile) * ((in.height + kTile - 1) / kTile);
    const int64_t begin = lists.camera_records[camera], end = lists.camera_records[camera + 1];
    const int64_t camera_entries = lists.tile_entries[camera * tiles],
                  entries_end = lists.tile_entries[(camera + 1) * tiles];
    const int64_t row = camera * in.n;
    const int channels = in.channels + in.with_depth;
    const bool shared = !in.colors_per_camera;  // colour gradients add up over the cameras

#pragma omp parallel
    {
        const int t = omp_get_thread_num(), team = omp_get_num_threads();
        const auto first_record = [&](int thread) { return begin + (end - begin) * thread / team; };
        // A thread writes the Gaussians from its first record's up to the next thread's first.
        const auto first_gaussian = [&](int thread) -> int64_t {
            if (thread == 0) return 0;
            return first_record(thread) < end ? lists.records[first_record(thread)].gaussian : in.n;
        };
        std::vector<float4> sum((size_t)stride / 4);
        const float* total = reinterpret_cast<const float*>(sum.data());
        int64_t next = first_gaussian(t);
        const auto clear_until = [&](int64_t gaussian) {
            if (gaussian <= next) return;
            const int64_t g = row + next, count = gaussian - next;
            std::fill_n(out.means2d + 2 * g, 2 * count, 0.0f);
            std::fill_n(out.conics + 3 * g, 3 * count, 0.0f);
            std::fill_n(out.opacities + g, count, 0.0f);
            if (!shared || camera == 0)
                std::fill_n(out.colors + (shared ? next : g) * in.channels, in.channels * count, 0.0f);
            if (out.depths) std::fill_n(out.depths + g, count, 0.0f);
            if (out.absgrad) std::fill_n(out.absgrad + 2 * g, 2 * count, 0.0f);
        };
        constexpr int64_t kAhead = 16;
        for (int64_t i = first_record(t); i < first_record(t + 1); i++) {
            const Record& r = lists.records[i];
            clear_until(r.gaussian);
            next = r.gaussian + 1;
            const int64_t last = i + 1 < end ? camera_entries + lists.records[i + 1].first_slot : entries_end;
            std::fill(sum.begin(), sum.end(), float4{});
            for (int64_t slot = camera_entries + r.first_slot; slot < last; slot++) {
                // Entries of one Gaussian lie far apart: ask for the marks early, and for the sums that are marked.
                if (slot + 2 * kAhead < entries_end)
                    __builtin_prefetch(&lists.entries[lists.slot_entries[slot + 2 * kAhead]]);
                if (slot + kAhead < entries_end) {
                    const int64_t ahead = lists.slot_entries[slot + kAhead];
                    if (lists.entries[ahead] >> kEntryIdBits) {
                        const float* s = sums + (ahead - camera_entries) * stride;
                        __builtin_prefetch(s);
                        __builtin_prefetch(s + stride - 1);
                    }
                }
                const int64_t entry = lists.slot_entries[slot];
                if (lists.entries[entry] >> kEntryIdBits == 0) continue;  // nothing was blended there
                const float* s = sums + (entry - camera_entries) * stride;
                for (size_t j = 0; j < sum.size(); j++) {
                    float4 four;
                    memcpy(&four, s + 4 * j, sizeof four);
                    sum[j] += four;
                }
            }
            const int64_t g = row + r.gaussian;
            const float a = r.a * (-2.0f / kLog2E), b = r.b * (-1.0f / kLog2E), c = r.c * (-2.0f / kLog2E);
            out.means2d[2 * g] = a * total[kDx] + b * total[kDy];
            out.means2d[2 * g + 1] = b * total[kDx] + c * total[kDy];
            out.conics[3 * g] = -0.5f * total[kDxDx];
            out.conics[3 * g + 1] = -total[kDxDy];
            out.conics[3 * g + 2] = -0.5f * total[kDyDy];
            out.opacities[g] = total[kOne] * std::exp2(-r.log2_opacity);
            float* colors = out.colors + (shared ? r.gaussian : g) * in.channels;
            for (int d = 0; d < in.channels; d++)
                colors[d] = total[kChannel0 + d] + (shared && camera ? colors[d] : 0.0f);
            if (out.depths) out.depths[g] = in.with_depth ? total[kChannel0 + in.channels] : 0.0f;
            if (out.absgrad)
                for (int j = 0; j < 2; j++) out.absgrad[2 * g + j] = total[kChannel0 + channels + j] / kLog2E;
        }
        clear_until(t + 1 == team ? in.n : first_gaussian(t + 1));
    }
}

Buffer<float>& sums_buffer() {
    static thread_local Buffer<float> buffer;
    return buffer;
}

}  // namespace

void composite_vjp(const CompositeInputs& in, const TileLists& lists, const DrawnPictures& drawn,
                   const DrawnPictures& v, const CompositeGradients& out) {
    const int channels = in.channels + in.with_depth;
    const int tiles = ((in.width + kTile - 1) / kTile) * ((in.height + kTile - 1) / kTile);
    const bool absgrad = out.absgrad != nullptr, in_registers = channels == 1 || channels == 3 || channels == 4;
    const int stride = sums_stride(channels, absgrad, in_registers);
    const auto run = channels == 1   ? (absgrad ? tile_sums<1, true> : tile_sums<1, false>)
                     : channels == 3 ? (absgrad ? tile_sums<3, true> : tile_sums<3, false>)
                     : channels == 4 ? (absgrad ? tile_sums<4, true> : tile_sums<4, false>)
                                     : (absgrad ? tile_sums<0, true> : tile_sums<0, false>);
    for (int64_t camera = 0; camera < in.c; camera++) {
        const int64_t entries = lists.tile_entries[(camera + 1) * tiles] - lists.tile_entries[camera * tiles];
        float* sums = sums_buffer().reserve((size_t)(entries * stride));
        const Upstream upstream = {drawn, v, camera * in.width * in.height};
        run(in, lists, camera, upstream, sums, stride);
        gather(in, lists, camera, sums, stride, out);
    }
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
