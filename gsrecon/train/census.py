"""Who shows: how much each Gaussian adds to the fitted pictures."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from gsrecon.ops.rasterize import rasterize
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.render import Backend, frame_cameras
from gsrecon.train.views import Views

MOST_PICTURES = 400
"""Of more pictures than this, so many are asked, evenly spread."""


def shown_pixels(graph: SceneGraph, views: Views, backend: Backend = "auto") -> Float[Tensor, " N"]:
    """Blend weights of every trained Gaussian, summed over the pixels of all fitted pictures [px].

    Rows follow `graph.rows()`. What no picture shows (what hides behind walls, what grew too faint) has 0.
    A Gaussian's weight in a picture is the gradient of the picture's sum with respect to its colour.
    """
    assert graph.recording is not None
    total = torch.zeros(len(graph), device=graph.device)
    # Trained nodes come first: what is frozen may be drawn with fewer rows from afar.
    trained = [graph.rows()[node.id] for node in graph.trained_nodes]
    stride = -(-len(views) // MOST_PICTURES)
    settings = replace(graph.settings, depth=False, absgrad=False, ids=False)
    for number in range(0, len(views), stride):
        frame = views.frame(number)
        with torch.no_grad():
            cameras = frame_cameras(graph, graph.recording, frame)
            time_s = torch.tensor([graph.recording.time_s(frame.timestamp_us)])
            splats = graph.splats_at(time_s, 0, cameras)
        grey = torch.zeros(len(splats), 3, device=graph.device, requires_grad=True)
        plain = replace(splats, sh0=None, sh_rest=None, colors=grey)
        drawn = rasterize(plain, cameras, settings, backend=backend)
        (weights,) = torch.autograd.grad(drawn.image[..., 0].sum(), grey)
        for own in trained:
            total[own] += weights[own, 0]
    return total
