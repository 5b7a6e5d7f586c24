"""What lies over the page closes by Back before the page is left, and leaves nothing in the history."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import expect

from tests.e2e.calling import call, devices
from tests.e2e.conftest import Street
from tests.e2e.test_accessibility import PHONE
from tests.e2e.test_files import PICTURE, share
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

STANDS_AT = "entry => (history.state?.overlay ?? 0) === entry"

OPENERS = {"full-view": "picture", "link-step": "link", "about-panel": "about", "call-devices": "call-settings"}
"""Every overlay, and what opens it."""


async def opens(visitor: Visitor, overlay: str) -> None:
    await visitor.part(OPENERS[overlay]).click()
    await expect(visitor.part(overlay)).to_be_visible()


async def is_closed(visitor: Visitor, overlay: str) -> None:
    await expect(visitor.part(overlay)).to_have_count(0)


async def stands_at(visitor: Visitor, entry: int) -> None:
    """The history stands at this entry of the page, counted by what lies over it."""
    await visitor.page.wait_for_function(STANDS_AT, arg=entry)


async def by_escape(visitor: Visitor) -> None:
    await visitor.page.keyboard.press("Escape")


async def by_back(visitor: Visitor) -> None:
    await visitor.page.evaluate("history.back()")


async def phone_with_everything(street: Street) -> tuple[Visitor, Visitor]:
    """A visitor at a phone with a picture and a link in the conversation."""
    anna, berta = await street.pair(await street.visitor(viewport=PHONE))
    await share(berta, PICTURE)
    await berta.say("https://www.example/")
    await anna.unveils()
    await expect(anna.part("link")).to_be_visible()
    return anna, berta


@pytest.mark.parametrize("close", [by_back, by_escape])
async def test_every_overlay_is_closed_and_leaves_no_entry(
    street: Street, close: Callable[[Visitor], Awaitable[None]]
) -> None:
    anna, berta = await phone_with_everything(street)
    for overlay in ("full-view", "link-step", "about-panel"):
        for _ in range(2):
            await opens(anna, overlay)
            await close(anna)
            await is_closed(anna, overlay)
            await stands_at(anna, 0)
    async with devices(anna, berta):
        await call(anna, berta, "video")
        await opens(anna, "call-devices")
        await anna.part("choose-microphone").focus()
        await close(anna)
        await is_closed(anna, "call-devices")
        await expect(anna.part("call-settings")).to_be_focused()
        await stands_at(anna, 0)
        await expect(anna.part("call")).to_have_attribute("data-state", "active")
    # Forward leads to where something was open, and is taken back.
    await anna.page.evaluate("history.forward()")
    await stands_at(anna, 0)
    await anna.say("Still here")
    await expect(berta.message("Still here")).to_be_visible()


async def test_back_closes_one_after_the_other_and_then_leaves_the_page(street: Street) -> None:
    anna, berta = await phone_with_everything(street)
    await anna.page.evaluate("location.hash = 'here'")
    async with devices(anna, berta):
        await call(anna, berta, "video")
        await opens(anna, "call-devices")
        for overlay in ("full-view", "about-panel"):
            await opens(anna, overlay)
            await stands_at(anna, 2)
            await by_back(anna)
            await is_closed(anna, overlay)
            # Forward from the middle goes nowhere, either.
            await anna.page.evaluate("history.forward()")
            await stands_at(anna, 1)
            await expect(anna.part("call-devices")).to_be_visible()
        await by_back(anna)
        await is_closed(anna, "call-devices")
        await stands_at(anna, 0)
        await anna.page.go_back()
        await expect(anna.page).to_have_url(f"{anna.url}/")


async def test_escape_closes_what_is_on_top_and_nothing_else(street: Street) -> None:
    anna, berta = await phone_with_everything(street)
    await anna.can_move_on()
    await opens(anna, "about-panel")
    await by_escape(anna)
    await is_closed(anna, "about-panel")
    await by_escape(anna)
    await anna.saw("Press Escape once more")
    async with devices(anna, berta):
        await call(anna, berta, "video")
        await opens(anna, "call-devices")
        await opens(anna, "link-step")
        await by_escape(anna)
        await is_closed(anna, "link-step")
        await expect(anna.part("call-devices")).to_be_visible()
        await by_escape(anna)
        await is_closed(anna, "call-devices")
        await expect(anna.part("call")).to_have_attribute("data-state", "active")
    await stands_at(anna, 0)


async def test_opened_and_closed_in_quick_succession(street: Street) -> None:
    anna, _ = await phone_with_everything(street)
    # Closed and opened again before the browser has gone back.
    await anna.part("about").evaluate("button => { for (let press = 0; press < 7; press++) button.click() }")
    await expect(anna.part("about-panel")).to_be_visible()
    await stands_at(anna, 1)
    await by_back(anna)
    await is_closed(anna, "about-panel")
    await stands_at(anna, 0)


async def test_a_reload_with_an_overlay_open_leaves_back_as_it_was(street: Street) -> None:
    anna, berta = await phone_with_everything(street)
    await anna.page.evaluate("location.hash = 'here'")
    await opens(anna, "link-step")
    await stands_at(anna, 1)
    await anna.page.reload()
    await anna.sees_conversation()
    await stands_at(anna, 0)
    await expect(anna.page.get_by_role("dialog")).to_have_count(0)
    await opens(anna, "about-panel")
    await by_back(anna)
    await is_closed(anna, "about-panel")
    await stands_at(anna, 0)
    await anna.page.go_back()
    await expect(anna.page).to_have_url(f"{anna.url}/")
    await berta.say("Still there?")
    await expect(anna.message("Still there?")).to_be_visible()


async def test_what_is_open_goes_with_the_conversation(street: Street) -> None:
    anna, berta = await phone_with_everything(street)
    await opens(anna, "full-view")
    await berta.can_move_on()
    await berta.part("leave").click()
    await anna.sees_ended("has moved on")
    await is_closed(anna, "full-view")
    await anna.part("find-new").click()
    await expect(anna.part("searching")).to_be_visible()
    await stands_at(anna, 0)
