// What the bindings of all backends share: arrays of one device, and the checks that turn them into the structs of
// ops.h.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "math/blend.h"
#include "ops.h"

namespace gsrecon {

namespace nb = nanobind;

template <class Array> auto* pointer(const std::optional<Array>& array) { return array ? array->data() : nullptr; }

inline void expect(bool holds, const char* message) {
    if (!holds) throw std::invalid_argument(message);
}

inline ProjectSettings project_settings(int width, int height, const std::string& model, bool antialiased,
                                        float near_plane, float far_plane, float radius_clip, float eps2d,
                                        int sh_degree) {
    expect(width > 0 && height > 0, "width, height: expected at least 1");
    expect(model == "pinhole" || model == "fisheye", "model: expected 'pinhole' or 'fisheye'");
    return {width,       height,     model == "fisheye" ? LensModel::fisheye : LensModel::pinhole,
            antialiased, near_plane, far_plane,
            radius_clip, eps2d,      sh_degree};
}

// Dense arrays in the memory of one kind of device, nb::device::cpu or nb::device::cuda.
template <class Device> struct Arrays {
    template <class T> using Array1 = nb::ndarray<T, nb::ndim<1>, nb::c_contig, Device>;
    template <class T> using Array2 = nb::ndarray<T, nb::ndim<2>, nb::c_contig, Device>;
    template <class T> using Array3 = nb::ndarray<T, nb::ndim<3>, nb::c_contig, Device>;
    template <class T> using Array4 = nb::ndarray<T, nb::ndim<4>, nb::c_contig, Device>;
    using Input1 = Array1<const float>;
    using Input2 = Array2<const float>;
    using Input3 = Array3<const float>;
    using Input4 = Array4<const float>;

    static ProjectInputs project_inputs(const Input2& means, const Input2& quats, const Input2& scales,
                                        const Input1& opacities, const std::optional<Input2>& sh0,
                                        const std::optional<Input3>& sh_rest,
                                        const std::optional<Array1<const int32_t>>& object_index,
                                        const Input4& cam_from_object, const Input3& Ks,
                                        const std::optional<Input2>& distortion, int sh_degree) {
        const size_t n = means.shape(0), c = cam_from_object.shape(0), k = cam_from_object.shape(1);
        expect(means.shape(1) == 3, "means: expected [N, 3]");
        expect(quats.shape(0) == n && quats.shape(1) == 4, "quats: expected [N, 4]");
        expect(scales.shape(0) == n && scales.shape(1) == 3, "scales: expected [N, 3]");
        expect(opacities.shape(0) == n, "opacities: expected [N]");
        expect(cam_from_object.shape(2) == 4 && cam_from_object.shape(3) == 4,
               "cam_from_object: expected [C, K, 4, 4]");
        expect(Ks.shape(0) == c && Ks.shape(1) == 3 && Ks.shape(2) == 3, "Ks: expected [C, 3, 3]");
        expect(!distortion || (distortion->shape(0) == c && distortion->shape(1) == 5), "distortion: expected [C, 5]");
        expect(!object_index || object_index->shape(0) == n, "object_index: expected [N]");
        expect(object_index || k == 1, "object_index: needed where there is more than one object");
        size_t rest = 0;
        if (sh_degree >= 0) {
            expect(sh0 && sh0->shape(0) == n && sh0->shape(1) == 3, "sh0: expected [N, 3]");
            expect(sh_rest && sh_rest->shape(0) == n && sh_rest->shape(2) == 3, "sh_rest: expected [N, K, 3]");
            rest = sh_rest->shape(1);
            expect(sh_degree <= 4 && (size_t)((sh_degree + 1) * (sh_degree + 1)) <= rest + 1,
                   "sh_degree: sh_rest holds fewer coefficients than it needs");
        }
        return {(int64_t)n,
                (int64_t)c,
                (int64_t)k,
                means.data(),
                quats.data(),
                scales.data(),
                opacities.data(),
                pointer(sh0),
                pointer(sh_rest),
                (int64_t)rest,
                pointer(object_index),
                cam_from_object.data(),
                Ks.data(),
                pointer(distortion)};
    }

    static CompositeInputs composite_inputs(const Input3& means2d, const Array3<const int32_t>& radii,
                                            const Input2& depths, const Input3& conics, const Input2& opacities,
                                            const Input3& colors, int width, int height, bool with_depth) {
        const size_t c = means2d.shape(0), n = means2d.shape(1);
        expect(width > 0 && height > 0 && width <= 65535 * kTile && height <= 65535 * kTile,
               "width, height: out of range");
        expect(means2d.shape(2) == 2, "means2d: expected [C, N, 2]");
        expect(radii.shape(0) == c && radii.shape(1) == n && radii.shape(2) == 2, "radii: expected [C, N, 2]");
        expect(depths.shape(0) == c && depths.shape(1) == n, "depths: expected [C, N]");
        expect(conics.shape(0) == c && conics.shape(1) == n && conics.shape(2) == 3, "conics: expected [C, N, 3]");
        expect(opacities.shape(0) == c && opacities.shape(1) == n, "opacities: expected [C, N]");
        expect((colors.shape(0) == c || colors.shape(0) == 1) && colors.shape(1) == n,
               "colors: expected [C or 1, N, D]");
        return {(int64_t)n,           (int64_t)c,     width,        height,        (int)colors.shape(2),
                colors.shape(0) == c, means2d.data(), radii.data(), depths.data(), conics.data(),
                opacities.data(),     colors.data(),  with_depth};
    }

    static TileLists tile_lists(const Array2<const float>& records, const Array1<const int64_t>& camera_records,
                                const Array1<const int64_t>& tile_entries, Array1<int32_t>& entries,
                                const std::optional<Array1<int32_t>>& slot_entries) {
        return {reinterpret_cast<const Record*>(records.data()), camera_records.data(), tile_entries.data(),
                reinterpret_cast<uint32_t*>(entries.data()),
                slot_entries ? reinterpret_cast<const uint32_t*>(slot_entries->data()) : nullptr};
    }

    static CubeMapInputs cube_map_inputs(const Input4& texels, const Input2& directions, const Input2& world_from_cam,
                                         const Input1& alpha, float least_light) {
        expect(texels.shape(0) == 6 && texels.shape(1) == texels.shape(2) && texels.shape(3) == 3,
               "texels: expected [6, R, R, 3]");
        expect(directions.shape(0) == alpha.shape(0) && directions.shape(1) == 3, "directions: expected [pixels, 3]");
        expect(world_from_cam.shape(0) == 3 && world_from_cam.shape(1) == 3, "world_from_cam: expected [3, 3]");
        return {(int64_t)alpha.shape(0), (int)texels.shape(1), texels.data(), directions.data(),
                world_from_cam.data(),   alpha.data(),         least_light};
    }
};

}  // namespace gsrecon
