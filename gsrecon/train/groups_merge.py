"""Bringing groups together that were trained apart: the owner's values win."""

import json
from pathlib import Path

from gsrecon.errors import CheckpointError
from gsrecon.scene.groups_store import GroupStore
from gsrecon.scene.sealed import MANIFEST, disk_errors_explained, read_sealed, write_sealed
from gsrecon.train.checkpoint import LATEST, point_latest


def merge_groups(run: Path, others: list[Path]) -> dict[int, Path]:
    """Takes over, for each group, the state of the run that trained it farthest.

    Args:
        run: Run folder that receives.
        others: Run folders that were begun like it, each with some groups trained on.

    Returns:
        Groups that were taken over, and from where.

    Raises:
        CheckpointError: A run has no groups, is cut or begun otherwise, or is damaged.
        TrainingError: The disk is full; what the run had is as it was.
    """
    store = GroupStore(Path(run) / "groups")
    plan, _ = store.read_plan()
    taken = {}
    for other in others:
        theirs = GroupStore(Path(other) / "groups")
        _require_same(store, theirs)
        for number in range(len(plan)):
            step = _step(theirs.group(number))
            if step <= _step(store.group(number)):
                continue
            # Checked against their manifest on reading, sealed anew on writing.
            files = read_sealed(theirs.group(number) / LATEST)
            write_sealed(store.group(number) / f"step-{step}", files)
            with disk_errors_explained(store.group(number)):
                point_latest(store.group(number), f"step-{step}")
            taken[number] = Path(other)
    return taken


def _require_same(ours: GroupStore, theirs: GroupStore) -> None:
    """Groups fit together that were cut alike and trained beside the same shared parts."""
    for place, told in (
        (Path("plan"), "cut into other groups"),
        (Path("shared") / LATEST / "scene", "begun with another far field, sky or cameras"),
    ):
        if _manifest(ours.folder / place) != _manifest(theirs.folder / place):
            raise CheckpointError(
                f"{theirs.folder}: the run was {told} than {ours.folder}; merge runs that were begun with "
                "the same drive and settings on the same kind of machine, or copies of one begun run"
            )


def _manifest(folder: Path) -> bytes:
    try:
        return (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{folder}: cannot be read ({error.strerror}); name run folders of `gsrecon train --groups`"
        ) from error


def _step(folder: Path) -> int:
    """Steps of a group's newest checkpoint; -1 where there is none."""
    if not (folder / LATEST).exists():
        return -1
    files = read_sealed(folder / LATEST, lambda name: name == "training/counters.json")
    return json.loads(files["training/counters.json"])["step"]
