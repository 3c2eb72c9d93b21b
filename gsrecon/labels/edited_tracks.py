"""Annotations under an edit list: labels follow what is done to the objects."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from gsrecon.data.log import Track
from gsrecon.errors import SpecError
from gsrecon.scene.edit_cast import Cast
from gsrecon.scene.edits import Duplicate, Edit, Insert
from gsrecon.scene.figures import Figure
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.recording import Recording


def edited_tracks(tracks: Sequence[Track], edits: Sequence[Edit], graph: SceneGraph) -> tuple[Track, ...]:
    """The tracks after the edits; objects that were not annotated stay without a track.

    Args:
        tracks: As annotated.
        edits: What was done.
        graph: The scene after it.

    Raises:
        SpecError: Two tracks have one id, or a new object takes another one's.
    """
    found = {track.id: track for track in tracks}
    if len(found) < len(tracks):
        ids = [track.id for track in tracks]
        twice = next(id for id in ids if ids.count(id) > 1)
        raise SpecError(
            f"two annotated objects have the id {twice!r}; rename one: labels are told apart by it"
        )
    if not edits:
        return tuple(tracks)
    classes = {track.id: track.category for track in tracks}
    for edit in edits:
        if isinstance(edit, Duplicate | Insert) and edit.name in found:
            raise SpecError(
                f"edit list: the id {edit.name!r} is taken by an annotated object; choose another"
            )
        edit.classes(classes)
    cast, placed = Cast(graph), {edit.placed for edit in edits}
    assert graph.recording is not None
    return tuple(
        _track(cast[id], category, found.get(id), graph.recording)
        if id in cast and id in placed
        else found[id]
        for id, category in classes.items()
        if id in cast or id in found
    )


def _track(figure: Figure, category: str, before: Track | None, recording: Recording) -> Track:
    """The track of an object as the scene has it."""
    way = figure.way
    times_s = way.key_times_s.cpu()
    span = way.span_s.tolist()
    times_s = times_s[(times_s >= span[0]) & (times_s <= span[1])]
    times_us = np.unique(np.rint(times_s.numpy() * 1e6).astype(np.int64)) + recording.start_us
    within = [min(max(recording.time_s(int(time)), span[0]), span[1]) for time in times_us]
    poses = way.at(torch.tensor(within, dtype=torch.float64)).cpu().numpy()
    size = figure.shape.size_lwh.double().cpu().numpy()
    if before is None:
        return Track(figure.id, category, size, times_us, poses)
    # A box of the same size keeps its exact numbers.
    size = before.size_lwh if np.allclose(size, before.size_lwh, rtol=1e-5) else size
    return replace(before, category=category, size_lwh=size, timestamps_us=times_us, world_from_actor=poses)
