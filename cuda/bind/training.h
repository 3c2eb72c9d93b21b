// Training: how a picture differs from the recorded one, and the steps of what it is made from.
#pragma once

#include <tuple>
#include <vector>

#include "bind/arrays.h"
#include "ops.h"

namespace gsrecon {

template <class Place> struct Training : ArraysIn<typename Place::Memory> {
    using Memory = typename Place::Memory;
    using Base = ArraysIn<Memory>;
    template <class T> using Array1 = typename Base::template Array1<T>;
    template <class T> using Array3 = typename Base::template Array3<T>;
    template <class T> using Array4 = typename Base::template Array4<T>;
    using typename Base::Input1, typename Base::Input4;

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
        c.def("compare_pictures", &compare_pictures);
        c.def("compare_pictures_vjp", &compare_pictures_vjp);
        c.def("compare_depths", &compare_depths);
        c.def("compare_depths_vjp", &compare_depths_vjp);
        c.def("adam_rows", &adam_rows);
        c.def("add_screen_statistics", &add_screen_statistics);
    }

  private:
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
};

}  // namespace gsrecon
