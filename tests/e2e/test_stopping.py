"""What guests see of a server that stops: how much time there is, what becomes of their talk, and that they return."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.e2e.axe import violations
from tests.e2e.conftest import Street, Tabs
from tests.e2e.serving import serving
from tests.e2e.visitor import BROKEN_CONNECTION, Visitor
from tests.support.valkey import valkey

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

NOTICE = {"stop_notice": "8", "stop_patience": "8", "stop_away": "1"}
"""Seconds: enough to look at it on a busy machine."""


@pytest_asyncio.fixture(loop_scope="session")
async def ending(tabs: Tabs, is_kept: bool) -> AsyncIterator[Street]:
    """A server that says when it stops, with its state in Redis or in memory, and its visitors."""
    async with contextlib.AsyncExitStack() as stack:
        store = {"redis_url": (await stack.enter_async_context(valkey())).url} if is_kept else {}
        server = await stack.enter_async_context(serving(**NOTICE, **store))
        opened = Street(tabs, server, stack)
        yield opened
        await opened.tidy()


async def sees_countdown(visitor: Visitor, words: str) -> None:
    await expect(visitor.part("stopping")).to_contain_text(words)
    await expect(visitor.part("stopping")).to_contain_text(re.compile(r"in 0:0[1-8]\."))


@pytest.mark.parametrize("is_kept", [True])
async def test_a_conversation_that_is_kept_goes_on(ending: Street) -> None:
    anna, berta = await ending.pair()
    for visitor in (anna, berta):
        visitor.expect_complaint(f"{BROKEN_CONNECTION}|503")
    stopping = asyncio.create_task(ending.server.stop())
    for visitor in (anna, berta):
        await sees_countdown(visitor, "This conversation goes on afterwards")
    await anna.say("A moment")
    await expect(berta.message("A moment")).to_be_visible()
    await stopping
    await expect(anna.part("stopping")).to_contain_text("The server is being restarted")
    await anna.sees_connection("Reconnecting…")
    await ending.server.start()
    for visitor in (anna, berta):
        await visitor.sees_connection("Connected")
        await expect(visitor.part("stopping")).to_have_count(0)
    await berta.say("We are back")
    await expect(anna.message("We are back")).to_be_visible()


@pytest.mark.parametrize("is_kept", [False])
async def test_a_conversation_in_memory_has_time_for_a_goodbye(ending: Street) -> None:
    anna, berta = await ending.pair()
    carla = await ending.visitor()
    for visitor in (anna, berta, carla):
        visitor.expect_complaint(f"{BROKEN_CONNECTION}|503|401")
    stopping = asyncio.create_task(ending.server.stop())
    await sees_countdown(anna, "This conversation ends then")
    assert await violations(anna.page) == []
    await carla.part("start").click()
    await expect(carla.part("stopping")).to_contain_text("Nothing new can begin")
    await berta.say("Goodbye")
    await expect(anna.message("Goodbye")).to_be_visible()
    await stopping
    await ending.server.start()
    await anna.sees_ended("")
    await anna.sees_connection("Connected")
    await expect(anna.part("stopping")).to_have_count(0)
