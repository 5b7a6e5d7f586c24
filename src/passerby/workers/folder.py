"""The folder of the sockets between processes. What a killed parent has left is removed by the next one."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX: Final = "passerby-workers-"
_NEW: Final = 60.0
"""Seconds in which a folder may not be locked yet by the process that has made it."""


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder that only this user can enter; remove it at the end, and those of processes that are gone."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _remove_if_left(left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def folders() -> list[Path]:
    """Return the folders of this user, also those that a killed process has left."""
    return [
        folder
        for folder in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"))
        if os.access(folder, os.R_OK | os.X_OK)
    ]


def _remove_if_left(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:  # another user's
        return
    try:
        if time.time() - os.fstat(lock).st_mtime > _NEW:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        pass  # its process runs
    finally:
        os.close(lock)
