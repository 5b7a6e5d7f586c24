"""A TURN client's requests to a TURN server of the tests (RFC 8656)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from passerby.doctor import turn_client
from passerby.doctor.turn_client import RefusedError
from tests.support.client import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.doctor.turn_client import Allocation
    from tests.calls.turnserver import TurnServer


@asynccontextmanager
async def allocation(turn: TurnServer, username: str, password: str) -> AsyncIterator[Allocation]:
    """Allocate a relayed address. Raises RefusedError."""
    server = turn_client.parse(turn.settings["turn_urls"])
    async with asyncio.timeout(PATIENCE), turn_client.allocation(server, username, password) as relay:
        yield relay


async def permission(relay: Allocation, peer: str) -> int | None:
    """Request relaying to `peer`; return the error code if it is refused. Nothing is sent to the peer."""
    try:
        await relay.permit(peer)
    except RefusedError as refused:
        return refused.code
    return None
