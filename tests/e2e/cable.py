"""A cable between a browser and the server, which a test can cut, mend, and make worse."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

_CHUNK = 65_536
_FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Cable:
    """Forwards every connection to its port to `target`, for as long as it may."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.no_websockets = False
        """Refuse WebSockets, as some companies' proxies do."""
        self._swallowing = False
        self._whole = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def cut(self) -> None:
        """End all connections, and every new one at once."""
        self._whole = False
        self.drop()

    def drop(self) -> None:
        """End all connections, once."""
        for writer in list(self._writers):
            writer.transport.abort()

    def swallow(self) -> None:
        """Lose whatever the server says from now on, until the connections have ended."""
        self._swallowing = True

    def mend(self) -> None:
        """Forward again."""
        self._whole = True
        self._swallowing = False

    async def serve(self, browser_reader: asyncio.StreamReader, browser: asyncio.StreamWriter) -> None:
        """Forward one connection, until either side ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(browser)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._forward(browser_reader, browser)
        finally:
            self._writers.discard(browser)
            browser.transport.abort()
            self._tasks.discard(task)

    async def _forward(self, browser_reader: asyncio.StreamReader, browser: asyncio.StreamWriter) -> None:
        if not self._whole:
            return
        head = await browser_reader.readuntil(b"\r\n\r\n")
        if self.no_websockets and b"\r\nupgrade: websocket" in head.lower():
            browser.write(_FORBIDDEN)
            await browser.drain()
            return
        server_reader, server = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers.add(server)
        try:
            server.write(head)
            answers = asyncio.create_task(self._pump(server_reader, browser, from_server=True))
            try:
                await self._pump(browser_reader, server, from_server=False)
            finally:
                answers.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await answers
        finally:
            self._writers.discard(server)
            server.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_server: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if not (from_server and self._swallowing):
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()

    async def close(self) -> None:
        """Cut, and wait until nothing is left."""
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def cable(target: int) -> AsyncIterator[Cable]:
    """Lay a cable to the server on port `target`."""
    laid = Cable(target)
    listener = await asyncio.start_server(laid.serve, "127.0.0.1", 0)
    laid.port = listener.sockets[0].getsockname()[1]
    try:
        yield laid
    finally:
        listener.close()
        await laid.close()
