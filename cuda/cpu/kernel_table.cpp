// One table per instruction set: this file is compiled with each of them.
#include "cpu/kernels.h"

#define GSRECON_TEXT_(x) #x
#define GSRECON_TEXT(x) GSRECON_TEXT_(x)

namespace gsrecon {
inline namespace GSRECON_ISA {

extern const Kernels kernel_table;
const Kernels kernel_table = {GSRECON_TEXT(GSRECON_ISA),
                              project,
                              project_vjp,
                              make_records,
                              composite,
                              composite_vjp,
                              inspect,
                              alone,
                              compare_pictures,
                              compare_pictures_vjp,
                              compare_depths,
                              compare_depths_vjp,
                              cube_map,
                              cube_map_vjp,
                              exposure,
                              exposure_vjp,
                              rig_camera,
                              rig_camera_vjp,
                              se3_exps,
                              se3_exps_vjp,
                              mean_squares,
                              mean_squares_vjp,
                              adam_rows,
                              add_screen_statistics,
                              perceptron,
                              perceptron_vjp};

}  // namespace GSRECON_ISA
}  // namespace gsrecon
