"""Rigid motions of many tangent vectors at once."""

import torch
from jaxtyping import Float64
from torch import Tensor

from gsrecon.geometry.rigid import se3_exp
from gsrecon.ops import _native_corrections
from gsrecon.ops._native import is_compiled


def se3_exps(tangents: Float64[Tensor, "N 6"]) -> Float64[Tensor, "N 4 4"]:
    """As `gsrecon.geometry.rigid.se3_exp`, the reference: one compiled pass for values, one for gradients."""
    if not is_compiled(tangents, dtype=torch.float64):
        return se3_exp(tangents)
    return _native_corrections.se3_exps(tangents)
