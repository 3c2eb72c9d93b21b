"""Camera paths: where a camera is, which moment of the drive it sees, and when its picture is shown."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.geometry.rigid import interpolate


@dataclass(frozen=True)
class CameraPath:
    """T camera poses, one for each picture, on two clocks.

    The clocks differ where a path freezes the drive and moves the camera, or plays it slower.
    """

    world_from_cam: Float[Tensor, "T 4 4"]
    """Poses in world, OpenCV axes [m]."""
    times_s: Float[Tensor, " T"]
    """Moment of the drive that each picture shows, from the log's start [s]."""
    shown_s: Float[Tensor, " T"]
    """When each picture is shown, from the start of the film [s]; strictly increasing."""

    def __post_init__(self) -> None:
        count = len(self.world_from_cam)
        if count == 0 or self.world_from_cam.shape[1:] != (4, 4):
            raise ValueError(
                f"world_from_cam: expected [T >= 1, 4, 4], got {list(self.world_from_cam.shape)}"
            )
        if len(self.times_s) != count or len(self.shown_s) != count:
            raise ValueError(
                f"clocks: expected {count} times, one per pose, "
                f"got times_s {len(self.times_s)} and shown_s {len(self.shown_s)}"
            )
        if not bool((self.shown_s.diff() > 0).all()):
            raise ValueError(
                "shown_s: expected strictly increasing times; sort the poses and drop repeated ones"
            )

    def __len__(self) -> int:
        return len(self.world_from_cam)

    @property
    def pictures_per_second(self) -> float:
        """Mean rate at which the pictures are shown [1/s]; 10 for a single picture."""
        if len(self) == 1:
            return 10.0
        return (len(self) - 1) / float(self.shown_s[-1] - self.shown_s[0])


def recorded_path(times_s: Float[Tensor, " T"], world_from_cam: Float[Tensor, "T 4 4"]) -> CameraPath:
    """The path as it was driven, shown in real time.

    Args:
        times_s: Times of the pictures from the log's start [s], strictly increasing.
        world_from_cam: Recorded poses [m].
    """
    times_s = times_s.double()
    return CameraPath(world_from_cam.double(), times_s, times_s - times_s[0])


def shift_left(
    path: CameraPath, metres: float, ego_from_cam: Float[Tensor, "4 4"] | None = None
) -> CameraPath:
    """Moves every pose sideways in the vehicle's own frame; directions of view stay.

    Args:
        path: Path of one camera.
        metres: Way to the left [m]; negative is to the right.
        ego_from_cam: Mounting of the camera. A side camera needs it: its own left is not the
            vehicle's. None takes the camera's left (right for a camera that looks ahead).
    """
    left_in_cam = path.world_from_cam.new_tensor([-1.0, 0.0, 0.0])
    if ego_from_cam is not None:
        left_in_cam = ego_from_cam.to(path.world_from_cam)[1, :3]  # row y of ego_from_cam: ego y in cam
    moved = path.world_from_cam.clone()
    moved[:, :3, 3] += metres * (path.world_from_cam[:, :3, :3] @ left_in_cam)
    return replace(path, world_from_cam=moved)


def look_at(position: Float[Tensor, "*B 3"], target: Float[Tensor, "*B 3"]) -> Float[Tensor, "*B 4 4"]:
    """`world_from_cam` of a camera that looks from a position to a target, upright (world z is up).

    Looking straight up or down, the picture's top points along world x.

    Raises:
        ValueError: Position and target coincide.
    """
    forward = target - position
    distance = forward.norm(dim=-1, keepdim=True)
    if bool((distance < 1e-9).any()):
        raise ValueError("target: expected a point away from the position, got the same point")
    forward = forward / distance
    up = forward.new_tensor([0.0, 0.0, 1.0]).expand_as(forward)
    steep = forward[..., 2:].abs() > 1 - 1e-9
    up = torch.where(steep, forward.new_tensor([1.0, 0.0, 0.0]).expand_as(forward), up)
    right = torch.linalg.cross(forward, up)
    right = right / right.norm(dim=-1, keepdim=True)
    down = torch.linalg.cross(forward, right)
    world_from_cam = torch.eye(4, dtype=forward.dtype, device=forward.device)
    world_from_cam = world_from_cam.expand(*forward.shape[:-1], 4, 4).clone()
    world_from_cam[..., :3, :3] = torch.stack([right, down, forward], dim=-1)
    world_from_cam[..., :3, 3] = position
    return world_from_cam


def orbit(
    point: Float[Tensor, "3"],
    radius: float,
    height: float,
    turns: float = 1.0,
    count: int = 120,
    seconds: float = 8.0,
    time_s: float = 0.0,
) -> CameraPath:
    """A circle around a point with the camera looking at it and the drive standing still.

    Args:
        point: What is looked at, in world [m].
        radius: Horizontal distance from the point [m].
        height: How far above the point the camera flies [m].
        turns: Turns around it, counter-clockwise from above; negative is clockwise. Starts on the
            side of -x, looking along +x.
        count: Number of pictures; the last one closes the last turn without repeating the first.
        seconds: Length of the film [s].
        time_s: The moment of the drive that is shown [s].
    """
    if radius <= 0 or count < 1 or seconds <= 0:
        raise ValueError(
            f"orbit: expected radius, count and seconds above 0, got {radius}, {count} and {seconds}"
        )
    point = point.double()
    share = torch.arange(count, dtype=torch.float64, device=point.device) / count
    angle = math.pi + 2 * math.pi * turns * share
    offset = torch.stack([radius * angle.cos(), radius * angle.sin(), torch.full_like(angle, height)], dim=-1)
    poses = look_at(point + offset, point.expand(count, 3))
    return CameraPath(poses, torch.full_like(share, time_s), share * seconds)


def resample(path: CameraPath, pictures_per_second: float) -> CameraPath:
    """The same way at another picture rate, smoothly between the poses; first and last pose stay.

    Rotations and positions follow one Catmull-Rom curve on SE(3): it passes through every pose and
    its velocity does not jump.

    Raises:
        ValueError: The rate is not above 0.
    """
    if not pictures_per_second > 0:
        raise ValueError(f"pictures_per_second: expected more than 0, got {pictures_per_second}")
    if len(path) == 1:
        return path
    length = float(path.shown_s[-1] - path.shown_s[0])
    count = max(2, round(length * pictures_per_second) + 1)
    shares = torch.linspace(0, 1, count, dtype=path.shown_s.dtype, device=path.shown_s.device)
    shown = path.shown_s[0] + shares * length
    return at(path, shown)


def at(path: CameraPath, shown_s: Float[Tensor, " S"]) -> CameraPath:
    """The path at any times of the film's clock within it; times outside take the end poses.

    Source: Barry and Goldman, A recursive evaluation algorithm for a class of Catmull-Rom splines
    (1988), with every linear interpolation replaced by the one on SE(3).
    """
    knots, poses = path.shown_s, path.world_from_cam
    if len(path) == 1:
        raise ValueError("path: expected at least 2 poses to interpolate between, got 1")
    inside = shown_s.clamp(knots[0], knots[-1])
    left = (torch.searchsorted(knots, inside, right=True) - 1).clamp(0, len(path) - 2)
    # One mirrored pose beyond each end.
    before = interpolate(poses[0], poses[1], knots.new_tensor(-1.0))
    after = interpolate(poses[-2], poses[-1], knots.new_tensor(2.0))
    P = torch.cat([before[None], poses, after[None]])
    t = torch.cat([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])

    def between(a: Tensor, b: Tensor, ta: Tensor, tb: Tensor) -> Tensor:
        return interpolate(a, b, (inside - ta) / (tb - ta))

    p = [P[left + k] for k in range(4)]
    s = [t[left + k] for k in range(4)]
    a = [between(p[k], p[k + 1], s[k], s[k + 1]) for k in range(3)]
    b = [between(a[k], a[k + 1], s[k], s[k + 2]) for k in range(2)]
    world_from_cam = between(b[0], b[1], s[1], s[2])

    share = (inside - knots[left]) / (knots[left + 1] - knots[left])
    times_s = torch.lerp(path.times_s[left], path.times_s[left + 1], share.to(path.times_s))
    return CameraPath(world_from_cam, times_s, shown_s)
