"""Numbers of objects in id pictures."""

from collections.abc import Iterable


class ObjectTable:
    """Maps object ids (strings) to numbers; 0 is the background, and a number is never used again.

    Nodes without an entry belong to the background.
    """

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._numbers: dict[str, int] = {}
        for id in ids:
            self.append(id)

    def __len__(self) -> int:
        """Count of numbers given out, the background's among them."""
        return len(self._numbers) + 1

    def append(self, id: str) -> int:
        """Gives an object the next free number.

        Raises:
            ValueError: The object has one already.
        """
        if id in self._numbers:
            raise ValueError(f"id: expected a new object, got {id!r}, which has number {self._numbers[id]}")
        self._numbers[id] = len(self)
        return self._numbers[id]

    def number(self, id: str) -> int:
        """Number of an object; 0 for everything that is background."""
        return self._numbers.get(id, 0)

    @property
    def ids(self) -> list[str]:
        """Ids in the order of their numbers, from number 1."""
        return list(self._numbers)
