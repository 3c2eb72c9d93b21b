"""Plain pictures or a video as a DrivingLog: poses and points by COLMAP, metres from what is known."""

import logging
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

from gsrecon.data.images_found import VIDEO_SUFFIXES, Picture, Pictures, Stream, arrange, find_streams
from gsrecon.data.images_metres import Placed, find_metres, lidar_files
from gsrecon.data.images_settings import ImagesSettings, Lidar, read_settings
from gsrecon.data.images_sfm import FoundLens, Model, reconstruct
from gsrecon.data.images_video import video_pictures
from gsrecon.data.images_world import choose_ego_camera, find_axes
from gsrecon.data.log import Camera, CameraFrame, DrivingLog, LidarSweep
from gsrecon.data.progress import Progress
from gsrecon.data.sparse_points import SparsePoints
from gsrecon.data.trajectory import poses_at
from gsrecon.data.undistort import RadialTangentialLens
from gsrecon.errors import DatasetError
from gsrecon.geometry.recorded import nearest_rotation
from gsrecon.geometry.rigid import assemble, inverse
from gsrecon.geometry.sim3 import Sim3

_log = logging.getLogger(__name__)

_NAMED = 5
"""Pictures that a message names before it counts the others."""


def read_images(path: Path | str, progress: Progress | None = None) -> DrivingLog:
    """Reads a folder of pictures, of one sub folder for each camera, or of videos; or one video.

    What else is known stands in `images.toml` in the folder (`NAME.toml` beside the video `NAME.mp4`); see
    docs/image-drives.md. COLMAP takes minutes; its result is kept in the user's cache folder.

    World: z up and x ahead of the first ego pose, taken from the cameras and their path; metric where the
    scale is known. Ego sits in one camera, x where that camera drives. Source is COLMAP's frame in metres.

    Args:
        path: The folder or video.
        progress: Told what is being done and the share done; None logs it.

    Raises:
        BackendUnavailableError: pycolmap is not installed.
        DatasetError: Pictures or settings are wrong, or less than half of the pictures can be connected.
    """
    where = Path(path)
    settings = read_settings(where / "images.toml" if where.is_dir() else where.with_suffix(".toml"))
    report = progress or _Logged()
    streams = {camera: _stream(files, settings) for camera, files in find_streams(where, settings).items()}
    pictures = arrange(streams, where, settings)
    model = reconstruct(pictures, settings, where, report)
    _require_connected(model, pictures, where)
    return _log_of(pictures, model, settings, where)


class _Logged:
    """Progress as log messages, one for each new stage and each fifth of the whole."""

    def __init__(self) -> None:
        self._said = ("", 0)

    def __call__(self, stage: str, share: float) -> None:
        now = (stage, int(share * 5))
        if now != self._said:
            self._said = now
            _log.info("poses from pictures: %s, %.0f %%", stage, 100 * share)


def _stream(files: list[Path], settings: ImagesSettings) -> Stream:
    if files[0].suffix.lower() in VIDEO_SUFFIXES:
        return video_pictures(files[0], settings.video_fps)
    return [(file, None) for file in files]


def _require_connected(model: Model, pictures: Pictures, where: Path) -> None:
    """Goes on with the largest part that hangs together, if it is at least half."""
    placed = set(model.names)
    lost = [picture for picture in pictures.all if picture.name not in placed]
    if not lost:
        return
    shown = ", ".join(f"{picture.camera}/{picture.file.name}" for picture in lost[:_NAMED])
    if len(lost) > _NAMED:
        shown += f" and {len(lost) - _NAMED} more"
    told = f"{where}: COLMAP could not connect {len(lost)} of {len(pictures.all)} pictures ({shown})"
    if 2 * len(placed) < len(pictures.all) or len(placed) < 3:
        raise DatasetError(
            f"{told}; give K and masks of what moves in images.toml, add the pictures in between, or give "
            "each part a folder of its own"
        )
    _log.warning("%s; the scene is made of the others", told)


def _log_of(pictures: Pictures, model: Model, settings: ImagesSettings, where: Path) -> DrivingLog:
    poses = dict(zip(model.names, model.world_from_cam, strict=True))
    placed = [picture for picture in pictures.all if picture.name in poses]
    by_camera = {
        camera: np.stack([poses[picture.name] for picture in placed if picture.camera == camera])
        for camera in pictures.sizes
        if any(picture.camera == camera for picture in placed)
    }
    ego_camera = settings.ego_camera or choose_ego_camera(by_camera)
    if ego_camera not in by_camera:
        raise DatasetError(
            f"{where}: no picture of the ego camera {ego_camera} was connected; choose another"
        )
    times = np.array([p.timestamp_us for p in placed if p.camera == ego_camera], dtype=np.int64)
    axes = find_axes(by_camera[ego_camera])
    upright = by_camera[ego_camera][:, :3, 3] @ axes.world_from_source.T
    metres = find_metres(
        Placed(
            model=model,
            pictures=pictures,
            ego_camera=ego_camera,
            positions=upright,
            seconds=float(times[-1] - times[0]) * 1e-6,
            points=model.points @ axes.world_from_source.T,
        ),
        settings,
        where,
    )
    # In metres, upright, with its origin at the first ego pose.
    world_from_model = Sim3(
        metres.scale,
        torch.from_numpy(axes.world_from_source),
        torch.from_numpy(-metres.scale * upright[0]),
    )
    cam_from_ego = np.eye(4)
    cam_from_ego[:3, :3] = axes.ego_from_cam.T
    moved = dict(zip(model.names, _moved(world_from_model, model.world_from_cam), strict=True))
    world_from_ego = _moved(world_from_model, by_camera[ego_camera]) @ cam_from_ego
    cameras = {}
    for name in by_camera:
        of_camera = [picture for picture in placed if picture.camera == name]
        ego_from_cam = (
            np.linalg.inv(cam_from_ego)
            if name == ego_camera
            else _mounting(
                np.stack([moved[picture.name] for picture in of_camera]),
                poses_at(
                    times, world_from_ego, np.array([p.timestamp_us for p in of_camera], dtype=np.int64)
                ),
            )
        )
        cameras[name] = _camera(name, model.lenses[name], pictures.sizes[name], ego_from_cam, where)
    return DrivingLog(
        name=where.resolve().stem,
        source="images",
        cameras=cameras,
        frames=tuple(
            CameraFrame(
                camera=picture.camera,
                index=picture.index,
                timestamp_us=picture.timestamp_us,
                world_from_cam=moved[picture.name],
                image=picture.file,
                masks=picture.masks,
            )
            for picture in placed
        ),
        ego_timestamps_us=times,
        world_from_ego=world_from_ego,
        source_from_world=_in_metres(world_from_model),
        convention=(
            f"Poses and lenses by COLMAP; source is its frame in metres ({metres.words}), turned z "
            f"up by the cameras and their path; ego sits in the camera {ego_camera}, x where it drives; "
            f"{pictures.clock}."
        ),
        sweeps=() if settings.lidar is None else _sweeps(settings.lidar, pictures, moved),
        sparse_points=_sparse_points(model, world_from_model, placed),
    )


def _moved(world_from_model: Sim3, poses: Float64[np.ndarray, "F 4 4"]) -> Float64[np.ndarray, "F 4 4"]:
    return world_from_model.motions(torch.from_numpy(poses)).numpy()


def _in_metres(world_from_model: Sim3) -> Float64[np.ndarray, "4 4"]:
    """`source_from_world`: the model's frame without its unit."""
    return inverse(assemble(world_from_model.rotation, world_from_model.translation)).numpy()


def _camera(
    name: str, lens: FoundLens, size: tuple[int, int], ego_from_cam: Float64[np.ndarray, "4 4"], where: Path
) -> Camera:
    """Pinhole and fisheye cameras stay as COLMAP found them; others are undistorted when they are read."""
    if lens.model == "OPENCV_FISHEYE" or lens.distortion is None:
        model = "pinhole" if lens.distortion is None else "fisheye"
        return Camera(name, lens.K, *size, ego_from_cam, model, lens.distortion)
    coefficients = (*lens.distortion, 0.0)
    try:
        recorded = RadialTangentialLens.widest(lens.K, coefficients, *size)
    except ValueError as error:
        raise DatasetError(
            f"{where}: the lens found for {name} describes no camera ({error}); set its lens in images.toml, "
            "best with K"
        ) from error
    return Camera(name, recorded.K_undistorted, *size, ego_from_cam, recorded_lens=recorded)


def _mounting(
    world_from_cam: Float64[np.ndarray, "F 4 4"], world_from_ego: Float64[np.ndarray, "F 4 4"]
) -> Float64[np.ndarray, "4 4"]:
    """The mean of `ego_from_cam` over frames: nearest rotation, median translation."""
    found = np.linalg.inv(world_from_ego) @ world_from_cam
    mounting = np.eye(4)
    mounting[:3, :3] = nearest_rotation(found[:, :3, :3].sum(axis=0))
    mounting[:3, 3] = np.median(found[:, :3, 3], axis=0)
    return mounting


def _sweeps(lidar: Lidar, pictures: Pictures, moved: dict[str, np.ndarray]) -> tuple[LidarSweep, ...]:
    return tuple(
        LidarSweep(picture.timestamp_us, moved[picture.name] @ lidar.cam_from_lidar, file)
        for picture, file in lidar_files(lidar, pictures)
        if picture.name in moved
    )


def _sparse_points(model: Model, world_from_model: Sim3, placed: list[Picture]) -> SparsePoints:
    index = {picture.name: (picture.camera, picture.index) for picture in placed}
    return SparsePoints(
        points_in_world=world_from_model.points(torch.from_numpy(model.points)).numpy(),
        colors=model.colors,
        frames=tuple(index[name] for name in model.names),
        seen_points=model.seen_points,
        seen_frames=model.seen_images,
    )
