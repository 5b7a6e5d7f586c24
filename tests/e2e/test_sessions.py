"""Sessions that end, and one session in two tabs: never a dead end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import Street
from tests.e2e.visitor import end_session

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

NEW_SESSION = "Your earlier session ended, so you have a new one."


async def test_a_server_that_forgot_everybody_gives_new_sessions(street: Street) -> None:
    mine = await street.cable()
    anna, berta = await street.pair(*await street.visitors(through=mine))
    carla = await street.visitor(through=mine)
    await carla.sees_connection("Connected")
    name = await carla.part("name-input").input_value()
    partner = await anna.partner()
    await anna.say("Hello")
    await berta.sees("Hello")
    for visitor in (anna, berta, carla):
        visitor.expect_complaint()
    mine.target = (await street.another_server(jwt_secret="another secret, of more than 32 characters")).port
    mine.drop()
    await anna.sees_ended(f"Your session ended, so the conversation with {partner} ended too.")
    await anna.sees("Hello")
    await expect(carla.words(NEW_SESSION)).to_be_visible()
    await expect(carla.part("name-input")).to_have_value(name)
    await anna.part("find-new").click()
    await carla.part("start").click()
    await anna.sees_conversation()
    await carla.say("It goes on")
    await anna.sees("It goes on")


async def test_a_session_that_was_ended_elsewhere_becomes_a_new_one(street: Street) -> None:
    anna, berta = await street.pair()
    name = await berta.partner()
    await anna.say("Hello")
    await berta.sees("Hello")
    await anna.end_session()
    await berta.sees_ended(f"{name} is gone.")
    await anna.sees_ended("Your session ended")
    await anna.part("find-new").click()
    await berta.part("find-new").click()
    await anna.sees_conversation()
    assert await berta.partner() == name
    await anna.say("Here again")
    await berta.sees("Here again")


async def test_a_tab_with_a_token_of_the_past_starts_anew(street: Street) -> None:
    anna = await street.visitor()
    await anna.sees_connection("Connected")
    token = await anna.token()
    await anna.go_away()
    await end_session(anna.page, anna.url, token)
    await anna.page.goto(anna.url)
    await expect(anna.words(NEW_SESSION)).to_be_visible()
    assert await anna.token() != token
    await street.pair(anna)


async def test_a_search_goes_on_with_the_new_session(street: Street) -> None:
    anna, berta = await street.visitors()
    await anna.start()
    await expect(anna.words("Nobody else is looking just now")).to_be_visible()
    await anna.end_session()
    await expect(anna.words(NEW_SESSION)).to_be_visible()
    await berta.start()
    await anna.sees_conversation()
    await berta.sees_conversation()


# On a page that is not secure there are no locks, and the first tab is asked: here it has more time to answer, for the
# machine may be busy.
WITHOUT_LOCKS = """
delete Navigator.prototype.locks;
const setTimer = window.setTimeout;
window.setTimeout = (then, ms, ...given) => setTimer(then, ms === 250 ? 3000 : ms, ...given);
"""


async def without_locks(page: Page) -> None:
    await page.context.add_init_script(WITHOUT_LOCKS)


@pytest.mark.parametrize("before", [None, without_locks], ids=["locks", "no locks"])
async def test_a_duplicated_tab_is_a_guest_of_its_own(
    street: Street, before: Callable[[Page], Awaitable[None]] | None
) -> None:
    # In a browser that nobody uses again.
    anna, berta = await street.pair(await street.visitor(touch=True, before=before))
    assert await anna.page.evaluate("'locks' in navigator") == (before is None)
    await anna.say("In the first tab")
    second = await street.second_tab(anna)
    await expect(second.part("start")).to_be_enabled()
    token = await second.token()
    assert token not in (None, await anna.token())
    carla = await street.visitor()
    await street.pair(second, carla)
    await carla.say("Hello, copy")
    await second.sees("Hello, copy")
    await berta.say("Still here")
    await anna.sees("In the first tab", "Still here")
    # Loaded again, each is who it was.
    await anna.page.reload()
    await anna.sees("In the first tab", "Still here")
    await second.page.reload()
    await second.sees("Hello, copy")
    await second.end_session()


async def test_the_same_guest_in_another_browser_takes_over_and_gives_back(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.say("In the first tab")
    await berta.sees("In the first tab")
    second = await street.same_guest(anna)
    await second.sees("In the first tab")
    await expect(anna.words("Passerby is open for you in another tab or window")).to_be_visible()
    await expect(anna.part("use-here")).to_have_text("Use here")
    await anna.sees_connection("Not connected")
    await second.say("In the second tab")
    await berta.sees("In the first tab", "In the second tab")
    await anna.part("use-here").click()
    await anna.sees("In the first tab", "In the second tab")
    await expect(second.part("use-here")).to_be_visible()
    await anna.say("In the first again")
    await berta.sees("In the first tab", "In the second tab", "In the first again")
    await berta.say("Where are you?")
    await anna.sees("In the first tab", "In the second tab", "In the first again", "Where are you?")
