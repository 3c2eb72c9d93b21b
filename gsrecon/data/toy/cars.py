"""Cars made of parts: body, cabin with windows, wheels, lights, plates, mirrors."""

from collections.abc import Sequence

import numpy as np

from gsrecon.data.toy.classes import CLASS_ID
from gsrecon.data.toy.mesh import Colour, MeshBuilder, Point
from gsrecon.data.toy.textures import TILE

PAINTS: tuple[Colour, ...] = (
    (0.55, 0.56, 0.57),
    (0.045, 0.05, 0.06),
    (0.42, 0.03, 0.03),
    (0.04, 0.10, 0.30),
    (0.70, 0.69, 0.65),
    (0.20, 0.22, 0.24),
    (0.05, 0.20, 0.12),
    (0.58, 0.30, 0.04),
    (0.16, 0.30, 0.42),
)
_GLASS: Colour = (0.035, 0.05, 0.065)
_TYRE: Colour = (0.025, 0.025, 0.027)
_TRIM: Colour = (0.05, 0.05, 0.055)

# Outlines seen from the left, x forward from the rear bumper and z up, as shares of length and height:
# body below the window line, then the cabin's four corners (rear bottom, front bottom, front top, rear top).
_SHAPES = {
    "hatchback": (
        (4.05, 1.76, 1.48),
        [(0, 0.2), (0.02, 0.56), (0.05, 0.62), (0.70, 0.62), (0.95, 0.50), (1, 0.40), (1, 0.18)],
        [(0.03, 0.62), (0.75, 0.61), (0.55, 1.0), (0.10, 1.0)],
    ),
    "sedan": (
        (4.6, 1.82, 1.45),
        [
            (0, 0.22),
            (0.0, 0.55),
            (0.03, 0.63),
            (0.16, 0.65),
            (0.68, 0.64),
            (0.96, 0.52),
            (1, 0.40),
            (1, 0.18),
        ],
        [(0.12, 0.65), (0.73, 0.63), (0.55, 1.0), (0.27, 1.0)],
    ),
    "van": (
        (4.9, 1.95, 2.05),
        [(0, 0.16), (0.0, 0.55), (0.02, 0.58), (0.80, 0.55), (0.97, 0.42), (1, 0.32), (1, 0.14)],
        [(0.01, 0.58), (0.88, 0.53), (0.72, 1.0), (0.02, 1.0)],
    ),
}


def add_car(builder: MeshBuilder, rng: np.random.Generator) -> None:
    """Adds one car to `builder` in its current frame: on the ground, x forward, middle at the origin."""
    builder.semantic = CLASS_ID["car"]
    name = ("hatchback", "sedan", "van")[rng.choice(3, p=[0.45, 0.4, 0.15])]
    (length, width, height), body, cabin = _SHAPES[name]
    length *= rng.uniform(0.96, 1.05)
    paint = PAINTS[rng.integers(len(PAINTS))]
    half = 0.5 * width

    def place(outline: Sequence[Point]) -> np.ndarray:
        return np.array([((x - 0.5) * length, z * height) for x, z in outline])

    _add_body(builder, place(body), half, paint)
    _add_cabin(builder, place(cabin), half, paint)
    radius = 0.22 * min(height, 1.5)
    for x in (0.19, 0.80):
        for side in (-1.0, 1.0):
            _add_wheel(builder, ((x - 0.5) * length, side * (half - 0.1), radius), radius, side)
    _add_details(builder, place(body), half, height, paint)


def _side(points: np.ndarray, y: float | np.ndarray) -> np.ndarray:
    """Points [P, 2] in x, z as [P, 3] at lateral place y."""
    return np.stack([points[:, 0], np.broadcast_to(y, len(points)), points[:, 1]], axis=-1)


def _add_body(builder: MeshBuilder, outline: np.ndarray, half: float, paint: Colour) -> None:
    """The outline is widest at the shoulder and drawn in above and below it."""
    low, high = outline[:, 1].min(), outline[:, 1].max()
    share = (outline[:, 1] - low) / (high - low)
    inset = np.where(share > 0.75, 0.06, np.where(share < 0.1, 0.05, 0.0))
    right, left = _side(outline, -(half - inset)), _side(outline, half - inset)
    count = len(outline)
    for i in range(count):
        j = (i + 1) % count
        tone = tuple(0.6 * c for c in paint) if i == count - 1 else paint
        builder.polygon([right[i], left[i], left[j], right[j]], TILE["metal"], tone)
    middle = np.array([outline[:, 0].mean(), 0.55 * (low + high)])
    for ring, y, order in ((left, half, 1), (right, -half, -1)):
        centre = np.array([middle[0], y, middle[1]])
        for i in range(count):
            j = (i + 1) % count
            builder.polygon([centre, ring[j], ring[i]][::order], TILE["metal"], paint)


def _add_cabin(builder: MeshBuilder, corners: np.ndarray, half: float, paint: Colour) -> None:
    """Four corners in x, z; the sides lean inwards; every side carries a window set into it."""
    y = np.array([half - 0.07, half - 0.07, half - 0.24, half - 0.24])
    left, right = _side(corners, y), _side(corners, -y)
    rear_low, front_low, front_high, rear_high = range(4)
    builder.polygon(
        [left[front_high], left[rear_high], right[rear_high], right[front_high]], TILE["metal"], paint
    )
    faces = {
        "left": [left[front_low], left[rear_low], left[rear_high], left[front_high]][::-1],
        "right": [right[rear_low], right[front_low], right[front_high], right[rear_high]][::-1],
        "front": [right[front_low], left[front_low], left[front_high], right[front_high]],
        "rear": [left[rear_low], right[rear_low], right[rear_high], left[rear_high]],
    }
    for name, face in faces.items():
        face = np.array(face)
        if name in ("left", "right"):
            face = face[::-1]
        builder.polygon(face, TILE["metal"], paint)
        normal = np.cross(face[1] - face[0], face[3] - face[0])
        normal /= np.linalg.norm(normal)
        for start, end in ((0.05, 0.46), (0.52, 0.93)) if name in ("left", "right") else ((0.07, 0.93),):
            window = _inside(face, (start, end), (0.1, 0.86)) + 0.006 * normal
            builder.polygon(window, TILE["plain"], _GLASS)


def _inside(face: np.ndarray, across: Point, up: Point) -> np.ndarray:
    """The part of a four-cornered face between shares of its width and of its height."""
    corners = []
    for s, t in ((0, 0), (1, 0), (1, 1), (0, 1)):
        bottom = face[0] + across[s] * (face[1] - face[0])
        top = face[3] + across[s] * (face[2] - face[3])
        corners.append(bottom + up[t] * (top - bottom))
    return np.array(corners)


def _add_wheel(builder: MeshBuilder, centre: Point, radius: float, side: float) -> None:
    x, y, z = centre
    arch = 1.22 * radius
    builder.tube(
        (x, y, z + 0.02),
        (x, y + side * 0.103, z + 0.02),
        (arch, arch),
        TILE["plain"],
        (0.015, 0.015, 0.015),
        16,
    )
    builder.tube((x, y - 0.11, z), (x, y + 0.11, z), (radius, radius), TILE["plain"], _TYRE, sides=14)
    outer = y + side * 0.112
    builder.tube(
        (x, y, z), (x, outer, z), (0.62 * radius, 0.62 * radius), TILE["metal"], (0.4, 0.4, 0.41), 10
    )
    builder.tube(
        (x, y, z), (x, outer + side * 0.004, z), (0.2 * radius, 0.2 * radius), TILE["plain"], _TRIM, 6
    )


def _add_details(
    builder: MeshBuilder, outline: np.ndarray, half: float, height: float, paint: Colour
) -> None:
    front, rear = outline[:, 0].max(), outline[:, 0].min()
    z = 0.38 * height if height < 1.8 else 0.3 * height
    plain = TILE["plain"]
    for side in (-1, 1):
        y0, y1 = sorted((side * (half - 0.08), side * (half - 0.42)))
        builder.box((front - 0.14, y0, z - 0.05), (front + 0.012, y1, z + 0.09), plain, (0.85, 0.85, 0.8))
        builder.box((rear - 0.012, y0, z + 0.06), (rear + 0.1, y1, z + 0.24), plain, (0.5, 0.02, 0.02))
        y0, y1 = sorted((side * half, side * (half + 0.16)))
        builder.box(
            (0.17 * front * 2, y0, 0.6 * z / 0.38), (0.17 * front * 2 + 0.1, y1, 0.7 * z / 0.38), plain, paint
        )
        y = side * (half + 0.002)
        builder.box((rear * 0.55, min(y, 0.98 * y), 0.2), (front * 0.5, max(y, 0.98 * y), 0.28), plain, _TRIM)
        for x in (-0.12, 0.2):
            x0 = x * 2 * front
            y0, y1 = sorted((side * (half - 0.02), side * (half + 0.02)))
            builder.box((x0, y0, 0.5 * height), (x0 + 0.16, y1, 0.5 * height + 0.03), plain, _TRIM)
    builder.box((front - 0.1, -half + 0.12, 0.24), (front + 0.02, half - 0.12, 0.36), plain, _TRIM)
    builder.box((front - 0.1, -half + 0.45, z - 0.06), (front + 0.008, half - 0.45, z + 0.07), plain, _TRIM)
    builder.box((rear - 0.02, -half + 0.12, 0.26), (rear + 0.1, half - 0.12, 0.4), plain, _TRIM)
    for x0, x1 in ((front, front + 0.03), (rear - 0.03, rear)):
        builder.box((x0, -0.26, z - 0.06), (x1, 0.26, z + 0.05), plain, (0.8, 0.78, 0.6))
