"""What datagrams travel through from browsers to a server, and where a test can lose every one of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

_HOST = "127.0.0.1"
_LARGEST = 65_536


class Airwaves:
    """Forwards datagrams to its port to `target`, and what is answered back to who asked."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lossy = False
        self._loop = asyncio.get_running_loop()
        self._browsers = _socket()
        self._browsers.bind((_HOST, 0))
        self.port: int = self._browsers.getsockname()[1]
        self._servers: dict[tuple[str, int], socket.socket] = {}
        """By the browser's address: for each the server sees another one."""
        self._loop.add_reader(self._browsers, self._ask)

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Lose whatever comes, from either side, as long as this lasts."""
        self._lossy = True
        try:
            yield
        finally:
            self._lossy = False

    def _ask(self) -> None:
        with contextlib.suppress(OSError):  # to lose one now and then is what datagrams do
            datagram, browser = self._browsers.recvfrom(_LARGEST)
            if not self._lossy:
                self._server_of(browser).send(datagram)

    def _server_of(self, browser: tuple[str, int]) -> socket.socket:
        server = self._servers.get(browser)
        if server is None:
            server = self._servers[browser] = _socket()
            server.connect((_HOST, self._target))
            self._loop.add_reader(server, self._answer, server, browser)
        return server

    def _answer(self, server: socket.socket, browser: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):
            datagram = server.recv(_LARGEST)
            if not self._lossy:
                self._browsers.sendto(datagram, browser)

    def close(self) -> None:
        for used in (self._browsers, *self._servers.values()):
            self._loop.remove_reader(used)
            used.close()


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made


@contextlib.asynccontextmanager
async def airwaves(target: int) -> AsyncIterator[Airwaves]:
    """Carry datagrams to the server on port `target`."""
    carrying = Airwaves(target)
    try:
        yield carrying
    finally:
        carrying.close()
