"""Cuts well-seen objects out of a scene as assets."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from gsrecon.data.log import DrivingLog
from gsrecon.evaluation.asset_picture import preview
from gsrecon.evaluation.asset_sightings import Sightings, actors_of, sightings
from gsrecon.evaluation.export import raw_gaussians
from gsrecon.evaluation.pictures import png_bytes
from gsrecon.files import new_name
from gsrecon.gaussians.gaussians import Gaussians
from gsrecon.gaussians.resample import Resample
from gsrecon.ops.settings import ALPHA_MIN
from gsrecon.scene.assets import Asset, clear_leftovers, write_asset
from gsrecon.scene.groups_scene import Scene, parts
from gsrecon.scene.recording import Recording

UNKNOWN_CLASS = "unknown"
_SOLID = 0.15
"""Opacity above which a Gaussian counts as solid; what no picture ever touched stays at its first 0.1."""
_MARGIN_M = 0.1
"""Gaussians whose centres lie farther outside of the box than this are not the object's own [m]."""
_KITTI = (
    "From KITTI (CC BY-NC-SA 3.0): for non-commercial use only, with attribution, under the same licence."
)
_LICENCES = {
    "kitti-raw": _KITTI,
    "kitti-odometry": _KITTI,
    "nuscenes": "From nuScenes (CC BY-NC-SA 4.0): for non-commercial use only, with attribution, under the "
    "same licence.",
    "toy": "From gsrecon's own made-up drive (Apache-2.0): free to use.",
}
_NO_LICENCE = "Not known: the drive names no licence; ask who recorded it before you pass this on."


@dataclass(frozen=True)
class WellSeen:
    """What an object must show to become an asset."""

    picture_pixels: int = 100
    """A picture, and the side it is taken from, counts where it shows at least this many pixels of it."""
    pictures: int = 5
    """Pictures that must count."""
    pixels: int = 2000
    """Pixels of it that these must show together."""
    sides: int = 2
    """Of the eight sides (45 degrees each), how many must be seen."""
    solid_share: float = 0.25
    """Share of its Gaussians that must be solid: more than 15 % opaque."""

    def shortfall(self, asset: Asset) -> str:
        """Why an asset is not seen well enough; empty where it is."""
        seen, solid = asset.seen, asset.quality.solid_share
        if len(asset.gaussians) == 0:
            return "it has no Gaussians in its box"
        if seen.pictures < self.pictures:
            return f"{seen.pictures} pictures show {self.picture_pixels} pixels of it, {self.pictures} must"
        if seen.pixels < self.pixels:
            return f"all pictures together show {seen.pixels} pixels of it, {self.pixels} must be"
        if len(seen.sides) < self.sides:
            return f"it is seen from {', '.join(seen.sides)} only, {self.sides} sides must be"
        if solid < self.solid_share:
            return f"{solid:.0%} of its Gaussians are solid, {self.solid_share:.0%} must be"
        return ""


@dataclass
class Extracted:
    """What became of a scene's objects."""

    written: list[Asset] = field(default_factory=list)
    left_out: list[tuple[Asset, str]] = field(default_factory=list)
    """With the reason."""


def extract_assets(
    scene: Scene,
    folder: Path,
    log: DrivingLog | None = None,
    why_no_log: str = "no drive was given",
    rules: WellSeen | None = None,
    done: Callable[[], None] = lambda: None,
) -> Extracted:
    """Writes every object that is seen well enough as an asset, each in a folder of its own.

    Args:
        scene: A scene with objects that remembers its recording, whole or in groups.
        folder: Where the folders of the assets go; those of earlier ones by the same name are replaced, and
            what a killed extraction left half written is removed.
        log: The drive, for classes, licence and quality; without it these are not known.
        why_no_log: Told where the drive is missed.
        rules: What well seen means; None takes the defaults.
        done: Called after each recorded picture that was looked at.

    Raises:
        ValueError: The scene remembers no recording.
        DatasetError: A picture of the drive is missing or damaged.
        OSError: The disk is full or cannot be written.
    """
    rules = WellSeen() if rules is None else rules
    clear_leftovers(folder)
    seen = sightings(scene, log, done)
    found = Extracted()
    for asset, of in _candidates(scene, seen, log, why_no_log, rules):
        reason = rules.shortfall(asset)
        if reason:
            found.left_out.append((asset, reason))
            continue
        picture = png_bytes(preview(asset, of.best_azimuth()))
        write_asset(asset, folder / asset.name, picture)
        found.written.append(asset)
    return found


def licence_of(recording: Recording, log: DrivingLog | None) -> str:
    """One sentence about how what comes from a recording may be used.

    A drive in nuScenes' layout that names no licence was recorded by somebody else.
    """
    if log is None or log.licence:
        known = _LICENCES.get(recording.source)
        if known is not None:
            return known
    return log.licence if log is not None and log.licence else _NO_LICENCE


def _candidates(
    scene: Scene,
    seen: Mapping[str, Sightings],
    log: DrivingLog | None,
    why_no_log: str,
    rules: WellSeen,
) -> Iterator[tuple[Asset, Sightings]]:
    assert scene.recording is not None
    recording = scene.recording
    classes = {} if log is None else {track.id: track.category for track in log.tracks}
    taken: set[str] = set()
    for part in parts(scene):
        for node in actors_of(part):
            for number, id in enumerate(node.object_ids):
                of = seen.get(id, Sightings())
                gaussians = raw_gaussians(node, of.best_time_s())
                own = gaussians.resampled(Resample.keep(node.rows_of(id)))
                length, width, height = (float(value) for value in node.sizes_lwh[number].tolist())
                own, solid = _own(own, (length, width, height))
                why_not = why_no_log if log is None else "no picture of the drive shows it"
                yield (
                    Asset(
                        name=new_name(f"{recording.name}-{id}", taken, otherwise="asset"),
                        class_name=classes.get(id, UNKNOWN_CLASS),
                        size_lwh=(length, width, height),
                        gaussians=own,
                        seen=of.seen(rules.picture_pixels),
                        quality=of.quality(solid, rules.picture_pixels, why_not),
                        source=f"{recording.source} {recording.name}",
                        object_id=id,
                        licence=licence_of(recording, log),
                        settings=scene.settings,
                    ),
                    of,
                )


def _own(gaussians: Gaussians, size_lwh: tuple[float, float, float]) -> tuple[Gaussians, float]:
    """Those in the box that can be seen at all, and the share of those in the box that are solid."""
    half = 0.5 * torch.tensor(size_lwh).to(gaussians.means) + _MARGIN_M
    inside = (gaussians.means.abs() <= half).all(dim=1)
    opacities = gaussians.opacities
    solid = float((opacities[inside] > _SOLID).float().mean()) if bool(inside.any()) else 0.0
    kept = (inside & (opacities >= ALPHA_MIN)).nonzero()[:, 0]
    return gaussians.resampled(Resample.keep(kept)), round(solid, 4)
