// Corrections of a recording: its cameras, its exposure, the ways of its objects, and penalties of all these.
#pragma once

#include <algorithm>
#include <array>
#include <tuple>
#include <vector>

#include "bind/arrays.h"
#include "ops.h"

namespace gsrecon {

template <class Place> struct Corrections : ArraysIn<typename Place::Memory> {
    using Base = ArraysIn<typename Place::Memory>;
    template <class T> using Array1 = typename Base::template Array1<T>;
    template <class T> using Array2 = typename Base::template Array2<T>;
    template <class T> using Array3 = typename Base::template Array3<T>;
    using typename Base::Input1, typename Base::Input2, typename Base::Input3;

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

    static void bind(nb::class_<Place>& c) {
        c.def("rig_camera", &rig_camera);
        c.def("rig_camera_vjp", &rig_camera_vjp);
        c.def("exposure", &exposure);
        c.def("exposure_vjp", &exposure_vjp);
        c.def("se3_exps", &se3_exps);
        c.def("se3_exps_vjp", &se3_exps_vjp);
        c.def("mean_squares", &mean_squares);
        c.def("mean_squares_vjp", &mean_squares_vjp);
    }

  private:
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
};

}  // namespace gsrecon
