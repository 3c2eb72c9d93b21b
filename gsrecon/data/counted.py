"""Which pixels of a picture count, in losses and in scores alike."""

import numpy as np
import torch
from jaxtyping import Bool

from gsrecon.data.log import CameraFrame, DrivingLog


def counted_pixels(
    log: DrivingLog, frame: CameraFrame, mask_moving: bool, margin_px: int
) -> Bool[np.ndarray, "H W"]:
    """False on the own car and ignored pixels, and on moving objects if they are masked.

    Args:
        log: The drive.
        frame: One of its pictures.
        mask_moving: Leave out what the mask `moving` shows.
        margin_px: That mask grows by this much [px].
    """
    counts = log.valid(frame)
    moving = log.mask(frame, "moving") if mask_moving else None
    return counts if moving is None else counts & ~widened(moving, margin_px)


def widened(mask: Bool[np.ndarray, "H W"], margin_px: int) -> Bool[np.ndarray, "H W"]:
    """The mask with every pixel within some rows and columns of it."""
    if margin_px == 0:
        return mask
    planes = torch.from_numpy(mask)[None, None].float()
    return torch.nn.functional.max_pool2d(planes, 2 * margin_px + 1, 1, margin_px)[0, 0].numpy() > 0
