"""What was recorded: cameras, pictures, lidar, tracks and lanes of one drive, read lazily."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64, UInt8

from gsrecon.data.pictures import (
    PictureCache,
    PictureSource,
    average_by_area,
    decode_ids,
    decode_rgb,
    resize_by_area,
    resize_nearest,
)
from gsrecon.data.points import read_points
from gsrecon.data.projection import project
from gsrecon.data.sparse_points import SparsePoints
from gsrecon.data.trajectory import poses_at
from gsrecon.data.undistort import RadialTangentialLens
from gsrecon.errors import DatasetError
from gsrecon.geometry.camera import CameraModel


@dataclass(frozen=True)
class Camera:
    """One physical camera of the rig, inside conventions (pixel centres at +0.5)."""

    name: str
    K: Float64[np.ndarray, "3 3"]
    width: int
    height: int
    ego_from_cam: Float64[np.ndarray, "4 4"]
    model: CameraModel = "pinhole"
    distortion: tuple[float, float, float, float] | None = None
    recorded_lens: RadialTangentialLens | None = None
    """How the stored pictures and masks are bent, where they are; the log gives them undistorted."""


@dataclass(frozen=True)
class CameraFrame:
    """One picture with its own time and pose."""

    camera: str
    index: int
    """Position in the camera's recording, from 0; train/test splits refer to it."""
    timestamp_us: int
    world_from_cam: Float64[np.ndarray, "4 4"]
    image: PictureSource
    masks: Mapping[str, PictureSource] = field(default_factory=dict)
    """Masks by name, non-zero where the name holds: `ego`, `ignore`, `sky`, `moving`, and the id
    pictures `semantic`, `instance`. `ego` and `ignore` pixels never count."""
    key_frame: int | None = None
    """Number of the annotated moment (nuScenes: the sample) the picture belongs to, from 0; None for
    pictures between two such moments, and where the recording has none."""


@dataclass(frozen=True)
class LidarSweep:
    """One turn of the lidar; the timestamp is the end of the turn."""

    timestamp_us: int
    world_from_lidar: Float64[np.ndarray, "4 4"]
    points: Path | np.ndarray
    """A file the log's reader knows how to decode, or [N, 3+] float32 in the lidar frame [m]."""
    key_frame: int | None = None
    """Number of the annotated moment the sweep belongs to: see `CameraFrame.key_frame`."""


_MOVES_M = 0.5  # a track whose boxes lie further apart than this moves


@dataclass(frozen=True)
class Track:
    """One annotated object over time; parked objects too."""

    id: str
    category: str
    size_lwh: Float64[np.ndarray, " 3"]
    """Length, width, height [m]."""
    timestamps_us: Int64[np.ndarray, " T"]
    world_from_actor: Float64[np.ndarray, "T 4 4"]
    """Box centres, x along the length."""
    reach_us: int = 0
    """How long before its first and after its last annotation the object is known to be there as well,
    its motion going on [us]: the pictures of one annotated moment are not all taken at its very time."""

    @property
    def moves(self) -> bool:
        """True where a box lies more than half a metre from the first one: it is not parked all the time."""
        places = self.world_from_actor[:, :3, 3]
        return bool((np.linalg.norm(places - places[:1], axis=1) > _MOVES_M).any())

    def world_from_actor_at(self, timestamp_us: int) -> Float64[np.ndarray, "4 4"] | None:
        """The pose interpolated to a time; None further than `reach_us` outside of the annotations."""
        first, last = self.timestamps_us[0], self.timestamps_us[-1]
        if not first - self.reach_us <= timestamp_us <= last + self.reach_us:
            return None
        return poses_at(self.timestamps_us, self.world_from_actor, np.array([timestamp_us]))[0]


@dataclass(frozen=True)
class Lane:
    """A lane line or map line."""

    id: str
    kind: str
    points_in_world: Float64[np.ndarray, "P 3"]


@dataclass(frozen=True, kw_only=True)
class DrivingLog:
    """One recorded drive. Pictures and points are decoded when asked for; nothing is preprocessed.

    Frames: world is metric, z up, with the source's axes and its origin at the first ego pose; ego is
    x forward, y left, z up; cameras are OpenCV; pixel centres lie at +0.5.
    """

    name: str
    source: str
    """`kitti-raw`, `kitti-odometry`, `nuscenes`, `images`, `folder` or `toy`."""
    cameras: Mapping[str, Camera]
    frames: tuple[CameraFrame, ...]
    """By time, then in the order of `cameras`."""
    ego_timestamps_us: Int64[np.ndarray, " T"]
    """Ascending, at least one; the first is the log's time zero."""
    world_from_ego: Float64[np.ndarray, "T 4 4"]
    source_from_world: Float64[np.ndarray, "4 4"]
    """From world back to the coordinates the recording came in."""
    convention: str
    """One sentence: the source's frames, pixel centres and time, and what was converted."""
    sweeps: tuple[LidarSweep, ...] = ()
    sparse_points: SparsePoints | None = None
    """Points found in the pictures themselves; None where the poses came without any."""
    tracks: tuple[Track, ...] = ()
    lanes: tuple[Lane, ...] = ()
    licence: str = ""
    recorded_sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """(width, height) of a camera's stored pictures where it is not the camera's size: see `at_scale`."""
    crops: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)
    """(left, top, width, height) of the part of a camera's stored pictures that is used: see `cropped`."""
    pictures: PictureCache = field(default_factory=PictureCache, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.ego_timestamps_us) == 0 or len(self.ego_timestamps_us) != len(self.world_from_ego):
            raise ValueError(
                f"ego_timestamps_us and world_from_ego: expected the same number, at least one, "
                f"got {len(self.ego_timestamps_us)} and {len(self.world_from_ego)}"
            )
        for frame in self.frames:
            if frame.camera not in self.cameras:
                raise ValueError(
                    f"frames: frame {frame.index} belongs to camera {frame.camera!r}, expected one of "
                    f"{sorted(self.cameras)}"
                )
        order = {name: i for i, name in enumerate(self.cameras)}
        ordered = tuple(sorted(self.frames, key=lambda frame: (frame.timestamp_us, order[frame.camera])))
        object.__setattr__(self, "frames", ordered)

    @property
    def start_us(self) -> int:
        """The log's time zero: the first ego timestamp, whichever frames are selected."""
        return int(self.ego_timestamps_us[0])

    def time_s(self, timestamp_us: int) -> float:
        """Seconds from the log's start."""
        return (int(timestamp_us) - self.start_us) * 1e-6

    def image(self, frame: CameraFrame) -> UInt8[np.ndarray, "H W 3"]:
        """The picture as RGB in the camera's size; the array is the caller's own.

        Raises:
            DatasetError: The file is missing, truncated or of another size; the message names it.
        """
        camera = self.cameras[frame.camera]

        def load() -> np.ndarray:
            pixels = self._used_part(frame, frame.image, decode_rgb(frame.image))
            return resize_by_area(pixels, camera.width, camera.height)

        return self._cached("rgb", frame.image, camera, load)

    def mask(self, frame: CameraFrame, name: str) -> Bool[np.ndarray, "H W"] | None:
        """True where the named mask holds; None where the frame has no such mask.

        In a resized log `sky` holds where it covers at least half of a pixel, every other mask where it
        covers any of it.

        Raises:
            DatasetError: The file is missing, truncated or of another size; the message names it.
        """
        source = frame.masks.get(name)
        if source is None:
            return None
        camera = self.cameras[frame.camera]

        def load() -> np.ndarray:
            ids = self._used_part(frame, source, decode_ids(source))
            if ids.shape == (camera.height, camera.width):
                return ids != 0
            share = average_by_area((ids != 0)[..., None], camera.width, camera.height)[..., 0]
            return share >= 0.5 if name == "sky" else share > 1e-6

        return self._cached(f"mask {name}", source, camera, load)

    def ids(self, frame: CameraFrame, name: str) -> Int32[np.ndarray, "H W"] | None:
        """The numbers in an id picture (`semantic`, `instance`); None where the frame has none.

        Raises:
            DatasetError: The file is missing, truncated or of another size; the message names it.
        """
        source = frame.masks.get(name)
        if source is None:
            return None
        camera = self.cameras[frame.camera]

        def load() -> np.ndarray:
            ids = self._used_part(frame, source, decode_ids(source))
            return resize_nearest(ids, camera.width, camera.height)

        return self._cached("ids", source, camera, load)

    def valid(self, frame: CameraFrame) -> Bool[np.ndarray, "H W"]:
        """False on pixels that never count.

        Those of the own car (`ego`), what the user excludes (`ignore`), and what undistorted pictures show
        of places that nobody recorded.
        """
        camera = self.cameras[frame.camera]
        valid = np.ones((camera.height, camera.width), dtype=bool)
        for name in ("ego", "ignore"):
            mask = self.mask(frame, name)
            if mask is not None:
                valid &= ~mask
        if camera.recorded_lens is not None and not camera.recorded_lens.seen.all():
            valid &= ~self._covered(frame.camera, ~camera.recorded_lens.seen)
        return valid

    def points(self, sweep: LidarSweep) -> Float32[np.ndarray, "N 3"]:
        """The sweep's points in the lidar frame [m].

        Raises:
            DatasetError: The file is missing, truncated or holds NaN; the message names file and count.
        """
        return read_points(sweep.points)

    def nearest_sweep(self, timestamp_us: int, max_gap_us: int) -> LidarSweep | None:
        """The sweep nearest in time, or None where the nearest is more than `max_gap_us` away."""
        if not self.sweeps:
            return None
        nearest = min(self.sweeps, key=lambda sweep: abs(sweep.timestamp_us - timestamp_us))
        return nearest if abs(nearest.timestamp_us - timestamp_us) <= max_gap_us else None

    def depth_points(
        self, frame: CameraFrame, max_gap_us: int = 60_000
    ) -> tuple[Float32[np.ndarray, "M 2"], Float32[np.ndarray, " M"]]:
        """Sparse lidar in a frame: pixels (x, y; centres at +0.5) and depth along z [m].

        The sweep nearest in time is taken; two empty arrays where it is further away than `max_gap_us`.
        Points behind the camera or outside its picture are left out; points hidden from the camera by
        something nearer are not.
        """
        sweep = self.nearest_sweep(frame.timestamp_us, max_gap_us)
        if sweep is None:
            return np.zeros((0, 2), np.float32), np.zeros(0, np.float32)
        camera = self.cameras[frame.camera]
        cam_from_lidar = np.linalg.inv(frame.world_from_cam) @ sweep.world_from_lidar
        points_in_cam = self.points(sweep) @ cam_from_lidar[:3, :3].T + cam_from_lidar[:3, 3]
        points_in_cam = points_in_cam[points_in_cam[:, 2] > 0.1]
        pixels = project(points_in_cam, camera.K, camera.model, camera.distortion)
        inside = ((pixels >= 0) & (pixels < [camera.width, camera.height])).all(axis=1)
        return pixels[inside].astype(np.float32), points_in_cam[inside, 2].astype(np.float32)

    def at_scale(self, scale: float) -> "DrivingLog":
        """The same log with pictures, masks and intrinsics resized.

        Sizes are rounded to whole pixels and each row of K is multiplied by its own exact ratio.
        """
        if not 0 < scale <= 1:
            raise ValueError(f"scale: expected above 0 and at most 1, got {scale}")
        if scale == 1:
            return self
        return replace(
            self,
            cameras={name: _resized(camera, scale) for name, camera in self.cameras.items()},
            recorded_sizes={name: self._recorded_size(name) for name in self.cameras},
            pictures=PictureCache(self.pictures.limit_bytes),
        )

    def cropped(self, width: int, height: int) -> "DrivingLog":
        """The same log with the middle of every picture and mask; `at_scale` comes after it, not before.

        Raises:
            ValueError: A camera's pictures are smaller, or the log was resized or cropped before.
        """
        if self.recorded_sizes:
            raise ValueError(
                "cropped: expected a log as it was recorded, got one that was resized or cropped"
            )
        crops = {}
        for name, camera in self.cameras.items():
            if not (1 <= width <= camera.width and 1 <= height <= camera.height):
                raise ValueError(
                    f"width and height: expected at most {camera.width} x {camera.height} (camera {name}), "
                    f"got {width} x {height}"
                )
            crops[name] = ((camera.width - width) // 2, (camera.height - height) // 2, width, height)
        return replace(
            self,
            cameras={name: _cropped(camera, crops[name]) for name, camera in self.cameras.items()},
            recorded_sizes={name: self._recorded_size(name) for name in self.cameras},
            crops=crops,
            pictures=PictureCache(self.pictures.limit_bytes),
        )

    def select(
        self,
        cameras: Sequence[str] | None = None,
        start: int | None = None,
        stop: int | None = None,
        stride: int = 1,
    ) -> "DrivingLog":
        """The frames of some cameras with index in range(start, stop, stride); everything else is kept.

        Lidar, tracks and the ego trajectory stay whole, and so does the log's time zero.
        """
        names = list(self.cameras) if cameras is None else list(cameras)
        for name in names:
            if name not in self.cameras:
                raise ValueError(f"cameras: expected some of {sorted(self.cameras)}, got {name!r}")
        if stride < 1:
            raise ValueError(f"stride: expected at least 1, got {stride}")
        first = 0 if start is None else start
        frames = tuple(
            frame
            for frame in self.frames
            if frame.camera in names
            and frame.index >= first
            and (stop is None or frame.index < stop)
            and (frame.index - first) % stride == 0
        )
        return replace(self, cameras={name: self.cameras[name] for name in names}, frames=frames)

    def _cached(
        self, kind: str, source: PictureSource, camera: Camera, load: Callable[[], np.ndarray]
    ) -> np.ndarray:
        """The caller's own copy; pixels already in memory are not kept a second time."""
        if isinstance(source, Path):
            return self.pictures.get((kind, source, camera.name, camera.width, camera.height), load)
        return load().copy()

    def _recorded_size(self, camera: str) -> tuple[int, int]:
        return self.recorded_sizes.get(camera, (self.cameras[camera].width, self.cameras[camera].height))

    def _used_part(self, frame: CameraFrame, source: PictureSource, pixels: np.ndarray) -> np.ndarray:
        """A stored picture, its size checked, undistorted and without what `cropped` left out."""
        width, height = self._recorded_size(frame.camera)
        if pixels.shape[:2] != (height, width):
            name = source if isinstance(source, Path) else f"frame {frame.index} of {frame.camera}"
            raise DatasetError(
                f"{name}: the picture is {pixels.shape[1]} x {pixels.shape[0]}, but camera "
                f"{frame.camera} has {width} x {height}; correct the camera's size and K or the picture"
            )
        lens = self.cameras[frame.camera].recorded_lens
        if lens is not None:
            pixels = lens.undistort(pixels) if pixels.ndim == 3 else lens.undistort_ids(pixels)
        return self._crop(frame.camera, pixels)

    def _crop(self, camera: str, pixels: np.ndarray) -> np.ndarray:
        left, top, wide, high = self.crops.get(camera, (0, 0, *self._recorded_size(camera)))
        return np.ascontiguousarray(pixels[top : top + high, left : left + wide])

    def _covered(self, camera: str, mask: Bool[np.ndarray, "_H _W"]) -> Bool[np.ndarray, "H W"]:
        """Pixels of the camera's size that a mask of the recorded size covers any of."""
        size = self.cameras[camera]
        part = self._crop(camera, mask)
        if part.shape == (size.height, size.width):
            return part
        return average_by_area(part[..., None], size.width, size.height)[..., 0] > 1e-6


def _resized(camera: Camera, scale: float) -> Camera:
    width = max(1, round(camera.width * scale))
    height = max(1, round(camera.height * scale))
    ratios = np.diag([width / camera.width, height / camera.height, 1.0])
    return replace(camera, K=ratios @ camera.K, width=width, height=height)


def _cropped(camera: Camera, crop: tuple[int, int, int, int]) -> Camera:
    left, top, width, height = crop
    K = camera.K.copy()
    K[:2, 2] -= left, top
    return replace(camera, K=K, width=width, height=height)
