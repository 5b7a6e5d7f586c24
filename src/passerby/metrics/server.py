"""Serves `/metrics` on an address of its own, in the event loop of the server.

Who can reach it could otherwise take the descriptors of guests, so its connections have the limits of `http.guard`.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import uvicorn
from prometheus_client import Metric, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector as Base

from passerby.http.guard import Guard, GuardedHttpProtocol, Reads, http_factory
from passerby.listening import resolve, take
from passerby.metrics.collector import Collector
from passerby.sources import addresses_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence

    from passerby.metrics.collector import Parts

    Headers = Sequence[tuple[bytes, bytes]]

log = logging.getLogger(__name__)

PATH: Final = "/metrics"
_BACKLOG: Final = 16
CONNECTIONS: Final = 32
"""Connections at once: more Prometheus servers than anybody has. One more ends the oldest that asks nothing."""
_MOST_CONNECTIONS: Final = 2 * CONNECTIONS
"""With those that are being ended. More are refused."""
_PLAIN: Final = b"text/plain; charset=utf-8"
_PLAIN_METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
_OPENMETRICS: Final = "application/openmetrics-text"
_OPENMETRICS_VERSION: Final = "1.0.0"


class _Some(Base):
    """The metrics of these names, as Prometheus asks for them with `name[]`."""

    def __init__(self, every: Base, names: frozenset[str]) -> None:
        self._every = every
        self._names = names

    def collect(self) -> Iterator[Metric]:
        for metric in self._every.collect():
            if not self._names.isdisjoint((metric.name, *(sample.name for sample in metric.samples))):
                yield metric


class _Scrapes:
    """The open connections, the oldest first."""

    def __init__(self) -> None:
        self._open: dict[GuardedHttpProtocol, asyncio.BaseTransport] = {}

    def enter(self, protocol: GuardedHttpProtocol, transport: asyncio.BaseTransport) -> None:
        """Count a new connection. If there are too many, end the oldest that asks nothing: it must not stop scrapes."""
        if len(self._open) >= CONNECTIONS:
            idle = next((one for one in self._open if not one.is_answering), None)
            if idle is not None:
                self._open.pop(idle).abort()  # type: ignore[attr-defined]  # asyncio's are all Transports
        self._open[protocol] = transport

    def leave(self, protocol: GuardedHttpProtocol) -> None:
        """A connection has ended."""
        self._open.pop(protocol, None)


class _ScrapeReads(Reads):
    """Reads for one connection, which `scrapes` counts."""

    def __init__(self, protocol: GuardedHttpProtocol, buffer: memoryview, *, scrapes: _Scrapes) -> None:
        super().__init__(protocol, buffer)
        self._scrapes = scrapes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in Reads
        self._scrapes.enter(self._protocol, transport)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._scrapes.leave(self._protocol)
        super().connection_lost(exc)


class Metrics:
    """The metrics of one process."""

    def __init__(self, parts: Parts, worker: int) -> None:
        """Nothing runs until `listen` and `start`. `worker` is the number of this process among several, else 1."""
        self._parts = parts
        self._collector = Collector(parts, worker)
        self._server: uvicorn.Server | None = None
        self._listeners: list[socket.socket] = []
        self._places: list[str] = []
        self.port = 0
        """Where they are served."""

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        _receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Serve one HTTP request (ASGI)."""
        if scope["path"] != PATH:
            await _answer(send, 404, b"The metrics are at /metrics\n", [(b"content-type", _PLAIN)])
        elif scope["method"] not in ("GET", "HEAD"):
            headers = [(b"content-type", _PLAIN), (b"allow", b"GET, HEAD")]
            await _answer(send, 405, b"Metrics can only be read\n", headers)
        else:
            await self._collector.look()
            names = parse_qs(scope["query_string"].decode("latin-1")).get("name[]")
            metrics = self._collector if names is None else _Some(self._collector, frozenset(names))
            is_open = _wants_openmetrics(scope["headers"])
            text: bytes = openmetrics.generate_latest(metrics) if is_open else generate_latest(metrics)  # type: ignore[no-untyped-call]
            kind = openmetrics.CONTENT_TYPE_LATEST if is_open else _PLAIN_METRICS
            await _answer(send, 200, text, [(b"content-type", kind.encode())])

    async def listen(self, host: str, port: int, *, is_followed: bool) -> None:
        """Take all addresses of `host`; 0 is any port that is free, the same at each. Raises OSError.

        `is_followed`: a worker that replaces this one starts before this one drains, and takes the same addresses.
        One that is shared does not listen yet: all requests go to the one before it until then.
        """
        places = await asyncio.to_thread(resolve, "METRICS_HOST", addresses_of(host))
        self.port = port
        for place, listener in take(places, port, backlog=None if is_followed else _BACKLOG, is_shared=is_followed):
            self._listeners.append(listener)
            self.port = listener.getsockname()[1]
            self._places.append(f"http://{place.shown}:{self.port}{PATH}")

    async def start(self) -> None:
        """Measure and serve from now on, in the running event loop. Only after `listen`."""
        guard = Guard(
            connections=_MOST_CONNECTIONS,
            address_connections=_MOST_CONNECTIONS,
            full="too many at the port of the metrics",
        )
        config = uvicorn.Config(
            self,
            http=http_factory(guard, partial(_ScrapeReads, scrapes=_Scrapes())),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
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


def _wants_openmetrics(headers: Headers) -> bool:
    """Return whether Accept has OpenMetrics, in the version that there is."""
    accepted = b",".join(value for name, value in headers if name == b"accept").decode("latin-1")
    for part in accepted.split(","):
        kind, *parameters = (text.strip() for text in part.split(";"))
        versions = [text.removeprefix("version=") for text in parameters if text.startswith("version=")]
        if kind == _OPENMETRICS and versions in ([], [_OPENMETRICS_VERSION]):
            return True
    return False


async def _answer(send: Callable[[Any], Awaitable[None]], status: int, body: bytes, headers: Headers) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
