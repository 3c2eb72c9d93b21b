"""Keeps the list of what is done to a scene's objects: adds to it, shows it, undoes, redoes, checks.

`render` and `export-dataset` apply a list with --edits, and labels follow; every entry is described in
docs/edits.md. An entry that cannot be done, leaves the road or ends in another object is told and not added.

Examples:
  gsrecon edit runs/toy add remove car-1
  gsrecon edit runs/toy add move parked-5 --by 2 -0.5 0 --turn-deg 5
  gsrecon edit runs/toy add drive car-0 --waypoints 20 1.7 50 1.7 --speeds-mps 8 --follow-lane
  gsrecon edit runs/toy add insert guest --asset assets/van --at 30 -1.7
  gsrecon edit runs/toy add insert visitor --scene runs/other --object car-2 --class car --at 30 -1.7
  gsrecon edit runs/toy add swap car-2 --with parked-3 --fit
  gsrecon edit runs/toy add recolour parked-3 1 0.2 0.2
  gsrecon edit runs/toy show
  gsrecon edit runs/toy undo
  gsrecon edit runs/toy check
  gsrecon render runs/toy --edits runs/toy/edits.toml
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from gsrecon.cli.edit_options import HideOptions, InsertOptions, SwapOptions, entry_of
from gsrecon.cli.options import OptionalPath, RunFolder
from gsrecon.scene.edit_actions import Drive, Duplicate, Exposure, Move, Recolour, Remove, Retime

if TYPE_CHECKING:
    from gsrecon.scene.edits import Checked, Edit, EditHistory

_Entry = tyro.conf.PositionalRequiredArgs[
    Annotated[Remove, tyro.conf.subcommand("remove")]
    | Annotated[HideOptions, tyro.conf.subcommand("hide")]
    | Annotated[Move, tyro.conf.subcommand("move")]
    | Annotated[Retime, tyro.conf.subcommand("retime")]
    | Annotated[Duplicate, tyro.conf.subcommand("duplicate")]
    | Annotated[InsertOptions, tyro.conf.subcommand("insert")]
    | Annotated[SwapOptions, tyro.conf.subcommand("swap")]
    | Annotated[Recolour, tyro.conf.subcommand("recolour")]
    | Annotated[Exposure, tyro.conf.subcommand("exposure")]
    | Annotated[Drive, tyro.conf.subcommand("drive")]
]


@dataclass(frozen=True)
class Add:
    """Does something new; what was undone is forgotten."""

    entry: tyro.conf.OmitArgPrefixes[tyro.conf.OmitSubcommandPrefixes[_Entry]]
    """What to do."""

    def run(self, history: "EditHistory", run_folder: Path) -> int:
        """Adds the entry if it can be done after all others."""
        from gsrecon.errors import SpecError
        from gsrecon.scene.edits import told_in_one_line

        edit = entry_of(self.entry)
        found = _checked(run_folder, (*history.edits, edit))
        problems = [each for each in found if each.problem and (each.stops or each.edit is edit)]
        if problems:
            raise SpecError(problems[0].problem)
        history.add(edit)
        history.save()
        print(f"{len(history.edits)}. {told_in_one_line(edit)}")
        if found[-1].beware:
            print(f"beware: {found[-1].beware}")
        return 0


@dataclass(frozen=True)
class Show:
    """Shows the list, and what was undone."""

    def run(self, history: "EditHistory", run_folder: Path) -> int:
        """A line an entry."""
        from gsrecon.scene.edits import told_in_one_line

        for number, edit in enumerate(history.edits, 1):
            print(f"{number}. {told_in_one_line(edit)}")
        for edit in reversed(history.undone):
            print(f"undone: {told_in_one_line(edit)}")
        if not history.edits and not history.undone:
            print(f"{history.path}: nothing is edited")
        return 0


@dataclass(frozen=True)
class Undo:
    """Takes the latest entry back."""

    def run(self, history: "EditHistory", run_folder: Path) -> int:
        """Moves it to those that can be done again."""
        return _turned(history, history.undo(), "undone", "there is nothing to undo")


@dataclass(frozen=True)
class Redo:
    """Does again what was undone last."""

    def run(self, history: "EditHistory", run_folder: Path) -> int:
        """Moves it back into the list."""
        return _turned(history, history.redo(), "done again", "nothing was undone")


@dataclass(frozen=True)
class Check:
    """Replays the list: can each entry be done, does it stay on the road, hit nothing, show known sides?"""

    def run(self, history: "EditHistory", run_folder: Path) -> int:
        """A line an entry; 1 where the list cannot be applied."""
        from gsrecon.scene.edits import told_in_one_line

        found = _checked(run_folder, history.edits)
        for number, each in enumerate(found, 1):
            told = "; ".join(filter(None, (each.problem, each.beware)))
            line = f"{number}. {told_in_one_line(each.edit)}: fine"
            print(f"{'refused' if each.stops else 'beware'}: {told}" if told else line)
        return int(any(each.stops for each in found))


@dataclass(frozen=True)
class EditList:
    """Options of `gsrecon edit`."""

    run_folder: RunFolder
    """Run, checkpoint or scene folder."""
    action: tyro.conf.OmitArgPrefixes[
        tyro.conf.OmitSubcommandPrefixes[
            Annotated[Add, tyro.conf.subcommand("add")]
            | Annotated[Show, tyro.conf.subcommand("show")]
            | Annotated[Undo, tyro.conf.subcommand("undo")]
            | Annotated[Redo, tyro.conf.subcommand("redo")]
            | Annotated[Check, tyro.conf.subcommand("check")]
        ]
    ]
    """What to do with the list."""
    list: OptionalPath = None
    """The edit list; edits.toml in the run's folder when left out."""

    def run(self) -> int:
        """Reads the list and does it."""
        from gsrecon.errors import CheckpointError
        from gsrecon.scene.edits import EditHistory

        if not self.run_folder.is_dir():
            raise CheckpointError(
                f"{self.run_folder}: there is no such folder; name a run, such as runs/demo"
            )
        history = EditHistory.open(self.list or self.run_folder / "edits.toml")
        return self.action.run(history, self.run_folder)


def _checked(run_folder: Path, edits: "Sequence[Edit]") -> "list[Checked]":
    from gsrecon.cli.edit_lanes import lanes_for
    from gsrecon.scene.edited import objects_of
    from gsrecon.scene.edits import Surroundings, check_edits
    from gsrecon.scene.groups_scene import open_scene

    scene = open_scene(run_folder)
    surroundings = Surroundings(scene, lanes_for(run_folder, edits))
    return check_edits(objects_of(scene, edits), edits, surroundings)


def _turned(history: "EditHistory", edit: "Edit | None", done: str, nothing: str) -> int:
    from gsrecon.errors import SpecError
    from gsrecon.scene.edits import told_in_one_line

    if edit is None:
        raise SpecError(f"{history.path}: {nothing}")
    history.save()
    print(f"{done}: {told_in_one_line(edit)}")
    return 0


COMMAND = EditList
