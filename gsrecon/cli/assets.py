"""Cuts objects out of a scene as assets to keep, and lists them.

An asset is a folder: its Gaussians in the object's own frame (PLY), asset.toml (class, size, sides seen,
quality, source and licence, checksums) and a preview picture. `gsrecon assets extract` writes one for each
object that the recorded pictures show well enough; `gsrecon assets list` prints a table of the assets in a
folder and writes a contact sheet.

Examples:
  gsrecon assets extract runs/toy
  gsrecon assets extract runs/kitti --out library --pictures 10 --sides 3
  gsrecon assets list runs/toy
  gsrecon assets list library
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from gsrecon.cli.options import DeviceName, OptionalPath, RunFolder
from gsrecon.cli.usage import UsageError
from gsrecon.errors import DatasetError, SpecError

if TYPE_CHECKING:
    from gsrecon.data.log import DrivingLog
    from gsrecon.scene.assets import Asset

CONTACT_SHEET = "contact-sheet.png"
_TABLE_WIDTH = 120
"""Lines of the table are as long as this also where the terminal is narrower: names stay whole."""


@dataclass(frozen=True)
class Extract:
    """Writes every well-seen object of a run as an asset.

    Well seen is what the recorded pictures show on enough pixels, in enough pictures, from enough sides, and
    whose Gaussians became solid. What is left out is listed with the reason. The quality of an asset is the
    PSNR of its own pixels: on held-out pictures where these show it, else on fitted ones; without the drive's
    pictures it is not known.
    """

    run_folder: RunFolder
    """Folder that `gsrecon train` wrote, with objects: dynamics:actor-dynamics."""
    out: OptionalPath = None
    """Folder for the assets; `assets` inside the run's folder when left out."""
    drive: Annotated[str | None, tyro.conf.arg(metavar="DRIVE")] = None
    """Where the drive lies now, if it was moved: kitti:PATH, nuscenes:PATH, folder:PATH and the like."""
    picture_pixels: int = 100
    """A picture, and the side it was taken from, counts where it shows this many pixels of an object."""
    pictures: int = 5
    """Pictures that must count."""
    pixels: int = 2000
    """Pixels of the object that these must show together."""
    sides: int = 2
    """Of the eight sides (45 degrees each), how many must be seen."""
    solid_share: float = 0.25
    """Share of its Gaussians that must be more than 15 % opaque (0 to 1)."""
    device: DeviceName = "auto"
    """Where to render: cpu, cuda, cuda:1; auto is a GPU where there is one."""

    def run(self) -> int:
        """Extracts, and tells what was written and what was left out."""
        from gsrecon.cli.console import console, counting
        from gsrecon.cli.runs import Run
        from gsrecon.evaluation.assets import WellSeen, extract_assets
        from gsrecon.ops.device import pick_device
        from gsrecon.scene.groups_scene import open_scene

        if not (0 <= self.solid_share <= 1 and 0 <= self.sides <= 8):
            raise UsageError(
                f"--solid-share and --sides: expected 0 to 1 and 0 to 8, got {self.solid_share:g} and "
                f"{self.sides}"
            )
        rules = WellSeen(self.picture_pixels, self.pictures, self.pixels, self.sides, self.solid_share)
        run = Run.at(self.run_folder)
        scene = open_scene(run.folder, pick_device(self.device, "auto"))
        if scene.recording is None:
            raise SpecError(f"{run.folder}: the scene remembers no recording, so nobody knows what was seen")
        log, why_not = self._drive(run)
        out = self.out or run.folder / "assets"
        with counting("looking at pictures", len(scene.recording.frames)) as counter:
            found = extract_assets(scene, out, log, why_not, rules, counter.step)
        if log is None:
            console().print(f"classes and quality are not known: {why_not}", markup=False)
        if not found.written and not found.left_out:
            raise SpecError(
                f"{run.folder}: the scene has no objects of their own; train with dynamics:actor-dynamics on "
                "a drive that has tracks"
            )
        if found.written:
            _tell(found.written)
        for asset, reason in found.left_out:
            console().print(f"left out: {asset.object_id} ({asset.class_name}): {reason}", markup=False)
        console().print(f"{len(found.written)} assets in {out}", markup=False)
        return 0

    def _drive(self, run) -> tuple["DrivingLog | None", str]:
        """The drive, or why there is none."""
        try:
            return run.drive(self.drive)[0], ""
        except (DatasetError, SpecError) as error:
            if self.drive is not None:
                raise
            return None, f"the drive cannot be read: {error}"


@dataclass(frozen=True)
class List:
    """Prints a table of the assets in a folder, and writes a contact sheet of their previews."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Run, or folder of assets."""
    contact_sheet: OptionalPath = None
    """Picture to write; contact-sheet.png beside the assets when left out."""

    def run(self) -> int:
        """Reads, checks and tells; assets that are damaged are named at the end."""
        from gsrecon.cli.console import console
        from gsrecon.evaluation.asset_picture import sheet_of
        from gsrecon.evaluation.pictures import write_png
        from gsrecon.scene.assets import find_assets, read_asset

        folders = find_assets(self.folder)
        if not folders:
            raise SpecError(
                f"{self.folder}: there are no assets in it; write some with `gsrecon assets extract RUN`"
            )
        assets, damaged = [], []
        for folder in folders:
            try:
                assets.append(read_asset(folder))
            except SpecError as error:
                damaged.append(str(error))
        if assets:
            _tell(assets)
            inside = folders[0] if folders == [self.folder] else folders[0].parent
            path = self.contact_sheet or inside / CONTACT_SHEET
            write_png(path, sheet_of(assets))
            console().print(f"contact sheet: {path}", markup=False)
        for told in damaged:
            console().print(f"damaged: {told}", markup=False)
        return 1 if damaged else 0


def _tell(assets: "list[Asset]") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from gsrecon.cli.console import console

    table = Table(box=SIMPLE_HEAD)
    table.add_column("asset", no_wrap=True)
    for name in ("class", "L x W x H m", "Gaussians", "pictures", "pixels", "sides", "PSNR dB"):
        table.add_column(name, no_wrap=True, justify="left" if name == "class" else "right")
    for asset in assets:
        psnr_db = asset.quality.psnr_db
        table.add_row(
            asset.name,
            asset.class_name,
            " x ".join(f"{value:.1f}" for value in asset.size_lwh),
            f"{len(asset.gaussians):,}",
            str(asset.seen.pictures),
            f"{asset.seen.pixels:,}",
            f"{len(asset.sides)} of 8",
            "-" if psnr_db is None else f"{psnr_db:.2f}",
        )
    wide = console()
    wide.width = max(wide.width, _TABLE_WIDTH)
    wide.print(table)
    for licence in dict.fromkeys(asset.licence for asset in assets):
        console().print(f"licence: {licence}", markup=False)


COMMAND = Annotated[Extract, tyro.conf.subcommand("extract")] | Annotated[List, tyro.conf.subcommand("list")]
