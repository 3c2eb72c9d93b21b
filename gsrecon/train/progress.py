"""What a running training tells those who watch it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from gsrecon.scene.graph import SceneGraph


@dataclass(frozen=True)
class Progress:
    """Where a run is after a step."""

    step: int
    """Steps done."""
    fraction: float
    """Share of the run that is over, by steps or by time."""
    seconds: float
    """Time spent in training, over all resumes [s]."""
    psnr: float
    """Of the training pictures, smoothed over the last hundred or so [dB]."""
    gaussians: int
    loss: float
    """Of this step."""
    part: str = ""
    """Which group is trained, and in which round; empty where there is one group."""

    @property
    def seconds_left(self) -> float:
        """Estimate of the time that is still to come [s]."""
        return self.seconds * (1 - self.fraction) / max(self.fraction, 1e-9)


@runtime_checkable
class Observer(Protocol):
    """Someone who watches a run; every method may do nothing."""

    def on_step(self, progress: Progress) -> None:
        """After every step."""
        ...

    def on_event(self, message: str) -> None:
        """On rare events (a checkpoint, an evaluation, a stop), as a short sentence."""
        ...


@runtime_checkable
class SceneObserver(Observer, Protocol):
    """Someone who also wants to see the scene."""

    def on_scene(self, graph: SceneGraph) -> None:
        """Before the first step of a scene; it changes in place from then on, in this thread."""
        ...


@dataclass(frozen=True)
class TrainResult:
    """How a run ended."""

    run_dir: Path
    scene_dir: Path
    """The scene bundle of the last checkpoint."""
    steps: int
    seconds: float
    """Time spent in training, over all resumes [s]."""
    gaussians: int
    finished: bool
    """False when the run was stopped by Ctrl-C or a termination signal; it can be resumed."""
    held_out: dict[str, float] = field(default_factory=dict)
    """Mean scores over the held-out pictures (`psnr`, `ssim`, `psnr/CAMERA`), when they were measured."""
