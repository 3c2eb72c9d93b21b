"""Makes docs/images/demo.png from a run on the toy drive: `python scripts/make_readme_picture.py runs/demo`.

Above a held-out picture as the scene renders it and as it was recorded, below the view 1 m to the left and
the depth.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from gsrecon.data.pictures import to_uint8
from gsrecon.data.spec import open_drive
from gsrecon.evaluation.evaluate import held_out
from gsrecon.evaluation.novel_views import driven_path, render_path
from gsrecon.evaluation.pictures import depth_picture, write_png
from gsrecon.scene.bundle import load_scene
from gsrecon.scene.render import render_frame

OUT = Path(__file__).parents[1] / "docs" / "images" / "demo.png"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--camera", default="front")
    parser.add_argument("--index", type=int, default=60)
    options = parser.parse_args()
    scene = load_scene(options.run)
    log, _ = open_drive("toy")
    recording = scene.recording
    assert recording is not None
    frame = min(
        (f for f in held_out(recording) if f.camera == options.camera),
        key=lambda f: abs(f.index - options.index),
    )
    recorded = next(f for f in log.frames if (f.camera, f.index) == (frame.camera, frame.index))
    with torch.no_grad():
        drawn = render_frame(scene, recording, frame)
    assert drawn.depth is not None
    path = driven_path(scene, options.camera, left_m=1.0)
    views = list(render_path(scene, path, options.camera))
    rows = [
        [to_uint8(drawn.image[0].clamp(0, 1).numpy()), log.image(recorded)],
        [views[frame.index].image, depth_picture(drawn.depth[0].numpy())],
    ]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    write_png(OUT, np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0))


if __name__ == "__main__":
    main()
