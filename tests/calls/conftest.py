from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.calls.peer import Peer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.server import RunningServer

HOST = "127.0.0.2"
"""The peers' address. No relay uses it, so it distinguishes a guest's address from a relay's."""


class Introduce(Protocol):
    """Connects two peers who get each other as partners."""

    async def __call__(self, server: RunningServer) -> tuple[Peer, Peer]: ...


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers connect on this machine only, so that no network is needed."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: [HOST])


@pytest.fixture
async def introduce() -> AsyncIterator[Introduce]:
    async with AsyncExitStack() as stack:

        async def two(server: RunningServer) -> tuple[Peer, Peer]:
            anna = Peer(await server.newcomer(username="Anna"), server.url, hue=40)
            berta = Peer(await server.newcomer(username="Berta"), server.url, hue=210)
            for peer in (anna, berta):
                stack.push_async_callback(peer.close)
                await peer.arrive()
                await peer.say("user:match")
            await asyncio.gather(anna.hear("user:matched"), berta.hear("user:matched"))
            return anna, berta

        yield two


@pytest.fixture
async def peers(introduce: Introduce, shared_server: RunningServer) -> tuple[Peer, Peer]:
    """Return two peers in a room."""
    return await introduce(shared_server)
