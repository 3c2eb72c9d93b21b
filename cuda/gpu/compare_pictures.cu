// L1, squared error and SSIM of pictures, and the gradient: a block is 16 x 16 pixels. For SSIM they are read with the
// window's reach around them into shared memory, blurred along x and then along y. The first pass compares and leaves
// three planes of terms, the gradient blurs those. Block sums are added up in a fixed order.
#include "gpu/block_sums.h"
#include "gpu/kernels.h"
#include "math/comparison.h"
#include "math/ssim.h"

namespace gsrecon::gpu {
namespace {

constexpr int kSide = 16, kThreads = kSide * kSide;
constexpr int kBlocks = 4;  // on a multiprocessor: at most 64 registers
constexpr int kWide = kSide + 2 * kSsimReach;
constexpr int kWideRow = 48;  // floats: the two rows that a warp reads at once lie in different banks
static_assert(kWideRow >= kWide && kWideRow % 32 == kSide);
constexpr int kMeans = 5, kTerms = 3;
constexpr int kSums = 4;  // those of PictureSums

__host__ __device__ inline int64_t blocks_across(const ComparedPictures& in) { return (in.width + kSide - 1) / kSide; }
__host__ __device__ inline int64_t blocks_of_one(const ComparedPictures& in) {
    return blocks_across(in) * ((in.height + kSide - 1) / kSide);
}

// The block's part of the pictures, and the thread's pixel.
struct Part {
    int64_t picture;
    int x0, y0, x, y;
    bool inside;

    __device__ __forceinline__ explicit Part(const ComparedPictures& in) {
        const int block = (int)(blockIdx.x % blocks_of_one(in)), across = (int)blocks_across(in);
        picture = blockIdx.x / blocks_of_one(in);
        x0 = block % across * kSide;
        y0 = block / across * kSide;
        x = x0 + (int)threadIdx.x % kSide;
        y = y0 + (int)threadIdx.x / kSide;
        inside = x < in.width && y < in.height;
    }
    __device__ __forceinline__ int64_t pixel(const ComparedPictures& in, int px, int py) const {
        return (picture * in.height + py) * in.width + px;
    }
    // Terms lie in planes [pictures, channels, terms, height, width].
    __device__ __forceinline__ int64_t term(const ComparedPictures& in, int channel, int term, int px, int py) const {
        return (((picture * in.channels + channel) * kTerms + term) * in.height + py) * in.width + px;
    }
};

// The picture, with the truth in place of what does not count, and the truth.
struct Values {
    float a, b;
};

__device__ __forceinline__ bool counts(const ComparedPictures& in, int64_t pixel) {
    return !in.counts || in.counts[pixel];
}

__device__ __forceinline__ Values values_at(const ComparedPictures& in, int64_t pixel, int channel) {
    const int64_t at = pixel * in.channels + channel;
    const float truth = in.truth ? in.truth[at] : color_of_byte(in.truth_bytes[at]);
    return {counts(in, pixel) ? in.image[at] : truth, truth};
}

// Visits the block's pixels with their surroundings: their place there, and in the picture, and whether it is inside.
template <class Visit>
__device__ __forceinline__ void visit_wide(const ComparedPictures& in, const Part& part, Visit visit) {
    for (int i = (int)threadIdx.x; i < kWide * kWide; i += kThreads) {
        const int column = i % kWide, row = i / kWide, x = part.x0 + column - kSsimReach,
                  y = part.y0 + row - kSsimReach;
        visit(row, column, x, y, x >= 0 && x < in.width && y >= 0 && y < in.height);
    }
}

__device__ __forceinline__ float blur_along_y(const SsimWindow& window, const float (*rows)[kSide]) {
    const int x = (int)threadIdx.x % kSide, y = (int)threadIdx.x / kSide;
    float sum = 0.0f;
#pragma unroll
    for (int k = 0; k <= 2 * kSsimReach; k++) sum += window.weight[k] * rows[y + k][x];
    return sum;
}

__device__ __forceinline__ void add_difference(Values values, PictureSums<float>& sums) {
    const float difference = values.a - values.b;
    sums.absolute += fabsf(difference);
    sums.squared += difference * difference;
}

__device__ __forceinline__ void write_sums(const ComparedPictures& in, const Part& part, PictureSums<float> sums,
                                           float* block_sums) {
    const bool counting = part.inside && counts(in, part.pixel(in, part.x, part.y));
    const float all[kSums] = {sums.absolute, sums.squared, sums.similarity, counting ? 1.0f : 0.0f};
    write_block_sums<kSums, kThreads>(all, block_sums + (int64_t)blockIdx.x * kSums);
}

// Without SSIM.
__global__ void __launch_bounds__(kThreads) difference_kernel(ComparedPictures in, float* block_sums) {
    const Part part(in);
    PictureSums<float> sums = {};
    for (int channel = 0; part.inside && channel < in.channels; channel++)
        add_difference(values_at(in, part.pixel(in, part.x, part.y), channel), sums);
    write_sums(in, part, sums, block_sums);
}

__global__ void __launch_bounds__(kThreads)
    difference_vjp_kernel(ComparedPictures in, ComparisonWeights weights, const PictureFigures* figures,
                          const float* v_comparison, float* v_image) {
    const Part part(in);
    if (!part.inside) return;
    const int64_t pixel = part.pixel(in, part.x, part.y);
    const float scale = *v_comparison * figures->one_value;
    for (int channel = 0; channel < in.channels; channel++) {
        const Values values = values_at(in, pixel, channel);
        v_image[pixel * in.channels + channel] = scale * picture_vjp(weights, values.a, values.b, 0.0f);
    }
}

// With SSIM. `terms` may be null.
__global__ void __launch_bounds__(kThreads, kBlocks)
    compare_kernel(ComparedPictures in, SsimWindow window, float* terms, float* block_sums) {
    __shared__ Values wide[kWide][kWide];
    __shared__ float rows[kMeans][kWide][kSide];
    const Part part(in);
    PictureSums<float> sums = {};
    for (int channel = 0; channel < in.channels; channel++) {
        visit_wide(in, part, [&](int row, int column, int x, int y, bool there) {
            wide[row][column] = there ? values_at(in, part.pixel(in, x, y), channel) : Values{0.0f, 0.0f};
        });
        __syncthreads();
        // Beyond the picture's edge both are 0.
        add_difference(wide[threadIdx.x / kSide + kSsimReach][threadIdx.x % kSide + kSsimReach], sums);
        for (int i = (int)threadIdx.x; i < kWide * kSide; i += kThreads) {
            const int x = i % kSide, y = i / kSide;
            WindowMeans<float> m = {};
#pragma unroll
            for (int k = 0; k <= 2 * kSsimReach; k++) {
                const float w = window.weight[k], a = wide[y][x + k].a, b = wide[y][x + k].b;
                m.a += w * a, m.b += w * b, m.aa += w * (a * a), m.bb += w * (b * b), m.ab += w * (a * b);
            }
            rows[0][y][x] = m.a, rows[1][y][x] = m.b, rows[2][y][x] = m.aa, rows[3][y][x] = m.bb, rows[4][y][x] = m.ab;
        }
        __syncthreads();
        const WindowMeans<float> means = {blur_along_y(window, rows[0]), blur_along_y(window, rows[1]),
                                          blur_along_y(window, rows[2]), blur_along_y(window, rows[3]),
                                          blur_along_y(window, rows[4])};
        WindowGradient<float> v;
        const float value = similarity(means, v);
        if (!part.inside) continue;
        sums.similarity += value;
        if (!terms) continue;
        terms[part.term(in, channel, 0, part.x, part.y)] = v.a;
        terms[part.term(in, channel, 1, part.x, part.y)] = v.aa;
        terms[part.term(in, channel, 2, part.x, part.y)] = v.ab;
    }
    write_sums(in, part, sums, block_sums);
}

__global__ void __launch_bounds__(kThreads, kBlocks)
    compare_vjp_kernel(ComparedPictures in, ComparisonWeights weights, SsimWindow window, const PictureFigures* figures,
                       const float* terms, const float* v_comparison, float* v_image) {
    __shared__ float wide[kTerms][kWide][kWideRow], rows[kTerms][kWide][kSide];
    const Part part(in);
    const float scale = *v_comparison * figures->one_value;
    for (int channel = 0; channel < in.channels; channel++) {
        visit_wide(in, part, [&](int row, int column, int x, int y, bool there) {
            for (int q = 0; q < kTerms; q++)
                wide[q][row][column] = there ? terms[part.term(in, channel, q, x, y)] : 0.0f;
        });
        __syncthreads();
        for (int i = (int)threadIdx.x; i < kWide * kSide; i += kThreads) {
            const int x = i % kSide, y = i / kSide;
            WindowGradient<float> sum = {};
#pragma unroll
            for (int k = 0; k <= 2 * kSsimReach; k++) {
                const float w = window.weight[k];
                sum.a += w * wide[0][y][x + k], sum.aa += w * wide[1][y][x + k], sum.ab += w * wide[2][y][x + k];
            }
            rows[0][y][x] = sum.a, rows[1][y][x] = sum.aa, rows[2][y][x] = sum.ab;
        }
        __syncthreads();
        if (!part.inside) continue;
        const WindowGradient<float> v = {blur_along_y(window, rows[0]), blur_along_y(window, rows[1]),
                                         blur_along_y(window, rows[2])};
        const int64_t pixel = part.pixel(in, part.x, part.y);
        const Values values = values_at(in, pixel, channel);
        const float own = picture_vjp(weights, values.a, values.b, similarity_vjp(v, values.a, values.b));
        v_image[pixel * in.channels + channel] = counts(in, pixel) ? scale * own : 0.0f;
    }
}

// One block.
__global__ void __launch_bounds__(kThreads)
    picture_figures_kernel(ComparedPictures in, ComparisonWeights weights, const float* block_sums, int64_t blocks,
                           PictureFigures* figures) {
    double sums[kSums];
    add_block_sums<kSums, kThreads>(block_sums, blocks, sums);
    if (threadIdx.x > 0) return;
    *figures =
        picture_figures({sums[0], sums[1], sums[2], sums[3]}, weights, in.pictures * in.height * in.width, in.channels);
}

int64_t blocks_of(const ComparedPictures& in) { return in.pictures * blocks_of_one(in); }

}  // namespace

size_t compare_pictures_workspace(const ComparedPictures& in) {
    Workspace work;
    work.take<float>(blocks_of(in) * kSums);
    return work.used();
}

void compare_pictures(const ComparedPictures& in, const ComparisonWeights& weights, PictureFigures* figures,
                      float* kept, void* workspace, size_t bytes, Stream stream) {
    Workspace work(workspace, bytes);
    const int64_t blocks = blocks_of(in);
    float* block_sums = work.take<float>(blocks * kSums);
    if (weights.similarity == 0.0f)
        launch("difference", difference_kernel, blocks, kThreads, stream, in, block_sums);
    else
        launch("compare", compare_kernel, blocks, kThreads, stream, in, ssim_window(), kept, block_sums);
    launch("picture_figures", picture_figures_kernel, 1, kThreads, stream, in, weights, block_sums, blocks, figures);
}

void compare_pictures_vjp(const ComparedPictures& in, const ComparisonWeights& weights, const PictureFigures* figures,
                          const float* kept, const float* v_comparison, float* v_image, Stream stream) {
    if (weights.similarity == 0.0f)
        launch("difference_vjp", difference_vjp_kernel, blocks_of(in), kThreads, stream, in, weights, figures,
               v_comparison, v_image);
    else
        launch("compare_vjp", compare_vjp_kernel, blocks_of(in), kThreads, stream, in, weights, ssim_window(), figures,
               kept, v_comparison, v_image);
}

}  // namespace gsrecon::gpu
