"""A mistaken Next is taken back, as long as there is somebody to come back to."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Street
from tests.e2e.test_accessibility import SOMETHING
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

UNHURRIED = {"undo_seconds": "60", "match_again": "600"}
"""There is time enough, and the two do not meet again by another search."""


async def moves_on(visitor: Visitor) -> None:
    await visitor.can_move_on()
    await visitor.part("next").click()
    await expect(visitor.part("searching")).to_be_visible()
    await expect(visitor.part("undo")).to_be_visible()


@pytest.mark.parametrize("settings", [UNHURRIED])
async def test_next_is_taken_back_and_the_conversation_goes_on(street: Street) -> None:
    anna, berta = await street.pair()
    name = await berta.partner()
    await anna.say("Hello")
    await berta.say("Hello yourself")
    await anna.sees("Hello", "Hello yourself")
    await berta.composer.press_sequentially("And then")
    await moves_on(anna)
    heard = anna.page.get_by_role("status").filter(has_text="You can undo this for 60 seconds.")
    await expect(heard).to_have_count(1)
    await berta.sees_ended(f"{name} pressed Next. They can come back for 60 seconds.")
    await expect(berta.part("find-new")).to_be_visible()
    await anna.part("undo").click()
    await anna.sees_conversation()
    await anna.sees("Hello", "Hello yourself")
    await expect(berta.composer).to_have_value("And then")
    await expect(berta.page.get_by_role("status").filter(has_text=f"{name} is back.")).to_have_count(1)
    await expect(berta.part("conversation-ended")).to_have_count(0)
    await berta.composer.press("Enter")
    await anna.say("That was a slip")
    await berta.sees("Hello", "Hello yourself", "And then", "That was a slip")
    await anna.sees("Hello", "Hello yourself", "And then", "That was a slip")
    await anna.sees_states("delivered", "received", "received", "delivered")


@pytest.mark.parametrize("settings", [UNHURRIED])
async def test_next_is_taken_back_by_keyboard_with_the_draft_and_the_place(street: Street) -> None:
    anna, berta = await street.pair()
    await berta.say(*(f"Message {number}" for number in range(30)))
    await expect(anna.messages).to_have_count(30)
    await anna.composer.fill("Half a thought")
    log = anna.page.get_by_role("log")
    await log.evaluate("log => new Promise(heard => { log.onscrollend = heard; log.scrollTop = 200 })")
    await moves_on(anna)
    await expect(anna.part("cancel-search")).to_be_focused()
    await anna.page.keyboard.press("Shift+Tab")
    await expect(anna.part("undo")).to_be_focused()
    await expect(anna.part("undo")).to_have_attribute("aria-keyshortcuts", "Control+Z Meta+Z")
    await anna.page.keyboard.press("Control+z")
    await anna.sees_conversation()
    await expect(anna.composer).to_have_value("Half a thought")
    await expect(anna.messages).to_have_count(30)
    await expect(log).to_have_js_property("scrollTop", 200)
    assert "Message 1" not in await anna.page.evaluate("JSON.stringify(sessionStorage)")


@pytest.mark.parametrize("settings", [{"undo_seconds": "1", "match_again": "600"}])
async def test_when_the_time_is_over_the_way_back_is_gone(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.can_move_on()
    await anna.part("next").click()
    await berta.sees_ended("has moved on.")
    await expect(anna.part("searching")).to_be_visible()
    await expect(anna.part("undo")).to_have_count(0)


@pytest.mark.parametrize("settings", [UNHURRIED])
async def test_who_has_moved_on_as_well_is_not_brought_back(street: Street) -> None:
    anna, berta = await street.pair()
    await moves_on(anna)
    await berta.part("find-new").click()
    await expect(berta.part("stage")).to_have_attribute("data-stage", SOMETHING)
    await anna.part("undo").click()
    await expect(anna.words("There is no way back any more")).to_be_visible()
    await expect(anna.part("undo")).to_have_count(0)
    for visitor in (anna, berta):
        await expect(visitor.part("searching")).to_be_visible()


@pytest.mark.parametrize("settings", [UNHURRIED])
async def test_somebody_new_leaves_nothing_to_take_back(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.say("Only for you")
    await berta.sees("Only for you")
    await moves_on(anna)
    carla = await street.visitor()
    await carla.start("Carla_1")
    await anna.sees_conversation()
    assert await anna.partner() == "Carla_1"
    await anna.sees()
    await berta.sees("Only for you")
    await anna.can_move_on()
    await anna.part("leave").click()
    await expect(anna.part("start")).to_be_focused()


@pytest.mark.parametrize("settings", [UNHURRIED])
async def test_leave_is_meant(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.can_move_on()
    await anna.part("leave").click()
    await berta.sees_ended("has moved on.")
    await expect(anna.part("undo")).to_have_count(0)


@pytest.mark.parametrize("settings", [UNHURRIED])
async def test_a_reload_is_no_way_back(street: Street) -> None:
    anna, _ = await street.pair()
    await moves_on(anna)
    await anna.page.reload()
    await expect(anna.part("stage")).to_have_attribute("data-stage", SOMETHING)
    await expect(anna.part("undo")).to_have_count(0)
