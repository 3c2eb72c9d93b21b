"""Objects cut out of a scene: what is seen well enough, how it is judged, what is kept and how it looks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gsrecon.data.log import DrivingLog
from gsrecon.evaluation.asset_picture import HEIGHT, WIDTH, contact_sheet, preview, sheet_of
from gsrecon.evaluation.asset_sightings import Sighting, Sightings, sightings
from gsrecon.evaluation.assets import WellSeen, extract_assets, licence_of
from gsrecon.scene.actors import RigidActors
from gsrecon.scene.assets import Asset, Quality, Seen, read_asset
from gsrecon.scene.deformation import Deformation
from gsrecon.scene.deformation_config import DeformationConfig, Extent
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.groups_scene import GroupedScene
from gsrecon.scene.recording import RecordedFrame
from gsrecon.scene.render import render_frame
from gsrecon.scene.sides import SIDES, azimuth
from tests.labels.street import ray_cast, street_log, street_scene
from tests.scene.moving_things import some_gaussians, stir

ANY = WellSeen(picture_pixels=1, pictures=1, pixels=1, sides=1, solid_share=0.0)


@pytest.fixture(scope="module")
def log() -> DrivingLog:
    """The street, with pictures that its scene took itself, a little darker."""
    plain = street_log()
    plain = plain.select(["front"])
    scene = street_scene(plain)
    assert scene.recording is not None
    frames = []
    for frame, recorded in zip(plain.frames, scene.recording.frames, strict=True):
        with torch.no_grad():
            image = render_frame(scene, scene.recording, recorded).image[0]
        darker = (0.9 * image.clamp(0, 1) * 255 + 0.5).to(torch.uint8).numpy()
        frames.append(replace(frame, image=darker))
    return replace(plain, frames=tuple(frames))


def front_scene(log: DrivingLog) -> SceneGraph:
    """The street, of which the camera ahead alone is remembered."""
    scene = street_scene(log)
    assert scene.recording is not None
    frames = tuple(frame for frame in scene.recording.frames if frame.camera == "front")
    scene.recording = replace(scene.recording, frames=frames)
    return scene


@pytest.fixture
def scene(log: DrivingLog) -> SceneGraph:
    return front_scene(log)


@pytest.fixture(scope="module")
def near(log: DrivingLog, tmp_path_factory: pytest.TempPathFactory) -> Asset:
    """The car in front, as it is read back."""
    folder = tmp_path_factory.mktemp("assets")
    extract_assets(front_scene(log), folder, log, rules=ANY)
    return read_asset(folder / "street-near")


def test_pixels_are_those_on_which_an_object_is_in_front(scene: SceneGraph) -> None:
    assert scene.recording is not None
    found = sightings(scene)
    for id in ("near", "far", "walker"):
        seen = found[id].seen(picture_pixels=1)
        shown = []
        for frame in scene.recording.frames:
            lens = scene.recording.cameras[frame.camera]
            numbers, _ = ray_cast(lens, frame.world_from_cam, frame.timestamp_us)
            shown.append(int((numbers == ("near", "far", "hidden", "walker").index(id)).sum()))
        # Gaussians reach a little over the edges of a box.
        assert seen.pixels == pytest.approx(sum(shown), rel=0.15, abs=50), id
        assert seen.largest == pytest.approx(max(shown), rel=0.15, abs=20), id


def test_sides_are_where_the_cameras_stood(scene: SceneGraph) -> None:
    found = sightings(scene)
    assert found["near"].seen(1).sides == ("rear",)
    assert abs(found["near"].best_azimuth()) == pytest.approx(np.pi)
    # The walker looks along x, the cameras come up behind it on its right.
    assert set(found["walker"].seen(1).sides) <= {"rear", "rear-right", "right"}
    assert "rear-right" in found["walker"].seen(1).sides


def test_quality_is_the_error_on_the_objects_own_pixels(scene: SceneGraph, log: DrivingLog) -> None:
    assert scene.recording is not None
    held = tuple(replace(frame, held_out=frame.index == 2) for frame in scene.recording.frames)
    scene.recording = replace(scene.recording, frames=held)
    quality = sightings(scene, log)["near"].quality(1.0, 100, "")
    errors = []
    for frame, recorded in zip(log.frames, held, strict=True):
        if recorded.index != 2:
            continue
        with torch.no_grad():
            drawn = render_frame(scene, scene.recording, recorded, replace(scene.settings, ids=True))
        assert drawn.ids is not None
        own = (drawn.ids[0] == scene.objects.number("near")).numpy()
        truth = log.image(frame) / 255
        errors.append(((drawn.image[0].clamp(0, 1).numpy() - truth) ** 2)[own])
    expected = -10 * np.log10(np.concatenate(errors).mean())
    assert quality.psnr_db == pytest.approx(expected, abs=1e-2)
    assert quality.judged_on.endswith("1 held-out pictures")


def test_where_no_held_out_picture_shows_it_the_fitted_ones_judge() -> None:
    fitted = Sighting(50, "rear", 0.0, False, squared=3 * 50 * 0.01, judged=50)
    few = Sighting(9, "rear", 0.1, True, squared=9.0, judged=9)
    quality = Sightings([fitted, few]).quality(0.5, picture_pixels=20, why_not="")
    assert quality.psnr_db == pytest.approx(20.0)
    assert quality.judged_on == "50 pixels of 1 fitted pictures"
    assert Sightings().quality(0.5, 20, "the disk is away").judged_on == "not judged: the disk is away"


def test_pixels_of_the_own_car_judge_nobody(scene: SceneGraph, log: DrivingLog) -> None:
    everything = np.full((180, 320), 255, np.uint8)
    masked = tuple(replace(frame, masks={"ego": everything}) for frame in log.frames)
    quality = sightings(scene, replace(log, frames=masked))["near"].quality(1.0, 1, "nothing to compare")
    assert quality.psnr_db is None


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (WellSeen(pictures=7), "6 pictures show 100 pixels of it, 7 must"),
        (WellSeen(pixels=5001), "all pictures together show 5000 pixels of it, 5001 must be"),
        (WellSeen(sides=2), "it is seen from rear only, 2 sides must be"),
        (WellSeen(sides=1, solid_share=0.6), "50% of its Gaussians are solid, 60% must be"),
        (WellSeen(6, 6, 5000, 1, 0.5), ""),
    ],
)
def test_what_is_not_well_seen_is_told_with_the_number(rules: WellSeen, told: str) -> None:
    gaussians = some_gaussians(3, torch.Generator().manual_seed(0))
    seen, quality = Seen(6, 5000, 900, ("rear",)), Quality(None, "", 0.5)
    asset = Asset("a", "car", (4.0, 2.0, 1.5), gaussians, seen, quality)
    assert rules.shortfall(asset) == told
    empty = replace(asset, gaussians=some_gaussians(0, torch.Generator()))
    assert rules.shortfall(empty) == "it has no Gaussians in its box"


def test_what_never_became_solid_is_left_out(scene: SceneGraph, log: DrivingLog, tmp_path: Path) -> None:
    actors = scene["actors"]
    assert isinstance(actors, RigidActors)
    rows = actors.rows_of("near")
    logits = actors.gaussians.logit_opacities.clone()
    logits[rows[: len(rows) * 4 // 5]] = -2.0
    actors.gaussians = replace(actors.gaussians, logit_opacities=logits)
    found = extract_assets(scene, tmp_path, log, rules=replace(ANY, solid_share=0.5))
    reasons = {asset.object_id: reason for asset, reason in found.left_out}
    assert not (tmp_path / "street-near").exists()
    assert (tmp_path / "street-far").exists()
    assert reasons["near"] == "20% of its Gaussians are solid, 50% must be"


def test_an_asset_is_the_objects_own_gaussians_with_what_is_known_of_it(
    scene: SceneGraph, log: DrivingLog, tmp_path: Path
) -> None:
    actors = scene["actors"]
    assert isinstance(actors, RigidActors)
    rows = actors.rows_of("near")
    actors.gaussians.means[rows[0]] = torch.tensor([0.0, 4.0, 0.0])  # a shadow beside the car
    actors.gaussians.logit_opacities[rows[1]] = -9.0  # never drawn
    found = extract_assets(scene, tmp_path, log, rules=ANY)
    assert {asset.object_id for asset in found.written} == {"near", "far", "walker"}
    near = read_asset(tmp_path / "street-near")
    assert near.class_name == "car"
    assert near.size_lwh == pytest.approx((4.0, 1.8, 1.5))
    assert near.licence == "made up"
    assert near.source == "folder street"
    assert near.sides == ("rear",)
    assert near.settings.mode == "antialiased"
    assert near.settings.eps2d == 0.1
    for name, tensor in actors.gaussians.named().items():
        assert torch.equal(near.gaussians.named()[name], tensor[rows[2:]]), name
    walker = read_asset(tmp_path / "street-walker")
    assert walker.class_name == "pedestrian"


class InGroups(GroupedScene):
    """A scene in two groups: each owns one half of the objects and draws all of them."""

    recording = None

    def __init__(self, whole: SceneGraph, halves: list[SceneGraph]) -> None:
        self.recording, self.settings = whole.recording, whole.settings
        self.whole, self.halves = whole, halves

    def for_frame(self, frame: RecordedFrame) -> SceneGraph:
        return self.whole

    def parts(self) -> Iterator[SceneGraph]:
        return iter(self.halves)


def test_of_a_scene_in_groups_every_object_is_extracted_once(
    scene: SceneGraph, log: DrivingLog, tmp_path: Path
) -> None:
    halves = [
        street_scene(replace(log, tracks=log.tracks[::2])),
        street_scene(replace(log, tracks=log.tracks[1::2])),
    ]
    found = extract_assets(InGroups(scene, halves), tmp_path / "groups", log, rules=ANY)
    extract_assets(scene, tmp_path / "whole", log, rules=ANY)
    assert sorted(asset.object_id for asset in found.written) == ["far", "near", "walker"]
    for name in ("street-far", "street-near", "street-walker"):
        for file in ("asset.toml", "gaussians.ply", "preview.png"):
            content = (tmp_path / "groups" / name / file).read_bytes()
            assert content == (tmp_path / "whole" / name / file).read_bytes(), (name, file)


def test_what_a_killed_extraction_left_is_cleared_by_the_next(
    scene: SceneGraph, log: DrivingLog, tmp_path: Path
) -> None:
    left = tmp_path / ".street-near.99999999.partial"
    left.mkdir(parents=True)
    (left / "gaussians.ply").write_bytes(b"ply")
    extract_assets(scene, tmp_path, log, rules=ANY)
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_without_the_drive_class_and_quality_are_not_known(scene: SceneGraph, tmp_path: Path) -> None:
    extract_assets(scene, tmp_path, None, "the drive lies elsewhere", ANY)
    near = read_asset(tmp_path / "street-near")
    assert near.class_name == "unknown"
    assert near.quality.psnr_db is None
    assert near.quality.judged_on == "not judged: the drive lies elsewhere"
    assert near.licence.startswith("Not known")


def test_what_deforms_is_kept_as_it_is_when_it_is_seen_largest(tmp_path: Path, log: DrivingLog) -> None:
    scene = front_scene(log)
    actors = scene["actors"]
    assert isinstance(actors, RigidActors)
    generator = torch.Generator().manual_seed(3)
    extent = Extent((0.0, 0.0, 0.0), 2.5, 0.0, 1.0, 0.0)
    state = torch.full((len(actors.gaussians),), 0.8)
    actors.deformation = Deformation.start(DeformationConfig(), extent, state, generator, objects=4)
    actors.deforms = torch.tensor([False, False, False, True])
    stir(actors.deformation, generator)
    best = sightings(scene)["walker"].best_time_s()
    with torch.no_grad():
        bent = actors.splats_at(torch.tensor([best])).means[actors.rows_of("walker")]
    extract_assets(scene, tmp_path, log, rules=ANY)
    kept = read_asset(tmp_path / "street-walker").gaussians.means
    inside = (bent.abs() <= torch.tensor([0.4, 0.4, 1.0])).all(dim=1)
    assert not torch.allclose(bent, actors.gaussians.means[actors.rows_of("walker")], atol=1e-3)
    assert torch.allclose(kept, bent[inside], atol=1e-5)


@pytest.mark.parametrize(
    ("source", "licence", "told"),
    [
        ("kitti-raw", "KITTI, CC BY-NC-SA 3.0: non-commercial", "for non-commercial use only"),
        ("nuscenes", "nuScenes, CC BY-NC-SA 4.0: non-commercial", "for non-commercial use only"),
        ("nuscenes", "", "Not known"),
        ("toy", "Apache-2.0", "gsrecon's own made-up drive"),
        ("folder", "ask Ada", "ask Ada"),
        ("folder", "", "Not known"),
    ],
)
def test_every_asset_tells_how_it_may_be_used(scene: SceneGraph, log, source, licence, told) -> None:
    assert scene.recording is not None
    assert told in licence_of(replace(scene.recording, source=source), replace(log, licence=licence))


def test_without_the_drive_the_kind_of_recording_tells_the_licence(scene: SceneGraph) -> None:
    assert scene.recording is not None
    assert "KITTI" in licence_of(replace(scene.recording, source="kitti-raw"), None)


def test_the_preview_shows_the_whole_asset_on_grey_ground(near: Asset) -> None:
    for side in SIDES:
        picture = preview(near, azimuth(side))
        assert picture.shape == (HEIGHT, WIDTH, 3)
        border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert int((border.max(axis=1) - border.min(axis=1)).max()) <= 1  # grey
        assert int(border.min()) > 80
        colourful = (picture.max(axis=2).astype(int) - picture.min(axis=2) > 20).mean()
        assert 0.1 < colourful < 0.7
        # The middle of the picture is the asset, not the ground.
        assert np.ptp(picture[HEIGHT // 2 - 20 : HEIGHT // 2 + 20, WIDTH // 2 - 20 : WIDTH // 2 + 20]) > 40


def test_the_sides_of_a_preview_are_the_sides_of_the_box(near: Asset) -> None:
    # Red in front, green on the left: from there each is seen most.
    means = near.gaussians.means
    front, left = means[:, 0] > 1.98, means[:, 1] > 0.88
    sh0 = torch.full_like(near.gaussians.sh0, -1.7)
    sh0[front], sh0[left] = torch.tensor([1.7, -1.7, -1.7]), torch.tensor([-1.7, 1.7, -1.7])
    painted = replace(near, gaussians=replace(near.gaussians, sh0=sh0))
    counts = {}
    for side in SIDES:
        red, green, _ = np.moveaxis(preview(painted, azimuth(side)).astype(int), 2, 0)
        counts[side] = (int((red > green + 80).sum()), int((green > red + 80).sum()))
    for color, seen, hidden in (
        (0, ("front", "front-left"), ("rear", "rear-left")),
        (1, ("left", "rear-left", "front-left"), ("right", "rear-right")),
    ):
        shown = min(counts[side][color] for side in seen)
        assert shown > 2000
        # A face shows a little at its rim from behind.
        assert max(counts[side][color] for side in hidden) < shown / 3


def test_a_contact_sheet_has_a_place_for_each_picture(tmp_path: Path) -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    small = np.full((30, 90, 3), 100, np.uint8)
    sheet = contact_sheet([grey, small, grey], [["one"], ["two", "a very long line " * 20], ["three"]])
    assert (sheet == 100).all(axis=2).sum() >= 2 * HEIGHT * WIDTH + small.size // 3
    assert sheet.shape[1] < 3 * WIDTH


def test_the_sheet_takes_stored_previews(near: Asset) -> None:
    assert near.folder is not None
    with Image.open(near.folder / "preview.png") as opened:
        stored = np.asarray(opened.convert("RGB"))
    sheet = sheet_of([near])
    top, left = 12, 12
    assert np.array_equal(sheet[top : top + HEIGHT, left : left + WIDTH], stored)
