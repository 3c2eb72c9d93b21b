// The mean error of depths at pixels that were measured, and its gradient.
#include <algorithm>
#include <vector>

#include "cpu/kernels.h"
#include "math/depth_error.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

DepthFigures compare_depths(const ComparedDepths& in) {
    constexpr int64_t kPart = 1024;  // points that are added up by one thread: the order of a sum is always the same
    const int64_t parts = (in.count + kPart - 1) / kPart;
    std::vector<double> errors((size_t)parts), drawn((size_t)parts);
#pragma omp parallel for schedule(static)
    for (int64_t part = 0; part < parts; part++) {
        for (int64_t i = part * kPart; i < std::min(in.count, (part + 1) * kPart); i++) {
            const float depth = in.depth[in.places[i]];
            if (!(depth > 0.0f)) continue;
            errors[(size_t)part] += (double)depth_error(depth, in.measured[i], in.limit);
            drawn[(size_t)part] += 1.0;
        }
    }
    double error_sum = 0, drawn_sum = 0;
    for (double e : errors) error_sum += e;
    for (double d : drawn) drawn_sum += d;
    return depth_figures(error_sum, drawn_sum);
}

void compare_depths_vjp(const ComparedDepths& in, float v_point, float* v_depth) {
    constexpr int64_t kPart = 1 << 16;
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (int64_t begin = 0; begin < in.pixels; begin += kPart)
            std::fill(v_depth + begin, v_depth + std::min(in.pixels, begin + kPart), 0.0f);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < in.count; i++) {
            const float depth = in.depth[in.places[i]];
            if (depth > 0.0f) v_depth[in.places[i]] = v_point * depth_error_vjp(depth, in.measured[i], in.limit);
        }
    }
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
