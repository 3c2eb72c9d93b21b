"""Mistakes and results are said in the browser where the button was pressed."""

from collections.abc import Iterator
from contextlib import contextmanager

import viser

from gsrecon.errors import GsreconError


@contextmanager
def telling(client: viser.ClientHandle | None) -> Iterator[None]:
    """Shows a mistake as a notification and goes on."""
    try:
        yield
    except (GsreconError, ValueError, OSError) as error:
        if client is not None:
            client.add_notification("That did not work", str(error), color="red")


def say(client: viser.ClientHandle | None, title: str, text: str) -> None:
    """Shows good news for a few seconds."""
    if client is not None:
        client.add_notification(title, text, color="green", auto_close_seconds=8)


def warn(client: viser.ClientHandle | None, text: str) -> None:
    """Shows what was done, but may not be what was meant; nothing where the text is empty."""
    if client is not None and text:
        client.add_notification("Beware", text, color="yellow")
