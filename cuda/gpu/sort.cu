#include <thrust/iterator/permutation_iterator.h>

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include "gpu/sort.h"

namespace gsrecon::gpu {
namespace {

auto in_order(const int32_t* in, const uint32_t* order) { return thrust::make_permutation_iterator(in, order); }

}  // namespace

size_t sort_workspace(int64_t count) {
    size_t bytes = 0;
    cub::DoubleBuffer<uint32_t> keys, values;
    check(cub::DeviceRadixSort::SortPairs(nullptr, bytes, keys, values, (int)count), "sort");
    return bytes;
}

int sort_pairs(uint32_t* const keys[2], uint32_t* const values[2], int64_t count, int bits, void* workspace,
               size_t bytes, Stream stream) {
    cub::DoubleBuffer<uint32_t> key_buffers(keys[0], keys[1]), value_buffers(values[0], values[1]);
    if (count)
        check(
            cub::DeviceRadixSort::SortPairs(workspace, bytes, key_buffers, value_buffers, (int)count, 0, bits, stream),
            "sort");
    return key_buffers.selector;
}

size_t exclusive_sum_workspace(int64_t count) {
    size_t plain = 0, ordered = 0;
    int32_t* out = nullptr;
    check(cub::DeviceScan::ExclusiveSum(nullptr, plain, (const int32_t*)nullptr, out, (int)count), "prefix sum");
    check(cub::DeviceScan::ExclusiveSum(nullptr, ordered, in_order(nullptr, nullptr), out, (int)count), "prefix sum");
    return plain > ordered ? plain : ordered;
}

void exclusive_sum(const int32_t* in, int32_t* out, int64_t count, void* workspace, size_t bytes, Stream stream) {
    if (count) check(cub::DeviceScan::ExclusiveSum(workspace, bytes, in, out, (int)count, stream), "prefix sum");
}

void exclusive_sum_in_order(const int32_t* in, const uint32_t* order, int32_t* out, int64_t count, void* workspace,
                            size_t bytes, Stream stream) {
    if (count)
        check(cub::DeviceScan::ExclusiveSum(workspace, bytes, in_order(in, order), out, (int)count, stream),
              "prefix sum");
}

}  // namespace gsrecon::gpu
