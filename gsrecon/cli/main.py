"""The `gsrecon` command: finds the subcommand, turns mistakes into one line and an exit code."""

import errno
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

COMMANDS = {
    "demo": "reconstruct a small made-up street: pictures, film, PLY and report in a few minutes",
    "doctor": "tell what this machine can run and what is missing",
    "check": "look for mistakes in a recorded drive before hours are spent on it",
    "repair-poses": "estimate height, roll and pitch of flat poses from the lidar's ground",
    "train": "fit a Gaussian scene to a recorded drive",
    "merge": "bring groups of a long drive together that were trained apart",
    "evaluate": "score a scene by the pictures it never saw, and write the report",
    "edit": "keep a list of what is done to objects: remove, move, drive, insert, with undo",
    "render": "fly a camera through a scene: pictures and a film",
    "view": "show a scene in the browser: fly, ride along, compare, take pictures and films",
    "export-dataset": "render a drive again and write it as a labelled data set for detectors",
    "verify": "read a labelled data set back and check every label",
    "assets": "cut objects out of a scene to keep them, and list them",
    "export": "write a scene as a PLY that every splat viewer reads",
}
"""Subcommands in the order in which they are listed; each is a module of this package."""

HELP = """\
usage: gsrecon COMMAND [options]

Turns a recorded drive into a 3D Gaussian scene and renders new views of it.

commands:
{commands}

A drive is named by a scene spec (kitti-0001, scenes/mine.toml) or directly:
kitti:PATH, kitti-odometry:PATH, nuscenes:PATH (or nuscenes:PATH#scene-0061),
images:PATH, folder:PATH, toy.

examples:
  gsrecon demo                                     everything once, on a made-up street
  gsrecon check kitti:2011_09_26/2011_09_26_drive_0001_sync
  gsrecon train kitti:2011_09_26/2011_09_26_drive_0001_sync --out runs/kitti
  gsrecon render runs/kitti --shift-left 1.5
  gsrecon export runs/kitti

options:
  -h, --help    this text; `gsrecon COMMAND --help` tells more about a command
  --version     the version
  --debug       show the whole traceback when something fails (with any command)
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the command line; exits with 0, 1 (failed), 2 (wrong usage) or 130 (Ctrl-C)."""
    # OpenMP's threads spin while they wait for each other, which next to any other work on the machine makes
    # a training step several times slower. It is read when torch is loaded, after this line.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Runs one command and returns its exit code."""
    debug = "--debug" in argv
    words = [word for word in argv if word != "--debug"]
    if not words or words[0] in ("-h", "--help", "help"):
        lines = [f"  {name:<14} {told}" for name, told in COMMANDS.items()]
        print(HELP.format(commands="\n".join(lines)), end="")
        return 0 if words else 2
    if words[0] == "--version":
        from gsrecon import __version__

        print(f"gsrecon {__version__}")
        return 0
    if words[0] not in COMMANDS:
        return _usage(f"there is no command '{words[0]}'; there are {', '.join(COMMANDS)}")
    return _guarded(words[0], words[1:], debug)


def _guarded(name: str, words: Sequence[str], debug: bool) -> int:
    from gsrecon.cli.messages import show_messages
    from gsrecon.cli.usage import UsageError
    from gsrecon.errors import GsreconError

    show_messages()
    try:
        return _command(name, words)
    except KeyboardInterrupt as stop:
        told = str(stop) or "nothing that was finished is lost"
        print(f"\nstopped: {told}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1  # the reader of our output left, as `head` does
    except Exception as error:
        if debug:
            raise
        if isinstance(error, UsageError):
            return _usage(str(error))
        print(f"error: {_told(error, isinstance(error, GsreconError))}", file=sys.stderr)
        return 1


def _command(name: str, words: Sequence[str]) -> int:
    import tyro

    from gsrecon.cli.usage import UsageError

    module = import_module(f"gsrecon.cli.{name.replace('-', '_')}")
    try:
        command = tyro.cli(
            module.COMMAND,
            prog=f"gsrecon {name}",
            description=module.__doc__,
            args=list(words),
            config=(tyro.conf.FlagCreatePairsOff, tyro.conf.CascadeSubcommandArgs),
        )
    except ValueError as error:  # an option out of range
        raise UsageError(str(error)) from error
    _require_numbers(command, "--")
    return command.run()


def _require_numbers(given: Any, option: str) -> None:
    """Refuses nan and inf: no option means anything by them, and pictures drawn with them are empty."""
    from gsrecon.cli.usage import UsageError

    if is_dataclass(given):
        for entry in fields(given):
            value = getattr(given, entry.name)
            # The settings of training stand without a prefix.
            named = option if entry.name == "config" else f"{option}{entry.name.replace('_', '-')}"
            _require_numbers(value, f"{named}." if is_dataclass(value) and named != option else named)
    elif isinstance(given, tuple):
        for item in given:
            _require_numbers(item, option)
    elif isinstance(given, float) and not math.isfinite(given):
        raise UsageError(f"{option}: expected a finite number, got {given:g}")


def _told(error: Exception, expected: bool) -> str:
    """One line about what went wrong."""
    message = " ".join(str(error).split())
    if expected:
        return message
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        if error.errno == errno.ENOSPC:
            return (
                f"{place}the disk is full; make room and run the command again, what was finished is intact"
            )
        return f"{place}{error.strerror or message}"
    if isinstance(error, RuntimeError) and (failed := _told_of_device(error)):
        return failed
    kind = type(error).__name__
    return f"{kind}: {message or 'no message'} (run again with --debug to see where; this may be our mistake)"


def _told_of_device(error: RuntimeError) -> str | None:
    """What a GPU did not manage, where nothing nearer has told it."""
    from gsrecon.ops.device_errors import told_of_device

    told = told_of_device(error)
    return None if told is None else str(told)


def _usage(message: str) -> int:
    print(f"error: {message}; `gsrecon COMMAND --help` tells more", file=sys.stderr)
    return 2
