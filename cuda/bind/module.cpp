// The binding of the CPU's kernels, and of everything a build has.
#include <nanobind/ndarray.h>

#include <mutex>
#include <vector>

#include "bind/operations.h"
#include "cpu/kernels.h"

using namespace gsrecon;

#if defined(GSRECON_CUDA)
namespace gsrecon {
void bind_gpu(nb::module_&);  // module_gpu.cpp
}
#endif

namespace {

// The CPU as a place: each operation that may take long without the interpreter's lock.
struct Cpu {
    using Memory = CpuMemory;

    void project(const ProjectInputs& in, const ProjectSettings& settings, const Projected& out) const {
        expect_objects(in);
        const nb::gil_scoped_release unlocked;
        kernels().project(in, settings, out);
    }
    void project_vjp(const ProjectInputs& in, const ProjectSettings& settings, const uint8_t* seen,
                     const ProjectedGradients& v, const ProjectInputGradients& grads) const {
        expect_objects(in);
        const nb::gil_scoped_release unlocked;
        kernels().project_vjp(in, settings, seen, v, grads);
    }
    void composite(const CompositeInputs& in, const TileListArrays& tiles, const Pictures& out) const {
        const nb::gil_scoped_release unlocked;
        kernels().composite(in, tiles.lists, out);
    }
    void composite_vjp(const CompositeInputs& in, const TileListArrays& tiles, const DrawnPictures& drawn,
                       const DrawnPictures& v, const CompositeGradients& out) const {
        expect(tiles.slots_count == tiles.entries, "slots: expected [entries]");
        const nb::gil_scoped_release unlocked;
        kernels().composite_vjp(in, tiles.lists, drawn, v, out);
    }
    void inspect(const CompositeInputs& in, const TileListArrays& tiles, const int32_t* object_index,
                 const InspectOutputs& out) const {
        const nb::gil_scoped_release unlocked;
        kernels().inspect(in, tiles.lists, object_index, out);
    }
    void alone(const AloneInputs& in, int64_t, float* alpha) const {
        const nb::gil_scoped_release unlocked;
        kernels().alone(in, alpha);
    }
    void compare_pictures(const ComparedPictures& in, const ComparisonWeights& weights, PictureFigures* figures,
                          float* kept) const {
        const nb::gil_scoped_release unlocked;
        *figures = kernels().compare_pictures(in, weights, kept);
    }
    void compare_pictures_vjp(const ComparedPictures& in, const ComparisonWeights& weights,
                              const PictureFigures* figures, const float* kept, const float* v_comparison,
                              float* v_image) const {
        const nb::gil_scoped_release unlocked;
        kernels().compare_pictures_vjp(in, weights, kept, *v_comparison * figures->one_value, v_image);
    }
    void compare_depths(const ComparedDepths& in, DepthFigures* figures) const {
        expect_places(in);
        const nb::gil_scoped_release unlocked;
        *figures = kernels().compare_depths(in);
    }
    void compare_depths_vjp(const ComparedDepths& in, const DepthFigures* figures, const float* v_mean,
                            float* v_depth) const {
        expect_places(in);
        const nb::gil_scoped_release unlocked;
        kernels().compare_depths_vjp(in, *v_mean * figures->one_point, v_depth);
    }
    void cube_map(const CubeMapInputs& in, const float* image, float* out) const {
        const nb::gil_scoped_release unlocked;
        kernels().cube_map(in, image, out);
    }
    void cube_map_vjp(const CubeMapInputs& in, const float* v_out, float* v_alpha, float* v_texels) const {
        const nb::gil_scoped_release unlocked;
        kernels().cube_map_vjp(in, v_out, v_alpha, v_texels);
    }
    void exposure(const ExposureInputs& in, float* out) const {
        const nb::gil_scoped_release unlocked;
        kernels().exposure(in, out);
    }
    void exposure_vjp(const ExposureInputs& in, const float* v_out, const ExposureGradients& out) const {
        const nb::gil_scoped_release unlocked;
        kernels().exposure_vjp(in, v_out, out);
    }
    void rig_camera(const RigCorrections& corrections, const RigCamera& camera, float* viewmat) const {
        kernels().rig_camera(corrections, camera, viewmat);
    }
    void rig_camera_vjp(const RigCorrections& corrections, const RigCamera& camera, const float* v_viewmat,
                        const RigCorrectionGradients& out) const {
        kernels().rig_camera_vjp(corrections, camera, v_viewmat, out);
    }
    void se3_exps(int64_t count, const double* tangents, double* motions) const {
        kernels().se3_exps(count, tangents, motions);
    }
    void se3_exps_vjp(int64_t count, const double* tangents, const double* v_motions, double* v_tangents) const {
        kernels().se3_exps_vjp(count, tangents, v_motions, v_tangents);
    }
    void mean_squares(const MeanSquaresInputs& in, float* sum_of_means) const {
        *sum_of_means = (float)kernels().mean_squares(in);
    }
    void mean_squares_vjp(const MeanSquaresInputs& in, const float* v_sum, const MeanSquaresGradients& out) const {
        kernels().mean_squares_vjp(in, *v_sum, out);
    }
    void adam_rows(const std::vector<AdamTask>& tasks) const {
        const nb::gil_scoped_release unlocked;
        kernels().adam_rows(tasks);
    }
    void add_screen_statistics(const ScreenGradients& in, const ScreenStatistics& statistics) const {
        const nb::gil_scoped_release unlocked;
        kernels().add_screen_statistics(in, statistics);
    }

  private:
    static void expect_places(const ComparedDepths& in) {
        for (int64_t i = 0; i < in.count; i++)
            expect(in.places[i] >= 0 && in.places[i] < in.pixels, "places: expected pixels of the picture");
    }
    static void expect_objects(const ProjectInputs& in) {
        if (!in.object_index) return;
        for (int64_t i = 0; i < in.n; i++)
            expect((uint32_t)in.object_index[i] < (uint64_t)in.k, "object_index: expected values from 0 to K - 1");
    }
};

using Arrays = ArraysIn<CpuMemory>;

// One frame's working memory, lent from a pool and given back when Python drops the handle.
class BinningPool {
  public:
    std::unique_ptr<Binning> take() {
        const std::lock_guard lock(mutex_);
        if (free_.empty()) return std::make_unique<Binning>();
        std::unique_ptr<Binning> binning = std::move(free_.back());
        free_.pop_back();
        return binning;
    }
    void give(std::unique_ptr<Binning> binning) {
        const std::lock_guard lock(mutex_);
        if (free_.size() < 4) free_.push_back(std::move(binning));
    }

  private:
    std::mutex mutex_;
    std::vector<std::unique_ptr<Binning>> free_;
};

BinningPool& binning_pool() {
    static BinningPool pool;
    return pool;
}

// Tile lists in two calls: `count` measures, the caller allocates, `fill` writes.
class Tiler {
  public:
    Tiler() = default;
    Tiler(const Tiler&) = delete;
    Tiler& operator=(const Tiler&) = delete;
    ~Tiler() {
        for (auto& binning : cameras_) binning_pool().give(std::move(binning));
    }

    // Writes the records of all cameras and tells how many (record, tile) entries there are.
    int64_t count(Arrays::Input3 means2d, Arrays::Array3<const int32_t> radii, Arrays::Input2 depths,
                  Arrays::Input3 conics, Arrays::Input2 opacities, Arrays::Input3 colors, int width, int height,
                  bool with_depth, Arrays::Array2<float> records, Arrays::Array1<int64_t> camera_records) {
        in_ = Drawing<Cpu>::projected(means2d, radii, depths, conics, opacities, colors, width, height, with_depth);
        expect(records.shape(0) >= in_.c * in_.n && records.shape(1) == sizeof(Record) / 4,
               "records: expected [C * N, 12]");
        expect(camera_records.shape(0) == in_.c + 1, "camera_records: expected [C + 1]");
        expect(in_.c * in_.n < (int64_t)kEntryIdMask, "means2d: more than 2^28 Gaussians times cameras");
        const nb::gil_scoped_release unlocked;
        prefer_huge_pages(records.data(), (size_t)(in_.c * in_.n) * sizeof(Record));
        Record* all = reinterpret_cast<Record*>(records.data());
        int64_t record = 0, entries = 0;
        for (int64_t camera = 0; camera < in_.c; camera++) {
            cameras_.push_back(binning_pool().take());
            Binning& binning = *cameras_.back();
            camera_records.data()[camera] = record;
            kernels().make_records(in_, camera, binning, all + record);
            sort_by_depth(binning);
            record += binning.records;
            entries += binning.entries;
        }
        camera_records.data()[in_.c] = record;
        if (entries > INT32_MAX)
            throw std::runtime_error("more than 2^31 (Gaussian, tile) pairs: render fewer cameras at a time");
        return entries;
    }

    void fill(Arrays::Array1<int64_t> tile_entries, Arrays::Array1<int32_t> entries,
              std::optional<Arrays::Array1<int32_t>> slot_entries) {
        const int tiles_x = (in_.width + kTile - 1) / kTile, tiles_y = (in_.height + kTile - 1) / kTile;
        const int64_t tiles = (int64_t)tiles_x * tiles_y;
        expect(tile_entries.shape(0) == in_.c * tiles + 1, "tile_entries: expected [C * tiles + 1]");
        const nb::gil_scoped_release unlocked;
        prefer_huge_pages(entries.data(), (size_t)entries.size() * sizeof(int32_t));
        if (slot_entries) prefer_huge_pages(slot_entries->data(), (size_t)slot_entries->size() * sizeof(int32_t));
        int64_t record = 0, entry = 0;
        tile_entries.data()[0] = 0;
        for (int64_t camera = 0; camera < in_.c; camera++) {
            Binning& binning = *cameras_[(size_t)camera];
            uint32_t* slots = slot_entries ? reinterpret_cast<uint32_t*>(slot_entries->data()) + entry : nullptr;
            scatter_to_tiles(binning, tiles_x, tiles_y, (uint32_t)record, entry, tile_entries.data() + camera * tiles,
                             reinterpret_cast<uint32_t*>(entries.data()), slots);
            record += binning.records;
            entry += binning.entries;
        }
    }

  private:
    CompositeInputs in_{};
    std::vector<std::unique_ptr<Binning>> cameras_;
};

// A float array whose memory goes back to the pool when Python lets go of it.
nb::ndarray<nb::numpy, float, nb::ndim<1>> pooled(size_t count) {
    struct Lent {
        void* data;
        size_t capacity;
    };
    Lent lent{};
    lent.data = MemoryPool::global().take(count * sizeof(float), lent.capacity);
    nb::capsule owner(new Lent(lent), [](void* p) noexcept {
        const std::unique_ptr<Lent> lent(static_cast<Lent*>(p));
        MemoryPool::global().give(lent->data, lent->capacity);
    });
    return {static_cast<float*>(lent.data), {count}, owner};
}

PerceptronInputs perceptron_inputs(Arrays::Input2 inputs, Arrays::Input1 parameters, const std::vector<int>& widths) {
    expect(widths.size() >= 2 && inputs.shape(1) == widths.front(), "widths: expected that of the inputs first");
    int64_t floats = 0;
    for (size_t k = 0; k + 1 < widths.size(); k++) floats += (int64_t)(widths[k] + 1) * widths[k + 1];
    expect(parameters.shape(0) == floats, "parameters: expected weights and biases of every layer");
    return {inputs.shape(0), (int)widths.size() - 1, widths.data(), inputs.data(), parameters.data()};
}

void run_perceptron(const Cpu&, Arrays::Input2 inputs, Arrays::Input1 parameters, const std::vector<int>& widths,
                    Arrays::Array2<float> outputs) {
    const PerceptronInputs in = perceptron_inputs(inputs, parameters, widths);
    expect(outputs.shape(0) == inputs.shape(0) && outputs.shape(1) == widths.back(),
           "outputs: expected [rows, last width]");
    const nb::gil_scoped_release unlocked;
    kernels().perceptron(in, outputs.data());
}

void run_perceptron_vjp(const Cpu&, Arrays::Input2 inputs, Arrays::Input1 parameters, const std::vector<int>& widths,
                        Arrays::Input2 v_outputs, Arrays::Array1<float> v_parameters,
                        std::optional<Arrays::Array2<float>> v_inputs) {
    const PerceptronInputs in = perceptron_inputs(inputs, parameters, widths);
    expect(v_outputs.shape(0) == inputs.shape(0) && v_outputs.shape(1) == widths.back(),
           "v_outputs: expected [rows, last width]");
    expect(v_parameters.shape(0) == parameters.shape(0), "v_parameters: expected the parameters' shape");
    const nb::gil_scoped_release unlocked;
    kernels().perceptron_vjp(in, v_outputs.data(), v_parameters.data(), pointer(v_inputs));
}

}  // namespace

NB_MODULE(_C, m) {
    m.doc() = "Native kernels of gsrecon. Use gsrecon.ops; this module checks shapes but has no gradients.";
    m.attr("tile_size") = kTile;
    m.attr("record_floats") = sizeof(Record) / 4;
    m.def("cpu_isa", [] { return std::string(kernels().name); }, "The instruction set the CPU kernels run on.");
    m.def("pooled", &pooled, nb::arg("count"), "Uninitialised floats in memory that is reused from frame to frame.");

    nb::class_<Cpu> cpu(m, "Cpu", "The operations in the CPU's memory.");
    cpu.def(nb::init<>());
    bind_operations(cpu);
    cpu.def("perceptron", &run_perceptron);
    cpu.def("perceptron_vjp", &run_perceptron_vjp);
    nb::class_<Tiler>(m, "Tiler", "Sorts projected Gaussians into front-to-back tile lists, in two calls.")
        .def(nb::init<>())
        .def("count", &Tiler::count)
        .def("fill", &Tiler::fill);
#if defined(GSRECON_CUDA)
    bind_gpu(m);
#endif
}
