// Runs the threads of a block as operating system threads or as fibers. See cuda_runtime.h.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cuda_runtime.h"
#include "fiber.h"

#if defined(__has_feature)  // Clang's way to tell
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
extern "C" {
void AnnotateIgnoreSyncBegin(const char*, int);
void AnnotateIgnoreSyncEnd(const char*, int);
void AnnotateIgnoreReadsBegin(const char*, int);
void AnnotateIgnoreReadsEnd(const char*, int);
void AnnotateIgnoreWritesBegin(const char*, int);
void AnnotateIgnoreWritesEnd(const char*, int);
}
#endif

extern "C" char gsrecon_shared_begin[], gsrecon_shared_end[];  // shared.ld

namespace gsrecon_shim {
namespace {

constexpr int kWarp = 32;

// Within its life ThreadSanitizer does not take waiting for each other for an order of what threads read and write:
// on a GPU votes and shuffles give none, only barriers and __syncwarp do.
struct NoOrder {
#if defined(__SANITIZE_THREAD__)
    NoOrder() {
        AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
        AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    }
    ~NoOrder() {
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
        AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
        AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
    }
#else
    NoOrder() {}  // not trivial: an unused variable would be warned of
#endif
};

// Where threads wait for each other. Values lie in two rows that take turns: nobody can write a row again before all
// have met once more, and so have read it.
struct Meeting {
    std::mutex mutex;  // its own: that one warp has met orders nothing for the others
    std::condition_variable changed;
    int arrived = 0;
    int line = 0;  // of the operation that they meet at
    unsigned generation = 0;
    uint32_t values[2][kWarp] = {};
    int count[2] = {};
};

struct Block;

struct Runner {
    Thread thread;
    Block* block = nullptr;
    const Meeting* waits_at = nullptr;  // fibers only
    unsigned waits_since = 0;
    bool done = false;
    Fiber fiber;
};

struct Block {
    std::vector<Runner> runners;
    Meeting all;
    std::vector<Meeting> warps;
    int alive = 0;
    const std::function<void()>* kernel = nullptr;
    bool fibers = true;
    bool forwards = true;  // the order in which fibers take turns
    Fiber caller;
};

thread_local Runner* running = nullptr;
bool engine_is_fibers = true;

[[noreturn]] void stuck() {
    std::fputs("shim: threads of a block wait for others that never come (a barrier or warp operation in a branch?)\n",
               stderr);
    std::abort();
}

[[noreturn]] void apart(int line, int other) {
    std::fprintf(stderr, "shim: threads meet at different operations, in lines %d and %d\n", line, other);
    std::abort();
}

bool can_go(const Runner& r) { return !r.done && (!r.waits_at || r.waits_at->generation != r.waits_since); }

// Switches to the next fiber that can go on, or back to the caller when all are done.
void next_fiber(Runner& from) {
    Block& b = *from.block;
    const int n = (int)b.runners.size(), here = (int)(&from - b.runners.data());
    for (int i = 1; i <= n; i++) {
        Runner& to = b.runners[(size_t)((here + (b.forwards ? i : n - i)) % n)];
        if (!can_go(to)) continue;
        if (&to == &from) return;
        running = &to;
        switch_fiber(from.fiber, to.fiber);
        return;
    }
    if (b.alive > 0) stuck();
    switch_fiber(from.fiber, b.caller);
}

// Calls `give` as one arrives and `take` once all lanes (0: all threads of the block) have; both see the row of this
// round. All have to come from the same line.
template <class Give, class Take> auto meet(Meeting& meeting, int lanes, int line, Give give, Take take) {
    Runner& me = *running;
    Block& b = *me.block;
    std::unique_lock lock(meeting.mutex, std::defer_lock);
    if (!b.fibers) lock.lock();
    const unsigned generation = meeting.generation;
    const int row = (int)(generation & 1);
    if (meeting.arrived == 0) meeting.count[row] = 0, meeting.line = line;
    if (meeting.line != line) apart(meeting.line, line);
    give(row);
    if (++meeting.arrived >= (lanes ? lanes : b.alive)) {
        meeting.arrived = 0;
        meeting.generation++;
        if (!b.fibers) meeting.changed.notify_all();
    } else if (b.fibers) {
        me.waits_at = &meeting;
        me.waits_since = generation;
        next_fiber(me);
        me.waits_at = nullptr;
    } else if (!meeting.changed.wait_for(lock, std::chrono::seconds(60),
                                         [&] { return meeting.generation != generation; })) {
        stuck();
    }
    return take(row);
}

Meeting& own_warp() { return running->block->warps[running->thread.thread / kWarp]; }
int own_lane() { return (int)(running->thread.thread % kWarp); }

// A thread that ends no longer counts at the block's barrier.
void leave(Runner& r) {
    Block& b = *r.block;
    std::unique_lock lock(b.all.mutex, std::defer_lock);
    if (!b.fibers) lock.lock();
    r.done = true;
    b.alive--;
    if (b.alive > 0 && b.all.arrived >= b.alive) {
        b.all.arrived = 0;
        b.all.generation++;
        if (!b.fibers) b.all.changed.notify_all();
    }
}

void fiber_main(void* argument) {
    Runner& r = *static_cast<Runner*>(argument);
    (*r.block->kernel)();
    leave(r);
    next_fiber(r);
}

void prepare(Block& b, int64_t block, int64_t blocks, int threads) {
    b.all.arrived = 0;
    for (Meeting& warp : b.warps) warp.arrived = 0;
    b.alive = threads;
    for (int i = 0; i < threads; i++) {
        Runner& r = b.runners[(size_t)i];
        r.thread = {(unsigned)i, (unsigned)block, (unsigned)threads, (unsigned)blocks};
        r.block = &b;
        r.waits_at = nullptr;
        r.done = false;
    }
}

void run_fibers(Block& b, int64_t blocks, int threads) {
    for (int64_t block = 0; block < blocks; block++) {
        prepare(b, block, blocks, threads);
        for (Runner& r : b.runners) r.fiber.start(fiber_main, &r);
        b.forwards = block % 2 == 0;
        running = b.forwards ? &b.runners.front() : &b.runners.back();
        switch_fiber(b.caller, running->fiber);
    }
    running = nullptr;
}

// Where the crew meets between blocks, so that memory shared by one is not yet written by the next.
class Gate {
  public:
    explicit Gate(int expected) : expected_(expected) {}
    // The last to come does `work` before all go on.
    template <class Work> void pass(Work work) {
        std::unique_lock lock(mutex_);
        const unsigned generation = generation_;
        if (++arrived_ < expected_) return changed_.wait(lock, [&] { return generation_ != generation; });
        work();
        arrived_ = 0;
        generation_++;
        changed_.notify_all();
    }

  private:
    const int expected_;
    int arrived_ = 0;
    unsigned generation_ = 0;
    std::mutex mutex_;
    std::condition_variable changed_;
};

void run_threads(Block& b, int64_t blocks, int threads) {
    Gate gate(threads);
    std::vector<std::thread> crew;
    for (int i = 0; i < threads; i++)
        crew.emplace_back([&, i] {
            running = &b.runners[(size_t)i];
            for (int64_t block = 0; block < blocks; block++) {
                gate.pass([&] { prepare(b, block, blocks, threads); });
                (*b.kernel)();
                leave(*running);
            }
        });
    for (std::thread& t : crew) t.join();
}

}  // namespace

const Thread& self() { return running->thread; }

void wait_for_block(int line) {
    meet(running->block->all, 0, line, [](int) {}, [](int) {});
}

int count_in_block(bool value, int line) {
    Meeting& m = running->block->all;
    return meet(m, 0, line, [&](int row) { m.count[row] += value; }, [&](int row) { return m.count[row]; });
}

void wait_for_warp(unsigned mask, int line) {
    meet(own_warp(), __builtin_popcount(mask), line, [](int) {}, [](int) {});
}

unsigned votes(unsigned mask, bool value, int line) {
    const NoOrder no_order;
    Meeting& m = own_warp();
    const int lane = own_lane();
    return meet(
        m, __builtin_popcount(mask), line, [&](int row) { m.values[row][lane] = value; },
        [&](int row) {
            unsigned bits = 0;
            for (int i = 0; i < kWarp; i++)
                if (mask >> i & 1) bits |= (unsigned)m.values[row][i] << i;
            return bits;
        });
}

uint32_t value_of_lane(unsigned mask, uint32_t value, int lane, int line) {
    const NoOrder no_order;
    Meeting& m = own_warp();
    const int own = own_lane();
    return meet(
        m, __builtin_popcount(mask), line, [&](int row) { m.values[row][own] = value; },
        [&](int row) { return m.values[row][lane]; });
}

// What a kernel finds in shared memory is nothing of its own: floats are NaN. Sanitizers keep places free between
// variables, which are filled, too.
__attribute__((no_sanitize("address", "thread"))) void fill_shared_memory() {
    for (volatile char* at = gsrecon_shared_begin; at < gsrecon_shared_end; at = at + 1) *at = (char)0xff;
}

void run(int64_t blocks, int threads, const std::function<void()>& kernel) {
    fill_shared_memory();
    static std::unique_ptr<Block> fibers_block;  // its stacks are used again
    std::unique_ptr<Block> own;
    std::unique_ptr<Block>& block = engine_is_fibers ? fibers_block : own;
    if (!block || (int)block->runners.size() != threads) {
        block = std::make_unique<Block>();
        block->runners = std::vector<Runner>((size_t)threads);
        block->warps = std::vector<Meeting>((size_t)((threads + kWarp - 1) / kWarp));
    }
    block->kernel = &kernel;
    block->fibers = engine_is_fibers;
    engine_is_fibers ? run_fibers(*block, blocks, threads) : run_threads(*block, blocks, threads);
}

void use_engine(const char* name) {
    if (std::string(name) != "threads" && std::string(name) != "fibers")
        throw std::invalid_argument("engine: expected 'threads' or 'fibers'");
    engine_is_fibers = std::string(name) == "fibers";
}

}  // namespace gsrecon_shim
