"""Annotations under an edit list: labels follow what is done to the objects."""

from collections.abc import Sequence
from dataclasses import replace

from gsrecon.data.log import Track
from gsrecon.scene.edits import Edit


def edited_tracks(tracks: Sequence[Track], edits: Sequence[Edit]) -> tuple[Track, ...]:
    """The tracks after the edits; objects that were not annotated stay without a track."""
    found = {track.id: track for track in tracks}
    for edit in edits:
        track = found.get(edit.object)
        if track is None:
            continue
        if edit.do == "remove":
            del found[edit.object]
            continue
        moved = replace(track, world_from_actor=track.world_from_actor @ edit.motion)
        if edit.do == "move":
            found[edit.object] = moved
        else:
            found[edit.name] = replace(moved, id=edit.name)
    return tuple(found.values())
