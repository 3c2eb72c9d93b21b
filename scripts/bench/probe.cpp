// What a core of this machine can do at most: multiply-adds of the widest vectors, and reading memory.
// Prints "lanes, 1e9 vector multiply-adds per second, GB/s read".
#include <chrono>
#include <cstdio>
#include <vector>

#ifdef __AVX512F__
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif
typedef float Vector __attribute__((vector_size(4 * kLanes)));

static double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static double multiply_adds_per_second() {
    constexpr int kChains = 12;  // more than latency times ports
    constexpr long kRounds = 8000000;
    Vector a[kChains];
    for (int i = 0; i < kChains; i++) a[i] = Vector{} + i * 1e-3f;
    const Vector m = Vector{} + 0.999f, c = Vector{} + 1e-4f;
    const double start = now();
    for (long r = 0; r < kRounds; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < kChains; i++) a[i] = a[i] * m + c;
    }
    const double seconds = now() - start;
    Vector sum{};
    for (int i = 0; i < kChains; i++) sum += a[i];
    volatile float kept = sum[0];
    (void)kept;
    return kRounds * kChains / seconds;
}

static double bytes_read_per_second() {
    std::vector<float> values(48 << 20, 1.0f);
    const double start = now();
    Vector sums[4] = {};
    for (size_t i = 0; i + 4 * kLanes <= values.size(); i += 4 * kLanes)
        for (int j = 0; j < 4; j++) {
            Vector v;
            __builtin_memcpy(&v, &values[i + j * kLanes], sizeof v);
            sums[j] += v;
        }
    const double seconds = now() - start;
    volatile float kept = sums[0][0] + sums[1][0] + sums[2][0] + sums[3][0];
    (void)kept;
    return values.size() * sizeof(float) / seconds;
}

int main() {
    double rate = 0, bytes = 0;
    for (int i = 0; i < 5; i++) {
        const double r = multiply_adds_per_second(), b = bytes_read_per_second();
        if (r > rate) rate = r;
        if (b > bytes) bytes = b;
    }
    std::printf("%d %.3f %.2f\n", kLanes, rate / 1e9, bytes / 1e9);
}
