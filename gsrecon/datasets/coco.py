"""Writing rendered drives as COCO: boxes and masks of what is visible, amodal boxes and tracks beside them.

Source: cocodataset.org, format of object detection. Pixel edges are COCO's own: x from 0 to the width.
The only importer of pycocotools.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from gsrecon.datasets.labeled import LabeledDrive, class_names
from gsrecon.datasets.rendered_files import picture_name, place_file
from gsrecon.errors import BackendUnavailableError


def write_coco(drive: LabeledDrive, folder: Path) -> dict[str, Any]:
    """Writes `images/` and `annotations.json`; pictures without an object are kept.

    Masks are COCO's compressed run lengths. Beside the format's fields each annotation has `track_id`,
    `amodal_bbox`, `visible_fraction`, `truncation` and `trust`, each picture its camera, time and pose.

    Raises:
        BackendUnavailableError: pycocotools is not installed.
    """
    classes = class_names(drive)
    path = folder / "annotations.json"
    number = annotation = 0
    later = folder / "annotations.part"
    # Pictures and annotations are two lists: the second waits in a file, so that memory stays flat.
    with path.open("w", encoding="utf-8") as images, later.open("w+", encoding="utf-8") as annotations:
        head = {"description": f"{drive.name}, rendered by gsrecon", "version": "1.0"}
        licences = [{"id": 1, "name": drive.licence, "url": ""}]
        images.write(f'{{"info": {json.dumps(head)},\n"licenses": {json.dumps(licences)},\n"images": [')
        for picture in drive.pictures():
            number += 1
            name = f"{picture_name(picture)}.png"
            place_file(picture.image, folder / "images" / name)
            row = {
                "id": number,
                "file_name": name,
                "width": picture.camera.width,
                "height": picture.camera.height,
                "license": 1,
                "camera": picture.record.camera,
                "timestamp_us": picture.record.timestamp_us,
                "world_from_cam": picture.record.world_from_cam.tolist(),
                "trust": round(picture.record.trust.score, 4),
            }
            images.write(f"{',' if number > 1 else ''}\n{json.dumps(row)}")
            instances = picture.instances()
            for thing in picture.objects:
                mask = instances == thing.number
                assert thing.modal_box is not None
                annotation += 1
                row = {
                    "id": annotation,
                    "image_id": number,
                    "category_id": 1 + classes.index(thing.category),
                    "bbox": _xywh(thing.modal_box),
                    "area": int(mask.sum()),
                    "segmentation": run_lengths(mask),
                    "iscrowd": 0,
                    "track_id": thing.id,
                    "amodal_bbox": _xywh(thing.amodal_box),
                    "visible_fraction": round(thing.visible_fraction, 4),
                    "truncation": round(thing.truncation, 4),
                    "trust": round(thing.trust.score, 4),
                }
                annotations.write(f"{',' if annotation > 1 else ''}\n{json.dumps(row)}")
        images.write('\n],\n"annotations": [')
        annotations.seek(0)
        while part := annotations.read(1 << 20):
            images.write(part)
        rows = [{"id": 1 + k, "name": name, "supercategory": ""} for k, name in enumerate(classes)]
        images.write(f'\n],\n"categories": {json.dumps(rows)}}}\n')
    later.unlink()
    return {}


def run_lengths(mask: Bool[np.ndarray, "H W"]) -> dict[str, Any]:
    """A mask as COCO's compressed run lengths.

    Raises:
        BackendUnavailableError: pycocotools is not installed.
    """
    encoded = require_masks().encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")}


def mask_of(run_lengths: dict[str, Any]) -> Bool[np.ndarray, "H W"]:
    """The mask of compressed run lengths."""
    return require_masks().decode(run_lengths).astype(bool)


def open_coco(path: Path) -> Any:
    """The file as the format's own client reads it, silently.

    Raises:
        BackendUnavailableError: pycocotools is not installed.
    """
    require_masks()
    import contextlib
    import io

    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def require_masks() -> Any:
    """Pycocotools' masks.

    Raises:
        BackendUnavailableError: pycocotools is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise BackendUnavailableError(
            "COCO's masks are written with pycocotools, which is not installed: pip install 'gsrecon[coco]'"
        ) from error
    return mask


def _xywh(box: tuple[float, float, float, float]) -> list[float]:
    x0, y0, x1, y1 = box
    return [round(value, 4) for value in (x0, y0, x1 - x0, y1 - y0)]
