"""Ctrl-C and termination signals as a flag that is looked at between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopFlag:
    """Set by a signal, read by the training loop."""

    def __init__(self) -> None:
        self.requested = False

    def request(self) -> None:
        """Asks the run to save and stop after the current step."""
        self.requested = True


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Within the block SIGINT and SIGTERM set the flag; a second SIGINT interrupts at once.

    Outside the main thread no handler can be set and the flag stays as it is.
    """
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        if flag.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        flag.request()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
