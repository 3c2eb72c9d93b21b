"""Pictures of a video, decoded once and kept in the cache."""

import json
from pathlib import Path

from gsrecon.data.cache import computed_folder, emptied, file_state, key_of
from gsrecon.data.images_found import Stream
from gsrecon.data.video import extract_pictures


def video_pictures(video: Path, pictures_per_second: float) -> Stream:
    """Pictures of a video with their times.

    Raises:
        DatasetError: The video cannot be decoded.
    """

    def extract(folder: Path) -> None:
        pictures = emptied(folder / "pictures")
        taken = extract_pictures(video, pictures, pictures_per_second)
        listed = [[path.name, time] for path, time in taken]
        (folder / "times.json").write_text(json.dumps(listed), encoding="utf-8")

    key = key_of(["video", 1, file_state(video), pictures_per_second])
    folder = computed_folder(f"video-{key}", extract)
    listed = json.loads((folder / "times.json").read_text(encoding="utf-8"))
    return [(folder / "pictures" / name, time) for name, time in listed]
