"""What the system says about this process."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import resource

STARTED: Final = time.time()
"""About when the process has started; seconds since the Unix epoch."""
_FOLDERS: Final = (Path("/proc/self/fd"), Path("/dev/fd"))


def most_descriptors() -> int | None:
    """Return how many descriptors the process may have; None where the system does not say."""
    if sys.platform == "win32":
        return None
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


async def open_descriptors() -> int | None:
    """Return how many descriptors are open; None where the system does not say."""
    for folder in _FOLDERS:
        try:
            # Linux from 6.2 on says how many there are; a list of ten thousand takes milliseconds.
            return folder.stat().st_size if _says_size() else await asyncio.to_thread(_count, folder)
        except OSError:
            continue
    return None


def _says_size() -> bool:
    return sys.platform == "linux" and _FOLDERS[0].stat().st_size > 0


def _count(folder: Path) -> int:
    return len(os.listdir(folder))  # noqa: PTH208 - only their number
