"""Writing rendered drives as YOLO: one text file a picture with boxes of what is visible.

Source: Ultralytics' documentation of detection data sets: class, centre and size, each divided by the
picture's.
"""

import json
from pathlib import Path
from typing import Any

from gsrecon.datasets.labeled import LabeledDrive, class_names
from gsrecon.datasets.rendered_files import picture_name, place_file


def write_yolo(drive: LabeledDrive, folder: Path) -> dict[str, Any]:
    """Writes `images/`, `labels/` and `data.yaml`; a picture without an object has an empty file."""
    classes = class_names(drive)
    (folder / "labels").mkdir()
    for picture in drive.pictures():
        name = picture_name(picture)
        place_file(picture.image, folder / "images" / f"{name}.png")
        width, height = picture.camera.width, picture.camera.height
        lines = []
        for thing in picture.objects:
            assert thing.modal_box is not None
            x0, y0, x1, y1 = thing.modal_box
            values = (
                0.5 * (x0 + x1) / width,
                0.5 * (y0 + y1) / height,
                (x1 - x0) / width,
                (y1 - y0) / height,
            )
            words = [str(classes.index(thing.category)), *(f"{value:.8f}" for value in values)]
            lines.append(" ".join(words) + "\n")
        (folder / "labels" / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
    # Strings in JSON's form are strings in YAML too.
    names = "".join(f"  {k}: {json.dumps(name)}\n" for k, name in enumerate(classes))
    (folder / "data.yaml").write_text(f"train: images\nval: images\nnames:\n{names}", encoding="utf-8")
    return {}
