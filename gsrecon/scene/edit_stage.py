"""What an action of an edit list is, and what it works on: a scene's objects, its ground and its road."""

from dataclasses import dataclass

import torch

from gsrecon.errors import SpecError
from gsrecon.scene.edit_cast import Cast
from gsrecon.scene.ground import Ground, Surroundings


@dataclass(frozen=True)
class Stage:
    """What an edit works on."""

    cast: Cast
    """The objects."""
    surroundings: Surroundings
    """Ground and road."""
    device: torch.device

    @property
    def ground(self) -> Ground:
        """The scene's ground.

        Raises:
            SpecError: It shows none.
        """
        if self.surroundings.ground is None:
            raise SpecError("the scene shows no ground around the car's way, so nothing can stand on it")
        return self.surroundings.ground


class Action:
    """What an edit list can say: a frozen dataclass whose fields are the keys of an entry."""

    @property
    def placed(self) -> str | None:
        """Id of the object that now is elsewhere, at another time or of another size; None: there is none."""
        return None

    def apply(self, stage: Stage) -> None:
        """Does it.

        Raises:
            SpecError: It cannot be done.
        """
        raise NotImplementedError

    def classes(self, classes: dict[str, str]) -> None:
        """Brings the annotated class of each id up to date; most actions leave all as they are."""
