"""One picture with its exact truth: a ray through every pixel centre, more samples for the colour."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32, UInt8

from gsrecon.data.log import Camera
from gsrecon.data.toy.world import Hits, Moment, World


@dataclass(frozen=True)
class ToyTruth:
    """What a camera sees, exactly."""

    image: UInt8[np.ndarray, "H W 3"]
    """RGB, averaged over each pixel."""
    depth: Float32[np.ndarray, "H W"]
    """Depth along the camera's z through the pixel's centre [m]; inf where the sky is."""
    instance: Int32[np.ndarray, "H W"]
    """Object at the pixel's centre, 0 where there is none; `ToyDrive.instance_ids` names them."""
    semantic: UInt8[np.ndarray, "H W"]
    """Class at the pixel's centre, a key of `SEMANTIC_CLASSES`."""


def take_picture(
    world: World, camera: Camera, world_from_cam: Float64[np.ndarray, "4 4"], time_s: float
) -> ToyTruth:
    """Renders a pinhole camera at a pose and time.

    The rays through the pixel centres give depth and ids. Pixels whose neighbours all show the same flat
    face need no further rays: their other samples lie on that face. All other pixels are traced again,
    once for every sample.
    """
    height, width = camera.height, camera.width
    moment = Moment(world, time_s)
    origin = world_from_cam[:3, 3]
    rotation = world_from_cam[:3, :3].astype(np.float32)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x, y = x.ravel(), y.ravel()

    def rays(
        dx: np.ndarray | float, dy: np.ndarray | float, rows: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        across = (x[rows] + np.float32(dx) - np.float32(camera.K[0, 2])) / np.float32(camera.K[0, 0])
        down = (y[rows] + np.float32(dy) - np.float32(camera.K[1, 2])) / np.float32(camera.K[1, 1])
        # Depth along z is the distance in lengths of these directions.
        return (rotation @ np.stack([across, down, np.ones_like(across)])).T

    centre = world.trace(origin, rays(0.5, 0.5), moment)
    face = np.where(centre.triangle >= 0, world.group[centre.triangle], -1).reshape(height, width)
    edge = _differs_from_neighbours(face).ravel()
    image = np.zeros((height * width, 3), dtype=np.float32)
    # A face's texture is filtered already: half as many samples do there.
    samples = world.config.samples_per_pixel
    for rows, count in ((np.flatnonzero(edge), samples), (np.flatnonzero(~edge), (samples + 1) // 2)):
        angle = 1 / (camera.K[0, 0] * np.sqrt(count))
        for dx, dy in sample_offsets(count):
            directions = rays(dx, dy, rows)
            if edge[rows[:1]].any():
                hits = world.trace(origin, directions, moment)
            else:
                triangle, distance = centre.triangle[rows], centre.distance[rows]
                face_rows = np.flatnonzero(triangle >= 0)
                distance[face_rows] = world.flat_distance(
                    triangle[face_rows], origin, directions[face_rows], moment
                )
                hits = Hits(triangle, distance)
            image[rows] += world.shade(hits, origin, directions, angle, moment) / np.float32(count)
    return ToyTruth(
        image=_encode(image).reshape(height, width, 3),
        depth=centre.distance.reshape(height, width),
        instance=np.where(centre.triangle >= 0, world.instance[centre.triangle], 0)
        .astype(np.int32)
        .reshape(height, width),
        semantic=np.where(centre.triangle >= 0, world.semantic[centre.triangle], 0)
        .astype(np.uint8)
        .reshape(height, width),
    )


def sample_offsets(count: int) -> Float64[np.ndarray, "count 2"]:
    """Places of the samples inside a pixel, spread evenly in x and y (Hammersley)."""
    index = np.arange(count)
    radical, base, rest = np.zeros(count), 0.5, index.copy()
    while rest.any():
        radical += base * (rest & 1)
        rest >>= 1
        base *= 0.5
    # Centred, so that the samples have no shift on average.
    return np.stack([(index + 0.5) / count, radical - radical.mean() + 0.5], axis=-1)


def _differs_from_neighbours(face: np.ndarray) -> np.ndarray:
    """True where any of the eight neighbours shows another face."""
    low, high = face.copy(), face.copy()
    for axis in (0, 1):
        for array, pick in ((low, np.minimum), (high, np.maximum)):
            source = array.copy()
            ahead = [slice(None), slice(None)]
            behind = [slice(None), slice(None)]
            ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
            pick(array[tuple(ahead)], source[tuple(behind)], out=array[tuple(ahead)])
            pick(array[tuple(behind)], source[tuple(ahead)], out=array[tuple(behind)])
    return low != high


_EXPOSURE = 0.5
_BRIGHTEST = 4.0


def _tone_curve() -> UInt8[np.ndarray, " 4096"]:
    """Display codes for linear light 0 to _BRIGHTEST: a filmic curve (Narkowicz's fit of ACES), gamma 2.2."""
    x = _EXPOSURE * np.linspace(0, _BRIGHTEST, 4096)
    shown = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)
    return np.round(255 * np.clip(shown, 0, 1) ** (1 / 2.2)).astype(np.uint8)


_CODES = _tone_curve()


def _encode(linear: Float32[np.ndarray, "N 3"]) -> UInt8[np.ndarray, "N 3"]:
    """8-bit pixels from linear light."""
    place = np.clip(linear * np.float32(4095 / _BRIGHTEST) + np.float32(0.5), 0, 4095)
    return _CODES[place.astype(np.int32)]
