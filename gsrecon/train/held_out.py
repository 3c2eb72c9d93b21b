"""Scores on pictures that are not fitted, measured while a run goes on."""

import math

import torch
from torch import Tensor

from gsrecon.ops.metrics import psnr, ssim
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.render import Backend, render_frame
from gsrecon.train.views import Views


def score_held_out(graph: SceneGraph, views: Views, backend: Backend = "auto") -> dict[str, float]:
    """Mean PSNR [dB] and SSIM over all views, PSNR by camera, and over all pixels of moving objects together.

    Poses and exposures are those interpolated from the fitted neighbours in time. Pixels that do not count
    are left out of PSNR and replaced by the truth for SSIM; pictures without any that counts are passed over.
    """
    if graph.recording is None:
        raise ValueError("graph: expected a scene that remembers its recording, got one without")
    ratios: dict[str, list[float]] = {}
    similarities: list[float] = []
    moving_errors: list[Tensor] = []
    views.keep_on(graph.device)
    for view in views.in_order(range(len(views))):
        with torch.no_grad():
            image = render_frame(graph, graph.recording, view.frame, backend=backend).image[0].clamp(0, 1)
            truth = view.image.float() / 255
            if view.counts is not None:
                if not bool(view.counts.any()):
                    continue
                image = torch.where(view.counts[:, :, None], image, truth)
            ratios.setdefault(view.frame.camera, []).append(float(psnr(image, truth, view.counts)))
            similarities.append(float(ssim(image, truth)))
            if view.moving is not None:
                seen = view.moving if view.counts is None else view.moving & view.counts
                moving_errors.append((image - truth)[seen].square().flatten())
    if not similarities:
        return {}
    every = [value for of_camera in ratios.values() for value in of_camera]
    scores = {"psnr": sum(every) / len(every), "ssim": sum(similarities) / len(similarities)}
    for camera, values in ratios.items():
        scores[f"psnr/{camera}"] = sum(values) / len(values)
    errors = torch.cat([torch.zeros(0, device=graph.device), *moving_errors])
    if len(errors) > 0 and float(errors.sum()) > 0:
        scores["psnr_moving"] = -10 * math.log10(float(errors.double().mean()))
    return scores
