// Projection of Gaussians into cameras, with spherical harmonics; and its gradient. One lane of a vector is one
// Gaussian.
#include <omp.h>

#include <algorithm>
#include <memory>

#include "cpu/kernels.h"
#include "cpu/simd.h"
#include "math/harmonics.h"
#include "math/projection.h"

namespace gsrecon {
inline namespace GSRECON_ISA {
namespace {

typedef float float4 __attribute__((vector_size(16)));
constexpr int64_t kChunk = 2048;  // Gaussians a task takes; also the unit in which camera gradients are summed

// kLanes Gaussians, one in each lane; lanes past the end repeat the last one.
struct Lanes {
    int64_t first;
    int count;
    Vec3<vfloat> mean, scale;
    Vec4<vfloat> quat;
    vfloat opacity;
    int32_t object[kLanes];

    template <int width> static void gather(const float* rows, int64_t first, int count, vfloat* out) {
        alignas(64) float columns[width][kLanes];
        for (int l = 0; l < kLanes; l++)
            for (int i = 0; i < width; i++) columns[i][l] = rows[(first + std::min(l, count - 1)) * width + i];
        for (int i = 0; i < width; i++) out[i] = load(columns[i]);
    }

    // Place and size come first: they decide whether the rest is needed.
    Lanes(const ProjectInputs& in, int64_t begin, int64_t end)
        : first(begin), count((int)std::min<int64_t>(kLanes, end - begin)) {
        vfloat m[3], s[3];
        gather<3>(in.means, first, count, m);
        gather<3>(in.scales, first, count, s);
        mean = {m[0], m[1], m[2]};
        scale = {s[0], s[1], s[2]};
        for (int l = 0; l < kLanes; l++)
            object[l] = in.object_index ? in.object_index[first + std::min(l, count - 1)] : 0;
    }

    void gather_rest(const ProjectInputs& in) {
        vfloat q[4];
        gather<4>(in.quats, first, count, q);
        gather<1>(in.opacities, first, count, &opacity);
        quat = {q[0], q[1], q[2], q[3]};
    }
};

using PoseLanes = RigidPose<vfloat>;

PoseLanes pose_lanes(const RigidPose<float>* poses, int64_t k, const int32_t* object) {
    constexpr int count = sizeof(RigidPose<float>) / sizeof(float);
    PoseLanes lanes;
    vfloat* v = &lanes.r.r0.x;
    if (k == 1) {
        for (int i = 0; i < count; i++) v[i] = broadcast((&poses->r.r0.x)[i]);
        return lanes;
    }
    alignas(64) float columns[count][kLanes];
    for (int l = 0; l < kLanes; l++)
        for (int i = 0; i < count; i++) columns[i][l] = (&poses[object[l]].r.r0.x)[i];
    for (int i = 0; i < count; i++) v[i] = load(columns[i]);
    return lanes;
}

// Asks for the harmonics of Gaussians [begin, end) while others are at work; they are most of what is read.
void prefetch_harmonics(const ProjectInputs& in, int64_t begin, int64_t end) {
    const float *first = in.sh_rest + 3 * in.sh_rest_count * begin, *last = in.sh_rest + 3 * in.sh_rest_count * end;
    for (const float* line = first; line < last; line += 16) __builtin_prefetch(line);
}

float4 load4(const float* p) {
    float4 v;
    memcpy(&v, p, sizeof v);
    return v;
}

// 0.5 + sum_k basis[k] sh[k], clamped at 0 from below.
void colour_from_harmonics(const float* sh0, const float* rest, int count, const float* basis, float* rgb) {
    float4 sum = {0.5f + basis[0] * sh0[0], 0.5f + basis[0] * sh0[1], 0.5f + basis[0] * sh0[2], 0.0f}, more = {};
    int k = 1;  // the four-wide loads stop one coefficient short, or they would read past the row's end
    for (; k + 2 < count; k += 2) {
        sum += basis[k * kLanes] * load4(rest + 3 * (k - 1));
        more += basis[(k + 1) * kLanes] * load4(rest + 3 * k);
    }
    for (; k < count; k++) {
        const float* c = rest + 3 * (k - 1);
        sum += basis[k * kLanes] * float4{c[0], c[1], c[2], 0.0f};
    }
    sum += more;
    for (int i = 0; i < 3; i++) rgb[i] = std::max(0.0f, sum[i]);
}

// Cheap, and false of most blocks where the Gaussians lie in memory as they lie in space.
bool any_in_picture(const Lanes& g, const PoseLanes& pose, const Lens& lens, const ProjectSettings& s) {
    const vint seen = may_be_seen(pose, lens, s, g.mean, g.scale);
    int any = 0;
    for (int l = 0; l < kLanes; l++) any |= seen[l];
    return any;
}

void clear_lanes(const Lanes& g, int64_t row, const Projected& out) {
    const int64_t o = row + g.first;
    std::fill_n(out.means2d + 2 * o, 2 * g.count, 0.0f);
    std::fill_n(out.radii + 2 * o, 2 * g.count, 0);
    std::fill_n(out.depths + o, g.count, 0.0f);
    std::fill_n(out.conics + 3 * o, 3 * g.count, 0.0f);
    std::fill_n(out.opacities + o, g.count, 0.0f);
    if (out.colors) std::fill_n(out.colors + 3 * o, 3 * g.count, 0.0f);
    if (out.seen) std::fill_n(out.seen + o, g.count, (uint8_t)0);
}

void project_lanes(const ProjectInputs& in, const ProjectSettings& s, Lanes g, const RigidPose<float>* poses,
                   const Lens& lens, int64_t row, Projected out) {
    const PoseLanes pose = pose_lanes(poses, in.k, g.object);
    if (!any_in_picture(g, pose, lens, s)) return clear_lanes(g, row, out);
    g.gather_rest(in);
    const Geometry<vfloat> geo(pose, lens, s, g.mean, g.quat, g.scale);
    const vfloat opacity = s.antialiased ? g.opacity * geo.print.compensation : g.opacity;

    alignas(64) float reach[kLanes], column[11][kLanes];
    store(reach, opacity);
    for (int l = 0; l < kLanes; l++) reach[l] = reach_of_opacity(reach[l]);
    const vfloat extend = load(reach);
    const vfloat rx = round_up(extend * square_root(geo.print.covariance.a));
    const vfloat ry = round_up(extend * square_root(geo.print.covariance.c));
    const Vec2<vfloat> m = geo.image.mean;
    const vint visible = geo.drawable & (opacity >= kAlphaFloor) & ((rx > s.radius_clip) | (ry > s.radius_clip)) &
                         meets_picture(m, rx, ry, lens);

    const vfloat values[11] = {
        m.x, m.y, rx, ry, geo.in_cam.z, geo.print.conic.a, geo.print.conic.b, geo.print.conic.c, opacity};
    for (int i = 0; i < 9; i++) store(column[i], select(visible, values[i], vfloat{}));
    for (int l = 0; l < g.count; l++) {
        const int64_t o = row + g.first + l;
        out.means2d[2 * o] = column[0][l];
        out.means2d[2 * o + 1] = column[1][l];
        out.radii[2 * o] = (int32_t)std::min(column[2][l], 1e9f);
        out.radii[2 * o + 1] = (int32_t)std::min(column[3][l], 1e9f);
        out.depths[o] = column[4][l];
        for (int i = 0; i < 3; i++) out.conics[3 * o + i] = column[5 + i][l];
        out.opacities[o] = column[8][l];
        if (out.seen) out.seen[o] = visible[l] ? kSeen : 0;
    }
    if (s.sh_degree < 0) return;

    alignas(64) vfloat basis[kMaxHarmonics];
    harmonics(s.sh_degree, Direction<vfloat>(pose, g.mean).unit, basis);
    const float* basis_lanes = reinterpret_cast<const float*>(basis);
    for (int l = 0; l < g.count; l++) {
        float* rgb = out.colors + 3 * (row + g.first + l);
        if (visible[l])
            colour_from_harmonics(in.sh0 + 3 * (g.first + l), in.sh_rest + 3 * in.sh_rest_count * (g.first + l),
                                  harmonics_count(s.sh_degree), basis_lanes + l, rgb);
        else
            rgb[0] = rgb[1] = rgb[2] = 0.0f;
        if (out.seen)
            for (int i = 0; i < 3; i++) out.seen[row + g.first + l] |= rgb[i] > 0.0f ? kSeenRed << i : 0;
    }
}

// ---------------------------------------------------------------------------------------------------------- backward

// Gradients of kLanes Gaussians, summed over the cameras.
struct LaneGradients {
    Vec3<vfloat> mean = {}, scale = {};
    Vec4<vfloat> quat = {};
    vfloat opacity = {};
};

// Gradient of cam_from_object, per object of one camera: R [9], t [3], centre [3], each summed over Gaussians.
using PoseGradient = float[15];

void add_pose_gradient(PoseGradient* sums, int64_t k, const Lanes& g, const vfloat* v) {
    alignas(64) float lanes[15][kLanes];
    for (int i = 0; i < 15; i++) store(lanes[i], v[i]);
    for (int l = 0; l < g.count; l++) {
        float* sum = sums[k == 1 ? 0 : g.object[l]];
        for (int i = 0; i < 15; i++) sum[i] += lanes[i][l];
    }
}

template <int width> vfloat gather_one(const float* rows, int64_t row, int count, int column) {
    alignas(64) float lanes[kLanes] = {};
    if (rows)
        for (int l = 0; l < count; l++) lanes[l] = rows[(row + l) * width + column];
    return load(lanes);
}

// Adds basis[k] v_rgb to the gradient of every coefficient and gives v_basis[k] = sh[k] . v_rgb.
void harmonics_row_vjp(const float* rest, int count, const float* basis, const float* v_rgb, float* v_sh0,
                       float* v_rest, float* v_basis) {
    const float4 v = {v_rgb[0], v_rgb[1], v_rgb[2], 0.0f};
    for (int i = 0; i < 3; i++) v_sh0[i] += basis[0] * v_rgb[i];
    for (int k = 1; k < count; k++) {
        const float* c = rest + 3 * (k - 1);
        float* o = v_rest + 3 * (k - 1);
        const float4 product = v * float4{c[0], c[1], c[2], 0.0f};
        v_basis[k * kLanes] = product[0] + product[1] + product[2];
        for (int i = 0; i < 3; i++) o[i] += basis[k * kLanes] * v_rgb[i];
    }
}

void project_lanes_vjp(const ProjectInputs& in, const ProjectSettings& s, const Lanes& g, const RigidPose<float>* poses,
                       const Lens& lens, int64_t row, const uint8_t* seen, const ProjectedGradients& v,
                       LaneGradients& sum, ProjectInputGradients grads, PoseGradient* pose_sums) {
    const int64_t o = row + g.first;
    alignas(64) int32_t in_picture[kLanes] = {};
    int any = 0;
    for (int l = 0; l < g.count; l++) any |= in_picture[l] = -(seen[o + l] != 0);
    if (!any) return;
    vint visible;
    memcpy(&visible, in_picture, sizeof visible);

    const PoseLanes pose = pose_lanes(poses, in.k, g.object);
    const Geometry<vfloat> geo(pose, lens, s, g.mean, g.quat, g.scale);
    const Vec2<vfloat> v_mean2d = {gather_one<2>(v.means2d, o, g.count, 0), gather_one<2>(v.means2d, o, g.count, 1)};
    const Sym2<vfloat> v_conic = {gather_one<3>(v.conics, o, g.count, 0), gather_one<3>(v.conics, o, g.count, 1),
                                  gather_one<3>(v.conics, o, g.count, 2)};
    const vfloat v_depth = gather_one<1>(v.depths, o, g.count, 0),
                 v_out_opacity = gather_one<1>(v.opacities, o, g.count, 0);
    const auto keep = [&](vfloat x) { return select(visible, x, vfloat{}); };

    const GeometryGradient<vfloat> v_geo(geo, pose, lens, s, g.scale, g.opacity, v_mean2d, v_depth, v_conic,
                                         v_out_opacity);
    sum.opacity = sum.opacity + keep(v_geo.opacity);
    sum.scale = sum.scale + Vec3<vfloat>{keep(v_geo.scale.x), keep(v_geo.scale.y), keep(v_geo.scale.z)};
    sum.quat = {sum.quat.w + keep(v_geo.quat.w), sum.quat.x + keep(v_geo.quat.x), sum.quat.y + keep(v_geo.quat.y),
                sum.quat.z + keep(v_geo.quat.z)};

    Vec3<vfloat> v_mean = transposed_times(pose.r, v_geo.in_cam), v_direction = {};
    if (s.sh_degree >= 0 && v.colors) {
        const int count = harmonics_count(s.sh_degree);
        alignas(64) vfloat basis[kMaxHarmonics], v_basis[kMaxHarmonics] = {};
        const Direction<vfloat> dir(pose, g.mean);
        harmonics(s.sh_degree, dir.unit, basis);
        for (int l = 0; l < g.count; l++) {
            if (!in_picture[l]) continue;
            float v_rgb[3];
            for (int i = 0; i < 3; i++) v_rgb[i] = seen[o + l] & kSeenRed << i ? v.colors[3 * (o + l) + i] : 0.0f;
            const int64_t i = g.first + l, rest = 3 * in.sh_rest_count * i;
            harmonics_row_vjp(in.sh_rest + rest, count, reinterpret_cast<const float*>(basis) + l, v_rgb,
                              grads.sh0 + 3 * i, grads.sh_rest + rest, reinterpret_cast<float*>(v_basis) + l);
        }
        v_direction = dir.vjp(harmonics_vjp(s.sh_degree, dir.unit, v_basis));
        v_mean = v_mean + v_direction;
    }
    sum.mean = sum.mean + Vec3<vfloat>{keep(v_mean.x), keep(v_mean.y), keep(v_mean.z)};

    if (pose_sums) {
        vfloat p[15];
        v_geo.of_pose(geo, g.mean, v_direction, p);
        for (vfloat& x : p) x = keep(x);
        add_pose_gradient(pose_sums, in.k, g, p);
    }
}

// The gradient of cam_from_object from the chunks' sums, chunk by chunk, so that the number of threads cannot show.
void finish_pose_gradient(const ProjectInputs& in, const PoseGradient* sums, int64_t chunks, float* v_cam_from_object) {
    for (int64_t pair = 0; pair < in.c * in.k; pair++) {
        double v[15] = {};
        for (int64_t chunk = 0; chunk < chunks; chunk++)
            for (int i = 0; i < 15; i++) v[i] += (double)sums[chunk * in.c * in.k + pair][i];
        rigid_pose_vjp(in.cam_from_object + 16 * pair, v, v_cam_from_object + 16 * pair);
    }
}

std::vector<RigidPose<float>> rigid_poses(const ProjectInputs& in) {
    std::vector<RigidPose<float>> poses;
    for (int64_t i = 0; i < in.c * in.k; i++) poses.push_back(rigid_pose(in.cam_from_object + 16 * i));
    return poses;
}

bool seen_by_any(const ProjectInputs& in, const uint8_t* seen, int64_t first, int64_t count) {
    uint8_t any = 0;
    for (int64_t camera = 0; camera < in.c; camera++)
        for (int64_t i = 0; i < count; i++) any |= seen[camera * in.n + first + i];
    return any != 0;
}

template <int width> void store_rows(float* rows, const Lanes& g, const vfloat* v) {
    for (int i = 0; i < width; i++)
        for (int l = 0; l < g.count; l++) rows[(g.first + l) * width + i] = v[i][l];
}

}  // namespace

void project(const ProjectInputs& in, const ProjectSettings& settings, const Projected& out) {
    const std::vector<RigidPose<float>> poses = rigid_poses(in);
    const int64_t chunks = (in.n + kChunk - 1) / kChunk;
#pragma omp parallel for schedule(dynamic, 1) collapse(2)
    for (int64_t camera = 0; camera < in.c; camera++)
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
            const Lens lens = lens_of(in, settings, camera);
            const int64_t end = std::min(in.n, (chunk + 1) * kChunk);
            for (int64_t i = chunk * kChunk; i < end; i += kLanes) {
                if (settings.sh_degree >= 0) prefetch_harmonics(in, i + kLanes, std::min(in.n, i + 2 * kLanes));
                project_lanes(in, settings, Lanes(in, i, end), &poses[(size_t)(camera * in.k)], lens, camera * in.n,
                              out);
            }
        }
}

void project_vjp(const ProjectInputs& in, const ProjectSettings& settings, const uint8_t* seen,
                 const ProjectedGradients& v, const ProjectInputGradients& grads) {
    const std::vector<RigidPose<float>> poses = rigid_poses(in);
    const int64_t chunks = (in.n + kChunk - 1) / kChunk, pairs = in.c * in.k;
    std::unique_ptr<PoseGradient[]> sums(grads.cam_from_object ? new PoseGradient[(size_t)(chunks * pairs)]()
                                                               : nullptr);
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t begin = chunk * kChunk, end = std::min(in.n, begin + kChunk);
        for (int64_t i = begin; i < end; i += kLanes) {
            const int64_t count = std::min<int64_t>(kLanes, end - i);
            if (settings.sh_degree >= 0) {
                std::fill_n(grads.sh0 + 3 * i, 3 * count, 0.0f);
                std::fill_n(grads.sh_rest + 3 * in.sh_rest_count * i, 3 * in.sh_rest_count * count, 0.0f);
            }
            if (!seen_by_any(in, seen, i, count)) {
                std::fill_n(grads.means + 3 * i, 3 * count, 0.0f);
                std::fill_n(grads.quats + 4 * i, 4 * count, 0.0f);
                std::fill_n(grads.scales + 3 * i, 3 * count, 0.0f);
                std::fill_n(grads.opacities + i, count, 0.0f);
                continue;
            }
            if (settings.sh_degree >= 0) prefetch_harmonics(in, i, i + count);
            Lanes g(in, i, end);
            g.gather_rest(in);
            LaneGradients sum;
            for (int64_t camera = 0; camera < in.c; camera++)
                project_lanes_vjp(in, settings, g, &poses[(size_t)(camera * in.k)], lens_of(in, settings, camera),
                                  camera * in.n, seen, v, sum, grads,
                                  sums ? &sums[(size_t)(chunk * pairs + camera * in.k)] : nullptr);
            store_rows<3>(grads.means, g, &sum.mean.x);
            store_rows<4>(grads.quats, g, &sum.quat.w);
            store_rows<3>(grads.scales, g, &sum.scale.x);
            store_rows<1>(grads.opacities, g, &sum.opacity);
        }
    }
    if (grads.cam_from_object) finish_pose_gradient(in, sums.get(), chunks, grads.cam_from_object);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
