"""Statistics, liveness, and the AsyncAPI document."""

from __future__ import annotations

import time
from typing import Any

from litestar import Controller, get
from litestar.di import NamedDependency

from passerby import __version__
from passerby.errors import UnauthorizedError, UnavailableError
from passerby.http.models import Health, OnlineUsersData, Readiness, SocketStats, StatsData, Success
from passerby.http.refusals import refusals
from passerby.http.services import Services
from passerby.models import Guest, Limits
from passerby.realtime.asyncapi import asyncapi

_STARTED = time.monotonic()
_ASYNCAPI = asyncapi()


class StatusController(Controller):
    """What is going on."""

    tags = ("status",)

    @get("/api/stats", summary="The live counts", security=[{"token": []}], responses=refusals(UnauthorizedError))
    async def stats(
        self,
        services: NamedDependency[Services],
        guest: NamedDependency[Guest],  # noqa: ARG002 - who asks must be somebody
    ) -> Success[StatsData]:
        """Return the counts and a bounded sample of who is online."""
        now = await services.stats.snapshot()
        return Success(success=True, data=StatsData(now.stats, now.online_users, now.timestamp))

    @get(
        "/api/stats/online-users",
        summary="Who is online",
        security=[{"token": []}],
        responses=refusals(UnauthorizedError),
    )
    async def online_users(
        self,
        services: NamedDependency[Services],
        guest: NamedDependency[Guest],  # noqa: ARG002 - who asks must be somebody
    ) -> Success[OnlineUsersData]:
        """Return a bounded sample of who is online, and how many there are."""
        now = await services.stats.snapshot()
        return Success(
            success=True,
            data=OnlineUsersData(now.online_users, now.stats.online_users, now.timestamp),
        )

    @get("/api/socket/stats", summary="Counts of this process's connections", responses=refusals())
    async def sockets(self, services: NamedDependency[Services]) -> Success[SocketStats]:
        """Return how many connections there are, and of which kind."""
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
            ),
        )

    @get("/api/limits", summary="What a client has to keep to", responses=refusals())
    async def limits(self, services: NamedDependency[Services]) -> Success[Limits]:
        """Return the limits that `connection:established` tells too."""
        return Success(success=True, data=services.limits)

    @get("/health", summary="Liveness", opt={"limit": None})
    async def health(self) -> Success[Health]:
        """Answer while the process is well; `uptime` is in seconds."""
        uptime = round(time.monotonic() - _STARTED, 3)
        return Success(success=True, data=Health(status="ok", version=__version__, uptime=uptime))

    @get("/health/ready", summary="Readiness", opt={"limit": None}, responses=refusals(UnavailableError, limited=False))
    async def ready(self, services: NamedDependency[Services]) -> Success[Readiness]:
        """Answer 200 while everything behind the server can serve; 503 names what cannot."""
        failing = [name for name, is_well in (await services.check()).items() if not is_well]
        if failing:
            raise UnavailableError(failing)
        return Success(success=True, data=Readiness(status="ready"))

    @get("/schema/asyncapi.json", include_in_schema=False)
    async def document(self) -> dict[str, Any]:
        """Return the AsyncAPI document of the Socket.IO events."""
        return _ASYNCAPI
