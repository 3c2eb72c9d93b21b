"""Pictures of assets: one alone on neutral ground, and a sheet of many with captions."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image, ImageDraw, ImageFont

from gsrecon.data.pictures import to_uint8
from gsrecon.evaluation.pictures import RGB
from gsrecon.geometry.camera import Cameras
from gsrecon.ops.rasterize import rasterize
from gsrecon.ops.settings import RasterizeSettings
from gsrecon.scene.assets import PREVIEW, Asset
from gsrecon.scene.sides import SIDES, mean_azimuth

WIDTH, HEIGHT = 480, 320
_FOCAL = 2.0 * WIDTH
"""A long lens, as catalogues have it [px]."""
_FILLED = 0.86
"""Share of the picture that the box may fill."""
_ABOVE_DEG, _ASIDE_DEG = 20.0, 32.0
_GROUND, _BACKDROP = 0.66, 0.86
_SHADOW = 0.35
_MARGIN, _LINE = 12, 18


def preview(asset: Asset, turn: float = 0.0) -> RGB:
    """The asset alone from three quarters, a little from above, on neutral ground.

    Args:
        asset: The asset.
        turn: About where the camera stands: the direction from which the asset is seen best,
            counter-clockwise from its x axis [rad].
    """
    cameras = _camera(asset, three_quarters(turn))
    splats = asset.gaussians.detached().to_splats()
    settings = RasterizeSettings(mode=asset.settings.mode, eps2d=asset.settings.eps2d, depth=False)
    with torch.no_grad():
        drawn = rasterize(splats, cameras.to(asset.gaussians.means.device), settings)
    image, alpha = drawn.image[0].cpu().numpy(), drawn.alpha[0].cpu().numpy()
    return to_uint8(image + (1 - alpha[..., None]) * _surroundings(asset, cameras)[..., None])


def three_quarters(turn: float) -> float:
    """The nearest direction from which two sides show [rad]."""
    quarter = math.pi / 2
    along = round(turn / quarter) * quarter
    aside = turn - along
    return along + math.copysign(max(abs(aside), math.radians(_ASIDE_DEG)), aside)


def sheet_of(assets: Sequence[Asset]) -> RGB:
    """A contact sheet of assets with their previews as they are stored, or drawn where there are none."""
    pictures, captions = [], []
    for asset in assets:
        stored = None if asset.folder is None else asset.folder / PREVIEW
        if stored is not None and stored.is_file():
            with Image.open(stored) as opened:
                pictures.append(np.asarray(opened.convert("RGB")))
        else:
            pictures.append(preview(asset, mean_azimuth(dict.fromkeys(asset.sides, 1))))
        psnr = asset.quality.psnr_db
        quality = "not judged" if psnr is None else f"{psnr:.1f} dB ({asset.quality.judged_on})"
        size = " x ".join(f"{value:.1f}" for value in asset.size_lwh)
        captions.append(
            [
                f"{asset.name}: {asset.class_name}",
                f"{size} m, {len(asset.gaussians):,} Gaussians, {len(asset.sides)} of {len(SIDES)} sides",
                f"{quality}",
                asset.licence,
            ]
        )
    return contact_sheet(pictures, captions)


def contact_sheet(pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]], captions: Sequence[Sequence[str]]) -> RGB:
    """Pictures side by side with lines of text below each.

    Args:
        pictures: At least one; those of another size are fitted in.
        captions: Lines below each of them; the first is the title.
    """
    columns = min(len(pictures), max(1, math.ceil(math.sqrt(len(pictures)))), 5)
    rows = math.ceil(len(pictures) / columns)
    lines = max(len(caption) for caption in captions)
    wide, high = WIDTH + _MARGIN, HEIGHT + lines * _LINE + 2 * _MARGIN
    sheet = Image.new("RGB", (columns * wide + _MARGIN, rows * high + _MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    fonts = [ImageFont.load_default(15), ImageFont.load_default(13)]
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, top = _MARGIN + (number % columns) * wide, _MARGIN + (number // columns) * high
        fitted = Image.fromarray(picture)
        fitted.thumbnail((WIDTH, HEIGHT))
        sheet.paste(fitted, (left + (WIDTH - fitted.width) // 2, top + (HEIGHT - fitted.height) // 2))
        for line, text in enumerate(caption):
            font, ink = fonts[min(line, 1)], "black" if line == 0 else "#444444"
            pen.text((left + 2, top + HEIGHT + 4 + line * _LINE), _shortened(text, font), ink, font)
    return np.asarray(sheet)


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """As much of a text as fits below a picture."""
    if font.getlength(text) <= WIDTH - 4:
        return text
    while text and font.getlength(text + "...") > WIDTH - 4:
        text = text[:-1]
    return text + "..."


def _camera(asset: Asset, turn: float) -> Cameras:
    """Looks at the box' centre from so far that the box fills the picture."""
    above = math.radians(_ABOVE_DEG)
    back = np.array([math.cos(above) * math.cos(turn), math.cos(above) * math.sin(turn), math.sin(above)])
    right = np.array([-math.sin(turn), math.cos(turn), 0.0])
    rotation = np.stack([right, np.cross(-back, right), -back])  # x right, y down, z forward
    corners = (
        0.5
        * np.array(asset.size_lwh)
        * np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    )
    in_cam = corners @ rotation.T
    limits = 0.5 * _FILLED * np.array([WIDTH, HEIGHT]) / _FOCAL
    distance = float((np.abs(in_cam[:, :2]) / limits - in_cam[:, 2:]).max())
    viewmat = np.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = rotation, (0.0, 0.0, distance)
    K = torch.tensor([[_FOCAL, 0, WIDTH / 2], [0, _FOCAL, HEIGHT / 2], [0, 0, 1.0]])
    return Cameras(torch.from_numpy(viewmat).float()[None], K[None], WIDTH, HEIGHT)


def _surroundings(asset: Asset, cameras: Cameras) -> Float32[np.ndarray, "H W"]:
    """Grey ground below the box with a soft shadow, fading into a bright backdrop."""
    viewmat = cameras.viewmats[0].double().numpy()
    K = cameras.Ks[0].double().numpy()
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    rays = np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)], axis=-1)
    rays = rays @ viewmat[:3, :3]
    eye = -viewmat[:3, :3].T @ viewmat[:3, 3]
    length, width, height = asset.size_lwh
    with np.errstate(divide="ignore"):
        along = (-0.5 * height - eye[2]) / rays[..., 2]
    hit = (along > 0) & np.isfinite(along)
    points = eye + rays * np.where(hit, along, 0.0)[..., None]
    reach = math.hypot(length, width)
    faded = np.clip((np.hypot(points[..., 0], points[..., 1]) / reach - 0.6) / 2.0, 0, 1)
    grey = _GROUND + (_BACKDROP - _GROUND) * faded
    outside = np.maximum(np.abs(points[..., :2]) - 0.45 * np.array([length, width]), 0)
    grey *= 1 - _SHADOW * np.exp(-((np.linalg.norm(outside, axis=-1) / (0.2 * min(width, length))) ** 2))
    return np.where(hit, grey, _BACKDROP).astype(np.float32)
