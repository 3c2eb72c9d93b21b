"""Finding a scene of nuScenes: which data root, which version of the tables, which scene."""

import json
from pathlib import Path

from gsrecon.errors import DatasetError


def find_scene(path: Path | str, scene: str | None = None) -> tuple[Path, str, str]:
    """Data root, version and name of a scene.

    Args:
        path: The data root (the folder that holds `v1.0-mini` and the like), or one version's folder in it.
        scene: Name, such as `scene-0061`; None takes the first of the only version.

    With a scene's name the version is the one that has it; where several have (`v1.0-mini` repeats ten scenes
    of `v1.0-trainval`), the smallest, which loads fastest.

    Raises:
        DatasetError: There are no tables, no such scene, or several versions and no name to choose by.
    """
    given = Path(path)
    if not given.is_dir():
        raise DatasetError(
            f"{given}: there is no such folder; give nuScenes' data root, the folder that holds v1.0-mini "
            "or v1.0-trainval"
        )
    if (given / "sample_data.json").is_file() or (given / "scene.json").is_file():
        root, versions = given.resolve().parent, [given.resolve().name]
    else:
        root, versions = given, _versions(given)
    names = {version: _scene_names(root / version) for version in versions}
    if scene is None:
        return root, *_only(root, names)
    having = [version for version in versions if scene in names[version]]
    if not having:
        known = [name for version in versions for name in names[version]]
        raise DatasetError(
            f"{given}: there is no {scene} in {', '.join(versions)}; give one of the {len(known)} scenes, "
            f"such as {', '.join(known[:5])}"
        )
    return root, min(having, key=lambda version: len(names[version])), scene


def _only(root: Path, names: dict[str, list[str]]) -> tuple[str, str]:
    """The only version and its first scene."""
    if len(names) > 1:
        some = next(iter(names))
        raise DatasetError(
            f"{root}: there are several versions ({', '.join(names)}); name one or a scene, "
            f"nuscenes:{root / some} or nuscenes:{root}#{names[some][0] if names[some] else 'scene-0061'}"
        )
    version, scenes = next(iter(names.items()))
    if not scenes:
        raise DatasetError(f"{root / version / 'scene.json'}: there is no scene; unpack the tables again")
    return version, scenes[0]


def _versions(root: Path) -> list[str]:
    found = [
        child.name
        for child in sorted(root.iterdir())
        if child.is_dir() and (child.name.startswith("v1.0") or (child / "sample_data.json").is_file())
    ]
    if not found:
        raise DatasetError(
            f"{root}: there is no folder of nuScenes tables; give the folder that holds v1.0-mini or "
            "v1.0-trainval"
        )
    return found


def _scene_names(folder: Path) -> list[str]:
    file = folder / "scene.json"
    try:
        return [row["name"] for row in json.loads(file.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        raise DatasetError(f"{file}: the table is missing; unpack the archive of the tables again") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{file}: the table cannot be read ({error}); unpack it again") from error
