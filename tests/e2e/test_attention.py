"""Who looks elsewhere hears of what matters: by the title, a sound, and a notification where it is allowed."""

from __future__ import annotations

import pytest
from playwright.async_api import ViewportSize, expect

from tests.e2e.conftest import Street
from tests.e2e.test_accessibility import LAPTOP, PHONE
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

# A page in the background, as the browser tells it: headless tabs are never hidden by themselves.
LOOK_AWAY = """
() => {
  Object.defineProperty(document, 'hidden', { value: true, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}
"""
LOOK_BACK = """
() => {
  delete document.hidden;
  document.dispatchEvent(new Event('visibilitychange'));
}
"""
# What is heard and what is notified of, as it comes.
NOTE = """
(allowed) => {
  window.heard = [];
  const { start } = OscillatorNode.prototype;
  OscillatorNode.prototype.start = function (when) {
    window.heard.push(Math.round(this.frequency.value));
    start.call(this, when);
  };
  window.notified = [];
  window.Notification = class {
    static permission = allowed;
    static requestPermission = async () => (window.Notification.permission = 'granted');
    constructor(text) { window.notified.push(text); }
    close() { window.notified.push('closed'); }
  };
}
"""
MATCHED, MESSAGE, ENDED = [523, 784], [659], [523, 392]


async def heard(visitor: Visitor) -> list[int]:
    """What sounded since this was asked last, in Hz."""
    sounds: list[int] = await visitor.page.evaluate("heard.splice(0)")
    return sounds


async def test_a_match_a_message_and_the_end_are_told_to_who_looks_elsewhere(street: Street) -> None:
    anna, berta = await street.visitors()
    await anna.page.evaluate(NOTE, "granted")
    await anna.start()
    await anna.page.evaluate(LOOK_AWAY)
    await berta.start("Berta_1")
    await expect(anna.page).to_have_title("Berta_1 is here · Passerby")
    assert await heard(anna) == MATCHED
    await berta.say("One")
    await expect(anna.page).to_have_title("(1) Passerby")
    await berta.say("Two")
    await expect(anna.page).to_have_title("(2) Passerby")
    assert await heard(anna) == MESSAGE  # of many in a row, one
    await berta.part("leave").click()
    await expect(anna.page).to_have_title("Conversation over · Passerby")
    assert await heard(anna) == ENDED
    assert await anna.page.evaluate("notified.filter((text) => text !== 'closed')") == [
        "You are talking with Berta_1.",
        "Berta_1 has written to you.",
        "Berta_1 has written to you.",
        "The conversation with Berta_1 is over.",
    ]
    await anna.page.evaluate(LOOK_BACK)
    await expect(anna.page).to_have_title("Passerby")
    assert await anna.page.evaluate("notified.at(-1)") == "closed"


async def test_who_looks_hears_nothing_and_the_switch_silences_for_good(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.page.evaluate(NOTE, "denied")
    await berta.say("While you look")
    await anna.sees("While you look")
    assert await heard(anna) == []

    switch = anna.page.get_by_role("switch", name="Sounds while you look elsewhere")
    await expect(switch).to_be_checked()
    await switch.click()
    await expect(switch).not_to_be_checked()
    await anna.page.evaluate(LOOK_AWAY)
    await berta.say("And while you do not")
    await expect(anna.page).to_have_title("(1) Passerby")
    assert await heard(anna) == []
    assert await anna.page.evaluate("notified") == []
    await anna.page.reload()
    await expect(switch).not_to_be_checked()
    await switch.click()
    await anna.page.reload()
    await expect(switch).to_be_checked()


async def test_on_a_phone_sounds_are_switched_where_the_partner_is(street: Street) -> None:
    anna, berta = await street.pair(await street.visitor(viewport=PHONE))
    await anna.page.evaluate(NOTE, "denied")
    name = await anna.partner()
    button = anna.page.get_by_role("button", name=f"About {name}, and sounds")
    switch = anna.page.get_by_role("switch", name="Sounds while you look elsewhere")
    await expect(switch).to_have_count(0)
    await button.press("Enter")
    await expect(button).to_have_attribute("aria-expanded", "true")
    await anna.page.keyboard.press("Tab")
    await expect(switch).to_be_focused()
    await expect(switch).to_be_checked()
    await anna.page.keyboard.press("Space")
    await expect(switch).not_to_be_checked()
    await anna.page.keyboard.press("Escape")
    await expect(switch).to_have_count(0)
    await expect(button).to_be_focused()
    await anna.page.evaluate(LOOK_AWAY)
    await berta.say("Quietly")
    await expect(anna.page).to_have_title("(1) Passerby")
    assert await heard(anna) == []
    await anna.page.evaluate(LOOK_BACK)
    await anna.page.evaluate("localStorage.clear()")

    # A finger opens it, and closes it anywhere else.
    await button.click()
    await expect(switch).to_be_visible()
    await anna.sees("Quietly")
    await anna.message("Quietly").click()
    await expect(switch).to_have_count(0)


async def test_a_reload_in_the_background_brings_no_old_news(street: Street) -> None:
    anna, berta = await street.pair()
    await berta.say("Old")
    await anna.sees("Old")
    away = "Object.defineProperty(document, 'hidden', { value: true, configurable: true })"
    session = await anna.page.context.new_cdp_session(anna.page)
    await session.send("Page.enable")
    script = await session.send("Page.addScriptToEvaluateOnNewDocument", {"source": away})
    await anna.page.reload()
    await anna.sees("Old")
    await berta.say("New")
    await expect(anna.page).to_have_title("(1) Passerby")
    await session.send("Page.removeScriptToEvaluateOnNewDocument", script)
    await session.detach()


@pytest.mark.parametrize("viewport", [PHONE, LAPTOP], ids=["phone", "laptop"])
async def test_who_waits_may_ask_to_be_told(street: Street, viewport: ViewportSize) -> None:
    anna = await street.visitor(viewport=viewport)
    await anna.page.evaluate(NOTE, "default")
    await anna.start()
    await expect(anna.part("sound")).to_be_visible()
    await anna.page.get_by_role("button", name="Tell me when someone comes").click()
    await expect(anna.part("ask-alerts")).to_have_count(0)
    await anna.page.evaluate(LOOK_AWAY)
    berta = await street.visitor()
    await berta.start("Berta_1")
    await expect(anna.page).to_have_title("Berta_1 is here · Passerby")
    assert await anna.page.evaluate("notified") == ["You are talking with Berta_1."]
    await anna.page.evaluate(LOOK_BACK)
