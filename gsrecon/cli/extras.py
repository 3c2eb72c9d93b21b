"""Parts of gsrecon that need packages of their own, imported when a command wants them."""

from types import ModuleType

from gsrecon.errors import BackendUnavailableError


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
