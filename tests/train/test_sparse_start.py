"""Points found in the pictures start training beside the lidar's, unless only held-out pictures saw them."""

from dataclasses import replace

import numpy as np
import torch

from gsrecon.data.sparse_points import SparsePoints
from gsrecon.train.config import InitialPoints
from gsrecon.train.initialise import lidar_points
from gsrecon.train.sparse_start import found_points
from gsrecon.train.split import Split
from gsrecon.train.views import Views
from tests.train.tiny_drive import SPEC, tiny_drive

# Frames 2 and 6 are held out. Point 0 is seen by 0, 1, 3; point 1 by 1, 2; point 2 by 2, 6; point 3 by 3, 4.
POINTS = SparsePoints(
    points_in_world=np.array([[5.0, 1, 0], [6, 1, 0], [7, 1, 0], [8, 1, 0]]),
    colors=np.array([[255, 0, 51]] * 4, np.uint8),
    frames=tuple(("front", index) for index in range(8)),
    seen_points=np.array([0, 0, 0, 1, 1, 2, 2, 3, 3], np.int32),
    seen_frames=np.array([0, 1, 3, 1, 2, 2, 6, 3, 4], np.int32),
)


def test_two_fitted_pictures_must_have_seen_a_point():
    points, colors = found_points(Split.of(replace(tiny_drive(), sparse_points=POINTS), SPEC), 100)
    assert points.tolist() == [[5, 1, 0], [8, 1, 0]]
    torch.testing.assert_close(colors, torch.tensor([[1.0, 0, 0.2]] * 2))


def test_those_seen_most_often_are_kept():
    split = Split.of(replace(tiny_drive(), sparse_points=POINTS), SPEC)
    assert found_points(split, 1)[0].tolist() == [[5, 1, 0]]
    assert len(found_points(split, 0)[0]) == 0


def test_a_drive_without_lidar_starts_from_them(generator):
    split = Split.of(replace(tiny_drive(), sparse_points=POINTS, sweeps=()), SPEC)
    views = Views(split.log, split.fitted, split.recording(), mask_moving=False)
    points, colors = lidar_points(split, views, InitialPoints(), generator)
    assert points.tolist() == [[5, 1, 0], [8, 1, 0]]
    assert colors.shape == (2, 3)
