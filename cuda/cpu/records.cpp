// The record of every visible Gaussian and the exact tile rows its ellipse reaches.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/kernels.h"
#include "math/ellipse.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

void make_records(const CompositeInputs& in, int64_t camera, Binning& binning, Record* records) {
    const int tiles_x = (in.width + kTile - 1) / kTile, tiles_y = (in.height + kTile - 1) / kTile;
    const int64_t row = camera * in.n, color_row = in.colors_per_camera ? row : 0;
    const int threads = in.n < 4096 ? 1 : omp_get_max_threads();
    while ((int)binning.parts.size() < threads) binning.parts.push_back(std::make_unique<Binning::Part>());
    while ((int)binning.parts.size() > threads) binning.parts.pop_back();
    const int in_record = std::min(in.channels, 4);
    uint32_t* keys = nullptr;
    TileRows* rows = nullptr;

#pragma omp parallel num_threads(threads)
    {
        const int t = omp_get_thread_num(), team = omp_get_num_threads();
        const int64_t begin = in.n * t / team, end = in.n * (t + 1) / team;
        Binning::Part& part = *binning.parts[(size_t)t];
        const int32_t* radii = in.radii + 2 * row;
        int64_t visible = 0;
        for (int64_t i = begin; i < end; i++) visible += radii[2 * i] > 0;
        part.first_record = visible;
#pragma omp barrier
#pragma omp single
        {
            int64_t sum = 0;
            for (int s = 0; s < threads; s++) {
                Binning::Part& p = *binning.parts[(size_t)s];
                const int64_t here = s < team ? p.first_record : 0;
                p.first_record = sum;
                sum += here;
            }
            binning.records = sum;
            keys = binning.depth_keys.reserve((size_t)sum);
            rows = binning.rows.reserve((size_t)sum);
        }
        int64_t at = part.first_record, entries = 0;
        size_t used = 0, room = (size_t)(end - begin) * 2 + (size_t)tiles_y;
        TileSpan* spans = part.spans.reserve(room);
        for (int64_t i = begin; i < end; i++) {
            if (radii[2 * i] <= 0) continue;
            const int64_t g = row + i;
            const float x = in.means2d[2 * g], y = in.means2d[2 * g + 1], log2_opacity = std::log2(in.opacities[g]);
            const float* conic = in.conics + 3 * g;
            const Ellipse ellipse(x, y, conic, log2_opacity);

            Record& r = records[at];
            r.x = x - 0.5f;
            r.y = y - 0.5f;
            r.a = -0.5f * kLog2E * conic[0];
            r.b = -kLog2E * conic[1];
            r.c = -0.5f * kLog2E * conic[2];
            r.log2_opacity = log2_opacity;
            const float* colors = in.colors + (color_row + i) * in.channels;
            for (int k = 0; k < 4; k++) r.channel[k] = k < in_record ? colors[k] : 0.0f;
            if (in.with_depth && in_record < 4) r.channel[in_record] = in.depths[g];
            r.gaussian = (int32_t)i;
            r.first_slot = (int32_t)entries;
            memcpy(&keys[at], &in.depths[g], 4);  // positive floats sort as their bits

            const TileSpan reach = tile_rows(ellipse, tiles_y);
            if (used + reach.end > room) {  // reach.end bounds the rows to come
                room = 2 * room + reach.end;
                spans = part.spans.reserve(room, used);
            }
            TileRows& here = rows[at];
            here = {(uint32_t)used, reach.begin, 0, (int32_t)entries};
            for (int ty = reach.begin; ty < reach.end; ty++) {
                const TileSpan span = tiles_of_row(ellipse, ty, tiles_x);
                spans[used++] = span;
                entries += span.end - span.begin;
            }
            here.count = (uint16_t)(used - here.offset);
            at++;
        }
        part.entries = entries;
    }
    // The slots of a part begin where those of the parts before it end.
    int64_t sum = 0;
    for (size_t p = 0; p < binning.parts.size(); p++) {
        const int64_t begin = binning.parts[p]->first_record;
        const int64_t end = p + 1 < binning.parts.size() ? binning.parts[p + 1]->first_record : binning.records;
        if (sum)
            for (int64_t i = begin; i < end; i++) rows[i].first_slot = records[i].first_slot += (int32_t)sum;
        sum += binning.parts[p]->entries;
    }
    binning.entries = sum;
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
