"""Runs `passerby doctor` beside the servers of a test, and holds what must not be answered."""

from __future__ import annotations

import asyncio
import io
import re
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from passerby.doctor.command import run
from passerby.doctor.findings import DEADLINE
from passerby.settings import Settings
from tests.support.server import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"


class Report(NamedTuple):
    """What the command said."""

    code: int
    lines: list[str]

    def about(self, pattern: str) -> list[str]:
        """Return the lines with a match."""
        return [line for line in self.lines if re.search(pattern, line)]

    def level(self, pattern: str) -> str:
        """Return the first word of the only line with a match."""
        found = self.about(pattern)
        assert len(found) == 1, (pattern, self.lines)
        return found[0].split()[0]


def chosen(**changes: object) -> Settings:
    """Return settings without any finding of their own, with `changes`."""
    usual = {"port": 0, "jwt_secret": SECRET, "max_connections": 100, "files_limit": 1 << 20, "file_limit": 1 << 16}
    return Settings(**{**usual, **changes})  # type: ignore[arg-type]  # by name


async def diagnose(url: str | None = None, deadline: float = DEADLINE, **changes: object) -> Report:
    """Run the command with settings, in a thread: it has an event loop of its own."""
    output = io.StringIO()
    code = await asyncio.to_thread(run, chosen(**changes), url, output, deadline)
    text = output.getvalue()
    assert "Traceback" not in text
    lines = text.splitlines()
    assert all(line.split()[0] in ("ok", "warning", "problem") for line in lines), lines
    assert code == int(any(line.startswith("problem") for line in lines))
    return Report(code, lines)


@contextmanager
def silent(kind: socket.SocketKind) -> Iterator[int]:
    """Yield a port that takes connections or datagrams, and never answers."""
    with socket.socket(socket.AF_INET, kind) as hole:
        hole.bind((HOST, 0))
        if kind == socket.SOCK_STREAM:
            hole.listen()
        yield int(hole.getsockname()[1])
