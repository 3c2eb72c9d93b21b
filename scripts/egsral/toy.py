"""The toy drive in the layouts that EGSRAL's tables need, so that every step runs without the data sets."""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gsrecon.data.spec import find_spec
from gsrecon.data.toy import ToyConfig, make_toy
from gsrecon.datasets.nuscenes import NuscenesSettings, write_nuscenes
from scripts.egsral.kitti_writing import write_kitti_raw

KITTI_DRIVE = Path("2011_09_28") / "2011_09_28_drive_0002_sync"
_SPEED = 8.0  # [m/s]
_SMALL = ToyConfig(
    speed_mps=_SPEED,
    width=64,
    height=36,
    samples_per_pixel=1,
    trees=False,
    lidar_beams=16,
    lidar_azimuths=180,
)


def toy_nuscenes(specs: Iterable[str], folder: Path) -> Path:
    """One small street under the name of every scene: six cameras at 12 Hz, 161 frames of each.

    Samples are half a second apart, as nuScenes' are, so 40 frames follow upon the 21st.
    """
    names = sorted({find_spec(spec).scene for spec in specs})
    config = replace(_SMALL, cameras=6, step_m=_SPEED / 12, length_m=160 * _SPEED / 12)
    log = make_toy(config, cache=None).log
    logs = [replace(log, name=name) for name in names]
    return write_nuscenes(logs, folder, "v1.0-trainval", NuscenesSettings(key_interval_s=0.5))


def toy_kitti(folder: Path, frames: int = 11) -> Path:
    """A street of the pictures' size of 2011-09-28, 1224 x 370, which the spec cuts to 1216 x 368."""
    config = replace(_SMALL, cameras=1, width=1224, height=370, step_m=_SPEED / 10)
    config = replace(config, length_m=(frames - 1) * config.step_m)
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    write_kitti_raw(make_toy(config, cache=None).log, aside / KITTI_DRIVE)
    return aside.rename(folder)
