// Runs every kernel once, forward and backward, on real threads and a made-up scene, for sanitizers to watch. That the
// numbers are right, the tests say; here they only have to be finite and not all zero.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "cuda_runtime.h"
#include "gpu/kernels.h"
#include "math/blend.h"

using namespace gsrecon;

namespace {

std::mt19937 random_bits(7);

std::vector<float> uniform(int64_t count, float low, float high) {
    std::uniform_real_distribution<float> draw(low, high);
    std::vector<float> values((size_t)count);
    for (float& v : values) v = draw(random_bits);
    return values;
}

std::vector<float> room(int64_t count) { return std::vector<float>((size_t)count, NAN); }

void require(const char* name, const std::vector<float>& values) {
    double sum = 0;
    for (float v : values) sum += std::fabs((double)v);
    if (std::isfinite(sum) && (values.empty() || sum > 0)) return;
    std::fprintf(stderr, "%s: not finite, or all zero\n", name);
    std::exit(1);
}

// Exactly as much memory as is asked for, so that a byte too far is seen; it has been used before.
struct Work {
    std::vector<char> memory;
    explicit Work(size_t bytes) : memory(bytes, (char)0xff) {}
    void* data() { return memory.empty() ? nullptr : memory.data(); }
};

constexpr int64_t kGaussians = 40, kCameras = 2, kObjects = 2, kCells = kGaussians * kCameras;
constexpr int kRest = 15;

struct Size {
    int width, height;
    constexpr int64_t pixels() const { return (int64_t)width * height; }
    constexpr int64_t tiles() const { return (int64_t)((width + kTile - 1) / kTile) * ((height + kTile - 1) / kTile); }
};
constexpr Size kPicture = {36, 34};
// So wide that a warp adds up the sums of a Gaussian over all of it, and so wide that a warp lists its tiles, too.
constexpr Size kStrip = {34 * kTile, 5}, kLongStrip = {70 * kTile, 5};
constexpr int64_t kPixels = kPicture.pixels();

struct Drawn {
    std::vector<float> means2d = room(2 * kCells), depths = room(kCells), conics = room(3 * kCells),
                       opacities = room(kCells), colors = room(3 * kCells);
    std::vector<int32_t> radii = std::vector<int32_t>(2 * kCells);
    std::vector<uint8_t> seen = std::vector<uint8_t>(kCells);
};

struct Gaussians {
    std::vector<float> means = uniform(3 * kGaussians, -1, 1), quats = uniform(4 * kGaussians, -1, 1),
                       scales = uniform(3 * kGaussians, 0.05f, 0.5f), opacities = uniform(kGaussians, 0.1f, 1),
                       sh0 = uniform(3 * kGaussians, -1, 1), sh_rest = uniform(3 * kRest * kGaussians, -0.3f, 0.3f);
    std::vector<int32_t> object_index = std::vector<int32_t>(kGaussians);
    std::vector<float> poses, Ks;

    Gaussians(Size size, float larger) {
        for (float& scale : scales) scale *= larger;
        for (int64_t i = 0; i < kGaussians; i++) object_index[(size_t)i] = (int32_t)(i % kObjects);
        for (int64_t i = 0; i < kCameras; i++) {
            const float shift = 0.1f * (float)i;
            for (int64_t k = 0; k < kObjects; k++)
                poses.insert(poses.end(), {1, 0, 0, shift, 0, 1, 0, 0, 0, 0, 1, 3 + shift, 0, 0, 0, 1});
            Ks.insert(Ks.end(), {30, 0, (float)size.width / 2, 0, 30, (float)size.height / 2, 0, 0, 1});
        }
    }
    ProjectInputs inputs() const {
        return {kGaussians,          kCameras,         kObjects,   means.data(),   quats.data(),
                scales.data(),       opacities.data(), sh0.data(), sh_rest.data(), kRest,
                object_index.data(), poses.data(),     Ks.data(),  nullptr};
    }
};

CompositeInputs composite_inputs(const Drawn& d, Size size, int channels, bool per_camera, const float* colors) {
    return {
        kGaussians,     kCameras,        size.width,      size.height,        channels, per_camera, d.means2d.data(),
        d.radii.data(), d.depths.data(), d.conics.data(), d.opacities.data(), colors,   true};
}

// The tile lists, in two calls: with room for what there is, or for so many entries.
struct Tiled {
    gpu::TileRoom space = {};
    std::vector<int64_t> totals = std::vector<int64_t>(2), camera_records, tile_entries;
    std::vector<Record> records;
    std::vector<uint32_t> entries;
    std::vector<int32_t> entry_slots, record_entries;

    Tiled(const CompositeInputs& in, Size size, bool slots, int64_t max_entries = 0) {
        std::vector<int32_t> index(kCells), tiles_of(kCells);
        const gpu::TileCounts counts = {index.data(), tiles_of.data(), totals.data()};
        Work count_work(gpu::count_tiles_workspace(in));
        gpu::count_tiles(in, counts, count_work.data(), count_work.memory.size(), nullptr);

        space = {totals[0], totals[1], true};
        if (max_entries) space = {kCells, max_entries, false};
        records.resize((size_t)space.records), entries.resize((size_t)space.entries);
        camera_records.resize(kCameras + 1), tile_entries.resize((size_t)(size.tiles() * kCameras) + 1);
        if (slots) entry_slots.resize((size_t)space.entries), record_entries.resize((size_t)space.records);
        Work fill_work(gpu::fill_tiles_workspace(in, space, slots));
        gpu::fill_tiles(in, counts, space,
                        {records.data(), camera_records.data(), tile_entries.data(), entries.data(),
                         slots ? entry_slots.data() : nullptr, slots ? record_entries.data() : nullptr},
                        fill_work.data(), fill_work.memory.size(), nullptr);
    }
    TileLists lists() { return {records.data(), camera_records.data(), tile_entries.data(), entries.data(), nullptr}; }
    gpu::TileSlots slots() const {
        const bool has = !entry_slots.empty();
        return {space.records, space.entries, has ? entry_slots.data() : nullptr,
                has ? record_entries.data() : nullptr};
    }
    // That some Gaussian is in so many.
    void require_tiles(int count) const {
        for (int32_t tiles : record_entries)
            if (tiles >= count) return;
        std::fprintf(stderr, "no Gaussian is in %d tiles\n", count);
        std::exit(1);
    }
};

// Tiles, blending, its gradient and inspection, with `channels` colours a Gaussian and the depth.
void composite(const Drawn& d, const Gaussians& g, Size size, int channels, bool per_camera, bool slots, bool absgrad,
               int64_t max_entries = 0) {
    const std::vector<float> colors = uniform((per_camera ? kCells : kGaussians) * channels, 0, 1);
    const CompositeInputs in = composite_inputs(d, size, channels, per_camera, colors.data());
    Tiled tiled(in, size, slots, max_entries);
    const TileLists lists = tiled.lists();
    const int64_t pixels = size.pixels() * kCameras;
    CompositeInputs blended = in;  // all that is read from here on
    blended.means2d = blended.conics = blended.opacities = nullptr, blended.radii = nullptr;
    if (channels <= 3) blended.colors = blended.depths = nullptr;
    const int features = channels - 3;
    std::vector<float> image = room(pixels * 3), further = room(pixels * features), depth = room(pixels),
                       alpha = room(pixels);
    gpu::composite(blended, lists, {3, features, image.data(), further.data(), depth.data(), alpha.data()}, nullptr);
    for (const auto* picture : {&image, &further, &depth, &alpha}) require("pictures", *picture);

    const gpu::TileSlots places = tiled.slots();
    const std::vector<float> v = uniform((int64_t)(image.size() + further.size()), -1, 1);
    const DrawnPictures drawn = {3, features, image.data(), further.data(), depth.data(), alpha.data()},
                        gradients = {3, features, v.data(), v.data(), v.data(), v.data()};
    std::vector<float> v_means2d = room(2 * kCells), v_conics = room(3 * kCells), v_opacities = room(kCells),
                       v_colors = room((int64_t)colors.size()), v_depths = room(kCells), v_abs = room(2 * kCells);
    Work vjp_work(gpu::composite_vjp_workspace(in, places, absgrad));
    gpu::composite_vjp(blended, lists, places, drawn, gradients,
                       {v_means2d.data(), v_conics.data(), v_opacities.data(), v_colors.data(), v_depths.data(),
                        absgrad ? v_abs.data() : nullptr},
                       vjp_work.data(), vjp_work.memory.size(), nullptr);
    for (const auto* v : {&v_means2d, &v_conics, &v_opacities, &v_colors, &v_depths}) require("gradients", *v);
    if (absgrad) require("absolute gradients", v_abs);

    std::vector<int32_t> ids((size_t)pixels);
    std::vector<float> median = room(pixels);
    blended.depths = in.depths;
    gpu::inspect(blended, lists, g.object_index.data(), {ids.data(), median.data()}, nullptr);
    require("median depth", median);
}

ProjectSettings projection(Size size) {
    return {size.width, size.height, LensModel::pinhole, true, 0.01f, 1e10f, 0.0f, 0.3f, 3};
}

Drawn projected(const Gaussians& g, Size size) {
    Drawn d;
    gpu::project(g.inputs(), projection(size),
                 {d.means2d.data(), d.radii.data(), d.depths.data(), d.conics.data(), d.opacities.data(),
                  d.colors.data(), d.seen.data()},
                 nullptr);
    require("projection", d.means2d);
    return d;
}

void rasterizer() {
    const Gaussians g(kPicture, 1);
    const ProjectInputs in = g.inputs();
    const ProjectSettings settings = projection(kPicture);
    const Drawn d = projected(g, kPicture);
    const std::vector<float> v = uniform(3 * kCells, -1, 1);
    std::vector<float> v_means = room(3 * kGaussians), v_quats = room(4 * kGaussians), v_scales = room(3 * kGaussians),
                       v_opacities = room(kGaussians), v_sh0 = room(3 * kGaussians),
                       v_rest = room(3 * kRest * kGaussians), v_poses = room(16 * kCameras * kObjects);
    Work work(gpu::project_vjp_workspace(in, true));
    gpu::project_vjp(in, settings, d.seen.data(), {v.data(), v.data(), v.data(), v.data(), v.data()},
                     {v_means.data(), v_quats.data(), v_scales.data(), v_opacities.data(), v_sh0.data(), v_rest.data(),
                      v_poses.data()},
                     work.data(), work.memory.size(), nullptr);
    for (const auto* values : {&v_means, &v_quats, &v_scales, &v_opacities, &v_sh0, &v_rest, &v_poses})
        require("projection's gradients", *values);
    composite(d, g, kPicture, 3, true, false, false);
    composite(d, g, kPicture, 3, false, true, true);
    composite(d, g, kPicture, 7, false, false, true);
    composite(d, g, kPicture, 7, true, true, false);
    const int64_t entries = Tiled(composite_inputs(d, kPicture, 3, true, d.colors.data()), kPicture, false).totals[1];
    for (int64_t max_entries : {2 * entries, entries / 2}) {
        composite(d, g, kPicture, 3, true, false, false, max_entries);
        composite(d, g, kPicture, 3, false, true, true, max_entries);
    }

    const Gaussians large(kStrip, 200), larger(kLongStrip, 400);
    const Drawn wide = projected(large, kStrip), wider = projected(larger, kLongStrip);
    Tiled(composite_inputs(wide, kStrip, 3, true, wide.colors.data()), kStrip, true).require_tiles(33);
    composite(wide, large, kStrip, 3, true, true, false);
    Tiled(composite_inputs(wider, kLongStrip, 3, true, wider.colors.data()), kLongStrip, true).require_tiles(65);

    std::vector<int32_t> gaussians, windows = {0, 0, 20, 17, 5, 3, 30, 30};
    for (int32_t i = 0; i < kGaussians; i++)
        if (d.radii[2 * (size_t)i] > 0) gaussians.push_back(i);
    const auto shown = (int64_t)gaussians.size();
    const std::vector<int64_t> first_gaussian = {0, shown / 2, shown}, first_pixel = {0, 340, 340 + 675};
    std::vector<float> alone = room(first_pixel.back());
    gpu::alone({2, d.means2d.data(), d.radii.data(), d.conics.data(), d.opacities.data(), gaussians.data(),
                first_gaussian.data(), windows.data(), first_pixel.data()},
               (int64_t)alone.size(), alone.data(), nullptr);
    require("alone", alone);
}

void compare(const std::vector<float>& image, const float* truth, const uint8_t* truth_bytes,
             const ComparisonWeights& weights) {
    bool counts[2 * kPixels];
    for (int64_t i = 0; i < 2 * kPixels; i++) counts[i] = i % 5 > 0;
    const ComparedPictures in = {2, kPicture.height, kPicture.width, 3, image.data(), truth, truth_bytes, counts};
    PictureFigures figures;
    std::vector<float> kept = room(3 * (int64_t)image.size()), v_image = room((int64_t)image.size());
    Work work(gpu::compare_pictures_workspace(in));
    gpu::compare_pictures(in, weights, &figures, kept.data(), work.data(), work.memory.size(), nullptr);
    require("comparison", {figures.comparison, figures.squared, figures.one_value});
    const float upstream = 0.5f;
    gpu::compare_pictures_vjp(in, weights, &figures, kept.data(), &upstream, v_image.data(), nullptr);
    require("comparison's gradient", v_image);
}

void compare_depths(const std::vector<float>& depth) {
    std::vector<int32_t> places(300);
    for (size_t i = 0; i < places.size(); i++) places[i] = (int32_t)(3 * i);
    places.back() = -1;
    const std::vector<float> measured = uniform((int64_t)places.size(), 0.1f, 1);
    const ComparedDepths in = {(int64_t)depth.size(), (int64_t)places.size(), depth.data(),
                               places.data(),         measured.data(),        0.5f};
    DepthFigures figures;
    std::vector<float> v_depth = room((int64_t)depth.size());
    Work work(gpu::compare_depths_workspace(in));
    gpu::compare_depths(in, &figures, work.data(), work.memory.size(), nullptr);
    require("depth error", {figures.mean, figures.one_point});
    const float upstream = 0.5f;
    gpu::compare_depths_vjp(in, &figures, &upstream, v_depth.data(), nullptr);
    require("depth error's gradient", v_depth);
}

void pictures() {
    const int64_t values = 2 * kPixels * 3;
    const std::vector<float> a = uniform(values, 0, 1), b = uniform(values, 0, 1);
    compare(a, b.data(), nullptr, {0.2f, 0.8f, -0.2f});
    const std::vector<uint8_t> bytes((size_t)values, 77);
    compare(a, nullptr, bytes.data(), {0.2f, 0.8f, -0.2f});
    compare(a, nullptr, bytes.data(), {0.0f, 1.0f, 0.0f});
    compare_depths(a);

    const std::vector<float> texels = uniform(6 * 4 * 4 * 3, 0, 1), directions = uniform(3 * kPixels, -1, 1),
                             rotation = {1, 0, 0, 0, 1, 0, 0, 0, 1}, alpha = uniform(kPixels, 0, 1);
    const CubeMapInputs sky = {kPixels, 4, texels.data(), directions.data(), rotation.data(), alpha.data(), 0.002f};
    std::vector<float> out = room(3 * kPixels), v_alpha = room(kPixels), v_texels = room((int64_t)texels.size());
    gpu::cube_map(sky, a.data(), out.data(), nullptr);
    gpu::cube_map_vjp(sky, b.data(), v_alpha.data(), v_texels.data(), nullptr);
    for (const auto* v : {&out, &v_alpha, &v_texels}) require("cube map", *v);
}

// More tensors than one launch takes, with short rows and with rows of several pieces.
void adam() {
    const std::vector<float> gradients = uniform(3 * 2500, -1, 1);
    std::vector<std::vector<float>> values, first_moments, second_moments;
    for (int i = 0; i < 50; i++) {
        values.push_back(uniform((int64_t)gradients.size(), 0, 1));
        first_moments.emplace_back(gradients.size());
        second_moments.emplace_back(gradients.size());
    }
    std::vector<AdamTask> tasks;
    for (size_t i = 0; i < values.size(); i++) {
        const int64_t rows = i % 5 == 0 ? 3 : 300, width = (int64_t)gradients.size() / rows;
        tasks.push_back(
            {{rows, width, gradients.data(), values[i].data(), first_moments[i].data(), second_moments[i].data()},
             {0.9f, 0.999f, 0.01f, 1.0f, 1e-15f, nullptr}});
    }
    gpu::adam_rows(tasks, nullptr);
    for (const auto& moments : second_moments) require("adam", moments);
}

void corrections() {
    constexpr int64_t knots = 200, cameras = 3, pictures = 150;
    const std::vector<float> of_rig = uniform(3 * knots, -1, 1), of_cameras = uniform(3 * cameras, -0.1f, 0.1f);
    const RigCorrections tables = {knots, cameras, of_rig.data(), of_rig.data(), of_cameras.data(), of_cameras.data()};
    const RigCamera camera = {{2, 2, 0.0},
                              {198, 199, 0.3},
                              {0, 0, 1, 1, -1, 0, 0, 0, 0, -1, 0, 1.5, 0, 0, 0, 1},
                              {0, 0, 1, 500, -1, 0, 0, -30, 0, -1, 0, 1.5, 0, 0, 0, 1}};
    const std::vector<float> v = uniform(16, -1, 1);
    std::vector<float> viewmat = room(16), v_moves = room(3 * knots), v_turns = room(3 * knots),
                       v_own_moves = room(3 * cameras), v_own_turns = room(3 * cameras);
    gpu::rig_camera(tables, camera, viewmat.data(), nullptr);
    gpu::rig_camera_vjp(tables, camera, v.data(),
                        {knots, cameras, v_moves.data(), v_turns.data(), v_own_moves.data(), v_own_turns.data()},
                        nullptr);
    for (const auto* values : {&viewmat, &v_moves, &v_turns, &v_own_moves, &v_own_turns}) require("camera", *values);

    const std::vector<float> drawn = uniform(22 * 70, -1, 1);
    const std::vector<double> tangents(drawn.begin(), drawn.begin() + 6 * 70),
        v_motions(drawn.begin() + 6 * 70, drawn.end());
    std::vector<double> motions(16 * 70, NAN), v_tangents(6 * 70, NAN);
    gpu::se3_exps(70, tangents.data(), motions.data(), nullptr);
    gpu::se3_exps_vjp(70, tangents.data(), v_motions.data(), v_tangents.data(), nullptr);
    for (const auto* values : {&motions, &v_tangents}) require("motions", {values->begin(), values->end()});

    const std::vector<float> image = uniform(3 * kPixels, 0, 1), v_out = uniform(3 * kPixels, -1, 1),
                             of_camera = uniform(6 * cameras, -1, 1), of_pictures = uniform(6 * pictures, -1, 1);
    const ExposureInputs exposure = {kPixels,      cameras,          pictures,
                                     image.data(), of_camera.data(), of_pictures.data(),
                                     {0, 0, 0},    {148, 149, 0.25}, false};
    std::vector<float> out = room(3 * kPixels), v_image = room(3 * kPixels), v_camera = room(6 * cameras),
                       v_pictures = room(6 * pictures);
    gpu::exposure(exposure, out.data(), nullptr);
    Work work(gpu::exposure_vjp_workspace(exposure));
    gpu::exposure_vjp(exposure, v_out.data(), {v_image.data(), v_camera.data(), v_pictures.data()}, work.data(),
                      work.memory.size(), nullptr);
    for (const auto* values : {&out, &v_image, &v_camera, &v_pictures}) require("exposure", *values);

    const MeanSquaresInputs squares = {2, {of_rig.data(), of_cameras.data()}, {3 * knots, 3 * cameras}, {1e2, 1e4}};
    std::vector<float> sum = room(1);
    gpu::mean_squares(squares, sum.data(), nullptr);
    gpu::mean_squares_vjp(squares, sum.data(), {{v_moves.data(), v_own_moves.data()}}, nullptr);
    for (const auto* values : {&sum, &v_moves, &v_own_moves}) require("mean squares", *values);
}

void densification() {
    const Gaussians g(kPicture, 1);
    const std::vector<float> log_scales = uniform(3 * kGaussians, -2, 0), logits = uniform(kGaussians, -8, 0),
                             noise = uniform(3 * kGaussians, -1, 1);
    std::vector<float> means(3 * kGaussians), opacities = room(kGaussians), factors = room(kGaussians);
    gpu::explore({kGaussians, g.quats.data(), log_scales.data(), logits.data(), noise.data(), 10.0f, 0.005f},
                 means.data(), nullptr);
    const std::vector<int64_t> copies(kGaussians, 3);
    gpu::relocate(kGaussians, g.opacities.data(), copies.data(), opacities.data(), factors.data(), nullptr);
    for (const auto* v : {&means, &opacities, &factors}) require("densification", *v);

    // The last rows of larger tensors.
    const std::vector<float> gradients = uniform(2 * kCells, -1, 1);
    const std::vector<int32_t> radii(2 * kCells, 5);
    constexpr int64_t first = 7, own = kGaussians - first, stride = 2 * kGaussians;
    std::vector<float> sums(own), times(own), largest(own);
    gpu::add_screen_statistics(
        {own, kCameras, gradients.data() + 2 * first, radii.data() + 2 * first, stride, stride, 8.0f, 6.0f},
        {sums.data(), times.data(), largest.data()}, nullptr);
    for (const auto* v : {&sums, &times, &largest}) require("screen statistics", *v);
}

}  // namespace

int main() {
    gsrecon_shim::use_engine("threads");
    rasterizer();
    pictures();
    adam();
    corrections();
    densification();
    std::puts("every kernel ran");
}
