// Mean structural similarity and its gradient in three passes over the rows: blur along x; blur along y, compare, blur
// the gradient's terms along x; blur them along y. The Gaussian window is its own adjoint; outside the picture
// everything is 0.
#include "math/ssim.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/buffer.h"
#include "cpu/kernels.h"

namespace gsrecon {
inline namespace GSRECON_ISA {
namespace {

// One row, kSsimReach zeros on either side, blurred along x.
void blur_row(const SsimWindow& window, const float* padded, int width, float* out) {
    for (int x = 0; x < width; x++) {
        float sum = 0;
        for (int k = 0; k <= 2 * kSsimReach; k++) sum += window.weight[k] * padded[x + k];
        out[x] = sum;
    }
}

// The rows of a plane around `row`, blurred along y.
void blur_rows(const SsimWindow& window, const float* plane, int row, int height, int width, float* out) {
    std::fill_n(out, width, 0.0f);
    for (int k = -kSsimReach; k <= kSsimReach; k++) {
        if (row + k < 0 || row + k >= height) continue;
        const float weight = window.weight[k + kSsimReach], *in = plane + (int64_t)(row + k) * width;
        for (int x = 0; x < width; x++) out[x] += weight * in[x];
    }
}

Buffer<float>& scratch() {
    static thread_local Buffer<float> buffer;
    return buffer;
}

}  // namespace

// a, b: [pictures, H, W, channels]. Returns the mean; `gradient`, if not null, becomes its gradient with respect to a.
double ssim(const float* a, const float* b, int64_t pictures, int height, int width, int channels, float* gradient) {
    const SsimWindow window = ssim_window();
    const int64_t size = (int64_t)height * width, rows = pictures * channels * height;
    const double pixels = (double)(rows * width);
    constexpr int kMeans = 5, kTerms = 3;
    // A plane is one quantity of one channel of one picture.
    float* means = scratch().reserve((size_t)(pictures * channels * size * (kMeans + kTerms)));
    float* terms = means + pictures * channels * size * kMeans;
    std::vector<double> row_sums((size_t)rows);

    const auto plane = [&](float* base, int64_t picture_channel, int quantity, int quantities) {
        return base + (picture_channel * quantities + quantity) * size;
    };
    // Where a row of one channel begins in the pictures; its pixels are `channels` apart.
    const auto row_start = [&](int64_t picture_channel, int y) {
        return (picture_channel / channels * size + (int64_t)y * width) * channels + picture_channel % channels;
    };

#pragma omp parallel
    {
        std::vector<float> padded((size_t)(kMeans * (width + 2 * kSsimReach)), 0.0f);
        std::vector<float> blurred((size_t)(kMeans * width));
        const auto padded_row = [&](int quantity) { return &padded[(size_t)(quantity * (width + 2 * kSsimReach))]; };
        const auto blurred_row = [&](int quantity) { return &blurred[(size_t)(quantity * width)]; };
#pragma omp for schedule(static)
        for (int64_t i = 0; i < rows; i++) {
            const int64_t pc = i / height;
            const int y = (int)(i % height);
            const float *row_a = a + row_start(pc, y), *row_b = b + row_start(pc, y);
            for (int x = 0; x < width; x++) {
                const float va = row_a[(int64_t)x * channels], vb = row_b[(int64_t)x * channels];
                const float values[kMeans] = {va, vb, va * va, vb * vb, va * vb};
                for (int q = 0; q < kMeans; q++) padded_row(q)[x + kSsimReach] = values[q];
            }
            for (int q = 0; q < kMeans; q++)
                blur_row(window, padded_row(q), width, plane(means, pc, q, kMeans) + (int64_t)y * width);
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < rows; i++) {
            const int64_t pc = i / height;
            const int y = (int)(i % height);
            for (int q = 0; q < kMeans; q++)
                blur_rows(window, plane(means, pc, q, kMeans), y, height, width, blurred_row(q));
            const float *ma = blurred_row(0), *mb = blurred_row(1), *maa = blurred_row(2), *mbb = blurred_row(3),
                        *mab = blurred_row(4);
            float *va = padded_row(0) + kSsimReach, *vaa = padded_row(1) + kSsimReach,
                  *vab = padded_row(2) + kSsimReach;
            float* value = padded_row(3) + kSsimReach;
            for (int x = 0; x < width; x++) {
                WindowGradient<float> v;
                value[x] = similarity(WindowMeans<float>{ma[x], mb[x], maa[x], mbb[x], mab[x]}, v);
                va[x] = v.a;
                vaa[x] = v.aa;
                vab[x] = v.ab;
            }
            double sum = 0;
            for (int x = 0; x < width; x++) sum += (double)value[x];
            row_sums[(size_t)i] = sum;
            if (gradient)
                for (int q = 0; q < kTerms; q++)
                    blur_row(window, padded_row(q), width, plane(terms, pc, q, kTerms) + (int64_t)y * width);
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < (gradient ? rows : 0); i++) {
            const int64_t pc = i / height;
            const int y = (int)(i % height);
            for (int q = 0; q < kTerms; q++)
                blur_rows(window, plane(terms, pc, q, kTerms), y, height, width, blurred_row(q));
            const float *va = blurred_row(0), *vaa = blurred_row(1), *vab = blurred_row(2);
            const float *row_a = a + row_start(pc, y), *row_b = b + row_start(pc, y);
            float* out = gradient + row_start(pc, y);
            const float scale = (float)(1.0 / pixels);
            for (int x = 0; x < width; x++) {
                const int64_t at = (int64_t)x * channels;
                out[at] = scale * (va[x] + 2.0f * row_a[at] * vaa[x] + row_b[at] * vab[x]);
            }
        }
    }
    double sum = 0;
    for (double s : row_sums) sum += s;
    return sum / pixels;
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
