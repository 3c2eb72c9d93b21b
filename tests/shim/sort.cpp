// gpu/sort.h without CUB.
#include "gpu/sort.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace gsrecon::gpu {

size_t sort_workspace(int64_t) { return 0; }

int sort_pairs(uint32_t* const keys[2], uint32_t* const values[2], int64_t count, int bits, void*, size_t, Stream) {
    const uint32_t mask = bits >= 32 ? ~0u : (1u << bits) - 1;
    std::vector<int64_t> order((size_t)count);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return (keys[0][a] & mask) < (keys[0][b] & mask); });
    for (int64_t i = 0; i < count; i++) {
        keys[1][i] = keys[0][order[(size_t)i]];
        values[1][i] = values[0][order[(size_t)i]];
    }
    return 1;
}

size_t exclusive_sum_workspace(int64_t) { return 0; }

void exclusive_sum(const int32_t* in, int32_t* out, int64_t count, void*, size_t, Stream) {
    std::exclusive_scan(in, in + count, out, 0);
}

void exclusive_sum_in_order(const int32_t* in, const uint32_t* order, int32_t* out, int64_t count, void*, size_t,
                            Stream) {
    std::transform_exclusive_scan(order, order + count, out, 0, std::plus<>(), [in](uint32_t i) { return in[i]; });
}

}  // namespace gsrecon::gpu
