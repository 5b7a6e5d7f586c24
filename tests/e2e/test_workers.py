"""What guests of a server with several workers see: one conversation, whatever becomes of the workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.e2e.calling import call, devices, is_active, is_over
from tests.e2e.conftest import Street, Tabs
from tests.e2e.serving import STARTS_WITHIN, Serving, serving
from tests.e2e.test_files import PICTURE, is_loaded, share
from tests.e2e.visitor import BROKEN_CONNECTION, STORAGE_KEY, Visitor
from tests.support.valkey import until
from tests.support.workers import sids_at, workers_of

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

WORKERS = 2

HOME = "key => JSON.parse(sessionStorage.getItem(key))?.home"
IS_AT_HOME = f"key => ({HOME})(key)?.startsWith('node_')"
# What the page asks for when it is loaded again; until then it stores nothing else.
LIVE_AT = """
([key, home]) => {
  sessionStorage.setItem(key, JSON.stringify({ ...JSON.parse(sessionStorage.getItem(key)), home }));
  Storage.prototype.setItem = () => {};
}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def busy(tabs: Tabs) -> AsyncIterator[Street]:
    """A server with workers, some of which will be killed, and its visitors."""
    async with contextlib.AsyncExitStack() as stack:
        running = serving("a worker has died", workers=str(WORKERS), drain_seconds="1")
        opened = Street(tabs, await stack.enter_async_context(running), stack)
        yield opened
        await opened.tidy()


async def home(visitor: Visitor) -> str:
    """Return the worker where the guest lives, as the page knows it."""
    await visitor.page.wait_for_function(IS_AT_HOME, arg=STORAGE_KEY)
    node: str = await visitor.page.evaluate(HOME, STORAGE_KEY)
    return node


async def move(visitor: Visitor, worker: str) -> str:
    """Load the page again, for a guest of this worker; return where they live then."""
    await home(visitor)
    await visitor.page.evaluate(LIVE_AT, [STORAGE_KEY, worker])
    await visitor.page.reload()
    return await home(visitor)


async def pair(street: Street) -> tuple[Visitor, Visitor]:
    """Two who have just met. They came to different workers, and their connections are there."""
    anna, berta = await street.visitors()
    places = await sids_at(street.server.port, WORKERS)
    hers, the_others = await asyncio.gather(*map(move, (anna, berta), places))
    assert hers != the_others
    await street.pair(anna, berta)
    assert await home(anna) == await home(berta)
    for visitor in (anna, berta):
        visitor.expect_complaint(f"{BROKEN_CONNECTION}|503")
    return anna, berta


class Talk:
    """What two have said to each other. Both see all of it, in its order and once."""

    def __init__(self, *both: Visitor) -> None:
        self._both = both
        self._said: list[str] = []

    async def goes_on(self, what: str) -> None:
        """Each says something of it, one after the other."""
        for number, speaker in enumerate(self._both, 1):
            self._said.append(f"{what}, {number}")
            await speaker.say(self._said[-1])
            await self.is_whole()

    async def is_whole(self) -> None:
        for visitor in self._both:
            await visitor.sees(*self._said)
            await expect(visitor.part("conversation-ended")).to_have_count(0)


async def logged(server: Serving, words: str, times: int) -> None:
    async def often() -> bool:
        return sum(words in line for line in server.log) >= times

    await until(often, patience=STARTS_WITHIN)


async def come_back(visitor: Visitor) -> None:
    """Load the page again; the picture is there."""
    await visitor.page.reload()
    await visitor.sees_conversation()
    await visitor.page.wait_for_function(is_loaded(1))


async def test_workers_are_killed_and_all_goes_on(busy: Street) -> None:
    anna, berta = await pair(busy)
    talk = Talk(anna, berta)
    await talk.goes_on("We have met")
    await share(anna, PICTURE)
    await berta.page.wait_for_function(is_loaded(1))
    async with devices(anna, berta):
        await call(anna, berta, "audio")
        for times, pid in enumerate(workers_of(busy.server.pid), 1):
            os.kill(pid, signal.SIGKILL)
            await talk.goes_on(f"{times} killed")
            await logged(busy.server, "Redis is in use", WORKERS + times)
        for visitor in (anna, berta):
            await visitor.saw("Reconnecting…")
        await is_active(anna, berta)
        await anna.part("hang-up").click()
        await is_over(anna)
        await is_over(berta)

    await asyncio.gather(come_back(anna), come_back(berta))
    await talk.is_whole()
    await talk.goes_on("Both came back")


async def test_workers_are_replaced_and_all_goes_on(busy: Street) -> None:
    anna, berta = await pair(busy)
    talk = Talk(anna, berta)
    await talk.goes_on("Before")
    await share(berta, PICTURE)
    await anna.page.wait_for_function(is_loaded(1))
    before = workers_of(busy.server.pid)
    os.kill(busy.server.pid, signal.SIGHUP)
    await talk.goes_on("Meanwhile")
    await logged(busy.server, "the workers are replaced", 2)  # that it begins is one
    assert not set(before) & set(workers_of(busy.server.pid))
    for visitor in (anna, berta):
        await visitor.saw("Reconnecting…")
    await talk.goes_on("Afterwards")

    for visitor in (anna, berta):
        place = await home(visitor)
        async with visitor.page.expect_websocket() as connection:
            await come_back(visitor)
        assert f"?at={place}&" in (await connection.value).url
    await talk.is_whole()
