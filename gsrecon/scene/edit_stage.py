"""What an edit works on: the objects of a scene, its ground and its road."""

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
