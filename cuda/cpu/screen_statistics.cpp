// The statistics of densification in one pass over the Gaussians.
#include "math/screen_statistics.h"

#include "cpu/kernels.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

void add_screen_statistics(const ScreenGradients& in, const ScreenStatistics& out) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < in.n; i++) note_gaussian(in, i, out);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
