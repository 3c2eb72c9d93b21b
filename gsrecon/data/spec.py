"""Scene specs: which drive, which of its frames, at what size, and which of them are held out.

A spec is a TOML file, `scenes/NAME.toml`; the ones that come with the package are found by their stem.
A drive can also be named directly: `kitti:PATH`, `kitti-odometry:PATH`, `nuscenes:PATH`,
`nuscenes:PATH#SCENE`, `images:PATH`, `folder:PATH` or `toy`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from gsrecon.data.log import CameraFrame, DrivingLog
from gsrecon.data.readers import DRIVES, KINDS, read_drive
from gsrecon.data.repair_file import apply_repair
from gsrecon.data.selection import FrameRange
from gsrecon.data.selection import TestSplit as TestSplit
from gsrecon.errors import SpecError

DATA_PLACEHOLDER = "{data}"


@dataclass(frozen=True)
class SceneSpec:
    """What to reconstruct, and what to keep for judging it."""

    name: str
    drive: str
    """`kitti:PATH`, `kitti-odometry:PATH`, `nuscenes:PATH`, `images:PATH`, `folder:PATH` or `toy`; `{data}`
    stands for `--data`."""
    description: str = ""
    """One sentence for people."""
    data_hint: str = ""
    """What to give as `--data`, shown where it is missing."""
    scene: str = ""
    """Name of a nuScenes drive's scene; empty takes the first. `nuscenes:PATH#SCENE` sets it as well."""
    cameras: tuple[str, ...] = ()
    """Names of the cameras, in this order; none: all of the drive."""
    start: int = 0
    """Index of the first frame."""
    stop: int | None = None
    """Index after the last frame; None: to the end."""
    stride: int = 1
    """Every how many frames, from the first one on."""
    start_keyframe: int | None = None
    """Instead of `start`: every camera starts at its frame of this key frame (nuScenes: sample), from 0."""
    limit: int | None = None
    """At most so many frames of every camera."""
    image_crop: tuple[int, int] | None = None
    """Width and height of the middle of every picture that is used [px]; None: the whole picture."""
    image_scale: float = 1.0
    """Pictures (what `image_crop` leaves of them) are resized by this, above 0 and at most 1."""
    pose_repair: str = ""
    """A file from `gsrecon repair-poses` with corrections of this drive's poses; empty: as recorded."""
    find_own_car: bool = False
    """Find the own car, in cameras that come without a mask of it, by what never moves in their pictures."""
    mask_moving: bool = False
    """Leave pixels of the mask `moving` out of training and scores."""
    test: TestSplit = field(default_factory=TestSplit)
    """The held-out frames."""
    toy: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the toy drive (fields of its config) that differ from the defaults."""

    @property
    def frame_range(self) -> FrameRange:
        """The frames of every camera that are used."""
        return FrameRange(self.start, self.stop, self.stride, self.start_keyframe, self.limit)

    def train_frames(self, log: DrivingLog) -> tuple[CameraFrame, ...]:
        """The frames to learn from, of the selected frames of a drive."""
        held_out = {id(frame) for frame in self.test_frames(log)}
        return tuple(frame for frame in log.frames if id(frame) not in held_out)

    def test_frames(self, log: DrivingLog) -> tuple[CameraFrame, ...]:
        """The frames that judge, of the selected frames of a drive."""
        return self.test.test_frames(log)


def open_drive(
    name_or_spec: str | Path | SceneSpec, data: Path | str | None = None
) -> tuple[DrivingLog, SceneSpec]:
    """The selected frames of a drive at the wanted size, and the spec that says so.

    Args:
        name_or_spec: A spec; the path of a TOML file; the stem of a packaged spec (`kitti-0001`); or a drive
            (`kitti:PATH`, `nuscenes:PATH#SCENE` and the like), which takes a spec's defaults.
        data: The recording's folder, for specs whose drive holds `{data}`.

    Raises:
        SpecError: The spec is unknown or contradicts the drive.
        DatasetError: The recording is incomplete or damaged.
    """
    spec = name_or_spec if isinstance(name_or_spec, SceneSpec) else find_spec(str(name_or_spec))
    spec = replace(spec, drive=_fill_in(spec, data))
    log = read_drive(spec.drive, spec.scene, spec.toy, spec.name)
    log = apply_repair(log, spec.pose_repair) if spec.pose_repair else log
    unknown = [camera for camera in spec.cameras if camera not in log.cameras]
    if unknown:
        raise SpecError(
            f"{spec.name}: cameras: the drive has no {', '.join(unknown)}; it has {', '.join(log.cameras)}"
        )
    if spec.find_own_car:
        from gsrecon.data.own_car import with_own_car

        log = with_own_car(log.select(spec.cameras or None))
    selected = spec.frame_range.of(log, spec.cameras or None, spec.name)
    if spec.image_crop is not None:
        selected = _crop(selected, *spec.image_crop, spec.name)
    return selected.at_scale(spec.image_scale), spec


def _crop(log: DrivingLog, width: int, height: int, where: str) -> DrivingLog:
    for camera in log.cameras.values():
        if width > camera.width or height > camera.height:
            raise SpecError(
                f"{where}: image_crop: {width} x {height} is larger than {camera.name} "
                f"({camera.width} x {camera.height}); make it smaller or leave it out"
            )
    return log.cropped(width, height)


def find_spec(name: str) -> SceneSpec:
    """The spec of a name: a drive, a TOML file's path, or the stem of a packaged spec.

    Raises:
        SpecError: There is nothing of that name, or the file is no valid spec.
    """
    kind = name.partition(":")[0]
    packaged = {path.stem: path for path in sorted(scene_folder().glob("*.toml"))}
    if name in packaged:
        return read_spec(packaged[name])
    if kind in KINDS:
        drive, scene = split_scene(name)
        path = drive.partition(":")[2]
        if bool(path) == (kind == "toy"):
            raise SpecError(f"{name}: expected one of {DRIVES}; correct the drive's name")
        return SceneSpec(
            name=scene or (Path(path).resolve().name if path else kind), drive=drive, scene=scene
        )
    if name.endswith(".toml"):
        return read_spec(Path(name))
    if Path(name).exists():
        raise SpecError(f"{name}: say what the folder holds: {DRIVES}, with this path for PATH")
    raise SpecError(
        f"{name}: no such scene; give one of {', '.join(packaged) or 'none'}, a .toml file, or a drive "
        f"({DRIVES})"
    )


def split_scene(drive: str) -> tuple[str, str]:
    """`nuscenes:PATH#SCENE` as `nuscenes:PATH` and SCENE; every other drive as it is, with no scene."""
    kind, _, path = drive.partition(":")
    folder, _, scene = path.rpartition("#")
    if kind != "nuscenes" or not folder or Path(path).exists():
        return drive, ""
    return f"{kind}:{folder}", scene


def scene_folder() -> Path:
    """Where the packaged specs lie: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "scenes"
    # An editable install has both once it was built; the checkout's files are the ones being edited.
    return (
        checkout
        if checkout.is_dir() and (package.parent / "pyproject.toml").is_file()
        else package / "_scenes"
    )


def read_spec(path: Path) -> SceneSpec:
    """Parses a spec strictly.

    Raises:
        SpecError: The file is missing, no TOML, has an unknown key or a value of the wrong kind or range.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(f"{path}: there is no such scene spec; check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SpecError(f"{path}: the scene spec is no valid TOML ({error}); correct that line") from error
    return parse_spec(table, path.stem, str(path))


def parse_spec(table: Mapping[str, Any], name: str, where: str) -> SceneSpec:
    """A spec from a parsed TOML table; `where` names the file in errors.

    Raises:
        SpecError: A key is unknown, or a value of the wrong kind or out of range.
    """
    values = _take(table, SceneSpec, where, "")
    values.setdefault("name", name)
    if "drive" not in values:
        raise SpecError(f'{where}: the key drive is missing; add e.g. drive = "kitti:PATH"')
    if "test" in values:
        values["test"] = TestSplit(**_take(values["test"], TestSplit, where, "test."))
    drive, scene = split_scene(values["drive"])
    if scene:
        if values.get("scene", scene) != scene:
            raise SpecError(
                f"{where}: scene: drive already names {scene}, got {values['scene']!r}; name the scene once"
            )
        values |= {"drive": drive, "scene": scene}
    for key in ("cameras", "image_crop"):
        if key in values:
            values[key] = tuple(values[key])
    if "image_scale" in values:
        values["image_scale"] = float(values["image_scale"])
    spec = SceneSpec(**values)
    _require_ranges(spec, where)
    return spec


def spec_to_table(spec: SceneSpec) -> dict[str, Any]:
    """The TOML table that `parse_spec` reads back to an equal spec."""
    table: dict[str, Any] = {}
    for entry in fields(SceneSpec):
        value = getattr(spec, entry.name)
        if entry.name == "test":
            table["test"] = {"every": value.every, "offset": value.offset, "counted": value.counted}
        elif isinstance(value, tuple):
            table[entry.name] = list(value)
        elif entry.name == "toy":
            if value:
                table["toy"] = dict(value)
        elif value is not None:
            table[entry.name] = value
    return table


_KINDS_OF_VALUES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "name": (str, "text"),
    "drive": (str, "text"),
    "description": (str, "text"),
    "data_hint": (str, "text"),
    "scene": (str, "text"),
    "cameras": (list, "a list of camera names"),
    "start": (int, "a whole number"),
    "stop": (int, "a whole number"),
    "stride": (int, "a whole number"),
    "start_keyframe": (int, "a whole number"),
    "limit": (int, "a whole number"),
    "image_crop": (list, "[width, height]"),
    "image_scale": ((int, float), "a number"),
    "pose_repair": (str, "the path of a JSON file"),
    "find_own_car": (bool, "true or false"),
    "mask_moving": (bool, "true or false"),
    "test": (dict, "a table with every, offset and counted"),
    "toy": (dict, "a table of the toy drive's settings"),
    "every": (int, "a whole number"),
    "offset": (int, "a whole number"),
    "counted": (str, '"recording" or "selection"'),
}


def _take(table: Mapping[str, Any], target: type, where: str, prefix: str) -> dict[str, Any]:
    """The table's values, after every key and every value's kind is checked."""
    allowed = [entry.name for entry in fields(target)]
    for key, value in table.items():
        if key not in allowed:
            raise SpecError(
                f"{where}: the key {prefix}{key} is unknown; allowed are "
                + ", ".join(prefix + name for name in allowed)
            )
        kind, words = _KINDS_OF_VALUES[key]
        wrong = not isinstance(value, kind) or (kind is not bool and isinstance(value, bool))
        items = int if key == "image_crop" else str
        wrong = wrong or (isinstance(value, list) and not all(type(item) is items for item in value))
        wrong = wrong or (isinstance(value, list) and key == "image_crop" and len(value) != 2)
        wrong = wrong or (key == "counted" and value not in ("recording", "selection"))
        if wrong:
            raise SpecError(f"{where}: {prefix}{key}: expected {words}, got {value!r}; correct that line")
    return dict(table)


def _require_ranges(spec: SceneSpec, where: str) -> None:
    kind, _, path = spec.drive.partition(":")
    checks = [
        (
            kind in KINDS and (bool(path) != (kind == "toy")),
            f"drive: expected one of {DRIVES}, got {spec.drive!r}",
        ),
        (
            not spec.scene or kind == "nuscenes",
            f'scene: only a drive = "nuscenes:PATH" has scenes, got {spec.drive!r}',
        ),
        (spec.start >= 0, f"start: expected at least 0, got {spec.start}"),
        (
            spec.stop is None or spec.stop > spec.start,
            f"stop: expected above start ({spec.start}), got {spec.stop}",
        ),
        (spec.stride >= 1, f"stride: expected at least 1, got {spec.stride}"),
        (
            spec.start_keyframe is None or (spec.start == 0 and spec.start_keyframe >= 0),
            f"start_keyframe: expected at least 0, and no start beside it, got {spec.start_keyframe} and "
            f"start {spec.start}",
        ),
        (spec.limit is None or spec.limit >= 1, f"limit: expected at least 1, got {spec.limit}"),
        (
            spec.image_crop is None or min(spec.image_crop) >= 1,
            f"image_crop: expected at least 1 x 1, got {list(spec.image_crop or ())}",
        ),
        (
            0 < spec.image_scale <= 1,
            f"image_scale: expected above 0 and at most 1, got {spec.image_scale}",
        ),
        (spec.test.every >= 0, f"test.every: expected at least 0, got {spec.test.every}"),
        (
            0 <= spec.test.offset < max(spec.test.every, 1) or spec.test.every == 0,
            f"test.offset: expected 0 to test.every - 1 ({spec.test.every - 1}), got {spec.test.offset}",
        ),
        (not spec.toy or kind == "toy", f'toy: only a drive = "toy" has these settings, got {spec.drive!r}'),
    ]
    for holds, message in checks:
        if not holds:
            raise SpecError(f"{where}: {message}; correct that line")


def _fill_in(spec: SceneSpec, data: Path | str | None) -> str:
    if DATA_PLACEHOLDER not in spec.drive:
        if data is not None:
            raise SpecError(
                f"{spec.name}: --data was given, but the drive {spec.drive!r} names its folder itself; leave "
                "--data out"
            )
        return spec.drive
    if data is None:
        hint = f" ({spec.data_hint})" if spec.data_hint else ""
        raise SpecError(f"{spec.name}: the recording's folder is missing; give it as --data PATH{hint}")
    return spec.drive.replace(DATA_PLACEHOLDER, str(data))
