"""For a second after a match nothing ends it: a double click's second click was meant for the one before."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Street
from tests.e2e.visitor import REST_MS, Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def click_at(visitor: Visitor, testid: str) -> None:
    """Click where it is, whether it can be pressed or not: as who has not looked."""
    box = await visitor.part(testid).bounding_box()
    assert box is not None
    await visitor.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


async def test_the_second_click_of_a_double_click_does_not_throw_the_new_match_away(street: Street) -> None:
    # Time stands still, so that the second click comes within a second, however busy the machine.
    anna, berta = await street.pair(await street.visitor(still=True))
    carla = await street.visitor()
    await carla.start()
    await anna.page.clock.run_for(REST_MS)
    await anna.can_move_on()
    await click_at(anna, "next")
    await anna.sees_conversation()
    await carla.sees_conversation()
    name = await anna.partner()
    for press in ("next", "leave"):
        await expect(anna.part(press)).to_be_disabled()
        await click_at(anna, press)
    for _ in range(3):  # and of four Escapes for the one before, the last three
        await anna.page.keyboard.press("Escape")
    assert await anna.partner() == name
    await anna.say("Nice to meet you")
    await carla.sees("Nice to meet you")
    await berta.sees_ended("has moved on")

    await anna.page.clock.run_for(REST_MS - 1)
    await expect(anna.part("next")).to_be_disabled()
    await anna.page.clock.run_for(1)
    await expect(anna.part("next")).to_be_enabled()
    await click_at(anna, "next")
    await carla.sees_ended("has moved on")
