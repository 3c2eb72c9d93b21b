"""The cut of a drive, homes of Gaussians, and which others a group lists."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.resample import Resample
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups import GroupPlan, Groups, ObjectGroups
from gsrecon.scene.groups_sight import Sight, half_angle
from gsrecon.scene.recording import RecordedFrame, Recording
from gsrecon.scene.render import camera_at, render
from gsrecon.scene.static import StaticGroup
from tests.tiny_drive import ego_from_cam, tiny_recording

GROUPS = Groups(count=4, reach_m=15.0, overlap_m=4.0)


def recording(frames: int = 40, spacing: float = 1.0, back: bool = False) -> Recording:
    """A front camera that drives along x at 10 Hz, and back again 6 m to the left if asked for."""
    known = tiny_recording()
    camera = known.cameras["front"]
    taken = []
    for index in range(frames):
        ego = np.eye(4)
        ego[0, 3] = spacing * index
        if back and index >= frames // 2:
            ego[:2, :2] = [[-1, 0], [0, -1]]
            ego[:2, 3] = [spacing * (frames - 1 - index), 6.0]
        pose = ego @ camera.ego_from_cam
        taken.append(RecordedFrame("front", index, 1_000_000 + 100_000 * index, pose, index % 4 == 2))
    return replace(known, cameras={"front": camera}, frames=tuple(taken))


def gaussians_at(points: torch.Tensor, size: float = 0.1) -> Gaussians:
    count = len(points)
    generator = torch.Generator().manual_seed(3)
    return Gaussians(
        means=points,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.full((count, 3), size).log(),
        logit_opacities=torch.full((count,), 2.0),
        sh0=torch.randn(count, 3, generator=generator),
        sh_rest=torch.zeros(count, 0, 3),
    )


def along_the_way(count: int, length_m: float = 70.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(9)
    spread = torch.tensor([length_m, 12.0, 4.0])
    return torch.rand(count, 3, generator=generator) * spread - torch.tensor([5.0, 6.0, 0.5])


def test_the_path_is_cut_into_parts_of_equal_length():
    plan = GroupPlan.cut(recording(), GROUPS)
    assert len(plan) == 4
    assert [len(plan.frames(k)) for k in range(4)] == [10, 10, 10, 10]
    assert [frame.index for frame in plan.frames(1)] == list(range(10, 20))


def test_the_number_of_groups_follows_from_their_length_when_it_is_left_open():
    plan = GroupPlan.cut(recording(), replace(GROUPS, count=None, length_m=13.0))
    assert len(plan) == 3


def test_a_standing_car_is_cut_by_time():
    assert [len(GroupPlan.cut(recording(spacing=0.0), GROUPS).frames(k)) for k in range(4)] == [
        10,
        10,
        10,
        10,
    ]


def test_a_standing_car_has_no_overlap_as_everything_is_near_everything():
    plan = GroupPlan.cut(recording(spacing=0.0), GROUPS)
    assert plan.frames_around(1) == plan.frames(1)


def test_every_group_has_a_fitted_picture_however_many_are_asked_for():
    plan = GroupPlan.cut(recording(frames=8), replace(GROUPS, count=50))
    assert 1 < len(plan) <= 6
    for k in range(len(plan)):
        assert any(not frame.held_out for frame in plan.frames(k))
    assert sum(len(plan.frames(k)) for k in range(len(plan))) == 8


def test_one_frame_is_one_group():
    plan = GroupPlan.cut(recording(frames=1), GROUPS)
    assert len(plan) == 1


def test_a_picture_between_two_groups_belongs_to_the_one_that_began():
    plan = GroupPlan.cut(recording(), GROUPS)
    starts = plan.starts_us
    assert plan.of_time(starts[2] - 1) == 1
    assert plan.of_time(starts[2]) == 2
    assert plan.of_time(0) == 0
    assert plan.of_time(10**12) == 3


def test_the_overlap_takes_neighbouring_pictures_of_both_sides():
    plan = GroupPlan.cut(recording(), GROUPS)
    assert [frame.index for frame in plan.frames_around(1)] == list(range(6, 24))
    assert [frame.index for frame in plan.frames_around(0)] == list(range(14))


def test_a_novel_pose_takes_the_group_of_the_nearest_recorded_one():
    plan = GroupPlan.cut(recording(), GROUPS)
    for x, group in ((0.0, 0), (9.0, 0), (11.0, 1), (38.0, 3), (500.0, 3)):
        pose = torch.from_numpy(ego_from_cam(0.3))
        pose[:2, 3] = torch.tensor([x, 2.5])
        assert plan.of_pose(pose) == group


def test_where_the_drive_comes_back_the_direction_decides():
    plan = GroupPlan.cut(recording(back=True), replace(GROUPS, count=2))
    ahead, behind = torch.from_numpy(ego_from_cam(0.0)), torch.from_numpy(ego_from_cam(np.pi))
    for pose in (ahead, behind):
        pose[:2, 3] = torch.tensor([8.0, 3.0])
    assert plan.of_pose(ahead) == 0
    assert plan.of_pose(behind) == 1


def test_every_point_has_one_home_the_group_whose_pictures_show_most_of_it():
    plan = GroupPlan.cut(recording(), GROUPS)
    points = torch.tensor([[12.0, 2.0, 1.5], [24.0, 0.0, 1.5], [60.0, 0.0, 1.5], [-3.0, 0.0, 1.5]])
    shares = plan.pixel_shares(points)
    # The first is seen from 0 to about 10 m (40 x 33 px at f = 30), so by group 0, hardly by group 1.
    assert plan.homes(points).tolist() == [0, 2, -1, -1]
    # On the axis at 24 m, from every metre before it down to 1 m: 10 <= x < 20 sees it from 5 to 14 m.
    assert float(shares[1, 1]) == pytest.approx(sum(1 / d**2 for d in range(5, 15)), rel=1e-6)
    assert float(shares[1, 2]) == pytest.approx(sum(1 / d**2 for d in range(1, 5)) + 1, rel=1e-6)


def test_cones_hold_all_that_a_picture_shows():
    known = recording()
    camera = known.cameras["front"]
    sight = Sight.of(known, known.frames[:1])
    points = along_the_way(4000)
    lens = camera_at(camera, torch.from_numpy(known.frames[0].world_from_cam))
    graph = SceneGraph([StaticGroup("all", gaussians_at(points))])
    radii = render(graph, lens, torch.zeros(1)).info.radii[0].amax(dim=1)
    distances = sight.nearest(points, torch.full((4000,), 0.333))
    assert bool((radii > 0).any())
    assert bool(distances[radii > 0].isfinite().all())
    assert not bool(distances.isfinite().all())
    assert half_angle(camera) == pytest.approx(np.arctan(np.hypot(24 / 30, 16.5 / 30)), abs=1e-3)


def test_owned_and_listed_draw_what_everything_within_the_reach_draws():
    known = recording()
    plan = GroupPlan.cut(known, GROUPS)
    everything = gaussians_at(along_the_way(6000))
    homes = plan.homes(everything.means)
    settings = RasterizeSettings(far_plane=GROUPS.reach_m * 0.8)
    owned = [everything.resampled(Resample.keep((homes == k).nonzero()[:, 0])) for k in range(4)]
    shown = SceneGraph(
        [StaticGroup("all", everything.resampled(Resample.keep((homes >= 0).nonzero()[:, 0])))]
    )
    for group in range(4):
        rows = [
            other.resampled(Resample.keep(plan.listed(group, home, other))) if home != group else other
            for home, other in enumerate(owned)
        ]
        assert sum(len(part) for part in rows) < len(everything)
        part = SceneGraph([StaticGroup("part", Gaussians.concatenate(rows))])
        for frame in plan.frames(group):
            lens = camera_at(known.cameras["front"], torch.from_numpy(frame.world_from_cam))
            full = render(shown, lens, torch.zeros(1), settings).image
            assert torch.allclose(render(part, lens, torch.zeros(1), settings).image, full, atol=1e-5)


def test_what_is_reached_is_what_has_a_picture_near_enough():
    plan = GroupPlan.cut(recording(), GROUPS)
    points, radii = along_the_way(3000), torch.full((3000,), 0.3)
    sight = plan.sight(1, around=True)
    reached = sight.reaches(points, radii, 15.0)
    assert torch.equal(reached, sight.nearest(points, radii) <= 15.0)
    assert 0 < int(reached.sum()) < 3000


def test_a_group_lends_nothing_that_only_its_own_pictures_see_from_afar():
    plan = GroupPlan.cut(recording(), GROUPS)
    # Owned by group 0, but beside group 2's pictures: what group 0 needs for its own background.
    background = gaussians_at(torch.tensor([[30.0, 0.0, 1.5]]))
    assert len(plan.listed(2, 0, background)) == 0
    assert len(plan.listed(2, 1, background)) == 1


def test_groups_far_apart_have_nothing_to_lend():
    plan = GroupPlan.cut(recording(frames=200), replace(GROUPS, count=10))
    assert plan.neighbours(5) == [3, 4, 6, 7]


def ahead(known: Recording, distance: float, first: int = 0, last: int = 10**6) -> np.ndarray:
    """Places of a thing that drives ahead of the camera, there from one frame to another."""
    places = np.stack([frame.world_from_cam[:3, 3] for frame in known.frames])
    places[:, 0] += distance
    numbers = np.arange(len(places))
    places[(numbers < first) | (numbers > last)] = np.nan
    return places


def test_an_object_that_drives_ahead_is_seen_by_all_groups_whose_pictures_show_it():
    known = recording(frames=200)
    plan = GroupPlan.cut(known, replace(GROUPS, count=10))
    places = ahead(known, 6.0, first=50, last=145)
    places[70] -= (4.0, 0.0, 0.0)
    found = plan.groups_of_object(places)
    # There from 50 to 145 m: groups 2 to 7. At 70 m, in group 3, it is largest.
    assert found == ObjectGroups(3, (2, 3, 4, 5, 6, 7))
    plan.objects = {"car": found}
    lent = [plan.objects_from_afar(group, plan.neighbours(group)) for group in range(10)]
    assert [sorted(of_group.items()) for of_group in lent] == [
        [(3, ["car"])] if group in (6, 7) else [] for group in range(10)
    ]


def test_an_object_in_the_pictures_around_a_group_is_seen_by_it():
    known = recording()
    plan = GroupPlan.cut(known, GROUPS)
    assert plan.groups_of_object(ahead(known, 6.0, first=22, last=23)) == ObjectGroups(2, (1, 2))
    assert plan.groups_of_object(ahead(known, 6.0, first=25, last=25)) == ObjectGroups(2, (2,))


def test_a_parked_object_is_seen_by_groups_up_to_four_times_the_reach():
    known = recording(frames=200)
    plan = GroupPlan.cut(known, replace(GROUPS, count=10))
    found = plan.groups_of_object(np.tile([[105.0, 3.0, 1.0]], (200, 1)))
    # From 100 and 101 m, in group 5, it is 4 m away at least, but group 4 shows it ten times. It is within
    # 60 m from 45 m on, which is around group 2.
    assert found == ObjectGroups(4, (2, 3, 4, 5))
    plan.objects = {"car": found}
    assert not any(plan.objects_from_afar(group, plan.neighbours(group)) for group in range(10))


def test_an_object_that_stays_beyond_the_reach_is_seen_all_the_same():
    known = recording(frames=200)
    plan = GroupPlan.cut(known, replace(GROUPS, count=10))
    assert plan.groups_of_object(ahead(known, 40.0, first=50, last=145)).seen_by == (2, 3, 4, 5, 6, 7)


@pytest.mark.parametrize("distance", [-6.0, 61.0], ids=["behind", "beyond four times the reach"])
def test_an_object_that_no_picture_shows_is_at_home_where_it_is_nearest_and_seen_by_none(distance):
    known = recording()
    plan = GroupPlan.cut(known, GROUPS)
    assert plan.groups_of_object(ahead(known, distance, first=31, last=33)) == ObjectGroups(3, ())


def test_an_object_that_is_never_there_is_at_home_in_the_first_group():
    known = recording()
    assert GroupPlan.cut(known, GROUPS).groups_of_object(ahead(known, 6.0, first=99)) == ObjectGroups(0, ())


@pytest.mark.parametrize(
    ("name", "value"),
    [("count", 0), ("reach_m", 0.0), ("overlap_m", -1.0), ("rounds", 0), ("shared_share", 1.0)],
)
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}: expected"):
        Groups(**{name: value})
