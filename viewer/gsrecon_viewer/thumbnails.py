"""Small pictures of single objects, from three quarters in front, with nothing else there."""

import base64
import io

import numpy as np
import torch
from PIL import Image

from gsrecon.data.pictures import to_uint8
from gsrecon.geometry.paths import look_at
from gsrecon.ops.rasterize import rasterize
from gsrecon.ops.splats import Splats
from gsrecon.scene.actors import RigidActors
from gsrecon_viewer.lens import Eye
from gsrecon_viewer.painter import RGB

WIDTH, HEIGHT = 120, 80
_BEHIND = 0.22  # grey level behind the object


def thumbnail(node: RigidActors, number: int) -> RGB:
    """One object in its own frame; plain grey where it has no Gaussians."""
    with torch.no_grad():
        rows = (node.object_of_row == number).nonzero()[:, 0]
        own, sizes = node.gaussians, node.sizes_lwh[number].cpu().tolist()
        splats = Splats(
            means=own.means[rows],
            quats=own.quats[rows],
            scales=own.scales[rows],
            opacities=own.opacities[rows],
            sh0=own.sh0[rows],
            sh_rest=own.sh_rest[rows],
        )
        away = 1.1 * max(sizes[0], 1.6 * sizes[1], 1.6 * sizes[2]) + 0.6
        place = away * torch.tensor([0.8, 0.75, 0.4], dtype=torch.float64)
        eye = Eye(look_at(place, torch.zeros(3).double()).numpy(), np.radians(45), WIDTH, HEIGHT)
        drawn = rasterize(splats, eye.cameras().to(own.means.device))
        picture = drawn.image[0] + (1 - drawn.alpha[0])[..., None] * _BEHIND
    return to_uint8(picture.cpu().float().numpy())


def as_html(picture: RGB) -> str:
    """An image element that holds the picture itself."""
    held = io.BytesIO()
    Image.fromarray(picture).save(held, format="jpeg", quality=80)
    content = base64.b64encode(held.getvalue()).decode()
    return f'<img src="data:image/jpeg;base64,{content}" width="{WIDTH}" height="{HEIGHT}"/>'
