// Objects drawn without anything else: what is left of the light behind each object's own Gaussians, inside the
// object's window. A product needs no order, so nothing is sorted, and the cost is that of the objects' own pixels. No
// gradient.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/kernels.h"
#include "cpu/simd.h"
#include "math/blend.h"

namespace gsrecon {
inline namespace GSRECON_ISA {
namespace {

struct Window {
    int left, top, width, height;
    size_t stride;  // of a row, room for a whole vector beyond its end
};

void multiply(const AloneInputs& in, int32_t gaussian, const Window& window, float* left_over) {
    const float x = in.means2d[2 * gaussian] - 0.5f, y = in.means2d[2 * gaussian + 1] - 0.5f;
    const float rx = (float)in.radii[2 * gaussian], ry = (float)in.radii[2 * gaussian + 1];
    const int first_x = std::max(0, (int)std::floor(x - rx) - window.left),
              last_x = std::min(window.width - 1, (int)std::ceil(x + rx) - window.left),
              first_y = std::max(0, (int)std::floor(y - ry) - window.top),
              last_y = std::min(window.height - 1, (int)std::ceil(y + ry) - window.top);
    const float* conic = in.conics + 3 * gaussian;
    const vfloat a = broadcast(-0.5f * kLog2E * conic[0]), opacity = broadcast(std::log2(in.opacities[gaussian]));
    const vfloat floor = broadcast(kLog2AlphaFloor), ceiling = broadcast(kAlphaCeiling);
    alignas(64) float lanes[kLanes];
    for (int l = 0; l < kLanes; l++) lanes[l] = (float)l;
    const vfloat lane = load(lanes);
    for (int row = first_y; row <= last_y; row++) {
        const float dy = (float)(row + window.top) - y;
        const vfloat linear = broadcast(-kLog2E * conic[1] * dy),
                     base = opacity + broadcast(-0.5f * kLog2E * conic[2] * dy * dy);
        float* pixels = left_over + (size_t)row * window.stride;
        for (int column = first_x; column <= last_x; column += kLanes) {
            const vfloat dx = lane + broadcast((float)(column + window.left) - x);
            const vfloat p = fma(fma(a, dx, linear), dx, base);
            const vfloat alpha = where(at_least(p, floor), smaller(exp2(p), ceiling));
            const vfloat t = load(pixels + column);
            store(pixels + column, negative_fma(alpha, t, t));
        }
    }
}

}  // namespace

void alone(const AloneInputs& in, float* alpha) {
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t k = 0; k < in.objects; k++) {
        const int32_t* box = in.windows + 4 * k;
        Window window = {box[0], box[1], box[2] - box[0], box[3] - box[1], 0};
        if (window.width <= 0 || window.height <= 0) continue;
        window.stride = (size_t)window.width + kLanes;
        std::vector<float> left_over(window.stride * (size_t)window.height, 1.0f);
        for (int64_t i = in.first_gaussian[k]; i < in.first_gaussian[k + 1]; i++)
            multiply(in, in.gaussians[i], window, left_over.data());
        float* out = alpha + in.first_pixel[k];
        for (int row = 0; row < window.height; row++)
            for (int column = 0; column < window.width; column++)
                *out++ = 1.0f - left_over[(size_t)row * window.stride + (size_t)column];
    }
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
