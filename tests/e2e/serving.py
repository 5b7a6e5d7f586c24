"""The product as its users run it: `passerby serve` in a process of its own, on a free port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from passerby import settings

STARTS_WITHIN = 30.0
"""Seconds; a machine that does much else at the same time needs some."""

_SERVING = re.compile(r"serving on http://\S+:(\d+)")
_ERROR = re.compile(r"\[(error|critical) *\]|Traceback")


@dataclass
class Serving:
    """A server that runs. `log` is what it has said so far."""

    port: int
    log: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"


@contextlib.asynccontextmanager
async def serving(**variables: str) -> AsyncIterator[Serving]:
    """Serve with these settings (`grace="3"`) and the defaults; afterwards fail if an error was logged."""
    known = {setting.variable for setting in settings.describe()}
    environment = {name: value for name, value in os.environ.items() if name not in known}
    environment |= {name.upper(): value for name, value in variables.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "passerby.cli", "serve", "--port", "0"),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    log: list[str] = []
    reading: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(STARTS_WITHIN):
            port = await _port(process, log)
        reading = asyncio.create_task(_read_on(process, log))
        yield Serving(port, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        if reading is not None:
            await reading
    errors = [line for line in log if _ERROR.search(line)]
    assert not errors, "\n".join(log)


async def _port(process: asyncio.subprocess.Process, log: list[str]) -> int:
    async for line in _lines(process):
        log.append(line)
        if found := _SERVING.search(line):
            return int(found[1])
    raise AssertionError("\n".join(["the server did not start:", *log]))


async def _read_on(process: asyncio.subprocess.Process, log: list[str]) -> None:
    log.extend([line async for line in _lines(process)])


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    assert process.stderr is not None
    async for line in process.stderr:
        yield line.decode().rstrip()
