// Exposure of a picture and its gradient, whose sums over the picture are added up block by block: the result does not
// depend on the number of threads.
#include "math/exposure.h"

#include <algorithm>
#include <vector>

#include "cpu/kernels.h"
#include "cpu/simd.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

namespace {

constexpr int64_t kBlockPixels = 4096;  // a task
constexpr int kStep = 3 * kLanes;       // three vectors side by side hold whole pixels

struct Exposure {
    float gain[3], bias[3];
    explicit Exposure(const ExposureInputs& in) {
        for (int c = 0; c < 3; c++) gain[c] = exposure_gain(in, c), bias[c] = exposure_bias(in, c);
    }
};

// RGB repeated over three vectors.
struct Channels {
    vfloat part[3];
    explicit Channels(const float* rgb) {
        for (int i = 0; i < kStep; i++) part[i / kLanes][i % kLanes] = rgb[i % 3];
    }
};

int64_t blocks_of(const ExposureInputs& in) { return (in.pixels + kBlockPixels - 1) / kBlockPixels; }

// Sums over one block of v * image and of v, RGB each.
void exposure_block_vjp(const ExposureInputs& in, const Exposure& exposure, const Channels& gain, int64_t block,
                        const float* v_out, float* v_image, double* sums) {
    const int64_t begin = 3 * block * kBlockPixels, end = std::min(3 * in.pixels, begin + 3 * kBlockPixels);
    vfloat of_gain[3] = {}, of_bias[3] = {};
    int64_t i = begin;
    for (; i + kStep <= end; i += kStep)
        for (int p = 0; p < 3; p++) {
            const vfloat v = load(v_out + i + p * kLanes);
            of_gain[p] = fma(v, load(in.image + i + p * kLanes), of_gain[p]);
            of_bias[p] += v;
            if (v_image) store(v_image + i + p * kLanes, v * gain.part[p]);
        }
    std::fill(sums, sums + kExposureValues, 0.0);
    for (int l = 0; l < kStep; l++) {
        sums[l % 3] += (double)of_gain[l / kLanes][l % kLanes];
        sums[3 + l % 3] += (double)of_bias[l / kLanes][l % kLanes];
    }
    for (; i < end; i++) {
        sums[i % 3] += (double)v_out[i] * (double)in.image[i];
        sums[3 + i % 3] += (double)v_out[i];
        if (v_image) v_image[i] = v_out[i] * exposure.gain[i % 3];
    }
}

}  // namespace

void exposure(const ExposureInputs& in, float* out) {
    const Exposure exposure(in);
    const Channels gain(exposure.gain), bias(exposure.bias);
#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < blocks_of(in); block++) {
        int64_t i = 3 * block * kBlockPixels;
        const int64_t end = std::min(3 * in.pixels, i + 3 * kBlockPixels);
        for (; i + kStep <= end; i += kStep)
            for (int p = 0; p < 3; p++)
                store(out + i + p * kLanes, fma(load(in.image + i + p * kLanes), gain.part[p], bias.part[p]));
        for (; i < end; i++) out[i] = in.image[i] * exposure.gain[i % 3] + exposure.bias[i % 3];
    }
}

void exposure_vjp(const ExposureInputs& in, const float* v_out, const ExposureGradients& out) {
    const Exposure exposure(in);
    const Channels gain(exposure.gain);
    const int64_t blocks = blocks_of(in);
    std::vector<double> block_sums((size_t)(kExposureValues * blocks));
#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < blocks; block++)
        exposure_block_vjp(in, exposure, gain, block, v_out, out.image, block_sums.data() + kExposureValues * block);
    double v[kExposureValues] = {};
    for (size_t i = 0; i < block_sums.size(); i++) v[i % kExposureValues] += block_sums[i];
    for (int c = 0; c < 3; c++) v[c] *= (double)exposure.gain[c];
    for (int64_t i = 0; i < kExposureValues * in.cameras; i++)
        out.camera_values[i] = camera_value_vjp(in, i, v[i % kExposureValues]);
    for (int64_t i = 0; i < kExposureValues * in.pictures; i++)
        out.picture_values[i] = picture_value_vjp(in, i, v[i % kExposureValues]);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
