// Rigid motions of tangent vectors.
#include "cpu/kernels.h"
#include "math/rigid_motion.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

void se3_exps(int64_t count, const double* tangents, double* motions) {
    for (int64_t i = 0; i < count; i++) write_rigid_motion(se3_exp(read_tangent(tangents + 6 * i)), motions + 16 * i);
}

void se3_exps_vjp(int64_t count, const double* tangents, const double* v_motions, double* v_tangents) {
    for (int64_t i = 0; i < count; i++)
        write_tangent(se3_exp_vjp(read_tangent(tangents + 6 * i), rigid_motion(v_motions + 16 * i)),
                      v_tangents + 6 * i);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
