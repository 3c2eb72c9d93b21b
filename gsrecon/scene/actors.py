"""Objects with boxes: Gaussians in the frame of their object's box, which moves along its trajectory.

All objects of a scene are one node with one row of labels. Twenty or a hundred objects then share their
optimiser calls, their density strategy and their cap, where one node each would multiply the fixed costs
of a step by their number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int32, Int64
from torch import Tensor

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.resample import Resample
from gsrecon.geometry.camera import Cameras
from gsrecon.ops.splats import Splats
from gsrecon.scene.deformable_field import one_time
from gsrecon.scene.deformation import Deformation
from gsrecon.scene.sight import may_be_seen
from gsrecon.scene.trajectories import Trajectories


class RigidActors:
    """K objects; those that are not rigid (people, cyclists) may deform inside their box."""

    kind = "actors"

    def __init__(
        self,
        object_ids: Sequence[str],
        gaussians: Gaussians,
        object_of_row: Int32[Tensor, " N"],
        sizes_lwh: Float[Tensor, "K 3"],
        trajectories: Trajectories,
        deformation: Deformation | None = None,
        deforms: Bool[Tensor, " K"] | None = None,
        id: str = "actors",
        clocks: Float64[Tensor, "K 2"] | None = None,
    ) -> None:
        """Takes the parts together.

        Args:
            object_ids: One for each object, different from each other.
            gaussians: Each in the frame of its object's box: the centre, x along the length.
            object_of_row: Position in `object_ids` of each Gaussian.
            sizes_lwh: Length, width and height of each box [m].
            trajectories: Of the objects, in the same order.
            deformation: Inside the boxes of objects that deform.
            deforms: Which objects do; None: none.
            id: Address in the graph.
            clocks: Rate and shift of each object's own time, `rate * time + shift` [s], by which it deforms;
                None: that of the scene.

        Raises:
            ValueError: The parts do not belong together.
        """
        if not len(object_ids) == len(set(object_ids)) == len(trajectories) == len(sizes_lwh):
            raise ValueError(
                f"object_ids: expected {len(trajectories)} different ones with a size each, got "
                f"{list(object_ids)} and {len(sizes_lwh)} sizes"
            )
        if len(object_of_row) != len(gaussians):
            raise ValueError(
                f"object_of_row: expected one for each of {len(gaussians)} Gaussians, got "
                f"{len(object_of_row)}"
            )
        self.id = id
        self.object_ids = tuple(object_ids)
        self.gaussians = gaussians
        self.object_of_row = object_of_row
        self.sizes_lwh = sizes_lwh
        self.trajectories = trajectories
        self.deformation = deformation
        rigid = torch.zeros(len(object_ids), dtype=torch.bool, device=object_of_row.device)
        self.deforms = rigid if deforms is None else deforms
        self.clocks = clocks

    def splats_at(
        self, times_s: Float[Tensor, " C"], sh_degree: int | None = None, cameras: Cameras | None = None
    ) -> Splats:
        """All rows; those of objects that are not there at any of the times have opacity 0.

        Raises:
            ValueError: Something deforms and the cameras have different times.
        """
        there = self.trajectories.present(times_s)
        poses, present = self.trajectories.at(times_s, there), there.any(dim=0)
        objects = self.object_of_row.long()
        splats = self.gaussians.to_splats(sh_degree)
        if self.deformation is not None:
            near = self._in_sight(poses, present & self.deforms, cameras)
            splats = self.deformation.apply(
                self.gaussians, splats, self._own_time(times_s), lambda rows: near[objects[rows]], objects
            )
        opacities = splats.opacities * present[objects]
        return replace(splats, opacities=opacities, object_index=self.object_of_row, world_from_object=poses)

    def _own_time(self, times_s: Float[Tensor, " C"]) -> float | Float64[Tensor, " N"]:
        """The scene's time, or where clocks differ that of each row, within what was recorded of it [s]."""
        time = one_time(times_s)
        if self.clocks is None or self.deformation is None:
            return time
        own = self.clocks[:, 0] * time + self.clocks[:, 1]
        extent = self.deformation.extent
        return own.clamp(extent.start_s, extent.stop_s)[self.object_of_row.long()]

    def _in_sight(
        self, poses: Float[Tensor, "C K 4 4"], wanted: Bool[Tensor, " K"], cameras: Cameras | None
    ) -> Bool[Tensor, " K"]:
        """Which of the wanted objects some camera may see."""
        if cameras is None or self.deformation is None:
            return wanted
        # Deformation stays about the box: what leaves it farther than the box is large is lost anyway.
        reach = 2 * self.sizes_lwh.norm(dim=1)
        return wanted & may_be_seen(poses[0, :, :3, 3].detach().float(), reach, cameras)

    def outside(self) -> Float[Tensor, ""]:
        """Mean distance by which centres lie outside of their boxes, a tenth larger [m]."""
        half = 0.55 * self.sizes_lwh[self.object_of_row.long()]
        return (self.gaussians.means.abs() - half).clamp_min(0).sum() / max(1, len(self.gaussians))

    def rows_of(self, object_id: str) -> Int64[Tensor, " M"]:
        """Rows of one object's Gaussians.

        Raises:
            ValueError: There is no such object.
        """
        if object_id not in self.object_ids:
            raise ValueError(f"object_id: expected one of {list(self.object_ids)}, got {object_id!r}")
        return (self.object_of_row == self.object_ids.index(object_id)).nonzero()[:, 0]

    def resample(self, change: Resample) -> dict[str, Tensor]:
        """Applies a change to Gaussians, labels and states; children stay with their parent's object."""
        self.gaussians = self.gaussians.resampled(change)
        self.object_of_row = change.label(self.object_of_row)
        if self.deformation is None:
            return self.gaussians.named()
        self.deformation.resample(change)
        return {**self.gaussians.named(), "state": self.deformation.state}

    def parameters(self) -> dict[str, Tensor]:
        """Gaussians, corrections of the trajectories, states and networks."""
        deforming = {} if self.deformation is None else self.deformation.named()
        return {**self.gaussians.named(), **self.trajectories.parameters(), **deforming}

    def tensors(self) -> dict[str, Tensor]:
        """The parameters with labels, sizes and keys."""
        fixed = {
            "object_of_row": self.object_of_row,
            "sizes_lwh": self.sizes_lwh,
            "deforms": self.deforms,
            **self.trajectories.tensors(),
            **({} if self.clocks is None else {"clocks": self.clocks}),
        }
        return {**fixed, **self.parameters()}

    def settings(self) -> dict[str, Any]:
        """Ids and the deformation's settings."""
        deformation = None if self.deformation is None else self.deformation.settings()
        return {"object_ids": list(self.object_ids), "deformation": deformation}

    @classmethod
    def restored(cls, id: str, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "RigidActors":
        """From stored parts."""
        stored = settings["deformation"]
        return cls(
            object_ids=settings["object_ids"],
            gaussians=Gaussians.from_named(tensors),
            object_of_row=tensors["object_of_row"],
            sizes_lwh=tensors["sizes_lwh"],
            trajectories=Trajectories.restored(tensors),
            deformation=None if stored is None else Deformation.restored(stored, tensors),
            deforms=tensors["deforms"],
            id=id,
            clocks=tensors.get("clocks"),
        )
