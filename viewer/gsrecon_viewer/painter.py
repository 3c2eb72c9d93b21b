"""Pictures of what is shown, in every kind there is: colours, depth, alpha, objects, classes."""

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float32, Int32, UInt8

from gsrecon.data.pictures import to_uint8
from gsrecon.ops.settings import Rasterized, RasterizeSettings
from gsrecon.scene.graph import SceneGraph
from gsrecon.scene.recording import RecordedFrame
from gsrecon.scene.render import render, render_frame
from gsrecon_viewer.lens import Eye
from gsrecon_viewer.shown import Shown

Kind = Literal["colours", "depth", "alpha", "objects", "classes"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RGB = UInt8[np.ndarray, "H W 3"]
FARTHEST_M = 80.0
"""Depths from here on have the last colour."""
_OPAQUE = 0.5  # what lets more of the light through than it stops hides nothing


@dataclass(frozen=True)
class Painted:
    """A picture, and how far away what it shows is."""

    picture: RGB
    depth: Float32[np.ndarray, "H W"] | None
    """Along the view [m], infinite in the sky; None where it was not asked for."""


def paint(
    shown: Shown, eye: Eye, kind: Kind, exposure: str | None = None, time_s: float | None = None
) -> RGB:
    """One picture; see `paint_with_depth`."""
    return paint_with_depth(shown, eye, kind, exposure, time_s, with_depth=False).picture


def paint_with_depth(
    shown: Shown, eye: Eye, kind: Kind, exposure: str | None = None, time_s: float | None = None,
    with_depth: bool = True,
) -> Painted:  # fmt: skip
    """One picture, and if wanted the depths of its pixels.

    Args:
        shown: Scene and time; its lock is taken.
        eye: From where, and how large.
        kind: What to show of each pixel.
        exposure: As this recorded camera would expose; None takes the scene's own colours.
        time_s: Another moment than the one that is shown [s].
        with_depth: Give the depths, too, which takes a twentieth more time.
    """
    with shown.lock, torch.no_grad():
        graph = shown.graph(eye.world_from_cam)
        ids, depth = kind in ("objects", "classes"), with_depth or kind == "depth"
        settings = replace(graph.settings, depth=depth, ids=ids, absgrad=False)
        known = None if graph.appearance is None or exposure is None else exposure
        moment = torch.tensor([shown.time_s if time_s is None else time_s])
        drawn = render(graph, eye.cameras(), moment, settings, exposure=known)
        picture = _coloured(drawn, kind, graph.objects.ids, shown.classes)
        return Painted(picture, _opaque_depth(drawn) if with_depth else None)


def _coloured(drawn: Rasterized, kind: Kind, names: list[str], classes: Mapping[str, str]) -> RGB:
    if kind == "colours":
        return to_uint8(drawn.image[0].cpu().float().numpy())
    if kind == "depth":
        assert drawn.depth is not None
        return depth_colours(drawn.depth[0].cpu().float().numpy())
    if kind == "alpha":
        grey = (drawn.alpha[0].clamp(0, 1) * 255).round().byte().cpu().numpy()
        return np.repeat(grey[..., None], 3, axis=2)
    assert drawn.ids is not None
    return id_colours(drawn.ids[0].cpu().numpy(), names, classes if kind == "classes" else None)


def _opaque_depth(drawn: Rasterized) -> Float32[np.ndarray, "H W"]:
    assert drawn.depth is not None
    depth = torch.where(drawn.alpha[0] > _OPAQUE, drawn.depth[0], torch.inf)
    return depth.cpu().float().numpy()


def object_at(shown: Shown, eye: Eye, x: float, y: float) -> str | None:
    """The object shown at a place of the picture (0 to 1 from the upper left); None is the background."""
    small = eye.scaled(min(1.0, 480 / max(eye.width, eye.height)))
    with shown.lock, torch.no_grad():
        graph = shown.graph(small.world_from_cam)
        drawn = render(graph, small.cameras(), torch.tensor([shown.time_s]), _ids_alone(graph))
        return _named_at(drawn, graph.objects.ids, x, y)


def object_in_frame(shown: Shown, frame: RecordedFrame, x: float, y: float) -> str | None:
    """The object that the scene shows at a place of a recorded picture, at that picture's moment."""
    with shown.lock, torch.no_grad():
        assert shown.recording is not None
        graph = shown.graph(frame.world_from_cam)
        drawn = render_frame(graph, shown.recording, frame, _ids_alone(graph))
        return _named_at(drawn, graph.objects.ids, x, y)


def share_of_object(shown: Shown, eye: Eye, id: str) -> float:
    """Share of the pixels of a view that an object has, 0 to 1."""
    with shown.lock, torch.no_grad():
        graph = shown.graph(eye.world_from_cam)
        if id not in graph.objects.ids:
            return 0.0
        drawn = render(graph, eye.cameras(), torch.tensor([shown.time_s]), _ids_alone(graph))
        assert drawn.ids is not None
        return float((drawn.ids[0] == graph.objects.ids.index(id) + 1).float().mean())


def _ids_alone(graph: SceneGraph) -> RasterizeSettings:
    return replace(graph.settings, depth=False, ids=True, absgrad=False)


def _named_at(drawn: Rasterized, names: list[str], x: float, y: float) -> str | None:
    assert drawn.ids is not None
    height, width = drawn.ids.shape[1:]
    number = int(drawn.ids[0, min(height - 1, int(y * height)), min(width - 1, int(x * width))])
    return names[number - 1] if number > 0 else None


def depth_colours(depth: Float32[np.ndarray, "H W"]) -> RGB:
    """Near is warm, far is cool, nothing is black."""
    share = np.clip(np.log1p(depth) / np.log1p(FARTHEST_M), 0, 1)
    stops = np.array(
        [[250, 240, 110], [245, 130, 50], [170, 45, 110], [70, 30, 130], [15, 15, 60]], dtype=float
    )
    place = share * (len(stops) - 1)
    low = np.minimum(place.astype(int), len(stops) - 2)
    part = (place - low)[..., None]
    colours = stops[low] * (1 - part) + stops[low + 1] * part
    return np.where((depth > 0)[..., None], colours, 0).astype(np.uint8)


def id_colours(
    picture: Int32[np.ndarray, "H W"], names: list[str], classes: Mapping[str, str] | None = None
) -> RGB:
    """A colour for every object (numbered from 1), or for every class: background dark grey, sky black."""
    table = np.zeros((len(names) + 2, 3), dtype=np.uint8)  # of -1 (nothing), 0 (background), 1, 2, ...
    table[1] = (56, 56, 60)
    for number, name in enumerate(names):
        table[number + 2] = colour_of(name if classes is None else classes.get(name, "object"))
    return table[picture + 1]


def colour_of(name: str) -> tuple[int, int, int]:
    """A strong colour that a name always has."""
    hue = int.from_bytes(sha256(name.encode()).digest()[:4], "little") / 2**32
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)
