"""What a toy drive is made of: one frozen dataclass, from which everything else follows."""

import math
from dataclasses import dataclass

MAX_CAMERAS = 6


@dataclass(frozen=True)
class ToyConfig:
    """A procedural street and a drive through it; equal configs give equal bits."""

    seed: int = 0
    """Layout, colours, textures and noise all follow from it."""
    length_m: float = 120.0
    """Distance driven along the street [m]."""
    step_m: float = 1.0
    """Distance between frames [m]; 120 m at 1 m are 121 frames."""
    speed_mps: float = 8.0
    """Speed of the ego car [m/s]; with step_m it sets the frame rate."""
    cameras: int = 3
    """Cameras of the rig, 1 to 6: front, front left, front right, back left, back right, back."""
    width: int = 400
    """Picture width [px]."""
    height: int = 225
    """Picture height [px]."""
    fov_deg: float = 80.0
    """Horizontal field of view of every camera [deg]."""
    samples_per_pixel: int = 4
    """Samples averaged in every pixel."""
    parked_cars: int = 14
    """Cars at the kerb, at most as many as the parking lanes hold."""
    moving_cars: int = 4
    """Cars that drive: every second one comes towards the ego car, the others drive ahead."""
    pedestrians: int = 8
    """People on the pavements; the first one crosses the street."""
    trees: bool = True
    """Trees along the kerb, with leaves of real geometry."""
    shadows: bool = True
    """Shadows of the sun; off leaves every surface lit."""
    lidar_beams: int = 32
    """Beams of the spinning lidar on the roof; 0 leaves the lidar out."""
    lidar_azimuths: int = 900
    """Shots of each beam in one turn."""
    lidar_noise_m: float = 0.02
    """Standard deviation of the measured range [m]."""
    lidar_range_m: float = 100.0
    """Farthest return [m]."""

    def __post_init__(self) -> None:
        limits = {
            "length_m": (0.0, 5000.0),
            "step_m": (0.01, 100.0),
            "speed_mps": (0.1, 60.0),
            "cameras": (1, MAX_CAMERAS),
            "width": (1, 8192),
            "height": (1, 8192),
            "fov_deg": (10.0, 150.0),
            "samples_per_pixel": (1, 64),
            "parked_cars": (0, 10000),
            "moving_cars": (0, 1000),
            "pedestrians": (0, 1000),
            "lidar_beams": (0, 256),
            "lidar_azimuths": (1, 10000),
            "lidar_noise_m": (0.0, 10.0),
            "lidar_range_m": (1.0, 1000.0),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}: expected {low} to {high}, got {value}")

    @property
    def frames(self) -> int:
        """Frames of each camera, the first and the last metre included."""
        return math.floor(self.length_m / self.step_m + 1e-9) + 1

    @property
    def focal_px(self) -> float:
        """Focal length of every camera [px]."""
        return 0.5 * self.width / math.tan(math.radians(0.5 * self.fov_deg))

    @property
    def frame_interval_us(self) -> int:
        """Time between frames [us]."""
        return round(1e6 * self.step_m / self.speed_mps)
