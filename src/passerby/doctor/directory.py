"""Checks of FILE_DIRECTORY, where files of guests are stored with FILE_STORE=disk."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from passerby.doctor.findings import Check, Finding, Found, in_thread, ok, problem, warning
from passerby.doctor.process import size
from passerby.settings import Settings


def checks(settings: Settings) -> Iterator[Check]:
    """Yield the check, if files are on disk."""
    if settings.files_in == "disk":
        folder = settings.file_directory or tempfile.gettempdir()
        yield Check(f"FILE_DIRECTORY={folder}", lambda: in_thread(lambda: look_at(Path(folder), settings)))


def look_at(folder: Path, settings: Settings) -> Sequence[Finding]:
    """Return the findings about a directory; if it does not exist, about the one in which the server will make it."""
    name = f"FILE_DIRECTORY={folder}"
    there = _existing(folder, name)
    _write(there, name)
    made = "" if there == folder else f"does not exist yet and can be made in {there}, "
    return [*_space(there, name, made, settings), *_owner(there, name)]


def _existing(folder: Path, name: str) -> Path:
    for place in (folder.absolute(), *folder.absolute().parents):
        try:
            mode = place.stat().st_mode
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            continue  # the parent says so
        except OSError as error:
            raise Found(problem(f"{name} cannot be read: {error.strerror}. Check its owner and permissions")) from None
        if not stat.S_ISDIR(mode):
            raise Found(problem(f"{name} cannot be used: {place} is no directory. Choose another path"))
        return place
    raise Found(problem(f"{name} cannot be used: nothing of its path exists"))


def _write(folder: Path, name: str) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        text = f"{name} cannot be written by this user: {error.strerror}. Check owner, permissions and space"
        raise Found(problem(text)) from None


def _space(folder: Path, name: str, made: str, settings: Settings) -> Sequence[Finding]:
    free = shutil.disk_usage(folder).free
    limit = settings.files_limit
    if free < settings.file_limit:
        return [problem(f"{name} {made}has {size(free)} free: not one file of FILE_LIMIT fits. Make room")]
    if free < limit:
        text = f"{name} {made}has {size(free)} free, less than FILES_LIMIT ({size(limit)}). Make room, or lower that"
        return [warning(text)]
    return [ok(f"{name} {made}can be written, with {size(free)} free for FILES_LIMIT ({size(limit)})")]


def _owner(folder: Path, name: str) -> Sequence[Finding]:
    """The server makes a private directory in it; who may write here could still remove or replace that."""
    status = folder.stat()
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        return [warning(f"{folder} can be written by every user of this machine. Do `chmod o-w {folder}`")]
    if hasattr(os, "geteuid") and status.st_uid not in (0, os.geteuid()):
        return [warning(f"{name}: {folder} belongs to another user, who can remove its files. Change its owner")]
    return []
