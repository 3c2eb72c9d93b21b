#include "fiber.h"

namespace gsrecon_shim {

#if defined(__x86_64__)

extern "C" {
// Saves what a callee must keep on the own stack, exchanges the stacks, restores. rdi: where to leave the own stack
// pointer, rsi: the other's.
void gsrecon_shim_switch(void** own, void* other);
void gsrecon_shim_enter();
}
asm(R"(
.text
.globl gsrecon_shim_switch
.hidden gsrecon_shim_switch
gsrecon_shim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.globl gsrecon_shim_enter
.hidden gsrecon_shim_enter
gsrecon_shim_enter:
    movq %r12, %rdi
    call *%r13
    ud2
)");

void Fiber::start(void (*entry)(void*), void* argument) {
    if (!stack) stack = std::make_unique_for_overwrite<char[]>(kStack);
    const uintptr_t top = reinterpret_cast<uintptr_t>(stack.get() + kStack) & ~uintptr_t{15};
    void** frame = reinterpret_cast<void**>(top) - 7;  // after `ret` the stack is aligned for a call
    frame[0] = frame[1] = nullptr;                     // r15, r14
    frame[2] = reinterpret_cast<void*>(entry);         // r13
    frame[3] = argument;                               // r12
    frame[4] = frame[5] = nullptr;                     // rbx, rbp
    frame[6] = reinterpret_cast<void*>(gsrecon_shim_enter);
    stack_pointer = frame;
}

void switch_fiber(Fiber& from, Fiber& to) { gsrecon_shim_switch(&from.stack_pointer, to.stack_pointer); }

#else

namespace {
void enter(unsigned high, unsigned low, unsigned argument_high, unsigned argument_low) {
    const auto join = [](unsigned h, unsigned l) { return (uintptr_t)h << 32 | l; };
    reinterpret_cast<void (*)(void*)>(join(high, low))(reinterpret_cast<void*>(join(argument_high, argument_low)));
}
}  // namespace

void Fiber::start(void (*entry)(void*), void* argument) {
    if (!stack) stack = std::make_unique_for_overwrite<char[]>(kStack);
    getcontext(&context);
    context.uc_stack = {.ss_sp = stack.get(), .ss_flags = 0, .ss_size = kStack};
    context.uc_link = nullptr;
    const auto e = (uint64_t)reinterpret_cast<uintptr_t>(entry), a = (uint64_t)reinterpret_cast<uintptr_t>(argument);
    makecontext(&context, reinterpret_cast<void (*)()>(enter), 4, (unsigned)(e >> 32), (unsigned)e, (unsigned)(a >> 32),
                (unsigned)a);
}

void switch_fiber(Fiber& from, Fiber& to) { swapcontext(&from.context, &to.context); }

#endif

}  // namespace gsrecon_shim
