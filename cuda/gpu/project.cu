// Projection of Gaussians into cameras with their colours from spherical harmonics: one thread a Gaussian, all cameras.
#include "gpu/gaussian_row.h"
#include "gpu/harmonics.h"
#include "gpu/kernels.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 128;
constexpr int kBlocks = 5;  // on a multiprocessor: at most 96 registers

__device__ __forceinline__ void clear_row(const Projected& out, int64_t o) {
    reinterpret_cast<float2*>(out.means2d)[o] = make_float2(0.0f, 0.0f);
    reinterpret_cast<int2*>(out.radii)[o] = make_int2(0, 0);
    out.depths[o] = out.opacities[o] = 0.0f;
    for (int i = 0; i < 3; i++) out.conics[3 * o + i] = 0.0f;
    if (out.colors)
        for (int i = 0; i < 3; i++) out.colors[3 * o + i] = 0.0f;
}

// Everything but the colour; tells whether the Gaussian is in the picture.
__device__ __forceinline__ bool project_row(const ProjectSettings& s, const GaussianRow& g,
                                            const RigidPose<float>& pose, const Lens& lens, const Projected& out,
                                            int64_t o) {
    const Geometry<float> geo(pose, lens, s, g.mean, g.quat, g.scale);
    const float opacity = s.antialiased ? g.opacity * geo.print.compensation : g.opacity;
    const float reach = reach_of_opacity(opacity);
    const float rx = ceilf(reach * sqrtf(geo.print.covariance.a)), ry = ceilf(reach * sqrtf(geo.print.covariance.c));
    const bool visible = g.present && geo.drawable && opacity >= kAlphaFloor &&
                         (rx > s.radius_clip || ry > s.radius_clip) && meets_picture(geo.image.mean, rx, ry, lens);
    if (!visible) return false;
    out.means2d[2 * o] = geo.image.mean.x;
    out.means2d[2 * o + 1] = geo.image.mean.y;
    out.radii[2 * o] = (int32_t)minimum(rx, 1e9f);
    out.radii[2 * o + 1] = (int32_t)minimum(ry, 1e9f);
    out.depths[o] = geo.in_cam.z;
    out.conics[3 * o] = geo.print.conic.a;
    out.conics[3 * o + 1] = geo.print.conic.b;
    out.conics[3 * o + 2] = geo.print.conic.c;
    out.opacities[o] = opacity;
    return true;
}

// 0.5 + sum_k basis[k] sh[k], clamped at 0 from below; tells which were not. `rest` is in shared memory.
template <int degree>
__device__ __forceinline__ uint8_t color_row(const RigidPose<float>& pose, Vec3<float> mean, const float* sh0,
                                             const float* rest, float* rgb) {
    float basis[kMaxHarmonics];
    harmonics(degree, Direction<float>(pose, mean).unit, basis);
    float sum[3];
    for (int i = 0; i < 3; i++) sum[i] = 0.5f + basis[0] * sh0[i];
#pragma unroll
    for (int k = 1; k < harmonics_count(degree); k++)
        for (int i = 0; i < 3; i++) sum[i] += basis[k] * rest[3 * (k - 1) + i];
    uint8_t above = 0;
    for (int i = 0; i < 3; i++) {
        rgb[i] = maximum(0.0f, sum[i]);
        above |= rgb[i] > 0.0f ? kSeenRed << i : 0;
    }
    return above;
}

// A degree of -1 makes no colours.
template <int degree>
__global__ void __launch_bounds__(kThreads, kBlocks)
    project_kernel(ProjectInputs in, ProjectSettings s, Projected out) {
    constexpr bool has_rest = degree >= 1;
    using Rows = HarmonicsRows<has_rest ? degree : 1>;
    alignas(16) __shared__ float coefficients[kThreads / kWarp][has_rest ? Rows::floats : 1];
    float* own = coefficients[threadIdx.x / kWarp];
    const int64_t index = thread_index(), first = index - lane_index();
    if (first >= in.n) return;
    GaussianRow g(in, index);
    const int count = (int)minimum((int64_t)kWarp, in.n - first);
    const bool in_range = index < in.n;
    bool loaded = false;
    unsigned staged = 0;  // lanes whose coefficients are in shared memory
    for (int64_t camera = 0; camera < in.c; camera++) {
        const int64_t o = camera * in.n + g.row;
        const Lens lens = lens_of(in, s, camera);
        const RigidPose<float> pose = g.pose(in, camera);
        bool visible = g.present && may_be_seen(pose, lens, s, g.mean, g.scale);
        if (__any_sync(kAllLanes, visible)) {
            if (!loaded) g.load_rest(in);
            loaded = true;
            visible = visible && project_row(s, g, pose, lens, out, o);
        }
        if (in_range && !visible) clear_row(out, o);
        uint8_t seen = visible ? kSeen : 0;
        if constexpr (degree >= 0) {
            if constexpr (has_rest) {
                const unsigned wanted = __ballot_sync(kAllLanes, visible) & ~staged;
                if (wanted) Rows::load(in.sh_rest, first, wanted, count, 3 * in.sh_rest_count, own);
                staged |= wanted;
            }
            if (visible)
                seen |= color_row<degree>(pose, g.mean, in.sh0 + 3 * g.row,
                                          own + (has_rest ? lane_index() * Rows::stride : 0), out.colors + 3 * o);
        }
        if (in_range && out.seen) out.seen[o] = seen;
    }
}

}  // namespace

void project(const ProjectInputs& in, const ProjectSettings& settings, const Projected& out, Stream stream) {
    with_degree(settings.sh_degree, [&]<int degree>(std::integral_constant<int, degree>) {
        launch("project", project_kernel<degree>, blocks_for(in.n, kThreads), kThreads, stream, in, settings, out);
    });
}

}  // namespace gsrecon::gpu
