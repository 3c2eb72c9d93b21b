"""What each part of the dynamics gives: `python scripts/ablate_egsral.py toy --steps 4000`.

Trains the same drive for the same number of steps without dynamics, with the deformation net, with DEM and
with OEM on top, by boxes where the drive has tracks, and in groups if asked. Prints a table: PSNR of held-out
pictures over all pixels, over moving objects (the recording's mask, or rectangles) and over the rest, the
share of Gaussians on which networks run, and the time of a step.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gsrecon.data.log import DrivingLog
from gsrecon.data.rectangles import with_rectangles
from gsrecon.data.spec import SceneSpec, find_spec, open_drive
from gsrecon.evaluation.evaluate import evaluate
from gsrecon.evaluation.plots import Line, line_plot
from gsrecon.evaluation.scores import Summary
from gsrecon.files import write_text
from gsrecon.scene.deformation_config import DeformationConfig
from gsrecon.scene.groups_scene import open_scene, parts
from gsrecon.train.config import TrainConfig
from gsrecon.train.dynamics import (
    ActorAndDeformationDynamics,
    ActorDynamics,
    DeformationDynamics,
    DynamicsConfig,
    NoDynamics,
)
from gsrecon.train.groups import train_groups

_EVALUATIONS = 10
"""Points of a curve."""
_CURVE = "held_out_psnr_moving"
_PLAIN = DeformationConfig(enhancement=False, opacity_enhancement=False)
VARIANTS: Mapping[str, DynamicsConfig] = {
    "static only": NoDynamics(),
    "+ deformation": DeformationDynamics(_PLAIN),
    "+ DEM": DeformationDynamics(replace(_PLAIN, enhancement=True)),
    "+ OEM": DeformationDynamics(replace(_PLAIN, enhancement=True, opacity_enhancement=True)),
}
WITH_BOXES: Mapping[str, DynamicsConfig] = {
    "actors": ActorDynamics(),
    "actors + deformation": ActorAndDeformationDynamics(),
}


@dataclass(frozen=True)
class Row:
    """What one variant reached."""

    name: str
    summary: Summary
    dynamic_share: float
    """Gaussians the networks run on, of all."""
    gaussians: int
    step_ms: float
    """Mean over the run [ms]."""
    last_step_ms: float
    """Mean over the last tenth, when the discovery is over [ms]."""
    curve: Sequence[tuple[int, float]] = ()
    """PSNR of moving objects in held-out pictures after some steps [dB]."""


def main() -> None:
    """The command line."""
    options = _options()
    spec = find_spec(options.drive)
    if options.toy:
        spec = replace(spec, toy={**spec.toy, **json.loads(options.toy)})
    log, spec = open_drive(spec, options.data)
    if options.rectangles is not None:
        log = with_rectangles(log, options.rectangles)
    evaluations = 0 if options.curves is None else _EVALUATIONS
    config = TrainConfig(steps=options.steps, mask_moving=False, evaluations=evaluations, checkpoints=1)
    if options.cap is not None:
        config = replace(
            config,
            density=replace(config.density, cap=options.cap),
            initial=replace(config.initial, lidar=round(0.6 * options.cap), beyond_lidar=options.cap // 10),
        )
    variants = variants_of(config, options.groups, boxes=bool(log.tracks))
    rows = []
    print(heading())
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.only or variants:
            folder = (options.run or Path(scratch)) / name.replace(" ", "").replace("+", "with-")
            rows.append(measure(name, log, spec, variants[name], folder))
            print(line(rows[-1]), flush=True)
    if options.curves is not None:
        write_text(options.curves, curves(rows))


def variants_of(config: TrainConfig, groups: int | None, boxes: bool) -> dict[str, TrainConfig]:
    """Settings by the name of the row."""
    chosen = {**VARIANTS, **(WITH_BOXES if boxes else {})}
    variants = {name: replace(config, dynamics=dynamics) for name, dynamics in chosen.items()}
    if groups is not None:
        variants["+ groups"] = replace(variants["+ OEM"], groups=replace(config.groups, count=groups))
    return variants


def measure(name: str, log: DrivingLog, spec: SceneSpec, config: TrainConfig, folder: Path) -> Row:
    """Trains one variant and scores it."""
    result = train_groups(log, spec, config, folder)
    scene = open_scene(folder)
    dynamic = sum(part.dynamic_gaussians for part in parts(scene))
    rows = [json.loads(row) for row in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = np.array([[row["step"], row["seconds"]] for row in rows if "seconds" in row])
    first = min(int(np.searchsorted(steps[:, 0], 0.9 * steps[-1, 0])), len(steps) - 2)
    span = steps[-1] - steps[first]
    return Row(
        name=name,
        summary=evaluate(scene, log).summary,
        dynamic_share=dynamic / result.gaussians,
        gaussians=result.gaussians,
        step_ms=1000 * result.seconds / result.steps,
        last_step_ms=1000 * span[1] / max(span[0], 1),
        curve=[(row["step"], row[_CURVE]) for row in rows if _CURVE in row],
    )


def curves(rows: Sequence[Row]) -> str:
    """The rows' curves as one SVG picture, whose letters are seen on light and dark pages."""
    lines = [
        Line(row.name, [x for x, _ in row.curve], [y for _, y in row.curve]) for row in rows if row.curve
    ]
    plot = line_plot("Moving objects, held-out pictures", "step", "PSNR [dB]", lines)
    return plot.replace("currentColor", "#808080")


def heading() -> str:
    """The first two lines of the table."""
    names = ("", "all [dB]", "moving [dB]", "static [dB]", "dynamic", "Gaussians", "ms a step", "at the end")
    return "| " + " | ".join(names) + " |\n|---" + "|---:" * (len(names) - 1) + "|"


def line(row: Row) -> str:
    """One variant of the table."""
    s = row.summary
    cells = [
        row.name,
        *("-" if value is None else f"{value:.2f}" for value in (s.psnr, s.psnr_moving, s.psnr_static)),
        f"{100 * row.dynamic_share:.1f} %",
        f"{row.gaussians:,}",
        f"{row.step_ms:.0f}",
        f"{row.last_step_ms:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("drive", help="scene spec or drive, as for gsrecon train")
    parser.add_argument("--data", type=Path, help="the recording's folder, for specs that leave it open")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--cap", type=int, help="most Gaussians; the training's own limit when left out")
    parser.add_argument("--groups", type=int, help="also train everything in this many groups")
    parser.add_argument(
        "--only", nargs="*", help=f"some of: {', '.join([*VARIANTS, *WITH_BOXES, '+ groups'])}"
    )
    parser.add_argument("--rectangles", type=Path, help="TOML file that marks what moves in some pictures")
    parser.add_argument("--toy", help="JSON settings of the toy drive that differ from its spec's")
    parser.add_argument("--curves", type=Path, help="draw PSNR of moving objects over the steps (.svg)")
    parser.add_argument("--run", type=Path, help="where runs are kept; a temporary folder when left out")
    return parser.parse_args()


if __name__ == "__main__":
    main()
