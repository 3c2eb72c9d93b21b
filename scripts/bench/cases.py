"""What is measured and what it should reach."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """The street scene at one number of Gaussians and one picture size."""

    gaussians: int
    width: int
    """[px]"""
    height: int
    """[px]"""
    forward_target_ms: float | None = None
    """Target of the forward pass on 2 threads."""
    both_target_ms: float | None = None
    """Target of forward and backward pass together on 2 threads."""

    @property
    def name(self) -> str:
        """As in the documents, such as 100k_640x360."""
        count = f"{self.gaussians // 1000}k" if self.gaussians >= 1000 else str(self.gaussians)
        return f"{count}_{self.width}x{self.height}"


STREET = (
    Case(100_000, 640, 360, 15, 33),
    Case(500_000, 640, 360, 45, 90),
    Case(100_000, 1600, 900, 35, 95),
    Case(500_000, 1600, 900, 90, 200),
)
SMOKE = (Case(2000, 160, 90),)

TARGET_MACHINE_FMA = 6.9
"""Rate of 512-bit multiply-adds of one core of the machine the targets were set on [1e9/s]."""
