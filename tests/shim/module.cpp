// The binding of the CUDA kernels over the stand-in for CUDA: what tests load where there is no GPU.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <string>

#include "cuda_runtime.h"
#include "math/blend.h"
#include "ops.h"

namespace nb = nanobind;

namespace gsrecon {
void bind_gpu(nb::module_&);
}

NB_MODULE(_shim, m) {
    m.attr("tile_size") = gsrecon::kTile;
    m.attr("record_floats") = sizeof(gsrecon::Record) / 4;
    m.def("use_engine", [](const std::string& name) { gsrecon_shim::use_engine(name.c_str()); });
    m.def(
        "pretend_machine", [](int driver, int devices, int answer) { shim_machine = {driver, devices, answer}; },
        nb::arg("driver") = 13000, nb::arg("devices") = 1, nb::arg("answer") = 0);
    gsrecon::bind_gpu(m);
}
