"""What is labelled: annotated objects, and which Gaussians of the scene belong to each at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64, Int32
from torch import Tensor

from gsrecon.data.log import Track
from gsrecon.geometry.rigid import inverse, quat_multiply, quat_to_rotmat, rotmat_to_quat
from gsrecon.labels.adaptor import Adaptor, box_in_scene
from gsrecon.ops.splats import Splats
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.graph import SceneGraph

_MARGIN_M = 0.1
"""Gaussians of an object may reach this far outside of its box's sides, with their centres of its top."""
_REACH = 2.0
"""In standard deviations."""
_BOTTOM_M = 0.1
"""Gaussians this near the bottom of a box are taken for the ground the object stands on."""


@dataclass(frozen=True)
class Subject:
    """An annotated object that may be labelled."""

    number: int
    """In instance pictures, from 1; the same in all views."""
    id: str
    category: str
    size_lwh: Float64[np.ndarray, " 3"]
    """Length, width, height in the scene."""
    track: Track


@dataclass(frozen=True)
class Placed:
    """A subject at one time, in the scene's frame."""

    subject: Subject
    world_from_actor: Float64[np.ndarray, "4 4"]
    row: int
    """Its number among the splats' objects."""
    rigid: bool
    """Its left side looks like its right side: it has no deformation of its own."""


@dataclass(frozen=True)
class Placement:
    """The Gaussians of a scene at one time, each given to the object it belongs to."""

    splats: Splats
    """Rows of `world_from_object`: the scene's own objects; objects in boxes, whose Gaussians are in world;
    then once more all of these for what surrounds them."""
    placed: tuple[Placed, ...]
    in_world: int
    """Rows from here on have their Gaussians in world."""
    around: int
    """What surrounds the object of a row, drawn with it but not part of it, has a row higher by this."""


def subjects(tracks: Sequence[Track], scale: float = 1.0) -> tuple[Subject, ...]:
    """The objects of a log, numbered in the order of its tracks.

    Args:
        tracks: As annotated.
        scale: Length in the scene of one metre of the annotations.
    """
    return tuple(
        Subject(number + 1, track.id, track.category, scale * track.size_lwh, track)
        for number, track in enumerate(tracks)
    )


def place(
    graph: SceneGraph, subjects: Sequence[Subject], adaptor: Adaptor, timestamp_us: int, splats: Splats
) -> Placement:
    """Finds each subject and its Gaussians at a time.

    An object that the scene models keeps its own Gaussians and its refined pose. Of any other, the Gaussians
    whose centres lie in its box at that time are its own.

    Args:
        graph: The scene.
        subjects: What may be labelled.
        adaptor: From the data set's frame into the scene's.
        timestamp_us: When [us].
        splats: What the graph gives at that time.
    """
    placed: list[Placed] = []
    assert graph.recording is not None
    modelled = _modelled(graph, graph.recording.time_s(timestamp_us))
    others: list[Placed] = []
    row = len(graph.objects)
    for subject in subjects:
        if subject.id in modelled:
            node, number, there = modelled[subject.id]
            if there:
                assert splats.world_from_object is not None
                object_row = graph.objects.number(subject.id)
                pose = splats.world_from_object[0, object_row].detach().double().cpu().numpy()
                rigid = _looks_rigid(subject) and not bool(node.deforms[number])
                placed.append(Placed(subject, pose, object_row, rigid))
            continue
        pose = box_in_scene(adaptor, subject.track, timestamp_us)
        if pose is not None:
            others.append(Placed(subject, pose, row, _looks_rigid(subject)))
            row += 1
    in_world, around = len(graph.objects), row
    device = splats.means.device
    poses = torch.eye(4, dtype=torch.float64, device=device).repeat(1, 2 * around, 1, 1)
    index = torch.zeros(len(splats), dtype=torch.int32, device=device)
    if splats.object_index is not None and splats.world_from_object is not None:
        index = splats.object_index.clone()
        for first in (0, around):
            poses[:, first : first + in_world] = splats.world_from_object
        _part_from_surroundings(splats, index, placed, around)
    if others:
        _claim(splats.means.detach(), index, others, around)
    splats = replace(splats, object_index=index, world_from_object=poses)
    return Placement(splats, (*placed, *others), in_world, around)


def pose_at(
    graph: SceneGraph, subject: Subject, adaptor: Adaptor, timestamp_us: int
) -> Float64[np.ndarray, "4 4"] | None:
    """`world_from_actor` of a subject in the scene at a time; None where it is not there."""
    assert graph.recording is not None
    time_s = graph.recording.time_s(timestamp_us)
    modelled = _modelled(graph, time_s)
    if subject.id not in modelled:
        return box_in_scene(adaptor, subject.track, timestamp_us)
    node, number, there = modelled[subject.id]
    if not there:
        return None
    return node.trajectories.at(torch.tensor([time_s]))[0, number].detach().cpu().numpy()


def _modelled(graph: SceneGraph, time_s: float) -> dict[str, tuple[RigidActors, int, bool]]:
    """Objects that have Gaussians of their own: node, place in it, whether they are there at the time."""
    found = {}
    for node in graph.gaussian_nodes:
        if isinstance(node, RigidActors):
            there = node.trajectories.present(torch.tensor([time_s]))[0].tolist()
            for number, id in enumerate(node.object_ids):
                found[id] = (node, number, there[number])
    return found


def _part_from_surroundings(
    splats: Splats, index: Int32[Tensor, " N"], placed: Sequence[Placed], around: int
) -> None:
    """Gives what moves along with an object but lies or reaches outside of its box to its surroundings.

    An object takes its shadow along: it is drawn in the object's frame, but is no part of it. A wide
    Gaussian above the ground may draw the shadow beside the box while its centre is inside.
    """
    device = splats.means.device
    half = torch.full((around, 3), torch.inf)
    for thing in placed:
        half[thing.row] = 0.5 * torch.from_numpy(thing.subject.size_lwh).float()
    half = half.to(device)
    rows = (index > 0).nonzero()[:, 0]
    own, in_actor = half[index[rows].long()], splats.means.detach()[rows]
    axes = quat_to_rotmat(splats.quats.detach()[rows]) * splats.scales.detach()[rows, None, :]
    reach = _REACH * axes.square().sum(dim=2).sqrt()
    reach[:, 2] = 0
    outside = (in_actor.abs() + reach > own + _MARGIN_M).any(dim=1)
    outside |= in_actor[:, 2] < -own[:, 2] + _BOTTOM_M
    index[rows[outside & own[:, 0].isfinite()]] += around


def _looks_rigid(subject: Subject) -> bool:
    words = subject.category.lower()
    return not any(word in words for word in ("pedestrian", "person", "cycl", "animal", "human"))


def _claim(
    means: Float[Tensor, "N 3"], index: Int32[Tensor, " N"], others: Sequence[Placed], around: int
) -> None:
    """Gives background Gaussians in each box to its object, those at its bottom to its surroundings."""
    background = (index == 0).nonzero()[:, 0]
    still = means[background]
    x, y = still[:, 0].contiguous(), still[:, 1].contiguous()
    for thing in others:
        size = torch.from_numpy(thing.subject.size_lwh).float()
        reach = 0.5 * float(size.norm())
        size, pose = size.to(means), torch.from_numpy(thing.world_from_actor).to(means)
        near = (((x - pose[0, 3]).abs() <= reach) & ((y - pose[1, 3]).abs() <= reach)).nonzero()[:, 0]
        in_actor = (still[near] - pose[:3, 3]) @ pose[:3, :3]
        inside = (in_actor.abs() <= 0.5 * size).all(dim=1)
        bottom = in_actor[:, 2] < -0.5 * size[2] + _BOTTOM_M
        index[background[near[inside & ~bottom]]] = thing.row
        index[background[near[inside & bottom]]] = thing.row + around


def of_objects(splats: Splats, rows: Sequence[int]) -> Splats:
    """The Gaussians of some objects, without their appearance."""
    assert splats.object_index is not None
    assert splats.world_from_object is not None
    wanted = torch.zeros(splats.world_from_object.shape[1], dtype=torch.bool)
    wanted[list(rows)] = True
    wanted = wanted.to(splats.means.device)
    kept = wanted[splats.object_index.long()].nonzero()[:, 0]
    return Splats(
        means=splats.means[kept],
        quats=splats.quats[kept],
        scales=splats.scales[kept],
        opacities=splats.opacities[kept],
        object_index=splats.object_index[kept],
        world_from_object=splats.world_from_object,
    )


def mirrored(splats: Splats, placed: Sequence[Placed], in_world: int) -> Splats:
    """Each object's Gaussians reflected about the middle of its box, left for right.

    Args:
        splats: The Gaussians of these objects.
        placed: The objects.
        in_world: Rows of objects from here on have their Gaussians in world; those before in their own frame.
    """
    assert splats.object_index is not None
    assert splats.world_from_object is not None
    index = splats.object_index.long()
    count = splats.world_from_object.shape[1]
    actor_from_frame = torch.eye(4, dtype=torch.float64, device=index.device).repeat(count, 1, 1)
    world_from_object = splats.world_from_object.clone()
    for thing in placed:
        if thing.row >= in_world:
            pose = torch.from_numpy(thing.world_from_actor).to(actor_from_frame)
            actor_from_frame[thing.row] = inverse(pose)
            world_from_object[:, thing.row] = pose
    moves = actor_from_frame[index]
    means = (moves[:, :3, :3] @ splats.means.double()[..., None])[..., 0] + moves[:, :3, 3]
    quats = quat_multiply(rotmat_to_quat(actor_from_frame[:, :3, :3])[index], splats.quats.double())
    return replace(
        splats,
        means=(means * means.new_tensor([1.0, -1.0, 1.0])).float(),
        # A reflection turns an axis of rotation as it turns a vector, and reverses the turn.
        quats=(quats * quats.new_tensor([1.0, -1.0, 1.0, -1.0])).float(),
        world_from_object=world_from_object,
    )
