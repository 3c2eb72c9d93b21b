"""Everything a training run can be told. Schedules are fractions of the run, so they fit any length."""

from dataclasses import dataclass, field, replace

from gsrecon.gaussians.density import DensityConfig
from gsrecon.gaussians.density_classic import ClassicDensity
from gsrecon.ops.settings import RasterizeMode, RasterizeSettings
from gsrecon.scene.groups import Groups
from gsrecon.scene.render import Backend
from gsrecon.train.dynamics import DynamicsConfig, NoDynamics


@dataclass(frozen=True)
class Rate:
    """A learning rate that falls exponentially over the run."""

    start: float
    """Learning rate at the beginning."""
    stop: float
    """Learning rate at the end."""
    begin: float = 0.0
    """Fraction of the run before which nothing is learned."""

    def at(self, progress: float) -> float:
        """The learning rate at a fraction of the run."""
        if progress < self.begin or self.start == 0.0:
            return 0.0
        return self.start * (self.stop / self.start) ** min(progress, 1.0)


@dataclass(frozen=True)
class LearningRates:
    """Adam's learning rates by parameter."""

    means: Rate = field(default_factory=lambda: Rate(3e-3, 3e-4))
    """Centres [m]."""
    quats: Rate = field(default_factory=lambda: Rate(1.5e-2, 2e-3))
    """Rotations."""
    log_scales: Rate = field(default_factory=lambda: Rate(4e-2, 6e-3))
    """Logarithms of the standard deviations."""
    logit_opacities: Rate = field(default_factory=lambda: Rate(2e-1, 3e-2))
    """Log-odds of the opacities."""
    sh0: Rate = field(default_factory=lambda: Rate(4e-2, 4e-3))
    """Colours."""
    sh_rest: Rate = field(default_factory=lambda: Rate(4e-3, 4e-4))
    """Change of colour with direction."""
    sky: Rate = field(default_factory=lambda: Rate(1e-2, 1e-3))
    """Texels of the sky."""
    appearance: Rate = field(default_factory=lambda: Rate(1e-3, 1e-4))
    """Exposure."""
    camera_translations: Rate = field(default_factory=lambda: Rate(1e-3, 1e-5, begin=0.05))
    """Corrections of camera positions [m]."""
    camera_rotations: Rate = field(default_factory=lambda: Rate(1e-4, 1e-6, begin=0.05))
    """Corrections of camera rotations [rad]."""
    state: Rate = field(default_factory=lambda: Rate(1e-2, 1e-3))
    """How dynamic a Gaussian is."""
    networks: Rate = field(default_factory=lambda: Rate(4e-3, 2e-4))
    """Weights of the deformation networks."""
    actor_translations: Rate = field(default_factory=lambda: Rate(5e-3, 1e-4, begin=0.05))
    """Corrections of objects' positions [m]."""
    actor_rotations: Rate = field(default_factory=lambda: Rate(1e-3, 2e-5, begin=0.05))
    """Corrections of objects' rotations [rad]."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the parts of the loss."""

    ssim: float = 0.2
    """Share of 1 - SSIM against L1 in the picture's loss."""
    depth: float = 0.3
    """Lidar depth: mean |log(rendered / measured)|, at the start of the run; it falls to a tenth."""
    sky_alpha: float = 0.05
    """Mean alpha on pixels known to be sky."""
    appearance: float = 0.01
    """Mean square of the exposures."""
    camera_refinement: float = 0.001
    """Mean square of the pose corrections, in decimetres and 0.01 rad."""
    state: float = 0.03
    """State of what the networks run on, summed and divided by the number of Gaussians: stillness is free."""
    motion: float = 0.01
    """Gated motion |g dx| [m] in the same way, so that what moves moves no more than it must."""
    evidence: float = 0.4
    """How far the deformation is from what lidar sweeps saw pass by (`Deformation.evidence_error`)."""
    trajectories: float = 0.001
    """How fast corrections of trajectories change, in decimetres and 0.01 rad a second, squared."""
    outside: float = 0.1
    """Mean distance of objects' Gaussians outside of their boxes [m]."""
    needle: float = 0.0
    """Mean excess of log(longest / middle axis) over that of a ratio of 5."""


@dataclass(frozen=True)
class InitialPoints:
    """Where the first Gaussians come from."""

    lidar: int = 270_000
    """At most this many points from the lidar."""
    voxel_angle: float = 0.01
    """One lidar point a voxel, whose edge is this times the distance to the nearest camera [rad]."""
    smallest_voxel: float = 0.03
    """Lower limit of the voxels' edges [m]."""
    beyond_lidar: int = 50_000
    """Points on rays of pixels that the lidar does not reach: far and high things."""
    upright_share: float = 0.7
    """Share of those above the highest lidar point of their column that stand where that point is."""
    nearest: float = 6.0
    """Nearest of the points beyond lidar along z [m]."""
    farthest: float = 200.0
    """Farthest of the points beyond lidar along z [m], spread evenly in log depth."""
    largest_gap_ms: float = 60.0
    """Pictures and sweeps belong together up to this difference in time."""
    opacity: float = 0.3
    """Opacity of the first Gaussians."""


OF_THE_MACHINE = ("device", "backend", "picture_memory_mib")
"""Settings of where a run works and with how much memory, which may change when it resumes."""


@dataclass(frozen=True)
class TrainConfig:
    """A training run. It ends with the steps or the minutes, whichever is over first."""

    steps: int | None = 15_000
    """Optimiser steps, one picture each; none leaves it to the minutes."""
    max_minutes: float | None = None
    """Time for training [min]; every schedule is then stretched over it and completes."""
    density: DensityConfig = field(default_factory=ClassicDensity)
    """How Gaussians are added and removed."""
    groups: Groups = field(default_factory=Groups)
    """How a long drive is cut into groups."""
    dynamics: DynamicsConfig = field(default_factory=NoDynamics)
    """How things that move are modelled."""
    mask_moving: bool | None = None
    """Leave pixels of the mask `moving` out of training; none does as the scene spec says where nothing is
    modelled to move, and leaves nothing out where something is."""
    sh_degree: int = 1
    """Degree of the harmonics; each degree joins in after another tenth of the run."""
    mode: RasterizeMode = "antialiased"
    """Rasterizer mode; the scene is to be rendered in the same one."""
    sky_resolution: int = 128
    """Edge of the sky's cube map [texels]; 0 does without a sky."""
    appearance: bool = True
    """Fit an exposure for each picture."""
    camera_refinement: bool = True
    """Fit corrections of the camera poses."""
    initial: InitialPoints = field(default_factory=InitialPoints)
    """Where the first Gaussians come from."""
    weights: LossWeights = field(default_factory=LossWeights)
    """Weights of the parts of the loss."""
    rates: LearningRates = field(default_factory=LearningRates)
    """Learning rates."""
    eps2d: float = 0.1
    """Variance by which every Gaussian is widened in the picture [px^2]; a pixel's own is 1/12."""
    near_plane: float = 0.2
    """Gaussians nearer than this are not drawn [m]."""
    mask_dilation_px: int = 2
    """Masks of moving objects grow by this before their pixels are left out."""
    picture_memory_mib: int = 512
    """Decoded pictures are kept up to this [MiB], the latest first, in the memory of where training runs."""
    checkpoints: int = 4
    """How many checkpoints are written over the run, the last one at its end."""
    evaluations: int = 1
    """How often the held-out pictures are measured over the run, the last time at its end."""
    log_every: int = 50
    """Steps between two rows in the metrics file."""
    seed: int = 0
    """Seed of everything random."""
    backend: Backend = "auto"
    """Rasterizer backend."""
    device: str = "auto"
    """Where to train: cpu, cuda, cuda:1; auto is a GPU where there is one."""

    def __post_init__(self) -> None:
        if self.steps is None and self.max_minutes is None:
            raise ValueError("steps, max_minutes: expected at least one of them, got neither")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps: expected at least 1, got {self.steps}")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise ValueError(f"max_minutes: expected more than 0, got {self.max_minutes}")
        if not 0 <= self.sh_degree <= 4:
            raise ValueError(f"sh_degree: expected 0 to 4, got {self.sh_degree}")

    def on_machine_of(self, other: "TrainConfig") -> "TrainConfig":
        """These settings, but for those of the machine, which are the others'."""
        return replace(self, **{name: getattr(other, name) for name in OF_THE_MACHINE})

    @property
    def settings(self) -> RasterizeSettings:
        """How the scene is rasterized, in training and later."""
        return RasterizeSettings(mode=self.mode, near_plane=self.near_plane, eps2d=self.eps2d)

    def masks_moving(self, spec_says: bool) -> bool:
        """Whether moving pixels are left out of training, where the scene spec says so or not."""
        if self.mask_moving is not None:
            return self.mask_moving
        return spec_says and isinstance(self.dynamics, NoDynamics)

    def progress(self, step: int, seconds: float) -> float:
        """Fraction of the run that is over after some steps and seconds of training; 1 at the end."""
        by_steps = 0.0 if self.steps is None else step / self.steps
        by_time = 0.0 if self.max_minutes is None else seconds / (60 * self.max_minutes)
        return min(1.0, max(by_steps, by_time))

    def sh_degree_at(self, progress: float) -> int:
        """Degree of harmonics in use at a fraction of the run."""
        return min(self.sh_degree, int(progress * 10))
