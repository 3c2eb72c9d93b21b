"""Edits of the scene that is shown: every one an entry of a list on disk, undone and done again."""

import threading
from collections.abc import Callable
from pathlib import Path

from gsrecon.errors import SpecError
from gsrecon.scene.edited import objects_of, with_edits
from gsrecon.scene.edits import Edit, EditHistory, Surroundings, check_edits
from gsrecon.scene.groups_scene import Scene
from gsrecon_viewer.shown import Shown


class Editing:
    """The edit list of a scene; `Shown` follows it."""

    def __init__(self, shown: Shown, path: Path) -> None:
        """Takes up the list of a file, where there is one.

        Args:
            shown: A scene as it was trained.
            path: Edit list; written after every change.

        Raises:
            SpecError: The file is no edit list, or does not fit the scene.
        """
        self._shown = shown
        self._one = threading.Lock()  # browsers press buttons at the same time
        self._first = shown.scene
        self._first_classes = dict(shown.classes)
        self.history = EditHistory.open(path)
        lanes = () if shown.log is None else [lane.points_in_world for lane in shown.log.lanes]
        self.surroundings = Surroundings(self._first, lanes)
        if self.history.edits:
            try:
                edited = self._edited(self.history.edits)
            except SpecError as error:
                raise SpecError(
                    f"{path}: the list does not fit the scene: {error}; correct or remove it"
                ) from error
            shown.replace(*edited)

    def do(self, edit: Edit) -> str:
        """Adds an entry, writes the list and shows its result.

        Returns:
            What will not look right about it; empty where nothing is known.

        Raises:
            SpecError: The entry cannot be done; nothing has changed.
            OSError: The list cannot be written; nothing has changed.
        """
        with self._one:
            history = self._copied()
            history.add(edit)
            self._become(history)
            return self._doubts()

    def undo(self) -> Edit | None:
        """Takes the latest entry back; raises what `do` raises."""
        return self._turned(EditHistory.undo)

    def redo(self) -> Edit | None:
        """Does again what was undone last; raises what `do` raises."""
        return self._turned(EditHistory.redo)

    def _turned(self, turn: Callable[[EditHistory], Edit | None]) -> Edit | None:
        with self._one:
            history = self._copied()
            edit = turn(history)
            if edit is not None:
                self._become(history)
            return edit

    def _copied(self) -> EditHistory:
        return EditHistory(self.history.edits, self.history.undone, self.history.path)

    def _become(self, history: EditHistory) -> None:
        """Another list is applied, written and shown, or where one of these fails nothing is."""
        edited = self._edited(history.edits)
        history.save()
        self.history = history
        self._shown.replace(*edited)

    def _edited(self, edits: tuple[Edit, ...]) -> tuple[Scene, dict[str, str]]:
        classes = dict(self._first_classes)
        with self._shown.lock:
            scene = with_edits(self._first, edits, self.surroundings)
        for edit in edits:
            edit.classes(classes)
        return scene, classes

    def _doubts(self) -> str:
        """Of the latest entry: collisions that are let be, sides that nobody recorded."""
        edits = self.history.edits
        latest = check_edits(objects_of(self._first, edits), edits, self.surroundings)[-1]
        return "; ".join(filter(None, (latest.problem, latest.beware)))
