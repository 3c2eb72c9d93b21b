"""What the cameras of a nuScenes recording see of the car they are mounted on."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from gsrecon.data.log import Camera
from gsrecon.data.nuscenes_tables import SceneTables
from gsrecon.data.pictures import decode_ids
from gsrecon.errors import DatasetError

NUSCENES_VEHICLES = ("n008", "n015")
"""The two cars that recorded nuScenes itself; other recordings in its layout have other rigs."""

# CAM_BACK shows the boot lid. The lid's edge lies 50 to 80 rows above the lower edge of the 900 rows in most
# scenes; published readers leave out 80 (neurad-studio) or 100 (nerfstudio) rows, and 146 in scene-0164.
_HIDDEN_ROWS = 100
_HIDDEN_ROWS_OF_SCENE = {"scene-0164": 146}
_FULL_HEIGHT = 900


def own_car_masks(
    tables: SceneTables, cameras: Mapping[str, Camera]
) -> dict[str, Bool[np.ndarray, "_height _width"]]:
    """By camera, True on pixels of the own car; cameras without such pixels are left out.

    A picture `masks/SCENE/CAM_X.png` or `masks/CAM_X.png` beside samples/ counts where it is given: 255
    scene, 0 own car. Without one, CAM_BACK of nuScenes' own cars loses its lowest 100 of 900 rows, 146 in
    scene-0164.

    Raises:
        DatasetError: A mask is damaged or of another size than its camera.
    """
    masks = {}
    for name, camera in cameras.items():
        files = (tables.root / "masks" / tables.name / f"{name}.png", tables.root / "masks" / f"{name}.png")
        given = next((file for file in files if file.is_file()), None)
        if given is not None:
            masks[name] = _given(given, camera)
        elif name == "CAM_BACK" and tables.vehicle in NUSCENES_VEHICLES:
            masks[name] = _lowest_rows(camera, _HIDDEN_ROWS_OF_SCENE.get(tables.name, _HIDDEN_ROWS))
    return {name: mask for name, mask in masks.items() if mask.any()}


def _given(file: Path, camera: Camera) -> Bool[np.ndarray, "H W"]:
    brightness = decode_ids(file)
    if brightness.shape != (camera.height, camera.width):
        raise DatasetError(
            f"{file}: the mask is {brightness.shape[1]} x {brightness.shape[0]}, but the pictures are "
            f"{camera.width} x {camera.height}; resize or remove it"
        )
    return brightness < 128


def _lowest_rows(camera: Camera, rows: int) -> Bool[np.ndarray, "H W"]:
    mask = np.zeros((camera.height, camera.width), dtype=bool)
    mask[camera.height - round(camera.height * rows / _FULL_HEIGHT) :] = True
    return mask
