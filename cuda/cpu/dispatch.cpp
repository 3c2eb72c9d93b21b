// Chooses the instruction set once, when the first kernel is asked for.
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "cpu/kernels.h"

namespace gsrecon {

inline namespace baseline {
extern const Kernels kernel_table;
}
#if defined(GSRECON_X86)
namespace avx2 {
extern const Kernels kernel_table;
}
namespace avx512 {
extern const Kernels kernel_table;
}
#endif

namespace {

std::vector<const Kernels*> usable() {
    std::vector<const Kernels*> tables;
#if defined(GSRECON_X86)
    __builtin_cpu_init();
    const bool avx2_here = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2_here && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        tables.push_back(&avx512::kernel_table);
    if (avx2_here) tables.push_back(&avx2::kernel_table);
#endif
    tables.push_back(&baseline::kernel_table);
    return tables;
}

const Kernels& choose() {
    const std::vector<const Kernels*> tables = usable();
    const char* wanted = std::getenv("GSRECON_CPU_ISA");
    if (!wanted || !*wanted) return *tables.front();
    std::string names;
    for (const Kernels* table : tables) {
        if (std::string(wanted) == table->name) return *table;
        names += names.empty() ? table->name : std::string(", ") + table->name;
    }
    throw std::runtime_error("GSRECON_CPU_ISA: this processor runs " + names + ", got '" + wanted + "'");
}

}  // namespace

const Kernels& kernels() {
    static const Kernels& chosen = choose();
    return chosen;
}

}  // namespace gsrecon
