"""Statistics, liveness, and the AsyncAPI document."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, Final

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.response import Stream
from msgspec import UNSET
from msgspec.json import encode

from passerby import __version__
from passerby.clock import sleep
from passerby.errors import UnavailableError
from passerby.http.models import (
    Health,
    MatchingStatus,
    OnlineUsersData,
    Readiness,
    SchemaPaths,
    Searching,
    SocketStats,
    StatsData,
    Success,
    Version,
)
from passerby.http.probes import HEADER, PATH, PAUSE, Seen
from passerby.http.refusals import TOKEN, refusals
from passerby.http.services import Services
from passerby.models import MODES, Guest, Limits
from passerby.realtime.asyncapi import asyncapi, servers

_SCHEMA: Final = "/schema/asyncapi.json"
_STARTED = time.monotonic()
_ASYNCAPI = asyncapi()


class StatusController(Controller):
    """Statistics, limits and health."""

    tags = ("status",)

    @get(
        "/api/stats",
        operation_id="getStats",
        summary="Get the live counts",
        security=[{"token": []}],
        responses=refusals(*TOKEN),
    )
    async def stats(
        self,
        services: NamedDependency[Services],
        guest: NamedDependency[Guest],  # noqa: ARG002 - requires authentication
    ) -> Success[StatsData]:
        """Return the counts and a bounded sample of online guests."""
        now = await services.stats.snapshot()
        return Success(success=True, data=StatsData(now.stats, now.online_users, now.timestamp))

    @get(
        "/api/stats/online-users",
        operation_id="getOnlineGuests",
        summary="Get the online guests",
        security=[{"token": []}],
        responses=refusals(*TOKEN),
    )
    async def online_users(
        self,
        services: NamedDependency[Services],
        guest: NamedDependency[Guest],  # noqa: ARG002 - requires authentication
    ) -> Success[OnlineUsersData]:
        """Return a bounded sample of online guests, and the number of all online guests."""
        now = await services.stats.snapshot()
        return Success(
            success=True,
            data=OnlineUsersData(now.online_users, now.stats.online_users, now.timestamp),
        )

    @get(
        "/api/socket/stats",
        operation_id="getConnectionCounts",
        summary="Get the counts of this process's connections",
        responses=refusals(),
    )
    async def sockets(self, services: NamedDependency[Services]) -> Success[SocketStats]:
        """Return the number of connections by transport, and of guests, rooms and searches."""
        connections = services.server.engine.sessions.values()
        websocket = sum(session.transport == "websocket" for session in connections)
        tally = services.stats.tally()
        return Success(
            success=True,
            data=SocketStats(
                connections=len(connections),
                websocket=websocket,
                polling=len(connections) - websocket,
                guests=tally.online,
                rooms=tally.pairs,
                waiting=services.matchmaking.waiting,
                redis=services.redis() or UNSET,
            ),
        )

    @get("/api/limits", operation_id="getLimits", summary="Get the limits for clients", responses=refusals())
    async def limits(self, services: NamedDependency[Services]) -> Success[Limits]:
        """Return the limits; `connection:established` contains them too."""
        return Success(success=True, data=services.limits)

    @get("/api/matching", operation_id="getMatchingStatus", summary="Get how searches fare", responses=refusals())
    async def matching(self, services: NamedDependency[Services]) -> Success[MatchingStatus]:
        """Return how many guests search, with which interests, how long it usually takes, and when guests can meet."""
        usual_wait = services.pulse.usual_wait()
        now = services.background.clock.time()
        opens_in, closes_in = services.hours.opens_in(now), services.hours.closes_in(now)
        return Success(
            success=True,
            data=MatchingStatus(
                waiting=Searching(*map(services.pulse.searching, MODES)),
                suggestions=services.pulse.suggestions(),
                usual_wait=UNSET if usual_wait is None else usual_wait,
                opens_in=UNSET if opens_in is None else opens_in,
                closes_in=UNSET if closes_in is None else closes_in,
            ),
        )

    @get("/api/version", operation_id="getVersion", summary="Get which version this is", responses=refusals())
    async def version(self, services: NamedDependency[Services]) -> Success[Version]:
        """Return the version, what it shares with other nodes and with the database, and where its documents are."""
        root = services.server.engine.options.root_path
        schema = SchemaPaths(openapi=f"{root}/schema/openapi.json", asyncapi=f"{root}{_SCHEMA}")
        return Success(
            success=True,
            data=Version(version=__version__, frames=services.frames, database=services.revision, schema=schema),
        )

    @get("/health", operation_id="getHealth", summary="Health", opt={"limit": None})
    async def health(self, services: NamedDependency[Services]) -> Success[Health]:
        """Answer 200 while the process runs; `uptime` is in seconds."""
        return self._health(services)

    @get("/health/live", operation_id="getLiveness", summary="Liveness", opt={"limit": None})
    async def live(self, services: NamedDependency[Services]) -> Success[Health]:
        """Answer as `/health`: a process that does not answer is to be started again."""
        return self._health(services)

    @staticmethod
    def _health(services: Services) -> Success[Health]:
        uptime = round(time.monotonic() - _STARTED, 3)
        redis = services.redis_state()
        return Success(success=True, data=Health(status="ok", version=__version__, uptime=uptime, redis=redis))

    @get(
        "/health/ready",
        operation_id="getReadiness",
        summary="Readiness",
        opt={"limit": None},
        responses=refusals(UnavailableError, limited=False),
    )
    async def ready(self, services: NamedDependency[Services]) -> Success[Readiness]:
        """Answer 200 while guests may come: all storage adapters can serve, also without Redis. 503 says what cannot.

        Before a stop that guests are told of it is 503, too.
        """
        failing = [name for name, is_well in (await services.check()).items() if not is_well]
        if failing:
            raise UnavailableError(failing)
        return Success(success=True, data=Readiness(status="ready", redis=services.redis_state()))

    @get(PATH, include_in_schema=False)
    async def probe(self, request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Stream:
        """Tell `passerby doctor` what this server sees of its request; for all others the route does not exist."""
        if not services.probes.accepts(request.headers.get(HEADER, "")):
            raise NotFoundException
        host, port = (request.client.host, request.client.port) if request.client else ("", 0)
        seen = Seen(
            peer=host,
            peer_port=port,
            is_trusted=services.address.is_proxy(host),
            forwarded_for=services.forwarded_for(request),
            address=services.address_of(request),
        )

        async def pieces() -> AsyncIterator[bytes]:
            yield encode(Success(success=True, data=seen))
            await sleep(services.background.clock, PAUSE)
            yield b"\n"

        return Stream(pieces(), media_type="application/json")

    @get(_SCHEMA, include_in_schema=False)
    async def document(self, request: Request[Any, Any, Any], services: NamedDependency[Services]) -> dict[str, Any]:
        """Return the AsyncAPI document of the Socket.IO events."""
        options = services.server.engine.options
        path = options.root_path + options.path
        return {**_ASYNCAPI, "servers": servers(services.host_of(request), path, is_secure=services.is_secure(request))}
