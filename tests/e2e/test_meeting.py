"""Two strangers meet, talk and part."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Street
from tests.e2e.visitor import MOST_OFTEN_MS, PAUSE_MS, REST_MS, TOGETHER_MS

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_two_strangers_talk_within_ten_seconds_of_opening_the_page(street: Street) -> None:
    async with asyncio.timeout(10):
        anna, berta = await street.visitors()
        await asyncio.gather(anna.start(), berta.start())
        await anna.say("Hello, who are you?")
        await berta.sees("Hello, who are you?")
        await berta.say("Somebody who walks by.")
        await anna.sees("Hello, who are you?", "Somebody who walks by.")
    await anna.sees_connection("Connected")
    await expect(anna.messages.first).to_have_attribute("data-own", "true")
    await expect(anna.messages.last).to_have_attribute("data-own", "false")
    await expect(anna.page.get_by_text(f"You and {await anna.partner()} have just met")).to_be_visible()


async def test_each_sees_the_name_that_the_other_chose(street: Street) -> None:
    anna, berta = await street.visitors()
    await anna.start("Anna_1")
    await berta.start("Berta_2")
    await anna.sees_conversation()
    assert await anna.partner() == "Berta_2"
    assert await berta.partner() == "Anna_1"


async def test_ticks_go_from_sending_to_sent_to_delivered(street: Street) -> None:
    mine, theirs = await street.cable(), await street.cable()
    anna, berta = await street.pair(await street.visitor(through=mine), await street.visitor(through=theirs))
    for visitor in (anna, berta):
        visitor.expect_complaint()
    theirs.cut()
    await expect(anna.words("lost the connection")).to_be_visible()
    mine.cut()
    await anna.sees_connection("Reconnecting…")
    await anna.say("Are you still there?")
    await anna.sees_states("sending")
    await expect(anna.message("Are you still there?").get_by_role("img", name="Sending")).to_be_visible()
    mine.mend()
    await anna.sees_states("sent")
    await expect(anna.message("Are you still there?").get_by_role("img", name="Sent")).to_be_visible()
    theirs.mend()
    await anna.sees_states("delivered")
    await expect(anna.message("Are you still there?").get_by_role("img", name="Delivered")).to_be_visible()
    await berta.sees("Are you still there?")


async def test_typing_is_shown_until_the_message_comes_or_the_text_is_gone(street: Street) -> None:
    # Time stands still: the words are there until something else than a pause ends them.
    anna, berta = await street.pair(await street.visitor(still=True), await street.visitor(still=True))
    await anna.composer.press_sequentially("Hm")
    await expect(berta.part("typing")).to_have_text(f"{await berta.partner()} is typing…")
    await anna.composer.press("Enter")
    await berta.sees("Hm")
    await expect(berta.part("typing")).to_have_count(0)
    await anna.page.clock.run_for(MOST_OFTEN_MS)
    await anna.composer.press_sequentially("Well")
    await expect(berta.part("typing")).to_be_visible()
    await anna.composer.press("ControlOrMeta+a")
    await anna.composer.press("Delete")
    await expect(berta.part("typing")).to_have_count(0)


async def test_who_pauses_is_no_longer_typing(street: Street) -> None:
    anna, berta = await street.pair(await street.visitor(still=True), await street.visitor(still=True))
    await anna.composer.press_sequentially("Well")
    await expect(berta.part("typing")).to_be_visible()
    await anna.page.clock.run_for(PAUSE_MS - 1)
    await expect(berta.part("typing")).to_be_visible()
    await anna.page.clock.run_for(1)
    await expect(berta.part("typing")).to_have_count(0)


async def test_next_tells_the_partner_and_searches_at_once(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.say("Take care!")
    await berta.sees("Take care!")
    await anna.part("next").click()
    await expect(anna.part("searching")).to_be_visible()
    await expect(anna.part("cancel-search")).to_be_focused()
    await berta.sees_ended(f"{await berta.partner()} pressed Next.")
    await berta.sees("Take care!")
    await berta.part("find-new").click()
    for visitor in (anna, berta):
        await visitor.sees_conversation()
        await visitor.sees()


async def test_leave_goes_back_to_the_start(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.part("leave").click()
    await expect(anna.part("start")).to_be_focused()
    await berta.sees_ended("has moved on")
    await expect(berta.part("next")).to_have_count(0)
    await berta.part("leave").click()
    await expect(berta.part("start")).to_be_focused()


async def test_escape_asks_once_and_goes_on_the_second_time(street: Street) -> None:
    anna, berta = await street.pair(await street.visitor(still=True))
    await anna.page.clock.run_for(REST_MS)
    await anna.can_move_on()
    await anna.page.keyboard.press("Escape")
    await expect(anna.words("Press Escape once more")).to_be_visible()
    await expect(anna.part("conversation")).to_be_visible()
    await anna.page.keyboard.press("Escape")
    await expect(anna.part("searching")).to_be_visible()
    await berta.sees_ended("has moved on")


async def test_the_hint_for_escape_goes_away_and_the_conversation_stays(street: Street) -> None:
    anna, berta = await street.pair(await street.visitor(still=True))
    await anna.page.clock.run_for(REST_MS)
    await anna.can_move_on()
    for _ in range(2):  # too late for the second of a pair, it is a first one again
        await anna.page.keyboard.press("Escape")
        await expect(anna.words("Press Escape once more")).to_be_visible()
        await anna.page.clock.run_for(TOGETHER_MS + 1)
        await expect(anna.words("Press Escape once more")).to_have_count(0)
    await anna.say("Only a slip.")
    await berta.sees("Only a slip.")


async def test_a_cancelled_search_finds_nobody(street: Street) -> None:
    anna, berta = await street.visitors()
    await anna.start()
    await expect(anna.words("Nobody else is looking just now")).to_be_visible()
    await anna.part("cancel-search").click()
    await expect(anna.part("start")).to_be_focused()
    await berta.start()
    await expect(berta.words("Nobody else is looking just now")).to_be_visible()
    await anna.start()
    await anna.sees_conversation()
    await berta.sees_conversation()


async def test_what_was_being_typed_stays_out_of_the_next_conversation(street: Street) -> None:
    anna, berta = await street.pair()
    carla = await street.visitor()
    await carla.start()
    await expect(carla.part("searching")).to_be_visible()
    await anna.composer.press_sequentially("Only for you")
    await berta.saw("is typing…")
    await anna.part("next").click()
    await carla.sees_conversation()
    await anna.sees_conversation()
    await expect(anna.composer).to_have_value("")
    await expect(carla.part("typing")).to_have_count(0)
    await anna.say("Hello, somebody new")
    await carla.sees("Hello, somebody new")
    await berta.sees()


async def test_a_message_that_never_went_out_stays_out_of_the_next_conversation(street: Street) -> None:
    mine = await street.cable()
    anna, berta = await street.pair(await street.visitor(through=mine))
    carla = await street.visitor()
    await carla.start()
    anna.expect_complaint()
    mine.cut()
    await anna.sees_connection("Reconnecting…")
    await anna.say("Only for you")
    await anna.sees_states("sending")
    await anna.part("next").click()
    mine.mend()
    await anna.sees_conversation()
    await carla.sees_conversation()
    await berta.sees_ended("has moved on")
    await anna.say("Hello, somebody new")
    await carla.sees("Hello, somebody new")
    await anna.sees("Hello, somebody new")
    await berta.sees()


async def test_the_title_counts_what_came_while_nobody_looked(street: Street) -> None:
    anna, berta = await street.pair()
    await expect(anna.page).to_have_title("Passerby")
    # A page in the background, as the browser tells it: headless tabs are never hidden by themselves.
    await anna.page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    await berta.say("One", "Two")
    await expect(anna.page).to_have_title("(2) Passerby")
    await anna.page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    await expect(anna.page).to_have_title("Passerby")


@pytest.mark.parametrize("settings", [{"grace": "0.2", "stats_interval": "0.1"}])
async def test_counts_follow_who_is_there(street: Street) -> None:
    carla = await street.visitor()
    await expect(carla.words("Nobody else is here just now")).to_be_visible()
    anna, berta = await street.visitors()
    for visitor in (anna, berta, carla):
        await expect(visitor.part("online-count")).to_have_text("2")
    await expect(carla.words("other people here")).to_be_visible()
    await expect(carla.words("conversation")).to_have_count(1)  # in the lede
    await street.pair(anna, berta)
    await expect(carla.words(re.compile("^1 conversation$"))).to_be_visible()
    await anna.part("leave").click()
    await expect(carla.words(re.compile("^1 conversation$"))).to_have_count(0)
    await berta.go_away()
    await expect(carla.words("other person here")).to_be_visible()
