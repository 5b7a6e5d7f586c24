"""What a guest sees when the connection is not what it should be; and that nothing is lost or doubled by it."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Street
from tests.e2e.visitor import BROKEN_CONNECTION

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_a_reload_keeps_the_conversation(street: Street) -> None:
    anna, berta = await street.pair()
    partner = await anna.partner()
    for number in range(3):
        await anna.say(f"Anna {number}")
        await expect(berta.messages).to_have_count(2 * number + 1)
        await berta.say(f"Berta {number}")
        await expect(anna.messages).to_have_count(2 * number + 2)
    everything = [f"{who} {number}" for number in range(3) for who in ("Anna", "Berta")]
    await anna.page.reload()
    await anna.sees_conversation()
    await anna.sees(*everything)
    await anna.sees_states(*["delivered", "received"] * 3)
    assert await anna.partner() == partner
    await anna.say("Here I am again")
    await berta.sees(*everything, "Here I am again")
    await berta.page.reload()
    await berta.sees(*everything, "Here I am again")
    await berta.say("And so am I")
    await anna.sees(*everything, "Here I am again", "And so am I")


async def test_a_reload_keeps_the_search(street: Street) -> None:
    anna, berta = await street.visitors()
    await anna.start()
    await anna.page.reload()
    await expect(anna.part("searching")).to_be_visible()
    await berta.start()
    await anna.sees_conversation()
    await berta.sees_conversation()


async def test_a_lost_connection_is_said_and_nothing_is_lost_or_doubled(street: Street) -> None:
    mine = await street.cable()
    anna, berta = await street.pair(await street.visitor(through=mine))
    name = await berta.partner()
    anna.expect_complaint()
    await anna.say("Before")
    await berta.sees("Before")
    mine.cut()
    await anna.sees_connection("Reconnecting…")
    await expect(berta.words(f"{name} lost the connection")).to_be_visible()
    await anna.say("Written without a connection", "And one more")
    await berta.say("Are you there?")
    await berta.sees_states("received", "sent")
    mine.mend()
    await anna.sees_connection("Connected")
    await expect(berta.words(f"{name} lost the connection")).to_have_count(0)
    after = ("Before", "Are you there?", "Written without a connection", "And one more")
    await anna.sees(*after)
    await berta.sees(*after)
    await anna.sees_states("delivered", "received", "delivered", "delivered")
    await berta.sees_states("received", "delivered", "received", "received")


async def test_a_message_whose_answer_was_lost_is_not_doubled(street: Street) -> None:
    mine = await street.cable()
    anna, berta = await street.pair(await street.visitor(through=mine))
    anna.expect_complaint()
    mine.swallow()
    await anna.say("It arrives, but nobody tells me")
    await berta.sees("It arrives, but nobody tells me")
    await berta.say("And this is lost on the way")
    await anna.sees_states("sending")
    mine.mend()
    mine.drop()
    await anna.sees("It arrives, but nobody tells me", "And this is lost on the way")
    await anna.sees_states("delivered", "received")
    await berta.sees("It arrives, but nobody tells me", "And this is lost on the way")
    await berta.sees_states("received", "delivered")


async def test_offline_is_said_in_a_word_and_recovers_by_itself(street: Street) -> None:
    mine = await street.cable()
    anna, berta = await street.pair(await street.visitor(through=mine))
    anna.expect_complaint()
    await anna.page.context.set_offline(True)
    mine.drop()
    await anna.sees_connection("Offline")
    await anna.say("From the tunnel")
    await anna.sees_states("sending")
    await anna.page.context.set_offline(False)
    await anna.sees_connection("Connected")
    await anna.sees_states("delivered")
    await berta.sees("From the tunnel")


async def test_what_was_written_offline_survives_a_reload(street: Street) -> None:
    mine = await street.cable()
    anna, berta = await street.pair(await street.visitor(through=mine))
    anna.expect_complaint()
    mine.cut()
    await anna.sees_connection("Reconnecting…")
    await anna.say("Not sent yet")
    mine.mend()
    await anna.page.reload()
    await anna.sees("Not sent yet")
    await berta.sees("Not sent yet")
    await anna.sees_states("delivered")


async def test_leaving_without_a_connection_is_told_on_return(street: Street) -> None:
    mine = await street.cable()
    anna, berta = await street.pair(await street.visitor(through=mine))
    anna.expect_complaint()
    mine.cut()
    await anna.sees_connection("Reconnecting…")
    await anna.part("leave").click()
    await expect(anna.part("start")).to_be_visible()
    mine.mend()
    await berta.sees_ended("has moved on")
    await anna.sees_connection("Connected")
    await expect(anna.part("start")).to_be_visible()


@pytest.mark.parametrize("settings", [{"grace": "3"}])
async def test_when_the_grace_is_over_both_are_told_and_nobody_is_stuck(street: Street) -> None:
    mine = await street.cable()
    anna, berta = await street.pair(await street.visitor(through=mine))
    name, other = await berta.partner(), await anna.partner()
    anna.expect_complaint()
    await berta.say("This one arrives")
    await anna.sees("This one arrives")
    mine.swallow()  # from now on, however long the grace is: what is said arrives no more
    await berta.say("This one does not")
    await berta.sees_states("delivered", "sent")
    mine.cut()
    await berta.saw(f"{name} lost the connection")
    await berta.sees_ended(f"{name} lost the connection and did not come back.")
    await berta.sees_states("delivered", "undelivered")
    await expect(berta.message("This one does not")).to_contain_text("Not delivered")
    mine.mend()
    await anna.sees_ended(f"conversation with {other}")
    await anna.sees("This one arrives")
    await anna.part("find-new").click()
    await berta.part("find-new").click()
    await anna.sees_conversation()
    await anna.say("Sorry, a tunnel")
    await berta.sees("Sorry, a tunnel")


async def test_it_works_where_websockets_are_blocked(street: Street) -> None:
    mine = await street.cable()
    mine.no_websockets = True
    anna = await street.visitor(through=mine, expecting=BROKEN_CONNECTION)
    _, berta = await street.pair(anna)
    await anna.say("By long polling")
    await berta.sees("By long polling")
    await berta.composer.press_sequentially("A")
    await anna.saw("is typing…")
    await berta.say("And back")
    await anna.sees("By long polling", "And back")
    await anna.sees_states("delivered", "received")
    mine.drop()
    await berta.say("Still there?")
    await anna.sees("By long polling", "And back", "Still there?")
    await anna.page.reload()
    await anna.sees("By long polling", "And back", "Still there?")


async def test_a_server_that_is_not_there_is_said_and_waited_for(street: Street) -> None:
    mine = await street.cable()
    anna = await street.visitor(through=mine)
    anna.expect_complaint()
    await anna.sees_connection("Connected")
    mine.cut()
    await anna.sees_connection("Reconnecting…")
    await anna.part("shuffle").click()
    await expect(anna.words("The server cannot be reached right now.")).to_be_visible()
    await anna.part("start").click()
    await expect(anna.part("searching")).to_be_visible()
    mine.mend()
    berta = await street.visitor()
    await berta.start()
    await anna.sees_conversation()
    await anna.say("At last")
    await berta.sees("At last")
