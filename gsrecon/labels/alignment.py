"""Poses of one drive in two worlds, and the smooth map between them.

A scene whose poses were found from pictures (COLMAP) has a world of its own: turned, moved, of another scale,
and bent by drift. One similarity takes most of that away; what is left changes slowly along the drive.

    scene_from_cam(t) = S(source_from_cam(t)) exp(xi(t))

S is a robust similarity, xi a cubic spline over time of twists in the camera's axes. It is fitted under the
three constraints of EGSRAL's adaptor (Huang et al., AAAI 2025): the pose of each frame, the relative pose of
neighbours, and agreement at novel poses, for which errors are measured at points around the camera, where
novel poses and boxes are: a turn that is nothing at the camera is metres at a box. How smooth xi is is found
by generalised cross-validation (Craven and Wahba, 1979); frames that do not fit lose their say.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64

from gsrecon.data.trajectory import poses_at
from gsrecon.geometry.rigid import se3_exp, se3_log
from gsrecon.geometry.sim3 import Sim3, fit_motions

_PROBES_M = np.array(
    [[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 10], [5, 0, 10], [-5, 0, 10], [0, 0, 20], [0, -2, 5]],
    dtype=np.float64,
)
"""Points in the camera at which errors count [m, in the source's scale]: beside it and up to 20 m ahead."""
_FRAMES_PER_KNOT = 3
_MOST_KNOTS = 150
_RELATIVE_WEIGHT = 0.5
"""Of a neighbour's relative pose against a frame's own."""
_ROUNDS = 5
"""Of reweighting."""


@dataclass(frozen=True)
class Alignment:
    """The map from a source's poses to a scene's, and how well each frame fits it."""

    similarity: Sim3
    """`scene_from_source`, the same for all times."""
    timestamps_us: Int64[np.ndarray, " F"]
    """Of the frames it was fitted to."""
    source_from_cam: Float64[np.ndarray, "F 4 4"]
    """Their poses in the source."""
    knots_us: Float64[np.ndarray, " K"]
    """Evenly spread; the spline's coefficients belong to them."""
    twists: Float64[np.ndarray, "K 6"]
    """Coefficients of the spline: metres of the source and radians, in the camera's axes."""
    residuals_m: Float64[np.ndarray, " F"]
    """How far each frame's position lies from where it is mapped to [m, in the source's scale]."""
    residuals_deg: Float64[np.ndarray, " F"]
    """The same of its orientation [deg]."""

    @staticmethod
    def fit(
        timestamps_us: Int64[np.ndarray, " F"],
        source_from_cam: Float64[np.ndarray, "F 4 4"],
        scene_from_cam: Float64[np.ndarray, "F 4 4"],
    ) -> "Alignment":
        """From the same frames in both worlds.

        Args:
            timestamps_us: Strictly ascending.
            source_from_cam: Poses in the data set's world [m].
            scene_from_cam: Poses in the scene's world.

        Raises:
            ValueError: There are fewer than 4 frames, or the camera never moves.
        """
        if len(timestamps_us) < 4:
            raise ValueError(f"timestamps_us: expected at least 4 frames, got {len(timestamps_us)}")
        source, scene = torch.from_numpy(source_from_cam), torch.from_numpy(scene_from_cam)
        similarity = fit_motions(source, scene)
        mapped = similarity.motions(source)
        left = torch.linalg.inv(mapped) @ scene
        left[:, :3, 3] /= similarity.scale
        measured = se3_log(left).numpy()
        knots = _knots(timestamps_us)
        twists = _smooth(measured, timestamps_us, knots)
        found = Alignment(
            similarity,
            timestamps_us,
            source_from_cam,
            knots,
            twists,
            np.zeros(len(timestamps_us)),
            np.zeros(len(timestamps_us)),
        )
        metres, degrees = found.errors(timestamps_us, source_from_cam, scene_from_cam)
        return Alignment(similarity, timestamps_us, source_from_cam, knots, twists, metres, degrees)

    def cam_in_scene(
        self, timestamp_us: int, source_from_cam: Float64[np.ndarray, "4 4"]
    ) -> Float64[np.ndarray, "4 4"]:
        """`scene_from_cam` of a camera on the recorded way."""
        return self.pose_in_scene(timestamp_us, source_from_cam, source_from_cam)

    def pose_in_scene(
        self,
        timestamp_us: int,
        source_from_thing: Float64[np.ndarray, "4 4"],
        source_from_cam: Float64[np.ndarray, "4 4"] | None = None,
    ) -> Float64[np.ndarray, "4 4"]:
        """`scene_from_thing` of anything near the camera at a time: a novel pose, a box.

        Args:
            timestamp_us: When.
            source_from_thing: Its pose in the source [m].
            source_from_cam: The camera's pose then; None: between its recorded ones.
        """
        cam = source_from_cam
        if cam is None:
            cam = poses_at(self.timestamps_us, self.source_from_cam, np.array([timestamp_us]))[0]
        correction = se3_exp(torch.from_numpy(self.twist_at(timestamp_us))).numpy()
        moved = cam @ correction @ np.linalg.inv(cam) @ source_from_thing
        return self.similarity.motions(torch.from_numpy(moved)).numpy()

    def twist_at(self, timestamp_us: int) -> Float64[np.ndarray, " 6"]:
        """xi(t); held beyond the ends."""
        return (_basis(np.array([timestamp_us]), self.knots_us) @ self.twists)[0]

    def residual_at(self, timestamp_us: int) -> tuple[float, float]:
        """Residual near a time: the larger one of the frames before and after [m, deg]."""
        after = int(np.searchsorted(self.timestamps_us, timestamp_us))
        rows = [row for row in (after - 1, after) if 0 <= row < len(self.timestamps_us)]
        return float(self.residuals_m[rows].max()), float(self.residuals_deg[rows].max())

    def errors(
        self,
        timestamps_us: Int64[np.ndarray, " F"],
        source_from_thing: Float64[np.ndarray, "F 4 4"],
        scene_from_thing: Float64[np.ndarray, "F 4 4"],
    ) -> tuple[Float64[np.ndarray, " F"], Float64[np.ndarray, " F"]]:
        """How far things lie from where they are mapped to [m in the source's scale, deg]."""
        mapped = np.stack(
            [
                self.pose_in_scene(int(time), pose)
                for time, pose in zip(timestamps_us, source_from_thing, strict=True)
            ]
        )
        return pose_errors(mapped, scene_from_thing, self.similarity.scale)


def pose_errors(
    found: Float64[np.ndarray, "F 4 4"], expected: Float64[np.ndarray, "F 4 4"], scale: float = 1.0
) -> tuple[Float64[np.ndarray, " F"], Float64[np.ndarray, " F"]]:
    """Distances between poses [units over scale] and angles between their orientations [deg]."""
    metres = np.linalg.norm(found[:, :3, 3] - expected[:, :3, 3], axis=1) / scale
    turn = np.swapaxes(found[:, :3, :3], 1, 2) @ expected[:, :3, :3]
    # The sine is exact for small angles, where the cosine is not.
    skew = turn - np.swapaxes(turn, 1, 2)
    sine = 0.5 * np.linalg.norm(np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1), axis=1)
    cosine = 0.5 * (np.trace(turn, axis1=1, axis2=2) - 1)
    return metres, np.degrees(np.arctan2(sine, cosine))


def _knots(timestamps_us: Int64[np.ndarray, " F"]) -> Float64[np.ndarray, " K"]:
    count = int(np.clip(len(timestamps_us) // _FRAMES_PER_KNOT, 4, _MOST_KNOTS))
    return np.linspace(float(timestamps_us[0]), float(timestamps_us[-1]), count)


def _basis(
    timestamps_us: Int64[np.ndarray, " F"], knots_us: Float64[np.ndarray, " K"]
) -> Float64[np.ndarray, "F K"]:
    """Uniform cubic B-splines centred at the knots; at the ends the outermost knots are repeated."""
    step = knots_us[1] - knots_us[0]
    place = ((timestamps_us - knots_us[0]) / step).clip(0.0, len(knots_us) - 1.0)
    first = np.minimum(np.floor(place).astype(int), len(knots_us) - 2)
    t = place - first
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    basis = np.zeros((len(timestamps_us), len(knots_us)))
    for k in range(4):
        columns = (first - 1 + k).clip(0, len(knots_us) - 1)
        np.add.at(basis, (np.arange(len(first)), columns), weights[:, k] / 6)
    return basis


def _smooth(
    measured: Float64[np.ndarray, "F 6"],
    timestamps_us: Int64[np.ndarray, " F"],
    knots_us: Float64[np.ndarray, " K"],
) -> Float64[np.ndarray, "K 6"]:
    """Coefficients of the spline that fits measured twists."""
    basis = _basis(timestamps_us, knots_us)
    at_probes = _displacements()
    bend = np.diff(np.eye(len(knots_us)), n=2, axis=0)
    weights = np.ones(len(measured))
    coefficients = np.zeros((len(knots_us), 6))
    for _ in range(_ROUNDS):
        rows, values, say = _constraints(basis, measured, weights)
        coefficients = _least_gcv(rows, values, say, bend.T @ bend, at_probes)
        off = np.linalg.norm((basis @ coefficients - measured) @ at_probes.T, axis=1)
        limit = 3 * float(np.median(off))
        if not limit > 0:
            break
        weights = (1 + (off / limit) ** 2) ** -2
    return coefficients


def _constraints(
    basis: Float64[np.ndarray, "F K"],
    measured: Float64[np.ndarray, "F 6"],
    weights: Float64[np.ndarray, " F"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each frame's own twist, and the change from each frame to the next."""
    rows = np.concatenate([basis, np.diff(basis, axis=0)])
    values = np.concatenate([measured, np.diff(measured, axis=0)])
    say = np.concatenate([weights, _RELATIVE_WEIGHT * weights[1:] * weights[:-1]])
    return rows, values, say


def _displacements() -> Float64[np.ndarray, "P 6"]:
    """What a twist moves the probes by, as rows: v + w x p at each."""
    blocks = []
    for x, y, z in _PROBES_M:
        cross = np.array([[0, z, -y], [-z, 0, x], [y, -x, 0]])
        blocks.append(np.concatenate([np.eye(3), cross], axis=1))
    return np.concatenate(blocks) / np.sqrt(len(_PROBES_M))


def _least_gcv(
    rows: Float64[np.ndarray, "R K"],
    values: Float64[np.ndarray, "R 6"],
    say: Float64[np.ndarray, " R"],
    penalty: Float64[np.ndarray, "K K"],
    at_probes: Float64[np.ndarray, "P 6"],
) -> Float64[np.ndarray, "K 6"]:
    """The smoothing with the least generalised cross-validation error, which is measured at the probes."""
    gram, right = rows.T @ (say[:, None] * rows), rows.T @ (say[:, None] * values)
    scale = np.trace(gram) / max(np.trace(penalty), 1e-12)
    best, least = np.zeros_like(right), np.inf
    for exponent in np.linspace(-6, 6, 25):
        system = gram + scale * 10.0**exponent * penalty + 1e-12 * np.trace(gram) * np.eye(len(gram))
        solved = np.linalg.solve(system, np.concatenate([right, gram], axis=1))
        coefficients, freedom = solved[:, :6], float(np.trace(solved[:, 6:]))
        off = (rows @ coefficients - values) @ at_probes.T
        count = len(rows)
        error = float((say[:, None] * off**2).sum()) / max(1e-9, 1 - freedom / count) ** 2
        if error < least:
            best, least = coefficients, error
    return best
