"""Objects that are drawn by groups far from their homes."""

import json
from pathlib import Path

import pytest
import torch

from gsrecon.errors import CheckpointError
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.edited import with_edits
from gsrecon.scene.edits import Edit, Hide, Move, Recolour
from gsrecon.scene.figures import some_of
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups import ObjectGroups
from gsrecon.scene.groups_scene import GroupedScene
from gsrecon.scene.groups_store import GroupStore
from gsrecon.scene.sealed import read_sealed, write_sealed
from tests.labels.street import THINGS
from tests.scene.edited_street import pose_of
from tests.scene.moving_things import stir, two_cars
from tests.scene.street_in_groups import street_in_groups

HOMES = {"near": 0, "far": 2, "hidden": 1, "walker": 2}
"""The first and the last group are not beside each other."""
SEEN = {
    "near": ObjectGroups(0, (0, 1)),
    "far": ObjectGroups(2, (1, 2)),
    "hidden": ObjectGroups(1, (1,)),
    "walker": ObjectGroups(2, (0, 1, 2)),
}


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory) -> Path:
    return street_in_groups(tmp_path_factory.mktemp("groups") / "run", HOMES, SEEN) / "groups"


def ids_in(graph: SceneGraph) -> list[str]:
    return sorted(id for node in graph.gaussian_nodes for id in node.object_ids)


def node_with(graph: SceneGraph, id: str) -> RigidActors:
    return next(n for n in graph.gaussian_nodes if isinstance(n, RigidActors) and id in n.object_ids)


def test_a_plan_remembers_which_groups_see_an_object(run):
    plan, _ = GroupStore(run).read_plan()
    assert plan.objects == SEEN


def test_a_group_draws_an_object_that_it_sees_though_its_home_is_far(run):
    scene = GroupedScene(run)
    drawn, home = scene.group(0), scene.group(2)
    lent, owned = node_with(drawn, "walker"), node_with(home, "walker")
    assert lent.id in drawn.frozen
    assert lent.gaussians.means.equal(owned.gaussians.means[owned.rows_of("walker")])
    assert lent.sizes_lwh.equal(owned.sizes_lwh[[owned.object_ids.index("walker")]])
    times = torch.tensor([0.0, 0.2])
    number = owned.object_ids.index("walker")
    assert lent.trajectories.at(times)[:, 0].equal(owned.trajectories.at(times)[:, number])
    splats = drawn.splats_at(times[:1])
    assert splats.object_index is not None
    assert int((splats.object_index == drawn.objects.number("walker")).sum()) == len(lent.gaussians) > 100


def test_a_group_that_is_not_beside_lends_nothing_else(run):
    graph = GroupedScene(run).group(0)
    assert ids_in(graph) == ["hidden", "near", "walker"]
    assert [node.id for node in graph.gaussian_nodes] == ["actors", "far", "actors-001", "actors-002"]
    lent = node_with(graph, "walker")
    assert lent.object_ids == ("walker",)
    assert len(lent.trajectories) == 1


def test_what_is_lent_deforms_as_at_home():
    generator = torch.Generator().manual_seed(1)
    node = two_cars(generator, deforming=True)
    assert node.deformation is not None
    stir(node.deformation, generator)
    lent, rows = some_of(node, ["walker"]), node.rows_of("walker")
    times = torch.tensor([3.2])
    expected, found = node.splats_at(times), lent.splats_at(times)
    assert not expected.means[rows].equal(node.gaussians.means[rows])
    for name in ("means", "quats", "scales", "opacities"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name)[rows])


def test_only_what_lends_is_read(tmp_path):
    """The last group lends no object to the first where the plan says that it sees none."""
    run = street_in_groups(tmp_path / "run", HOMES, SEEN | {"walker": ObjectGroups(2, (1, 2))}) / "groups"
    objects = run / "002" / "latest" / "scene" / "nodes" / "actors.safetensors"
    objects.unlink()
    scene = GroupedScene(run)
    assert ids_in(scene.group(0)) == ["hidden", "near"]
    with pytest.raises(CheckpointError, match=r"002.*missing"):
        scene.group(1)


def test_a_plan_that_says_nothing_of_objects_opens_and_each_is_drawn_beside_its_home(run, tmp_path):
    old = street_in_groups(tmp_path / "run", HOMES, SEEN) / "groups"
    stored = json.loads(read_sealed(old / "plan")["plan.json"])
    del stored["objects"]
    write_sealed(old / "plan", {"plan.json": json.dumps(stored, indent=1).encode()})
    scene = GroupedScene(old)
    assert scene.plan.objects == {}
    assert ids_in(scene.group(0)) == ["hidden", "near"]
    assert ids_in(scene.group(1)) == ids_in(GroupedScene(run).group(1)) == sorted(HOMES)


def test_a_plan_without_objects_is_written_as_before(tmp_path):
    run = street_in_groups(tmp_path / "run") / "groups"
    assert "objects" not in json.loads((run / "plan" / "plan.json").read_bytes())


@pytest.mark.parametrize(
    "edit", [Move("walker", (0.0, 0.5, 0.0)), Recolour("walker", (1.0, 0.0, 0.0))], ids=["moved", "painted"]
)
def test_an_edited_object_is_drawn_once_by_every_group_that_sees_it(run, edit: Edit):
    scene = GroupedScene(run)
    edited = with_edits(scene, (edit,))
    assert isinstance(edited, GroupedScene)
    assert [ids_in(edited.group(k)) for k in (0, 1, 2)] == [ids_in(scene.group(k)) for k in (0, 1, 2)]
    lent, owned = (node_with(edited.group(k), "walker") for k in (0, 2))
    for name, tensor in lent.gaussians.named().items():
        assert tensor.equal(owned.gaussians.named()[name][owned.rows_of("walker")])
    shift = 0.5 if isinstance(edit, Move) else 0.0
    for number in (0, 2):
        assert pose_of(edited.group(number), "walker", 0.2)[1, 3] == pytest.approx(THINGS[3].place[1] + shift)
    plain = node_with(scene.group(0), "walker").gaussians.sh0
    assert plain.equal(lent.gaussians.sh0) == isinstance(edit, Move)


def test_an_object_of_the_same_far_home_that_gets_another_way_is_drawn_once_beside_it(run):
    edited = with_edits(GroupedScene(run), (Move("far", (0.0, 0.5, 0.0)), Hide("walker")))
    assert isinstance(edited, GroupedScene)
    graph = edited.group(0)
    assert ids_in(graph) == sorted(HOMES)
    assert len(node_with(graph, "far").rows_of("far")) > 100
    assert pose_of(graph, "walker", 0.2) is None
    assert pose_of(graph, "far", 0.2)[1, 3] == pytest.approx(THINGS[1].place[1] + 0.5)


def test_objects_of_all_groups_are_each_there_once(run):
    scene = GroupedScene(run)
    scene.group(0)
    assert ids_in(scene.objects({"walker"})) == sorted(HOMES)
    assert sorted(id for part in scene.parts() for id in ids_in(part)) == sorted(HOMES)
