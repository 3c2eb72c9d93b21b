"""What is said about a viewer that serves: where it is, and what it lets others do."""

from pathlib import Path

LOCAL = "127.0.0.1"
_THIS_MACHINE = (LOCAL, "localhost")


def told_of_serving(address: str, host: str, folder: Path, edits: bool) -> list[str]:
    """Lines for the terminal.

    Args:
        address: Where browsers find it.
        host: The address that it listens on.
        folder: Where it writes files.
        edits: Whether browsers can edit the scene.
    """
    lines = [f"viewer: {address}"]
    if host not in _THIS_MACHINE:
        can = "look at this scene, edit it," if edits else "look at this scene"
        lines.append(f"whoever reaches {host} can {can} and have files written into {folder}")
    return lines
