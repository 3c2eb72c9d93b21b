"""Scores on pictures that are not fitted, measured while a run goes on."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.ops.metrics import HIGHEST_PSNR, masked_ssim, psnr, ssim
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.render import Backend, render_frame
from gsrecon.train.views import View, Views


class HeldOutScores:
    """Sums over pictures, of one scene or of several groups of one.

    Poses and exposures are those interpolated from the fitted neighbours in time. Pixels that do not count
    are left out; pictures without any that counts are passed over.
    """

    def __init__(self) -> None:
        """Without any picture."""
        self._psnr: dict[str, list[float]] = {}
        self._ssim: list[float] = []
        self._moving_error = 0.0
        self._moving_values = 0

    def add(self, graph: SceneGraph, views: Views, backend: Backend = "auto") -> None:
        """Draws views of a scene and compares them with the recording.

        Raises:
            ValueError: The scene remembers no recording.
        """
        recording = graph.recording
        if recording is None:
            raise ValueError("graph: expected a scene that remembers its recording, got one without")
        views.keep_on(graph.device)
        for view in views.in_order(range(len(views))):
            if view.counts is None or bool(view.counts.any()):
                with torch.no_grad():
                    image = render_frame(graph, recording, view.frame, backend=backend).image[0]
                    self._compare(image.clamp(0, 1), view)

    def told(self) -> dict[str, float]:
        """Mean PSNR [dB] and SSIM, PSNR by camera, and over all pixels of moving objects together."""
        if not self._ssim:
            return {}
        every = [value for of_camera in self._psnr.values() for value in of_camera]
        scores = {"psnr": sum(every) / len(every), "ssim": sum(self._ssim) / len(self._ssim)}
        for camera, values in self._psnr.items():
            scores[f"psnr/{camera}"] = sum(values) / len(values)
        if self._moving_error > 0:
            scores["psnr_moving"] = -10 * math.log10(self._moving_error / self._moving_values)
        return scores

    def _compare(self, image: Float[Tensor, "H W 3"], view: View) -> None:
        truth = view.image.float() / 255
        similarity = ssim(image, truth) if view.counts is None else masked_ssim(image, truth, view.counts)
        self._ssim.append(float(similarity))
        ratio = min(float(psnr(image, truth, view.counts)), HIGHEST_PSNR)
        self._psnr.setdefault(view.frame.camera, []).append(ratio)
        if view.moving is not None:
            seen = view.moving if view.counts is None else view.moving & view.counts
            squared = (image - truth)[seen].double().square()
            self._moving_error += float(squared.sum())
            self._moving_values += squared.numel()


def score_held_out(graph: SceneGraph, views: Views, backend: Backend = "auto") -> dict[str, float]:
    """What `HeldOutScores` tells of all views of a scene in one piece."""
    scores = HeldOutScores()
    scores.add(graph, views, backend)
    return scores.told()
