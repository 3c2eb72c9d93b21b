"""Labels of a scene on a GPU that is pretended are those of the scene on the CPU."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from gsrecon.labels.adaptor import RefinedPoses
from gsrecon.labels.edited_tracks import edited_tracks
from gsrecon.labels.lidar import LidarSpec, sweep
from gsrecon.labels.recorded_sides import RecordedSides
from gsrecon.labels.rig_paths import Rig
from gsrecon.labels.subjects import pose_at, subjects
from gsrecon.labels.trust import Trust
from gsrecon.labels.views import Labeler
from gsrecon.scene.bundle import save_scene
from gsrecon.scene.camera_refinement import CameraRefinement
from gsrecon.scene.edits import (
    Drive,
    Duplicate,
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
from tests.labels.street import START_US, street_log, street_scene
from tests.pretend_device import DEVICE, pretend_gpu

TIME = START_US + 130_000


def refined_scene(log, modelled: bool) -> SceneGraph:
    """With corrections of the poses."""
    graph = street_scene(log, modelled)
    mountings = {name: torch.from_numpy(camera.ego_from_cam) for name, camera in log.cameras.items()}
    node = CameraRefinement(mountings, [0.0, 0.5])
    node.rig_translations += torch.tensor([0.05, -0.1, 0.02])
    graph.add(node)
    return graph


def drawn(log, graph: SceneGraph) -> dict[str, np.ndarray]:
    """Everything that labels are made of, in a view that looks back at the objects, where no camera was."""
    assert graph.recording is not None
    adaptor, things = RefinedPoses(log, graph.camera_refinement), subjects(log.tracks)
    sides = RecordedSides(graph.recording, things, adaptor, graph.camera_refinement)
    labeler = Labeler(things, log.lanes, adaptor, sides)
    lens, planned = graph.recording.cameras["front"], Rig(graph.recording, graph.camera_refinement)
    pose = planned.recorded()[0].world_from_cam.copy()
    pose[:3, :3] = np.diag([-1.0, -1.0, 1.0]) @ pose[:3, :3]
    pose[:2, 3] = (32.0, 1.0)
    view = labeler.view(graph, lens, pose, TIME)
    trust = Trust(graph, sides).view(lens, pose, view.depth, view.alpha, view.semantic == 1)
    turn = sweep(graph, things, adaptor, LidarSpec(beams=8, azimuths=90), np.eye(4) + np.eye(4, k=3), TIME)
    measured = {f"amodal/{thing.subject.id}": thing.measured.amodal for thing in view.objects}
    poses = {f"pose/{thing.id}": pose_at(graph, thing, adaptor, TIME) for thing in things}
    return {
        **{name: getattr(view, name) for name in ("image", "depth", "alpha", "instance", "semantic")},
        **measured,
        **poses,
        "planned": np.stack([each.world_from_cam for each in planned.recorded()]),
        "lidar": turn.points,
        "lidar objects": turn.instance,
        "trust": np.array([getattr(trust, field.name) for field in fields(trust)]),
    }


def require_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize("modelled", [True, False], ids=["actors", "box-free"])
def test_labels_from_a_gpu_are_those_from_the_cpu(modelled):
    log = street_log()
    graph = refined_scene(log, modelled)
    expected = drawn(log, graph)
    assert {"amodal/near", "amodal/far"} < set(expected)
    with pretend_gpu():
        moved = graph.to(DEVICE)
        assert moved.device == DEVICE
        require_same(drawn(log, moved), expected)


def test_objects_are_edited_on_a_gpu(tmp_path):
    save_scene(street_scene(street_log()), tmp_path / "run")
    edits = (
        Remove("near"),
        Move("far", (-4.0, 1.0, 0.0), 10.0),
        Duplicate("walker", "other walker", (2.0, -4.5, 0.0)),
        Insert("guest", scene=tmp_path / "run", object="far", class_name="car", at=(14.0, -3.0)),
        Swap("hidden", with_object="far", fit=True),
        Drive("far", waypoints=((18.0, 3.0), (30.0, 2.0)), speeds_mps=(8.0,)),
        Hide("walker", 0.2),
        Retime("other walker", 0.1),
        Recolour("guest", (1.0, 0.5, 0.2)),
        Exposure(1.2),
    )
    log = street_log()
    on_cpu, source = street_scene(log), street_scene(log)
    apply_edits(on_cpu, edits)
    log = replace(log, tracks=edited_tracks(log.tracks, edits, on_cpu))
    expected = drawn(log, on_cpu)
    with pretend_gpu():
        on_gpu = source.to(DEVICE)
        apply_edits(on_gpu, edits)
        assert all(tensor.device == on_gpu.device for node in on_gpu for tensor in node.tensors().values())
        require_same(drawn(log, on_gpu), expected)
    assert "other walker" not in source.objects.ids, "the scene that was copied is as it was"
