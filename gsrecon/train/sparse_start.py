"""First Gaussians where structure from motion found points in the pictures."""

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.train.split import Split


def found_points(split: Split, most: int) -> tuple[Float[Tensor, "N 3"], Float[Tensor, "N 3"]]:
    """The drive's points that at least two fitted pictures saw.

    Args:
        split: What no fitted picture shows must not help to reconstruct the held-out ones.
        most: So many are kept, those seen by most pictures first.

    Returns:
        Points in world [m] and their colours in [0, 1].
    """
    found = split.log.sparse_points
    if found is None or most == 0:
        return torch.zeros(0, 3), torch.zeros(0, 3)
    fitted = {(frame.camera, frame.index) for frame in split.fitted}
    sightings = torch.from_numpy(found.sightings(fitted))
    kept = (sightings >= 2).nonzero()[:, 0]
    kept = kept[sightings[kept].argsort(descending=True, stable=True)[:most]].sort().values
    points = torch.from_numpy(found.points_in_world)[kept].float()
    return points, torch.from_numpy(found.colors)[kept].float() / 255
