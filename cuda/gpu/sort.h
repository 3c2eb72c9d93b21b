// Sorting and prefix sums. sort.cu alone knows CUB, so that everything else compiles without it.
#pragma once

#include "gpu/runtime.h"

namespace gsrecon::gpu {

size_t sort_workspace(int64_t count);

// Sorts (key, value) pairs by the lowest `bits` of their keys; equal keys keep their order. Both arrays have two
// buffers; the pairs are in the first, and afterwards in the one whose number is returned. Both are written.
int sort_pairs(uint32_t* const keys[2], uint32_t* const values[2], int64_t count, int bits, void* workspace,
               size_t bytes, Stream);

size_t exclusive_sum_workspace(int64_t count);

// out[i] = sum of in[j] over j < i; out may be in.
void exclusive_sum(const int32_t* in, int32_t* out, int64_t count, void* workspace, size_t bytes, Stream);

// out[i] = sum of in[order[j]] over j < i; the same workspace.
void exclusive_sum_in_order(const int32_t* in, const uint32_t* order, int32_t* out, int64_t count, void* workspace,
                            size_t bytes, Stream);

}  // namespace gsrecon::gpu
