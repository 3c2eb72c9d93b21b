"""The film writer: the only module that imports PyAV."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np

from gsrecon.errors import BackendUnavailableError
from gsrecon.evaluation.pictures import RGB
from gsrecon.files import written_aside


class Film:
    """An open film that takes pictures of one size, one after the other."""

    def __init__(self, container, pictures_per_second: float) -> None:
        self._container = container
        self._rate = Fraction(pictures_per_second).limit_denominator(1000)
        self._stream = None

    def add(self, image: RGB) -> None:
        """Appends a picture; an odd last row or column is repeated, because H.264 stores even sizes.

        Raises:
            ValueError: The size differs from the first picture's.
        """
        import av

        height, width = image.shape[:2]
        even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._container.add_stream("h264", rate=self._rate)
            self._stream.width, self._stream.height = even.shape[1], even.shape[0]
            self._stream.pix_fmt = "yuv420p"
            self._stream.options = {"crf": "18", "preset": "fast"}
        if (even.shape[1], even.shape[0]) != (self._stream.width, self._stream.height):
            raise ValueError(
                f"image: expected {self._stream.width} x {self._stream.height} like the film's first "
                f"picture, got {even.shape[1]} x {even.shape[0]}"
            )
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def _finish(self) -> None:
        if self._stream is None:
            raise ValueError("film: expected at least one picture, got none")
        for packet in self._stream.encode():
            self._container.mux(packet)


@contextmanager
def film(path: Path | str, pictures_per_second: float = 10.0) -> Iterator[Film]:
    """Opens an mp4 film (H.264, yuv420p) that plays everywhere; the file appears when the block ends.

    Args:
        path: File to write.
        pictures_per_second: Rate at which it plays [1/s].

    Raises:
        BackendUnavailableError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise BackendUnavailableError(
            "films need the package 'av', which is not installed: pip install av, or render without a film"
        ) from error
    with (
        written_aside(Path(path)) as aside,
        av.open(str(aside), "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        writer = Film(container, pictures_per_second)
        yield writer
        writer._finish()
