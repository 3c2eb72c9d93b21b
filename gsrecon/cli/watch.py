"""Shows a running training: progress with the time left, PSNR and the number of Gaussians."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from gsrecon.train.progress import Progress as State


class Watch:
    """An observer of training; a line every tenth of the run where there is no terminal."""

    def __init__(self, progress: Progress, task: TaskID, console: Console) -> None:
        self._progress = progress
        self._task = task
        self._console = console
        self._tenth = 0

    def on_step(self, progress: State) -> None:
        """Moves the bar."""
        part = f"{progress.part}  " if progress.part else ""
        said = (
            f"{part}step {progress.step}  {progress.psnr:.2f} dB  {progress.gaussians:,} Gaussians  "
            f"{duration(progress.seconds)}, {duration(progress.seconds_left)} left"
        )
        if self._console.is_terminal:
            self._progress.update(self._task, completed=progress.fraction, said=said)
        elif int(progress.fraction * 10) > self._tenth:
            self._tenth = int(progress.fraction * 10)
            self._console.print(f"{10 * self._tenth:3d} %  {said}")

    def on_event(self, message: str) -> None:
        """Writes a line above the bar."""
        self._console.print(message)


@contextmanager
def watching() -> Iterator[Watch]:
    """Watches one training on standard error."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    columns = (
        TextColumn("training"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[said]}", markup=False),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Watch(progress, progress.add_task("", total=1.0, said="starting"), console)


def duration(seconds: float) -> str:
    """Minutes and seconds, hours where there are some."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
