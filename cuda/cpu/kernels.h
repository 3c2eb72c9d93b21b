// What every instruction set compiles (in its own namespace), and the table through which the chosen one is called.
#pragma once

#include "cpu/binning.h"
#include "math/real.h"
#include "ops.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

void project(const ProjectInputs&, const ProjectSettings&, const Projected&);
void project_vjp(const ProjectInputs&, const ProjectSettings&, const uint8_t* seen, const ProjectedGradients&,
                 const ProjectInputGradients&);

// Records of the visible Gaussians of one camera and the tile rows each reaches; `records` has room for all visible
// ones.
void make_records(const CompositeInputs&, int64_t camera, Binning&, Record* records);

// Blends every tile; drops from the entries' high bits the sub-tiles where nothing was blended.
void composite(const CompositeInputs&, const TileLists&, const Pictures&);
void composite_vjp(const CompositeInputs&, const TileLists&, const DrawnPictures&, const DrawnPictures& gradients,
                   const CompositeGradients&);
// Which object weighs most in each pixel, and where the transmittance passes one half.
void inspect(const CompositeInputs&, const TileLists&, const int32_t* object_index, const InspectOutputs&);

// Alpha of each object's Gaussians without anything else, inside its window.
void alone(const AloneInputs&, float* alpha);

// Pictures beside true ones. `kept` [3, values] is what the gradient wants to know of SSIM; null without either.
PictureFigures compare_pictures(const ComparedPictures&, const ComparisonWeights&, float* kept);
// The gradient of a comparison; `v_value` is its upstream gradient times the weight of one value.
void compare_pictures_vjp(const ComparedPictures&, const ComparisonWeights&, const float* kept, float v_value,
                          float* v_image);

// Depths beside measured ones; `v_point` is the mean's upstream gradient times the weight of one point.
DepthFigures compare_depths(const ComparedDepths&);
void compare_depths_vjp(const ComparedDepths&, float v_point, float* v_depth);

// The picture [pixels, 3] over a cube map, and the gradients of alpha and texels; the picture's own is that of `out`.
void cube_map(const CubeMapInputs&, const float* image, float* out);
void cube_map_vjp(const CubeMapInputs&, const float* v_out, float* v_alpha, float* v_texels);

// The picture as a camera exposed it, and the gradients of the picture and both tables.
void exposure(const ExposureInputs&, float* out);
void exposure_vjp(const ExposureInputs&, const float* v_out, const ExposureGradients&);

// cam_from_world [4, 4] of a corrected camera, and the gradients of the corrections.
void rig_camera(const RigCorrections&, const RigCamera&, float* viewmat);
void rig_camera_vjp(const RigCorrections&, const RigCamera&, const float* v_viewmat, const RigCorrectionGradients&);

// Rigid motions [count, 4, 4] of tangent vectors [count, 6], and their gradient.
void se3_exps(int64_t count, const double* tangents, double* motions);
void se3_exps_vjp(int64_t count, const double* tangents, const double* v_motions, double* v_tangents);

double mean_squares(const MeanSquaresInputs&);
void mean_squares_vjp(const MeanSquaresInputs&, float v_sum, const MeanSquaresGradients&);

// Adam on every row of every tensor whose gradient is not zero; all others stay as they are, moments too.
void adam_rows(const std::vector<AdamTask>&);

// Adds what a backward pass told to the statistics of densification; see math/screen_statistics.h.
void add_screen_statistics(const ScreenGradients&, const ScreenStatistics&);

// A network's results [rows, last width], and the gradients of its parameters and, unless null, of its inputs.
void perceptron(const PerceptronInputs&, float* outputs);
void perceptron_vjp(const PerceptronInputs&, const float* v_outputs, float* v_parameters, float* v_inputs);

}  // namespace GSRECON_ISA

struct Kernels {
    const char* name;
    decltype(&gsrecon::project) project;
    decltype(&gsrecon::project_vjp) project_vjp;
    decltype(&gsrecon::make_records) make_records;
    decltype(&gsrecon::composite) composite;
    decltype(&gsrecon::composite_vjp) composite_vjp;
    decltype(&gsrecon::inspect) inspect;
    decltype(&gsrecon::alone) alone;
    decltype(&gsrecon::compare_pictures) compare_pictures;
    decltype(&gsrecon::compare_pictures_vjp) compare_pictures_vjp;
    decltype(&gsrecon::compare_depths) compare_depths;
    decltype(&gsrecon::compare_depths_vjp) compare_depths_vjp;
    decltype(&gsrecon::cube_map) cube_map;
    decltype(&gsrecon::cube_map_vjp) cube_map_vjp;
    decltype(&gsrecon::exposure) exposure;
    decltype(&gsrecon::exposure_vjp) exposure_vjp;
    decltype(&gsrecon::rig_camera) rig_camera;
    decltype(&gsrecon::rig_camera_vjp) rig_camera_vjp;
    decltype(&gsrecon::se3_exps) se3_exps;
    decltype(&gsrecon::se3_exps_vjp) se3_exps_vjp;
    decltype(&gsrecon::mean_squares) mean_squares;
    decltype(&gsrecon::mean_squares_vjp) mean_squares_vjp;
    decltype(&gsrecon::adam_rows) adam_rows;
    decltype(&gsrecon::add_screen_statistics) add_screen_statistics;
    decltype(&gsrecon::perceptron) perceptron;
    decltype(&gsrecon::perceptron_vjp) perceptron_vjp;
};

// The fastest set this processor has, or the one the environment variable GSRECON_CPU_ISA names.
const Kernels& kernels();

}  // namespace gsrecon
