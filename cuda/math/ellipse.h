// The pixels in which a Gaussian's alpha reaches its floor, and the tiles that hold their centres (SnugBox, Hanson et
// al. 2025, "Speedy-Splat"; the opacity's part as in Radl et al. 2024, "StopThePop").
#pragma once

#include "blend.h"
#include "real.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

// The ellipse on which alpha falls to its floor: A dx^2 + 2 B dx dy + C dy^2 = q, with q = 2 ln(255 opacity).
struct Ellipse {
    float x, y, a, b, c;
    float q, det, inverse_a;
    float half_height;  // largest |dy|
    float dy_of_right;  // dy at the rightmost point

    GSRECON_HD Ellipse(float x, float y, const float* conic, float log2_opacity)
        : x(x),
          y(y),
          a(conic[0]),
          b(conic[1]),
          c(conic[2]),
          q(2.0f * (log2_opacity - kLog2AlphaFloor) / kLog2E),
          det((float)maximum((double)a * c - (double)b * b, 1e-12 * a * c)),
          inverse_a(1.0f / a) {
        const float inverse_det = 1.0f / det;
        half_height = sqrtf(q * a * inverse_det);
        dy_of_right = -b * sqrtf(q * c * inverse_det) / c;
    }

    // Leftmost and rightmost x of the ellipse among the rows y in [low, high].
    GSRECON_HD void extent(float low, float high, float& left, float& right) const {
        low -= y;
        high -= y;
        const float dr = minimum(maximum(dy_of_right, low), high), dl = minimum(maximum(-dy_of_right, low), high);
        right = x + (-b * dr + sqrtf(maximum(0.0f, q * a - dr * dr * det))) * inverse_a;
        left = x + (-b * dl - sqrtf(maximum(0.0f, q * a - dl * dl * det))) * inverse_a;
    }
};

// Tiles whose pixel centres (tile * 16 + 0.5 ... + 15.5) meet [low, high], clamped to the picture.
GSRECON_HD TileSpan tiles_between(float low, float high, int tiles) {
    const float most = (float)tiles;
    const float first = ceilf((low - (kTile - 0.5f)) * (1.0f / kTile)), last = floorf((high - 0.5f) * (1.0f / kTile));
    return {(uint16_t)minimum(maximum(first, 0.0f), most), (uint16_t)minimum(maximum(last + 1.0f, 0.0f), most)};
}

// The tile rows of an ellipse, and the tiles it reaches in one of them.
GSRECON_HD TileSpan tile_rows(const Ellipse& ellipse, int tiles_y) {
    return tiles_between(ellipse.y - ellipse.half_height, ellipse.y + ellipse.half_height, tiles_y);
}

GSRECON_HD TileSpan tiles_of_row(const Ellipse& ellipse, int row, int tiles_x) {
    const float top = (float)(row * kTile) + 0.5f;
    float left, right;
    ellipse.extent(top, top + (kTile - 1), left, right);
    TileSpan span = tiles_between(left, right, tiles_x);
    if (span.end < span.begin) span.end = span.begin;
    return span;
}

// The largest a x^2 + b x y + c y^2 over the rectangle, exact: the least distance from an ellipse's centre is on the
// two edges that face it. `x_of_y` = -b / (2 a) and `y_of_x` = -b / (2 c) are the slopes of the ridge lines.
template <class R>
GSRECON_HD R largest_exponent(R a, R b, R c, R x_of_y, R y_of_x, R left, R right, R top, R bottom) {
    const R zero = R{};
    const R nx = minimum(right, maximum(left, zero)), ny = minimum(bottom, maximum(top, zero));
    const R y1 = minimum(bottom, maximum(top, y_of_x * nx)), x2 = minimum(right, maximum(left, x_of_y * ny));
    const R p1 = (a * nx + b * y1) * nx + c * y1 * y1, p2 = (a * x2 + b * ny) * x2 + c * ny * ny;
    return maximum(p1, p2);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
