// The operations as Python calls them, said once for every place they run at: checks of shapes, then the structs of
// ops.h. No arithmetic here. A Place has a kind of Memory, and each operation under the same name.
#pragma once

#include "bind/corrections.h"
#include "bind/drawing.h"
#include "bind/training.h"

namespace gsrecon {

template <class Place> void bind_operations(nb::class_<Place>& c) {
    Torch::get();
    Drawing<Place>::bind(c);
    Corrections<Place>::bind(c);
    Training<Place>::bind(c);
}

}  // namespace gsrecon
