"""The pictures that are fitted, with what else is known about their pixels."""

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cache

import torch
from jaxtyping import Bool, Float, Int32, UInt8
from torch import Tensor

from gsrecon.data.counted import counted_pixels
from gsrecon.data.log import CameraFrame, DrivingLog
from gsrecon.data.seen_depths import seen_depths
from gsrecon.data.spec import SceneSpec
from gsrecon.scene.recording import RecordedFrame, Recording
from gsrecon.train.config import TrainConfig
from gsrecon.train.split import Split, recorded

READERS = max(1, min(8, (os.cpu_count() or 1) - 1))
"""So many pictures are read ahead at the same time."""


@dataclass(frozen=True)
class View:
    """One fitted picture."""

    frame: RecordedFrame
    image: UInt8[Tensor, "H W 3"]
    counts: Bool[Tensor, "H W"] | None
    """Pixels that enter the loss; None: all of them."""
    sky: Bool[Tensor, "H W"] | None
    """Pixels known to be sky."""
    moving: Bool[Tensor, "H W"] | None
    """Pixels known to show moving objects; None where the picture has none."""
    depth_pixels: Int32[Tensor, " M"]
    """Flat indices into [H, W] of pixels that count and have a lidar point, each once."""
    depths: Float[Tensor, " M"]
    """Depths along z there [m]."""

    @property
    def size_bytes(self) -> int:
        """Memory it takes."""
        return sum(tensor.nbytes for tensor in self._tensors().values())

    def to(self, device: torch.device) -> "View":
        """The view with its pixels on a device; a GPU is not waited for, if they are pinned."""
        if self.image.device == device:
            return self
        to_gpu = device.type != "cpu"
        moved = {name: tensor.to(device, non_blocking=to_gpu) for name, tensor in self._tensors().items()}
        return replace(self, **moved)

    def pinned(self) -> "View":
        """The view with its pixels in memory that a GPU fetches by itself, beside other work."""
        return replace(self, **{name: tensor.pin_memory() for name, tensor in self._tensors().items()})

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in tensors.items() if isinstance(value, Tensor)}


class Views:
    """Fitted pictures by number, read on demand or ahead; the latest are kept in memory up to a limit."""

    def __init__(
        self,
        log: DrivingLog,
        frames: tuple[CameraFrame, ...],
        recording: Recording,
        mask_moving: bool,
        dilation_px: int = 2,
        largest_gap_us: int = 60_000,
        limit_bytes: int = 512 * 2**20,
    ) -> None:
        self._log = log
        self._frames = frames
        self._recording = recording
        self._mask_moving = mask_moving
        self._dilation_px = dilation_px
        self._largest_gap_us = largest_gap_us
        self._limit_bytes = limit_bytes
        self._kept: OrderedDict[int, View] = OrderedDict()
        self._kept_bytes = 0
        self._device = torch.device("cpu")
        self._coming: dict[int, Future[View]] = {}

    @staticmethod
    def of(split: Split, frames: tuple[CameraFrame, ...], spec: SceneSpec, config: TrainConfig) -> "Views":
        """Some frames of a drive, read as its spec and the settings of a run say."""
        return Views(
            split.log,
            frames,
            split.recording(),
            mask_moving=config.masks_moving(spec.mask_moving),
            dilation_px=config.mask_dilation_px,
            largest_gap_us=round(1000 * config.initial.largest_gap_ms),
            limit_bytes=config.picture_memory_mib * 2**20,
        )

    def __len__(self) -> int:
        return len(self._frames)

    def frame(self, number: int) -> RecordedFrame:
        """Time and pose of the picture of a number, which is not read."""
        return recorded(self._recording, self._frames[number])

    def size(self, number: int) -> tuple[int, int]:
        """Width and height [px] of the picture of a number, which is not read."""
        camera = self._recording.cameras[self._frames[number].camera]
        return camera.width, camera.height

    def keep_on(self, device: torch.device) -> None:
        """From now on views are given, and kept, on a device: each goes to a GPU once."""
        if device != self._device:
            self._device = device
            self._kept = OrderedDict((number, view.to(device)) for number, view in self._kept.items())

    def read_ahead(self, numbers: Iterable[int]) -> None:
        """Begins to read views that will be asked for soon, beside what else is done."""
        for number in numbers:
            if number not in self._kept and number not in self._coming:
                self._coming[number] = _readers().submit(self._read, self._frames[number])

    def __getitem__(self, number: int) -> View:
        """The view of a number.

        Raises:
            DatasetError: Its picture, mask or lidar sweep is missing or damaged.
        """
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        coming = self._coming.pop(number, None)
        view = self._read(self._frames[number]) if coming is None else coming.result()
        self._kept[number] = view = view.to(self._device)
        self._kept_bytes += view.size_bytes
        while self._kept_bytes > self._limit_bytes and len(self._kept) > 1:
            self._kept_bytes -= self._kept.popitem(last=False)[1].size_bytes
        return view

    def in_order(self, numbers: Sequence[int]) -> Iterator[View]:
        """Views one after the other, those that come next read ahead."""
        for place, number in enumerate(numbers):
            self.read_ahead(numbers[place : place + 1 + READERS])
            yield self[number]

    def _read(self, frame: CameraFrame) -> View:
        sky, moving = (self._log.mask(frame, kind) for kind in ("sky", "moving"))
        counts = torch.from_numpy(counted_pixels(self._log, frame, self._mask_moving, self._dilation_px))
        pixels, depths = self._depth(frame, counts)
        view = View(
            frame=recorded(self._recording, frame),
            image=torch.from_numpy(self._log.image(frame)),
            counts=None if bool(counts.all()) else counts,
            sky=None if sky is None else torch.from_numpy(sky),
            moving=None if moving is None or not moving.any() else torch.from_numpy(moving),
            depth_pixels=pixels,
            depths=depths,
        )
        return view.pinned() if self._device.type == "cuda" else view

    def _depth(
        self, frame: CameraFrame, counts: Bool[Tensor, "H W"]
    ) -> tuple[Int32[Tensor, " M"], Float[Tensor, " M"]]:
        """Where the sweep nearest in time met something that is to be fitted, and how far away.

        What is left out of the picture hides what lies behind it all the same.
        """
        pixels, depths = (torch.from_numpy(v) for v in seen_depths(self._log, frame, self._largest_gap_us))
        counted = counts.reshape(-1)[pixels]
        return pixels[counted], depths[counted]


@cache
def _readers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(READERS, thread_name_prefix="gsrecon-pictures")
