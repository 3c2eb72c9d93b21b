"""How much of each object a toy camera sees, exactly: every object is traced once more, alone."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int32

from gsrecon.data.log import Camera
from gsrecon.data.toy.actors import Actor
from gsrecon.data.toy.tracer import TriangleTracer

_CORNERS = 0.5 * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)


@dataclass(frozen=True)
class ToyObject:
    """One object in one picture."""

    id: str
    alone: Bool[np.ndarray, "H W"]
    """Pixels that would show it if nothing else were there."""
    visible: Bool[np.ndarray, "H W"]
    """Pixels that show it."""

    @property
    def visible_fraction(self) -> float:
        """Share of the pixels it would have in the picture that it does have."""
        return float(self.visible.sum() / max(1, self.alone.sum()))


class AloneTracer:
    """Objects without the street around them."""

    def __init__(self, actors: tuple[Actor, ...]) -> None:
        self._actors = actors
        self._tracers: dict[str, TriangleTracer] = {}

    def objects(
        self,
        camera: Camera,
        world_from_cam: Float64[np.ndarray, "4 4"],
        time_s: float,
        instance: Int32[np.ndarray, "H W"],
    ) -> list[ToyObject]:
        """Every object that would have a pixel in a pinhole camera's picture.

        Args:
            camera: Lens and size.
            world_from_cam: Its pose.
            time_s: Moment of the drive.
            instance: Object number at each pixel, as the whole street shows it.
        """
        found = []
        for number, actor in enumerate(self._actors):
            if not actor.present_s[0] <= time_s <= actor.present_s[1]:
                continue
            alone = self._alone(actor, camera, world_from_cam, actor.world_from_actor(time_s))
            if alone.any():
                found.append(ToyObject(actor.id, alone, instance == number + 1))
        return found

    def _alone(
        self,
        actor: Actor,
        camera: Camera,
        world_from_cam: Float64[np.ndarray, "4 4"],
        world_from_actor: Float64[np.ndarray, "4 4"],
    ) -> Bool[np.ndarray, "H W"]:
        mask = np.zeros((camera.height, camera.width), dtype=bool)
        actor_from_cam = np.linalg.inv(world_from_actor) @ world_from_cam
        cam_from_actor = np.linalg.inv(actor_from_cam)
        corners = (1.01 * _CORNERS * actor.size_lwh) @ cam_from_actor[:3, :3].T + cam_from_actor[:3, 3]
        if (corners[:, 2] <= 0).all():
            return mask
        rows, columns = slice(0, camera.height), slice(0, camera.width)
        if (corners[:, 2] > 0.1).all():
            pixels = corners @ camera.K.T
            pixels = pixels[:, :2] / pixels[:, 2:]
            limits = (camera.width, camera.height)
            low = np.floor(pixels.min(axis=0)).clip(0, limits).astype(int)
            high = np.ceil(pixels.max(axis=0)).clip(0, limits).astype(int)
            rows, columns = slice(low[1], high[1]), slice(low[0], high[0])
        y, x = np.mgrid[rows, columns].astype(np.float64) + 0.5
        away = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1) @ np.linalg.inv(camera.K).T
        directions = (away @ actor_from_cam[:3, :3].T).astype(np.float32)
        origins = np.broadcast_to(actor_from_cam[:3, 3].astype(np.float32), directions.shape)
        mask[rows, columns] = self._tracer(actor).blocked(origins, directions).reshape(x.shape)
        return mask

    def _tracer(self, actor: Actor) -> TriangleTracer:
        if actor.id not in self._tracers:
            self._tracers[actor.id] = TriangleTracer(actor.mesh.triangles)
        return self._tracers[actor.id]
