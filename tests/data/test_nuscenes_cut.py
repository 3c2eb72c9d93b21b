"""One scene cut out of nuScenes' tables, row by row."""

import json

import pytest

from gsrecon.data.nuscenes_cut import cut_scene, stream_rows
from gsrecon.datasets.nuscenes import write_nuscenes
from tests.datasets.small_drives import devkit, rows

ROWS = [{"token": f"{number:032x}", "text": "], [{", "numbers": [1.5, -2e-9, [3]]} for number in range(50)]


@pytest.mark.parametrize("layout", [{}, {"indent": 0}, {"indent": 4}, {"separators": (",", ":")}])
@pytest.mark.parametrize("chunk", [150, 163, 10_000])
def test_rows_come_out_whole_however_the_file_is_laid_out_and_cut_into_chunks(tmp_path, layout, chunk):
    file = tmp_path / "table.json"
    file.write_text("\n " + json.dumps(ROWS, **layout) + "\n")
    assert list(stream_rows(file, chunk)) == ROWS


def test_an_empty_table_has_no_rows(tmp_path):
    (tmp_path / "table.json").write_text("[\n]")
    assert list(stream_rows(tmp_path / "table.json")) == []


@pytest.mark.parametrize("text", ['[{"a": 1}, {"a"', '[{"a": 1}', "", '{"a": 1}', '[{"a": 1}, oops]'])
def test_a_table_that_is_cut_off_or_something_else_is_refused(tmp_path, text):
    file = tmp_path / "table.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"table\.json is (cut off or damaged|no list of rows)"):
        list(stream_rows(file, 20))


def test_a_cut_holds_one_scene_and_the_devkit_reads_it(log, tmp_path):
    drive = log.select(cameras=["left"])
    root = write_nuscenes([drive, drive], tmp_path / "two")
    cut = tmp_path / "cut"
    cut_scene(root / "v1.0-mini", "scene-0002", cut, "v1.0-mini")
    for table in ("sample", "sample_data", "ego_pose", "calibrated_sensor", "sample_annotation", "instance"):
        assert 2 * len(rows(cut, table)) == len(rows(root, table)), table
    client = devkit(cut)
    assert [row["name"] for row in client.scene] == ["scene-0002"]
    assert client.log[0]["map_token"] == client.map[0]["token"]
    with pytest.raises(ValueError, match=r"scene\.json has 0 scenes named scene-0009"):
        cut_scene(root / "v1.0-mini", "scene-0009", tmp_path / "none", "v1.0-mini")
