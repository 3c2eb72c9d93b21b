from dataclasses import replace

import pytest
import torch

from gsrecon.gaussians.resample import Resample
from gsrecon.scene.bundle import load_scene, save_scene
from gsrecon.scene.changed_rows import add_rows, scale_rows
from gsrecon.scene.deformation import Deformation, gate_of
from gsrecon.scene.deformation_config import DeformationConfig, Extent
from gsrecon.scene.deformation_schedule import DeformationSchedule
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.recording import RecordedCamera
from gsrecon.scene.render import camera_at, render
from gsrecon.scene.static import StaticGroup
from tests.scene.moving_things import EXTENT, some_field, some_gaussians, stir
from tests.tiny_drive import tiny_recording

T = torch.tensor([1.3])
FRONT: RecordedCamera = tiny_recording().cameras["front"]
ALWAYS = DeformationSchedule(warm_up=0.0, discovery=1.0, discovery_share=1.0, time_noise=0.0)


def camera():
    return camera_at(FRONT, torch.from_numpy(FRONT.ego_from_cam))


def test_at_the_start_the_scene_is_the_static_one_bit_by_bit(generator):
    field = some_field(40, generator)
    still = StaticGroup("background", field.gaussians)
    for time_s in (0.0, 1.3, 4.0):
        pictures = [
            render(SceneGraph([node]), camera(), torch.tensor([time_s])).image for node in (field, still)
        ]
        assert torch.equal(*pictures)


def test_the_formulas_by_hand(generator):
    """One Gaussian, whose heads are constants: everything can be worked out on paper."""
    config = DeformationConfig(threshold=0.2)
    deformation = Deformation.start(config, EXTENT, torch.tensor([0.6]), generator)
    gaussians = some_gaussians(1, generator)
    gaussians = replace(gaussians, logit_opacities=torch.tensor([0.5]))
    networks = deformation.networks
    networks["deformation.bias"].copy_(torch.tensor([0.3, 0, -0.6, 0.1, 0.2, 0, 0, 0.4, 0, -0.2]))
    networks["dem.bias"].copy_(torch.tensor([0.5, -1.0]))
    networks["oem.head.bias"].fill_(0.8)
    moved = deformation.apply(gaussians, gaussians.to_splats(), 1.3)

    gate = (0.6 - 0.2) / (1 - 0.2)
    alpha_p, alpha_s = 2 * torch.tensor([0.5, -1.0]).sigmoid()
    dx = 3 * (torch.tensor([[0.3, 0, -0.6]]) / 3).tanh()
    torch.testing.assert_close(moved.means, gaussians.means + gate * alpha_p * dx)
    torch.testing.assert_close(
        moved.quats, gaussians.quats + gate * alpha_p * torch.tensor([[0.1, 0.2, 0, 0]])
    )
    ds = 0.7 * (torch.tensor([[0.4, 0, -0.2]]) / 0.7).tanh()
    log_scales = gaussians.log_scales + gate * alpha_p * ds
    torch.testing.assert_close(moved.scales, log_scales.exp())
    canonical = torch.tensor([0.5 + gate * 0.8]).sigmoid()
    torch.testing.assert_close(moved.opacities, canonical * (1 + gate * (alpha_s - 1)))


def test_the_gate_opens_without_a_jump():
    states = torch.tensor([0.0, 0.2, 0.2 + 1e-6, 0.6, 1.0])
    torch.testing.assert_close(
        gate_of(states, 0.2), torch.tensor([0.0, 0.0, 1.25e-6, 0.5, 1.0]), atol=1e-7, rtol=0
    )


def test_a_gaussian_that_crosses_the_threshold_does_not_jump(generator):
    field = some_field(1, generator)
    stir(field.deformation, generator)
    images = []
    for state in (0.1 - 1e-6, 0.1 + 1e-6):
        field.deformation.state = torch.tensor([state])
        images.append(field.splats_at(T))
    torch.testing.assert_close(images[0].means, images[1].means, atol=1e-4, rtol=0)
    torch.testing.assert_close(images[0].opacities, images[1].opacities, atol=1e-4, rtol=0)


def test_networks_touch_only_what_is_dynamic(generator):
    field = some_field(10, generator)
    stir(field.deformation, generator)
    still, moved = field.gaussians.to_splats(), field.splats_at(T)
    for name in ("means", "quats", "scales", "opacities"):
        same = (getattr(still, name) == getattr(moved, name)).reshape(10, -1).all(dim=1)
        assert same.tolist() == [True, False] * 5


def test_no_centre_moves_farther_than_its_reach(generator):
    field = some_field(200, generator, largest_motion_m=0.5)
    stir(field.deformation, generator)
    field.deformation.networks["deformation.weight"].mul_(100)
    away = (field.splats_at(T).means - field.gaussians.means).norm(dim=1)
    assert away.max() > 0.5
    assert bool((away <= field.deformation.reach(field.gaussians.scales)).all())


def test_what_a_camera_cannot_see_is_left_alone_and_its_picture_is_the_same(generator):
    field = some_field(300, generator, largest_motion_m=0.3)
    field.gaussians.means[:, 1] *= 8
    stir(field.deformation, generator)
    culled = field.splats_at(T, cameras=camera())
    whole = field.splats_at(T)
    assert not torch.equal(culled.means, whole.means)
    graph = SceneGraph([field])
    seen = render(graph, camera(), T).image
    field.splats_at = lambda times_s, sh_degree=None, cameras=None: whole
    # Functions of elements round differently at a tensor's end; a Gaussian wrongly left out shows more.
    torch.testing.assert_close(render(graph, camera(), T).image, seen, atol=1e-5, rtol=0)


def test_things_are_elsewhere_at_another_time(generator):
    field = some_field(10, generator)
    stir(field.deformation, generator)
    assert not torch.equal(field.splats_at(T).means, field.splats_at(T + 0.05).means)


def test_cameras_with_different_times_are_refused(generator):
    with pytest.raises(ValueError, match=r"expected one time for all cameras.*one after the other"):
        some_field(3, generator).splats_at(torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("off", ["motion", "enhancement", "opacity_enhancement"])
def test_every_part_has_a_switch(generator, off):
    field = some_field(10, generator, **{off: False})
    stir(field.deformation, generator)
    still, moved = field.gaussians.to_splats(), field.splats_at(T)
    assert torch.equal(still.means, moved.means) == (off == "motion")
    assert not torch.equal(still.opacities, moved.opacities)
    names = {"motion": "deformation", "enhancement": "dem", "opacity_enhancement": "oem"}
    assert not any(name.startswith(names[off]) for name in field.deformation.networks)


def test_a_static_start_gets_a_gradient_to_its_state_in_the_discovery_only(generator):
    config = DeformationConfig(schedule=replace(ALWAYS, warm_up=0.1, discovery=0.5))
    state = torch.full((30,), config.first_state)
    gaussians = some_gaussians(30, generator).trainable()
    deformation = Deformation.start(config, EXTENT, state.requires_grad_(), generator)
    stir(deformation, generator)
    for progress, reached in ((0.05, False), (0.3, True), (0.65, False)):
        deformation.begin_step(progress, generator)
        moved = deformation.apply(gaussians, gaussians.to_splats(), 1.0)
        moved.means.sum().backward()
        assert (deformation.state.grad is not None) == reached
        deformation.state.grad = None
        deformation.end_step()


def test_in_the_discovery_about_the_wanted_share_is_tried(generator):
    config = DeformationConfig(schedule=replace(ALWAYS, discovery_share=1 / 3))
    deformation = Deformation.start(config, EXTENT, torch.full((3000,), 0.05), generator)
    gaussians = some_gaussians(3000, generator)
    deformation.begin_step(0.2, generator)
    deformation.apply(gaussians, gaussians.to_splats(), 1.0)
    assert deformation.latest is not None
    assert len(deformation.latest.state) == pytest.approx(1000, abs=100)
    torch.testing.assert_close(deformation.latest.gate, deformation.latest.state)


def test_no_more_static_gaussians_are_tried_in_a_step_than_wanted(generator):
    config = DeformationConfig(schedule=replace(ALWAYS, discovery_share=0.5), most_sampled=20)
    state = torch.cat([torch.full((300,), 0.05), torch.full((7,), 0.9)])
    deformation = Deformation.start(config, EXTENT, state, generator)
    gaussians = some_gaussians(307, generator)
    deformation.begin_step(0.2, generator)
    deformation.apply(gaussians, gaussians.to_splats(), 1.0)
    assert deformation.latest is not None
    assert len(deformation.latest.state) == 27
    assert int((deformation.latest.state > 0.5).sum()) == 7


def test_what_was_drawn_between_two_steps_is_not_in_the_next_ones_loss(generator):
    field = some_field(10, generator)
    deformation = field.deformation
    deformation.begin_step(0.9, generator)
    field.splats_at(torch.tensor([1.0]))
    deformation.end_step()
    with torch.no_grad():
        field.splats_at(torch.tensor([1.0]))
    deformation.begin_step(0.9, generator)
    assert deformation.latest is None


def test_static_gaussians_are_revived_for_a_spell():
    schedule = DeformationSchedule()
    shares = [schedule.at(progress / 1000, 0.1).sampled_share for progress in range(1000)]
    revived = [k / 1000 for k in range(1000) if shares[k] == schedule.revival_share]
    assert shares[30] == schedule.discovery_share
    assert len(revived) == pytest.approx(50, abs=6)
    assert min(revived) > schedule.discovery


def test_time_noise_fades():
    schedule = DeformationSchedule(warm_up=0.0, time_noise=0.5, time_noise_stop=0.4)
    noise = [schedule.at(progress, 0.1).time_noise_s for progress in (0.0, 0.2, 0.4, 0.9)]
    assert noise == pytest.approx([0.05, 0.025, 0.0, 0.0])


def test_after_the_discovery_the_weakest_are_static_where_there_are_too_many(generator):
    config = DeformationConfig(largest_share=0.2)
    state = torch.linspace(0.0, 1.0, 20)
    deformation = Deformation.start(config, EXTENT, state, generator)
    deformation.begin_step(0.1, generator)
    assert int(deformation.dynamic.sum()) > 4
    deformation.begin_step(0.9, generator)
    assert deformation.dynamic.nonzero()[:, 0].tolist() == [16, 17, 18, 19]
    assert state[:2].tolist() == pytest.approx([0.0, 1 / 19])


def test_states_stay_between_0_and_1(generator):
    deformation = Deformation.start(DeformationConfig(), EXTENT, torch.tensor([-0.1, 1.2]), generator)
    deformation.end_step()
    assert deformation.state.tolist() == [0.0, 1.0]


def test_children_inherit_the_state(generator):
    field = some_field(4, generator)
    change = Resample(torch.tensor([3, 0, 1, 1]), torch.tensor([False, False, False, True]))
    named = field.resample(change)
    assert field.deformation.state.tolist() == pytest.approx([0.8, 0.0, 0.8, 0.8])
    assert named["state"] is field.deformation.state
    assert torch.equal(named["means"], field.gaussians.means)


def test_a_stored_field_renders_to_the_same_bits(generator, tmp_path):
    field = some_field(20, generator)
    stir(field.deformation, generator)
    field.deformation.evidence = torch.rand(7, 8, generator=generator)
    save_scene(SceneGraph([field]), tmp_path / "scene")
    again = load_scene(tmp_path / "scene")
    assert torch.equal(render(SceneGraph([field]), camera(), T).image, render(again, camera(), T).image)
    deformation = again.deformations["background"]
    assert deformation.config == field.deformation.config
    assert deformation.extent == field.deformation.extent
    assert torch.equal(deformation.evidence, field.deformation.evidence)


def test_evidence_tells_the_networks_what_was_there_and_where_it_went(generator):
    deformation = Deformation.start(DeformationConfig(), EXTENT, torch.zeros(1), generator)
    nan = torch.nan
    deformation.evidence = torch.tensor(
        [[5.0, 0, 1, 1.0, 1.0, 3.0, 0, 4.0], [5.0, 0, 1, 3.0, 0.0, nan, nan, nan]]
    )
    assert deformation.evidence_error(8) is None
    deformation.begin_step(0.5, generator)
    # At first everything is shown where it is at home: off by 1 where nothing was, and by 5 m for what moved.
    error = deformation.evidence_error(4000)
    assert error is not None
    assert error.item() == pytest.approx(0.5 * 1 + 0.5 * 0.2 * 5, abs=0.05)


def count_oem(monkeypatch) -> list:
    """One entry for every time the OEM runs."""
    calls, real = [], Deformation._oem
    monkeypatch.setattr(Deformation, "_oem", lambda *a: calls.append(a) or real(*a))
    return calls


def require_grad(deformation: Deformation, wanted: bool) -> None:
    for weights in deformation.networks.values():
        weights.requires_grad_(wanted)


def test_outside_of_training_the_oem_runs_once_and_gives_the_same(generator, monkeypatch):
    field = some_field(20, generator)
    stir(field.deformation, generator)
    require_grad(field.deformation, True)
    fresh = field.splats_at(T).opacities.detach()
    calls = count_oem(monkeypatch)
    with torch.no_grad():
        first, again = field.splats_at(T).opacities, field.splats_at(T).opacities
    assert len(calls) == 1
    torch.testing.assert_close(first, fresh)
    assert torch.equal(first, again)
    field.gaussians = some_gaussians(20, generator)
    with torch.no_grad():
        assert not torch.equal(field.splats_at(T).opacities, first)
    assert len(calls) == 2


def test_the_oem_of_a_frozen_field_runs_once_while_others_are_trained(generator, monkeypatch):
    field = some_field(20, generator)
    stir(field.deformation, generator)
    calls = count_oem(monkeypatch)
    first, again = field.splats_at(T).opacities, field.splats_at(T).opacities
    assert (len(calls), first.requires_grad) == (1, False)
    assert torch.equal(first, again)
    require_grad(field.deformation, True)
    field.splats_at(T).opacities.sum().backward()
    gradient = field.deformation.networks["oem.head.bias"].grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
    assert len(calls) == 2


def test_rows_are_added_with_gradients_to_both():
    base = torch.tensor([[1.0], [2.0], [3.0]], requires_grad=True)
    change = torch.tensor([[10.0], [20.0]], requires_grad=True)
    added = add_rows(base, torch.tensor([2, 0]), change)
    assert added[:, 0].tolist() == [21.0, 2.0, 13.0]
    (added * torch.tensor([[1.0], [2.0], [3.0]])).sum().backward()
    assert base.grad[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert change.grad[:, 0].tolist() == [3.0, 1.0]


def test_rows_are_scaled_with_gradients_to_both(generator):
    base = torch.rand(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    factor = torch.rand(2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    rows = torch.tensor([3, 0])
    scaled = scale_rows(base, rows, factor)
    assert torch.equal(scaled[rows], base[rows] * factor)
    assert torch.equal(scaled[[1, 2, 4]], base[[1, 2, 4]])
    torch.autograd.gradcheck(lambda base, factor: scale_rows(base, rows, factor), (base, factor))


def test_the_extent_holds_most_points_and_all_times():
    points = torch.cat([torch.rand(1000, 3) * torch.tensor([40.0, 10, 2]), torch.full((3, 3), 900.0)])
    extent = Extent.around(points, [0.5, 2.0], 0.1)
    assert extent.half_size_m == pytest.approx(20, abs=1.5)
    assert extent.centre[0] == pytest.approx(20, abs=1.5)
    assert (extent.start_s, extent.stop_s) == (0.5, 2.0)


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="threshold: expected 0 to below 1, got 1"):
        DeformationConfig(threshold=1.0)
    with pytest.raises(ValueError, match="largest_share: expected above 0"):
        DeformationConfig(largest_share=0.0)
    with pytest.raises(ValueError, match="warm_up, discovery"):
        DeformationSchedule(warm_up=0.5, discovery=0.2)
