"""The recorded drive: selection, resizing, masks, lidar in pictures, the bounded cache, broken files."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import ExifTags, Image

from gsrecon.data.log import Camera, LidarSweep
from gsrecon.data.pictures import (
    PictureCache,
    decode_ids,
    decode_rgb,
    is_turned,
    resize_by_area,
    save_upright,
    upright_size,
)
from gsrecon.data.projection import project, unproject
from gsrecon.data.undistort import RadialTangentialLens
from gsrecon.errors import DatasetError


def test_frames_come_by_time_then_camera(log):
    assert [(f.camera, f.index) for f in log.frames[:3]] == [("left", 0), ("right", 0), ("left", 1)]
    assert log.start_us == 1_000_000
    assert log.time_s(1_100_000) == pytest.approx(0.1)


def test_selection_is_by_index_and_keeps_time_zero(log):
    part = log.select(cameras=["right"], start=1, stride=2)
    assert [(f.camera, f.index) for f in part.frames] == [("right", 1)]
    assert list(part.cameras) == ["right"]
    assert part.start_us == log.start_us
    assert len(part.sweeps) == 3
    with pytest.raises(ValueError, match="cameras: expected some of"):
        log.select(cameras=["rear"])


def test_half_size_averages_blocks_and_halves_the_intrinsics(log, pictures):
    half = log.at_scale(0.5)
    assert (half.cameras["left"].width, half.cameras["left"].height) == (6, 4)
    np.testing.assert_allclose(half.cameras["left"].K, [[5, 0, 3], [0, 5, 2], [0, 0, 1]])
    blocks = pictures[0].reshape(4, 2, 6, 2, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(half.image(half.frames[0]) - blocks).max() <= 0.51
    quarter = half.at_scale(0.5)
    assert quarter.image(quarter.frames[0]).shape == (2, 3, 3)
    with pytest.raises(ValueError, match="scale: expected above 0"):
        log.at_scale(1.5)


def test_area_filter_is_exact_for_any_ratio():
    pixels = np.array([[[0], [90], [30]]], np.uint8)
    # Each new pixel covers one and a half old ones.
    assert resize_by_area(pixels, 2, 1)[0, :, 0].tolist() == [30, 50]
    flat = np.full((7, 11, 3), 77, np.uint8)
    assert (resize_by_area(flat, 4, 3) == 77).all()


def test_masks_grow_over_partly_covered_pixels(log):
    frame = log.frames[0]
    assert log.valid(frame).sum() == 6 * 12
    assert log.mask(frame, "sky") is None
    # Rows 6 and 7 of 8 are the own car: of 5 rows the last two hold some of it.
    small = log.at_scale(0.625)
    assert small.valid(small.frames[0])[:, 0].tolist() == [True, True, True, False, False]


def test_pictures_belong_to_the_caller(log):
    first = log.image(log.frames[0])
    first[:] = 0
    assert log.image(log.frames[0]).any()


def test_lidar_lands_where_the_pinhole_formula_says(log):
    pixels, depth = log.depth_points(log.frames[0])
    # The lidar sits at (0, 0, 1), the left camera 0.25 m to its left: 0.25 m to the right at 10 m.
    np.testing.assert_allclose(pixels[0], [6 + 10 * 0.25 / 10, 4.0], atol=1e-6)
    np.testing.assert_allclose(depth, [10, 20], atol=1e-6)
    far = log.frames[0].timestamp_us + 10_000_000
    assert len(log.depth_points(replace(log.frames[0], timestamp_us=far), 60_000)[0]) == 0


def test_tracks_are_interpolated_between_annotations(log):
    track = log.tracks[0]
    halfway = track.world_from_actor_at(1_050_000)
    assert halfway is not None
    np.testing.assert_allclose(halfway[:3, 3], [8.5, 3, 0.75])
    assert track.world_from_actor_at(1_300_000) is None


@pytest.mark.parametrize(("model", "distortion"), [("pinhole", None), ("fisheye", (0.05, -0.01, 0.002, 0.0))])
def test_unprojected_pixels_project_back(model, distortion):
    K = np.array([[300.0, 0, 320], [0, 310, 180], [0, 0, 1]])
    pixels = np.random.default_rng(0).uniform([0, 0], [640, 360], (50, 2))
    rays = unproject(pixels, K, model, distortion)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1.0)
    np.testing.assert_allclose(project(7.0 * rays, K, model, distortion), pixels, atol=1e-6)


def test_cache_never_holds_more_than_its_limit():
    cache = PictureCache(limit_bytes=250)
    decoded = []

    def make(key):
        return cache.get(key, lambda: decoded.append(key) or np.zeros(100, np.uint8))

    for key in (1, 2, 1, 3, 1, 2):
        make(key)
        assert cache.size_bytes <= 250
    assert decoded == [1, 2, 3, 2]
    cache.get("large", lambda: np.zeros(1000, np.uint8))
    assert cache.size_bytes <= 250


def test_cameras_of_different_lenses_may_share_a_mask_file(log, tmp_path):
    ids = np.zeros((8, 12), np.uint8)
    ids[:, 9:] = 1
    Image.fromarray(ids).save(tmp_path / "shared.png")
    K = log.cameras["right"].K
    lens = RadialTangentialLens(K, (0.4, 0.0, 0.0, 0.0, 0.0), 12, 8, K)
    shared = replace(
        log,
        cameras={**log.cameras, "right": replace(log.cameras["right"], recorded_lens=lens)},
        frames=tuple(replace(frame, masks={"moving": tmp_path / "shared.png"}) for frame in log.frames),
    )
    expected = {"left": ids != 0, "right": lens.undistort_ids(ids.astype(np.int32)) != 0}
    assert not np.array_equal(expected["left"], expected["right"])
    for frame in shared.frames:
        assert np.array_equal(shared.mask(frame, "moving"), expected[frame.camera])


def test_gray_16_bit_and_palette_pictures_become_rgb(tmp_path):
    deep = np.array([[0, 257, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert decode_rgb(tmp_path / "deep.png").tolist() == [[[0] * 3, [1] * 3, [255] * 3]]
    assert decode_ids(tmp_path / "deep.png").tolist() == [[0, 257, 65535]]
    Image.fromarray(np.array([[7, 9]], np.uint8)).save(tmp_path / "gray.png")
    assert decode_rgb(tmp_path / "gray.png").tolist() == [[[7] * 3, [9] * 3]]
    Image.fromarray(np.full((1, 1, 4), 40, np.uint8)).save(tmp_path / "rgba.png")
    assert decode_rgb(tmp_path / "rgba.png").tolist() == [[[40] * 3]]
    Image.new("P", (1, 1)).save(tmp_path / "palette.png")
    assert decode_rgb(tmp_path / "palette.png").shape == (1, 1, 3)


def save_turned(path, pixels, orientation):
    """As a camera stores it: EXIF says how the stored pixels are to be turned."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


STORED = {1: lambda p: p, 3: lambda p: p[::-1, ::-1], 6: lambda p: np.rot90(p), 8: lambda p: np.rot90(p, -1)}


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_pictures_are_upright_as_their_exif_says(tmp_path, orientation, suffix):
    seen = np.zeros((8, 12, 3), np.uint8)
    seen[:4, :4] = 255
    stored = np.ascontiguousarray(STORED[orientation](seen))
    path = save_turned(tmp_path / f"turned{suffix}", stored, orientation)
    decoded = decode_rgb(path)
    assert decoded.shape == seen.shape
    assert np.abs(decoded.astype(int) - seen).mean() < 10
    with Image.open(path) as image:
        assert upright_size(image) == (12, 8)


def test_what_is_saved_upright_is_no_longer_turned(tmp_path):
    seen = np.zeros((8, 12, 3), np.uint8)
    seen[:, :6] = 255
    turned = save_turned(tmp_path / "turned.jpg", np.ascontiguousarray(np.rot90(seen)), 6)
    save_upright(turned, tmp_path / "upright.jpg")
    assert is_turned(turned)
    assert not is_turned(tmp_path / "upright.jpg")
    with Image.open(tmp_path / "upright.jpg") as stored:
        assert stored.format == "JPEG"
        assert np.abs(np.asarray(stored).astype(int) - seen).mean() < 10


def with_first_image(log, path):
    return replace(log, frames=(replace(log.frames[0], image=path), *log.frames[1:]))


def test_missing_and_truncated_pictures_name_file_and_remedy(log, pictures, tmp_path):
    path = tmp_path / "000.png"
    broken = with_first_image(log, path)
    with pytest.raises(DatasetError, match=r"000\.png: the picture is missing; restore the file"):
        broken.image(broken.frames[0])
    Image.fromarray(pictures[0]).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match=r"000\.png: the picture is truncated .* copy it again"):
        broken.image(broken.frames[0])
    path.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"000\.png: the picture is truncated"):
        broken.image(broken.frames[0])


def test_a_picture_of_another_size_is_refused(log, tmp_path):
    path = tmp_path / "large.png"
    Image.fromarray(np.zeros((9, 12, 3), np.uint8)).save(path)
    broken = with_first_image(log, path)
    with pytest.raises(DatasetError, match=r"12 x 9, but camera left has 12 x 8; correct"):
        broken.image(broken.frames[0])


def test_broken_lidar_names_file_count_and_remedy(log, tmp_path):
    path = tmp_path / "000.bin"
    points = np.ones((5, 4), np.float32)
    points[1, 0], points[3, 2] = np.nan, np.inf
    points.tofile(path)
    sweep = LidarSweep(0, np.eye(4), path)
    with pytest.raises(DatasetError, match=r"000\.bin: 2 of 5 lidar points are NaN or infinite; remove"):
        log.points(sweep)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DatasetError, match=r"000\.bin: the lidar sweep is truncated"):
        log.points(sweep)
    with pytest.raises(DatasetError, match=r"gone\.bin: the lidar sweep is missing"):
        log.points(replace(sweep, points=tmp_path / "gone.bin"))


def test_every_kind_of_point_file_gives_the_same_points(log, tmp_path):
    points = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", points)
    np.concatenate([points, np.zeros((6, 1), np.float32)], 1).tofile(tmp_path / "a.bin")
    np.concatenate([points, np.zeros((6, 2), np.float32)], 1).tofile(tmp_path / "a.pcd.bin")
    header = "ply\nformat {} 1.0\nelement vertex 6\nproperty float x\nproperty float y\nproperty float z\n"
    binary = header.format("binary_little_endian") + "end_header\n"
    (tmp_path / "a.ply").write_bytes(binary.encode() + points.tobytes())
    rows = "\n".join(" ".join(repr(float(value)) for value in row) for row in points)
    (tmp_path / "b.ply").write_text(header.format("ascii") + "end_header\n" + rows + "\n")
    for name in ("a.npy", "a.bin", "a.pcd.bin", "a.ply", "b.ply"):
        np.testing.assert_array_equal(log.points(LidarSweep(0, np.eye(4), tmp_path / name)), points)
    (tmp_path / "a.ply").write_bytes(binary.encode() + points.tobytes()[:-5])
    with pytest.raises(DatasetError, match=r"a\.ply: the point file cannot be read"):
        log.points(LidarSweep(0, np.eye(4), tmp_path / "a.ply"))


def test_a_frame_of_an_unknown_camera_is_refused(log):
    with pytest.raises(ValueError, match="belongs to camera 'left'"):
        replace(log, cameras={"right": log.cameras["right"]})
    assert isinstance(log.cameras["left"], Camera)
