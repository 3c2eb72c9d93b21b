// The binding of the CUDA kernels: the names and arguments of module.cpp, as methods of an object that knows the
// device, the stream, and where memory comes from. No arithmetic here.
#include "binding.h"
#include "gpu/device.h"
#include "gpu/kernels.h"

// The host's stand-in for CUDA (tests/shim) compiles this file for arrays in ordinary memory.
#if !defined(GSRECON_GPU_MEMORY)
#define GSRECON_GPU_MEMORY nb::device::cuda
#endif

namespace gsrecon {
namespace {

using Gpu = Arrays<GSRECON_GPU_MEMORY>;
template <class T> using Array1 = Gpu::Array1<T>;
template <class T> using Array2 = Gpu::Array2<T>;
template <class T> using Array3 = Gpu::Array3<T>;
template <class T> using Array4 = Gpu::Array4<T>;
using Input1 = Gpu::Input1;
using Input2 = Gpu::Input2;
using Input3 = Gpu::Input3;
using Input4 = Gpu::Input4;
using Bytes = nb::ndarray<uint8_t, nb::ndim<1>, nb::c_contig, GSRECON_GPU_MEMORY>;

// Where an operation runs: a device, one of its streams, and `allocate(bytes)`, which lends an array of that device.
struct Place {
    int device;
    gpu::Stream stream;
    nb::object allocate;

    // Working memory, held as long as this lives; what follows on the same stream may take it over at once.
    struct Lent {
        nb::object owner;
        void* data = nullptr;
        size_t bytes = 0;
    };
    Lent lend(size_t bytes) const {
        if (bytes == 0) return {};
        nb::object array = allocate(bytes);
        const Bytes view = nb::cast<Bytes>(array);
        expect(view.shape(0) >= bytes, "allocate: gave less than was asked for");
        return {array, view.data(), bytes};
    }
};

gpu::TileSlots tile_slots(const Array2<const float>& records, const Array1<int32_t>& entries,
                          const Array1<const int32_t>& slots) {
    const auto r = (int64_t)records.shape(0), e = (int64_t)entries.shape(0);
    if (slots.shape(0) == 0) return {r, e, nullptr, nullptr};
    expect((int64_t)slots.shape(0) == e + r, "slots: expected none, or [entries + records]");
    return {r, e, slots.data(), slots.data() + e};
}

void bind_projection(nb::class_<Place>& c) {
    c.def(
        "project",
        [](const Place& at, Input2 means, Input2 quats, Input2 scales, Input1 opacities, std::optional<Input2> sh0,
           std::optional<Input3> sh_rest, std::optional<Array1<const int32_t>> object_index, Input4 cam_from_object,
           Input3 Ks, std::optional<Input2> distortion, int width, int height, const std::string& model,
           bool antialiased, float near_plane, float far_plane, float radius_clip, float eps2d, int sh_degree,
           Array3<float> means2d, Array3<int32_t> radii, Array2<float> depths, Array3<float> conics,
           Array2<float> out_opacities, std::optional<Array3<float>> colors) {
            const ProjectSettings settings = project_settings(width, height, model, antialiased, near_plane, far_plane,
                                                              radius_clip, eps2d, sh_degree);
            const ProjectInputs in = Gpu::project_inputs(means, quats, scales, opacities, sh0, sh_rest, object_index,
                                                         cam_from_object, Ks, distortion, sh_degree);
            const gpu::DeviceGuard guard(at.device);
            gpu::project(
                in, settings,
                {means2d.data(), radii.data(), depths.data(), conics.data(), out_opacities.data(), pointer(colors)},
                at.stream);
        },
        nb::arg("means"), nb::arg("quats"), nb::arg("scales"), nb::arg("opacities"), nb::arg("sh0").none(),
        nb::arg("sh_rest").none(), nb::arg("object_index").none(), nb::arg("cam_from_object"), nb::arg("Ks"),
        nb::arg("distortion").none(), nb::arg("width"), nb::arg("height"), nb::arg("model"), nb::arg("antialiased"),
        nb::arg("near_plane"), nb::arg("far_plane"), nb::arg("radius_clip"), nb::arg("eps2d"), nb::arg("sh_degree"),
        nb::arg("means2d"), nb::arg("radii"), nb::arg("depths"), nb::arg("conics"), nb::arg("out_opacities"),
        nb::arg("colors").none());

    c.def(
        "project_vjp",
        [](const Place& at, Input2 means, Input2 quats, Input2 scales, Input1 opacities, std::optional<Input2> sh0,
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
            const ProjectInputs in = Gpu::project_inputs(means, quats, scales, opacities, sh0, sh_rest, object_index,
                                                         cam_from_object, Ks, distortion, sh_degree);
            const gpu::DeviceGuard guard(at.device);
            const Place::Lent work = at.lend(gpu::project_vjp_workspace(in, v_cam_from_object.has_value()));
            gpu::project_vjp(
                in, settings, {nullptr, radii.data(), nullptr, nullptr, nullptr, pointer(colors)},
                {pointer(v_means2d), pointer(v_depths), pointer(v_conics), pointer(v_opacities), pointer(v_colors)},
                {v_means.data(), v_quats.data(), v_scales.data(), v_in_opacities.data(), pointer(v_sh0),
                 pointer(v_sh_rest), pointer(v_cam_from_object)},
                work.data, work.bytes, at.stream);
        },
        nb::arg("means"), nb::arg("quats"), nb::arg("scales"), nb::arg("opacities"), nb::arg("sh0").none(),
        nb::arg("sh_rest").none(), nb::arg("object_index").none(), nb::arg("cam_from_object"), nb::arg("Ks"),
        nb::arg("distortion").none(), nb::arg("width"), nb::arg("height"), nb::arg("model"), nb::arg("antialiased"),
        nb::arg("near_plane"), nb::arg("far_plane"), nb::arg("radius_clip"), nb::arg("eps2d"), nb::arg("sh_degree"),
        nb::arg("radii"), nb::arg("colors").none(), nb::arg("v_means2d").none(), nb::arg("v_depths").none(),
        nb::arg("v_conics").none(), nb::arg("v_opacities").none(), nb::arg("v_colors").none(), nb::arg("v_means"),
        nb::arg("v_quats"), nb::arg("v_scales"), nb::arg("v_in_opacities"), nb::arg("v_sh0").none(),
        nb::arg("v_sh_rest").none(), nb::arg("v_cam_from_object").none());
}

void bind_tiling(nb::class_<Place>& c) {
    c.def(
        "count_tiles",
        [](const Place& at, Input3 means2d, Array3<const int32_t> radii, Input2 depths, Input3 conics, Input2 opacities,
           Input3 colors, int width, int height, bool with_depth, Array2<int32_t> record_index, Array2<int32_t> tiles,
           Array1<int64_t> totals) {
            const CompositeInputs in =
                Gpu::composite_inputs(means2d, radii, depths, conics, opacities, colors, width, height, with_depth);
            expect((int64_t)record_index.size() == in.c * in.n && (int64_t)tiles.size() == in.c * in.n,
                   "record_index, tiles: expected [C, N]");
            expect(totals.shape(0) == 2, "totals: expected [2]");
            expect(in.c * in.n <= INT32_MAX, "means2d: more than 2^31 Gaussians times cameras");
            const gpu::DeviceGuard guard(at.device);
            const Place::Lent work = at.lend(gpu::count_tiles_workspace(in));
            gpu::count_tiles(in, {record_index.data(), tiles.data(), totals.data()}, work.data, work.bytes, at.stream);
        },
        "The first of two calls: how many records and (record, tile) entries there are.");

    c.def(
        "fill_tiles",
        [](const Place& at, Input3 means2d, Array3<const int32_t> radii, Input2 depths, Input3 conics, Input2 opacities,
           Input3 colors, int width, int height, bool with_depth, Array2<int32_t> record_index, Array2<int32_t> tiles,
           Array1<int64_t> totals, Array2<float> records, Array1<int64_t> camera_records, Array1<int64_t> tile_entries,
           Array1<int32_t> entries, Array1<int32_t> slots, bool exact) {
            const CompositeInputs in =
                Gpu::composite_inputs(means2d, radii, depths, conics, opacities, colors, width, height, with_depth);
            expect(records.shape(1) == sizeof(Record) / 4, "records: expected [records, 12]");
            const auto r = (int64_t)records.shape(0), e = (int64_t)entries.shape(0);
            const bool with_slots = slots.shape(0) > 0;
            expect(!with_slots || (int64_t)slots.shape(0) == r + e, "slots: expected none, or [entries + records]");
            const gpu::TileRoom room = {r, e, exact};
            const gpu::FilledTiles out = {reinterpret_cast<Record*>(records.data()),
                                          camera_records.data(),
                                          tile_entries.data(),
                                          reinterpret_cast<uint32_t*>(entries.data()),
                                          with_slots ? slots.data() : nullptr,
                                          with_slots ? slots.data() + e : nullptr};
            const gpu::DeviceGuard guard(at.device);
            const Place::Lent work = at.lend(gpu::fill_tiles_workspace(in, room, with_slots));
            gpu::fill_tiles(in, {record_index.data(), tiles.data(), totals.data()}, room, out, work.data, work.bytes,
                            at.stream);
        },
        "The second call; what has no room in the arrays is left out.");
}

void bind_compositing(nb::class_<Place>& c) {
    c.def("composite",
          [](const Place& at, Input3 means2d, Array3<const int32_t> radii, Input2 depths, Input3 conics,
             Input2 opacities, Input3 colors, int width, int height, bool with_depth, Array2<const float> records,
             Array1<const int64_t> camera_records, Array1<const int64_t> tile_entries, Array1<int32_t> entries,
             Array4<float> image, Array3<float> alpha) {
              const CompositeInputs in =
                  Gpu::composite_inputs(means2d, radii, depths, conics, opacities, colors, width, height, with_depth);
              const gpu::DeviceGuard guard(at.device);
              gpu::composite(in, Gpu::tile_lists(records, camera_records, tile_entries, entries, {}), image.data(),
                             alpha.data(), at.stream);
          });

    c.def(
        "composite_vjp",
        [](const Place& at, Input3 means2d, Array3<const int32_t> radii, Input2 depths, Input3 conics, Input2 opacities,
           Input3 colors, int width, int height, bool with_depth, Array2<const float> records,
           Array1<const int64_t> camera_records, Array1<const int64_t> tile_entries, Array1<int32_t> entries,
           Array1<const int32_t> slots, Input4 image, Input3 alpha, std::optional<Input4> v_image,
           std::optional<Input3> v_alpha, Array3<float> v_means2d, Array3<float> v_conics, Array2<float> v_opacities,
           Array3<float> v_colors, std::optional<Array2<float>> v_depths, std::optional<Array3<float>> absgrad) {
            const CompositeInputs in =
                Gpu::composite_inputs(means2d, radii, depths, conics, opacities, colors, width, height, with_depth);
            const gpu::TileSlots places = tile_slots(records, entries, slots);
            const gpu::DeviceGuard guard(at.device);
            const Place::Lent work = at.lend(gpu::composite_vjp_workspace(in, places, absgrad.has_value()));
            gpu::composite_vjp(in, Gpu::tile_lists(records, camera_records, tile_entries, entries, {}), places,
                               image.data(), alpha.data(), pointer(v_image), pointer(v_alpha),
                               {v_means2d.data(), v_conics.data(), v_opacities.data(), v_colors.data(),
                                pointer(v_depths), pointer(absgrad)},
                               work.data, work.bytes, at.stream);
        },
        nb::arg("means2d"), nb::arg("radii"), nb::arg("depths"), nb::arg("conics"), nb::arg("opacities"),
        nb::arg("colors"), nb::arg("width"), nb::arg("height"), nb::arg("with_depth"), nb::arg("records"),
        nb::arg("camera_records"), nb::arg("tile_entries"), nb::arg("entries"), nb::arg("slots"), nb::arg("image"),
        nb::arg("alpha"), nb::arg("v_image").none(), nb::arg("v_alpha").none(), nb::arg("v_means2d"),
        nb::arg("v_conics"), nb::arg("v_opacities"), nb::arg("v_colors"), nb::arg("v_depths").none(),
        nb::arg("absgrad").none());

    c.def(
        "inspect",
        [](const Place& at, Input3 means2d, Array3<const int32_t> radii, Input2 depths, Input3 conics, Input2 opacities,
           Input3 colors, int width, int height, bool with_depth, Array2<const float> records,
           Array1<const int64_t> camera_records, Array1<const int64_t> tile_entries, Array1<int32_t> entries,
           std::optional<Array1<const int32_t>> object_index, std::optional<Array3<int32_t>> ids,
           std::optional<Array3<float>> median_depth) {
            const CompositeInputs in =
                Gpu::composite_inputs(means2d, radii, depths, conics, opacities, colors, width, height, with_depth);
            const gpu::DeviceGuard guard(at.device);
            gpu::inspect(in, Gpu::tile_lists(records, camera_records, tile_entries, entries, {}), pointer(object_index),
                         {pointer(ids), pointer(median_depth)}, at.stream);
        },
        nb::arg("means2d"), nb::arg("radii"), nb::arg("depths"), nb::arg("conics"), nb::arg("opacities"),
        nb::arg("colors"), nb::arg("width"), nb::arg("height"), nb::arg("with_depth"), nb::arg("records"),
        nb::arg("camera_records"), nb::arg("tile_entries"), nb::arg("entries"), nb::arg("object_index").none(),
        nb::arg("ids").none(), nb::arg("median_depth").none());

    c.def("alone", [](const Place& at, Input2 means2d, Array2<const int32_t> radii, Input2 conics, Input1 opacities,
                      Array1<const int32_t> gaussians, Array1<const int64_t> first_gaussian,
                      Array2<const int32_t> windows, Array1<const int64_t> first_pixel, Array1<float> alpha) {
        const size_t objects = windows.shape(0);
        expect(windows.shape(1) == 4, "windows: expected [objects, 4]");
        expect(first_gaussian.shape(0) == objects + 1 && first_pixel.shape(0) == objects + 1,
               "first_gaussian, first_pixel: expected [objects + 1]");
        const gpu::DeviceGuard guard(at.device);
        gpu::alone({(int64_t)objects, means2d.data(), radii.data(), conics.data(), opacities.data(), gaussians.data(),
                    first_gaussian.data(), windows.data(), first_pixel.data()},
                   (int64_t)alpha.shape(0), alpha.data(), at.stream);
    });
}

void bind_pictures(nb::class_<Place>& c) {
    c.def(
        "ssim",
        [](const Place& at, Input4 a, Input4 b, Array1<float> mean, std::optional<Array4<float>> gradient) {
            for (size_t i = 0; i < 4; i++) expect(a.shape(i) == b.shape(i), "a, b: expected the same shape");
            expect(mean.shape(0) == 1, "mean: expected [1]");
            const auto pictures = (int64_t)a.shape(0);
            const int height = (int)a.shape(1), width = (int)a.shape(2), channels = (int)a.shape(3);
            const gpu::DeviceGuard guard(at.device);
            const Place::Lent work =
                at.lend(gpu::ssim_workspace(pictures, height, width, channels, gradient.has_value()));
            gpu::ssim(a.data(), b.data(), pictures, height, width, channels, mean.data(), pointer(gradient), work.data,
                      work.bytes, at.stream);
        },
        nb::arg("a"), nb::arg("b"), nb::arg("mean"), nb::arg("gradient").none());

    c.def("cube_map", [](const Place& at, Input4 texels, Input2 directions, Input2 world_from_cam, Input1 alpha,
                         float least_light, Input2 image, Array2<float> out) {
        const CubeMapInputs in = Gpu::cube_map_inputs(texels, directions, world_from_cam, alpha, least_light);
        const gpu::DeviceGuard guard(at.device);
        gpu::cube_map(in, image.data(), out.data(), at.stream);
    });

    c.def("cube_map_vjp", [](const Place& at, Input4 texels, Input2 directions, Input2 world_from_cam, Input1 alpha,
                             float least_light, Input2 v_out, Array1<float> v_alpha, Array4<float> v_texels) {
        const CubeMapInputs in = Gpu::cube_map_inputs(texels, directions, world_from_cam, alpha, least_light);
        const gpu::DeviceGuard guard(at.device);
        gpu::cube_map_vjp(in, v_out.data(), v_alpha.data(), v_texels.data(), at.stream);
    });

    c.def(
        "adam_rows",
        [](const Place& at, Input2 gradients, Array2<float> values, Array2<float> first_moments,
           Array2<float> second_moments, float beta1, float beta2, float rate, float second_moment_scale, float epsilon,
           std::optional<Input1> schedule) {
            expect(!schedule || schedule->shape(0) == 2, "schedule: expected [2]");
            for (const auto& array : {values, first_moments, second_moments})
                expect(array.shape(0) == gradients.shape(0) && array.shape(1) == gradients.shape(1),
                       "values, first_moments, second_moments: expected the gradients' shape");
            const gpu::DeviceGuard guard(at.device);
            gpu::adam_rows({(int64_t)gradients.shape(0), (int64_t)gradients.shape(1), gradients.data(), values.data(),
                            first_moments.data(), second_moments.data()},
                           {beta1, beta2, rate, second_moment_scale, epsilon, pointer(schedule)}, at.stream);
        },
        nb::arg("gradients"), nb::arg("values"), nb::arg("first_moments"), nb::arg("second_moments"), nb::arg("beta1"),
        nb::arg("beta2"), nb::arg("rate"), nb::arg("second_moment_scale"), nb::arg("epsilon"),
        nb::arg("schedule").none());
}

void bind_densification(nb::class_<Place>& c) {
    c.def("explore", [](const Place& at, Array2<float> means, Input2 quats, Input2 log_scales, Input1 logit_opacities,
                        Input2 noise, float strength, float dead_opacity) {
        const size_t n = means.shape(0);
        expect(means.shape(1) == 3 && noise.shape(0) == n && noise.shape(1) == 3, "means, noise: expected [N, 3]");
        expect(quats.shape(0) == n && quats.shape(1) == 4, "quats: expected [N, 4]");
        expect(log_scales.shape(0) == n && log_scales.shape(1) == 3, "log_scales: expected [N, 3]");
        expect(logit_opacities.shape(0) == n, "logit_opacities: expected [N]");
        const gpu::DeviceGuard guard(at.device);
        gpu::explore(
            {(int64_t)n, quats.data(), log_scales.data(), logit_opacities.data(), noise.data(), strength, dead_opacity},
            means.data(), at.stream);
    });
    c.def("relocate", [](const Place& at, Input1 opacities, Array1<const int64_t> copies, Array1<float> new_opacities,
                         Array1<float> scale_factors) {
        const size_t n = opacities.shape(0);
        expect(copies.shape(0) == n && new_opacities.shape(0) == n && scale_factors.shape(0) == n,
               "copies, new_opacities, scale_factors: expected [N]");
        const gpu::DeviceGuard guard(at.device);
        gpu::relocate((int64_t)n, opacities.data(), copies.data(), new_opacities.data(), scale_factors.data(),
                      at.stream);
    });
}

}  // namespace

void bind_gpu(nb::module_& m) {
    m.def("cuda_problem", &gpu::problem, "Why no CUDA device can be used here, in one sentence; empty where one can.");
    m.def("cuda_versions", &gpu::versions, "CUDA's number for the driver and for the runtime this was built with.");
    nb::exception<gpu::CudaError>(m, "CudaError", PyExc_RuntimeError);

    nb::class_<Place> place(m, "Cuda", "The operations on one stream of one device; see the functions of this module.");
    place.def(
        "__init__",
        [](Place* self, int device, uintptr_t stream, nb::object allocate) {
            new (self) Place{device, reinterpret_cast<gpu::Stream>(stream), allocate};
        },
        nb::arg("device"), nb::arg("stream"), nb::arg("allocate"));
    bind_projection(place);
    bind_tiling(place);
    bind_compositing(place);
    bind_pictures(place);
    bind_densification(place);
}

}  // namespace gsrecon
