"""The made-up street in plain colours, so that regions of a picture can be told apart."""

import torch

from gsrecon.data.log import DrivingLog
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.static import StaticGroup
from tests.labels.street import WALL_M, street_scene

GROUND, SKY = (0.3, 0.3, 0.3), (0.4, 0.6, 0.9)
LEFT_WALL, RIGHT_WALL = (0.2, 0.5, 0.2), (0.5, 0.35, 0.2)
"""The wall across the street's end: green on the left of the way, brown on the right."""
COLOURS = {
    "near": (0.9, 0.1, 0.1),
    "far": (0.1, 0.2, 0.9),
    "hidden": (0.9, 0.1, 0.9),
    "walker": (0.9, 0.8, 0.1),
}
"""Of the things on the street."""
_Y0 = 0.28209479177387814


def painted_street(log: DrivingLog) -> SceneGraph:
    """Ground, wall and things, each in one colour."""
    graph = street_scene(log)
    background, actors = graph["background"], graph["actors"]
    assert isinstance(background, StaticGroup)
    assert isinstance(actors, RigidActors)
    places = background.gaussians.means
    colours = torch.tensor(GROUND).repeat(len(places), 1)
    wall = places[:, 0] > WALL_M - 0.5
    colours[wall & (places[:, 1] > 0) & (places[:, 2] > 0.2)] = torch.tensor(LEFT_WALL)
    colours[wall & (places[:, 1] <= 0) & (places[:, 2] > 0.2)] = torch.tensor(RIGHT_WALL)
    background.gaussians.sh0[:] = (colours - 0.5) / _Y0
    of_object = torch.tensor([COLOURS[id] for id in actors.object_ids])
    actors.gaussians.sh0[:] = (of_object[actors.object_of_row.long()] - 0.5) / _Y0
    return graph
