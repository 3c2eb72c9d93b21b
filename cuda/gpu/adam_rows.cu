// Adam over the rows of many tensors that have a gradient, in one launch: tensors and steps are a table among the
// kernel's parameters, in which a block looks up what it works on. A warp takes 32 rows: it reads their gradients once,
// side by side, to see which rows have any, and reads and writes the rest of those rows alone. Long rows (a sky's
// faces) are cut into pieces, a block each.
#include <algorithm>

#include "gpu/kernels.h"
#include "gpu/thread.h"
#include "math/adam.h"

namespace gsrecon::gpu {
namespace {

constexpr int kThreads = 256;
constexpr int kAtOnce = 4;                               // values of a thread whose loads are under way together
constexpr int64_t kLongRow = 256;                        // longer ones are cut
constexpr int64_t kMostPieces = 16, kLeastPiece = 1024;  // of a long row; values

// Kernels take 4 KiB of parameters on every generation.
struct Table {
    static constexpr int kRoom = 48;
    int count;
    int32_t first_block[kRoom];  // of each task
    AdamTask tasks[kRoom];
};
static_assert(sizeof(Table) <= 4096);

GSRECON_HD bool is_long(const AdamInputs& in) { return in.width > kLongRow; }
GSRECON_HD int64_t piece_width(int64_t width) { return maximum(kLeastPiece, (width + kMostPieces - 1) / kMostPieces); }
GSRECON_HD int64_t pieces_of(int64_t width) { return (width + piece_width(width) - 1) / piece_width(width); }

__device__ __forceinline__ AdamStep<float> step_of(const AdamSettings& s) {
    return {s.beta1, s.beta2, s.schedule ? s.schedule[0] : s.rate, s.schedule ? s.schedule[1] : s.second_moment_scale,
            s.epsilon};
}

// Steps every stride-th value from `begin` up to `end` of which `chosen` says so; it is asked once for each, in turn.
template <class Chosen>
__device__ __forceinline__ void step_values(const AdamInputs& in, const AdamStep<float>& step, int64_t begin,
                                            int64_t end, int stride, Chosen chosen) {
    for (int64_t at = begin; at < end; at += kAtOnce * stride) {
        float gradients[kAtOnce], values[kAtOnce], first[kAtOnce], second[kAtOnce];
        bool taken[kAtOnce];
#pragma unroll
        for (int k = 0; k < kAtOnce; k++) {
            const int64_t i = at + k * stride;
            taken[k] = i < end && chosen();
            if (!taken[k]) continue;
            gradients[k] = in.gradients[i], values[k] = in.values[i];
            first[k] = in.first_moments[i], second[k] = in.second_moments[i];
        }
#pragma unroll
        for (int k = 0; k < kAtOnce; k++) {
            if (!taken[k]) continue;
            const int64_t i = at + k * stride;
            adam(step, gradients[k], values[k], first[k], second[k]);
            in.values[i] = values[k], in.first_moments[i] = first[k], in.second_moments[i] = second[k];
        }
    }
}

// The row, among a warp's 32, of what a lane looks at: values lane, lane + 32 and so on.
class RowOfLane {
  public:
    __device__ __forceinline__ explicit RowOfLane(int width)
        : width_(width),
          row_(lane_index() / width),
          column_(lane_index() % width),
          rows_(kWarp / width),
          columns_(kWarp % width) {}
    __device__ __forceinline__ int next() {
        const int here = row_;
        row_ += rows_, column_ += columns_;
        if (column_ >= width_) row_++, column_ -= width_;
        return here;
    }

  private:
    int width_, row_, column_;
    int rows_, columns_;  // from one value to the next
};

__device__ __forceinline__ void step_rows(const AdamTask& task, int64_t block) {
    const AdamInputs& in = task.in;
    const int64_t first_row = block * kThreads + (int)threadIdx.x / kWarp * kWarp;
    if (first_row >= in.rows) return;
    const int lane = lane_index(), width = (int)in.width;
    const int64_t begin = first_row * in.width, end = minimum(first_row + kWarp, in.rows) * in.width;
    unsigned seen = 0;
    RowOfLane looked_at(width);
    for (int64_t i = begin + lane; i < end; i += kWarp) {
        const int row = looked_at.next();
        if (in.gradients[i] != 0.0f) seen |= 1u << row;
    }
    for (int distance = kWarp / 2; distance > 0; distance /= 2) seen |= __shfl_xor_sync(kAllLanes, seen, distance);
    if (!seen) return;
    RowOfLane stepped(width);
    step_values(in, step_of(task.settings), begin + lane, end, kWarp, [&] { return seen >> stepped.next() & 1; });
}

// Values of a piece of a long row.
struct Span {
    int64_t begin, end;
    __device__ Span(const AdamInputs& in, int64_t row, int64_t piece) {
        const int64_t width = piece_width(in.width);
        begin = row * in.width + piece * width;
        end = row * in.width + minimum((piece + 1) * width, in.width);
    }
};

// Asked by all threads of a block.
__device__ __forceinline__ bool has_gradient(const AdamInputs& in, Span span) {
    bool any = false;
    for (int64_t i = span.begin + threadIdx.x; i < span.end; i += kThreads) any |= in.gradients[i] != 0.0f;
    return __syncthreads_or(any);
}

// Most pieces of a row that is seen have a gradient of their own; one that has none looks for another that has.
__device__ __forceinline__ void step_piece(const AdamTask& task, int64_t block) {
    const AdamInputs& in = task.in;
    const int64_t pieces = pieces_of(in.width), row = block / pieces, own = block % pieces;
    int64_t away = 0;
    while (away < pieces && !has_gradient(in, Span(in, row, (own + away) % pieces))) away++;
    if (away == pieces) return;
    const Span span(in, row, own);
    step_values(in, step_of(task.settings), span.begin + threadIdx.x, span.end, kThreads, [] { return true; });
}

__global__ void __launch_bounds__(kThreads) adam_kernel(const __grid_constant__ Table table) {
    const int block = (int)blockIdx.x;
    int slot = 0, last = table.count - 1;  // the last task that begins at or before this block is among these
    while (slot < last) {
        const int middle = (slot + last + 1) / 2;
        if (table.first_block[middle] <= block)
            slot = middle;
        else
            last = middle - 1;
    }
    const AdamTask& task = table.tasks[slot];
    if (is_long(task.in))
        step_piece(task, block - table.first_block[slot]);
    else
        step_rows(task, block - table.first_block[slot]);
}

int64_t blocks_of(const AdamInputs& in) {
    if (in.width == 0) return 0;
    return is_long(in) ? in.rows * pieces_of(in.width) : blocks_for(in.rows, kThreads);
}

}  // namespace

void adam_rows(std::vector<AdamTask> tasks, Stream stream) {
    // A block with a piece of a long row may take longest: it begins first.
    std::stable_partition(tasks.begin(), tasks.end(), [](const AdamTask& task) { return is_long(task.in); });
    for (size_t first = 0; first < tasks.size(); first += Table::kRoom) {
        Table table = {};
        int64_t blocks = 0;
        for (size_t i = first; i < tasks.size() && table.count < Table::kRoom; i++) {
            table.first_block[table.count] = (int32_t)blocks;
            table.tasks[table.count++] = tasks[i];
            blocks += blocks_of(tasks[i].in);
        }
        launch("adam_rows", adam_kernel, blocks, kThreads, stream, table);
    }
}

}  // namespace gsrecon::gpu
