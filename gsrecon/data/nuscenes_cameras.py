"""The cameras of a nuScenes scene."""

from dataclasses import replace

from gsrecon.data.log import Camera
from gsrecon.data.nuscenes_tables import Reading, SceneTables
from gsrecon.data.undistort import RadialTangentialLens
from gsrecon.errors import DatasetError
from gsrecon.geometry.recorded import is_pinhole

_CAMERA_ORDER = (
    "CAM_FRONT",
    "CAM_FRONT_LEFT",
    "CAM_FRONT_RIGHT",
    "CAM_BACK_LEFT",
    "CAM_BACK_RIGHT",
    "CAM_BACK",
)


def read_cameras(tables: SceneTables) -> dict[str, Camera]:
    """The cameras that took pictures in the scene, nuScenes' six in a fixed order, others after them.

    Raises:
        DatasetError: There are none, or a camera has no sensible calibration, or two of them.
    """
    first: dict[str, Reading] = {}
    for reading in tables.readings:
        if reading.modality != "camera":
            continue
        start = first.setdefault(reading.channel, reading)
        if _lens(start) != _lens(reading):
            raise DatasetError(
                f"{tables.root}: {tables.name} gives {reading.channel} two calibrations or sizes (the second "
                f"from {reading.filename} on); give the camera one, or cut the scene there"
            )
    if not first:
        raise DatasetError(f"{tables.root}: {tables.name} has no pictures; choose another scene")
    order = [name for name in _CAMERA_ORDER if name in first]
    order += sorted(set(first) - set(order))
    return {name: _camera(first[name], tables) for name in order}


def _lens(reading: Reading) -> tuple[int, int, list[list[float]], tuple[float, ...]]:
    assert reading.intrinsic is not None
    return reading.width, reading.height, reading.intrinsic.tolist(), reading.distortion


def _camera(reading: Reading, tables: SceneTables) -> Camera:
    assert reading.intrinsic is not None
    K = reading.intrinsic.copy()
    if reading.width < 1 or reading.height < 1 or not (K[0, 0] > 0 and K[1, 1] > 0):
        raise DatasetError(
            f"{tables.root}: {tables.name} gives {reading.channel} the size {reading.width} x "
            f"{reading.height} and the focal lengths {K[0, 0]} and {K[1, 1]}; correct sample_data and "
            "calibrated_sensor"
        )
    if not is_pinhole(K):
        raise DatasetError(
            f"{tables.root}: {tables.name} gives {reading.channel} the camera_intrinsic {K.tolist()}, but "
            "cameras have [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] here; take the skew out of its pictures and "
            "correct calibrated_sensor"
        )
    K[:2, 2] += 0.5
    camera = Camera(reading.channel, K, reading.width, reading.height, reading.ego_from_sensor)
    return _undistorted(camera, reading.distortion, tables) if any(reading.distortion) else camera


def _undistorted(camera: Camera, distortion: tuple[float, ...], tables: SceneTables) -> Camera:
    """The camera of the undistorted pictures, which the log makes of the stored ones."""
    k1, k2, p1, p2, k3, *others = [*distortion, *[0.0] * 5][: max(5, len(distortion))]
    coefficients = (k1, k2, p1, p2, k3)
    try:
        if any(others):
            raise ValueError("more than k1, k2, p1, p2, k3 are given")
        lens = RadialTangentialLens.widest(camera.K, coefficients, camera.width, camera.height)
    except ValueError as error:
        raise DatasetError(
            f"{tables.root}: {tables.name} gives {camera.name} a camera_distortion that is no radial-"
            f"tangential lens ({error}); undistort its pictures and remove the column"
        ) from error
    return replace(camera, K=lens.K_undistorted, recorded_lens=lens)
