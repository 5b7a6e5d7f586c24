"""Serves `/metrics` on an address of its own, in the event loop of the server."""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from prometheus_client import CollectorRegistry, make_asgi_app

from passerby.listening import bind, resolve
from passerby.metrics.collector import Collector
from passerby.sources import addresses_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence

    from passerby.listening import Place
    from passerby.metrics.collector import Parts

log = logging.getLogger(__name__)

PATH: Final = "/metrics"
_BACKLOG: Final = 16
_ATTEMPTS: Final = 20
"""How often a free port is looked for that is free at all addresses."""
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
        self._listeners: list[socket.socket] = []
        self._places: list[str] = []
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
        """Take all addresses of `host`; 0 is any port that is free, the same at each. Raises OSError.

        `is_followed`: a worker that replaces this one starts before this one drains, and takes the same addresses.
        """
        places = await asyncio.to_thread(resolve, "METRICS_HOST", addresses_of(host))
        for attempt in range(_ATTEMPTS):
            try:
                self._take(places, port, is_shared=is_followed)
            except OSError as error:
                self.release()
                if port or error.errno != errno.EADDRINUSE or attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    def _take(self, places: Sequence[Place], port: int, *, is_shared: bool) -> None:
        """Take all addresses. Raises OSError.

        One that is shared does not listen yet: all requests go to the one before it until then.
        """
        self.port = port
        for place in places:
            try:
                listener = bind(place, self.port, is_shared=is_shared)
            except OSError as error:
                if error.errno == errno.EAFNOSUPPORT and place.is_one_of_several:
                    continue  # a family that this system lacks
                raise
            self._listeners.append(listener)
            if not is_shared:
                listener.listen(_BACKLOG)
            self.port = listener.getsockname()[1]
            self._places.append(f"http://{place.shown}:{self.port}{PATH}")

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
        await server.startup(sockets=self._listeners)
        self._parts.lag.start()
        self._parts.pauses.start()
        log.info(f"metrics on {', '.join(self._places)}")  # noqa: G004 - as the line of the server itself

    def release(self) -> None:
        """Give the port back. Requests that have come are still answered."""
        if self._server is not None:
            for server in self._server.servers:
                server.close()
        for listener in self._listeners:
            listener.close()
        self._listeners, self._places = [], []

    async def stop(self) -> None:
        """Measure and serve no more."""
        self.release()
        self._parts.lag.stop()
        self._parts.pauses.stop()
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown()
