"""Poses and points from pictures by COLMAP: the only module that imports pycolmap.

It runs as a process of its own (`python -m gsrecon.data.colmap FOLDER`), because native code can neither be
interrupted nor trusted to leave the caller alive. FOLDER holds `job.json`; what is finished of it (features,
matches) stays in `colmap.db` and is not done again. Each line on standard output is a JSON object: `stage`
and `share`, or `error`. The result is `model.npz` and `model.json`.

Source: Schönberger, Frahm, "Structure-from-Motion Revisited", CVPR 2016.
"""

import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_BATCH = 8
"""Pictures or, times 25, pairs that are worked on between two reports."""

_LEAST_ANGLE_DEG = 4.0
"""Angle between the first two pictures' rays: a car that drives ahead never offers COLMAP's usual 16."""

_HARDLY_WORSE = 1.01
"""A lens without distortion is preferred while the error stays below this factor."""

_SIMPLE = {"SIMPLE_RADIAL": "SIMPLE_PINHOLE"}
"""Models that may turn out to be needlessly rich, and what they become without distortion."""


def main() -> int:
    """Does the job of the folder named on the command line."""
    _end_with_parent()
    folder = Path(sys.argv[1])
    try:
        import pycolmap
    except ImportError:
        _say(error="pycolmap")
        return 1
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    pycolmap.set_random_seed(job["seed"])
    cameras = _register(folder, job)
    _extract(folder, job, cameras)
    _match(folder, job)
    model = _map(folder, job, cameras)
    if model is None:
        _say(error="unconnected")
        return 1
    _simplify(model, job, cameras)
    _save(folder, model, cameras)
    return 0


def _register(folder: Path, job: dict[str, Any]) -> dict[str, int]:
    """Enters cameras and pictures into the database; ids of the cameras by name."""
    import pycolmap

    database = folder / "colmap.db"
    root = Path(job["pictures"])
    ids: dict[str, int] = {}
    with pycolmap.Database.open(database) as entries:
        known = {image.name: image.camera_id for image in entries.read_all_images()}
        for name, entry in job["cameras"].items():
            first = next(image for image in job["images"] if image.startswith(f"{name}/"))
            if first in known:
                ids[name] = known[first]
                continue
            options = pycolmap.ImageReaderOptions(camera_model=entry["model"])
            camera = pycolmap.infer_camera_from_image(root / first, options)
            if entry["params"] is not None:
                camera.params = entry["params"]
                camera.has_prior_focal_length = True
            ids[name] = entries.write_camera(camera)
    for name, camera_id in ids.items():
        pycolmap.import_images(
            database,
            root,
            camera_mode=pycolmap.CameraMode.SINGLE,
            image_names=[image for image in _of_camera(job, name) if image not in known],
            options=pycolmap.ImageReaderOptions(existing_camera_id=camera_id),
        )
    return ids


def _extract(folder: Path, job: dict[str, Any], cameras: dict[str, int]) -> None:
    """SIFT features of every picture, outside of the masks."""
    import pycolmap

    options = pycolmap.FeatureExtractionOptions(num_threads=job["threads"])
    options.sift.max_num_features = job["features"]
    options.sift.first_octave = job["first_octave"]
    done = 0
    for name, camera_id in cameras.items():
        reader = pycolmap.ImageReaderOptions(existing_camera_id=camera_id)
        if job["masks"] is not None:
            reader.mask_path = Path(job["masks"])
        for batch in _batches(_of_camera(job, name), _BATCH):
            _say(stage="features", share=done / len(job["images"]))
            pycolmap.extract_features(
                folder / "colmap.db",
                Path(job["pictures"]),
                image_names=batch,
                camera_mode=pycolmap.CameraMode.SINGLE,
                reader_options=reader,
                extraction_options=options,
            )
            done += len(batch)


def _match(folder: Path, job: dict[str, Any]) -> None:
    """Features that two pictures share, geometrically verified, for every listed pair."""
    import pycolmap

    options = pycolmap.FeatureMatchingOptions(num_threads=job["threads"])
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = job["seed"]
    listing = folder / "pairs.txt"
    done = 0
    for batch in _batches(job["pairs"], 25 * _BATCH):
        _say(stage="matches", share=done / len(job["pairs"]))
        listing.write_text("".join(f"{first} {second}\n" for first, second in batch), encoding="utf-8")
        pycolmap.match_image_pairs(
            folder / "colmap.db",
            matching_options=options,
            pairing_options=pycolmap.ImportedPairingOptions(match_list_path=listing),
            verification_options=verification,
        )
        done += len(batch)


def _map(folder: Path, job: dict[str, Any], cameras: dict[str, int]) -> Any:
    """The largest connected model, or None where not even two pictures could be connected."""
    import pycolmap

    options = pycolmap.IncrementalPipelineOptions(
        num_threads=job["threads"], random_seed=job["seed"], min_model_size=3
    )
    options.mapper.init_max_forward_motion = 1.0
    options.mapper.init_min_tri_angle = _LEAST_ANGLE_DEG
    options.constant_cameras = {cameras[name] for name in cameras if job["cameras"][name]["constant"]}
    count, total = 0, len(job["images"])

    def one_more() -> None:
        nonlocal count
        count += 1
        _say(stage="poses", share=min(1.0, count / total))

    _say(stage="poses", share=0.0)
    sparse = folder / "sparse"
    sparse.mkdir(exist_ok=True)
    models = pycolmap.incremental_mapping(
        folder / "colmap.db", Path(job["pictures"]), sparse, options, next_image_callback=one_more
    )
    largest = max(
        models.values(), key=lambda model: (model.num_reg_images(), model.num_points3D()), default=None
    )
    return None if largest is None or largest.num_reg_images() < 2 else largest


def _simplify(model: Any, job: dict[str, Any], cameras: dict[str, int]) -> None:
    """Leaves the distortion away where the pictures fit hardly worse without it."""
    import pycolmap

    rich = [
        cameras[name]
        for name, entry in job["cameras"].items()
        if entry["simplify"] and cameras[name] in model.cameras
    ]
    rich = [camera_id for camera_id in rich if model.cameras[camera_id].model.name in _SIMPLE]
    if not rich:
        return
    _say(stage="lens", share=0.0)
    plain = pycolmap.Reconstruction(model)
    for camera_id in rich:
        camera = plain.cameras[camera_id]
        focal = camera.params[0]
        centre = camera.params[1:3]
        camera.model = getattr(pycolmap.CameraModelId, _SIMPLE[camera.model.name])
        camera.params = [focal, *centre]
    options = pycolmap.BundleAdjustmentOptions(print_summary=False)
    options.ceres.solver_options.num_threads = job["threads"]
    pycolmap.bundle_adjustment(plain, options)
    before, after = _errors(model), _errors(plain)
    if all(after[camera_id] <= _HARDLY_WORSE * before[camera_id] for camera_id in rich):
        for camera_id in rich:
            model.cameras[camera_id].model = plain.cameras[camera_id].model
            model.cameras[camera_id].params = plain.cameras[camera_id].params
        for frame_id in model.reg_frame_ids():
            model.frames[frame_id].rig_from_world = plain.frames[frame_id].rig_from_world
        for point_id, point in plain.points3D.items():
            model.points3D[point_id].xyz = point.xyz
    _say(stage="lens", share=1.0)


def _errors(model: Any) -> dict[int, float]:
    """Median reprojection error by camera [px]."""
    found: dict[int, list[float]] = {}
    for image_id in model.reg_image_ids():
        image = model.images[image_id]
        for point2D in image.points2D:
            if point2D.has_point3D():
                pixel = image.project_point(model.points3D[point2D.point3D_id].xyz)
                if pixel is not None:
                    distance = float(np.linalg.norm(pixel - point2D.xy))
                    found.setdefault(image.camera_id, []).append(distance)
    return {camera_id: float(np.median(distances)) for camera_id, distances in found.items()}


def _save(folder: Path, model: Any, cameras: dict[str, int]) -> None:
    """Writes poses, points and which pictures saw them."""
    images = sorted(
        (model.images[image_id] for image_id in model.reg_image_ids()), key=lambda image: image.name
    )
    number = {image.image_id: i for i, image in enumerate(images)}
    poses = np.tile(np.eye(4), (len(images), 1, 1))
    for i, image in enumerate(images):
        poses[i, :3] = image.cam_from_world().inverse().matrix()
    points = [model.points3D[point_id] for point_id in sorted(model.points3D)]
    rows = [
        (i, number[element.image_id])
        for i, point in enumerate(points)
        for element in point.track.elements
        if element.image_id in number
    ]
    np.savez(
        folder / "model.npz",
        names=np.array([image.name for image in images], dtype=np.str_),
        world_from_cam=poses,
        points=np.array([point.xyz for point in points], dtype=np.float64).reshape(-1, 3),
        colors=np.array([point.color for point in points], dtype=np.uint8).reshape(-1, 3),
        seen_points=np.array([row[0] for row in rows], dtype=np.int32),
        seen_images=np.array([row[1] for row in rows], dtype=np.int32),
    )
    lenses = {
        name: {
            "model": model.cameras[camera_id].model.name,
            "params": [float(value) for value in model.cameras[camera_id].params],
        }
        for name, camera_id in cameras.items()
        if camera_id in model.cameras
    }
    (folder / "model.json").write_text(json.dumps(lenses), encoding="utf-8")


def _of_camera(job: dict[str, Any], name: str) -> list[str]:
    return [image for image in job["images"] if image.startswith(f"{name}/")]


def _batches(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """Leaves when standard input closes, which it does however the parent ends."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
