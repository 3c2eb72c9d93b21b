// L1, squared error and SSIM of pictures in two passes over the rows: blur along x; blur along y, compare, blur the
// terms of SSIM's gradient along x. The gradient is a third: blur those along y. The Gaussian window is its own
// adjoint; outside the picture everything is 0. Channels stay side by side: a pixel's neighbour is `channels` values
// further.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/buffer.h"
#include "cpu/kernels.h"
#include "math/comparison.h"
#include "math/ssim.h"

namespace gsrecon {
inline namespace GSRECON_ISA {
namespace {

constexpr int kMeans = 5, kTerms = 3;

int64_t rows_of(const ComparedPictures& in) { return in.pictures * in.height; }
int64_t row_values(const ComparedPictures& in) { return (int64_t)in.width * in.channels; }

// Values [pictures, quantities, height, width, channels].
template <class T> struct Planes {
    T* data;
    int quantities, height;
    int64_t row_values;

    Planes(const ComparedPictures& in, T* data, int quantities)
        : data(data), quantities(quantities), height(in.height), row_values(gsrecon::row_values(in)) {}
    // A row, of those of all pictures.
    T* row(int64_t row, int quantity) const {
        return data + ((row / height * quantities + quantity) * height + row % height) * row_values;
    }
};

// What a thread works in: a row of several quantities, with zeros before and behind, and as it is blurred along y.
struct Rows {
    int64_t values, reach;
    std::vector<float> padded, blurred;

    explicit Rows(const ComparedPictures& in)
        : values(row_values(in)),
          reach((int64_t)kSsimReach * in.channels),
          padded((size_t)(kMeans * (values + 2 * reach)), 0.0f),
          blurred((size_t)(kMeans * values)) {}
    float* row(int quantity) { return &padded[(size_t)(quantity * (values + 2 * reach) + reach)]; }
    float* along_y(int quantity) { return &blurred[(size_t)(quantity * values)]; }
};

// A row of the picture, with the truth in place of what does not count, and of the truth.
void read_row(const ComparedPictures& in, int64_t row, float* image, float* truth) {
    const int64_t values = row_values(in), first = row * values;
    if (in.truth)
        std::copy_n(in.truth + first, values, truth);
    else
        for (int64_t i = 0; i < values; i++) truth[i] = color_of_byte(in.truth_bytes[first + i]);
    std::copy_n(in.image + first, values, image);
    if (!in.counts) return;
    for (int64_t x = 0; x < in.width; x++)
        if (!in.counts[row * in.width + x]) std::copy_n(truth + x * in.channels, in.channels, image + x * in.channels);
}

// The sum of term(i), as several running sums that can be added to side by side.
template <class Term> double row_sum(int64_t values, Term term) {
    constexpr int kSums = 16;
    double sums[kSums] = {}, sum = 0;
    int64_t i = 0;
    for (; i + kSums <= values; i += kSums)
        for (int k = 0; k < kSums; k++) sums[k] += (double)term(i + k);
    for (; i < values; i++) sum += (double)term(i);
    for (double s : sums) sum += s;
    return sum;
}

PictureSums<double> difference_sums(const ComparedPictures& in, int64_t row, Rows& rows) {
    const float *a = rows.row(0), *b = rows.row(1);
    const auto counted = [&](int64_t x) { return in.counts[row * in.width + x] ? 1.0f : 0.0f; };
    return {row_sum(rows.values, [&](int64_t i) { return std::fabs(a[i] - b[i]); }),
            row_sum(rows.values, [&](int64_t i) { return (a[i] - b[i]) * (a[i] - b[i]); }), 0.0,
            in.counts ? row_sum(in.width, counted) : (double)in.width};
}

// A row with zeros around, blurred along x.
void blur_row(const SsimWindow& window, const Rows& rows, const float* row, float* __restrict out) {
    const int64_t step = rows.reach / kSsimReach;
    const float* before = row - rows.reach;
    for (int64_t i = 0; i < rows.values; i++) {
        float sum = 0;
        for (int k = 0; k <= 2 * kSsimReach; k++) sum += window.weight[k] * before[i + k * step];
        out[i] = sum;
    }
}

// The rows around one, blurred along y.
template <class T>
void blur_rows(const SsimWindow& window, const Planes<T>& planes, int64_t row, int quantity, float* out) {
    std::fill_n(out, planes.row_values, 0.0f);
    const int y = (int)(row % planes.height);
    for (int k = -kSsimReach; k <= kSsimReach; k++) {
        if (y + k < 0 || y + k >= planes.height) continue;
        const float weight = window.weight[k + kSsimReach], *in = planes.row(row + k, quantity);
        for (int64_t i = 0; i < planes.row_values; i++) out[i] += weight * in[i];
    }
}

// The first pass.
void blur_values(const SsimWindow& window, int64_t row, Rows& rows, const Planes<float>& means) {
    const float *a = rows.row(0), *b = rows.row(1);
    float *aa = rows.row(2), *bb = rows.row(3), *ab = rows.row(4);
    for (int64_t i = 0; i < rows.values; i++) {
        aa[i] = a[i] * a[i];
        bb[i] = b[i] * b[i];
        ab[i] = a[i] * b[i];
    }
    for (int q = 0; q < kMeans; q++) blur_row(window, rows, rows.row(q), means.row(row, q));
}

// The second: the sum of similarities along a row, and the terms of their gradient where there is room for them.
double compare_row(const SsimWindow& window, int64_t row, Rows& rows, const Planes<float>& means,
                   const Planes<float>& terms) {
    for (int q = 0; q < kMeans; q++) blur_rows(window, means, row, q, rows.along_y(q));
    const float *ma = rows.along_y(0), *mb = rows.along_y(1), *maa = rows.along_y(2), *mbb = rows.along_y(3),
                *mab = rows.along_y(4);
    float *va = rows.row(0), *vaa = rows.row(1), *vab = rows.row(2), *value = rows.row(3);
    for (int64_t i = 0; i < rows.values; i++) {
        WindowGradient<float> v;
        value[i] = similarity(WindowMeans<float>{ma[i], mb[i], maa[i], mbb[i], mab[i]}, v);
        va[i] = v.a;
        vaa[i] = v.aa;
        vab[i] = v.ab;
    }
    for (int q = 0; q < (terms.data ? kTerms : 0); q++) blur_row(window, rows, rows.row(q), terms.row(row, q));
    return row_sum(rows.values, [&](int64_t i) { return value[i]; });
}

// The third: the gradient of the sum of similarities along a row.
void similarity_row_vjp(const SsimWindow& window, int64_t row, Rows& rows, const Planes<const float>& terms, float* v) {
    for (int q = 0; q < kTerms; q++) blur_rows(window, terms, row, q, rows.along_y(q));
    const float *va = rows.along_y(0), *vaa = rows.along_y(1), *vab = rows.along_y(2), *a = rows.row(0),
                *b = rows.row(1);
    for (int64_t i = 0; i < rows.values; i++)
        v[i] = similarity_vjp(WindowGradient<float>{va[i], vaa[i], vab[i]}, a[i], b[i]);
}

Buffer<float>& scratch() {
    static thread_local Buffer<float> buffer;
    return buffer;
}

}  // namespace

PictureFigures compare_pictures(const ComparedPictures& in, const ComparisonWeights& weights, float* kept) {
    const SsimWindow window = ssim_window();
    const bool similar = weights.similarity != 0.0f;
    const int64_t rows_in_all = rows_of(in);
    const Planes<float> means(in, scratch().reserve((size_t)(similar ? kMeans * rows_in_all * row_values(in) : 0)),
                              kMeans);
    const Planes<float> terms(in, kept, kTerms);
    std::vector<PictureSums<double>> row_sums((size_t)rows_in_all);

#pragma omp parallel
    {
        Rows rows(in);
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows_in_all; row++) {
            read_row(in, row, rows.row(0), rows.row(1));
            row_sums[(size_t)row] = difference_sums(in, row, rows);
            if (similar) blur_values(window, row, rows, means);
        }
#pragma omp for schedule(static)
        for (int64_t row = 0; row < (similar ? rows_in_all : 0); row++)
            row_sums[(size_t)row].similarity = compare_row(window, row, rows, means, terms);
    }
    PictureSums<double> sums = {};
    for (const PictureSums<double>& s : row_sums) {
        sums.absolute += s.absolute;
        sums.squared += s.squared;
        sums.similarity += s.similarity;
        sums.counting += s.counting;
    }
    return picture_figures(sums, weights, rows_in_all * in.width, in.channels);
}

void compare_pictures_vjp(const ComparedPictures& in, const ComparisonWeights& weights, const float* kept,
                          float v_value, float* v_image) {
    const SsimWindow window = ssim_window();
    const Planes<const float> terms(in, kept, kTerms);

#pragma omp parallel
    {
        Rows rows(in);
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows_of(in); row++) {
            const float *a = rows.row(0), *b = rows.row(1);
            float* v = v_image + row * rows.values;
            read_row(in, row, rows.row(0), rows.row(1));
            if (weights.similarity != 0.0f)
                similarity_row_vjp(window, row, rows, terms, v);
            else
                std::fill_n(v, rows.values, 0.0f);
            for (int64_t i = 0; i < rows.values; i++) v[i] = v_value * picture_vjp(weights, a[i], b[i], v[i]);
            for (int64_t x = 0; x < (in.counts ? in.width : 0); x++)
                if (!in.counts[row * in.width + x]) std::fill_n(v + x * in.channels, in.channels, 0.0f);
        }
    }
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
