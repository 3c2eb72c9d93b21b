"""Distances to nearest neighbours, exact, for point clouds of any density."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_LEAF = 32
_GROUP = 64
_MAX_PAIRS = 1 << 18


def mean_neighbour_distance(points: Float[Tensor, "N 3"], k: int = 3) -> Float[Tensor, " N"]:
    """Mean distance of each point to its k nearest others [m]; not differentiable.

    A point that occurs twice has a neighbour at distance 0. With fewer than k others, the mean is over those.

    The points are cut into equal leaves by medians along each box's longest side. Every point is bounded
    by its k-th distance inside its own leaf, then looks into the leaves that lie within that bound.

    Raises:
        ValueError: when k is less than 1, there is exactly one point, or a coordinate is not finite.
    """
    if k < 1:
        raise ValueError(f"k: expected at least 1, got {k}")
    if len(points) == 0:
        return points.new_zeros(0)
    if len(points) == 1:
        raise ValueError("points: expected none or at least 2, got 1; a single point has no neighbour")
    points = points.detach()
    if not points.isfinite().all():
        bad = int((~points.isfinite().all(-1)).sum())
        raise ValueError(
            f"points: expected finite coordinates, got {bad} rows that are not; remove them first"
        )
    k = min(k, len(points) - 1)
    leaves, real = median_leaves(points, _LEAF)
    nearest = _own_leaf(points, leaves, real, k)
    if len(leaves) > 1:
        nearest = _other_leaves(points, leaves, real, nearest)
    return nearest.sqrt().mean(dim=-1)


def median_leaves(points: Float[Tensor, "N 3"], size: int) -> tuple[Int[Tensor, "L S"], Bool[Tensor, "L S"]]:
    """Point indices in 2^n leaves of equal size by median cuts, and which of them are not padding.

    Leaves next to each other in the list are neighbours in the tree. Padding repeats points taken evenly.
    """
    count, levels = len(points), 0
    while count > size << levels:
        levels += 1
    padding = (-(-count >> levels) << levels) - count
    origin = torch.arange(count + padding, device=points.device)
    origin[count:] = (origin[count:] - count) * count // max(1, padding)
    nodes = torch.arange(count + padding, device=points.device)[None]
    for _ in range(levels):
        here = points[origin[nodes]]
        axis = (here.amax(dim=1) - here.amin(dim=1)).argmax(dim=-1)
        along = here.gather(2, axis[:, None, None].expand(-1, here.shape[1], 1))[..., 0]
        # Stable: among equals an unstable one chooses anew in every process.
        nodes = nodes.gather(1, along.argsort(dim=1, stable=True))
        nodes = nodes.reshape(2 * len(nodes), -1)
    return origin[nodes], nodes < count


def _own_leaf(
    points: Float[Tensor, "N 3"], leaves: Int[Tensor, "L S"], real: Bool[Tensor, "L S"], k: int
) -> Float[Tensor, "N k"]:
    """Squared distances to the k nearest points of the own leaf, ascending; infinity where it has fewer."""
    nearest = points.new_full((len(points), k), torch.inf)
    step = max(1, _MAX_PAIRS // leaves.shape[1] ** 2)
    for rows, kept in zip(leaves.split(step), real.split(step), strict=True):
        here = points[rows].movedim(-1, 0)
        squared = (here[..., :, None] - here[..., None, :]).square().sum(0)
        squared.masked_fill_(~kept[:, None], torch.inf)
        squared.diagonal(dim1=1, dim2=2).fill_(torch.inf)
        padded = torch.nn.functional.pad(squared, (0, k), value=torch.inf)
        nearest[rows[kept]] = padded.topk(k, dim=-1, largest=False).values[kept]
    return nearest


def _other_leaves(
    points: Float[Tensor, "N 3"],
    leaves: Int[Tensor, "L S"],
    real: Bool[Tensor, "L S"],
    nearest: Float[Tensor, "N k"],
) -> Float[Tensor, "N k"]:
    """The k smallest squared distances over all leaves, given those inside each point's own leaf."""
    size = leaves.shape[1]
    blocks = points[leaves].movedim(-1, 1).contiguous()
    low, high = blocks.amin(dim=2), blocks.amax(dim=2)
    # Padding is out of reach of everything and reaches nothing.
    reach = nearest[leaves, -1].masked_fill(~real, 0)
    mine, theirs = _close_boxes(low, high, reach.amax(dim=1))
    targets = blocks.masked_fill(~real[:, None], torch.inf)
    queries, boxes, gaps = [], [], []
    for a, b in zip(*(t.split(max(1, _MAX_PAIRS // size)) for t in (mine, theirs)), strict=True):
        gap = _gap(blocks[a], blocks[a], low[b, :, None], high[b, :, None])
        pair, place = (gap < reach[a]).nonzero().unbind(-1)
        queries.append(leaves[a[pair], place])
        boxes.append(b[pair])
        gaps.append(gap[pair, place])
    query, box, gap = torch.cat(queries), torch.cat(boxes), torch.cat(gaps)
    order = gap.argsort()
    order = order[query[order].argsort(stable=True)]
    query, box, gap = query[order], box[order], gap[order]
    # Each round visits the closest box of every point that has one left, and drops those now out of reach.
    while len(query) > 0:
        first = torch.ones_like(query, dtype=torch.bool)
        first[1:] = query[1:] != query[:-1]
        for q, b in zip(*(t[first].split(max(1, _MAX_PAIRS // size)) for t in (query, box)), strict=True):
            squared = (points[q, :, None] - targets[b]).square().sum(1)
            both = torch.cat([nearest[q], squared], dim=1)
            nearest[q] = both.topk(nearest.shape[1], dim=-1, largest=False).values
        left = (~first & (gap < nearest[query, -1])).nonzero()[:, 0]
        query, box, gap = query[left], box[left], gap[left]
    return nearest


def _close_boxes(
    low: Float[Tensor, "L 3"], high: Float[Tensor, "L 3"], bounds: Float[Tensor, " L"]
) -> tuple[Int[Tensor, " P"], Int[Tensor, " P"]]:
    """Pairs of different boxes whose gap is below the first one's bound; groups of boxes are tried first."""
    group = min(_GROUP, len(low))
    low_of, high_of = (t.unflatten(0, (-1, group)).movedim(-1, 1) for t in (low, high))
    group_low, group_high = low_of.amin(dim=2).T, high_of.amax(dim=2).T
    inside = torch.arange(group, device=low.device)
    firsts, seconds = [], []
    for rows in torch.arange(len(low), device=low.device).split(max(1, _MAX_PAIRS // len(low_of))):
        gap = _gap(low[rows, :, None], high[rows, :, None], group_low, group_high)
        row, which = (gap < bounds[rows, None]).nonzero().unbind(-1)
        for first, box in zip(*(t.split(_MAX_PAIRS // group) for t in (rows[row], which)), strict=True):
            gap = _gap(low[first, :, None], high[first, :, None], low_of[box], high_of[box])
            second = box[:, None] * group + inside
            pair, place = ((gap < bounds[first, None]) & (first[:, None] != second)).nonzero().unbind(-1)
            firsts.append(first[pair])
            seconds.append(second[pair, place])
    return torch.cat(firsts), torch.cat(seconds)


def _gap(low: Tensor, high: Tensor, other_low: Tensor, other_high: Tensor) -> Tensor:
    """Squared distance between boxes [..., 3, M]; 0 where they touch."""
    return ((low - other_high).clamp_(min=0) + (other_low - high).clamp_(min=0)).square().sum(-2)
