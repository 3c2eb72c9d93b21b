// Memory that is kept between frames: page faults on fresh memory cost more than the work done in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace gsrecon {

// Asks the kernel for huge pages behind a large array that is about to be written for the first time.
void prefer_huge_pages(void* data, size_t bytes);

// Uninitialised storage that only grows.
class RawBuffer {
  public:
    RawBuffer() = default;
    RawBuffer(const RawBuffer&) = delete;
    RawBuffer& operator=(const RawBuffer&) = delete;
    ~RawBuffer();
    // Room for `bytes`; keeps the first `keep` bytes of what was there.
    void* reserve(size_t bytes, size_t keep = 0);
    void* data() const { return data_; }

  private:
    void* data_ = nullptr;
    size_t capacity_ = 0;
};

template <class T> class Buffer {
  public:
    T* reserve(size_t count, size_t keep = 0) {
        return static_cast<T*>(raw_.reserve(count * sizeof(T), keep * sizeof(T)));
    }
    T* data() const { return static_cast<T*>(raw_.data()); }
    T& operator[](size_t i) const { return data()[i]; }

  private:
    RawBuffer raw_;
};

// Lends memory for large results and takes it back for the next frame's.
class MemoryPool {
  public:
    static MemoryPool& global();
    void* take(size_t bytes, size_t& capacity);
    void give(void* data, size_t capacity);
    ~MemoryPool();

  private:
    struct Block {
        void* data;
        size_t capacity;
    };
    static constexpr size_t kKept = 16;  // blocks that may lie idle: one backward pass gives back about ten
    std::mutex mutex_;
    std::vector<Block> free_;
};

}  // namespace gsrecon
