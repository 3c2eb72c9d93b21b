// The binding of the CUDA kernels: the operations as methods of an object that knows the device, the stream, and where
// memory comes from; and those that only a GPU has.
#include "bind/operations.h"
#include "gpu/device.h"
#include "gpu/kernels.h"

// The host's stand-in for CUDA (tests/shim) compiles this file for arrays in ordinary memory.
#if !defined(GSRECON_GPU_MEMORY)
#define GSRECON_GPU_MEMORY CudaMemory
#endif

namespace gsrecon {
namespace {

// A stream of a device; `allocate(bytes)` lends an array there.
struct Cuda {
    using Memory = GSRECON_GPU_MEMORY;
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
        const auto view = nb::cast<Array<uint8_t, 1, Memory>>(array);
        expect(view.shape(0) >= (int64_t)bytes, "allocate: gave less than was asked for");
        return {array, view.data(), bytes};
    }

    void project(const ProjectInputs& in, const ProjectSettings& settings, const Projected& out) const {
        const gpu::DeviceGuard guard(device);
        gpu::project(in, settings, out, stream);
    }
    void project_vjp(const ProjectInputs& in, const ProjectSettings& settings, const uint8_t* seen,
                     const ProjectedGradients& v, const ProjectInputGradients& grads) const {
        const gpu::DeviceGuard guard(device);
        const Lent work = lend(gpu::project_vjp_workspace(in, grads.cam_from_object != nullptr));
        gpu::project_vjp(in, settings, seen, v, grads, work.data, work.bytes, stream);
    }
    void composite(const CompositeInputs& in, const TileListArrays& tiles, const Pictures& out) const {
        const gpu::DeviceGuard guard(device);
        gpu::composite(in, tiles.lists, out, stream);
    }
    void composite_vjp(const CompositeInputs& in, const TileListArrays& tiles, const DrawnPictures& drawn,
                       const DrawnPictures& v, const CompositeGradients& out) const {
        const bool slots = tiles.slots_count > 0;
        expect(!slots || tiles.slots_count == tiles.entries + tiles.records,
               "slots: expected none, or [entries + records]");
        const gpu::TileSlots places = {tiles.records, tiles.entries, slots ? tiles.slots : nullptr,
                                       slots ? tiles.slots + tiles.entries : nullptr};
        const gpu::DeviceGuard guard(device);
        const Lent work = lend(gpu::composite_vjp_workspace(in, places, out.absgrad != nullptr));
        gpu::composite_vjp(in, tiles.lists, places, drawn, v, out, work.data, work.bytes, stream);
    }
    void inspect(const CompositeInputs& in, const TileListArrays& tiles, const int32_t* object_index,
                 const InspectOutputs& out) const {
        const gpu::DeviceGuard guard(device);
        gpu::inspect(in, tiles.lists, object_index, out, stream);
    }
    void alone(const AloneInputs& in, int64_t pixels, float* alpha) const {
        const gpu::DeviceGuard guard(device);
        gpu::alone(in, pixels, alpha, stream);
    }
    void compare_pictures(const ComparedPictures& in, const ComparisonWeights& weights, PictureFigures* figures,
                          float* kept) const {
        const gpu::DeviceGuard guard(device);
        const Lent work = lend(gpu::compare_pictures_workspace(in));
        gpu::compare_pictures(in, weights, figures, kept, work.data, work.bytes, stream);
    }
    void compare_pictures_vjp(const ComparedPictures& in, const ComparisonWeights& weights,
                              const PictureFigures* figures, const float* kept, const float* v_comparison,
                              float* v_image) const {
        const gpu::DeviceGuard guard(device);
        gpu::compare_pictures_vjp(in, weights, figures, kept, v_comparison, v_image, stream);
    }
    void compare_depths(const ComparedDepths& in, DepthFigures* figures) const {
        const gpu::DeviceGuard guard(device);
        const Lent work = lend(gpu::compare_depths_workspace(in));
        gpu::compare_depths(in, figures, work.data, work.bytes, stream);
    }
    void compare_depths_vjp(const ComparedDepths& in, const DepthFigures* figures, const float* v_mean,
                            float* v_depth) const {
        const gpu::DeviceGuard guard(device);
        gpu::compare_depths_vjp(in, figures, v_mean, v_depth, stream);
    }
    void cube_map(const CubeMapInputs& in, const float* image, float* out) const {
        const gpu::DeviceGuard guard(device);
        gpu::cube_map(in, image, out, stream);
    }
    void cube_map_vjp(const CubeMapInputs& in, const float* v_out, float* v_alpha, float* v_texels) const {
        const gpu::DeviceGuard guard(device);
        gpu::cube_map_vjp(in, v_out, v_alpha, v_texels, stream);
    }
    void exposure(const ExposureInputs& in, float* out) const {
        const gpu::DeviceGuard guard(device);
        gpu::exposure(in, out, stream);
    }
    void exposure_vjp(const ExposureInputs& in, const float* v_out, const ExposureGradients& out) const {
        const gpu::DeviceGuard guard(device);
        const Lent work = lend(gpu::exposure_vjp_workspace(in));
        gpu::exposure_vjp(in, v_out, out, work.data, work.bytes, stream);
    }
    void rig_camera(const RigCorrections& corrections, const RigCamera& camera, float* viewmat) const {
        const gpu::DeviceGuard guard(device);
        gpu::rig_camera(corrections, camera, viewmat, stream);
    }
    void rig_camera_vjp(const RigCorrections& corrections, const RigCamera& camera, const float* v_viewmat,
                        const RigCorrectionGradients& out) const {
        const gpu::DeviceGuard guard(device);
        gpu::rig_camera_vjp(corrections, camera, v_viewmat, out, stream);
    }
    void se3_exps(int64_t count, const double* tangents, double* motions) const {
        const gpu::DeviceGuard guard(device);
        gpu::se3_exps(count, tangents, motions, stream);
    }
    void se3_exps_vjp(int64_t count, const double* tangents, const double* v_motions, double* v_tangents) const {
        const gpu::DeviceGuard guard(device);
        gpu::se3_exps_vjp(count, tangents, v_motions, v_tangents, stream);
    }
    void mean_squares(const MeanSquaresInputs& in, float* sum_of_means) const {
        const gpu::DeviceGuard guard(device);
        gpu::mean_squares(in, sum_of_means, stream);
    }
    void mean_squares_vjp(const MeanSquaresInputs& in, const float* v_sum, const MeanSquaresGradients& out) const {
        const gpu::DeviceGuard guard(device);
        gpu::mean_squares_vjp(in, v_sum, out, stream);
    }
    void adam_rows(std::vector<AdamTask> tasks) const {
        const gpu::DeviceGuard guard(device);
        gpu::adam_rows(std::move(tasks), stream);
    }
    void add_screen_statistics(const ScreenGradients& in, const ScreenStatistics& statistics) const {
        const gpu::DeviceGuard guard(device);
        gpu::add_screen_statistics(in, statistics, stream);
    }
};

using Arrays = ArraysIn<Cuda::Memory>;

void count_tiles(const Cuda& at, Arrays::Input3 means2d, Arrays::Array3<const int32_t> radii, Arrays::Input2 depths,
                 Arrays::Input3 conics, Arrays::Input2 opacities, Arrays::Input3 colors, int width, int height,
                 bool with_depth, Arrays::Array2<int32_t> record_index, Arrays::Array2<int32_t> tiles,
                 Arrays::Array1<int64_t> totals) {
    const CompositeInputs in =
        Drawing<Cuda>::projected(means2d, radii, depths, conics, opacities, colors, width, height, with_depth);
    expect(record_index.size() == in.c * in.n && tiles.size() == in.c * in.n, "record_index, tiles: expected [C, N]");
    expect(totals.shape(0) == 2, "totals: expected [2]");
    expect(in.c * in.n <= INT32_MAX, "means2d: more than 2^31 Gaussians times cameras");
    const gpu::DeviceGuard guard(at.device);
    const Cuda::Lent work = at.lend(gpu::count_tiles_workspace(in));
    gpu::count_tiles(in, {record_index.data(), tiles.data(), totals.data()}, work.data, work.bytes, at.stream);
}

void fill_tiles(const Cuda& at, Arrays::Input3 means2d, Arrays::Array3<const int32_t> radii, Arrays::Input2 depths,
                Arrays::Input3 conics, Arrays::Input2 opacities, Arrays::Input3 colors, int width, int height,
                bool with_depth, Arrays::Array2<int32_t> record_index, Arrays::Array2<int32_t> tiles,
                Arrays::Array1<int64_t> totals, Arrays::Array2<float> records, Arrays::Array1<int64_t> camera_records,
                Arrays::Array1<int64_t> tile_entries, Arrays::Array1<int32_t> entries, Arrays::Array1<int32_t> slots,
                bool exact) {
    const CompositeInputs in =
        Drawing<Cuda>::projected(means2d, radii, depths, conics, opacities, colors, width, height, with_depth);
    expect(records.shape(1) == sizeof(Record) / 4, "records: expected [records, 12]");
    const int64_t r = records.shape(0), e = entries.shape(0);
    const bool with_slots = slots.shape(0) > 0;
    expect(!with_slots || slots.shape(0) == r + e, "slots: expected none, or [entries + records]");
    const gpu::TileRoom room = {r, e, exact};
    const gpu::FilledTiles out = {reinterpret_cast<Record*>(records.data()),
                                  camera_records.data(),
                                  tile_entries.data(),
                                  reinterpret_cast<uint32_t*>(entries.data()),
                                  with_slots ? slots.data() : nullptr,
                                  with_slots ? slots.data() + e : nullptr};
    const gpu::DeviceGuard guard(at.device);
    const Cuda::Lent work = at.lend(gpu::fill_tiles_workspace(in, room, with_slots));
    gpu::fill_tiles(in, {record_index.data(), tiles.data(), totals.data()}, room, out, work.data, work.bytes,
                    at.stream);
}

void explore(const Cuda& at, Arrays::Array2<float> means, Arrays::Input2 quats, Arrays::Input2 log_scales,
             Arrays::Input1 logit_opacities, Arrays::Input2 noise, float strength, float dead_opacity) {
    const int64_t n = means.shape(0);
    expect(means.shape(1) == 3 && noise.shape(0) == n && noise.shape(1) == 3, "means, noise: expected [N, 3]");
    expect(quats.shape(0) == n && quats.shape(1) == 4, "quats: expected [N, 4]");
    expect(log_scales.shape(0) == n && log_scales.shape(1) == 3, "log_scales: expected [N, 3]");
    expect(logit_opacities.shape(0) == n, "logit_opacities: expected [N]");
    const gpu::DeviceGuard guard(at.device);
    gpu::explore({n, quats.data(), log_scales.data(), logit_opacities.data(), noise.data(), strength, dead_opacity},
                 means.data(), at.stream);
}

void relocate(const Cuda& at, Arrays::Input1 opacities, Arrays::Array1<const int64_t> copies,
              Arrays::Array1<float> new_opacities, Arrays::Array1<float> scale_factors) {
    const int64_t n = opacities.shape(0);
    expect(copies.shape(0) == n && new_opacities.shape(0) == n && scale_factors.shape(0) == n,
           "copies, new_opacities, scale_factors: expected [N]");
    const gpu::DeviceGuard guard(at.device);
    gpu::relocate(n, opacities.data(), copies.data(), new_opacities.data(), scale_factors.data(), at.stream);
}

}  // namespace

void bind_gpu(nb::module_& m) {
    m.def("cuda_problem", &gpu::problem, "Why no CUDA device can be used here, in one sentence; empty where one can.");
    m.def("cuda_versions", &gpu::versions, "CUDA's number for the driver and for the runtime this was built with.");
    nb::exception<gpu::CudaError>(m, "CudaError", PyExc_RuntimeError);

    nb::class_<Cuda> cuda(m, "Cuda", "The operations on one stream of one device.");
    cuda.def(
        "__init__",
        [](Cuda* self, int device, uintptr_t stream, nb::object allocate) {
            new (self) Cuda{device, reinterpret_cast<gpu::Stream>(stream), allocate};
        },
        nb::arg("device"), nb::arg("stream"), nb::arg("allocate"));
    bind_operations(cuda);
    cuda.def("count_tiles", &count_tiles, "The first of two calls: how many records and entries there are.");
    cuda.def("fill_tiles", &fill_tiles, "The second call; what has no room in the arrays is left out.");
    cuda.def("explore", &explore);
    cuda.def("relocate", &relocate);
}

}  // namespace gsrecon
