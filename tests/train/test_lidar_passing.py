import weakref

import numpy as np
import pytest
import torch

from gsrecon.data.log import DrivingLog, LidarSweep
from gsrecon.scene.groups import GroupPlan, Groups
from gsrecon.train.groups_start import own_passing
from gsrecon.train.lidar_evidence import RangePicture
from gsrecon.train.lidar_passing import PassingFinder
from gsrecon.train.split import Split
from tests.train.moving_drive import SPEED, centre_at
from tests.train.tiny_drive import SPEC, tiny_drive

SWEEPS = 16


def boxy(centre: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Points on the rear and the left side of a box, which a lidar behind it on the left sees."""
    rear = np.stack([np.full(80, -1.5), random.uniform(-0.8, 0.8, 80), random.uniform(-0.6, 0.7, 80)], axis=1)
    left = np.stack([random.uniform(-1.5, 1.5, 80), np.full(80, 0.8), random.uniform(-0.6, 0.7, 80)], axis=1)
    return centre + np.concatenate([rear, left])


@pytest.fixture(scope="module")
def finder() -> PassingFinder:
    """A box drives down the corridor before dense walls."""
    random = np.random.default_rng(3)
    log = tiny_drive(SWEEPS, spacing=0.0)
    turn, rise = np.meshgrid(np.linspace(-1.2, 1.2, 400), np.linspace(-0.3, 0.25, 60))
    rays = np.stack([np.ones(turn.size), np.tan(turn).ravel(), rise.ravel()], axis=1)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    side = 4.0 / np.abs(rays[:, 1]).clip(1e-3)
    wall = rays * np.minimum(side, 25.0 / rays[:, 0])[:, None]
    sweeps, moving = [], []
    for index in range(SWEEPS):
        box = boxy(centre_at(100_000 * index), random)
        shadow = (
            np.abs(np.arctan2(wall[:, 1], wall[:, 0]) - np.arctan2(*centre_at(100_000 * index)[[1, 0]]))
            < 0.04
        )
        points = np.concatenate([wall[~shadow], box]).astype(np.float32)
        sweeps.append(LidarSweep(100_000 * index, np.eye(4), points))
        moving.append(box)
    log = type(log)(**{**log.__dict__, "sweeps": tuple(sweeps)})
    found, shares = PassingFinder(log), []
    for number, sweep in enumerate(sweeps):
        points = np.asarray(sweep.points, dtype=np.float64)
        colors = np.zeros((len(points), 3), dtype=np.float32)
        taken = found.take(number, points, colors)
        on_box = np.arange(len(points)) >= len(points) - len(moving[number])
        shares.append(taken[on_box].mean())
        assert taken[~on_box].mean() < 0.02
    assert np.mean(shares) > 0.6
    return found


def test_what_drives_by_is_followed_with_its_speed(finder):
    passing = finder.passing()
    assert len(passing.points) > 100
    torch.testing.assert_close(
        passing.velocities.median(dim=0).values, torch.tensor([SPEED, 0.0, 0.0]), atol=1.0, rtol=0
    )


def test_key_moments_lie_about_a_length_apart_and_cover_the_time_between(finder):
    passing = finder.passing()
    moments = passing.times_s.unique()
    # 3 m at 12 m/s.
    assert moments.diff().min() > 0.15
    windows = passing.windows_s.unique(dim=0)
    assert torch.equal(windows[1:, 0], windows[:-1, 1])


def test_each_key_moment_belongs_to_the_group_of_its_time(finder):
    log = tiny_drive(SWEEPS, spacing=0.0)
    recording = Split.of(log, SPEC).recording()
    plan = GroupPlan.cut(recording, Groups(count=2))
    assert len(plan) == 2
    whole, parts = finder.passing(), [own_passing(finder, plan, group) for group in (0, 1)]
    second_s = recording.time_s(plan.starts_us[1])
    assert parts[0].times_s.max() < second_s <= parts[1].times_s.min()
    assert torch.equal(torch.cat([part.points for part in parts]), whole.points)
    assert torch.equal(torch.cat([part.windows_s for part in parts]), whole.windows_s)


def test_points_of_other_sweeps_are_moved_to_the_key_moment(finder):
    passing = finder.passing()
    for moment in passing.times_s.unique():
        centre = torch.from_numpy(centre_at(round(1e6 * float(moment)))).float()
        away = (passing.points[passing.times_s == moment] - centre).abs()
        assert away.amax(dim=0)[0] < 1.5 + 0.6


def test_answers_tell_where_the_things_are_while_they_are_there(finder, generator):
    passing = finder.passing()
    answers = passing.answers(0.05, 200, generator)
    there = answers[:, 4] == 1
    assert there.sum() == 200
    assert (~there).sum() == 100
    assert answers[there, 5:].isfinite().all()
    assert answers[~there, 5:].isnan().all()
    assert answers[there, 5].abs().max() < 4.0


def test_a_drive_in_which_nothing_moves_has_nothing_that_passes():
    log = tiny_drive()
    found = PassingFinder(log)
    for number, sweep in enumerate(log.sweeps):
        points = np.asarray(sweep.points, dtype=np.float64) + sweep.world_from_lidar[:3, 3]
        found.take(number, points, np.zeros((len(points), 3), dtype=np.float32))
    assert len(found.passing().points) == 0
    assert found.passing().answers(0.1, 10, torch.Generator()).shape == (0, 8)


def test_range_pictures_are_made_once_and_kept_only_while_they_are_asked(monkeypatch):
    log, make = tiny_drive(), RangePicture.of
    made: list[int] = []
    alive: weakref.WeakSet[RangePicture] = weakref.WeakSet()

    def counted(of_log: DrivingLog, sweep: LidarSweep) -> RangePicture:
        picture = make(of_log, sweep)
        made.append(sweep.timestamp_us)
        alive.add(picture)
        return picture

    monkeypatch.setattr(RangePicture, "of", counted)
    monkeypatch.setattr("gsrecon.train.lidar_passing._ASKED", (1, 2))
    found = PassingFinder(log)
    for number, sweep in enumerate(log.sweeps):
        points = np.asarray(sweep.points, dtype=np.float64) + sweep.world_from_lidar[:3, 3]
        found.take(number, points, np.zeros((len(points), 3), dtype=np.float32))
        assert len(alive) <= 5
    assert sorted(made) == [sweep.timestamp_us for sweep in log.sweeps]
