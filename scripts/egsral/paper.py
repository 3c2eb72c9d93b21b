"""What EGSRAL (AAAI 2025) says it reached, as far as that is certain, and the specs of its tables."""

from dataclasses import dataclass

PAPER = (
    "EGSRAL: An Enhanced 3D Gaussian Splatting based Renderer with Automated Labeling for Large-Scale "
    "Driving Scene, AAAI 2025"
)


@dataclass(frozen=True)
class Reported:
    """Means over a table's scenes; None is not known here, and nothing is filled in for it."""

    psnr: float | None = None
    ssim: float | None = None
    lpips: float | None = None


@dataclass(frozen=True)
class Table:
    """One table of the paper: the specs whose mean it is."""

    title: str
    specs: tuple[str, ...]
    reported: Reported
    remark: str = ""


NUSCENES_S = Table(
    "nuScenes-S", tuple(f"nuscenes-s-{number}" for number in ("0164", "0209", "0359", "0916")), Reported()
)
NUSCENES_D = Table(
    "nuScenes-D",
    tuple(f"nuscenes-d-{number}" for number in ("0103", "0168", "0212", "0220", "0228", "0687")),
    Reported(),
)
NUSCENES = Table(
    "nuScenes",
    (*NUSCENES_S.specs, *NUSCENES_D.specs),
    Reported(psnr=29.04),
    "29.04 dB is the abstract's number for nuScenes, which does not say for which of the two sets of scenes.",
)
KITTI_CITY = Table(
    "KITTI City",
    ("kitti-city",),
    Reported(),
    "Which drive the paper takes was never published; scenes/kitti-city.toml says which one is assumed.",
)
TABLES = (NUSCENES_S, NUSCENES_D, NUSCENES, KITTI_CITY)
