"""Values that are linear between two rows of a table."""

from jaxtyping import Float
from torch import Tensor

Between = tuple[int, int, float]
"""The rows before and after, and the share of the way from the first to the second (0 to 1)."""


def between(table: Float[Tensor, "R F"], rows: Between) -> Float[Tensor, " F"]:
    """The value there, differentiable in the table; exactly a row's own at the row."""
    before, after, share = rows
    if share == 0.0:
        return table[before]
    if share == 1.0:
        return table[after]
    return table[before] * (1 - share) + table[after] * share
