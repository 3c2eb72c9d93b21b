"""EGSRAL's tables beside ours: `python scripts/reproduce_egsral.py --nuscenes PATH --kitti PATH`.

Trains the scene specs of the paper's tables one after the other with `gsrecon train`, each in its process,
and prints PSNR, SSIM and LPIPS of the held-out pictures, last iteration, seconds and memory. Everything is
kept in the output folder; the same command goes on where it was stopped and trains no finished scene again.
`--toy` takes the toy drive written in nuScenes' and KITTI's layouts instead of the data sets.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gsrecon.files import write_text  # noqa: E402
from scripts.egsral.paper import KITTI_CITY, NUSCENES, TABLES  # noqa: E402
from scripts.egsral.results import Reached, tables  # noqa: E402
from scripts.egsral.toy import KITTI_DRIVE, toy_kitti, toy_nuscenes  # noqa: E402

SPECS = tuple(dict.fromkeys(spec for table in TABLES for spec in table.specs))
DYNAMICS = ("no-dynamics", "deformation-dynamics", "actor-dynamics", "actor-and-deformation-dynamics")


@dataclass(frozen=True)
class Setting:
    """How every scene is trained and judged."""

    steps: int
    dynamics: str
    lpips_weights: Path | None = None
    extra: Sequence[str] = field(default_factory=tuple)
    """Further options of `gsrecon train`."""
    toy: bool = False
    """On the toy drive, not on the paper's data."""

    @property
    def sentence(self) -> str:
        """What was done, for the reader of the tables."""
        words = ["gsrecon train SPEC", f"--steps {self.steps}", *self.extra, f"dynamics:{self.dynamics}"]
        place = ", on the toy drive: no numbers to compare with the paper's" if self.toy else ""
        return f"Ours: `{' '.join(words)}`{place}."

    @property
    def as_json(self) -> dict[str, Any]:
        """The values as JSON gives them back."""
        weights = None if self.lpips_weights is None else str(self.lpips_weights)
        return {**asdict(self), "lpips_weights": weights, "extra": list(self.extra)}

    def train_words(self, spec: str, data: Path, run: Path) -> list[str]:
        """The command that begins a scene's run, or goes on with it."""
        resume = ["--resume"] if (run / "config.json").is_file() else []
        options = ["--data", str(data), "--out", str(run), "--steps", str(self.steps), *self.extra]
        return ["train", spec, *options, *resume, f"dynamics:{self.dynamics}"]


def main(words: Sequence[str] | None = None) -> int:
    """The command line; 1 where a scene that was asked for has no result."""
    options = _options().parse_args(words)
    specs = options.only or SPECS
    extra = tuple(options.train or ())
    setting = Setting(options.steps, options.dynamics, options.lpips_weights, extra, options.toy is not None)
    with ExitStack() as stack:
        if options.toy is not None:
            folder = Path(options.toy or stack.enter_context(tempfile.TemporaryDirectory()))
            options.nuscenes, options.kitti = _toy(specs, folder)
        places = dict.fromkeys(NUSCENES.specs, options.nuscenes)
        places |= {spec: _kitti_drive(options.kitti) for spec in KITTI_CITY.specs}
        reached: dict[str, Reached] = {}
        missing: dict[str, str] = {}
        for spec in specs:
            result = _reproduce(spec, places[spec], options.out / spec, setting)
            if isinstance(result, Reached):
                reached[spec] = result
            else:
                missing[spec] = result
            _keep(reached, missing, setting, options.out)
    print(tables(reached, missing, setting.sentence))
    return 1 if missing else 0


def _reproduce(spec: str, data: Path | None, run: Path, setting: Setting) -> Reached | str:
    """Trains and judges one scene as far as that is not done; what it reached, or why there is nothing."""
    file = run / "result.json"
    place = None if data is None or setting.toy else str(data.resolve())
    if file.is_file():
        kept = json.loads(file.read_text(encoding="utf-8"))
        same_data = place is None or kept.get("data") == place
        if kept["setting"] == setting.as_json and same_data:
            return Reached(**kept["reached"])
    if data is None:
        option = "--kitti" if spec in KITTI_CITY.specs else "--nuscenes"
        return f"the path of its data was not given ({option})"
    print(f"--- {spec}", flush=True)
    problem = _gsrecon(setting.train_words(spec, data, run))
    if not problem and setting.lpips_weights is not None:
        problem = _gsrecon(["evaluate", str(run), "--lpips-weights", str(setting.lpips_weights)])
    if problem:
        return problem
    result = Reached.in_run(run)
    content = {"setting": setting.as_json, "data": place, "reached": asdict(result)}
    write_text(file, json.dumps(content, indent=2) + "\n")
    return result


def _gsrecon(words: Sequence[str]) -> str:
    """Runs a command; its error, or nothing. Ctrl-C ends everything, and what was trained is saved."""
    command = [sys.executable, "-m", "gsrecon", *words]
    said = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                sys.stderr.write(line)
                said.append(line.strip())
        except KeyboardInterrupt:
            process.communicate()  # it was told too, and saves
            raise SystemExit("stopped; the same command goes on from there") from None
    code = process.returncode
    if code == 0:
        return ""
    errors = [line for line in said if line.startswith("error: ")] or [line for line in said if line][-1:]
    return errors[-1].removeprefix("error: ") if errors else f"gsrecon {words[0]} ended with code {code}"


def _keep(reached: dict[str, Reached], missing: dict[str, str], setting: Setting, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    rows = {spec: asdict(result) for spec, result in reached.items()}
    content = {"setting": setting.as_json, "reached": rows, "missing": missing}
    write_text(out / "results.json", json.dumps(content, indent=2) + "\n")
    write_text(out / "tables.md", tables(reached, missing, setting.sentence))


def _toy(specs: Sequence[str], folder: Path) -> tuple[Path, Path]:
    """The toy drive in both layouts, where it is not there already; nuScenes' is named after its scenes."""
    wanted = sorted(spec for spec in specs if spec in NUSCENES.specs)
    numbers = [spec.rpartition("-")[2] for spec in wanted]
    nuscenes, kitti = folder / "-".join(["nuscenes", *numbers]), folder / "kitti"
    if wanted and not nuscenes.exists():
        toy_nuscenes(wanted, nuscenes)
    if set(specs) & set(KITTI_CITY.specs) and not kitti.exists():
        toy_kitti(kitti)
    return nuscenes, kitti


def _kitti_drive(path: Path | None) -> Path | None:
    """The drive's folder, where the root of KITTI raw or the recording day was named too."""
    for inside in (KITTI_DRIVE, Path(KITTI_DRIVE.name)):
        if path is not None and (path / inside).is_dir():
            return path / inside
    return path


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nuscenes", type=Path, help="data root: samples/, sweeps/, v1.0-trainval/")
    parser.add_argument("--kitti", type=Path, help="root of KITTI raw, or the drive's ..._sync folder")
    parser.add_argument(
        "--toy",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="the toy drive instead, written into this folder, or into a temporary one",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/egsral"), help="runs, results and tables")
    parser.add_argument("--steps", type=int, default=30_000, help="iterations of each scene")
    parser.add_argument("--dynamics", choices=DYNAMICS, default="deformation-dynamics")
    parser.add_argument(
        "--only", nargs="+", choices=SPECS, metavar="SPEC", help=f"some of {', '.join(SPECS)}"
    )
    parser.add_argument("--lpips-weights", type=Path, help="as for gsrecon evaluate; else not computed")
    parser.add_argument(
        "--train",
        action="append",
        metavar="OPTION",
        help="a further option of gsrecon train, --train=--groups=4",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
