"""What commands say while they work: progress with the time left, and tables."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def console() -> Console:
    """Standard output; paths are not coloured or broken, and what stands in brackets in them stays."""
    return Console(highlight=False, markup=False, soft_wrap=True)


@contextmanager
def counting(told: str, total: int) -> Iterator["Counter"]:
    """A progress bar of `total` equal pieces of work with the time left, on standard error."""
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        console=Console(stderr=True, highlight=False),
    ) as progress:
        yield Counter(progress, told, total)


@contextmanager
def sharing(told: str) -> Iterator[Callable[[str, float], None]]:
    """A progress bar of work that tells what it does and the share of it that is done, 0 to 1."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}", markup=False))
    with Progress(*columns, console=Console(stderr=True, highlight=False)) as progress:
        task = progress.add_task(told, total=1.0, said="")
        yield lambda said, share: progress.update(task, completed=share, said=said)


class Counter:
    """Counts pieces of work on a progress bar."""

    def __init__(self, progress: Progress, told: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(told, total=total, said="")

    def step(self, said: str = "") -> None:
        """One piece is done; `said` stands beside the bar."""
        self._progress.update(self._task, advance=1, said=said)
