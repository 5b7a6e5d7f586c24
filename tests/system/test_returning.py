"""Clients that lose their connections again and again lose no message, and get none twice."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from tests.support.lasting import Company

if TYPE_CHECKING:
    from tests.conftest import StartServer

PAIRS = 6
MESSAGES = 2400
RATE = 600.0
CUTS = 24


async def test_messages_survive_lost_connections(start_server: StartServer) -> None:
    server = await start_server(limits_scale=1000.0)
    async with Company(server.url) as company:
        await company.meet([(await server.newcomer()).token for _ in range(2 * PAIRS)])
        talking = asyncio.create_task(company.talk(MESSAGES, RATE))
        for number in range(CUTS):
            heard = company.happenings.heard
            await company.until(lambda heard=heard: company.happenings.heard > heard + 20)  # type: ignore[misc]
            random.Random(number).choice(company.clients).cut()
        await talking
        account = await company.settle()
        assert account.is_clean, account
        assert company.happenings.losses >= CUTS / 2
        assert not company.happenings.faults
