#include "cpu/buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace gsrecon {

void prefer_huge_pages(void* data, size_t bytes) {
#if defined(__linux__)
    constexpr uintptr_t page = 2u << 20;
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + page - 1) & ~(page - 1);
    const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes) & ~(page - 1);
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // advice: may be refused
#else
    (void)data, (void)bytes;
#endif
}

RawBuffer::~RawBuffer() { std::free(data_); }

void* RawBuffer::reserve(size_t bytes, size_t keep) {
    if (bytes <= capacity_) return data_;
    const size_t capacity = (std::max(bytes, capacity_ + capacity_ / 2) + 4095) & ~size_t{4095};
    void* fresh = std::aligned_alloc(4096, capacity);
    if (!fresh) throw std::bad_alloc();
    prefer_huge_pages(fresh, capacity);
    if (keep) std::memcpy(fresh, data_, keep);
    std::free(data_);
    data_ = fresh;
    capacity_ = capacity;
    return data_;
}

}  // namespace gsrecon
