"""Annotations under an edit list: labels follow what is done to the objects."""

from collections.abc import Sequence
from dataclasses import replace

from gsrecon.data.log import Track
from gsrecon.errors import SpecError
from gsrecon.scene.edits import Edit


def edited_tracks(tracks: Sequence[Track], edits: Sequence[Edit]) -> tuple[Track, ...]:
    """The tracks after the edits; objects that were not annotated stay without a track.

    Raises:
        SpecError: Two tracks have one id, or a copy takes another one's.
    """
    found = {track.id: track for track in tracks}
    if len(found) < len(tracks):
        ids = [track.id for track in tracks]
        twice = next(id for id in ids if ids.count(id) > 1)
        raise SpecError(
            f"two annotated objects have the id {twice!r}; rename one: labels are told apart by it"
        )
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
        elif edit.name in found:
            raise SpecError(
                f"edit list: the id {edit.name!r} is taken by an annotated object; choose another"
            )
        else:
            found[edit.name] = replace(moved, id=edit.name)
    return tuple(found.values())
