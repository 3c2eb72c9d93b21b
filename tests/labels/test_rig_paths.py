"""Where the rig goes."""

import numpy as np
import pytest
import torch

from gsrecon.errors import SpecError
from gsrecon.geometry.paths import CameraPath
from gsrecon.labels.rig_paths import Rig, RigSampling
from tests.labels.street import START_US, street_log, street_scene, with_times


@pytest.fixture(scope="module")
def rig() -> Rig:
    return Rig(street_scene(street_log(())).recording, None)


def ego(rig: Rig, view) -> np.ndarray:
    return view.world_from_cam @ np.linalg.inv(rig.recording.cameras[view.camera].ego_from_cam)


def test_the_recorded_way_has_every_picture_once_moment_by_moment(rig):
    views = rig.recorded()
    assert [(v.moment, v.camera) for v in views] == [
        (k, name) for k in range(6) for name in ("front", "front_left")
    ]
    frames = {(f.camera, f.timestamp_us): f.world_from_cam for f in rig.recording.frames}
    for view in views:
        np.testing.assert_allclose(view.world_from_cam, frames[view.camera, view.timestamp_us], atol=1e-12)


def test_pictures_of_a_moment_that_the_leading_camera_missed_belong_together(rig):
    whole = [0, 100, 200, 300, 400, 500]
    recording = with_times(
        rig.recording, {"front": [0, 100, 300, 400, 500], "left": whole[:5], "right": whole[:5]}
    )
    views = Rig(recording, None).recorded()
    at_200 = [(view.moment, view.camera) for view in views if view.timestamp_us == START_US + 200_000]
    assert at_200 == [(2, "left"), (2, "right")]
    assert {view.moment for view in views} == set(range(6))


def test_a_shift_moves_every_camera_to_the_vehicles_left(rig):
    for before, after in zip(rig.recorded(), rig.recorded(1.5), strict=True):
        np.testing.assert_allclose(ego(rig, after)[:3, 3] - ego(rig, before)[:3, 3], [0, 1.5, 0], atol=1e-9)
        np.testing.assert_allclose(after.world_from_cam[:3, :3], before.world_from_cam[:3, :3], atol=1e-12)


def test_samples_stay_within_their_bounds_move_the_rig_as_one_and_follow_the_seed(rig):
    sampling = RigSampling(takes=3, lateral_m=0.7, yaw_deg=4.0, height_m=0.3, seed=5)
    views = rig.sampled(sampling)
    assert len(views) == 3 * 12
    for first, second in zip(views[::2], views[1::2], strict=True):
        assert (first.take, first.moment) == (second.take, second.moment)
        pose = ego(rig, first)
        assert abs(pose[1, 3]) <= 0.7
        assert abs(pose[2, 3]) <= 0.3
        yaw = np.degrees(np.arctan2(pose[1, 0], pose[0, 0]))
        assert abs(yaw) <= 4.0
        np.testing.assert_allclose(pose[1:3, 3], ego(rig, second)[1:3, 3], atol=1e-9)
    times = [[v.timestamp_us for v in views if v.take == k and v.camera == "front"] for k in range(3)]
    assert all(np.all(np.diff(of_take) > 0) for of_take in times)
    assert times[0] != times[1]
    again = rig.sampled(sampling)
    assert all(np.array_equal(a.world_from_cam, b.world_from_cam) for a, b in zip(views, again, strict=True))
    other = rig.sampled(RigSampling(takes=3, lateral_m=0.7, seed=6))
    assert not np.array_equal(views[0].world_from_cam, other[0].world_from_cam)


def test_a_path_of_one_camera_takes_the_others_along(rig):
    poses = torch.from_numpy(np.stack([v.world_from_cam for v in rig.recorded(1.0) if v.camera == "front"]))
    times = torch.arange(6, dtype=torch.float64) * 0.1
    views = rig.along(CameraPath(poses, times, times))
    assert len(views) == 12
    for before, after in zip(rig.recorded(1.0), views, strict=True):
        if before.camera == "front":
            np.testing.assert_allclose(before.world_from_cam, after.world_from_cam, atol=1e-9)
        # The other camera fired 8 ms later, 4 cm further on.
        np.testing.assert_allclose(before.world_from_cam, after.world_from_cam, atol=0.05)
    backwards = CameraPath(poses, times.flip(0), times)
    with pytest.raises(SpecError, match="do not ascend"):
        rig.along(backwards)


def test_unknown_cameras_and_bounds_out_of_range_are_refused(rig):
    with pytest.raises(SpecError, match="'rear' is not in the scene"):
        Rig(rig.recording, None, ["rear"])
    with pytest.raises(ValueError, match="takes"):
        RigSampling(takes=0)
    with pytest.raises(ValueError, match="lateral_m"):
        RigSampling(lateral_m=-1.0)
