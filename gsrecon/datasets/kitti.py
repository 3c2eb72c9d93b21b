"""Writing rendered drives in the layout of KITTI's object benchmark.

Each picture is a frame of its own: its camera is camera 2, its lens in P2, its place against the lidar in
Tr_velo_to_cam, and objects are where they are at its time, points on them too. Numbers have six decimals, so
that boxes project to where they are.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from gsrecon.datasets.kitti_boxes import KittiBox, kitti_type, occlusion, tilt_deg
from gsrecon.datasets.labeled import LabeledDrive, LabeledMoment, LabeledPicture
from gsrecon.datasets.rendered_files import picture_name, place_file
from gsrecon.labels.project import project_box
from gsrecon.labels.records import ObjectRecord
from gsrecon.scene.recording import RecordedCamera


def write_kitti(drive: LabeledDrive, folder: Path) -> dict[str, Any]:
    """Writes `training/` with image_2, label_2, calib and velodyne, `ImageSets/train.txt`, `pictures.txt`.

    Returns:
        What the format cannot hold: the largest tilt of a box against its camera.
    """
    root, number, tilts, names = folder / "training", 0, [0.0], []
    for name in ("image_2", "label_2", "calib", "velodyne"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for moment in drive.moments():
        sweep = None if moment.lidar is None else np.load(moment.lidar, allow_pickle=False)
        for picture in moment.pictures:
            stem = f"{number:06d}"
            place_file(picture.image, root / "image_2" / f"{stem}.png")
            lines = []
            for thing in picture.objects:
                line, tilt = _label(picture, thing)
                tilts.append(tilt)
                lines.append(line)
            (root / "label_2" / f"{stem}.txt").write_text("".join(lines), encoding="utf-8")
            (root / "calib" / f"{stem}.txt").write_text(
                _calibration(drive, moment, picture), encoding="utf-8"
            )
            if sweep is not None:
                points = _points_at(drive, moment, picture, sweep)
                (root / "velodyne" / f"{stem}.bin").write_bytes(points.tobytes())
            names.append(f"{stem} {picture_name(picture)}\n")
            number += 1
    (folder / "ImageSets").mkdir()
    (folder / "ImageSets" / "train.txt").write_text(
        "".join(f"{name.split()[0]}\n" for name in names), encoding="utf-8"
    )
    (folder / "pictures.txt").write_text("".join(names), encoding="utf-8")
    return {"largest tilt of a box that was lost [deg]": round(max(tilts), 4)}


def _label(picture: LabeledPicture, thing: ObjectRecord) -> tuple[str, float]:
    cam_from_actor = np.linalg.inv(picture.record.world_from_cam) @ thing.world_from_actor
    box = KittiBox.of(np.array(thing.size_lwh), cam_from_actor)
    # The 2D box is that of the 3D box as it is written, so that both agree.
    camera = picture.camera
    lens = RecordedCamera(camera.name, camera.K, camera.width, camera.height, camera.ego_from_cam)
    shown = project_box(lens, np.eye(4), box.size_lwh, box.cam_from_actor)
    left, top, right, bottom = thing.amodal_box if shown is None else shown.inside.tolist()
    truncation = thing.truncation if shown is None else shown.truncation
    numbers = [
        # Pixel centres lie at integers in KITTI, and its 2D boxes are in that frame.
        *(left - 0.5, top - 0.5, right - 0.5, bottom - 0.5),
        *box.size_hwl.tolist(),
        *box.bottom_in_cam.tolist(),
        box.rotation_y,
    ]
    words = [kitti_type(thing.category), f"{truncation:.6f}", str(occlusion(thing.visible_fraction))]
    words += [f"{box.alpha:.6f}", *(f"{number:.6f}" for number in numbers)]
    return " ".join(words) + "\n", tilt_deg(cam_from_actor)


def _points_at(
    drive: LabeledDrive, moment: LabeledMoment, picture: LabeledPicture, sweep: Float32[np.ndarray, "N 6"]
) -> Float32[np.ndarray, "N 4"]:
    """The moment's sweep at the time of one of its pictures: points on objects have moved along with them."""
    points = sweep[:, :4].astype("<f4")
    world_from_lidar = moment.world_from_ego @ _ego_from_lidar(drive)
    for thing in picture.record.objects:
        own = sweep[:, 5] == thing.number
        if thing.id in moment.poses and own.any():
            moved = thing.world_from_actor @ np.linalg.inv(moment.poses[thing.id])
            in_lidar = np.linalg.inv(world_from_lidar) @ moved @ world_from_lidar
            points[own, :3] = sweep[own, :3] @ in_lidar[:3, :3].T + in_lidar[:3, 3]
    return points


def _ego_from_lidar(drive: LabeledDrive) -> Float64[np.ndarray, "4 4"]:
    return np.eye(4) if drive.job.lidar is None else drive.job.lidar.ego_from_lidar


def _calibration(drive: LabeledDrive, moment: LabeledMoment, picture: LabeledPicture) -> str:
    P = np.zeros((3, 4))
    P[:, :3] = picture.camera.K
    P[:2, 2] -= 0.5
    ego_from_lidar = _ego_from_lidar(drive)
    world_from_lidar = moment.world_from_ego @ ego_from_lidar
    cam_from_lidar = np.linalg.inv(picture.record.world_from_cam) @ world_from_lidar
    rows = {f"P{k}": P for k in range(4)}
    rows |= {"R0_rect": np.eye(3), "Tr_velo_to_cam": cam_from_lidar[:3]}
    rows |= {"Tr_imu_to_velo": np.linalg.inv(ego_from_lidar)[:3]}
    return "".join(
        f"{name}: " + " ".join(f"{value:.12e}" for value in matrix.ravel()) + "\n"
        for name, matrix in rows.items()
    )
