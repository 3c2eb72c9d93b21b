"""Things that move, from a drive to a scene: set up, fitted, resumed, judged."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from gsrecon.data.log import Track
from gsrecon.evaluation.evaluate import evaluate
from gsrecon.gaussians.density_classic import ClassicDensity
from gsrecon.gaussians.resample import Resample
from gsrecon.gaussians.schedule import Rounds
from gsrecon.geometry.spherical_harmonics import sh0_to_rgb
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.bundle import load_scene
from gsrecon.scene.deformable_field import DeformableField
from gsrecon.train.actors import boxes_of, usable_tracks
from gsrecon.train.boxes import Boxes
from gsrecon.train.config import InitialPoints, LossWeights, TrainConfig
from gsrecon.train.config_file import config_from_json, config_to_json
from gsrecon.train.dynamics import (
    ActorAndDeformationDynamics,
    ActorDynamics,
    ActorsConfig,
    DeformationDynamics,
    NoDynamics,
)
from gsrecon.train.initialise import lidar_points, start_scene
from gsrecon.train.lidar_passing import Passing, PassingFinder
from gsrecon.train.loop import train
from gsrecon.train.split import Split
from gsrecon.train.views import Views
from tests.train.moving_drive import SIZE, SPEC, centre_at, moving_drive
from tests.train.test_checkpoint import StopAt, final_files
from tests.train.tiny_drive import tiny_drive

CONFIG = TrainConfig(
    steps=300,
    density=ClassicDensity(cap=4000),
    initial=InitialPoints(lidar=2500, beyond_lidar=300),
    sky_resolution=8,
    checkpoints=1,
    evaluations=0,
    log_every=50,
    device="cpu",
)
ALL_DYNAMICS = [DeformationDynamics(), ActorDynamics(), ActorAndDeformationDynamics()]


@pytest.fixture(scope="module")
def drive():
    return moving_drive()


def started(log, dynamics, generator):
    split = Split.of(log, SPEC)
    views = Views(split.log, split.fitted, split.recording(), mask_moving=False)
    return start_scene(split, views, replace(CONFIG, dynamics=dynamics), generator)


def moving_psnr(log, dynamics, folder) -> tuple[float, float]:
    """Over what moves and over what stands, on held-out pictures [dB]."""
    result = train(log, SPEC, replace(CONFIG, dynamics=dynamics, mask_moving=False), folder)
    summary = evaluate(load_scene(result.scene_dir), log).summary
    assert summary.psnr_moving is not None
    assert summary.psnr_static is not None
    return summary.psnr_moving, summary.psnr_static


def test_an_object_with_a_box_is_predicted_at_times_without_a_picture(drive, tmp_path):
    still, still_around = moving_psnr(drive, NoDynamics(), tmp_path / "still")
    moving, around = moving_psnr(drive, ActorDynamics(), tmp_path / "moving")
    assert moving > still + 5
    assert around > still_around - 0.1


def test_an_objects_gaussians_lie_in_its_box_and_the_backgrounds_do_not(drive, generator):
    graph = started(drive, ActorDynamics(), generator)
    actors = graph["actors"]
    assert isinstance(actors, RigidActors)
    assert graph.objects.number("box") == 1
    assert bool((actors.gaussians.means.abs() <= torch.from_numpy(SIZE / 2 + 0.1)).all())
    on_its_way = graph["background"].gaussians.means
    inside_y = (on_its_way[:, 1] + 1.5).abs() < 0.6
    inside_z = (on_its_way[:, 2] - 0.9).abs() < 0.5
    # Without boxes the lidar's points on the car lie all along its way.
    ghosts = int((inside_y & inside_z & (on_its_way[:, 0] < 18)).sum())
    with_ghosts = started(drive, NoDynamics(), generator)["background"].gaussians.means
    inside_y = (with_ghosts[:, 1] + 1.5).abs() < 0.6
    inside_z = (with_ghosts[:, 2] - 0.9).abs() < 0.5
    assert ghosts < 0.3 * int((inside_y & inside_z & (with_ghosts[:, 0] < 18)).sum())


def test_of_the_first_gaussians_those_that_stand_for_what_passes_by_are_fully_dynamic(
    drive, generator, monkeypatch
):
    """So many that the cap takes some of them, and in another order than they came."""
    places = -1000 + 5 * torch.rand(3000, 3, generator=generator)
    still, moments = torch.zeros(3000, 3), torch.full((3000,), 0.3)
    known = Passing(places, still, moments, still, torch.tensor([[0.2, 0.4]]).expand(3000, 2))
    monkeypatch.setattr(PassingFinder, "passing", lambda _: known)
    field = started(drive, DeformationDynamics(), generator)["background"]
    assert isinstance(field, DeformableField)
    there = (field.gaussians.means < -900).all(dim=1)
    assert 0 < int(there.sum()) < len(places)
    assert torch.equal(field.deformation.state == 1.0, there)


def test_the_side_that_nobody_saw_is_the_mirrored_other_one(drive, generator):
    measured = ActorsConfig(shell_points=0, shade_points=0)
    seen = [
        started(drive, ActorDynamics(replace(measured, mirror=mirror)), generator)["actors"]
        for mirror in (False, True)
    ]
    right = [int((node.gaussians.means[:, 1] < -0.7).sum()) for node in seen]
    left = [int((node.gaussians.means[:, 1] > 0.7).sum()) for node in seen]
    assert left[0] > 10
    assert right[0] < 0.2 * left[0]
    assert right[1] > 0.6 * left[1]


@pytest.mark.parametrize("dynamics", ALL_DYNAMICS, ids=lambda d: type(d).__name__)
def test_a_run_with_things_that_move_resumes_to_the_same_bits(drive, dynamics, tmp_path):
    config = replace(
        CONFIG,
        steps=24,
        dynamics=dynamics,
        checkpoints=6,
        density=ClassicDensity(cap=1500, rounds=Rounds(0.1, 0.9, 6), gradient_threshold=1e-5),
    )
    walker = replace(drive.tracks[0], category="pedestrian")
    log = replace(drive, tracks=(walker,))
    whole = train(log, SPEC, config, tmp_path / "whole")
    with pytest.raises(RuntimeError, match="killed"):
        train(log, SPEC, config, tmp_path / "torn", [StopAt(17, "raise")])
    resumed = train(log, SPEC, config, tmp_path / "torn", resume=True)
    assert final_files(resumed) == final_files(whole)


def test_a_drive_without_tracks_goes_on_without_objects_and_says_so(generator, caplog):
    with caplog.at_level(logging.WARNING):
        graph = started(tiny_drive(12), ActorDynamics(), generator)
    assert "no track is there in a fitted picture, so no object is modelled" in caplog.text
    assert [node.id for node in graph.gaussian_nodes] == ["background"]


def test_a_run_goes_on_when_all_gaussians_have_faded(drive, tmp_path):
    config = replace(
        CONFIG,
        steps=20,
        density=ClassicDensity(cap=4000, prune_opacity=0.9),
        dynamics=ActorAndDeformationDynamics(),
        weights=LossWeights(needle=0.01),
    )
    result = train(drive, SPEC, config, tmp_path / "run")
    assert result.finished
    assert result.gaussians == 0
    assert evaluate(load_scene(result.scene_dir), drive).summary.psnr is not None


def test_a_track_with_one_key_is_there_at_that_moment(drive, generator):
    track = drive.tracks[0]
    once = replace(
        track, timestamps_us=track.timestamps_us[4:5], world_from_actor=track.world_from_actor[4:5]
    )
    actors = started(replace(drive, tracks=(once,)), ActorDynamics(), generator)["actors"]
    present = [bool(actors.trajectories.present(torch.tensor([t]))) for t in (0.3, 0.35, 0.4, 0.45, 0.5)]
    assert present == [False, True, True, True, False]


def test_an_object_that_no_lidar_beam_met_starts_as_a_shell(drive, generator):
    actors = started(replace(drive, sweeps=()), ActorDynamics(), generator)["actors"]
    assert len(actors.gaussians) > 100
    assert float(actors.gaussians.means.detach().abs().amax(dim=0)[0]) == pytest.approx(SIZE[0] / 2, rel=0.1)


@pytest.mark.parametrize(
    ("size", "config"),
    [((0.5, 0.5, 0.08), ActorsConfig()), ((3.0, 1.6, 1.4), ActorsConfig(shell_points=0))],
    ids=["flat", "no shell wanted"],
)
def test_a_parked_object_starts_with_something_whatever_it_is(size, config, drive, generator):
    times, poses = np.array([0, 1_000_000]), np.tile(np.eye(4), (2, 1, 1))
    poses[:, :3, 3] = [6.0, -50.0, 1.0]
    hidden = Track("hidden", "debris", np.array(size), times, poses)
    actors = started(replace(drive, tracks=(hidden,)), ActorDynamics(config), generator)["actors"]
    assert isinstance(actors, RigidActors)
    assert len(actors.gaussians) >= 10
    assert bool((actors.gaussians.means.abs() <= 0.5 * actors.sizes_lwh).all())


def test_faint_flat_black_gaussians_lie_on_the_ground_under_what_moves_and_not_under_what_is_parked(
    drive, generator
):
    pose = np.tile(np.eye(4), (2, 1, 1))
    pose[:, :3, 3] = [9.0, 2.5, 0.7]
    parked = Track("parked", "car", SIZE, np.array([300_000, 400_000]), pose)
    actors = started(replace(drive, tracks=(*drive.tracks, parked)), ActorDynamics(), generator)["actors"]
    means = actors.gaussians.means.detach()
    low = means[:, 2] < -SIZE[2] / 2 + 0.09
    assert actors.object_of_row[low].unique().tolist() == [0]
    assert int(low.sum()) == pytest.approx(ActorsConfig().shade_points, rel=0.1)
    half = torch.from_numpy(SIZE[:2] / 2).float()
    torch.testing.assert_close(means[low, :2].abs().amax(dim=0), half, rtol=0.1, atol=0)
    shade = actors.gaussians.detached().resampled(Resample.keep(low.nonzero()[:, 0]))
    assert float(shade.scales[:, 2].max()) < 0.02
    assert float(shade.scales[:, :2].min()) > 0.03
    assert float(shade.opacities.max()) < 0.15
    torch.testing.assert_close(sh0_to_rgb(shade.sh0), torch.zeros(len(shade), 3))


def test_parked_objects_are_there_all_the_time_and_stay_where_they_were_seen(drive, generator):
    pose = np.tile(np.eye(4), (2, 1, 1))
    # Annotations jitter: 0.2 m in 0.1 s would be 17 m after the 8.6 s that follow.
    pose[:, :3, 3] = [[9.0, 2.5, 0.7], [9.2, 2.4, 0.7]]
    parked = Track("parked", "car", SIZE, np.array([300_000, 400_000]), pose)
    actors = started(replace(drive, tracks=(*drive.tracks, parked)), ActorDynamics(), generator)["actors"]
    times = torch.tensor([0.0, 9.0])
    assert actors.trajectories.present(times)[:, 1].tolist() == [True, True]
    torch.testing.assert_close(actors.trajectories.at(times)[:, 1], torch.from_numpy(pose))


@pytest.mark.parametrize("keys", [slice(0, 2), slice(6, 8)])
def test_points_on_a_parked_object_are_its_own_when_its_annotation_has_not_begun_or_is_over(keys, generator):
    drive = moving_drive(speed=0.0)
    (track,) = drive.tracks
    brief = replace(
        track, timestamps_us=track.timestamps_us[keys], world_from_actor=track.world_from_actor[keys]
    )
    split = Split.of(drive, SPEC)
    views = Views(split.log, split.fitted, split.recording(), mask_moving=False)
    always, briefly = (
        lidar_points(split, views, CONFIG.initial, generator, boxes_of((annotated,), ActorsConfig()))[0]
        for annotated in (track, brief)
    )
    assert torch.equal(always, briefly)
    of_whole, of_brief = (
        started(replace(drive, tracks=(annotated,)), ActorDynamics(), generator)["actors"].rows_of("box")
        for annotated in (track, brief)
    )
    assert len(of_whole) == len(of_brief)


def test_a_box_that_jumps_is_told_and_goes_on(drive, caplog):
    poses = drive.tracks[0].world_from_actor.copy()
    poses[5, 0, 3] += 40
    jumping = replace(drive.tracks[0], world_from_actor=poses)
    with caplog.at_level(logging.WARNING):
        kept = usable_tracks(Split.of(replace(drive, tracks=(jumping,)), SPEC), ActorsConfig())
    assert len(kept) == 1
    assert "track box jumps 41.2 m within 0.10 s after its key 4 (2 such jumps)" in caplog.text


def test_a_track_that_no_fitted_picture_shows_is_left_out(drive):
    late = replace(drive.tracks[0], timestamps_us=drive.tracks[0].timestamps_us + 60_000_000)
    assert usable_tracks(Split.of(replace(drive, tracks=(late,)), SPEC), ActorsConfig()) == ()


def test_points_on_the_ground_under_a_box_stay_with_the_background(drive):
    boxes = Boxes(drive.tracks, 0, [False])
    bottom = centre_at(0) - np.array([0, 0, SIZE[2] / 2])
    points = bottom + np.array([[0, 0, 0.05], [0, 0, 0.4], [1.55, 0, 0.4], [1.7, 0, 0.4]])
    assert boxes.holds(points, 0).tolist() == [False, True, True, False]


def test_moving_pixels_are_trained_where_something_is_modelled_to_move():
    assert TrainConfig().masks_moving(True)
    assert not TrainConfig(dynamics=DeformationDynamics()).masks_moving(True)
    assert TrainConfig(dynamics=DeformationDynamics(), mask_moving=True).masks_moving(False)


@pytest.mark.parametrize("dynamics", [NoDynamics(), *ALL_DYNAMICS], ids=lambda d: type(d).__name__)
def test_settings_come_back_from_json(dynamics):
    config = TrainConfig(dynamics=dynamics)
    assert config_from_json(config_to_json(config)) == config
