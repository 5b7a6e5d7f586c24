"""A real PostgreSQL in a temporary folder; installs it if it is missing.

    python -m tests.support.postgres

prints the folder of its programs, after installing them if necessary (as root, with apt-get).
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from tests.support import packages

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOBODY: Final = "nobody"
"""PostgreSQL refuses to run as root."""
_FAST: Final = (
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "listen_addresses=",
    "shared_buffers=16MB",
)


class NoPostgresError(Exception):
    """PostgreSQL is missing; the message is one line that says what to do."""

    def __init__(self) -> None:
        super().__init__("no PostgreSQL for the tests: install the package `postgresql` (apt-get install postgresql)")


def ensure() -> Path:
    """Return the folder of `postgres` and `initdb`; install them if necessary. Raises NoPostgresError."""
    for _ in range(2):
        for folder in _folders():
            if (folder / "postgres").exists() and (folder / "initdb").exists():
                return folder
        packages.ensure("postgres", "postgresql")
    raise NoPostgresError


def _folders() -> Iterator[Path]:
    if (program := shutil.which("postgres")) is not None:
        yield Path(program).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


class Postgres:
    """A server that listens on a socket in a folder of its own."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self._programs = programs
        self._user = pwd.getpwnam(_NOBODY).pw_uid if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0

    @property
    def pid(self) -> int:
        """Return the id of its first process."""
        assert self._process is not None
        return self._process.pid

    def make(self) -> None:
        """Make its data."""
        if self._user is not None:
            os.chown(self._folder, self._user, -1)
        self._run("initdb", "--no-sync", "--auth=trust", "--username=passerby", "--encoding=UTF8", "-D", self._data)

    def start(self) -> None:
        """Start it, also once more."""
        options = [part for option in _FAST for part in ("-c", option)]
        self._process = subprocess.Popen(
            (self._programs / "postgres", "-D", self._data, "-k", self._folder, *options),
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
        )
        end = time.monotonic() + 30
        while not (self._folder / ".s.PGSQL.5432").exists() or not self._answers():
            assert time.monotonic() < end
            assert self._process.poll() is None
            time.sleep(0.05)

    def _answers(self) -> bool:
        command = (self._programs / "pg_isready", "-q", "-h", self._folder)
        return subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0

    def stop(self) -> None:
        """Stop it; all connections break."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None

    def database(self) -> str:
        """Return the URL of a new, empty database."""
        self._count += 1
        name = f"chat{self._count}"
        self._run("createdb", "-h", str(self._folder), "-U", "passerby", name)
        return f"postgresql://passerby@/{name}?host={quote(str(self._folder), safe='')}"

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            (self._programs / program, *arguments),
            user=self._user,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
        )


@contextmanager
def running() -> Iterator[Postgres]:
    """Run a server."""
    with tempfile.TemporaryDirectory(prefix="passerby-postgres-", ignore_cleanup_errors=True) as name:
        server = Postgres(Path(name), ensure())
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{ensure()}\n")
    except NoPostgresError as missing:
        sys.exit(str(missing))
