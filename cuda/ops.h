// The operations on raw pointers: what each backend implements. Callers allocate; arrays are dense and row-major.
#pragma once

#include <cstdint>
#include <vector>

namespace gsrecon {

enum class LensModel : int { pinhole = 0, fisheye = 1 };

// Field names as in gsrecon/ops/settings.py.
struct ProjectSettings {
    int width, height;
    LensModel model;
    bool antialiased;
    float near_plane, far_plane, radius_clip, eps2d;
    int sh_degree;  // -1: colours are not made from harmonics
};

// N Gaussians, C cameras, K objects. Null where optional and absent.
struct ProjectInputs {
    int64_t n, c, k;
    const float* means;            // [N, 3] in the object [m]
    const float* quats;            // [N, 4] wxyz
    const float* scales;           // [N, 3] [m]
    const float* opacities;        // [N]
    const float* sh0;              // [N, 3], optional
    const float* sh_rest;          // [N, sh_rest_count, 3], optional
    int64_t sh_rest_count;         // coefficients a row holds, of which the degree may use fewer
    const int32_t* object_index;   // [N], optional
    const float* cam_from_object;  // [C, K, 4, 4]
    const float* Ks;               // [C, 3, 3]
    const float* distortion;       // [C, 5] Kannala-Brandt k1..k4, tangent of the widest angle; optional
};

struct Projected {
    float* means2d;    // [C, N, 2] px
    int32_t* radii;    // [C, N, 2] px, 0 where culled
    float* depths;     // [C, N] m
    float* conics;     // [C, N, 3]
    float* opacities;  // [C, N]
    float* colors;     // [C, N, 3], null without harmonics
    uint8_t* seen;     // [C, N] what the backward pass asks, see below; null when not wanted
};

// A Gaussian that is in the picture has the first bit, and the others where red, green and blue were not clamped.
constexpr uint8_t kSeen = 1, kSeenRed = 2;  // green is twice red, blue twice green

struct ProjectedGradients {
    const float *means2d, *depths, *conics, *opacities, *colors;  // each may be null: zero
};

struct ProjectInputGradients {
    float *means, *quats, *scales, *opacities;  // [N, ...]
    float *sh0, *sh_rest;                       // null without harmonics
    float* cam_from_object;                     // [C, K, 4, 4], null when not wanted
};

// The picture's Gaussians on their way to the tiles. Once they have records, blending and its gradient read of these
// arrays only colours and depths, and those only where the records do not hold all channels.
struct CompositeInputs {
    int64_t n, c;
    int width, height;
    int channels;            // D, the depth not counted
    bool colors_per_camera;  // colors is [C, N, D], else [N, D]
    const float* means2d;    // [C, N, 2]
    const int32_t* radii;    // [C, N, 2]
    const float* depths;     // [C, N]
    const float* conics;     // [C, N, 3]
    const float* opacities;  // [C, N]
    const float* colors;     // [C, N, D]
    bool with_depth;         // channel D + 1 is the depth
};

// One visible Gaussian, ready to blend: log2(alpha) = log2_opacity + a dx^2 + b dx dy + c dy^2.
struct alignas(16) Record {
    float x, y;     // centre [px], pixel centres at integers
    float a, b, c;  // conic times -log2(e) / 2, -log2(e), -log2(e) / 2
    float log2_opacity;
    float channel[4];    // the first four channels
    int32_t gaussian;    // row in the inputs
    int32_t first_slot;  // its first entry in `slot_entries`
};
static_assert(sizeof(Record) == 48);

constexpr uint32_t kEntryIdBits = 28;  // an entry: record in the low bits, sub-tiles it blends into in the high four
constexpr uint32_t kEntryIdMask = (1u << kEntryIdBits) - 1;

// Tile lists: what the forward pass leaves for the backward pass.
struct TileLists {
    const Record* records;          // camera by camera, in the order of the Gaussians
    const int64_t* camera_records;  // [C + 1] first record of each camera
    const int64_t* tile_entries;    // [C * tiles + 1] first entry of each tile
    uint32_t* entries;              // [E], front to back in each tile
    const uint32_t* slot_entries;   // [E], Gaussian by Gaussian: where its entries stand in `entries`
};

// What blending gives for every pixel, or gradients of it, each of which may then be null: zero. Channels go to `image`
// until its rows are full, those left to `features`. The depths' weighted sum is the last channel, or, where there is
// `depth`, becomes the expected depth there.
template <class T> struct PictureArrays {
    int image_channels, feature_channels;
    T *image, *features;  // [C, H, W, image_channels] and [C, H, W, feature_channels]
    T* depth;             // [C, H, W] sum(w z) / alpha, 0 where alpha is below kDepthAlphaMin
    T* alpha;             // [C, H, W]
};
using Pictures = PictureArrays<float>;
using DrawnPictures = PictureArrays<const float>;  // for the backward pass

struct CompositeGradients {
    float *means2d, *conics, *opacities, *colors, *depths;  // as the inputs
    float* absgrad;                                         // [C, N, 2], null when not wanted
};

// A cube map seen by one camera behind a picture.
struct CubeMapInputs {
    int64_t pixels;
    int size;                     // of a face [texels]
    const float* texels;          // [6, size, size, 3]
    const float* directions;      // [pixels, 3] in the camera, of any length but zero
    const float* world_from_cam;  // [3, 3] rotation
    const float* alpha;           // [pixels]
    float least_light;            // 1 - alpha up to which nothing shows
};

// Pictures that are compared with true ones.
struct ComparedPictures {
    int64_t pictures;
    int height, width, channels;
    const float* image;          // [pictures, height, width, channels]
    const float* truth;          // the same; null: the truth is
    const uint8_t* truth_bytes;  // the same in steps of 1 / 255
    const bool* counts;          // [pictures, height, width] pixels that do; null: all of them
};

// The comparison is (constant + absolute * mean |image - truth| + similarity * mean SSIM) / share of pixels that count.
struct ComparisonWeights {
    float constant, absolute, similarity;  // SSIM is not looked at where its weight is 0
};

// What a comparison comes to: itself, the mean squared difference, and 1 / values that count.
struct PictureFigures {
    float comparison, squared, one_value;
};

// Depths [pixels] that are compared with measured ones [count].
struct ComparedDepths {
    int64_t pixels, count;
    const float* depth;     // where it is not above 0, nothing is drawn
    const int32_t* places;  // which pixels were measured, each at most once
    const float* measured;  // above 0
    float limit;            // on each error
};

// The mean error of what is drawn, and 1 / points where something is.
struct DepthFigures {
    float mean, one_point;
};

// A value that is linear between two rows of a table: (1 - share) before + share after.
struct BetweenRows {
    int64_t before, after;
    double share;
};

// Corrections of recorded poses: tangent vectors of a rig at its knots, in its axes, and of its cameras, in theirs.
template <class T> struct RigTables {
    int64_t knots, cameras;
    T *rig_translations, *rig_rotations;        // [knots, 3] m, rad
    T *camera_translations, *camera_rotations;  // [cameras, 3]
};
using RigCorrections = RigTables<const float>;
using RigCorrectionGradients = RigTables<float>;

// A camera of the rig when it took a picture; matrices 4 x 4, as recorded.
struct RigCamera {
    BetweenRows row, knots;  // its own row is one: before and after are the same
    double ego_from_cam[16], world_from_cam[16];
};

// A picture's exposure, log gain and bias (RGB each): its camera's own and, unless `alone`, that between two pictures.
struct ExposureInputs {
    int64_t pixels, cameras, pictures;
    const float* image;           // [pixels, 3]
    const float* camera_values;   // [cameras, 6]
    const float* picture_values;  // [pictures, 6]
    BetweenRows camera, picture;  // the camera's row is one: before and after are the same
    bool alone;
};
struct ExposureGradients {
    float* image;  // null when not wanted
    float *camera_values, *picture_values;
};

// The sum of weight * (mean square) over a few tables, none of them empty.
constexpr int kMostTables = 8;
struct MeanSquaresInputs {
    int count;
    const float* values[kMostTables];
    int64_t sizes[kMostTables];
    double weights[kMostTables];
};
struct MeanSquaresGradients {
    float* values[kMostTables];
};

// A tensor that is optimised, row by row.
struct AdamInputs {
    int64_t rows, width;
    const float* gradients;                          // [rows, width]
    float *values, *first_moments, *second_moments;  // [rows, width], updated in place
};

// Adam's settings of one step; see math/adam.h.
struct AdamSettings {
    float beta1, beta2, rate, second_moment_scale, epsilon;
    const float* schedule;  // [2] rate and second_moment_scale where the tensors are, in place of those; optional
};

// A tensor and the step it takes.
struct AdamTask {
    AdamInputs in;
    AdamSettings settings;
};

// One backward pass as C cameras saw N Gaussians. The arrays may be rows of larger ones: a camera's [N, 2] is dense,
// the next camera's begins a stride further on.
struct ScreenGradients {
    int64_t n, c;
    const float* gradients;  // [C, N, 2] absolute, of means2d [1 / px]
    const int32_t* radii;    // [C, N, 2] px, 0 where not in the picture
    int64_t gradients_stride, radii_stride;
    float half_width, half_height;  // of the pictures [px]
};

// What classic densification asks of the passes so far; updated in place.
struct ScreenStatistics {
    float *gradient_sum, *times_seen, *largest_radius;  // [N]
};

// A small fully connected network: ReLU behind all layers but the last.
struct PerceptronInputs {
    int64_t rows;
    int layers;               // at least 1
    const int* widths;        // [layers + 1]: of the inputs, then of each layer's results
    const float* inputs;      // [rows, widths[0]]
    const float* parameters;  // layer after layer: weights [results, inputs], then biases [results]
};

// The Gaussians of each object of one camera's picture, and the windows the objects are drawn in.
struct AloneInputs {
    int64_t objects;
    const float* means2d;           // [N, 2]
    const int32_t* radii;           // [N, 2]
    const float* conics;            // [N, 3]
    const float* opacities;         // [N]
    const int32_t* gaussians;       // visible rows, object by object
    const int64_t* first_gaussian;  // [objects + 1] in `gaussians`
    const int32_t* windows;         // [objects, 4] left, top, right, bottom [px]
    const int64_t* first_pixel;     // [objects + 1] in the result: windows one after the other, row by row
};

struct InspectOutputs {
    int32_t* ids;         // [C, H, W], null when not wanted
    float* median_depth;  // [C, H, W], null when not wanted
};

}  // namespace gsrecon
