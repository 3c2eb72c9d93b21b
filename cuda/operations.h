// The operations as Python calls them, said once for every place they run at: checks of shapes, then the structs of
// ops.h. No arithmetic here. A Place has a kind of Memory, and each operation under the same name.
#pragma once

#include <algorithm>
#include <array>
#include <tuple>
#include <vector>

#include "binding.h"
#include "math/blend.h"
#include "ops.h"

namespace gsrecon {

// Tile lists as they come from Python; what `slots` hold is the place's own affair.
struct TileListArrays {
    TileLists lists;
    int64_t records, entries, slots_count;
    int32_t* slots;
};

template <class Place> struct Operations {
    using Memory = typename Place::Memory;
    template <class T> using Array1 = Array<T, 1, Memory>;
    template <class T> using Array2 = Array<T, 2, Memory>;
    template <class T> using Array3 = Array<T, 3, Memory>;
    template <class T> using Array4 = Array<T, 4, Memory>;
    template <class A> using Maybe = std::optional<A>;
    using Input1 = Array1<const float>;
    using Input2 = Array2<const float>;
    using Input3 = Array3<const float>;
    using Input4 = Array4<const float>;

    // ------------------------------------------------------------------------------------------------- projection
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

    // ------------------------------------------------------------------------------------------------ compositing
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

    // ------------------------------------------------------------------------------ corrections of a recording
    using Matrix = const std::array<double, 16>&;          // 4 x 4, row by row
    using Between = std::tuple<int64_t, int64_t, double>;  // see BetweenRows

    static void rig_camera(const Place& at, Input2 rig_translations, Input2 rig_rotations, Input2 camera_translations,
                           Input2 camera_rotations, int64_t camera, Between knots, Matrix ego_from_cam,
                           Matrix world_from_cam, Array3<float> viewmat) {
        const RigCorrections in =
            rig_tables<const float>(rig_translations, rig_rotations, camera_translations, camera_rotations);
        expect(viewmat.size() == 16, "viewmat: expected [1, 4, 4]");
        at.rig_camera(in, rig_camera_of(in, camera, knots, ego_from_cam, world_from_cam), viewmat.data());
    }

    static void rig_camera_vjp(const Place& at, Input2 rig_translations, Input2 rig_rotations,
                               Input2 camera_translations, Input2 camera_rotations, int64_t camera, Between knots,
                               Matrix ego_from_cam, Matrix world_from_cam, Input3 v_viewmat,
                               Array2<float> v_rig_translations, Array2<float> v_rig_rotations,
                               Array2<float> v_camera_translations, Array2<float> v_camera_rotations) {
        const RigCorrections in =
            rig_tables<const float>(rig_translations, rig_rotations, camera_translations, camera_rotations);
        const RigCorrectionGradients out =
            rig_tables<float>(v_rig_translations, v_rig_rotations, v_camera_translations, v_camera_rotations);
        expect(out.knots == in.knots && out.cameras == in.cameras, "gradients: expected the corrections' shapes");
        expect(v_viewmat.size() == 16, "v_viewmat: expected [1, 4, 4]");
        at.rig_camera_vjp(in, rig_camera_of(in, camera, knots, ego_from_cam, world_from_cam), v_viewmat.data(), out);
    }

    static void exposure(const Place& at, Input2 image, Input2 camera_values, Input2 picture_values, int64_t camera,
                         const Maybe<Between>& pictures, Array2<float> out) {
        at.exposure(exposure_inputs(image, camera_values, picture_values, camera, pictures), out.data());
    }

    static void exposure_vjp(const Place& at, Input2 image, Input2 camera_values, Input2 picture_values, int64_t camera,
                             const Maybe<Between>& pictures, Input2 v_out, Maybe<Array2<float>> v_image,
                             Array2<float> v_camera_values, Array2<float> v_picture_values) {
        at.exposure_vjp(exposure_inputs(image, camera_values, picture_values, camera, pictures), v_out.data(),
                        {pointer(v_image), v_camera_values.data(), v_picture_values.data()});
    }

    static void se3_exps(const Place& at, Array2<const double> tangents, Array3<double> motions) {
        expect_motions(tangents, motions);
        at.se3_exps(tangents.shape(0), tangents.data(), motions.data());
    }

    static void se3_exps_vjp(const Place& at, Array2<const double> tangents, Array3<const double> v_motions,
                             Array2<double> v_tangents) {
        expect_motions(tangents, v_motions);
        expect(v_tangents.shape(0) == tangents.shape(0) && v_tangents.shape(1) == 6, "v_tangents: expected [N, 6]");
        at.se3_exps_vjp(tangents.shape(0), tangents.data(), v_motions.data(), v_tangents.data());
    }

    static void mean_squares(const Place& at, const std::vector<Input2>& tables, const std::vector<double>& weights,
                             Array1<float> sum_of_means) {
        expect(sum_of_means.shape(0) == 1, "sum_of_means: expected [1]");
        at.mean_squares(mean_squares_inputs(tables, weights), sum_of_means.data());
    }

    static void mean_squares_vjp(const Place& at, const std::vector<Input2>& tables, const std::vector<double>& weights,
                                 Input1 v_sum, const std::vector<Array2<float>>& gradients) {
        const MeanSquaresInputs in = mean_squares_inputs(tables, weights);
        expect(v_sum.shape(0) == 1, "v_sum: expected [1]");
        expect(gradients.size() == tables.size(), "gradients: expected one a table");
        MeanSquaresGradients out = {};
        for (size_t k = 0; k < gradients.size(); k++) {
            expect(gradients[k].size() == in.sizes[k], "gradients: expected the tables' shapes");
            out.values[k] = gradients[k].data();
        }
        at.mean_squares_vjp(in, v_sum.data(), out);
    }

    // ------------------------------------------------------------------------------------- pictures, and training
    // Colours as floats, or as bytes.
    using Colors = std::variant<Input4, Array4<const uint8_t>>;
    using Mask = Maybe<Array3<const bool>>;

    static void compare_pictures(const Place& at, Input4 image, Colors truth, Mask counts, float constant,
                                 float absolute, float similarity, Array1<float> figures, Maybe<Array1<float>> kept) {
        const ComparedPictures in = compared(image, truth, counts);
        expect(figures.shape(0) == 3, "figures: expected [3]");
        expect_kept(kept, image);
        at.compare_pictures(in, {constant, absolute, similarity}, reinterpret_cast<PictureFigures*>(figures.data()),
                            pointer(kept));
    }

    static void compare_pictures_vjp(const Place& at, Input4 image, Colors truth, Mask counts, float constant,
                                     float absolute, float similarity, Input1 figures, Maybe<Input1> kept,
                                     Input1 v_comparison, Array4<float> v_image) {
        const ComparedPictures in = compared(image, truth, counts);
        expect(figures.shape(0) == 3 && v_comparison.shape(0) == 1, "figures, v_comparison: expected [3], [1]");
        expect(similarity == 0.0f || kept, "kept: needed where similarity has a weight");
        expect_kept(kept, image);
        expect_same_shape(v_image, image, "v_image: expected the shape of image");
        at.compare_pictures_vjp(in, {constant, absolute, similarity},
                                reinterpret_cast<const PictureFigures*>(figures.data()), pointer(kept),
                                v_comparison.data(), v_image.data());
    }

    static void compare_depths(const Place& at, Input1 depth, Array1<const int32_t> places, Input1 measured,
                               float limit, Array1<float> figures) {
        expect(figures.shape(0) == 2, "figures: expected [2]");
        at.compare_depths(compared(depth, places, measured, limit), reinterpret_cast<DepthFigures*>(figures.data()));
    }

    static void compare_depths_vjp(const Place& at, Input1 depth, Array1<const int32_t> places, Input1 measured,
                                   float limit, Input1 figures, Input1 v_mean, Array1<float> v_depth) {
        expect(figures.shape(0) == 2 && v_mean.shape(0) == 1, "figures, v_mean: expected [2], [1]");
        expect(v_depth.shape(0) == depth.shape(0), "v_depth: expected the shape of depth");
        at.compare_depths_vjp(compared(depth, places, measured, limit),
                              reinterpret_cast<const DepthFigures*>(figures.data()), v_mean.data(), v_depth.data());
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

    // Of each tensor: decay of the moments, rate, second moment scale, epsilon, and the schedule in place of two of
    // them.
    using Step = std::tuple<float, float, float, float, float, Maybe<Input1>>;

    static void adam_rows(const Place& at, const std::vector<Step>& steps,
                          const std::vector<Rows<const float, Memory>>& gradients,
                          const std::vector<Rows<float, Memory>>& values,
                          const std::vector<Rows<float, Memory>>& first_moments,
                          const std::vector<Rows<float, Memory>>& second_moments) {
        const size_t count = steps.size();
        for (size_t given : {gradients.size(), values.size(), first_moments.size(), second_moments.size()})
            expect(given == count, "gradients, values, first_moments, second_moments: expected as many as steps");
        std::vector<AdamTask> tasks(count);
        for (size_t i = 0; i < count; i++) {
            const auto& [beta1, beta2, rate, second_moment_scale, epsilon, schedule] = steps[i];
            expect(!schedule || schedule->shape(0) == 2, "schedule: expected [2]");
            const int64_t rows = gradients[i].rows, width = gradients[i].width;
            for (const auto& tensor : {values[i], first_moments[i], second_moments[i]})
                expect(tensor.rows == rows && tensor.width == width,
                       "values, first_moments, second_moments: expected the gradients' shapes");
            tasks[i] = {{rows, width, gradients[i].data, values[i].data, first_moments[i].data, second_moments[i].data},
                        {beta1, beta2, rate, second_moment_scale, epsilon, pointer(schedule)}};
        }
        at.adam_rows(std::move(tasks));
    }

    static void add_screen_statistics(const Place& at, CameraRows<const float, Memory> gradients,
                                      CameraRows<const int32_t, Memory> radii, float half_width, float half_height,
                                      Array1<float> gradient_sum, Array1<float> times_seen,
                                      Array1<float> largest_radius) {
        const int64_t c = gradients.cameras, n = gradients.rows;
        expect(gradients.width == 2, "gradients: expected [C, N, 2]");
        expect(radii.cameras == c && radii.rows == n && radii.width == 2, "radii: expected [C, N, 2]");
        for (const auto& array : {gradient_sum, times_seen, largest_radius})
            expect(array.shape(0) == n, "gradient_sum, times_seen, largest_radius: expected [N]");
        at.add_screen_statistics(
            {n, c, gradients.data, radii.data, gradients.camera_stride, radii.camera_stride, half_width, half_height},
            {gradient_sum.data(), times_seen.data(), largest_radius.data()});
    }

    static void bind(nb::class_<Place>& c) {
        Torch::get();
        c.def("project", &project);
        c.def("project_vjp", &project_vjp);
        c.def("composite", &composite);
        c.def("composite_vjp", &composite_vjp);
        c.def("inspect", &inspect);
        c.def("alone", &alone);
        c.def("compare_pictures", &compare_pictures);
        c.def("compare_pictures_vjp", &compare_pictures_vjp);
        c.def("compare_depths", &compare_depths);
        c.def("compare_depths_vjp", &compare_depths_vjp);
        c.def("cube_map", &cube_map);
        c.def("cube_map_vjp", &cube_map_vjp);
        c.def("rig_camera", &rig_camera);
        c.def("rig_camera_vjp", &rig_camera_vjp);
        c.def("exposure", &exposure);
        c.def("exposure_vjp", &exposure_vjp);
        c.def("se3_exps", &se3_exps);
        c.def("se3_exps_vjp", &se3_exps_vjp);
        c.def("mean_squares", &mean_squares);
        c.def("mean_squares_vjp", &mean_squares_vjp);
        c.def("adam_rows", &adam_rows);
        c.def("add_screen_statistics", &add_screen_statistics);
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

    static void expect_same_shape(const auto& array, const auto& other, const char* message) {
        for (int i = 0; i < 4; i++) expect(array.shape(i) == other.shape(i), message);
    }

    static void expect_kept(const auto& kept, const Input4& image) {
        expect(!kept || kept->shape(0) == 3 * image.size(), "kept: expected [3 * values of image]");
    }

    static ComparedPictures compared(const Input4& image, const Colors& truth, const Mask& counts) {
        std::visit([&](const auto& t) { expect_same_shape(t, image, "truth: expected the shape of image"); }, truth);
        for (int i = 0; i < 3; i++) expect(!counts || counts->shape(i) == image.shape(i), "counts: expected [B, H, W]");
        const auto* floats = std::get_if<Input4>(&truth);
        const auto* bytes = std::get_if<Array4<const uint8_t>>(&truth);
        return {image.shape(0),
                (int)image.shape(1),
                (int)image.shape(2),
                (int)image.shape(3),
                image.data(),
                floats ? floats->data() : nullptr,
                bytes ? bytes->data() : nullptr,
                pointer(counts)};
    }

    static ComparedDepths compared(Input1 depth, Array1<const int32_t> places, Input1 measured, float limit) {
        expect(places.shape(0) == measured.shape(0), "places, measured: expected [M]");
        return {depth.shape(0), places.shape(0), depth.data(), places.data(), measured.data(), limit};
    }

    static void expect_motions(const auto& tangents, const auto& motions) {
        expect(tangents.shape(1) == 6, "tangents: expected [N, 6]");
        expect(motions.shape(0) == tangents.shape(0) && motions.shape(1) == 4 && motions.shape(2) == 4,
               "motions: expected [N, 4, 4]");
    }

    static BetweenRows rows_of(const Between& rows, int64_t count, const char* problem) {
        const auto [before, after, share] = rows;
        expect(before >= 0 && before < count && after >= 0 && after < count, problem);
        return {before, after, share};
    }
    static BetweenRows row_of(int64_t camera, int64_t cameras) {
        return rows_of({camera, camera, 0.0}, cameras, "camera: there is no such row");
    }

    template <class T>
    static RigTables<T> rig_tables(Array2<T> rig_translations, Array2<T> rig_rotations, Array2<T> camera_translations,
                                   Array2<T> camera_rotations) {
        for (const auto& table : {rig_translations, rig_rotations})
            expect(table.shape(0) == rig_translations.shape(0) && table.shape(1) == 3,
                   "rig_translations, rig_rotations: expected [T, 3]");
        for (const auto& table : {camera_translations, camera_rotations})
            expect(table.shape(0) == camera_translations.shape(0) && table.shape(1) == 3,
                   "camera_translations, camera_rotations: expected [K, 3]");
        return {rig_translations.shape(0), camera_translations.shape(0), rig_translations.data(),
                rig_rotations.data(),      camera_translations.data(),   camera_rotations.data()};
    }

    static RigCamera rig_camera_of(const RigCorrections& in, int64_t camera, const Between& knots, Matrix ego_from_cam,
                                   Matrix world_from_cam) {
        RigCamera made = {
            row_of(camera, in.cameras), rows_of(knots, in.knots, "knots: there are no such rows"), {}, {}};
        std::copy(ego_from_cam.begin(), ego_from_cam.end(), made.ego_from_cam);
        std::copy(world_from_cam.begin(), world_from_cam.end(), made.world_from_cam);
        return made;
    }

    static ExposureInputs exposure_inputs(Input2 image, Input2 camera_values, Input2 picture_values, int64_t camera,
                                          const Maybe<Between>& pictures) {
        expect(image.shape(1) == 3, "image: expected [pixels, 3]");
        expect(camera_values.shape(1) == 6, "camera_values: expected [K, 6]");
        expect(picture_values.shape(1) == 6, "picture_values: expected [P, 6]");
        const int64_t k = camera_values.shape(0), p = picture_values.shape(0);
        const BetweenRows between =
            pictures ? rows_of(*pictures, p, "pictures: there are no such rows") : BetweenRows{0, 0, 0.0};
        return {image.shape(0),    k,       p,        image.data(), camera_values.data(), picture_values.data(),
                row_of(camera, k), between, !pictures};
    }

    static MeanSquaresInputs mean_squares_inputs(const std::vector<Input2>& tables,
                                                 const std::vector<double>& weights) {
        expect(tables.size() <= kMostTables, "tables: more than eight");
        expect(tables.size() == weights.size(), "weights: expected one a table");
        MeanSquaresInputs in = {(int)tables.size(), {}, {}, {}};
        for (size_t k = 0; k < tables.size(); k++) {
            expect(tables[k].size() > 0, "tables: one is empty");
            in.values[k] = tables[k].data(), in.sizes[k] = tables[k].size(), in.weights[k] = weights[k];
        }
        return in;
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
