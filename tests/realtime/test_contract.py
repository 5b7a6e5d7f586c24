"""The contract is whole: what it lists is handled, and what is handled is listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.realtime.contract import INBOUND, OUTBOUND
from passerby.realtime.links import _PREFIXES

if TYPE_CHECKING:
    from tests.support.server import InsideServer


async def test_every_event_that_a_client_may_send_has_a_handler(server: InsideServer) -> None:
    handlers = server.application.server.namespace("/").handlers

    assert set(handlers) == {event.event for event in INBOUND}
    assert len(handlers) == len(INBOUND)


def test_every_event_that_the_server_may_send_can_be_encoded() -> None:
    assert set(_PREFIXES) == set(OUTBOUND)
