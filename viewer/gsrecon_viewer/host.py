"""Where the app listens."""

import socket

from gsrecon.errors import SpecError

LOCAL = "127.0.0.1"
"""This machine alone."""
_LAST_PORT = 65535


def require_address(host: str, port: int) -> None:
    """Refuses an address on which this machine cannot listen; a server would try port after port for ever.

    Args:
        host: The address or its name.
        port: The port; whether it is free is not looked at.

    Raises:
        SpecError: It cannot.
    """
    if not 0 <= port <= _LAST_PORT:
        raise SpecError(f"port: expected 0 (any) to {_LAST_PORT}, got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.bind(address)
    except OSError as error:
        raise SpecError(
            f"host: this machine cannot listen on {host!r} ({error}); {LOCAL} is this machine alone, 0.0.0.0 "
            f"lets others in"
        ) from error
