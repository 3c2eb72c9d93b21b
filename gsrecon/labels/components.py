"""Connected parts of small masks."""

import numpy as np
from jaxtyping import Bool, Int32

_SPECK_SHARE = 0.05
"""Parts with less than this share of the largest part's pixels are specks."""


def without_specks(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The mask without small parts that are not connected to the others, diagonals counted."""
    if not mask.any():
        return mask
    parts = components(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    kept = sizes >= _SPECK_SHARE * sizes.max()
    kept[0] = False
    return kept[parts]


def components(mask: Bool[np.ndarray, "h w"]) -> Int32[np.ndarray, "h w"]:
    """Number of the connected part at each pixel, from 1; 0 outside. Neighbours touch by edge or corner.

    Runs of each row are joined with those of the row above (union and find).
    """
    height, width = mask.shape
    padded = np.zeros((height, width + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    change = np.diff(padded, axis=1)
    rows, starts = np.nonzero(change == 1)
    _, stops = np.nonzero(change == -1)
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    first = np.searchsorted(rows, np.arange(height + 1))
    starts_list, stops_list = starts.tolist(), stops.tolist()
    for row in range(1, height):
        above, end_above = int(first[row - 1]), int(first[row])
        here, end_here = end_above, int(first[row + 1])
        while above < end_above and here < end_here:
            if starts_list[above] <= stops_list[here] and starts_list[here] <= stops_list[above]:
                parent[root(here)] = root(above)
            if stops_list[above] < stops_list[here]:
                above += 1
            else:
                here += 1
    labels = np.zeros((height, width), dtype=np.int32)
    numbers: dict[int, int] = {}
    for run, row in enumerate(rows.tolist()):
        number = numbers.setdefault(root(run), len(numbers) + 1)
        labels[row, starts_list[run] : stops_list[run]] = number
    return labels
