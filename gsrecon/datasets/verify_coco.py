"""COCO read back with pycocotools: boxes against masks, amodal boxes against the projected 3D boxes."""

from pathlib import Path
from typing import Any

import numpy as np

from gsrecon.datasets.coco import mask_of, open_coco
from gsrecon.datasets.verify_findings import Drawn, Findings
from gsrecon.datasets.verify_views import objects_of, projected


def check_coco(folder: Path, views: list[dict[str, Any]], findings: Findings) -> None:
    """Checks every picture and annotation."""
    try:
        coco = open_coco(folder / "annotations.json")
    except (OSError, ValueError, KeyError) as error:
        findings.problem(f"annotations.json: cannot be read ({error})")
        return
    images = {row["file_name"].removesuffix(".png"): row for row in coco.loadImgs(coco.getImgIds())}
    names = {row["id"]: row["name"] for row in coco.loadCats(coco.getCatIds())}
    for view in views:
        name = view["file"]
        if name not in images:
            findings.problem(f"{name}: not among the images")
            continue
        row = images.pop(name)
        path = folder / "images" / row["file_name"]
        findings.picture(path, view["width"], view["height"])
        expected = objects_of(view)
        boxes = []
        for label in coco.loadAnns(coco.getAnnIds(imgIds=[row["id"]])):
            where = f"{name}, {label.get('track_id')}"
            thing = expected.pop(label.get("track_id"), None)
            if thing is None:
                findings.problem(f"{where}: labelled, but not in the list of views")
                continue
            if names.get(label["category_id"]) != thing["category"]:
                findings.problem(f"{where}: its category is not {thing['category']!r}")
            try:
                _check_mask(label, view, where, findings)
                findings.error("modal boxes", _edges(label["bbox"]), thing["modal_box"], where)
                box = projected(view, thing)
                if box is not None:
                    findings.error("amodal boxes", _edges(label["amodal_bbox"]), box.inside, where)
                boxes.append((_edges(label["bbox"]), thing["category"]))
            except (KeyError, ValueError, TypeError) as error:
                findings.problem(f"{where}: the annotation is damaged ({error!r})")
        for id in expected:
            findings.problem(f"{name}, {id}: in the list of views, but not labelled")
        findings.drawn.append(Drawn(path, tuple(boxes)))
    for name in images:
        findings.problem(f"{name}: among the images, but not in the list of views")


def _check_mask(label: dict[str, Any], view: dict[str, Any], where: str, findings: Findings) -> None:
    mask = mask_of(label["segmentation"])
    if mask.shape != (view["height"], view["width"]):
        findings.problem(f"{where}: its mask has another size than its picture")
        return
    if int(mask.sum()) != label["area"]:
        findings.problem(f"{where}: its area is {label['area']}, its mask has {int(mask.sum())} pixels")
    rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
    if len(rows):
        around = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        findings.error("boxes around masks", _edges(label["bbox"]), around, where)


def _edges(xywh: list[float]) -> np.ndarray:
    x, y, width, height = xywh
    return np.array([x, y, x + width, y + height], dtype=np.float64)
