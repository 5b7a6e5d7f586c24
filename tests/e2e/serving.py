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
_NO_FRICTION = {
    "proof_of_work": "off",
    "new_device_seconds": "0",
    "repeat_partners": "0",
    "skip_partners": "0",
    "stop_notice": "0",
    "stop_patience": "0",
}
"""One machine fills the server with guests who leave at once and say the same, and nobody waits for it to stop.

Pairs meet again as in the defaults.
"""
_ERROR = re.compile(r"\[(error|critical) *\]|Traceback")


@dataclass
class Serving:
    """A server that runs. `log` is what it has said so far."""

    environment: dict[str, str]
    port: int = 0
    """The one that it found; it keeps it when it is started again."""
    log: list[str] = field(default_factory=list)
    _process: asyncio.subprocess.Process | None = None
    _reading: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, also once more, and wait until it serves."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "passerby.cli", "serve", "--port", str(self.port)),
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(STARTS_WITHIN):
            self.port = await self._serves(self._process)
        self._reading = asyncio.create_task(self._read_on(self._process))

    async def kill(self) -> None:
        """End it without a warning (SIGKILL)."""
        assert self._process is not None
        self._process.kill()
        await self._gone(self._process)

    async def stop(self) -> None:
        """Ask it to end (SIGTERM), and wait until it has."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await self._gone(self._process)

    async def _gone(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        if self._reading is not None:
            await self._reading

    async def _serves(self, process: asyncio.subprocess.Process) -> int:
        async for line in _lines(process):
            self.log.append(line)
            if found := _SERVING.search(line):
                return int(found[1])
        raise AssertionError("\n".join(["the server did not start:", *self.log]))

    async def _read_on(self, process: asyncio.subprocess.Process) -> None:
        async for line in _lines(process):
            self.log.append(line)


@contextlib.asynccontextmanager
async def serving(expected: str = "^$", /, **variables: str) -> AsyncIterator[Serving]:
    """Serve with these settings (`grace="3"`) and the defaults; afterwards fail if an error was logged.

    Nobody is asked what a stranger may send, and nothing slows newcomers, unless the settings say so. Errors that say
    what is `expected` are none.
    """
    known = {setting.variable for setting in settings.describe()}
    environment = {name: value for name, value in os.environ.items() if name not in known}
    chosen = {"consent": "none", **_NO_FRICTION, **variables}
    server = Serving(environment | {name.upper(): value for name, value in chosen.items()})
    try:
        await server.start()
        yield server
    finally:
        await server.stop()
    errors = [line for line in server.log if _ERROR.search(line) and not re.search(expected, line)]
    assert not errors, "\n".join(server.log)


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    assert process.stderr is not None
    async for line in process.stderr:
        yield line.decode().rstrip()
