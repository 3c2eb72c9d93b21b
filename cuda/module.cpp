// The binding: checks shapes and types, hands pointers to the kernels. No arithmetic here.
#include <mutex>
#include <tuple>
#include <vector>

#include "binding.h"
#include "cpu/kernels.h"

using namespace gsrecon;

#if defined(GSRECON_CUDA)
namespace gsrecon {
void bind_gpu(nb::module_&);  // module_gpu.cpp
}
#endif

namespace {

using Cpu = Arrays<nb::device::cpu>;
template <class T> using Array1 = Cpu::Array1<T>;
template <class T> using Array2 = Cpu::Array2<T>;
template <class T> using Array3 = Cpu::Array3<T>;
template <class T> using Array4 = Cpu::Array4<T>;
using Input1 = Cpu::Input1;
using Input2 = Cpu::Input2;
using Input3 = Cpu::Input3;
using Input4 = Cpu::Input4;

void expect_objects(const std::optional<Array1<const int32_t>>& object_index, size_t k) {
    if (!object_index) return;
    for (size_t i = 0; i < object_index->shape(0); i++)
        expect((size_t)object_index->data()[i] < k, "object_index: expected values from 0 to K - 1");
}

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
    int64_t count(const Input3& means2d, const Array3<const int32_t>& radii, const Input2& depths, const Input3& conics,
                  const Input2& opacities, const Input3& colors, int width, int height, bool with_depth,
                  Array2<float>& records, Array1<int64_t>& camera_records) {
        in_ = Cpu::composite_inputs(means2d, radii, depths, conics, opacities, colors, width, height, with_depth);
        expect(records.shape(0) >= (size_t)(in_.c * in_.n) && records.shape(1) == sizeof(Record) / 4,
               "records: expected [C * N, 12]");
        expect(camera_records.shape(0) == (size_t)in_.c + 1, "camera_records: expected [C + 1]");
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

    void fill(Array1<int64_t>& tile_entries, Array1<int32_t>& entries, std::optional<Array1<int32_t>> slot_entries) {
        const int tiles_x = (in_.width + kTile - 1) / kTile, tiles_y = (in_.height + kTile - 1) / kTile;
        const int64_t tiles = (int64_t)tiles_x * tiles_y;
        expect(tile_entries.shape(0) == (size_t)(in_.c * tiles + 1), "tile_entries: expected [C * tiles + 1]");
        const nb::gil_scoped_release unlocked;
        prefer_huge_pages(entries.data(), entries.nbytes());
        if (slot_entries) prefer_huge_pages(slot_entries->data(), slot_entries->nbytes());
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

PerceptronInputs perceptron_inputs(const Input2& inputs, const Input1& parameters, const std::vector<int>& widths) {
    expect(widths.size() >= 2 && (int)inputs.shape(1) == widths.front(), "widths: expected that of the inputs first");
    int64_t floats = 0;
    for (size_t k = 0; k + 1 < widths.size(); k++) floats += (int64_t)(widths[k] + 1) * widths[k + 1];
    expect((int64_t)parameters.shape(0) == floats, "parameters: expected weights and biases of every layer");
    return {(int64_t)inputs.shape(0), (int)widths.size() - 1, widths.data(), inputs.data(), parameters.data()};
}

}  // namespace

NB_MODULE(_C, m) {
    m.doc() = "Native kernels of gsrecon. Use gsrecon.ops; this module checks shapes but has no gradients.";
    m.attr("tile_size") = kTile;
#if defined(GSRECON_CUDA)
    bind_gpu(m);
#endif
    m.attr("record_floats") = sizeof(Record) / 4;
    m.def("cpu_isa", [] { return std::string(kernels().name); }, "The instruction set the CPU kernels run on.");

    m.def("pooled", &pooled, nb::arg("count"), "Uninitialised floats in memory that is reused from frame to frame.");

    m.def(
        "project",
        [](Input2 means, Input2 quats, Input2 scales, Input1 opacities, std::optional<Input2> sh0,
           std::optional<Input3> sh_rest, std::optional<Array1<const int32_t>> object_index, Input4 cam_from_object,
           Input3 Ks, std::optional<Input2> distortion, int width, int height, const std::string& model,
           bool antialiased, float near_plane, float far_plane, float radius_clip, float eps2d, int sh_degree,
           Array3<float> means2d, Array3<int32_t> radii, Array2<float> depths, Array3<float> conics,
           Array2<float> out_opacities, std::optional<Array3<float>> colors) {
            const ProjectSettings settings = project_settings(width, height, model, antialiased, near_plane, far_plane,
                                                              radius_clip, eps2d, sh_degree);
            const ProjectInputs in = Cpu::project_inputs(means, quats, scales, opacities, sh0, sh_rest, object_index,
                                                         cam_from_object, Ks, distortion, sh_degree);
            expect_objects(object_index, cam_from_object.shape(1));
            const nb::gil_scoped_release unlocked;
            kernels().project(
                in, settings,
                {means2d.data(), radii.data(), depths.data(), conics.data(), out_opacities.data(), pointer(colors)});
        },
        nb::arg("means"), nb::arg("quats"), nb::arg("scales"), nb::arg("opacities"), nb::arg("sh0").none(),
        nb::arg("sh_rest").none(), nb::arg("object_index").none(), nb::arg("cam_from_object"), nb::arg("Ks"),
        nb::arg("distortion").none(), nb::arg("width"), nb::arg("height"), nb::arg("model"), nb::arg("antialiased"),
        nb::arg("near_plane"), nb::arg("far_plane"), nb::arg("radius_clip"), nb::arg("eps2d"), nb::arg("sh_degree"),
        nb::arg("means2d"), nb::arg("radii"), nb::arg("depths"), nb::arg("conics"), nb::arg("out_opacities"),
        nb::arg("colors").none());

    m.def(
        "project_vjp",
        [](Input2 means, Input2 quats, Input2 scales, Input1 opacities, std::optional<Input2> sh0,
           std::optional<Input3> sh_rest, std::optional<Array1<const int32_t>> object_index, Input4 cam_from_object,
           Input3 Ks, std::optional<Input2> distortion, int width, int height, const std::string& model,
           bool antialiased, float near_plane, float far_plane, float radius_clip, float eps2d, int sh_degree,
           Array3<int32_t> radii, std::optional<Array3<float>> colors, std::optional<Input3> v_means2d,
           std::optional<Input2> v_depths, std::optional<Input3> v_conics, std::optional<Input2> v_opacities,
           std::optional<Input3> v_colors, Array2<float> v_means, Array2<float> v_quats, Array2<float> v_scales,
           Array1<float> v_in_opacities, std::optional<Array2<float>> v_sh0, std::optional<Array3<float>> v_sh_rest,
           std::optional<Array4<float>> v_cam_from_object) {
            const ProjectSettings settings = project_settings(width, height, model, antialiased, near_plane, far_plane,
                                                              radius_clip, eps2d, sh_degree);
            const ProjectInputs in = Cpu::project_inputs(means, quats, scales, opacities, sh0, sh_rest, object_index,
                                                         cam_from_object, Ks, distortion, sh_degree);
            expect_objects(object_index, cam_from_object.shape(1));
            const nb::gil_scoped_release unlocked;
            kernels().project_vjp(
                in, settings, {nullptr, radii.data(), nullptr, nullptr, nullptr, pointer(colors)},
                {pointer(v_means2d), pointer(v_depths), pointer(v_conics), pointer(v_opacities), pointer(v_colors)},
                {v_means.data(), v_quats.data(), v_scales.data(), v_in_opacities.data(), pointer(v_sh0),
                 pointer(v_sh_rest), pointer(v_cam_from_object)});
        },
        nb::arg("means"), nb::arg("quats"), nb::arg("scales"), nb::arg("opacities"), nb::arg("sh0").none(),
        nb::arg("sh_rest").none(), nb::arg("object_index").none(), nb::arg("cam_from_object"), nb::arg("Ks"),
        nb::arg("distortion").none(), nb::arg("width"), nb::arg("height"), nb::arg("model"), nb::arg("antialiased"),
        nb::arg("near_plane"), nb::arg("far_plane"), nb::arg("radius_clip"), nb::arg("eps2d"), nb::arg("sh_degree"),
        nb::arg("radii"), nb::arg("colors").none(), nb::arg("v_means2d").none(), nb::arg("v_depths").none(),
        nb::arg("v_conics").none(), nb::arg("v_opacities").none(), nb::arg("v_colors").none(), nb::arg("v_means"),
        nb::arg("v_quats"), nb::arg("v_scales"), nb::arg("v_in_opacities"), nb::arg("v_sh0").none(),
        nb::arg("v_sh_rest").none(), nb::arg("v_cam_from_object").none());

    nb::class_<Tiler>(m, "Tiler", "Sorts projected Gaussians into front-to-back tile lists, in two calls.")
        .def(nb::init<>())
        .def("count", &Tiler::count)
        .def("fill", &Tiler::fill, nb::arg("tile_entries"), nb::arg("entries"), nb::arg("slot_entries").none());

    m.def("composite",
          [](Input3 means2d, Array3<const int32_t> radii, Input2 depths, Input3 conics, Input2 opacities, Input3 colors,
             int width, int height, bool with_depth, Array2<const float> records, Array1<const int64_t> camera_records,
             Array1<const int64_t> tile_entries, Array1<int32_t> entries, Array4<float> image, Array3<float> alpha) {
              const CompositeInputs in =
                  Cpu::composite_inputs(means2d, radii, depths, conics, opacities, colors, width, height, with_depth);
              const nb::gil_scoped_release unlocked;
              kernels().composite(in, Cpu::tile_lists(records, camera_records, tile_entries, entries, {}), image.data(),
                                  alpha.data());
          });

    m.def(
        "composite_vjp",
        [](Input3 means2d, Array3<const int32_t> radii, Input2 depths, Input3 conics, Input2 opacities, Input3 colors,
           int width, int height, bool with_depth, Array2<const float> records, Array1<const int64_t> camera_records,
           Array1<const int64_t> tile_entries, Array1<int32_t> entries, Array1<int32_t> slot_entries, Input4 image,
           Input3 alpha, std::optional<Input4> v_image, std::optional<Input3> v_alpha, Array3<float> v_means2d,
           Array3<float> v_conics, Array2<float> v_opacities, Array3<float> v_colors,
           std::optional<Array2<float>> v_depths, std::optional<Array3<float>> absgrad) {
            const CompositeInputs in =
                Cpu::composite_inputs(means2d, radii, depths, conics, opacities, colors, width, height, with_depth);
            const nb::gil_scoped_release unlocked;
            kernels().composite_vjp(in, Cpu::tile_lists(records, camera_records, tile_entries, entries, slot_entries),
                                    image.data(), alpha.data(), pointer(v_image), pointer(v_alpha),
                                    {v_means2d.data(), v_conics.data(), v_opacities.data(), v_colors.data(),
                                     pointer(v_depths), pointer(absgrad)});
        },
        nb::arg("means2d"), nb::arg("radii"), nb::arg("depths"), nb::arg("conics"), nb::arg("opacities"),
        nb::arg("colors"), nb::arg("width"), nb::arg("height"), nb::arg("with_depth"), nb::arg("records"),
        nb::arg("camera_records"), nb::arg("tile_entries"), nb::arg("entries"), nb::arg("slot_entries"),
        nb::arg("image"), nb::arg("alpha"), nb::arg("v_image").none(), nb::arg("v_alpha").none(), nb::arg("v_means2d"),
        nb::arg("v_conics"), nb::arg("v_opacities"), nb::arg("v_colors"), nb::arg("v_depths").none(),
        nb::arg("absgrad").none());

    m.def(
        "inspect",
        [](Input3 means2d, Array3<const int32_t> radii, Input2 depths, Input3 conics, Input2 opacities, Input3 colors,
           int width, int height, bool with_depth, Array2<const float> records, Array1<const int64_t> camera_records,
           Array1<const int64_t> tile_entries, Array1<int32_t> entries,
           std::optional<Array1<const int32_t>> object_index, std::optional<Array3<int32_t>> ids,
           std::optional<Array3<float>> median_depth) {
            const CompositeInputs in =
                Cpu::composite_inputs(means2d, radii, depths, conics, opacities, colors, width, height, with_depth);
            const nb::gil_scoped_release unlocked;
            kernels().inspect(in, Cpu::tile_lists(records, camera_records, tile_entries, entries, {}),
                              pointer(object_index), {pointer(ids), pointer(median_depth)});
        },
        nb::arg("means2d"), nb::arg("radii"), nb::arg("depths"), nb::arg("conics"), nb::arg("opacities"),
        nb::arg("colors"), nb::arg("width"), nb::arg("height"), nb::arg("with_depth"), nb::arg("records"),
        nb::arg("camera_records"), nb::arg("tile_entries"), nb::arg("entries"), nb::arg("object_index").none(),
        nb::arg("ids").none(), nb::arg("median_depth").none());

    m.def("alone", [](Input2 means2d, Array2<const int32_t> radii, Input2 conics, Input1 opacities,
                      Array1<const int32_t> gaussians, Array1<const int64_t> first_gaussian,
                      Array2<const int32_t> windows, Array1<const int64_t> first_pixel, Array1<float> alpha) {
        const size_t objects = windows.shape(0);
        expect(windows.shape(1) == 4, "windows: expected [objects, 4]");
        expect(first_gaussian.shape(0) == objects + 1 && first_pixel.shape(0) == objects + 1,
               "first_gaussian, first_pixel: expected [objects + 1]");
        const nb::gil_scoped_release unlocked;
        kernels().alone({(int64_t)objects, means2d.data(), radii.data(), conics.data(), opacities.data(),
                         gaussians.data(), first_gaussian.data(), windows.data(), first_pixel.data()},
                        alpha.data());
    });

    m.def(
        "ssim",
        [](Input4 a, Input4 b, Array1<float> mean, std::optional<Array4<float>> gradient) {
            for (size_t i = 0; i < 4; i++) expect(a.shape(i) == b.shape(i), "a, b: expected the same shape");
            expect(mean.shape(0) == 1, "mean: expected [1]");
            const nb::gil_scoped_release unlocked;
            *mean.data() = (float)kernels().ssim(a.data(), b.data(), (int64_t)a.shape(0), (int)a.shape(1),
                                                 (int)a.shape(2), (int)a.shape(3), pointer(gradient));
        },
        nb::arg("a"), nb::arg("b"), nb::arg("mean"), nb::arg("gradient").none());

    m.def("cube_map", [](Input4 texels, Input2 directions, Input2 world_from_cam, Input1 alpha, float least_light,
                         Input2 image, Array2<float> out) {
        const CubeMapInputs in = Cpu::cube_map_inputs(texels, directions, world_from_cam, alpha, least_light);
        const nb::gil_scoped_release unlocked;
        kernels().cube_map(in, image.data(), out.data());
    });

    m.def("cube_map_vjp", [](Input4 texels, Input2 directions, Input2 world_from_cam, Input1 alpha, float least_light,
                             Input2 v_out, Array1<float> v_alpha, Array4<float> v_texels) {
        const CubeMapInputs in = Cpu::cube_map_inputs(texels, directions, world_from_cam, alpha, least_light);
        const nb::gil_scoped_release unlocked;
        kernels().cube_map_vjp(in, v_out.data(), v_alpha.data(), v_texels.data());
    });

    m.def(
        "adam_rows",
        [](Input2 gradients, Array2<float> values, Array2<float> first_moments, Array2<float> second_moments,
           float beta1, float beta2, float rate, float second_moment_scale, float epsilon,
           std::optional<Input1> schedule) {
            expect(!schedule || schedule->shape(0) == 2, "schedule: expected [2]");
            for (const auto& array : {values, first_moments, second_moments})
                expect(array.shape(0) == gradients.shape(0) && array.shape(1) == gradients.shape(1),
                       "values, first_moments, second_moments: expected the gradients' shape");
            const nb::gil_scoped_release unlocked;
            kernels().adam_rows({(int64_t)gradients.shape(0), (int64_t)gradients.shape(1), gradients.data(),
                                 values.data(), first_moments.data(), second_moments.data()},
                                {beta1, beta2, rate, second_moment_scale, epsilon, pointer(schedule)});
        },
        nb::arg("gradients"), nb::arg("values"), nb::arg("first_moments"), nb::arg("second_moments"), nb::arg("beta1"),
        nb::arg("beta2"), nb::arg("rate"), nb::arg("second_moment_scale"), nb::arg("epsilon"),
        nb::arg("schedule").none());

    m.def("perceptron", [](Input2 inputs, Input1 parameters, const std::vector<int>& widths, Array2<float> outputs) {
        const PerceptronInputs in = perceptron_inputs(inputs, parameters, widths);
        expect(outputs.shape(0) == inputs.shape(0) && (int)outputs.shape(1) == widths.back(),
               "outputs: expected [rows, last width]");
        const nb::gil_scoped_release unlocked;
        kernels().perceptron(in, outputs.data());
    });

    m.def(
        "perceptron_vjp",
        [](Input2 inputs, Input1 parameters, const std::vector<int>& widths, Input2 v_outputs,
           Array1<float> v_parameters, std::optional<Array2<float>> v_inputs) {
            const PerceptronInputs in = perceptron_inputs(inputs, parameters, widths);
            expect(v_outputs.shape(0) == inputs.shape(0) && (int)v_outputs.shape(1) == widths.back(),
                   "v_outputs: expected [rows, last width]");
            expect(v_parameters.shape(0) == parameters.shape(0), "v_parameters: expected the parameters' shape");
            const nb::gil_scoped_release unlocked;
            kernels().perceptron_vjp(in, v_outputs.data(), v_parameters.data(), v_inputs ? v_inputs->data() : nullptr);
        },
        nb::arg("inputs"), nb::arg("parameters"), nb::arg("widths"), nb::arg("v_outputs"), nb::arg("v_parameters"),
        nb::arg("v_inputs").none());
}
