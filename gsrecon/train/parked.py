"""What of the background lies in the boxes of parked objects, where there is no background."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gsrecon.scene.actors import RigidActors
from gsrecon.scene.graph import SceneGraph
from gsrecon.train.boxes import BOTTOM_M

_TIGHTER_M = 0.05
"""Boxes are annotated this exactly."""


def in_parked_boxes(graph: SceneGraph, points_in_world: Float[Tensor, "N 3"]) -> Bool[Tensor, " N"]:
    """Points inside the box of an object that is there all the time; the ground it stands on is outside."""
    held = torch.zeros(len(points_in_world), dtype=torch.bool, device=points_in_world.device)
    for node in graph.gaussian_nodes:
        if not isinstance(node, RigidActors):
            continue
        with torch.no_grad():
            world_from_actor = node.trajectories.at(torch.zeros(1, device=node.sizes_lwh.device))[0]
        parked = node.trajectories.spans_s.isinf().all(dim=1)
        for number in parked.nonzero()[:, 0].tolist():
            pose, half = world_from_actor[number], 0.5 * node.sizes_lwh[number]
            away = points_in_world - pose[:3, 3].float()
            near = (away.abs() <= half.norm()).all(dim=1).nonzero()[:, 0]
            in_actor = away[near] @ pose[:3, :3].float()
            inside = (in_actor.abs() <= half - _TIGHTER_M).all(dim=1) & (in_actor[:, 2] > BOTTOM_M - half[2])
            held[near[inside]] = True
    return held
