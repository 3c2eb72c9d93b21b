"""KITTI raw's annotated objects, `tracklet_labels.xml`.

Source: KITTI raw development kit, readme.txt, section "Tracklet labels": poses are of the centre of the
box's bottom, in the velodyne's frame, one a frame from `first_frame` on.
"""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float64, Int64

from gsrecon.data.kitti_oxts import rotation_from_angles
from gsrecon.data.log import Track
from gsrecon.errors import DatasetError


def read_tracklets(
    path: Path, timestamps_us: Int64[np.ndarray, " T"], world_from_velo: Float64[np.ndarray, "T 4 4"]
) -> tuple[Track, ...]:
    """Tracks in world, keyed at the lidar's times.

    Args:
        path: `tracklet_labels.xml`.
        timestamps_us: Time of each frame's lidar turn.
        world_from_velo: The lidar's pose at those times; boxes are moved by their own frame's pose before
            anything is interpolated, so that a parked car stays where it is.

    Raises:
        DatasetError: The file is no tracklet file or names a frame the drive does not have.
    """
    try:
        listed = ElementTree.parse(path).getroot().find("./tracklets")
        if listed is None:
            raise _MissingElementError("<tracklets> is missing")
        items = listed.findall("./item")
        return tuple(
            _track(item, number, path, timestamps_us, world_from_velo) for number, item in enumerate(items)
        )
    except (ElementTree.ParseError, _MissingElementError, ValueError) as error:
        raise DatasetError(f"{path}: the tracklets cannot be read ({error}); copy the file again") from error


class _MissingElementError(Exception):
    pass


def _track(
    item: ElementTree.Element,
    number: int,
    path: Path,
    timestamps_us: Int64[np.ndarray, " T"],
    world_from_velo: Float64[np.ndarray, "T 4 4"],
) -> Track:
    height, width, length = (_number(item, name) for name in ("h", "w", "l"))
    poses = item.findall("./poses/item")
    if not poses:
        raise _MissingElementError(f"tracklet {number} has no poses")
    first = int(_number(item, "first_frame"))
    frames = slice(first, first + len(poses))
    if first < 0 or frames.stop > len(timestamps_us):
        raise DatasetError(
            f"{path}: tracklet {number} covers frames {first} to {frames.stop - 1}, but the drive has "
            f"{len(timestamps_us)} frames; use the tracklets that belong to this drive"
        )
    values = np.array([[_number(pose, n) for n in ("tx", "ty", "tz", "rx", "ry", "rz")] for pose in poses])
    velo_from_actor = np.tile(np.eye(4), (len(poses), 1, 1))
    velo_from_actor[:, :3, :3] = rotation_from_angles(*values[:, 3:].T)
    # From the centre of the bottom to the centre of the box, along the box's own up.
    velo_from_actor[:, :3, 3] = values[:, :3] + velo_from_actor[:, :3, 2] * (0.5 * height)
    return Track(
        id=f"{number:04d}",
        category=(item.findtext("objectType") or "Misc").strip(),
        size_lwh=np.array([length, width, height]),
        timestamps_us=timestamps_us[frames].copy(),
        world_from_actor=world_from_velo[frames] @ velo_from_actor,
    )


def _number(element: ElementTree.Element, name: str) -> float:
    text = element.findtext(name)
    if text is None:
        raise _MissingElementError(f"<{name}> is missing")
    return float(text)
