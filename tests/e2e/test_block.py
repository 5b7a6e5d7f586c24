"""Who blocks another leaves, and the two do not meet again."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Street
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

AT_ONCE = {"match_again": "0"}
"""Whom one has met is met again at once."""


async def searches(*visitors: Visitor) -> None:
    """Check that they search, and would also take whom they have met before."""
    for visitor in visitors:
        await expect(visitor.part("stage")).to_have_attribute("data-stage", "again")


@pytest.mark.parametrize("settings", [AT_ONCE])
async def test_two_who_are_alone_do_not_meet_again(street: Street) -> None:
    anna, berta = await street.pair()
    name = await anna.partner()
    await anna.part("about").click()
    await anna.part("block").click()
    await expect(anna.words(f"Block {name}? You leave, and will not meet again.")).to_be_visible()
    await anna.part("block-yes").click()
    await expect(anna.words(f"You will not meet {name} again.")).to_be_visible()
    await expect(anna.part("undo")).to_have_count(0)
    await berta.sees_ended("has moved on.")

    await berta.part("find-new").click()
    await searches(berta)
    await anna.start()
    await searches(berta, anna)
    for visitor in (anna, berta):
        await visitor.page.reload()
        await searches(anna, berta)
    await anna.part("cancel-search").click()
    await anna.start("Another_1")
    await searches(berta, anna)

    carla, dora = await street.visitors()  # each meets one of the two, who therefore have not met
    for visitor in (carla, dora):
        await visitor.start()
        await visitor.sees_conversation()
    for visitor in (anna, berta):
        await visitor.sees_conversation()


@pytest.mark.parametrize("settings", [AT_ONCE])
async def test_it_is_asked_for_by_keyboard_and_can_be_left_alone(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.part("about").focus()
    await anna.page.keyboard.press("Enter")
    await anna.part("block").focus()
    await anna.page.keyboard.press("Enter")
    await expect(anna.part("block-no")).to_be_focused()
    await anna.page.keyboard.press("Enter")
    await expect(anna.part("about-panel")).to_have_count(0)
    await expect(anna.part("about")).to_be_focused()
    await anna.say("Still here")
    await berta.sees("Still here")

    await anna.part("about").press("Enter")
    await anna.part("block").press("Enter")
    await anna.page.keyboard.press("Escape")
    await expect(anna.part("about-panel")).to_have_count(0)
    await anna.part("about").press("Enter")
    await anna.part("block").press("Enter")
    await anna.page.keyboard.press("Shift+Tab")
    await expect(anna.part("block-yes")).to_be_focused()
    await anna.page.keyboard.press("Enter")
    await expect(anna.part("start")).to_be_focused()
    await berta.sees_ended("has moved on.")
