// A cube map behind a picture: one thread a pixel. Pixels that let no light through are passed over.
#include "gpu/kernels.h"
#include "gpu/warp.h"
#include "math/cube_map.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ CubeMapPlace place_of(const CubeMapInputs& in, int64_t pixel) {
    const float *d = in.directions + 3 * pixel, *r = in.world_from_cam;
    const Mat3<float> rotation = {{r[0], r[1], r[2]}, {r[3], r[4], r[5]}, {r[6], r[7], r[8]}};
    return cube_map_place(times(rotation, Vec3<float>{d[0], d[1], d[2]}), in.size);
}

__global__ void __launch_bounds__(kThreads) cube_map_kernel(CubeMapInputs in, const float* image, float* out) {
    const int64_t i = thread_index();
    if (i >= in.pixels) return;
    const float light = 1.0f - in.alpha[i];
    Vec3<float> color = {0.0f, 0.0f, 0.0f};
    if (light > in.least_light) color = light * cube_map_color(place_of(in, i), in.texels);
    out[3 * i] = image[3 * i] + color.x;
    out[3 * i + 1] = image[3 * i + 1] + color.y;
    out[3 * i + 2] = image[3 * i + 2] + color.z;
}

// Pixels share texels: their gradients meet in atomic additions. Neighbours mostly share all four of theirs, so those
// of a run of lanes are summed first.
__global__ void __launch_bounds__(kThreads)
    cube_map_vjp_kernel(CubeMapInputs in, const float* v_out, float* v_alpha, float* v_texels) {
    const int64_t i = thread_index();
    const bool here = i < in.pixels;
    const float light = here ? 1.0f - in.alpha[i] : 0.0f;
    const bool lit = light > in.least_light;
    if (here && !lit) v_alpha[i] = 0.0f;
    if (!__any_sync(kAllLanes, lit)) return;
    CubeMapPlace place = {};
    Vec3<float> v = {0.0f, 0.0f, 0.0f};
    if (lit) {
        place = place_of(in, i);
        v = {v_out[3 * i], v_out[3 * i + 1], v_out[3 * i + 2]};
        v_alpha[i] = -dot(v, cube_map_color(place, in.texels));
    }
    const LaneRun run(lit ? (int)place.texel[0] : -1);  // the first one tells the others
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const Vec3<float> share = (place.weight[k] * light) * v;
        const Vec3<float> sum = {run.sum(share.x), run.sum(share.y), run.sum(share.z)};
        if (!lit || !run.first) continue;
        float* texel = v_texels + 3 * place.texel[k];
        atomicAdd(texel, sum.x);
        atomicAdd(texel + 1, sum.y);
        atomicAdd(texel + 2, sum.z);
    }
}

}  // namespace

void cube_map(const CubeMapInputs& in, const float* image, float* out, Stream stream) {
    launch("cube_map", cube_map_kernel, blocks_for(in.pixels, kThreads), kThreads, stream, in, image, out);
}

void cube_map_vjp(const CubeMapInputs& in, const float* v_out, float* v_alpha, float* v_texels, Stream stream) {
    clear(v_texels, (size_t)18 * (size_t)in.size * (size_t)in.size * sizeof(float), stream);
    launch("cube_map_vjp", cube_map_vjp_kernel, blocks_for(in.pixels, kThreads), kThreads, stream, in, v_out, v_alpha,
           v_texels);
}

}  // namespace gsrecon::gpu
