// Adam over the rows of many tensors that have a gradient. A picture sees a part of the scene; the rows it does not see
// are neither read (but for their gradient) nor written, and their moments wait.
#include <algorithm>

#include "cpu/kernels.h"
#include "cpu/simd.h"
#include "math/adam.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

namespace {

// What a thread takes at a time: so many rows, or fewer where they are long.
constexpr int64_t kMostRows = 256, kMostValues = 8192;

int64_t rows_at_a_time(const AdamInputs& in) {
    return std::clamp<int64_t>(kMostValues / std::max<int64_t>(in.width, 1), 1, kMostRows);
}

bool all_zero(const float* p, int64_t count) {
    vint any = {};
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) any |= (vint)(load(p + i) != broadcast(0.0f));
    bool found = false;
    for (int l = 0; l < kLanes; l++) found |= any[l] != 0;
    for (; i < count; i++) found |= p[i] != 0.0f;
    return !found;
}

// A run of values that all take the step; the last, partial vector goes through a buffer, so that every value meets the
// same arithmetic wherever runs begin and end.
void step_run(const AdamStep<vfloat>& step, const float* gradient, float* value, float* first, float* second,
              int64_t count) {
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        vfloat x = load(value + i), m = load(first + i), v = load(second + i);
        adam(step, load(gradient + i), x, m, v);
        store(value + i, x), store(first + i, m), store(second + i, v);
    }
    if (i == count) return;
    const size_t bytes = (size_t)(count - i) * sizeof(float);
    vfloat g = {}, x = {}, m = {}, v = {};
    memcpy(&g, gradient + i, bytes), memcpy(&x, value + i, bytes);
    memcpy(&m, first + i, bytes), memcpy(&v, second + i, bytes);
    adam(step, g, x, m, v);
    memcpy(value + i, &x, bytes), memcpy(first + i, &m, bytes), memcpy(second + i, &v, bytes);
}

// Rows from `row` to before `end`.
void step_rows(const AdamTask& task, int64_t row, int64_t end) {
    const auto& [in, settings] = task;
    const int64_t width = in.width;
    if (all_zero(in.gradients + row * width, (end - row) * width)) return;
    const float rate = settings.schedule ? settings.schedule[0] : settings.rate,
                scale = settings.schedule ? settings.schedule[1] : settings.second_moment_scale;
    const AdamStep<vfloat> step = {broadcast(settings.beta1), broadcast(settings.beta2), broadcast(rate),
                                   broadcast(scale), broadcast(settings.epsilon)};
    while (row < end) {
        while (row < end && all_zero(in.gradients + row * width, width)) row++;
        int64_t after = row;
        while (after < end && !all_zero(in.gradients + after * width, width)) after++;
        const int64_t at = row * width;
        step_run(step, in.gradients + at, in.values + at, in.first_moments + at, in.second_moments + at,
                 (after - row) * width);
        row = after;
    }
}

}  // namespace

void adam_rows(const std::vector<AdamTask>& tasks) {
    std::vector<int64_t> first_piece = {0};  // of each task; then how many there are
    for (const AdamTask& task : tasks) {
        const int64_t rows = rows_at_a_time(task.in);
        first_piece.push_back(first_piece.back() + (task.in.rows + rows - 1) / rows);
    }
#pragma omp parallel for schedule(dynamic, 4)
    for (int64_t piece = 0; piece < first_piece.back(); piece++) {
        const auto after = std::upper_bound(first_piece.begin(), first_piece.end(), piece);
        const AdamTask& task = tasks[(size_t)(after - first_piece.begin() - 1)];
        const int64_t rows = rows_at_a_time(task.in), row = (piece - after[-1]) * rows;
        step_rows(task, row, std::min(task.in.rows, row + rows));
    }
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
