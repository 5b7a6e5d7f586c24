"""Serves `/metrics` on an address of its own, in the event loop of the server."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from prometheus_client import CollectorRegistry, make_asgi_app

from passerby.metrics.collector import Collector

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from passerby.metrics.collector import Parts

log = logging.getLogger(__name__)

PATH: Final = "/metrics"
_BACKLOG: Final = 16
_CONNECTIONS: Final = 32
"""Requests at once, at most: more Prometheus servers than anybody has."""


class Metrics:
    """The metrics of one process."""

    def __init__(self, parts: Parts, worker: int) -> None:
        """Nothing runs until `listen` and `start`. `worker` is the number of this process among several, else 1."""
        self._parts = parts
        self._collector = Collector(parts, worker)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self._collector)
        self._exposition: Any = make_asgi_app(registry, disable_compression=True)
        self._server: uvicorn.Server | None = None
        self._listener: socket.socket | None = None
        self.port = 0
        """Where they are served."""

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Serve one HTTP request (ASGI)."""
        if scope["path"] != PATH:
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 404, "headers": headers})
            await send({"type": "http.response.body", "body": b"The metrics are at /metrics\n"})
            return
        await self._collector.look()
        await self._exposition(scope, receive, send)

    async def listen(self, host: str, port: int, *, is_followed: bool) -> None:
        """Take the address; 0 is any free port. Raises OSError.

        `is_followed`: a worker that replaces this one starts before this one drains, and takes the same address.
        """
        self._listener = await _bound(host, port, is_shared=is_followed)
        self.port = self._listener.getsockname()[1]
        self._host = f"[{host}]" if ":" in host else host

    async def start(self) -> None:
        """Measure and serve from now on, in the running event loop. Only after `listen`."""
        config = uvicorn.Config(
            self,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        # `serve` would handle signals, which are the other server's.
        config.load()
        server = self._server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[self._listener] if self._listener is not None else [])
        self._parts.lag.start()
        self._parts.pauses.start()
        log.info(f"metrics on http://{self._host}:{self.port}{PATH}")  # noqa: G004 - as the line of the server itself

    def release(self) -> None:
        """Give the port back. Requests that have come are still answered."""
        if self._server is not None:
            for server in self._server.servers:
                server.close()
        if self._listener is not None:
            self._listener.close()

    async def stop(self) -> None:
        """Measure and serve no more."""
        self.release()
        self._parts.lag.stop()
        self._parts.pauses.stop()
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown()


async def _bound(host: str, port: int, *, is_shared: bool) -> socket.socket:
    """Return a socket with this address, which others may share. Raises OSError.

    One that is shared does not listen yet: all requests go to the one before it until then.
    """
    family, kind, protocol, _, address = (
        await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        if not is_shared:
            listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the name of the argument cannot be given
    except OSError:
        listener.close()
        raise
    return listener
