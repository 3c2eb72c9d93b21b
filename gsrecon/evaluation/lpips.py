"""LPIPS with AlexNet, from weights that the user has; none are downloaded or shipped.

Source: Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, 2018, v0.1.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, relu

from gsrecon.errors import DatasetError

# AlexNet's convolutions: index in torchvision's `features`, stride, padding, pooling before it.
_LAYERS = ((0, 4, 2, False), (3, 1, 2, True), (6, 1, 1, True), (8, 1, 1, False), (10, 1, 1, False))
_SHIFT = torch.tensor([-0.030, -0.088, -0.188])
_SCALE = torch.tensor([0.458, 0.448, 0.450])
_SMALLEST = 31


class Lpips:
    """Perceptual distance of two pictures; 0 is equal."""

    def __init__(self, trunk: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> None:
        """Takes tensors by their names in the published files.

        Args:
            trunk: torchvision's AlexNet, `features.N.weight` and `features.N.bias`.
            heads: The LPIPS package's `weights/v0.1/alex.pth`, `linN.model.1.weight`.

        Raises:
            KeyError: A tensor is missing.
        """
        self._convolutions = [
            (trunk[f"features.{index}.weight"], trunk[f"features.{index}.bias"]) for index, *_ in _LAYERS
        ]
        self._heads = [heads[f"lin{k}.model.1.weight"] for k in range(len(_LAYERS))]

    @staticmethod
    def load(folder: Path) -> "Lpips":
        """From a folder with `alexnet.pth` (torchvision's AlexNet) and `lin.pth` (LPIPS's `v0.1/alex.pth`).

        Raises:
            DatasetError: A file is missing or holds something else.
        """
        parts = []
        for name in ("alexnet.pth", "lin.pth"):
            path = Path(folder) / name
            try:
                parts.append(torch.load(path, map_location="cpu", weights_only=True))
            except Exception as error:  # torch raises many kinds for files that are not weights
                raise DatasetError(
                    f"{path}: LPIPS weights cannot be read ({type(error).__name__}); the folder needs "
                    "alexnet.pth from torchvision and lin.pth, which is LPIPS's weights/v0.1/alex.pth"
                ) from error
        try:
            return Lpips(*parts)
        except (KeyError, TypeError) as error:
            raise DatasetError(
                f"{folder}: the weights lack {error}; expected AlexNet in alexnet.pth and LPIPS's "
                "v0.1/alex.pth in lin.pth"
            ) from error

    def __call__(self, image: Float[Tensor, "H W 3"], truth: Float[Tensor, "H W 3"]) -> float | None:
        """Distance of two pictures in [0, 1]; None for pictures too small for the network (under 31 px)."""
        if min(image.shape[:2]) < _SMALLEST:
            return None
        distance = 0.0
        with torch.no_grad():
            for a, b, head in zip(self._features(image), self._features(truth), self._heads, strict=True):
                distance += float(conv2d((a - b) ** 2, head).mean())
        return distance

    def _features(self, image: Tensor) -> list[Tensor]:
        """Activations after each convolution, of unit length along the channels."""
        x = ((2 * image - 1 - _SHIFT) / _SCALE).movedim(-1, 0)[None]
        features = []
        for (_, stride, padding, pooled), (weight, bias) in zip(_LAYERS, self._convolutions, strict=True):
            x = relu(conv2d(max_pool2d(x, 3, 2) if pooled else x, weight, bias, stride, padding))
            features.append(x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10))
        return features
