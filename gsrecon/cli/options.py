"""Types of options that several commands have, with the names they show in help."""

from pathlib import Path
from typing import Annotated

import tyro

Drive = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DRIVE")]
RunFolder = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
OptionalPath = Annotated[Path | None, tyro.conf.arg(metavar="PATH")]
OptionalName = Annotated[str | None, tyro.conf.arg(metavar="NAME")]
OptionalCount = Annotated[int | None, tyro.conf.arg(metavar="N")]
OptionalNumber = Annotated[float | None, tyro.conf.arg(metavar="NUMBER")]
DeviceName = Annotated[str, tyro.conf.arg(metavar="NAME")]
OptionalPoint = Annotated[tuple[float, float, float] | None, tyro.conf.arg(metavar="X Y Z")]
