"""The road around the car in one lidar sweep: a smooth surface, and small patches of it in a world grid."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

_HYPOTHESES = 200
_STEEPEST = 0.35  # rise over run of ground that a car drives on, in a frame that may itself be tilted
_CURVATURE = 0.01  # spread of the surface's second derivatives that is expected [1/m]
_NARROWEST_M = 1.0  # ground that is a narrower strip than this says nothing about the tilt across it
_REFINEMENTS = 8


@dataclass(frozen=True)
class GroundSettings:
    """What counts as ground."""

    radius_m: float = 30.0
    """Points further from the car than this are not used [m]."""
    nearest_m: float = 2.0
    """Nor are points nearer: they may be the car's own roof [m]."""
    cell_m: float = 1.0
    """Side of a patch [m]."""
    tolerance_m: float = 0.12
    """Cells nearer to a plane than this, and 1 % of their distance, support it [m]."""
    fewest_cells: int = 40
    """With fewer cells on one surface no ground was seen."""


@dataclass(frozen=True)
class GroundSurface:
    """z = c0 + c1 x + c2 y + c3 x^2 + c4 x y + c5 y^2 around the car [m]."""

    coefficients: Float64[np.ndarray, " 6"]

    def height(self, places: Float[np.ndarray, "N 2"]) -> Float64[np.ndarray, " N"]:
        """Z at places (x, y) [m]."""
        return _monomials(places) @ self.coefficients

    def normals(self, places: Float[np.ndarray, "N 2"]) -> Float64[np.ndarray, "N 3"]:
        """Unit vectors that stand on the surface and point up."""
        c, (x, y) = self.coefficients, places.T
        slopes = np.stack([c[1] + 2 * c[3] * x + c[4] * y, c[2] + c[4] * x + 2 * c[5] * y], axis=1)
        up = np.concatenate([-slopes, np.ones((len(slopes), 1))], axis=1)
        return up / np.linalg.norm(up, axis=1, keepdims=True)


@dataclass(frozen=True)
class GroundPatches:
    """Ground that one sweep saw, at most one patch in each cell of a grid that is fixed in the world."""

    cells: Int64[np.ndarray, " K"]
    """Numbers of the cells, ascending; the same place has the same number in every sweep."""
    points: Float64[np.ndarray, "K 3"]
    """A point on each patch, in world as it was recorded [m]."""
    normals: Float64[np.ndarray, "K 3"]
    """Unit vectors up from the patches, in world as it was recorded."""
    sigma_m: Float64[np.ndarray, " K"]
    """How well the height of each patch is known, one standard deviation [m]."""


def ground_patches(
    points_in_world: Float[np.ndarray, "N 3"],
    car_in_world: Float64[np.ndarray, " 3"],
    settings: GroundSettings = GroundSettings(),
) -> GroundPatches | None:
    """The patches of ground in a sweep; None where too little of one smooth surface is seen.

    Args:
        points_in_world: The sweep's points; world may be tilted by a few degrees [m].
        car_in_world: Where the car is [m].
        settings: What counts as ground.
    """
    points = points_in_world - car_in_world
    distance = np.hypot(points[:, 0], points[:, 1])
    near = (distance < settings.radius_m) & (distance > settings.nearest_m)
    points, cells = points[near], _cell_numbers(points_in_world[near], settings.cell_m)
    if len(points) < settings.fewest_cells:
        return None
    # By cell, the lowest first: each cell's run of points starts with its ground.
    order = np.lexsort((points[:, 2], cells))
    points, cells = points[order], cells[order]
    names, start, count = np.unique(cells, return_index=True, return_counts=True)
    low = points[start + count // 10]
    surface = fit_ground(low, settings)
    if surface is None:
        return None
    above = points[:, 2] - surface.height(points[:, :2])
    above_low = points[:, 2] - np.repeat(low[:, 2], count)
    reach = 2 * settings.tolerance_m + 0.02 * np.hypot(points[:, 0], points[:, 1])
    # A kerb or a wheel in the cell is left out by the second condition.
    belongs = (np.abs(above) < reach) & (np.abs(above_low) < settings.tolerance_m)
    return _patches_of(points[belongs], above[belongs], cells[belongs], surface, car_in_world, names)


def fit_ground(
    points: Float[np.ndarray, "C 3"], settings: GroundSettings = GroundSettings()
) -> GroundSurface | None:
    """The smooth surface that most of the points lie on, the car at the origin; None without one.

    A plane is found by sample consensus (always with the same random numbers), then a quadric by
    reweighted least squares, whose curvature is held back where nothing shows it.

    Args:
        points: The low points of cells around the car [m].
        settings: What counts as ground.
    """
    if len(points) < settings.fewest_cells:
        return None
    limit = settings.tolerance_m + 0.01 * np.hypot(points[:, 0], points[:, 1])
    on_plane = _best_plane(points, limit)
    if on_plane.sum() < settings.fewest_cells:
        return None
    spread = np.linalg.eigvalsh(np.cov(points[on_plane, :2].T))
    if spread[0] < _NARROWEST_M**2:
        return None
    terms = _monomials(points[:, :2])
    ridge = np.diag([0, 0, 0, 1.0, 1.0, 1.0]) * (0.02 / _CURVATURE) ** 2
    weight = on_plane.astype(np.float64)
    coefficients = np.zeros(6)
    for _ in range(_REFINEMENTS):
        weighted = terms * weight[:, None]
        coefficients = np.linalg.solve(
            weighted.T @ terms + ridge + 1e-9 * np.eye(6), weighted.T @ points[:, 2]
        )
        error = (points[:, 2] - terms @ coefficients) / (2 * limit)
        weight = np.clip(1 - error * error, 0, None) ** 2  # Tukey's biweight
    return GroundSurface(coefficients)


def _best_plane(points: Float[np.ndarray, "C 3"], limit: Float64[np.ndarray, " C"]) -> Bool[np.ndarray, " C"]:
    """Which points lie within the limit of the drivable plane that has the most of them."""
    rng = np.random.default_rng(0)
    corners = points[rng.integers(0, len(points), (_HYPOTHESES, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    steep = np.hypot(normals[:, 0], normals[:, 1]) > _STEEPEST * np.abs(normals[:, 2])
    # A plane through three cells side by side is no hypothesis about the rest.
    small = np.abs(normals[:, 2]) < 4.0
    normals = normals[~(steep | small)]
    corners = corners[~(steep | small), 0]
    if len(normals) == 0:
        return np.zeros(len(points), dtype=bool)
    normals = normals / normals[:, 2:]
    above = normals @ points.T - (normals * corners).sum(axis=1)[:, None]
    supported = np.abs(above) < limit
    return supported[supported.sum(axis=1).argmax()]


def _patches_of(
    points: Float[np.ndarray, "M 3"],
    above: Float64[np.ndarray, " M"],
    cells: Int64[np.ndarray, " M"],
    surface: GroundSurface,
    car_in_world: Float64[np.ndarray, " 3"],
    names: Int64[np.ndarray, " C"],
) -> GroundPatches:
    """Averages each cell's points along the surface; heights are kept relative to it, so slopes cancel."""
    number = np.searchsorted(names, cells)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(number, values, len(names))[seen] / count

    count = np.bincount(number, minlength=len(names))
    seen = count > 0
    count = count[seen]
    places = np.stack([mean(points[:, 0]), mean(points[:, 1])], axis=1)
    rise = mean(above)
    scatter = np.maximum(mean(above * above) - rise * rise, 0.03**2)
    far = 0.001 * np.hypot(places[:, 0], places[:, 1])
    return GroundPatches(
        cells=names[seen],
        points=np.concatenate([places, (surface.height(places) + rise)[:, None]], axis=1) + car_in_world,
        normals=surface.normals(places),
        sigma_m=np.sqrt(0.02**2 + far**2 + scatter / count),
    )


def _cell_numbers(points: Float[np.ndarray, "N 3"], cell_m: float) -> Int64[np.ndarray, " N"]:
    """One number for each cell of an endless grid."""
    column, row = np.floor(points[:, :2] / cell_m).astype(np.int64).T
    return column * (1 << 31) + row


def _monomials(places: Float[np.ndarray, "N 2"]) -> Float64[np.ndarray, "N 6"]:
    x, y = np.asarray(places, dtype=np.float64).T
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
