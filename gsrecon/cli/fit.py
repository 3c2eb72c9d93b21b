"""Trains into a run folder with live progress; what `train` and `demo` share."""

from collections.abc import Sequence
from pathlib import Path

from gsrecon.cli.runs import Run
from gsrecon.cli.watch import watching
from gsrecon.data.log import DrivingLog
from gsrecon.data.spec import SceneSpec
from gsrecon.errors import SpecError
from gsrecon.train.config import TrainConfig
from gsrecon.train.groups import train_groups
from gsrecon.train.progress import Observer
from gsrecon.train.run_folder import RunFolder


def fit(
    log: DrivingLog,
    spec: SceneSpec,
    config: TrainConfig,
    folder: Path,
    resume: bool = False,
    group: int | None = None,
    go_on: str = "the same command with --resume goes on from there",
    observers: Sequence[Observer] = (),
) -> Run:
    """Trains a drive into a folder, or one group of it; `go_on` tells what to do after Ctrl-C.

    Raises:
        SpecError: The folder holds a run already, which would be overwritten.
        KeyboardInterrupt: The user stopped it; it is saved and can go on.
    """
    if not resume and group is None and RunFolder(folder).begun:
        raise SpecError(
            f"{folder}: there is a run already; go on with --resume, or choose another folder with --out"
        )
    with watching() as watch:
        result = train_groups(log, spec, config, folder, [watch, *observers], resume, group)
    if not result.finished:
        raise KeyboardInterrupt(f"step {result.steps} is saved in {folder}; {go_on}")
    return Run.at(folder)
