"""Lists directories. Not async, so that tests of the event loop may use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def entries(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the entries of a directory."""
    return list(folder.glob(pattern))
