"""The street of `tests.labels.street` with edits, an asset to put there, and what to compare scenes by."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gsrecon.scene.assets import Asset, write_asset
from gsrecon.scene.edits import (
    Drive,
    Duplicate,
    Edit,
    Exposure,
    Hide,
    Insert,
    Move,
    Recolour,
    Remove,
    Retime,
    Swap,
    apply_edits,
)
from gsrecon.scene.graph import SceneGraph
from tests.labels.street import THINGS, street_log, street_scene

BESIDE = ((20.0, -3.0), (26.0, -3.0), (34.0, -2.0))


def grey_car(folder: Path) -> Path:
    """The car `near`, painted grey, as an asset."""
    node = street_scene(street_log())["actors"]
    rows = node.rows_of("near")
    gaussians = type(node.gaussians)(**{name: t[rows] for name, t in node.gaussians.named().items()})
    write_asset(
        Asset("grey car", "vehicle.car", (4.0, 1.8, 1.5), replace(gaussians, sh0=0 * gaussians.sh0)), folder
    )
    return folder


def edited(edits, things=THINGS) -> SceneGraph:
    graph = street_scene(street_log(things))
    apply_edits(graph, edits)
    return graph


def tensors_of(graph: SceneGraph) -> dict[str, torch.Tensor]:
    return {f"{node.id}/{name}": tensor for node in graph for name, tensor in node.tensors().items()}


def require_same_scene(a: SceneGraph, b: SceneGraph) -> None:
    first, second = tensors_of(a), tensors_of(b)
    assert list(first) == list(second)
    for name, tensor in first.items():
        assert tensor.equal(second[name]), name
    assert a.objects.ids == b.objects.ids


def pose_of(graph: SceneGraph, id: str, time_s: float) -> np.ndarray | None:
    """Where an object is; None where it is not there."""
    for node in graph.gaussian_nodes:
        if id in node.object_ids:
            number, time = node.object_ids.index(id), torch.tensor([time_s], dtype=torch.float64)
            shown = bool(node.trajectories.present(time)[0, number])
            return node.trajectories.at(time)[0, number].numpy() if shown else None
    raise AssertionError(f"no object {id}")


def every_kind_of_edit(asset: Path, run: Path) -> tuple[Edit, ...]:
    return (
        Insert("guest", asset=asset, at=(14.0, -4.5), heading_deg=30.0),
        Insert(
            "visitor", scene=run, object="far", class_name="car", waypoints=BESIDE, times_s=(0.1, 0.2, 0.5)
        ),
        Move("guest", (0.1, -0.2, 0.0), 1.0 / 3.0),
        Duplicate("far", "far too", (-1.0, 5.0, 0.0)),
        Remove("near"),
        Hide("walker", 0.1, 0.2),
        Retime("walker", 0.05, 1.5),
        Swap("hidden", asset=asset, fit=True),
        Recolour("far", (1.2, 0.3, 0.1)),
        Exposure(0.9),
        Exposure(1.1, "guest"),
        Drive("far too", waypoints=((20.0, 8.0), (35.0, 8.0)), speeds_mps=(3.0, 9.0), off_road=True),
    )
