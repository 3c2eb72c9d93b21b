"""Judges a scene by the pictures that were held out of its training."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gsrecon.data.counted import counted_pixels
from gsrecon.data.log import CameraFrame, DrivingLog
from gsrecon.data.pictures import to_uint8
from gsrecon.data.seen_depths import seen_depths
from gsrecon.errors import DatasetError
from gsrecon.evaluation.gallery import ScoredPicture
from gsrecon.evaluation.lpips import Lpips
from gsrecon.evaluation.scores import Evaluation, PictureScore
from gsrecon.ops.metrics import HIGHEST_PSNR, masked_ssim, psnr
from gsrecon.scene.groups_scene import Scene, for_frame
from gsrecon.scene.recording import RecordedFrame, Recording
from gsrecon.scene.render import Backend, render_frame


@dataclass(frozen=True)
class EvaluateConfig:
    """What counts in an evaluation."""

    near_limit_m: float = 20.0
    """Pixels rendered nearer than this are near; all others, the sky among them, are far [m]."""
    mask_moving: bool = False
    """Leave out pixels of moving objects (the recording's `moving` masks)."""
    moving_margin_px: int = 2
    """Widen the masks of moving objects by this much [px]."""
    lidar_max_gap_us: int = 60_000
    """A lidar sweep further away in time than this does not judge a picture's depth [us]."""
    lpips_weights: Path | None = None
    """Folder with the LPIPS weights `alexnet.pth` and `lin.pth`; without it LPIPS is not computed."""
    backend: Backend = "auto"
    """Rasterizer backend."""


def evaluate(
    graph: Scene,
    log: DrivingLog,
    config: EvaluateConfig | None = None,
    observers: Sequence[Callable[[ScoredPicture], None]] = (),
) -> Evaluation:
    """Renders every held-out picture and compares it with the recording.

    Pose refinement and exposure of a held-out picture are interpolated from its neighbours in time; the
    picture itself is never looked at for them.

    Args:
        graph: A scene that remembers its recording, whole or in groups; it is drawn on its device.
        log: The drive it was fitted to, with pictures of the size it was fitted to.
        config: What counts; None takes the defaults.
        observers: Called with each picture after it is scored.

    Raises:
        DatasetError: The drive lacks a held-out picture or its pictures have another size.
        ValueError: The scene remembers no recording.
    """
    config = EvaluateConfig() if config is None else config
    if graph.recording is None:
        raise ValueError("graph: expected a scene that remembers its recording, got one without")
    lpips = None if config.lpips_weights is None else Lpips.load(config.lpips_weights)
    frames = {(frame.camera, frame.index): frame for frame in log.frames}
    scores = []
    for recorded in held_out(graph.recording):
        frame = frames.get((recorded.camera, recorded.index))
        _require_same_drive(graph.recording, log, recorded, frame)
        assert frame is not None
        started = time.perf_counter()
        with torch.no_grad():
            drawn = render_frame(
                for_frame(graph, recorded), graph.recording, recorded, backend=config.backend
            )
        assert drawn.depth is not None
        image, depth = drawn.image[0].cpu(), drawn.depth[0].cpu()
        seconds = time.perf_counter() - started
        picture = _scored(log, frame, image, depth, seconds, config, lpips)
        scores.append(picture.score)
        for observer in observers:
            observer(picture)
    return Evaluation(tuple(scores), config.near_limit_m, config.mask_moving, len(graph))


def held_out(recording: Recording) -> list[RecordedFrame]:
    """The pictures that training never saw, by time."""
    return [frame for frame in recording.frames if frame.held_out]


def _scored(
    log: DrivingLog,
    frame: CameraFrame,
    image: Float[Tensor, "H W 3"],
    depth: Float[Tensor, "H W"],
    seconds: float,
    config: EvaluateConfig,
    lpips: Lpips | None,
) -> ScoredPicture:
    truth_bytes = log.image(frame)
    truth = torch.from_numpy(truth_bytes).float() / 255.0
    image, depth = image.float().clamp(0.0, 1.0), depth.float()
    scored_here = counted_pixels(log, frame, config.mask_moving, config.moving_margin_px)
    scored = torch.from_numpy(scored_here)
    near = (depth > 0) & (depth < config.near_limit_m)
    # LPIPS takes whole pictures: where pixels do not count, the truth stands in.
    filled = torch.where(scored[..., None], image, truth)
    any_scored = bool(scored.any())
    moving, static = _moving_and_static(log, frame)
    score = PictureScore(
        camera=frame.camera,
        index=frame.index,
        timestamp_us=frame.timestamp_us,
        psnr=_psnr(image, truth, scored),
        ssim=float(masked_ssim(image, truth, scored)) if any_scored else None,
        lpips=lpips(filled, truth) if lpips is not None and any_scored else None,
        psnr_near=_psnr(image, truth, scored & near),
        psnr_far=_psnr(image, truth, scored & ~near),
        psnr_moving=_psnr(image, truth, moving),
        psnr_static=_psnr(image, truth, static),
        moving_pixels=int(moving.sum()),
        static_pixels=int(static.sum()),
        depth_error_m=_depth_error(log, frame, depth, scored, config.lidar_max_gap_us),
        scored_share=float(scored.float().mean()),
        seconds=seconds,
    )
    return ScoredPicture(score, to_uint8(image.numpy()), truth_bytes, scored_here, depth.numpy())


def _moving_and_static(
    log: DrivingLog, frame: CameraFrame
) -> tuple[Bool[Tensor, "H W"], Bool[Tensor, "H W"]]:
    """Pixels of moving objects and all others, without those that never count; none where nobody knows."""
    valid = torch.from_numpy(log.valid(frame))
    mask = log.mask(frame, "moving")
    if mask is None:
        return torch.zeros_like(valid), torch.zeros_like(valid)
    moving = torch.from_numpy(mask)
    return valid & moving, valid & ~moving


def _psnr(
    image: Float[Tensor, "H W 3"], truth: Float[Tensor, "H W 3"], mask: Bool[Tensor, "H W"]
) -> float | None:
    """None where the mask is empty; finite for equal pictures."""
    if not bool(mask.any()):
        return None
    return min(float(psnr(image, truth, mask)), HIGHEST_PSNR)


def _depth_error(
    log: DrivingLog,
    frame: CameraFrame,
    depth: Float[Tensor, "H W"],
    scored: Bool[Tensor, "H W"],
    max_gap_us: int,
) -> float | None:
    """Median distance from the lidar [m] over pixels where both have depth and the camera sees the point."""
    pixels, truth = (torch.from_numpy(values) for values in seen_depths(log, frame, max_gap_us))
    rendered = depth.reshape(-1)[pixels]
    known = scored.reshape(-1)[pixels] & (rendered > 0)
    if not bool(known.any()):
        return None
    return float((rendered - truth)[known].abs().median())


def _require_same_drive(
    recording: Recording, log: DrivingLog, recorded: RecordedFrame, frame: CameraFrame | None
) -> None:
    name = f"picture {recorded.index} of camera {recorded.camera}"
    if frame is None or abs(frame.timestamp_us - recorded.timestamp_us) > 1000:
        raise DatasetError(
            f"{log.name}: {name}, held out in training, is not in this drive; name the drive and frames "
            f"that the scene was fitted to ({recording.source} {recording.name})"
        )
    ours, theirs = recording.cameras[recorded.camera], log.cameras[recorded.camera]
    if (ours.width, ours.height) != (theirs.width, theirs.height):
        raise DatasetError(
            f"{log.name}: camera {recorded.camera} has {theirs.width} x {theirs.height} pixels, the scene "
            f"was fitted at {ours.width} x {ours.height}; use the same image_scale"
        )
