"""Pictures as files and as colours: PNG and JPEG, depth colour maps, error maps."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from gsrecon.data.pictures import to_uint8
from gsrecon.files import written_aside

RGB = UInt8[np.ndarray, "H W 3"]

# Google's Turbo colour map (Anton Mikhailov, 2019) as polynomials of degree 5 in [0, 1]; Apache-2.0.
_TURBO = np.array(
    [
        [0.13572138, 4.61539260, -42.66032258, 132.13108234, -152.94239396, 59.28637943],
        [0.09140261, 2.19418839, 4.84296658, -14.18503333, 4.27729857, 2.82956604],
        [0.10667330, 12.64194608, -60.58204836, 110.36276771, -89.90310912, 27.34824973],
    ]
)


def write_png(path: Path | str, image: RGB) -> None:
    """Writes a picture as PNG, whole or not at all."""
    with written_aside(Path(path)) as aside:
        Image.fromarray(image).save(aside, format="PNG", compress_level=4)


def png_bytes(image: RGB) -> bytes:
    """A picture encoded as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def jpeg_bytes(image: RGB, quality: int = 88) -> bytes:
    """A picture encoded as JPEG with full colour resolution."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality, subsampling=0, optimize=True)
    return buffer.getvalue()


def turbo(values: Float[np.ndarray, "H W"]) -> RGB:
    """Colours of values in [0, 1] by the Turbo map: blue is low, red is high."""
    x = np.clip(np.nan_to_num(values), 0.0, 1.0)
    powers = np.stack([x**k for k in range(6)], axis=-1)
    return to_uint8(powers @ _TURBO.T)


def depth_picture(
    depth: Float[np.ndarray, "H W"], near: float | None = None, far: float | None = None
) -> RGB:
    """Depth as colours on a scale of inverse depth: red is near, blue is far, black is no depth.

    Args:
        depth: Depth along z [m]; 0 where there is none.
        near: Depth of the red end [m]; None takes the 2nd percentile.
        far: Depth of the blue end [m]; None takes the 98th percentile.
    """
    known = depth > 0
    if not known.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    near = float(np.percentile(depth[known], 2)) if near is None else near
    far = float(np.percentile(depth[known], 98)) if far is None else far
    low, high = 1 / max(far, 1e-6), 1 / max(near, 1e-6)
    inverse = 1 / np.where(known, depth, 1.0)
    picture = turbo((inverse - low) / max(high - low, 1e-12))
    picture[~known] = 0
    return picture


def error_picture(image: RGB, truth: RGB, valid: Bool[np.ndarray, "H W"] | None = None) -> RGB:
    """Mean absolute colour difference: blue is 0, red 25 % of full scale and more, grey is not valid."""
    difference = np.abs(image.astype(np.float32) - truth.astype(np.float32)).mean(axis=-1) / 255.0
    picture = turbo(difference / 0.25)
    if valid is not None:
        picture[~valid] = 128
    return picture


def shrink(image: RGB, width: int) -> UInt8[np.ndarray, "h w 3"]:
    """The picture no wider than `width` pixels, area filtered."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    if image.shape[1] <= width:
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))
