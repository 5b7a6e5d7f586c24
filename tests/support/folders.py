"""What lies in a folder. Not async, so that tests of the event loop may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def entries(folder: Path, pattern: str = "*") -> list[Path]:
    """Return what is in a folder."""
    return list(folder.glob(pattern))
