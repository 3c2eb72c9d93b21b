#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include "gpu/sort.h"

namespace gsrecon::gpu {

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
    size_t bytes = 0;
    check(cub::DeviceScan::ExclusiveSum(nullptr, bytes, (const int32_t*)nullptr, (int32_t*)nullptr, (int)count),
          "prefix sum");
    return bytes;
}

void exclusive_sum(const int32_t* in, int32_t* out, int64_t count, void* workspace, size_t bytes, Stream stream) {
    if (count) check(cub::DeviceScan::ExclusiveSum(workspace, bytes, in, out, (int)count, stream), "prefix sum");
}

}  // namespace gsrecon::gpu
