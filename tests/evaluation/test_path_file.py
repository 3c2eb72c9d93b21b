"""Camera path files are read strictly."""

import json
import re
from pathlib import Path

import pytest
import torch

from gsrecon.errors import SpecError
from gsrecon.evaluation.path_file import read_path_file

GOOD = """
version = 1
pictures_per_second = 10

[[keyframes]]
time_s = 0.5
position = [0.0, 0.0, 1.6]
look_at = [10.0, 0.0, 1.6]

[[keyframes]]
time_s = 1.5
world_from_cam = [[0, 0, 1, 12], [-1, 0, 0, 0], [0, -1, 0, 1.6], [0, 0, 0, 1]]
"""


def write(tmp_path: Path, text: str, name: str = "path.toml") -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_a_path_starts_and_ends_at_its_keyframes(tmp_path: Path) -> None:
    path = read_path_file(write(tmp_path, GOOD))
    assert len(path) == 11
    assert path.pictures_per_second == pytest.approx(10)
    assert path.times_s[[0, -1]].tolist() == pytest.approx([0.5, 1.5])
    ahead = torch.tensor([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.6], [0, 0, 0, 1]]).double()
    assert torch.allclose(path.world_from_cam[0], ahead, atol=1e-9)
    assert torch.allclose(path.world_from_cam[-1, :3, 3], torch.tensor([12, 0, 1.6]).double(), atol=1e-9)


def test_the_documents_example_is_a_path(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "camera-paths.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    path = read_path_file(write(tmp_path, example))
    assert len(path) == 101
    assert path.times_s[-1].item() == pytest.approx(2.0)


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    import tomllib

    in_json = write(tmp_path, json.dumps(tomllib.loads(GOOD)), "path.json")
    in_toml = write(tmp_path, GOOD)
    assert torch.equal(read_path_file(in_json).world_from_cam, read_path_file(in_toml).world_from_cam)


def test_a_film_clock_lets_the_drive_stand_still(tmp_path: Path) -> None:
    frozen = GOOD.replace("time_s = 1.5", "time_s = 0.5\nshown_s = 2.0")
    path = read_path_file(write(tmp_path, frozen))
    assert len(path) == 21
    assert (path.times_s == 0.5).all()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("version = 1", "", "version: expected 1"),
        ("version = 1", "version = 1\nspeed = 3", "unknown key 'speed'; known keys are version"),
        ("look_at", "lookat", "keyframe 0: unknown key 'lookat'"),
        ("look_at = [10.0, 0.0, 1.6]", "", "keyframe 0: expected either world_from_cam"),
        ("look_at = [10.0, 0.0, 1.6]", "look_at = [0.0, 0.0, 1.6]", "keyframe 0: look_at"),
        ("look_at = [10.0, 0.0, 1.6]", "look_at = [10.0, 0.0]", "expected 3 numbers"),
        ("time_s = 1.5", "", "keyframe 1: time_s: expected a number, got nothing"),
        ("time_s = 1.5", "time_s = nan", "keyframe 1: time_s: expected a number"),
        ("time_s = 1.5", "time_s = 0.5", "keyframe 1: expected a later time than keyframe 0"),
        ("[0, 0, 0, 1]]", "[0, 0, 1, 1]]", "keyframe 1: world_from_cam: expected a rotation"),
        ("[[0, 0, 1, 12]", "[[0, 0, 2, 12]", "keyframe 1: world_from_cam: expected a rotation"),
        ("pictures_per_second = 10", "pictures_per_second = 0", "expected more than 0"),
        ("version = 1", "version = ", "not valid TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(SpecError) as caught:
        read_path_file(path)
    assert told in str(caught.value)
    assert "path.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        read_path_file(tmp_path / "none.toml")


def test_a_file_without_keyframes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="at least one keyframe"):
        read_path_file(write(tmp_path, "version = 1"))
