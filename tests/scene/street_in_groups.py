"""The street of `tests.labels.street` cut into groups, as training leaves it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gsrecon.data.folder import write_folder
from gsrecon.scene.bundle import save_scene
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups import GroupPlan, Groups, ObjectGroups
from gsrecon.scene.groups_store import FAR, GroupStore
from gsrecon.scene.node import Node
from gsrecon.scene.objects import ObjectTable
from gsrecon.scene.static import StaticGroup
from tests.labels.street import street_log, street_scene

HOMES = {"near": 0, "far": 1, "hidden": 1, "walker": 2}
"""The first and the last group are too far from each other to lend anything."""


def street_in_groups(
    run: Path, homes: Mapping[str, int] = HOMES, objects: Mapping[str, ObjectGroups] | None = None
) -> Path:
    """The folder of a run over three groups; ground, wall and sky are shared by them.

    Args:
        run: The folder.
        homes: Group of each object.
        objects: What the plan knows of objects.
    """
    whole = street_scene(street_log())
    assert whole.recording is not None
    plan = GroupPlan.cut(whole.recording, Groups(count=3, reach_m=0.6, overlap_m=0.0))
    assert [plan.neighbours(number) for number in range(3)] == [[1], [0, 2], [1]]
    plan.objects = objects or {}
    store = GroupStore(run / "groups")
    store.write_plan(plan, whole.settings)
    background, sky = whole["background"], whole.sky
    assert isinstance(background, StaticGroup)
    assert sky is not None
    save_scene(SceneGraph([StaticGroup(FAR, background.gaussians), sky]), store.shared / "latest" / "scene")
    for number in range(3):
        own = [id for id, home in homes.items() if home == number]
        graph = SceneGraph([_objects(own)], ObjectTable(whole.objects.ids), whole.recording)
        save_scene(graph, store.group(number) / "latest" / "scene")
    return run


def grouped_street_run(folder: Path) -> Path:
    """The same beside the drive it is of."""
    write_folder(street_log(), folder / "drive")
    run = street_in_groups(folder / "run")
    (run / "scene.toml").write_text(f'name = "street"\ndrive = "folder:{folder / "drive"}"\n')
    (run / "config.json").write_text(json.dumps({"steps": 1}))
    return run


def _objects(ids: list[str]) -> Node:
    """A node with some of the street's objects."""
    log = street_log()
    return street_scene(replace(log, tracks=tuple(track for track in log.tracks if track.id in ids)))[
        "actors"
    ]
