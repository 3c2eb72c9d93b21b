"""When and for which Gaussians the deformation networks run in training."""

from dataclasses import dataclass, field

from gsrecon.gaussians.schedule import Rounds


@dataclass(frozen=True)
class Phase:
    """What holds for one step. The default is what holds outside training."""

    active: bool = True
    """Off: the scene stands still."""
    sampled_share: float = 0.0
    """Random share of the static Gaussians on which the networks run as well, with a threshold of 0."""
    discovering: bool = False
    """The threshold is 0 for all: whoever crosses it does so without a step back."""
    time_noise_s: float = 0.0
    """Standard deviation of the noise on the time the networks are told [s]."""


@dataclass(frozen=True)
class DeformationSchedule:
    """Fractions of the run."""

    warm_up: float = 0.02
    """Before this nothing deforms: the static world takes shape."""
    discovery: float = 0.25
    """From the warm-up to here the networks also run on a random part of all Gaussians."""
    discovery_share: float = 1 / 3
    """That part."""
    revivals: Rounds = field(default_factory=lambda: Rounds(0.3, 0.8, 5))
    """After the discovery, spells in which some static Gaussians are tried again."""
    revival_length: float = 0.01
    """Length of a spell."""
    revival_share: float = 0.05
    """Random part of the static Gaussians that are tried in each of its steps."""
    time_noise: float = 0.5
    """Standard deviation of the time noise at its beginning, in intervals between pictures."""
    time_noise_stop: float = 0.4
    """The noise falls linearly to zero until here."""

    def __post_init__(self) -> None:
        if not 0 <= self.warm_up <= self.discovery <= 1:
            raise ValueError(
                f"warm_up, discovery: expected 0 <= warm_up <= discovery <= 1, got {self.warm_up} and "
                f"{self.discovery}"
            )
        for name in ("discovery_share", "revival_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected 0 to 1, got {getattr(self, name)}")

    def at(self, progress: float, interval_s: float) -> Phase:
        """The phase at a fraction of the run.

        Args:
            progress: Fraction of the run that is over.
            interval_s: Time between pictures of one camera [s].
        """
        if progress < self.warm_up:
            return Phase(active=False)
        left = 1 - progress / self.time_noise_stop if self.time_noise_stop > 0 else 0.0
        noise = max(0.0, left) * self.time_noise * interval_s
        if progress < self.discovery:
            return Phase(True, self.discovery_share, discovering=True, time_noise_s=noise)
        reviving = self.revivals.passed(progress) > self.revivals.passed(progress - self.revival_length)
        return Phase(True, self.revival_share if reviving else 0.0, time_noise_s=noise)
