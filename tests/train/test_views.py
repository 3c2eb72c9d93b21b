from dataclasses import replace

import numpy as np
import pytest
import torch

from gsrecon.data.log import DrivingLog
from gsrecon.data.spec import TestSplit
from gsrecon.errors import DatasetError
from gsrecon.gaussians.density_classic import ClassicDensity
from gsrecon.train import beyond_lidar, initialise
from gsrecon.train.beyond_lidar import points_beyond_lidar
from gsrecon.train.config import InitialPoints, TrainConfig
from gsrecon.train.initialise import lidar_points
from gsrecon.train.sampler import Sampler
from gsrecon.train.split import Split
from gsrecon.train.views import Views
from tests.pretend_device import DEVICE, pretend_gpu
from tests.tiny_drive import tiny_log, tiny_scene
from tests.train.tiny_drive import HEIGHT, SPEC, WIDTH, paint, tiny_drive


def views_of(split: Split, mask_moving: bool = False, **options) -> Views:
    return Views(split.log, split.fitted, split.recording(), mask_moving=mask_moving, **options)


def with_mask(log: DrivingLog, name: str, mask: np.ndarray) -> DrivingLog:
    frames = tuple(replace(frame, masks={name: mask}) for frame in log.frames)
    return replace(log, frames=frames)


def test_held_out_frames_lend_neither_picture_nor_lidar():
    split = Split.of(tiny_drive(), SPEC)
    assert [frame.index for frame in split.held_out] == [2, 6]
    assert [frame.index for frame in split.fitted] == [0, 1, 3, 4, 5, 7]
    assert len(split.log.sweeps) == 6
    assert [frame.held_out for frame in split.recording().frames].count(True) == 2


def test_a_split_that_differs_between_cameras_keeps_the_sweeps_beside_fitted_pictures():
    log = tiny_log(tiny_scene())
    log = replace(log, frames=tuple(frame for frame in log.frames if frame.index < 5), sweeps=log.sweeps[:5])
    # Listed camera by camera, every second of ten: 0, 2 and 4 of the first camera, 1 and 3 of the other.
    split = Split.of(log, replace(SPEC, test=TestSplit(every=2, offset=0, counted="selection")))
    assert [(frame.camera, frame.index) for frame in split.held_out] == [
        ("front", 0),
        ("left", 1),
        ("front", 2),
        ("left", 3),
        ("front", 4),
    ]
    assert [sweep.timestamp_us for sweep in split.log.sweeps] == [1_100_000, 1_300_000]


def test_a_drive_without_fitted_frames_is_refused():
    log = tiny_drive()
    only = replace(log, frames=SPEC.test_frames(log))
    with pytest.raises(DatasetError, match=r"no frame is left to fit.*change"):
        Split.of(only, SPEC)


def test_moving_objects_are_masked_with_a_margin_only_when_asked():
    moving = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    moving[10, 10] = 1
    split = Split.of(with_mask(tiny_drive(), "moving", moving), SPEC)
    assert views_of(split)[0].counts is None
    counts = views_of(split, mask_moving=True)[0].counts
    assert counts is not None
    assert int((~counts).sum()) == 25


@pytest.mark.parametrize("name", ["ego", "ignore"])
def test_ego_and_ignored_pixels_never_count(name):
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[20:] = 1
    counts = views_of(Split.of(with_mask(tiny_drive(), name, mask), SPEC))[0].counts
    assert counts is not None
    assert bool(counts[:20].all())
    assert not bool(counts[20:].any())


@pytest.mark.parametrize("name", ["ego", "ignore", "moving"])
def test_lidar_on_pixels_that_do_not_count_is_not_fitted_either(name):
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[:, : WIDTH // 2] = 1
    whole = views_of(Split.of(tiny_drive(), SPEC))[0]
    masked = views_of(Split.of(with_mask(tiny_drive(), name, mask), SPEC), True, dilation_px=0)[0]
    right = whole.depth_pixels % WIDTH >= WIDTH // 2
    assert 0 < int(right.sum()) < len(right)
    assert torch.equal(masked.depth_pixels, whole.depth_pixels[right])
    assert torch.equal(masked.depths, whole.depths[right])


def test_views_beyond_the_memory_limit_are_read_again():
    split = Split.of(tiny_drive(), SPEC)
    views = views_of(split, limit_bytes=1)
    first = views[0]
    views[1]
    assert views[0] is not first
    assert torch.equal(views[0].image, first.image)
    roomy = views_of(split)
    assert roomy[0] is roomy[0]


def test_views_that_were_read_ahead_are_those_that_are_read_on_demand():
    split = Split.of(tiny_drive(), SPEC)
    ahead, on_demand = views_of(split), views_of(split)
    ahead.read_ahead(range(len(ahead)))
    ahead.read_ahead([0])  # once more: it is on its way
    for number in range(len(ahead)):
        assert ahead[number].frame.index == on_demand[number].frame.index
        assert torch.equal(ahead[number].image, on_demand[number].image)
        assert torch.equal(ahead[number].depths, on_demand[number].depths)


def test_pictures_for_a_gpu_are_pinned_where_they_are_read(monkeypatch):
    views, pinned = views_of(Split.of(tiny_drive(), SPEC)), []
    with pretend_gpu():
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor.shape) or tensor)
        views.keep_on(DEVICE)
        assert views[0].image.device == DEVICE
    assert torch.Size([HEIGHT, WIDTH, 3]) in pinned


def test_a_damaged_picture_is_told_when_its_view_is_asked_for(tmp_path):
    log = tiny_drive()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    log = replace(log, frames=(replace(log.frames[0], image=broken), *log.frames[1:]))
    views = views_of(Split.of(log, SPEC))
    views.read_ahead([0, 1])
    assert len(views[1].image) == HEIGHT
    with pytest.raises(DatasetError, match="broken"):
        views[0]


def test_the_sampler_tells_what_it_will_draw(generator):
    sampler = Sampler(5)
    first = sampler.draw(generator)
    upcoming = sampler.upcoming(3)
    assert [sampler.draw(generator) for _ in range(3)] == upcoming
    assert first not in upcoming
    assert len(sampler.upcoming(3)) == 1


def test_lidar_points_lie_on_the_walls_and_have_their_colours(generator):
    split = Split.of(tiny_drive(), SPEC)
    points, colors = lidar_points(split, views_of(split), InitialPoints(), generator)
    assert len(points) > 300
    truth = torch.from_numpy(paint(points.double().numpy())).float()
    # A pixel is far wider than a point: colours agree on the whole only.
    assert (colors - truth).abs().mean() < 0.1


def test_thinning_on_the_way_keeps_the_same_points(generator, monkeypatch):
    split = Split.of(tiny_drive(), SPEC)
    state = generator.get_state()
    together = lidar_points(split, views_of(split), InitialPoints(), generator)
    monkeypatch.setattr(initialise, "_MOST_WAITING", 1)
    apart = lidar_points(split, views_of(split), InitialPoints(), generator.set_state(state))
    assert torch.equal(together[0], apart[0])
    assert torch.equal(together[1], apart[1])


def test_a_scene_starts_within_the_cap(generator):
    split = Split.of(tiny_drive(), SPEC)
    config = TrainConfig(density=ClassicDensity(cap=100))
    assert len(initialise.start_scene(split, views_of(split), config, generator)) == 100


def test_no_more_lidar_points_are_taken_than_asked_for(generator):
    split = Split.of(tiny_drive(), SPEC)
    points, _ = lidar_points(split, views_of(split), InitialPoints(lidar=100), generator)
    assert len(points) == 100


def test_points_beyond_lidar_stand_on_the_rays_of_their_pixels(generator):
    split = Split.of(tiny_drive(), SPEC)
    views = views_of(split)
    initial = InitialPoints(beyond_lidar=60, upright_share=0.0, nearest=5.0, farthest=50.0)
    points, colors, sizes = points_beyond_lidar(views, split.log, initial, generator)
    assert len(points) == len(colors) == len(sizes) == 60
    depths = torch.cat(
        [
            points[i * 10 : (i + 1) * 10, 0] - frame.world_from_cam[0, 3]
            for i, frame in enumerate(split.fitted)
        ]
    )
    assert depths.min() >= 5.0
    assert depths.max() <= 50.0


def test_upright_points_stand_as_far_as_the_highest_lidar_point_of_their_column(generator):
    split = Split.of(tiny_drive(), SPEC)
    view = views_of(split)[0]
    width = view.image.shape[1]
    # Column 3 has lidar in rows 12 and 9, column 20 in row 10; columns far from both have none.
    pixels = torch.tensor([12 * width + 3, 9 * width + 3, 10 * width + 20], dtype=torch.int32)
    view = replace(view, depth_pixels=pixels, depths=torch.tensor([5.0, 8.0, 30.0]))
    top_row, top_depth = beyond_lidar._highest_lidar(view)
    assert top_row[[3, 5, 20, 24]].tolist() == [9, 9, 10, 10]
    assert top_depth[[3, 5, 20, 24]].tolist() == [8.0, 8.0, 30.0, 30.0]
    assert top_row[12] == -1
    row, column = torch.tensor([0, 0, 11, 0]), torch.tensor([3, 20, 3, 12])
    initial = InitialPoints(upright_share=1.0, nearest=100.0, farthest=200.0)
    depths = beyond_lidar._depths(view, row, column, initial, generator)
    torch.testing.assert_close(depths[:2].log(), torch.tensor([8.0, 30.0]).log(), atol=0.3, rtol=0)
    assert bool((depths[2:] >= 100).all())  # below the lidar, and where there is none
