// Where a direction meets a cube map: six square faces of colours, filtered bilinearly, filtering stops at a face's
// edge. Face 2a looks along the positive axis a (x, y, z), face 2a + 1 along the negative one; columns follow the next
// axis, rows the one after it. gsrecon/ops/cube_map.py is the specification.
#pragma once

#include <cstdint>

#include "real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

struct CubeMapPlace {
    int64_t texel[4];  // face, row and column in one number
    float weight[4];
};

GSRECON_HD CubeMapPlace cube_map_place(Vec3<float> direction, int size) {
    const float along[3] = {direction.x, direction.y, direction.z};
    int axis = 0;
    for (int a = 1; a < 3; a++)
        if (fabsf(along[a]) > fabsf(along[axis])) axis = a;
    const int face = 2 * axis + (along[axis] < 0.0f);
    const float scale = 1.0f / fabsf(along[axis]), most = (float)(size - 1);
    float low[2], share[2];
    for (int i = 0; i < 2; i++) {
        const float place = (along[(axis + 1 + i) % 3] * scale + 1.0f) * (0.5f * (float)size) - 0.5f;
        const float held = minimum(maximum(place, 0.0f), most);
        low[i] = minimum(floorf(held), maximum(most - 1.0f, 0.0f));
        share[i] = held - low[i];
    }
    const int64_t first = ((int64_t)face * size + (int64_t)low[1]) * size + (int64_t)low[0], step = size > 1;
    return {{first, first + step, first + step * size, first + step * (size + 1)},
            {(1.0f - share[0]) * (1.0f - share[1]), share[0] * (1.0f - share[1]), (1.0f - share[0]) * share[1],
             share[0] * share[1]}};
}

GSRECON_HD Vec3<float> cube_map_color(const CubeMapPlace& place, const float* texels) {
    Vec3<float> color = {0.0f, 0.0f, 0.0f};
    for (int k = 0; k < 4; k++) {
        const float* t = texels + 3 * place.texel[k];
        color = color + place.weight[k] * Vec3<float>{t[0], t[1], t[2]};
    }
    return color;
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
