"""The line under the partner's name is the partner's state; the own connection is told elsewhere."""

from __future__ import annotations

import pytest
from playwright.async_api import ViewportSize, expect

from tests.e2e.calling import call, devices, is_active, is_over
from tests.e2e.conftest import Street
from tests.e2e.test_accessibility import CUT_OFF, LAPTOP, PHONE
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def sees_partner(visitor: Visitor, words: str) -> None:
    await expect(visitor.part("partner-state")).to_have_text(words)


async def test_it_says_what_the_partner_does(street: Street) -> None:
    theirs = await street.cable()
    anna, berta = await street.pair(await street.visitor(still=True), await street.visitor(through=theirs))
    berta.expect_complaint()
    await sees_partner(anna, "Here")
    await berta.composer.press_sequentially("Hm")
    await anna.saw("Typing…")
    await berta.composer.fill("")
    await sees_partner(anna, "Here")
    theirs.cut()
    await sees_partner(anna, "Away")
    # Berta is told of her own connection, and knows nothing of Anna meanwhile.
    await berta.sees_connection("Reconnecting…")
    await expect(berta.part("connection-state")).to_be_in_viewport()
    await expect(berta.words("What you write is sent when the connection is back.")).to_be_visible()
    await sees_partner(berta, "No news right now")
    theirs.mend()
    await sees_partner(anna, "Here")
    await berta.page.reload()
    await sees_partner(anna, "Reloaded the page")
    await expect(anna.words("reloaded the page.")).to_be_visible()
    await anna.page.clock.run_for(10_000)
    await sees_partner(anna, "Here")
    await berta.part("leave").click()
    await sees_partner(anna, "Gone")


async def test_offline_is_said_at_once(street: Street) -> None:
    mine = await street.cable()
    anna, berta = await street.pair(await street.visitor(through=mine))
    anna.expect_complaint()
    await expect(anna.words("What you write is sent when")).to_have_count(0)
    mine.swallow()  # nothing comes, and the connection does not know that it is dead
    await anna.page.context.set_offline(True)
    await anna.sees_connection("Offline")
    await expect(anna.words("Offline")).to_be_visible()
    await sees_partner(anna, "No news right now")
    await sees_partner(berta, "Here")
    await anna.page.context.set_offline(False)
    mine.mend()
    mine.drop()
    await anna.sees_connection("Connected")
    await sees_partner(anna, "Here")


@pytest.mark.parametrize("settings", [{"call_return": "30"}])
async def test_in_a_call_a_reload_is_said_as_such(street: Street) -> None:
    anna, berta = await street.pair()
    name = await anna.partner()
    async with devices(anna, berta):
        await call(anna, berta, "audio")
        await sees_partner(anna, "In a call with you")
        await berta.page.reload()
        await anna.saw(f"{name} reloaded the page and can join again.")
        await sees_partner(anna, "Reloaded the page")
        # However long it takes: it is no weak connection, and none that is tried again.
        await expect(anna.part("call")).to_have_attribute("data-state", "recovering")
        await expect(anna.part("call-state")).to_contain_text(f"{name} reloaded the page and can join again.")
        await berta.part("rejoin-audio").click()
        await is_active(anna, berta)
        await expect(anna.part("call-state")).to_contain_text("Good connection")
        await sees_partner(anna, "In a call with you")
        await anna.part("hang-up").click()
        await is_over(berta, "Audio call")
        await sees_partner(anna, "Here")


@pytest.mark.parametrize("viewport", [PHONE, LAPTOP], ids=["phone", "laptop"])
async def test_what_is_said_of_the_connection_stands_in_the_window(street: Street, viewport: ViewportSize) -> None:
    mine = await street.cable()
    anna, _ = await street.pair(await street.visitor(through=mine, viewport=viewport))
    anna.expect_complaint()
    mine.cut()
    for testid in ("connection-state", "composer", "partner-state", "record"):
        await expect(anna.part(testid)).to_be_in_viewport(ratio=1)
    assert await anna.page.evaluate(CUT_OFF) == []
    mine.mend()
