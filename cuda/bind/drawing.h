// Drawing: projection, tile lists, blending, the sky, and what a picture is asked for afterwards.
#pragma once

#include "bind/arrays.h"
#include "math/blend.h"
#include "ops.h"

namespace gsrecon {

// Tile lists as they come from Python; what `slots` hold is the place's own affair.
struct TileListArrays {
    TileLists lists;
    int64_t records, entries, slots_count;
    int32_t* slots;
};

template <class Place> struct Drawing : ArraysIn<typename Place::Memory> {
    using Base = ArraysIn<typename Place::Memory>;
    template <class T> using Array1 = typename Base::template Array1<T>;
    template <class T> using Array2 = typename Base::template Array2<T>;
    template <class T> using Array3 = typename Base::template Array3<T>;
    template <class T> using Array4 = typename Base::template Array4<T>;
    using typename Base::Input1, typename Base::Input2, typename Base::Input3, typename Base::Input4;

    static void project(const Place& at, Input2 means, Input2 quats, Input2 scales, Input1 opacities, Maybe<Input2> sh0,
                        Maybe<Input3> sh_rest, Maybe<Array1<const int32_t>> object_index, Input4 cam_from_object,
                        Input3 Ks, Maybe<Input2> distortion, int width, int height, const std::string& model,
                        bool antialiased, float near_plane, float far_plane, float radius_clip, float eps2d,
                        int sh_degree, Array3<float> means2d, Array3<int32_t> radii, Array2<float> depths,
                        Array3<float> conics, Array2<float> out_opacities, Maybe<Array3<float>> colors,
                        Maybe<Array2<uint8_t>> seen) {
        at.project(
            project_inputs(means, quats, scales, opacities, sh0, sh_rest, object_index, cam_from_object, Ks, distortion,
                           sh_degree),
            project_settings(width, height, model, antialiased, near_plane, far_plane, radius_clip, eps2d, sh_degree),
            {means2d.data(), radii.data(), depths.data(), conics.data(), out_opacities.data(), pointer(colors),
             pointer(seen)});
    }

    static void project_vjp(const Place& at, Input2 means, Input2 quats, Input2 scales, Input1 opacities,
                            Maybe<Input2> sh0, Maybe<Input3> sh_rest, Maybe<Array1<const int32_t>> object_index,
                            Input4 cam_from_object, Input3 Ks, Maybe<Input2> distortion, int width, int height,
                            const std::string& model, bool antialiased, float near_plane, float far_plane,
                            float radius_clip, float eps2d, int sh_degree, Array2<const uint8_t> seen,
                            Maybe<Input3> v_means2d, Maybe<Input2> v_depths, Maybe<Input3> v_conics,
                            Maybe<Input2> v_out_opacities, Maybe<Input3> v_colors, Array2<float> v_means,
                            Array2<float> v_quats, Array2<float> v_scales, Array1<float> v_opacities,
                            Maybe<Array2<float>> v_sh0, Maybe<Array3<float>> v_sh_rest,
                            Maybe<Array4<float>> v_cam_from_object) {
        const ProjectInputs in = project_inputs(means, quats, scales, opacities, sh0, sh_rest, object_index,
                                                cam_from_object, Ks, distortion, sh_degree);
        expect(seen.shape(0) == in.c && seen.shape(1) == in.n, "seen: expected [C, N]");
        at.project_vjp(
            in,
            project_settings(width, height, model, antialiased, near_plane, far_plane, radius_clip, eps2d, sh_degree),
            seen.data(),
            {pointer(v_means2d), pointer(v_depths), pointer(v_conics), pointer(v_out_opacities), pointer(v_colors)},
            {v_means.data(), v_quats.data(), v_scales.data(), v_opacities.data(), pointer(v_sh0), pointer(v_sh_rest),
             pointer(v_cam_from_object)});
    }

    // What tile lists are made from.
    static CompositeInputs projected(Input3 means2d, Array3<const int32_t> radii, Input2 depths, Input3 conics,
                                     Input2 opacities, Input3 colors, int width, int height, bool with_depth) {
        const int64_t c = means2d.shape(0), n = means2d.shape(1);
        expect(width > 0 && height > 0 && width <= 65535 * kTile && height <= 65535 * kTile,
               "width, height: out of range");
        expect(means2d.shape(2) == 2, "means2d: expected [C, N, 2]");
        expect(radii.shape(0) == c && radii.shape(1) == n && radii.shape(2) == 2, "radii: expected [C, N, 2]");
        expect(depths.shape(0) == c && depths.shape(1) == n, "depths: expected [C, N]");
        expect(conics.shape(0) == c && conics.shape(1) == n && conics.shape(2) == 3, "conics: expected [C, N, 3]");
        expect(opacities.shape(0) == c && opacities.shape(1) == n, "opacities: expected [C, N]");
        expect((colors.shape(0) == c || colors.shape(0) == 1) && colors.shape(1) == n,
               "colors: expected [C or 1, N, D]");
        return {n,
                c,
                width,
                height,
                (int)colors.shape(2),
                colors.shape(0) == c,
                means2d.data(),
                radii.data(),
                depths.data(),
                conics.data(),
                opacities.data(),
                colors.data(),
                with_depth};
    }

    static void composite(const Place& at, Input3 colors, Input2 depths, bool with_depth, Array2<const float> records,
                          Array1<const int64_t> camera_records, Array1<const int64_t> tile_entries,
                          Array1<int32_t> entries, Array1<int32_t> slots, Array4<float> image,
                          Maybe<Array4<float>> features, Maybe<Array3<float>> depth, Array3<float> alpha) {
        const Pictures out = pictures<float>(image, features, depth, alpha);
        at.composite(blended(colors, &colors, &depths, with_depth, camera_records, alpha, out),
                     lists(records, camera_records, tile_entries, entries, slots, alpha), out);
    }

    // Colours and depths are needed where a record does not hold all channels.
    static void composite_vjp(const Place& at, Maybe<Input3> colors, Maybe<Input2> depths, bool with_depth,
                              Array2<const float> records, Array1<const int64_t> camera_records,
                              Array1<const int64_t> tile_entries, Array1<int32_t> entries, Array1<int32_t> slots,
                              Input4 image, Maybe<Input4> features, Maybe<Input3> depth, Input3 alpha,
                              Maybe<Input4> v_image, Maybe<Input4> v_features, Maybe<Input3> v_depth,
                              Maybe<Input3> v_alpha, Array3<float> v_means2d, Array3<float> v_conics,
                              Array2<float> v_opacities, Array3<float> v_colors, Maybe<Array2<float>> v_depths,
                              Maybe<Array3<float>> absgrad) {
        const DrawnPictures drawn = pictures<const float>(image, features, depth, alpha);
        DrawnPictures v = drawn;
        v.image = pointer(v_image), v.features = pointer(v_features);
        v.depth = pointer(v_depth), v.alpha = pointer(v_alpha);
        at.composite_vjp(blended(v_colors, colors ? &*colors : nullptr, depths ? &*depths : nullptr, with_depth,
                                 camera_records, alpha, drawn),
                         lists(records, camera_records, tile_entries, entries, slots, alpha), drawn, v,
                         {v_means2d.data(), v_conics.data(), v_opacities.data(), v_colors.data(), pointer(v_depths),
                          pointer(absgrad)});
    }

    static void inspect(const Place& at, Input2 depths, Array2<const float> records,
                        Array1<const int64_t> camera_records, Array1<const int64_t> tile_entries,
                        Array1<int32_t> entries, Array1<int32_t> slots, Maybe<Array1<const int32_t>> object_index,
                        Input3 alpha, Maybe<Array3<int32_t>> ids, Maybe<Array3<float>> median_depth) {
        CompositeInputs in = {};
        in.n = depths.shape(1), in.c = depths.shape(0), in.depths = depths.data();
        in.height = (int)alpha.shape(1), in.width = (int)alpha.shape(2);
        expect(camera_records.shape(0) == in.c + 1, "camera_records: expected [C + 1]");
        at.inspect(in, lists(records, camera_records, tile_entries, entries, slots, alpha), pointer(object_index),
                   {pointer(ids), pointer(median_depth)});
    }

    static void alone(const Place& at, Input2 means2d, Array2<const int32_t> radii, Input2 conics, Input1 opacities,
                      Array1<const int32_t> gaussians, Array1<const int64_t> first_gaussian,
                      Array2<const int32_t> windows, Array1<const int64_t> first_pixel, Array1<float> alpha) {
        const int64_t objects = windows.shape(0);
        expect(windows.shape(1) == 4, "windows: expected [objects, 4]");
        expect(first_gaussian.shape(0) == objects + 1 && first_pixel.shape(0) == objects + 1,
               "first_gaussian, first_pixel: expected [objects + 1]");
        at.alone({objects, means2d.data(), radii.data(), conics.data(), opacities.data(), gaussians.data(),
                  first_gaussian.data(), windows.data(), first_pixel.data()},
                 alpha.shape(0), alpha.data());
    }

    static void cube_map(const Place& at, Input4 texels, Input2 directions, Input2 world_from_cam, Input1 alpha,
                         float least_light, Input2 image, Array2<float> out) {
        at.cube_map(cube_map_inputs(texels, directions, world_from_cam, alpha, least_light), image.data(), out.data());
    }

    static void cube_map_vjp(const Place& at, Input4 texels, Input2 directions, Input2 world_from_cam, Input1 alpha,
                             float least_light, Input2 v_out, Array1<float> v_alpha, Array4<float> v_texels) {
        at.cube_map_vjp(cube_map_inputs(texels, directions, world_from_cam, alpha, least_light), v_out.data(),
                        v_alpha.data(), v_texels.data());
    }

    static void bind(nb::class_<Place>& c) {
        c.def("project", &project);
        c.def("project_vjp", &project_vjp);
        c.def("composite", &composite);
        c.def("composite_vjp", &composite_vjp);
        c.def("inspect", &inspect);
        c.def("alone", &alone);
        c.def("cube_map", &cube_map);
        c.def("cube_map_vjp", &cube_map_vjp);
    }

  private:
    static ProjectSettings project_settings(int width, int height, const std::string& model, bool antialiased,
                                            float near_plane, float far_plane, float radius_clip, float eps2d,
                                            int sh_degree) {
        expect(width > 0 && height > 0, "width, height: expected at least 1");
        expect(model == "pinhole" || model == "fisheye", "model: expected 'pinhole' or 'fisheye'");
        return {width,       height,     model == "fisheye" ? LensModel::fisheye : LensModel::pinhole,
                antialiased, near_plane, far_plane,
                radius_clip, eps2d,      sh_degree};
    }

    static ProjectInputs project_inputs(Input2 means, Input2 quats, Input2 scales, Input1 opacities,
                                        const Maybe<Input2>& sh0, const Maybe<Input3>& sh_rest,
                                        const Maybe<Array1<const int32_t>>& object_index, Input4 cam_from_object,
                                        Input3 Ks, const Maybe<Input2>& distortion, int sh_degree) {
        const int64_t n = means.shape(0), c = cam_from_object.shape(0), k = cam_from_object.shape(1);
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
        int64_t rest = 0;
        if (sh_degree >= 0) {
            expect(sh0 && sh0->shape(0) == n && sh0->shape(1) == 3, "sh0: expected [N, 3]");
            expect(sh_rest && sh_rest->shape(0) == n && sh_rest->shape(2) == 3, "sh_rest: expected [N, K, 3]");
            rest = sh_rest->shape(1);
            expect(sh_degree <= 4 && (sh_degree + 1) * (sh_degree + 1) <= rest + 1,
                   "sh_degree: sh_rest holds fewer coefficients than it needs");
        }
        return {n,
                c,
                k,
                means.data(),
                quats.data(),
                scales.data(),
                opacities.data(),
                pointer(sh0),
                pointer(sh_rest),
                rest,
                pointer(object_index),
                cam_from_object.data(),
                Ks.data(),
                pointer(distortion)};
    }

    template <class T>
    static PictureArrays<T> pictures(Array4<T> image, const Maybe<Array4<T>>& features, const Maybe<Array3<T>>& depth,
                                     Array3<T> alpha) {
        for (int i = 0; i < 3; i++) {
            expect(image.shape(i) == alpha.shape(i), "image: expected [C, H, W, D]");
            expect(!features || features->shape(i) == alpha.shape(i), "features: expected [C, H, W, F]");
            expect(!depth || depth->shape(i) == alpha.shape(i), "depth: expected [C, H, W]");
        }
        return {(int)image.shape(3), features ? (int)features->shape(3) : 0,
                image.data(),        pointer(features),
                pointer(depth),      alpha.data()};
    }

    // What blending reads beside the records. `channels` has the colours' shape.
    template <class Shape, class T>
    static CompositeInputs blended(const Shape& channels, const Input3* colors, const Input2* depths, bool with_depth,
                                   Array1<const int64_t> camera_records, const auto& alpha,
                                   const PictureArrays<T>& pictures) {
        CompositeInputs in = {};
        in.n = channels.shape(1), in.c = alpha.shape(0);
        in.height = (int)alpha.shape(1), in.width = (int)alpha.shape(2);
        in.channels = (int)channels.shape(2), in.colors_per_camera = channels.shape(0) == in.c;
        in.with_depth = with_depth;
        in.colors = colors ? colors->data() : nullptr, in.depths = depths ? depths->data() : nullptr;
        const int all = in.channels + with_depth;
        expect(camera_records.shape(0) == in.c + 1, "camera_records: expected [C + 1]");
        expect(in.colors_per_camera || channels.shape(0) == 1, "colors: expected [C or 1, N, D]");
        expect(!pictures.depth || with_depth, "depth: wanted without depths");
        expect(pictures.image_channels + pictures.feature_channels + (pictures.depth != nullptr) == all,
               "image, features: expected room for all channels");
        expect(all <= 4 || (colors && (depths || !with_depth)), "colors, depths: needed with so many channels");
        return in;
    }

    static TileListArrays lists(Array2<const float> records, Array1<const int64_t> camera_records,
                                Array1<const int64_t> tile_entries, Array1<int32_t> entries, Array1<int32_t> slots,
                                const auto& alpha) {
        const int64_t tiles = (alpha.shape(1) + kTile - 1) / kTile * ((alpha.shape(2) + kTile - 1) / kTile);
        expect(records.shape(1) == sizeof(Record) / 4, "records: expected [records, 12]");
        expect(tile_entries.shape(0) == alpha.shape(0) * tiles + 1, "tile_entries: expected [C * tiles + 1]");
        return {{reinterpret_cast<const Record*>(records.data()), camera_records.data(), tile_entries.data(),
                 reinterpret_cast<uint32_t*>(entries.data()), reinterpret_cast<const uint32_t*>(slots.data())},
                records.shape(0),
                entries.shape(0),
                slots.shape(0),
                slots.data()};
    }

    static CubeMapInputs cube_map_inputs(Input4 texels, Input2 directions, Input2 world_from_cam, Input1 alpha,
                                         float least_light) {
        expect(texels.shape(0) == 6 && texels.shape(1) == texels.shape(2) && texels.shape(3) == 3,
               "texels: expected [6, R, R, 3]");
        expect(directions.shape(0) == alpha.shape(0) && directions.shape(1) == 3, "directions: expected [pixels, 3]");
        expect(world_from_cam.shape(0) == 3 && world_from_cam.shape(1) == 3, "world_from_cam: expected [3, 3]");
        return {alpha.shape(0),        (int)texels.shape(1), texels.data(), directions.data(),
                world_from_cam.data(), alpha.data(),         least_light};
    }
};

}  // namespace gsrecon
