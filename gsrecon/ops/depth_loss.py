"""What training minimises of depths beside measured ones."""

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from gsrecon.ops._native import is_compiled
from gsrecon.ops._native_comparison import compare_depths


def log_depth_loss(
    depth: Float[Tensor, "*batch H W"],
    places: Int32[Tensor, " M"],
    measured: Float[Tensor, " M"],
    limit: float,
) -> Float[Tensor, ""]:
    """Mean of min(|log(depth / measured)|, limit) over the places where something is drawn; 0 without any.

    Differentiable in `depth`; errors beyond the limit pull no more. float32 goes through compiled kernels for
    value and gradient, everything else through plain torch, the reference. A GPU is not waited for.

    Args:
        depth: Depth of every pixel [m]; where it is not above 0, nothing is drawn.
        places: Flat indices into `depth`, no two the same: the gradient of one that comes twice is undefined.
        measured: Depths there [m], above 0.
        limit: The largest error that is told.

    Raises:
        ValueError: A place is out of range. On a GPU, which is not waited for, such a place is left out.
    """
    tensors = (depth, measured)
    if places.device != depth.device or measured.requires_grad or not is_compiled(*tensors):
        return log_depth_loss_reference(depth, places, measured, limit)
    return compare_depths(depth, places, measured, limit)


def log_depth_loss_reference(
    depth: Float[Tensor, "*batch H W"],
    places: Int32[Tensor, " M"],
    measured: Float[Tensor, " M"],
    limit: float,
) -> Float[Tensor, ""]:
    """The same in plain torch, any float precision and device."""
    rendered = depth.reshape(-1)[places]
    drawn = rendered > 0
    # Where nothing is drawn the measured depth stands in: the error is 0 and so is its gradient.
    error = (torch.where(drawn, rendered, measured) / measured).log().abs()
    return error.clamp(max=limit).sum() / drawn.sum().clamp_min(1)
