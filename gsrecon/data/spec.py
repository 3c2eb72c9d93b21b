"""Scene specs: which drive, which of its frames, at what size, and which of them are held out.

A spec is a TOML file, `scenes/NAME.toml`; the ones that come with the package are found by their stem.
A drive can also be named directly, `kitti:PATH`, `kitti-odometry:PATH`, `folder:PATH` or `toy`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from gsrecon.data.log import CameraFrame, DrivingLog
from gsrecon.errors import SpecError

KINDS = ("kitti", "kitti-odometry", "folder", "toy")
DATA_PLACEHOLDER = "{data}"


@dataclass(frozen=True)
class TestSplit:
    """Which frames are held out: those with index % every == offset, in every camera."""

    __test__ = False  # the name is no test class to pytest

    every: int = 8
    """Period in frames; 0 holds nothing out."""
    offset: int = 4
    """Remainder of a held-out frame's index, below `every`."""

    def holds_out(self, index: int) -> bool:
        """True where the frame of this index (of the recording, whatever the stride) is held out."""
        return self.every > 0 and index % self.every == self.offset


@dataclass(frozen=True)
class SceneSpec:
    """What to reconstruct, and what to keep for judging it."""

    name: str
    drive: str
    """`kitti:PATH`, `kitti-odometry:PATH`, `folder:PATH` or `toy`; `{data}` stands for `--data`."""
    description: str = ""
    """One sentence for people."""
    data_hint: str = ""
    """What to give as `--data`, shown where it is missing."""
    cameras: tuple[str, ...] = ()
    """Names of the cameras, in this order; none: all of the drive."""
    start: int = 0
    """Index of the first frame."""
    stop: int | None = None
    """Index after the last frame; None: to the end."""
    stride: int = 1
    """Every how many frames, from `start` on."""
    image_scale: float = 1.0
    """Pictures and intrinsics are resized by this, above 0 and at most 1."""
    mask_moving: bool = False
    """Leave pixels of the mask `moving` out of training and scores."""
    test: TestSplit = TestSplit()
    """The held-out frames."""
    toy: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the toy drive (fields of its config) that differ from the defaults."""

    def is_test(self, frame: CameraFrame) -> bool:
        """True where a frame is held out."""
        return self.test.holds_out(frame.index)

    def train_frames(self, log: DrivingLog) -> tuple[CameraFrame, ...]:
        """The frames to learn from."""
        return tuple(frame for frame in log.frames if not self.is_test(frame))

    def test_frames(self, log: DrivingLog) -> tuple[CameraFrame, ...]:
        """The frames that judge."""
        return tuple(frame for frame in log.frames if self.is_test(frame))


def open_drive(
    name_or_spec: str | Path | SceneSpec, data: Path | str | None = None
) -> tuple[DrivingLog, SceneSpec]:
    """The selected frames of a drive at the wanted size, and the spec that says so.

    Args:
        name_or_spec: A spec; the path of a TOML file; the stem of a packaged spec (`kitti-0001`); or a drive
            (`kitti:PATH`, `kitti-odometry:PATH`, `folder:PATH`, `toy`), which takes a spec's defaults.
        data: The recording's folder, for specs whose drive holds `{data}`.

    Raises:
        SpecError: The spec is unknown or contradicts the drive.
        DatasetError: The recording is incomplete or damaged.
    """
    spec = name_or_spec if isinstance(name_or_spec, SceneSpec) else find_spec(str(name_or_spec))
    spec = replace(spec, drive=_fill_in(spec, data))
    log = _read(spec)
    unknown = [camera for camera in spec.cameras if camera not in log.cameras]
    if unknown:
        raise SpecError(
            f"{spec.name}: cameras: the drive has no {', '.join(unknown)}; it has {', '.join(log.cameras)}"
        )
    selected = log.select(spec.cameras or None, spec.start, spec.stop, spec.stride)
    if not selected.frames:
        raise SpecError(
            f"{spec.name}: start {spec.start}, stop {spec.stop}, stride {spec.stride} select no frame of the "
            f"drive's {max((frame.index for frame in log.frames), default=-1) + 1}; widen them"
        )
    return selected.at_scale(spec.image_scale), spec


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
        path = name.partition(":")[2]
        return SceneSpec(name=Path(path).resolve().name if path else kind, drive=name)
    if name.endswith(".toml"):
        return read_spec(Path(name))
    raise SpecError(
        f"{name}: no such scene; give one of {', '.join(packaged) or 'none'}, a .toml file, or a drive "
        "(kitti:PATH, kitti-odometry:PATH, folder:PATH, toy)"
    )


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
    if "cameras" in values:
        values["cameras"] = tuple(values["cameras"])
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
            table["test"] = {"every": value.every, "offset": value.offset}
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
    "cameras": (list, "a list of camera names"),
    "start": (int, "a whole number"),
    "stop": (int, "a whole number"),
    "stride": (int, "a whole number"),
    "image_scale": ((int, float), "a number"),
    "mask_moving": (bool, "true or false"),
    "test": (dict, "a table with every and offset"),
    "toy": (dict, "a table of the toy drive's settings"),
    "every": (int, "a whole number"),
    "offset": (int, "a whole number"),
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
        wrong = wrong or (isinstance(value, list) and not all(isinstance(item, str) for item in value))
        if wrong:
            raise SpecError(f"{where}: {prefix}{key}: expected {words}, got {value!r}; correct that line")
    return dict(table)


def _require_ranges(spec: SceneSpec, where: str) -> None:
    kind, _, path = spec.drive.partition(":")
    checks = [
        (
            kind in KINDS and (bool(path) != (kind == "toy")),
            'drive: expected "kitti:PATH", "kitti-odometry:PATH", "folder:PATH" or "toy", '
            f"got {spec.drive!r}",
        ),
        (spec.start >= 0, f"start: expected at least 0, got {spec.start}"),
        (
            spec.stop is None or spec.stop > spec.start,
            f"stop: expected above start ({spec.start}), got {spec.stop}",
        ),
        (spec.stride >= 1, f"stride: expected at least 1, got {spec.stride}"),
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


def _read(spec: SceneSpec) -> DrivingLog:
    kind, _, path = spec.drive.partition(":")
    # Readers are imported where they are used: opening one format needs no other format's packages.
    if kind == "kitti":
        from gsrecon.data.kitti import read_kitti_raw

        return read_kitti_raw(path)
    if kind == "kitti-odometry":
        from gsrecon.data.kitti_odometry import read_kitti_odometry

        return read_kitti_odometry(path)
    if kind == "folder":
        from gsrecon.data.folder import read_folder

        return read_folder(path)
    from gsrecon.data.toy import ToyConfig, make_toy

    try:
        config = ToyConfig(**spec.toy)
    except (TypeError, ValueError) as error:
        allowed = ", ".join(entry.name for entry in fields(ToyConfig))
        raise SpecError(f"{spec.name}: toy: {error}; the settings are {allowed}") from error
    return make_toy(config).log
