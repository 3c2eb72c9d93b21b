"""Pictures from videos: the only module of `data` that imports PyAV."""

from pathlib import Path

import numpy as np
from PIL import Image

from gsrecon.errors import DatasetError


def extract_pictures(video: Path, folder: Path, pictures_per_second: float) -> list[tuple[Path, int]]:
    """Writes a video's pictures as PNG and tells their times.

    Args:
        video: Any file FFmpeg can decode.
        folder: Where the pictures go; it exists.
        pictures_per_second: At most so many are taken, evenly; all where the video has fewer [1/s].

    Returns:
        Files and times from the video's first picture [us].

    Raises:
        DatasetError: The video cannot be decoded, or holds no picture.
    """
    import av
    from av.error import FFmpegError

    taken: list[tuple[Path, int]] = []
    first, last, due = None, 0.0, 0.0
    try:
        with av.open(str(video)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                rate = float(frame.time_base or 0)
                seconds = number / 25 if frame.pts is None or rate == 0 else float(frame.pts * rate)
                first = seconds if first is None else first
                # Half a video frame of slack: 30 pictures a second thinned to 10 take every third.
                slack, last = 0.5 * (seconds - first - last), seconds - first
                if seconds - first < due - slack:
                    continue
                due = max(due + 1 / pictures_per_second, seconds - first)
                path = folder / f"{len(taken):06d}.png"
                pixels = np.rot90(frame.to_ndarray(format="rgb24"), getattr(frame, "rotation", 0) // 90)
                Image.fromarray(np.ascontiguousarray(pixels)).save(path, compress_level=1)
                taken.append((path, round((seconds - first) * 1e6)))
    except (FFmpegError, IndexError) as error:
        raise DatasetError(
            f"{video}: the video cannot be decoded ({error}); convert it to H.264 mp4 or give its pictures"
        ) from error
    if not taken:
        raise DatasetError(f"{video}: holds no pictures; give a video with a picture stream")
    return taken
