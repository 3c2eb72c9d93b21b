"""The scene: nodes by id, handed to the rasterizer as one set of splats."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

import torch
from jaxtyping import Float, Float64, Int32, Int64
from torch import Tensor

from gsrecon.geometry.camera import Cameras
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.ops.splats import Splats
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.appearance import Appearance
from gsrecon.scene.camera_refinement import CameraRefinement
from gsrecon.scene.deformable_field import DeformableField
from gsrecon.scene.deformation import Deformation
from gsrecon.scene.node import GaussianNode, Node, node_on
from gsrecon.scene.objects import ObjectTable
from gsrecon.scene.recording import Recording
from gsrecon.scene.sky import Sky

_N = TypeVar("_N", bound=Sky | Appearance | CameraRefinement)


class SceneGraph:
    """Owns the nodes of a scene; each keeps its parameters in its own frame.

    Besides Gaussians there are up to one sky, one appearance and one camera refinement node.
    """

    def __init__(
        self,
        nodes: list[Node] | None = None,
        objects: ObjectTable | None = None,
        recording: Recording | None = None,
        settings: RasterizeSettings | None = None,
    ) -> None:
        self._nodes: dict[str, Node] = {}
        self._gaussian_nodes: list[GaussianNode] = []
        self.objects = ObjectTable() if objects is None else objects
        """Which number each object has in id pictures."""
        self.recording = recording
        """Cameras, poses and times the scene was fitted to, where known."""
        self.settings = RasterizeSettings() if settings is None else settings
        """How the scene is to be rasterized: as it was when it was fitted."""
        self.frozen: set[str] = set()
        """Nodes (`node id`) and parameters (`node id/name`) that are drawn but not trained; such nodes are
        not stored with this scene either: they belong to another one."""
        self._last_joined: tuple[list[Splats], Splats] | None = None
        for node in nodes or []:
            self.add(node)

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __contains__(self, id: str) -> bool:
        return id in self._nodes

    def __getitem__(self, id: str) -> Node:
        """The node of an id.

        Raises:
            KeyError: There is none; the message lists those there are.
        """
        if id not in self._nodes:
            raise KeyError(f"no node {id!r} in the scene; there are {sorted(self._nodes)}")
        return self._nodes[id]

    def add(self, node: Node) -> None:
        """Takes a node in.

        Raises:
            ValueError: The id is taken, or a second sky, appearance or camera refinement is added.
        """
        if node.id in self._nodes:
            raise ValueError(f"node.id: expected a new id, got {node.id!r}, which the scene has already")
        if isinstance(node, (Sky, Appearance, CameraRefinement)) and self._only(type(node)) is not None:
            raise ValueError(f"node: the scene has a {node.kind} node already; remove that first")
        self._nodes[node.id] = node
        self._find_gaussian_nodes()

    def remove(self, id: str) -> Node:
        """Takes a node out and returns it."""
        node = self[id]
        del self._nodes[id]
        self._find_gaussian_nodes()
        return node

    def replace(self, node: Node) -> None:
        """Puts a node in the place of the one of its id."""
        self._nodes[self[node.id].id] = node
        self._find_gaussian_nodes()

    def _find_gaussian_nodes(self) -> None:
        """Asks once which nodes hold Gaussians: a protocol answers slowly, and a step asks often."""
        self._gaussian_nodes = [node for node in self._nodes.values() if isinstance(node, GaussianNode)]

    @property
    def device(self) -> torch.device:
        """Where its tensors are: all on one device."""
        tensors = (tensor for node in self._nodes.values() for tensor in node.parameters().values())
        return next((tensor.device for tensor in tensors), torch.device("cpu"))

    def to(self, device: torch.device | str) -> "SceneGraph":
        """The scene on a device: itself where it is there already, else a copy."""
        if self.device == torch.device(device):
            return self
        nodes = [node_on(node, device) for node in self._nodes.values()]
        moved = SceneGraph(nodes, ObjectTable(self.objects.ids), self.recording, self.settings)
        moved.frozen = set(self.frozen)
        return moved

    @property
    def gaussian_nodes(self) -> list[GaussianNode]:
        """The nodes that are drawn as Gaussians, in the order of their rows in `splats_at`."""
        return list(self._gaussian_nodes)

    @property
    def trained_nodes(self) -> list[GaussianNode]:
        """Those of the Gaussian nodes that are not frozen."""
        return [node for node in self.gaussian_nodes if node.id not in self.frozen]

    @property
    def deformations(self) -> dict[str, Deformation]:
        """What deforms, by the id of its node."""
        nodes = [node for node in self._nodes.values() if isinstance(node, (DeformableField, RigidActors))]
        return {node.id: node.deformation for node in nodes if node.deformation is not None}

    @property
    def dynamic_gaussians(self) -> int:
        """Number of Gaussians on which deformation networks run."""
        return sum(int(deformation.dynamic.sum()) for deformation in self.deformations.values())

    @property
    def sky(self) -> Sky | None:
        """The sky, if the scene has one."""
        return self._only(Sky)

    @property
    def appearance(self) -> Appearance | None:
        """Exposure of the recorded pictures, if it was fitted."""
        return self._only(Appearance)

    @property
    def camera_refinement(self) -> CameraRefinement | None:
        """Corrections of the recorded camera poses, if they were fitted."""
        return self._only(CameraRefinement)

    def __len__(self) -> int:
        """Number of Gaussians."""
        return sum(len(node.gaussians) for node in self.gaussian_nodes)

    def rows(self) -> dict[str, slice]:
        """Rows of each Gaussian node in `splats_at`."""
        rows, start = {}, 0
        for node in self.gaussian_nodes:
            rows[node.id] = slice(start, start + len(node.gaussians))
            start += len(node.gaussians)
        return rows

    def splats_at(
        self, times_s: Float[Tensor, " C"], sh_degree: int | None = None, cameras: Cameras | None = None
    ) -> Splats:
        """All Gaussians as they are, with their objects' poses, at the time of each camera.

        Rows of `world_from_object` follow the object table: row 0 is the background. A scene of one
        background node is handed over as it is, without copying.

        Args:
            times_s: Time of each camera from the start of the log [s]; best on the CPU, where they are read.
            sh_degree: Hand over harmonics up to this degree only; None hands over all of them.
            cameras: Who will look; what none of them can see need not be where it is at that time.

        Raises:
            ValueError: The scene has no Gaussians to draw, or an object has no number of its own.
        """
        nodes = self.gaussian_nodes
        if not nodes:
            raise ValueError("the scene has no node with Gaussians; add one before rendering")
        parts = [node.splats_at(times_s, sh_degree, cameras) for node in nodes]
        if len(nodes) == 1 and not nodes[0].object_ids:
            return parts[0]
        joined = self._joined(parts)
        numbers = [self._numbers(node) for node in nodes]
        if all(len(of_node) == 0 for of_node in numbers):
            return joined
        return replace(
            joined,
            object_index=_object_index(parts, numbers),
            world_from_object=_world_from_object(parts, numbers, len(self.objects)),
        )

    def _joined(self, parts: list[Splats]) -> Splats:
        """Parts in one; those that are the same as the last time are not joined again."""
        last = self._last_joined
        if last is not None and list(map(id, last[0])) == list(map(id, parts)):
            return last[1]
        joined = _joined(parts)
        trained = any(part.means.requires_grad or part.opacities.requires_grad for part in parts)
        self._last_joined = None if trained else (parts, joined)
        return joined

    def _numbers(self, node: GaussianNode) -> Int64[Tensor, " K"]:
        """Numbers of a node's objects in the table."""
        numbers = [self.objects.number(id) for id in node.object_ids]
        if 0 in numbers:
            raise ValueError(
                f"objects: expected a number for {node.object_ids[numbers.index(0)]!r}, which moves, got "
                "none; append it"
            )
        return torch.tensor(numbers, dtype=torch.int64).to(node.gaussians.means.device, non_blocking=True)

    def _only(self, kind: type[_N]) -> _N | None:
        return next((node for node in self._nodes.values() if isinstance(node, kind)), None)

    def trainable(self) -> None:
        """Makes every parameter that is not frozen a leaf that collects gradients."""
        for node in self._gaussian_nodes:
            if node.id not in self.frozen:
                node.gaussians = node.gaussians.trainable()
        for node in self._nodes.values():
            if node.id in self.frozen:
                continue
            for name, parameter in node.parameters().items():
                parameter.requires_grad_(f"{node.id}/{name}" not in self.frozen)

    def parameters(self) -> Mapping[str, Tensor]:
        """Every optimised tensor of every node, as `node id/name`; what is frozen is left out."""
        return {
            f"{node.id}/{name}": tensor
            for node in self._nodes.values()
            for name, tensor in node.parameters().items()
            if not {node.id, f"{node.id}/{name}"} & self.frozen
        }


def _object_index(parts: list[Splats], numbers: list[Int64[Tensor, " _"]]) -> Int32[Tensor, " N"]:
    return torch.cat(
        [
            torch.zeros(len(part), dtype=torch.int32, device=part.means.device)
            if part.object_index is None
            else of_node.int()[part.object_index.long()]
            for part, of_node in zip(parts, numbers, strict=True)
        ]
    )


def _world_from_object(
    parts: list[Splats], numbers: list[Int64[Tensor, " _"]], count: int
) -> Float64[Tensor, "C K 4 4"]:
    """Poses in the order of the table; the identity for the background and for objects that are gone."""
    known = [(part.world_from_object, k) for part, k in zip(parts, numbers, strict=True) if len(k) > 0]
    poses = torch.cat([pose.double() for pose, _ in known if pose is not None], dim=1)
    identity = torch.eye(4, dtype=torch.float64, device=poses.device).expand(len(poses), count, 4, 4)
    return identity.index_copy(1, torch.cat([k for _, k in known]), poses)


def _joined(parts: list[Splats]) -> Splats:
    """Splats of several nodes in one; harmonics are padded with zeros to the highest degree."""
    if len(parts) == 1:
        return parts[0]
    most = max(0 if part.sh_rest is None else part.sh_rest.shape[1] for part in parts)
    rests = []
    for part in parts:
        rest = part.means.new_zeros(len(part), 0, 3) if part.sh_rest is None else part.sh_rest
        missing = most - rest.shape[1]
        rests.append(torch.cat([rest, rest.new_zeros(len(part), missing, 3)], dim=1) if missing else rest)
    return Splats(
        means=torch.cat([part.means for part in parts]),
        quats=torch.cat([part.quats for part in parts]),
        scales=torch.cat([part.scales for part in parts]),
        opacities=torch.cat([part.opacities for part in parts]),
        sh0=torch.cat([part.sh0 for part in parts if part.sh0 is not None]),
        sh_rest=torch.cat(rests) if most else None,
    )
