"""Exposure of the recorded pictures: a gain and a bias per picture and camera."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.ops.between import Between
from gsrecon.ops.exposure import exposed, exposure_values
from gsrecon.ops.mean_squares import Penalty
from gsrecon.scene.knots import Knots


class Appearance:
    """color' = color exp(log gain) + bias, per channel; the sum of a camera's and a picture's own part.

    Pictures between the fitted ones (held-out frames) take values interpolated in time from their neighbours
    of the same camera. Novel views go without, or take what a named camera has on the whole: its own part and
    the mean of its pictures', as nothing tells training how much of what all of them share belongs where.
    """

    kind = "appearance"

    def __init__(self, times_s: Mapping[str, Sequence[float]], id: str = "appearance") -> None:
        """Starts without any correction.

        Args:
            times_s: Times of the fitted pictures by camera [s].
            id: Address in the graph.
        """
        self.id = id
        self._knots = {camera: Knots(times) for camera, times in times_s.items()}
        self._numbers = {camera: number for number, camera in enumerate(self._knots)}
        self._start: dict[str, int] = {}
        pictures = 0
        for camera, knots in self._knots.items():
            self._start[camera] = pictures
            pictures += len(knots)
        self.camera_values: Float[Tensor, "K 6"] = torch.zeros(len(self._knots), 6)
        """Log gain and bias (RGB each) of each camera."""
        self.picture_values: Float[Tensor, "P 6"] = torch.zeros(pictures, 6)
        """Log gain and bias of each fitted picture, on top of its camera's."""

    def apply(
        self, image: Float[Tensor, "*C H W 3"], camera: str, time_s: float | None
    ) -> Float[Tensor, "*C H W 3"]:
        """The image as the camera would have recorded it at a time; None: on the whole.

        Raises:
            ValueError: No picture of the camera was fitted.
        """
        return exposed(image, *self._tables(camera, time_s), *self._rows(camera, time_s))

    def values(self, camera: str, time_s: float | None) -> Float[Tensor, " 6"]:
        """Log gain and bias (RGB each) at a time; None: on the whole."""
        return exposure_values(*self._tables(camera, time_s), *self._rows(camera, time_s))

    def _tables(self, camera: str, time_s: float | None) -> tuple[Float[Tensor, "K 6"], Float[Tensor, "P 6"]]:
        """Values by camera and by picture; without a time, a camera's hold the mean of its pictures'."""
        if time_s is not None or camera not in self._knots:
            return self.camera_values, self.picture_values
        start = self._start[camera]
        of_camera = self.picture_values[start : start + len(self._knots[camera])]
        return self.camera_values + of_camera.mean(dim=0), self.picture_values

    def _rows(self, camera: str, time_s: float | None) -> tuple[int, Between | None]:
        """The rows of the tables: the camera's, and those of the pictures around a time."""
        if camera not in self._knots:
            raise ValueError(f"camera: expected one of {sorted(self._knots)}, got {camera!r}")
        number = self._numbers[camera]
        if time_s is None:
            return number, None
        before, after, share = self._knots[camera].locate(time_s)
        start = self._start[camera]
        return number, (start + before, start + after, share)

    def penalties(self, weight: float) -> list[Penalty]:
        """Mean squares of all values, which keep the scene's own colours near the recorded ones."""
        return [(weight, self.camera_values), (weight, self.picture_values)]

    def parameters(self) -> dict[str, Tensor]:
        """Both tables."""
        return {"camera_values": self.camera_values, "picture_values": self.picture_values}

    def tensors(self) -> dict[str, Tensor]:
        """Both tables."""
        return self.parameters()

    def settings(self) -> dict[str, Any]:
        """The fitted times."""
        return {"times_s": {camera: list(knots.times_s) for camera, knots in self._knots.items()}}

    @classmethod
    def restored(cls, id: str, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "Appearance":
        """From stored tables."""
        node = cls(settings["times_s"], id)
        node.camera_values = tensors["camera_values"]
        node.picture_values = tensors["picture_values"]
        return node
