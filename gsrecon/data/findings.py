"""What a preflight finds."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing about a recording that its owner should know."""

    severity: Literal["error", "warning", "note"]
    """`error`: training will fail or be wrong; `warning`: it will be worse; `note`: a measurement."""
    where: str
    """Camera, frame, sweep or file."""
    message: str
    """What is the matter, with numbers."""
    remedy: str
    """What to do about it; empty for a note."""
