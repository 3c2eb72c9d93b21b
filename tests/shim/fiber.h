// A fiber: a stack and the place where it goes on. Switching is ten instructions on x86-64 and a library call
// elsewhere.
#pragma once

#include <cstdint>
#include <memory>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace gsrecon_shim {

struct Fiber {
    static constexpr size_t kStack = 128 << 10;
    std::unique_ptr<char[]> stack;
#if defined(__x86_64__)
    void* stack_pointer = nullptr;
#else
    ucontext_t context;
#endif
    void start(void (*entry)(void*), void* argument);
};

void switch_fiber(Fiber& from, Fiber& to);

}  // namespace gsrecon_shim
