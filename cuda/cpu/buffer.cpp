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

namespace {

void* fresh_memory(size_t bytes) {
    void* data = std::aligned_alloc(4096, bytes);
    if (!data) throw std::bad_alloc();
    prefer_huge_pages(data, bytes);
    return data;
}

size_t whole_pages(size_t bytes) { return (std::max<size_t>(bytes, 1) + 4095) & ~size_t{4095}; }

}  // namespace

RawBuffer::~RawBuffer() { std::free(data_); }

void* RawBuffer::reserve(size_t bytes, size_t keep) {
    if (bytes <= capacity_) return data_;
    const size_t capacity = whole_pages(std::max(bytes, capacity_ + capacity_ / 2));
    void* fresh = fresh_memory(capacity);
    if (keep) std::memcpy(fresh, data_, keep);
    std::free(data_);
    data_ = fresh;
    capacity_ = capacity;
    return data_;
}

MemoryPool& MemoryPool::global() {
    static MemoryPool* pool = new MemoryPool;  // outlives every tensor that gives its memory back
    return *pool;
}

// The smallest idle block that fits and is at most half empty, else fresh memory.
void* MemoryPool::take(size_t bytes, size_t& capacity) {
    {
        const std::lock_guard lock(mutex_);
        auto best = free_.end();
        for (auto b = free_.begin(); b != free_.end(); ++b)
            if (b->capacity >= bytes && b->capacity <= 2 * bytes &&
                (best == free_.end() || b->capacity < best->capacity))
                best = b;
        if (best != free_.end()) {
            const Block block = *best;
            free_.erase(best);
            capacity = block.capacity;
            return block.data;
        }
    }
    capacity = whole_pages(bytes);
    return fresh_memory(capacity);
}

void MemoryPool::give(void* data, size_t capacity) {
    const std::lock_guard lock(mutex_);
    free_.push_back({data, capacity});
    if (free_.size() <= kKept) return;
    std::free(free_.front().data);
    free_.erase(free_.begin());
}

MemoryPool::~MemoryPool() {
    for (const Block& block : free_) std::free(block.data);
}

}  // namespace gsrecon
