// The operations of ops.h on a GPU. Pointers are the device's; everything runs on the stream that is passed and nothing
// waits for it. What a kernel needs beside its results, the caller allocates: `..._workspace` tells how many bytes.
#pragma once

#include "gpu/runtime.h"
#include "ops.h"

namespace gsrecon::gpu {

// An `object_index` out of range is not drawn.
void project(const ProjectInputs&, const ProjectSettings&, const Projected&, Stream);

size_t project_vjp_workspace(const ProjectInputs&, bool pose_gradient);
void project_vjp(const ProjectInputs&, const ProjectSettings&, const uint8_t* seen, const ProjectedGradients&,
                 const ProjectInputGradients&, void* workspace, size_t bytes, Stream);

// Tile lists in two calls. The first measures, and leaves how many records and entries there are in `totals` [2] on the
// device; the caller reads them, or takes upper bounds instead, allocates, and calls the second.
struct TileCounts {
    int32_t* record_index;  // [C, N] where a visible Gaussian's record goes
    int32_t* tiles;         // [C, N] tiles it reaches
    int64_t* totals;        // [2] records, entries
};
size_t count_tiles_workspace(const CompositeInputs&);
void count_tiles(const CompositeInputs&, const TileCounts&, void* workspace, size_t bytes, Stream);

// Room for `records` and `entries`. Where they are less than the totals, what does not fit is left out.
struct TileRoom {
    int64_t records, entries;
    bool exact;  // it is what the totals say
};
// As TileLists, to be written. The last two are for a backward pass whose result does not depend on chance, else null:
// where each entry's sums go, [E], and how many entries each record has, [records].
struct FilledTiles {
    Record* records;
    int64_t* camera_records;
    int64_t* tile_entries;
    uint32_t* entries;
    int32_t* entry_slots;
    int32_t* record_entries;
};
size_t fill_tiles_workspace(const CompositeInputs&, const TileRoom&, bool slots);
void fill_tiles(const CompositeInputs&, const TileCounts&, const TileRoom&, const FilledTiles&, void* workspace,
                size_t bytes, Stream);

void composite(const CompositeInputs&, const TileLists&, const Pictures&, Stream);

// Where each entry's sums go; without them, sums meet in atomic additions, in an order that changes from run to run.
struct TileSlots {
    int64_t records, entries;
    const int32_t* entry_slots;     // null: atomic additions
    const int32_t* record_entries;  // null likewise
};
size_t composite_vjp_workspace(const CompositeInputs&, const TileSlots&, bool absgrad);
void composite_vjp(const CompositeInputs&, const TileLists&, const TileSlots&, const DrawnPictures&,
                   const DrawnPictures& gradients, const CompositeGradients&, void* workspace, size_t bytes, Stream);

void inspect(const CompositeInputs&, const TileLists&, const int32_t* object_index, const InspectOutputs&, Stream);
void alone(const AloneInputs&, int64_t pixels, float* alpha, Stream);

// As the CPU's; figures and upstream gradients are on the device.
size_t compare_pictures_workspace(const ComparedPictures&);
void compare_pictures(const ComparedPictures&, const ComparisonWeights&, PictureFigures*, float* kept, void* workspace,
                      size_t bytes, Stream);
void compare_pictures_vjp(const ComparedPictures&, const ComparisonWeights&, const PictureFigures*, const float* kept,
                          const float* v_comparison, float* v_image, Stream);

// A place out of range is as one where nothing is drawn.
size_t compare_depths_workspace(const ComparedDepths&);
void compare_depths(const ComparedDepths&, DepthFigures*, void* workspace, size_t bytes, Stream);
void compare_depths_vjp(const ComparedDepths&, const DepthFigures*, const float* v_mean, float* v_depth, Stream);

void cube_map(const CubeMapInputs&, const float* image, float* out, Stream);
void cube_map_vjp(const CubeMapInputs&, const float* v_out, float* v_alpha, float* v_texels, Stream);

void exposure(const ExposureInputs&, float* out, Stream);
size_t exposure_vjp_workspace(const ExposureInputs&);
void exposure_vjp(const ExposureInputs&, const float* v_out, const ExposureGradients&, void* workspace, size_t bytes,
                  Stream);

void rig_camera(const RigCorrections&, const RigCamera&, float* viewmat, Stream);
void rig_camera_vjp(const RigCorrections&, const RigCamera&, const float* v_viewmat, const RigCorrectionGradients&,
                    Stream);

void se3_exps(int64_t count, const double* tangents, double* motions, Stream);
void se3_exps_vjp(int64_t count, const double* tangents, const double* v_motions, double* v_tangents, Stream);

// The sum, and its gradient, are on the device.
void mean_squares(const MeanSquaresInputs&, float* sum_of_means, Stream);
void mean_squares_vjp(const MeanSquaresInputs&, const float* v_sum, const MeanSquaresGradients&, Stream);

// One launch for up to 48 tensors.
void adam_rows(std::vector<AdamTask>, Stream);

void add_screen_statistics(const ScreenGradients&, const ScreenStatistics&, Stream);

// MCMC densification; see math/mcmc.h.
struct ExploreInputs {
    int64_t n;
    const float *quats, *log_scales, *logit_opacities;  // raw parameters
    const float* noise;                                 // [n, 3] normal numbers
    float strength, dead_opacity;
};
// Moves faint Gaussians' means [n, 3] in place.
void explore(const ExploreInputs&, float* means, Stream);
void relocate(int64_t count, const float* opacities, const int64_t* copies, float* new_opacities, float* scale_factors,
              Stream);

}  // namespace gsrecon::gpu
