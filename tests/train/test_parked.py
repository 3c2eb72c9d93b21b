"""There is no background inside of what is parked."""

import math

import pytest
import torch

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.init import InitialGaussians, gaussians_from_points
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.objects import ObjectTable
from gsrecon.scene.static import StaticGroup
from gsrecon.scene.trajectories import Trajectories
from gsrecon.train.config import TrainConfig
from gsrecon.train.parked import in_parked_boxes
from gsrecon.train.state import TrainState

ALWAYS, FOR_A_WHILE = (-math.inf, math.inf), (-1.0, 1.0)
SIZE = torch.tensor([[4.0, 2.0, 1.5]])
# A car across the street: its length lies along world y.
POSE = torch.tensor([[0.0, -1, 0, 10], [1, 0, 0, 3], [0, 0, 1, 0.75], [0, 0, 0, 1]]).double()
INSIDE, OUTSIDE = [10.0, 4.5, 0.7], [11.5, 3.0, 0.7]
PLACES = [INSIDE, OUTSIDE, [10.0, 3.0, 0.08], [10.0, 3.0, 0.12], [10.98, 3.0, 0.7], [10.9, 3.0, 0.7]]


def gaussians_at(points: list[list[float]]) -> Gaussians:
    places = torch.tensor(points)
    return gaussians_from_points(
        places, torch.full_like(places, 0.5), InitialGaussians(), torch.ones(len(places))
    )


def street_with_a_car(span_s: tuple[float, float]) -> SceneGraph:
    times, poses = torch.tensor([-0.5, 0.5]).double(), POSE.repeat(2, 1, 1)
    way = Trajectories.start([times], [poses], [span_s], 1.0)
    car = RigidActors(
        ["car"], gaussians_at([[0.0, 0, 0], [1.0, 0, 0]]), torch.zeros(2, dtype=torch.int32), SIZE, way
    )
    table = ObjectTable()
    table.append("car")
    graph = SceneGraph([StaticGroup("background", gaussians_at(PLACES)), car], table)
    graph.trainable()
    return graph


def test_points_are_inside_above_the_ground_and_within_the_boxs_own_accuracy():
    held = in_parked_boxes(street_with_a_car(ALWAYS), torch.tensor(PLACES))
    assert held.tolist() == [True, False, False, True, False, True]


def test_the_box_of_what_moves_on_holds_nothing():
    assert not bool(in_parked_boxes(street_with_a_car(FOR_A_WHILE), torch.tensor(PLACES)).any())


@pytest.mark.parametrize(("span_s", "left"), [(ALWAYS, 3), (FOR_A_WHILE, 6)])
def test_a_census_clears_parked_boxes_of_background_and_leaves_the_objects_their_own(span_s, left, generator):
    graph = street_with_a_car(span_s)
    state = TrainState.start(graph, 1, TrainConfig(device="cpu"), generator)
    state.prune_hidden(torch.ones(len(graph)), 0.05)
    assert len(graph["background"].gaussians) == left
    assert len(graph["actors"].gaussians) == 2
