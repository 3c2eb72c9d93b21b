// Gradients of projection and harmonics: one thread a Gaussian, summed over the cameras in their order. The gradient of
// a pose is summed over a warp's Gaussians object by object, into sums that belong to this warp alone; a second kernel
// adds those up in a fixed order. No atomics: the same bits in every run.
#include "gpu/gaussian_row.h"
#include "gpu/harmonics.h"
#include "gpu/kernels.h"
#include "gpu/warp.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 128;
constexpr int kBlocks = 3;         // on a multiprocessor: at most 168 registers
constexpr int kPose = 15;          // R, t and the camera's centre
constexpr int kMostRanges = 4096;  // warps that share the work where poses have gradients

// How many groups of 32 Gaussians a warp takes, one after the other, and how many warps that makes.
struct Ranges {
    int groups;
    int64_t warps;
    Ranges(const ProjectInputs& in, bool pose_gradient)
        : groups(pose_gradient ? (int)blocks_for(in.n, kWarp * kMostRanges) : 1),
          warps(groups ? blocks_for(in.n, kWarp * groups) : 0) {}
};

struct Upstream {
    Vec2<float> mean2d = {};
    float depth = 0, opacity = 0;
    Sym2<float> conic = {};

    __device__ __forceinline__ Upstream(const ProjectedGradients& v, int64_t o) {
        if (v.means2d) mean2d = {v.means2d[2 * o], v.means2d[2 * o + 1]};
        if (v.depths) depth = v.depths[o];
        if (v.conics) conic = {v.conics[3 * o], v.conics[3 * o + 1], v.conics[3 * o + 2]};
        if (v.opacities) opacity = v.opacities[o];
    }
};

// Gradient of a colour; none flows where it was clamped.
__device__ __forceinline__ Vec3<float> upstream_color(uint8_t seen, const ProjectedGradients& v, int64_t o) {
    const float* g = v.colors + 3 * o;
    return {seen & kSeenRed ? g[0] : 0.0f, seen & kSeenRed << 1 ? g[1] : 0.0f, seen & kSeenRed << 2 ? g[2] : 0.0f};
}

// Gradient of the direction from the camera. `rest` is in shared memory.
template <int degree>
__device__ __forceinline__ Vec3<float> direction_vjp(const Direction<float>& direction, Vec3<float> v_rgb,
                                                     const float* rest) {
    float v_basis[kMaxHarmonics];
    v_basis[0] = 0.0f;
#pragma unroll
    for (int k = 1; k < harmonics_count(degree); k++) {
        const float* c = rest + 3 * (k - 1);
        v_basis[k] = c[0] * v_rgb.x + c[1] * v_rgb.y + c[2] * v_rgb.z;
    }
    return direction.vjp(harmonics_vjp(degree, direction.unit, v_basis));
}

// Gradients of the coefficients, over the coefficients in shared memory; the first camera's replace them.
template <int degree>
__device__ __forceinline__ void coefficients_vjp(Vec3<float> unit, Vec3<float> v_rgb, bool first, float* rest) {
    float basis[kMaxHarmonics];
    harmonics(degree, unit, basis);
#pragma unroll
    for (int k = 1; k < harmonics_count(degree); k++) {
        float* c = rest + 3 * (k - 1);
        c[0] = (first ? 0.0f : c[0]) + basis[k] * v_rgb.x;
        c[1] = (first ? 0.0f : c[1]) + basis[k] * v_rgb.y;
        c[2] = (first ? 0.0f : c[2]) + basis[k] * v_rgb.z;
    }
}

// Adds the lanes' pose gradients to the sums of their objects, object by object.
__device__ __forceinline__ void add_pose_gradients(const float* v, bool visible, int object, float* sums) {
    const int lane = lane_index(), slot = slot_of_lane<kPose>(lane);
    for (unsigned left = __ballot_sync(kAllLanes, visible); left;) {
        const int leader = __shfl_sync(kAllLanes, object, __ffs(left) - 1);
        const bool mine = visible && object == leader;
        float own[kPose];
        for (int i = 0; i < kPose; i++) own[i] = mine ? v[i] : 0.0f;
        transposed_sums<kPose>(own, lane);
        if (slot >= 0) sums[(int64_t)leader * kPose + slot] += own[0];
        left &= ~__ballot_sync(kAllLanes, mine);
    }
}

template <int degree, bool poses>
__device__ __forceinline__ void group_vjp(const ProjectInputs& in, const ProjectSettings& s, const uint8_t* all_seen,
                                          const ProjectedGradients& v, const ProjectInputGradients& grads,
                                          int64_t first, float* rows, float* pose_sums) {
    constexpr bool has_rest = degree >= 1;
    using Rows = HarmonicsRows<has_rest ? degree : 1>;
    const int lane = lane_index(), count = (int)minimum((int64_t)kWarp, in.n - first);
    const int64_t width = 3 * in.sh_rest_count;
    const bool in_range = first + lane < in.n;
    GaussianRow g(in, first + lane);
    float* rest = rows + (has_rest ? lane * Rows::stride : 0);
    Vec3<float> v_mean = {}, v_scale = {}, v_sh0 = {};
    Vec4<float> v_quat = {};
    float v_opacity = 0.0f;
    unsigned loaded = 0;  // lanes that a camera has seen
    for (int64_t camera = 0; camera < in.c; camera++) {
        const int64_t o = camera * in.n + g.row;
        const uint8_t seen = all_seen[o];
        const bool visible = g.present && seen;
        const unsigned lanes = __ballot_sync(kAllLanes, visible), wanted = lanes & ~loaded;
        if (!lanes) continue;
        if (!loaded) g.load_rest(in);
        if constexpr (has_rest)
            if (wanted) Rows::load(in.sh_rest, first, wanted, count, width, rows);
        loaded |= wanted;
        const RigidPose<float> pose = g.pose(in, camera);
        Vec3<float> v_direction = {};  // first, while few other values are held
        if constexpr (degree >= 0) {
            if (v.colors && visible) {
                const Vec3<float> v_rgb = upstream_color(seen, v, o);
                v_sh0 = v_sh0 + kHarmonic0 * v_rgb;
                if constexpr (has_rest)
                    v_direction = direction_vjp<degree>(Direction<float>(pose, g.mean), v_rgb, rest);
            }
        }
        const Lens lens = lens_of(in, s, camera);
        const Geometry<float> geo(pose, lens, s, g.mean, g.quat, g.scale);
        const Upstream up(v, o);
        const GeometryGradient<float> v_geo(geo, pose, lens, s, g.scale, g.opacity, up.mean2d, up.depth, up.conic,
                                            up.opacity);
        if (visible) {
            v_mean = v_mean + transposed_times(pose.r, v_geo.in_cam) + v_direction;
            v_scale = v_scale + v_geo.scale;
            v_quat = {v_quat.w + v_geo.quat.w, v_quat.x + v_geo.quat.x, v_quat.y + v_geo.quat.y,
                      v_quat.z + v_geo.quat.z};
            v_opacity += v_geo.opacity;
        }
        if constexpr (poses) {
            float p[kPose];
            v_geo.of_pose(geo, g.mean, v_direction, p);
            add_pose_gradients(p, visible, g.object, pose_sums + camera * in.k * kPose);
        }
    }
    if (in_range) {
        float *m = grads.means + 3 * g.row, *sc = grads.scales + 3 * g.row;
        m[0] = v_mean.x, m[1] = v_mean.y, m[2] = v_mean.z;
        reinterpret_cast<float4*>(grads.quats)[g.row] = make_float4(v_quat.w, v_quat.x, v_quat.y, v_quat.z);
        sc[0] = v_scale.x, sc[1] = v_scale.y, sc[2] = v_scale.z;
        grads.opacities[g.row] = v_opacity;
        if (degree >= 0) {
            float* c = grads.sh0 + 3 * g.row;
            c[0] = v_sh0.x, c[1] = v_sh0.y, c[2] = v_sh0.z;
        }
    }
    if constexpr (degree >= 0) {
        if (!has_rest || !loaded || !v.colors) return Rows::store_zeros(first, count, width, grads.sh_rest);
        // The coefficients were needed up to here; now their gradients take their place.
        bool untouched = true;
        for (int64_t camera = 0; camera < in.c; camera++) {
            const int64_t o = camera * in.n + g.row;
            const uint8_t seen = all_seen[o];
            if (!g.present || !seen) continue;
            const Direction<float> direction(g.pose(in, camera), g.mean);
            coefficients_vjp<has_rest ? degree : 1>(direction.unit, upstream_color(seen, v, o), untouched, rest);
            untouched = false;
        }
        if (untouched)
            for (int i = 0; i < Rows::used; i++) rest[i] = 0.0f;
        Rows::store(rows, first, count, width, grads.sh_rest);
        __syncwarp();
    }
}

template <int degree, bool poses>
__global__ void __launch_bounds__(kThreads, kBlocks)
    project_vjp_kernel(ProjectInputs in, ProjectSettings s, const uint8_t* seen, ProjectedGradients v,
                       ProjectInputGradients grads, int groups, float* pose_sums) {
    constexpr bool has_rest = degree >= 1;
    using Rows = HarmonicsRows<has_rest ? degree : 1>;
    alignas(16) __shared__ float rows[kThreads / kWarp][has_rest ? Rows::floats : 1];
    const int64_t warp = thread_index() / kWarp;
    float* own = poses ? pose_sums + warp * in.c * in.k * kPose : nullptr;
    for (int i = 0; i < groups; i++) {
        const int64_t first = (warp * groups + i) * kWarp;
        if (first >= in.n) return;
        group_vjp<degree, poses>(in, s, seen, v, grads, first, rows[threadIdx.x / kWarp], own);
    }
}

constexpr int kTeams = 32;  // threads that share a sum

// One block a (camera, object) pair.
__global__ void __launch_bounds__(kTeams * 16)
    pose_gradient_kernel(ProjectInputs in, const float* sums, int64_t warps, float* v_cam_from_object) {
    __shared__ double parts[kTeams][16];
    const int team = (int)threadIdx.x / 16, slot = (int)threadIdx.x % 16;
    const int64_t pairs = in.c * in.k, pair = blockIdx.x;
    double sum = 0.0;
    if (slot < kPose)
        for (int64_t w = team; w < warps; w += kTeams) sum += (double)sums[(w * pairs + pair) * kPose + slot];
    parts[team][slot] = sum;
    __syncthreads();
    if (threadIdx.x >= kPose) return;
    for (int t = 1; t < kTeams; t++) parts[0][threadIdx.x] += parts[t][threadIdx.x];
    __syncwarp((1u << kPose) - 1);
    if (threadIdx.x == 0) rigid_pose_vjp(in.cam_from_object + 16 * pair, parts[0], v_cam_from_object + 16 * pair);
}

}  // namespace

size_t project_vjp_workspace(const ProjectInputs& in, bool pose_gradient) {
    if (!pose_gradient) return 0;
    Workspace work;
    work.take<float>(Ranges(in, true).warps * in.c * in.k * kPose);
    return work.used();
}

void project_vjp(const ProjectInputs& in, const ProjectSettings& settings, const uint8_t* seen,
                 const ProjectedGradients& v, const ProjectInputGradients& grads, void* workspace, size_t bytes,
                 Stream stream) {
    const Ranges ranges(in, grads.cam_from_object != nullptr);
    float* sums = nullptr;
    if (grads.cam_from_object) {
        const int64_t floats = ranges.warps * in.c * in.k * kPose;
        sums = Workspace(workspace, bytes).take<float>(floats);
        clear(sums, (size_t)floats * sizeof(float), stream);
    }
    const auto run = [&]<int degree>(std::integral_constant<int, degree>) {
        launch("project_vjp", sums ? project_vjp_kernel<degree, true> : project_vjp_kernel<degree, false>,
               blocks_for(ranges.warps * kWarp, kThreads), kThreads, stream, in, settings, seen, v, grads,
               ranges.groups, sums);
    };
    with_degree(settings.sh_degree, run);
    if (grads.cam_from_object)
        launch("pose_gradient", pose_gradient_kernel, in.c * in.k, kTeams * 16, stream, in, sums, ranges.warps,
               grads.cam_from_object);
}

}  // namespace gsrecon::gpu
