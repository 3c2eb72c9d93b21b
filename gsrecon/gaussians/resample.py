"""One change of a set of Gaussians, applied alike to everything that is kept per Gaussian."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Int64
from torch import Tensor


@dataclass(frozen=True)
class Resample:
    """Which old Gaussian every new one comes from, and what is set anew.

    Parameters, optimiser moments, states and object indices all apply this same object, so that their rows
    can never disagree.
    """

    parent: Int64[Tensor, " M"]
    """Old row that each of the M new rows is taken from."""
    is_new: Bool[Tensor, " M"]
    """Rows born by this change: their moments start at zero."""
    values: Mapping[str, Tensor] = field(default_factory=dict)
    """Whole new tensors [M, ...] for the parameters that change; the others are copied from the parent."""

    def __post_init__(self) -> None:
        if self.parent.shape != self.is_new.shape:
            raise ValueError(
                f"is_new: expected a flag for each of {len(self.parent)} rows, got {list(self.is_new.shape)}"
            )
        for name, value in self.values.items():
            if len(value) != len(self.parent):
                raise ValueError(f"values[{name!r}]: expected {len(self.parent)} rows, got {len(value)}")

    def __len__(self) -> int:
        return len(self.parent)

    def parameter(self, name: str, old: Tensor) -> Tensor:
        """The new value of a parameter, detached from any graph."""
        value = self.values.get(name)
        return old.detach()[self.parent] if value is None else value.detach().clone()

    def moment(self, name: str, old_parameter: Tensor, moment: Tensor) -> Tensor:
        """An optimiser moment of a parameter: it survives where the row and its value survive.

        Args:
            name: Name of the parameter the moment belongs to.
            old_parameter: The parameter before the change [N, ...].
            moment: Its moment before the change, same shape.
        """
        moved = moment[self.parent]
        fresh = self.is_new
        value = self.values.get(name)
        if value is not None:
            changed = value.detach() != old_parameter.detach()[self.parent]
            fresh = fresh | (changed.flatten(1).any(dim=1) if changed.ndim > 1 else changed)
        moved[fresh] = 0
        return moved

    def label(self, old: Tensor) -> Tensor:
        """What children inherit unchanged, such as the object index."""
        return old[self.parent]

    def reordered(self, order: Int64[Tensor, " M"]) -> "Resample":
        """The same change with its rows in another order."""
        values = {name: value[order] for name, value in self.values.items()}
        return Resample(self.parent[order], self.is_new[order], values)

    @staticmethod
    def keep(rows: Int64[Tensor, " M"]) -> "Resample":
        """Keeps the given rows and drops the others."""
        return Resample(rows, torch.zeros(len(rows), dtype=torch.bool, device=rows.device))
