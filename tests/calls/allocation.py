"""A TURN client's requests to a TURN server (RFC 8656), with aioice."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aioice import stun
from aioice.turn import TurnTransport, create_turn_endpoint

from tests.calls.turnserver import HOST
from tests.support.client import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.calls.turnserver import TurnServer


@asynccontextmanager
async def allocation(turn: TurnServer, username: str, password: str) -> AsyncIterator[TurnTransport]:
    """Allocate a relayed address. Raises stun.TransactionFailed."""
    gone = asyncio.Event()

    class Relay(asyncio.DatagramProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            gone.set()

    async with asyncio.timeout(PATIENCE):
        transport, _ = await create_turn_endpoint(Relay, (HOST, turn.port), username, password)
    try:
        yield transport
    finally:
        transport.close()
        async with asyncio.timeout(PATIENCE):
            await gone.wait()


async def permission(relay: TurnTransport, peer: str, number: int) -> int | None:
    """Request relaying to `peer`; return the error code if it is refused. Nothing is sent to the peer."""
    client = relay._TurnTransport__inner_protocol  # type: ignore[attr-defined]  # private to aioice
    try:
        async with asyncio.timeout(PATIENCE):
            await client.channel_bind(0x4000 + number, (peer, 50_000))
    except stun.TransactionFailed as refused:
        return refused.response.error_code
    return None
