"""Calls that pass a relay, a real coturn: they last, come back after a loss, and give up when nothing comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Error, expect

from tests.calls.turnserver import HOST, SECRET, TurnServer
from tests.e2e.airwaves import Airwaves, airwaves
from tests.e2e.calling import NOTHING_IS_OPEN, call, devices, is_active, is_over, keep_connections, see_each_other
from tests.e2e.conftest import Street
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

# What sort of address each side has on the path that is used: the own one, the other's.
ENDS = """
async () => {
  const report = await window.connections.at(-1).getStats();
  const { selectedCandidatePairId } = [...report.values()].find(({ type }) => type === 'transport');
  const pair = report.get(selectedCandidatePairId);
  return [pair.localCandidateId, pair.remoteCandidateId].map((id) => report.get(id).candidateType);
}
"""

# How many pictures of the other are shown in each of the next seconds; one like that before it does not count.
PICTURES = """
(seconds) => new Promise((resolve) => {
  const video = document.querySelector('[data-testid="remote-video"]');
  const canvas = new OffscreenCanvas(64, 48);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const pictures = new Array(seconds).fill(0);
  const began = performance.now();
  let last = '';
  const look = () => {
    const second = Math.floor((performance.now() - began) / 1000);
    if (second >= seconds) return;
    context.drawImage(video, 0, 0, 64, 48);
    const picture = context.getImageData(0, 0, 64, 48).data.join();
    if (picture !== last) pictures[second] += 1;
    last = picture;
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
  setTimeout(() => resolve(pictures), seconds * 1000);
})
"""

PATIENCE_MS = 30_000
"""Chromium takes some 6 s to notice that nothing comes, and up to 6 to show pictures again when they come."""


@pytest_asyncio.fixture(loop_scope="session")
async def air(turn: TurnServer) -> AsyncIterator[Airwaves]:
    """Between the browsers and this test's own coturn."""
    async with airwaves(turn.port) as carrying:
        yield carrying


@pytest.fixture
def settings(air: Airwaves) -> dict[str, str]:
    """Calls pass coturn, or there are none. No heartbeat is missed when a page's clock is put forward."""
    relay = {"turn_urls": f"turn:{HOST}:{air.port}?transport=udp", "turn_secret": SECRET, "relay_only": "true"}
    return {**relay, "ping_timeout": "120"}


async def pictures(visitor: Visitor, seconds: int) -> list[int]:
    counted: list[int] = await visitor.page.evaluate(PICTURES, seconds)
    return counted


async def pictures_move_again(visitor: Visitor) -> None:
    """Pictures come, and go on coming."""
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while not all(await pictures(visitor, 3)):
            pass


async def stand_still(visitor: Visitor) -> None:
    """Let no more time pass on the page, but what its clock is told to let pass."""
    ahead = 1_000  # a clock stops in the future alone: as near as the machine is quick
    while True:
        now: int = await visitor.page.evaluate("Date.now()")
        try:
            await visitor.page.clock.pause_at((now + ahead) / 1000)
        except Error:
            ahead *= 2
        else:
            return


async def loses_the_path(visitor: Visitor) -> None:
    """It is noticed, and said in words."""
    await expect(visitor.part("call")).to_have_attribute("data-state", "recovering", timeout=PATIENCE_MS)
    await expect(visitor.part("call-state")).to_contain_text("The connection is gone. Trying again")


async def test_a_relayed_video_call_shows_moving_pictures_all_the_time(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await keep_connections(anna, berta)
        await call(anna, berta, "video")
        await see_each_other(anna, berta)
        for shown in await asyncio.gather(pictures(anna, 10), pictures(berta, 10)):
            assert all(shown), shown
        for visitor in (anna, berta):
            assert await visitor.page.evaluate(ENDS) == ["relay", "relay"]
        await is_active(anna, berta)
        await anna.part("hang-up").click()
        await is_over(anna, "Video call", "You called")
        await is_over(berta, "Video call", "called")
        for visitor in (anna, berta):
            await visitor.page.wait_for_function(NOTHING_IS_OPEN)


async def test_a_call_comes_back_after_a_loss_of_every_packet(street: Street, air: Airwaves) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await keep_connections(anna, berta)
        await call(anna, berta, "video")
        await see_each_other(anna, berta)
        with air.silent():
            await asyncio.gather(loses_the_path(anna), loses_the_path(berta))
        await is_active(anna, berta, within_ms=PATIENCE_MS)
        await asyncio.gather(pictures_move_again(anna), pictures_move_again(berta))
        await is_active(anna, berta)
        for visitor in (anna, berta):
            assert await visitor.page.evaluate(ENDS) == ["relay", "relay"]
            assert await visitor.page.evaluate("window.connections.length") == 1
        await anna.part("hang-up").click()
        await is_over(anna, "Video call", "You called")
        await is_over(berta, "Video call", "called")
        for visitor in (anna, berta):
            await expect(visitor.part("call-line")).to_have_count(1)  # it was one call all along


async def test_a_call_that_does_not_come_back_is_given_up(street: Street, air: Airwaves) -> None:
    # A clock that can be put forward stays with its tab; a phone's is not used again.
    anna = await street.visitor(touch=True)
    await anna.page.clock.install()
    await anna.page.reload()
    anna, berta = await street.pair(anna)
    async with devices(anna, berta):
        await call(anna, berta, "video")
        await see_each_other(anna, berta)
        with air.silent():
            await loses_the_path(anna)
            await stand_still(anna)
            await loses_the_path(berta)
            await anna.page.clock.run_for(15_000)
            await expect(anna.part("media-notice")).to_contain_text("your picture is off to keep the sound")
            await expect(anna.part("call-state")).to_contain_text("Trying again")
            await anna.page.clock.run_for(15_000)
            for visitor in (anna, berta):  # who gives up later is told by who did first
                await is_over(visitor, "Video call", "broke off after")
                await expect(visitor.words("The call broke off, and no way back was found.")).to_be_visible()
                await expect(visitor.part("call-line")).to_have_count(1)
                await visitor.page.wait_for_function(NOTHING_IS_OPEN)
