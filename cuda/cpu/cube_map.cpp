// A cube map behind a picture. Pixels that let no light through are passed over.
#include "math/cube_map.h"

#include <algorithm>

#include "cpu/kernels.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

namespace {

CubeMapPlace place_of(const CubeMapInputs& in, int64_t pixel) {
    const float *d = in.directions + 3 * pixel, *r = in.world_from_cam;
    const Mat3<float> rotation = {{r[0], r[1], r[2]}, {r[3], r[4], r[5]}, {r[6], r[7], r[8]}};
    return cube_map_place(times(rotation, Vec3<float>{d[0], d[1], d[2]}), in.size);
}

}  // namespace

void cube_map(const CubeMapInputs& in, const float* image, float* out) {
#pragma omp parallel for schedule(static, 4096)
    for (int64_t i = 0; i < in.pixels; i++) {
        float* to = out + 3 * i;
        const float *from = image + 3 * i, light = 1.0f - in.alpha[i];
        std::copy(from, from + 3, to);
        if (light <= in.least_light) continue;
        const Vec3<float> color = cube_map_color(place_of(in, i), in.texels);
        to[0] += light * color.x, to[1] += light * color.y, to[2] += light * color.z;
    }
}

void cube_map_vjp(const CubeMapInputs& in, const float* v_out, float* v_alpha, float* v_texels) {
    std::fill(v_texels, v_texels + (int64_t)18 * in.size * in.size, 0.0f);
#pragma omp parallel for schedule(static, 4096)
    for (int64_t i = 0; i < in.pixels; i++) {
        const bool shown = 1.0f - in.alpha[i] > in.least_light;
        const Vec3<float> v = {v_out[3 * i], v_out[3 * i + 1], v_out[3 * i + 2]};
        v_alpha[i] = shown ? -dot(v, cube_map_color(place_of(in, i), in.texels)) : 0.0f;
    }
    // Pixels share texels: one thread adds them up, always in the same order.
    for (int64_t i = 0; i < in.pixels; i++) {
        const float light = 1.0f - in.alpha[i];
        if (light <= in.least_light) continue;
        const CubeMapPlace place = place_of(in, i);
        for (int k = 0; k < 4; k++)
            for (int c = 0; c < 3; c++) v_texels[3 * place.texel[k] + c] += place.weight[k] * light * v_out[3 * i + c];
    }
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
