"""`/api/ice-servers`: ICE servers for calls."""

from __future__ import annotations

from litestar import Controller, get
from litestar.di import NamedDependency

from passerby.calls.ice import IceServers
from passerby.errors import ConflictError
from passerby.http.models import Success
from passerby.http.refusals import TOKEN, refusals
from passerby.http.services import Services
from passerby.models import Guest


class CallController(Controller):
    """The HTTP part of calls."""

    path = "/api/ice-servers"
    tags = ("calls",)

    @get(
        operation_id="getIceServers",
        summary="Get ICE servers, including TURN with short-lived credentials",
        security=[{"token": []}],
        responses=refusals(*TOKEN, ConflictError),
    )
    async def servers(self, services: NamedDependency[Services], guest: NamedDependency[Guest]) -> Success[IceServers]:
        """Return ICE servers for a guest who is in a room; 409 for others."""
        await services.guests.check_in_room(guest)
        return Success(success=True, data=services.ice.servers(guest.id))
