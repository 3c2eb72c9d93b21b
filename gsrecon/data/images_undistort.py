"""Pictures of lenses with radial and tangential distortion as those of a pinhole camera.

Source: Brown, "Decentering distortion of lenses", 1966, in OpenCV's terms k1, k2, p1, p2.
"""

import numpy as np
import torch
from jaxtyping import Float64, Int32, UInt8

Distortion = tuple[float, float, float, float]
"""k1, k2, p1, p2."""

_ZOOMS = np.geomspace(0.5, 2.0, 281)


def distort(rays: Float64[np.ndarray, "*batch 2"], distortion: Distortion) -> Float64[np.ndarray, "*batch 2"]:
    """Where points x/z, y/z of the pinhole camera appear, in the same units."""
    k1, k2, p1, p2 = distortion
    x, y = rays[..., 0], rays[..., 1]
    squared = x * x + y * y
    radial = 1 + squared * (k1 + squared * k2)
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (squared + 2 * x * x),
            y * radial + p1 * (squared + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def pinhole_intrinsics(
    K: Float64[np.ndarray, "3 3"], distortion: Distortion, width: int, height: int
) -> Float64[np.ndarray, "3 3"]:
    """Intrinsics of a pinhole picture of the same size that shows most and has no pixel without content."""
    x, y = np.arange(width + 1.0), np.arange(height + 1.0)
    edges = [(x, 0 * x), (x, 0 * x + height), (0 * y, y), (0 * y + width, y)]
    border = np.concatenate([np.stack(edge, axis=1) for edge in edges])
    zoomed = K.copy()
    for zoom in _ZOOMS:
        zoomed[[0, 1], [0, 1]] = zoom * K[[0, 1], [0, 1]]
        source = _source_pixels(border, zoomed, K, distortion)
        if ((source >= 0) & (source <= [width, height])).all():
            break
    return zoomed


def undistort(
    pixels: UInt8[np.ndarray, "H W C"] | Int32[np.ndarray, "H W"],
    pinhole: Float64[np.ndarray, "3 3"],
    K: Float64[np.ndarray, "3 3"],
    distortion: Distortion,
) -> np.ndarray:
    """A picture (bicubic) or a mask (nearest) as the pinhole camera `pinhole` sees it."""
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    centres = np.stack([columns + 0.5, rows + 0.5], axis=-1).astype(np.float64)
    # Pixel edges are -1 and 1 to grid_sample with align_corners off.
    grid = torch.from_numpy(2 * _source_pixels(centres, pinhole, K, distortion) / [width, height] - 1).float()
    is_mask = pixels.ndim == 2
    planes = (
        torch.from_numpy(np.ascontiguousarray(pixels)).float().reshape(height, width, -1).permute(2, 0, 1)
    )
    drawn = torch.nn.functional.grid_sample(
        planes[None],
        grid[None],
        mode="nearest" if is_mask else "bicubic",
        padding_mode="border",
        align_corners=False,
    )[0]
    if is_mask:
        return drawn[0].numpy().astype(pixels.dtype)
    return drawn.permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()


def _source_pixels(
    pixels: Float64[np.ndarray, "*batch 2"],
    pinhole: Float64[np.ndarray, "3 3"],
    K: Float64[np.ndarray, "3 3"],
    distortion: Distortion,
) -> Float64[np.ndarray, "*batch 2"]:
    """Pixels of the recorded picture that show what the pinhole picture has at its pixels."""
    focal, centre = pinhole[[0, 1], [0, 1]], pinhole[:2, 2]
    return distort((pixels - centre) / focal, distortion) * K[[0, 1], [0, 1]] + K[:2, 2]
