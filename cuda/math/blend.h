// The rules of alpha compositing, each constant named once (gsplat's rules).
#pragma once

#include <cstdint>

namespace gsrecon {

constexpr float kAlphaFloor = 1.0f / 255.0f;     // fainter is skipped
constexpr float kLog2AlphaFloor = -7.99435344f;  // log2 of it
constexpr float kAlphaCeiling = 0.99f;           // denser is clamped, its gradient cut
constexpr float kTransmittanceStop = 1e-4f;      // stop before the Gaussian that brings the transmittance to this
constexpr float kDepthAlphaMin = 0.01f;          // thinner has no expected depth
constexpr float kLog2E = 1.44269504f;
constexpr int kTile = 16;    // pixels along a tile's edge
constexpr int kSubtile = 8;  // pixels along a sub-tile's edge; four sub-tiles in a tile

// The tiles of one tile row that a Gaussian reaches: [begin, end).
struct TileSpan {
    uint16_t begin, end;
};

}  // namespace gsrecon
