"""The toy drive's truth: depth, ids, boxes and lidar all describe one and the same street."""

from dataclasses import replace

import numpy as np
import pytest

from gsrecon.data.log import CameraFrame, Track
from gsrecon.data.toy import SEMANTIC_CLASSES, ToyConfig, ToyDrive, ToyTruth, make_toy

CONFIG = ToyConfig(seed=3, length_m=5.0, cameras=3, width=128, height=72, moving_cars=3, pedestrians=4)


@pytest.fixture(scope="module")
def drive() -> ToyDrive:
    return make_toy(CONFIG, cache=None)


def frame_of(drive: ToyDrive, camera: str, index: int) -> CameraFrame:
    return next(f for f in drive.log.frames if f.camera == camera and f.index == index)


def points_in_world(drive: ToyDrive, frame: CameraFrame, truth: ToyTruth) -> np.ndarray:
    """Where the ray through every pixel's centre ends, [H, W, 3]; inf for the sky."""
    K = drive.cameras[frame.camera].K
    y, x = np.mgrid[: truth.depth.shape[0], : truth.depth.shape[1]] + 0.5
    rays = np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)], axis=-1)
    with np.errstate(invalid="ignore"):
        points = rays * truth.depth[..., None]
        return points @ frame.world_from_cam[:3, :3].T + frame.world_from_cam[:3, 3]


def project(drive: ToyDrive, frame: CameraFrame, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [N, 2] and depth [N] of points in world."""
    cam_from_world = np.linalg.inv(frame.world_from_cam)
    in_cam = points @ cam_from_world[:3, :3].T + cam_from_world[:3, 3]
    in_picture = in_cam @ drive.cameras[frame.camera].K.T
    return in_picture[:, :2] / in_picture[:, 2:], in_cam[:, 2]


def pose_at(track: Track, timestamp_us: int) -> np.ndarray:
    return track.world_from_actor[np.searchsorted(track.timestamps_us, timestamp_us)]


def test_depth_carries_static_pixels_to_the_same_surface_in_the_next_frame(drive: ToyDrive) -> None:
    first, second = frame_of(drive, "front", 2), frame_of(drive, "front", 3)
    a, b = drive.truth(first), drive.truth(second)
    static = np.isfinite(a.depth) & (a.depth < 40)
    static &= ~drive.log.mask(first, "moving")
    points = points_in_world(drive, first, a)[static]
    pixels, depth = project(drive, second, points)
    inside = ((pixels >= 0) & (pixels < [CONFIG.width, CONFIG.height])).all(axis=1) & (depth > 1)
    column, row = pixels[inside].astype(int).T
    seen = b.depth[row, column]
    # The pixel that a point falls into looks at a place up to half a pixel away; edges may hide it.
    same = np.abs(seen - depth[inside]) < 0.05 * depth[inside] + 0.1
    assert same.mean() > 0.85
    assert np.median(np.abs(seen - depth[inside]) / depth[inside]) < 0.01
    classes = a.semantic[static][inside] == b.semantic[row, column]
    assert classes[same].mean() > 0.93
    colour = np.abs(a.image[static][inside].astype(int) - b.image[row, column].astype(int)).mean(axis=1)
    assert np.median(colour[same]) < 12


def test_depth_is_along_z_through_the_pixel_centre(drive: ToyDrive) -> None:
    frame = frame_of(drive, "front", 0)
    truth = drive.truth(frame)
    K = drive.cameras["front"].K
    row = CONFIG.height - 3
    road = truth.semantic[row] == 1
    assert road.any()
    height = frame.world_from_cam[2, 3]
    expected = height * K[1, 1] / (row + 0.5 - K[1, 2])
    # Repaired patches and manholes lie a few millimetres above the road.
    np.testing.assert_allclose(truth.depth[row][road], expected, rtol=5e-3)


def test_lidar_points_lie_on_the_surfaces_that_the_camera_sees(drive: ToyDrive) -> None:
    frame, sweep = frame_of(drive, "front", 4), drive.log.sweeps[4]
    assert frame.timestamp_us == sweep.timestamp_us
    truth = drive.truth(frame)
    points = drive.log.points(sweep) @ sweep.world_from_lidar[:3, :3].T + sweep.world_from_lidar[:3, 3]
    pixels, depth = project(drive, frame, points)
    inside = (depth > 1) & ((pixels >= 0) & (pixels < [CONFIG.width, CONFIG.height])).all(axis=1)
    column, row = pixels[inside].astype(int).T
    gap = np.abs(truth.depth[row, column] - depth[inside])
    assert inside.sum() > 500
    assert (gap < 0.03 * depth[inside] + 0.15).mean() > 0.85


def test_lidar_points_of_an_object_lie_in_its_box_and_no_other_points_do(drive: ToyDrive) -> None:
    found = 0
    for sweep in drive.log.sweeps[:3]:
        ids = drive.point_instances(sweep)
        points = drive.log.points(sweep) @ sweep.world_from_lidar[:3, :3].T + sweep.world_from_lidar[:3, 3]
        for track in drive.log.tracks:
            if sweep.timestamp_us not in track.timestamps_us:
                continue
            actor_from_world = np.linalg.inv(pose_at(track, sweep.timestamp_us))
            local = points @ actor_from_world[:3, :3].T + actor_from_world[:3, 3]
            mine = ids == drive.instance_ids[track.id]
            noise = 6 * CONFIG.lidar_noise_m
            assert (np.abs(local[mine]) <= track.size_lwh / 2 + noise).all()
            well_inside = (np.abs(local) < track.size_lwh / 2 - noise).all(axis=1)
            assert mine[well_inside].all()
            found += int(mine.sum())
    assert found > 200


def test_boxes_hold_every_pixel_of_their_object_and_fit_tightly(drive: ToyDrive) -> None:
    seen = set()
    for frame in drive.log.frames[::2]:
        truth = drive.truth(frame)
        points = points_in_world(drive, frame, truth)
        for track in drive.log.tracks:
            mine = truth.instance == drive.instance_ids[track.id]
            if not mine.any():
                continue
            seen.add(track.category)
            actor_from_world = np.linalg.inv(pose_at(track, frame.timestamp_us))
            local = points[mine] @ actor_from_world[:3, :3].T + actor_from_world[:3, 3]
            assert (np.abs(local) <= track.size_lwh / 2 + 2e-3).all(), track.id
            corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T * track.size_lwh / 2
            world = (
                corners @ np.linalg.inv(actor_from_world)[:3, :3].T + np.linalg.inv(actor_from_world)[:3, 3]
            )
            pixels, depth = project(drive, frame, world)
            if (depth > 0.1).all():
                row, column = np.nonzero(mine)
                assert (column + 0.5 >= pixels[:, 0].min()).all()
                assert (column + 0.5 <= pixels[:, 0].max()).all()
                assert (row + 0.5 >= pixels[:, 1].min()).all()
                assert (row + 0.5 <= pixels[:, 1].max()).all()
    assert seen == {"car", "pedestrian"}
    for actor in drive.scenery.actors:
        reach = np.abs(actor.mesh.triangles).reshape(-1, 3).max(axis=0)
        np.testing.assert_allclose(2 * reach, actor.size_lwh, atol=1e-5)


def test_masks_of_the_log_are_the_truth(drive: ToyDrive) -> None:
    frame = frame_of(drive, "front_right", 1)
    truth = drive.truth(frame)
    log = drive.log
    np.testing.assert_array_equal(log.image(frame), truth.image)
    np.testing.assert_array_equal(log.ids(frame, "semantic"), truth.semantic)
    np.testing.assert_array_equal(log.ids(frame, "instance"), truth.instance)
    np.testing.assert_array_equal(log.mask(frame, "sky"), np.isinf(truth.depth))
    movers = [drive.instance_ids[a.id] for a in drive.scenery.actors if a.moving]
    np.testing.assert_array_equal(log.mask(frame, "moving"), np.isin(truth.instance, movers))
    assert set(np.unique(truth.semantic)) <= set(SEMANTIC_CLASSES)


def test_a_shift_moves_the_rig_to_the_left_of_the_ego_car(drive: ToyDrive) -> None:
    frame = frame_of(drive, "front_left", 2)
    shifted = drive.truth(frame, shift_left_m=1.0)
    plain = drive.truth(frame)
    assert (shifted.image != plain.image).mean() > 0.3
    moved = frame.world_from_cam.copy()
    ego_from_cam = drive.cameras["front_left"].ego_from_cam
    world_from_ego = frame.world_from_cam @ np.linalg.inv(ego_from_cam)
    moved[:3, 3] = (world_from_ego @ np.array([*(ego_from_cam[:3, 3] + [0, 1, 0]), 1]))[:3]
    again = drive.truth_at("front_left", moved, frame.timestamp_us)
    # The same pose up to rounding: only rays that graze an edge may differ.
    assert (np.abs(again.image.astype(int) - shifted.image.astype(int)) > 2).mean() < 0.01
    np.testing.assert_array_equal(drive.truth(frame, shift_left_m=0.0).image, plain.image)


def test_depth_joins_the_recorded_and_the_shifted_path(drive: ToyDrive) -> None:
    frame = frame_of(drive, "front", 4)
    side = frame.world_from_cam.copy()
    world_from_ego = frame.world_from_cam @ np.linalg.inv(drive.cameras["front"].ego_from_cam)
    side[:3, 3] += 1.5 * world_from_ego[:3, 1]
    shifted, plain = drive.truth(frame, 1.5), drive.truth(frame)
    other = replace(frame, world_from_cam=side)
    near = np.isfinite(plain.depth) & (plain.depth < 30)
    pixels, depth = project(drive, other, points_in_world(drive, frame, plain)[near])
    inside = ((pixels >= 0) & (pixels < [CONFIG.width, CONFIG.height])).all(axis=1)
    column, row = pixels[inside].astype(int).T
    same = np.abs(shifted.depth[row, column] - depth[inside]) < 0.05 * depth[inside] + 0.1
    assert same.mean() > 0.85
    assert (plain.instance[near][inside] == shifted.instance[row, column])[same].mean() > 0.97


def test_cameras_fire_at_their_own_times_and_objects_are_where_they_are_then(drive: ToyDrive) -> None:
    times = {name: frame_of(drive, name, 0).timestamp_us for name in drive.cameras}
    assert len(set(times.values())) == 3
    for track in drive.log.tracks:
        if track.id.startswith("car"):
            a, b = pose_at(track, times["front"]), pose_at(track, times["front_right"])
            assert np.linalg.norm(a[:3, 3] - b[:3, 3]) > 0.05
