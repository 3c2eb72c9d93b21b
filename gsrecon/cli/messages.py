"""What the library has to say while a command runs: warnings, and how far long work is."""

import logging
import sys


class _ToStandardError(logging.Handler):
    """Writes to wherever standard error is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        print(level + record.getMessage(), file=sys.stderr, flush=True)


def show_messages() -> None:
    """Shows the library's messages on standard error from now on; once is enough."""
    log = logging.getLogger("gsrecon")
    if not any(isinstance(handler, _ToStandardError) for handler in log.handlers):
        log.addHandler(_ToStandardError())
        log.setLevel(logging.INFO)
