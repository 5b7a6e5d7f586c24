"""What guests see when the server ends and is started again, with its state in Redis: that it reconnects, no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.e2e.calling import call, devices, is_over
from tests.e2e.conftest import Street, Tabs
from tests.e2e.serving import Serving, serving
from tests.e2e.visitor import BROKEN_CONNECTION, Visitor
from tests.support.valkey import valkey

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def lasting(tabs: Tabs, settings: dict[str, str]) -> AsyncIterator[Street]:
    """A server whose state is in Redis, and its visitors."""
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(valkey())
        server = await stack.enter_async_context(serving(redis_url=store.url, **settings))
        opened = Street(tabs, server, stack)
        yield opened
        await opened.tidy()


async def restart(server: Serving, how: str) -> None:
    await (server.kill() if how == "killed" else server.stop())
    await server.start()


async def reconnect(*visitors: Visitor) -> None:
    await asyncio.gather(*(visitor.sees_connection("Connected") for visitor in visitors))


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_a_conversation_goes_on(lasting: Street, how: str) -> None:
    anna, berta = await lasting.pair()
    for visitor in (anna, berta):
        visitor.expect_complaint(f"{BROKEN_CONNECTION}|503")
    await anna.say("Before")
    await berta.sees("Before")
    await berta.say("I have read it")
    await anna.part("file-input").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"kept"})
    await anna.part("send").click()
    await expect(berta.part("file-card")).to_contain_text("a.txt")
    await anna.sees_states("delivered", "received", "delivered")

    await (lasting.server.kill() if how == "killed" else lasting.server.stop())
    await anna.sees_connection("Reconnecting…")
    await anna.say("Nobody serves now")
    await lasting.server.start()
    await reconnect(anna, berta)

    await anna.sees_states("delivered", "received", "delivered", "delivered")
    await expect(berta.message("Nobody serves now")).to_be_visible()
    await berta.say("And I am here")
    await expect(anna.message("And I am here")).to_be_visible()
    link = await berta.part("file-card").get_by_role("link").first.get_attribute("href")
    answer = await berta.page.request.get(f"{lasting.server.url}{link}")
    assert (answer.status, await answer.body()) == (200, b"kept")
    await expect(anna.part("conversation-ended")).to_have_count(0)


async def test_a_search_goes_on(lasting: Street) -> None:
    anna = await lasting.visitor(expecting=f"{BROKEN_CONNECTION}|503")
    await anna.start()
    await expect(anna.part("searching")).to_be_visible()
    await lasting.server.kill()
    await anna.sees_connection("Reconnecting…")
    await lasting.server.start()
    await reconnect(anna)
    await expect(anna.part("searching")).to_be_visible()

    berta = await lasting.visitor()
    await berta.start()
    await anna.sees_conversation()
    await berta.sees_conversation()


async def test_a_call_goes_on(lasting: Street) -> None:
    anna, berta = await lasting.pair()
    for visitor in (anna, berta):
        visitor.expect_complaint(f"{BROKEN_CONNECTION}|503")
    async with devices(anna, berta):
        await call(anna, berta, "audio")
        await restart(lasting.server, "killed")
        await reconnect(anna, berta)
        for visitor in (anna, berta):
            await expect(visitor.part("call")).to_have_attribute("data-state", "active")
        await anna.part("hang-up").click()
        await is_over(anna)
        await is_over(berta)


@pytest.mark.parametrize("settings", [{"grace": "6"}])
async def test_who_does_not_return_is_gone_and_the_other_is_told(lasting: Street) -> None:
    mine = await lasting.cable()
    anna, berta = await lasting.pair(second=await lasting.visitor(through=mine))
    for visitor in (anna, berta):
        visitor.expect_complaint(f"{BROKEN_CONNECTION}|503")
    await lasting.server.kill()
    mine.cut()
    await anna.sees_connection("Reconnecting…")
    await lasting.server.start()
    await reconnect(anna)
    await anna.sees_ended("did not come back")
    mine.mend()
    await reconnect(berta)
