"""What a scene reached, read from its run's folder, and the tables as Markdown."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.egsral.paper import PAPER, TABLES, Table

LPIPS_NETWORK = "AlexNet"
_HEADING = ("", "pictures", "PSNR [dB]", "SSIM", "LPIPS", "last iteration", "training [s]", "memory [MiB]")


@dataclass(frozen=True)
class Reached:
    """Means over the held-out pictures of one scene at the last iteration, and what it took."""

    pictures: int
    psnr: float | None
    ssim: float | None
    lpips: float | None
    """None: not computed."""
    iterations: int
    seconds: float
    """Training alone [s]."""
    memory_mib: float
    """Peak resident memory of the training process [MiB]."""
    gaussians: int

    @staticmethod
    def in_run(folder: Path) -> "Reached":
        """From the files of a run that was trained to its end and judged."""
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        summary = metrics["summary"]
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
        timed = [row for row in rows if "seconds" in row]
        return Reached(
            pictures=summary["pictures"],
            psnr=summary["psnr"],
            ssim=summary["ssim"],
            lpips=summary["lpips"] if isinstance(summary["lpips"], float) else None,
            iterations=timed[-1]["step"],
            seconds=timed[-1]["seconds"],
            memory_mib=max(row["peak_memory_bytes"] for row in timed) / 2**20,
            gaussians=metrics["gaussians"],
        )


def tables(reached: Mapping[str, Reached], missing: Mapping[str, str], setting: str) -> str:
    """All of the paper's tables of which a scene was asked for, beside ours, as Markdown.

    Args:
        reached: By the name of the spec.
        missing: Why a spec has no result, by its name.
        setting: One sentence about how was trained.
    """
    asked = reached.keys() | missing.keys()
    shown = [table for table in TABLES if asked & set(table.specs)]
    parts = ["# EGSRAL's tables, and ours", f"Paper: {PAPER}. {setting}", _how_to_read(reached)]
    parts += [_table(table, reached, missing) for table in shown]
    return "\n\n".join(parts) + "\n"


def _how_to_read(reached: Mapping[str, Reached]) -> str:
    computed = any(scene.lpips is not None for scene in reached.values())
    lpips = f"our LPIPS is {LPIPS_NETWORK}'s" if computed else "our LPIPS was not computed (--lpips-weights)"
    return (
        "Means over the held-out pictures, never of the best but always of the last iteration; a table's "
        f"mean is that over its scenes. {lpips[0].upper()}{lpips[1:]}; the paper's network is not known. "
        "'Not known' are numbers of the paper that this script does not have."
    )


def _table(table: Table, reached: Mapping[str, Reached], missing: Mapping[str, str]) -> str:
    ours = {spec: reached[spec] for spec in table.specs if spec in reached}
    lines = [f"## {table.title}", "", _line(_HEADING), "|---" + "|---:" * (len(_HEADING) - 1) + "|"]
    said = table.reported
    known = [_number(value, digits, "not known") for value, digits in _of(said)]
    lines.append(_line(["EGSRAL, as published", "", *known, "", "", ""]))
    mean = _mean(list(ours.values()))
    lines.append(_line([f"gsrecon, mean of {len(ours)} of {len(table.specs)} scenes", *mean]))
    lines += [_line([spec, *_cells(scene)]) for spec, scene in ours.items()]
    unknown = [spec for spec in table.specs if spec in missing]
    lines += [_line([spec, *["-"] * (len(_HEADING) - 1)]) for spec in unknown]
    lines += ["", table.remark] if table.remark else []
    lines += ["", *(f"- {spec}: {missing[spec]}" for spec in unknown)] if unknown else []
    return "\n".join(lines)


def _of(row: Any) -> list[tuple[float | None, int]]:
    return [(row.psnr, 2), (row.ssim, 4), (row.lpips, 4)]


def _cells(scene: Reached) -> list[str]:
    scores = [_number(value, digits, "not computed") for value, digits in _of(scene)]
    return [
        str(scene.pictures),
        *scores,
        f"{scene.iterations:,}",
        f"{scene.seconds:,.0f}",
        f"{scene.memory_mib:,.0f}",
    ]


def _mean(scenes: Sequence[Reached]) -> list[str]:
    """PSNR, SSIM and LPIPS as means over scenes; pictures and seconds in all; the highest memory."""
    if not scenes:
        return ["-"] * (len(_HEADING) - 1)

    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if len(known) == len(values) else None

    return _cells(
        Reached(
            pictures=sum(scene.pictures for scene in scenes),
            psnr=mean([scene.psnr for scene in scenes]),
            ssim=mean([scene.ssim for scene in scenes]),
            lpips=mean([scene.lpips for scene in scenes]),
            iterations=max(scene.iterations for scene in scenes),
            seconds=sum(scene.seconds for scene in scenes),
            memory_mib=max(scene.memory_mib for scene in scenes),
            gaussians=sum(scene.gaussians for scene in scenes),
        )
    )


def _number(value: float | None, digits: int, without: str) -> str:
    return without if value is None else f"{value:.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
