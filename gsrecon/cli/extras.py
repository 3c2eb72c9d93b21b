"""Parts of gsrecon that need packages of their own, imported when a command wants them."""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from gsrecon.errors import BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gsrecon.data.log import DrivingLog
    from gsrecon_viewer.live import LiveView


def viewer_app() -> ModuleType:
    """The viewer's app.

    Raises:
        BackendUnavailableError: viser is not installed.
    """
    try:
        from gsrecon_viewer import app
    except ImportError as error:
        raise BackendUnavailableError(
            f"the viewer does not load ({error}); install it with pip install 'gsrecon[viewer]'"
        ) from error
    return app


def live_view(
    folder: Path, log: "DrivingLog", budget: float, host: str, port: int, serving: "Callable[[str], None]"
) -> "LiveView":
    """Someone who watches a training in the browser; `serving` is told the address.

    Raises:
        BackendUnavailableError: viser is not installed.
    """
    viewer_app()
    from gsrecon_viewer.live import LiveView

    return LiveView(folder, log, budget, host, port, serving)
