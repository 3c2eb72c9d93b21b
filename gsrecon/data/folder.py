"""The drive folder: `drive.json` and the files it names, the way in for anybody's recordings.

The format is described for people in docs/drive-folder.md and for programs in drive.schema.json.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from gsrecon.data.folder_values import Value
from gsrecon.data.folder_writing import write_folder as write_folder
from gsrecon.data.log import Camera, CameraFrame, DrivingLog, Lane, LidarSweep, Track
from gsrecon.data.trajectory import poses_at
from gsrecon.data.undistort import RadialTangentialLens

_OPTIONAL = ("name", "licence", "convention", "ego", "lidar", "tracks", "lanes", "source_from_world")
_MODELS = ("pinhole", "fisheye", "radial-tangential")
# A camera at the ego origin that looks forward: x right, y down, z forward.
_LOOKS_FORWARD = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def read_folder(path: Path | str) -> DrivingLog:
    """Reads a drive folder (or its drive.json).

    World is moved so that the first ego pose is at the origin; `source_from_world` keeps the way back.

    Raises:
        DatasetError: drive.json has an unknown key or a wrong value, or a file it names is missing; the
            message names the file and the JSON path.
    """
    given = Path(path)
    file = given if given.suffix == ".json" else given / "drive.json"
    top = Value.load(file).members(("format_version", "pixel_centers", "cameras", "frames"), _OPTIONAL)
    top["format_version"].choice(1)
    first_pixel_centre = float(top["pixel_centers"].choice(0, 0.5))
    cameras = {
        name: _camera(name, entry, first_pixel_centre) for name, entry in top["cameras"].named().items()
    }
    ego = _ego(top["ego"]) if "ego" in top else None
    frames = _frames(top["frames"], cameras, ego)
    if not frames:
        raise top["frames"].error("at least one frame")
    times, world_from_ego = ego if ego is not None else _ego_of_frames(frames, cameras)
    log = DrivingLog(
        name=top["name"].text() if "name" in top else file.resolve().parent.name,
        source="folder",
        cameras=cameras,
        frames=tuple(frames),
        sweeps=tuple(_sweep(entry) for entry in top["lidar"].items()) if "lidar" in top else (),
        tracks=tuple(_track(entry) for entry in top["tracks"].items()) if "tracks" in top else (),
        lanes=tuple(_lane(entry) for entry in top["lanes"].items()) if "lanes" in top else (),
        ego_timestamps_us=times,
        world_from_ego=world_from_ego,
        source_from_world=top["source_from_world"].rigid() if "source_from_world" in top else np.eye(4),
        convention=top["convention"].text()
        if "convention" in top
        else f"Drive folder: pixel centres were counted from {first_pixel_centre}; world as written, z up.",
        licence=top["licence"].text() if "licence" in top else "",
    )
    return _moved_to_origin(log)


def _camera(name: str, entry: Value, first_pixel_centre: float) -> Camera:
    members = entry.members(
        ("width", "height", "K"), ("model", "distortion", "K_undistorted", "ego_from_cam")
    )
    K = members["K"].intrinsics(first_pixel_centre)
    camera = Camera(
        name=name,
        K=K,
        width=members["width"].whole(1),
        height=members["height"].whole(1),
        ego_from_cam=members["ego_from_cam"].rigid() if "ego_from_cam" in members else _LOOKS_FORWARD.copy(),
    )
    model = members["model"].choice(*_MODELS) if "model" in members else "pinhole"
    if model == "radial-tangential":
        lens = _lens(entry, members, camera, first_pixel_centre)
        return replace(camera, K=lens.K_undistorted, recorded_lens=lens)
    if "K_undistorted" in members:
        raise members["K_undistorted"].error("none: only a radial-tangential camera is undistorted")
    if "distortion" not in members:
        return replace(camera, model=model)
    if model == "pinhole":
        raise members["distortion"].error(
            'none for a pinhole camera; name its lens: model "radial-tangential" or "fisheye"'
        )
    k1, k2, k3, k4 = members["distortion"].numbers(4).tolist()
    return replace(camera, model=model, distortion=(k1, k2, k3, k4))


def _lens(
    entry: Value, members: dict[str, Value], recorded: Camera, first_pixel_centre: float
) -> RadialTangentialLens:
    """The lens of a camera whose K and size are those of its stored pictures."""
    if "distortion" not in members:
        raise entry.error("distortion k1, k2, p1, p2 (and k3) of the radial-tangential lens")
    given = members["distortion"].numbers(-1).tolist()
    if len(given) not in (4, 5):
        raise members["distortion"].error("k1, k2, p1, p2 (and k3) of the radial-tangential lens")
    k1, k2, p1, p2, k3 = [*given, 0.0][:5]
    coefficients = (k1, k2, p1, p2, k3)
    size = (recorded.width, recorded.height)
    try:
        lens = RadialTangentialLens.widest(recorded.K, coefficients, *size)
    except ValueError:
        raise members["distortion"].error(
            "k1, k2, p1, p2 (and k3) of a lens whose middle is near a pinhole"
        ) from None
    chosen = members.get("K_undistorted")
    return lens if chosen is None else replace(lens, K_undistorted=chosen.intrinsics(first_pixel_centre))


_Trajectory = tuple[Int64[np.ndarray, " T"], Float64[np.ndarray, "T 4 4"]]


def _ego(entries: Value) -> _Trajectory:
    return _poses(entries, "world_from_ego")


def _poses(entries: Value, pose_key: str) -> _Trajectory:
    """Times and poses of a list of { timestamp_us, pose }, times ascending."""
    times: list[int] = []
    poses = []
    for entry in entries.items():
        members = entry.members(("timestamp_us", pose_key))
        time = members["timestamp_us"].whole()
        if times and time <= times[-1]:
            raise members["timestamp_us"].error(f"a time after the entry before ({times[-1]})")
        times.append(time)
        poses.append(members[pose_key].rigid())
    if not times:
        raise entries.error("at least one entry")
    return np.array(times, dtype=np.int64), np.stack(poses)


def _frames(entries: Value, cameras: dict[str, Camera], ego: _Trajectory | None) -> list[CameraFrame]:
    frames = []
    counts = dict.fromkeys(cameras, 0)
    taken: set[tuple[str, int]] = set()
    for entry in entries.items():
        members = entry.members(
            ("camera", "image", "timestamp_us"), ("index", "world_from_cam", "masks", "key_frame")
        )
        name = members["camera"].choice(*cameras)
        time = members["timestamp_us"].whole()
        index = members["index"].whole(0) if "index" in members else counts[name]
        if (name, index) in taken:
            raise members.get("index", entry).error(f"an index that no other frame of {name} has ({index})")
        taken.add((name, index))
        counts[name] = index + 1
        if "world_from_cam" in members:
            pose = members["world_from_cam"].rigid()
        elif ego is not None and ego[0][0] <= time <= ego[0][-1]:
            pose = poses_at(*ego, np.array([time]))[0] @ cameras[name].ego_from_cam
        else:
            raise entry.error("world_from_cam, or a timestamp_us within the times of ego,")
        masks = members["masks"].named() if "masks" in members else {}
        frames.append(
            CameraFrame(
                camera=name,
                index=index,
                timestamp_us=time,
                world_from_cam=pose,
                image=members["image"].path(),
                masks={mask: value.path() for mask, value in masks.items()},
                key_frame=members["key_frame"].whole(0) if "key_frame" in members else None,
            )
        )
    return frames


def _ego_of_frames(frames: list[CameraFrame], cameras: dict[str, Camera]) -> _Trajectory:
    """The trajectory that the first camera with frames drove, seen from the ego."""
    used = next(name for name in cameras if any(frame.camera == name for frame in frames))
    found = {
        frame.timestamp_us: frame.world_from_cam @ np.linalg.inv(cameras[used].ego_from_cam)
        for frame in frames
        if frame.camera == used
    }
    times = sorted(found)
    return np.array(times, dtype=np.int64), np.stack([found[time] for time in times])


def _sweep(entry: Value) -> LidarSweep:
    members = entry.members(("points", "timestamp_us", "world_from_lidar"), ("key_frame",))
    return LidarSweep(
        timestamp_us=members["timestamp_us"].whole(),
        world_from_lidar=members["world_from_lidar"].rigid(),
        points=members["points"].path(),
        key_frame=members["key_frame"].whole(0) if "key_frame" in members else None,
    )


def _track(entry: Value) -> Track:
    members = entry.members(("id", "category", "size_lwh", "poses"), ("reach_us",))
    size = members["size_lwh"].numbers(3)
    if (size <= 0).any():
        raise members["size_lwh"].error("length, width, height above 0")
    times, poses = _poses(members["poses"], "world_from_actor")
    reach_us = members["reach_us"].whole(0) if "reach_us" in members else 0
    return Track(members["id"].text(), members["category"].text(), size, times, poses, reach_us)


def _lane(entry: Value) -> Lane:
    members = entry.members(("id", "kind", "points"))
    return Lane(members["id"].text(), members["kind"].text(), members["points"].numbers(-1, 3))


def _moved_to_origin(log: DrivingLog) -> DrivingLog:
    """World with its origin at the first ego pose; a log that has it there already stays bit for bit."""
    origin = log.world_from_ego[0, :3, 3].copy()
    if np.abs(origin).max() < 1e-6:  # rounding is no displacement, and would break exact round trips
        return log
    given_from_world = np.eye(4)
    given_from_world[:3, 3] = origin

    def moved(poses: np.ndarray) -> np.ndarray:
        result = poses.copy()
        result[..., :3, 3] -= origin
        return result

    return replace(
        log,
        frames=tuple(replace(frame, world_from_cam=moved(frame.world_from_cam)) for frame in log.frames),
        sweeps=tuple(replace(sweep, world_from_lidar=moved(sweep.world_from_lidar)) for sweep in log.sweeps),
        tracks=tuple(replace(track, world_from_actor=moved(track.world_from_actor)) for track in log.tracks),
        lanes=tuple(replace(lane, points_in_world=lane.points_in_world - origin) for lane in log.lanes),
        world_from_ego=moved(log.world_from_ego),
        source_from_world=log.source_from_world @ given_from_world,
    )
