"""Languages that are written by an input method: its keys are its own."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Street
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

# As Safari tells of the key that picks a suggestion or closes the list: after the composition, by its number alone.
AS_SAFARI = """
(key) => {
  const composer = document.querySelector('[data-testid="composer"]');
  composer.dispatchEvent(new CompositionEvent('compositionend', { data: composer.value, bubbles: true }));
  const event = new KeyboardEvent('keydown', { key, keyCode: 229, bubbles: true, cancelable: true });
  composer.dispatchEvent(event);
  return event.defaultPrevented;
}
"""


async def press_as_safari(visitor: Visitor, key: str) -> bool:
    """Press a key of the input method's; whether the page took it for its own."""
    taken: bool = await visitor.page.evaluate(AS_SAFARI, key)
    return taken


async def test_the_enter_that_picks_a_suggestion_sends_nothing(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.composer.fill("こんにちは")
    assert not await press_as_safari(anna, "Enter")
    await expect(anna.composer).to_have_value("こんにちは")
    await anna.composer.press("Enter")
    await berta.sees("こんにちは")
    await anna.sees("こんにちは")


async def test_the_escape_that_closes_its_list_does_not_move_on(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.can_move_on()
    for _ in range(3):
        await press_as_safari(anna, "Escape")
    await expect(anna.words("Press Escape once more")).to_have_count(0)
    await anna.say("Still here")
    await berta.sees("Still here")


async def test_a_comma_of_an_input_method_ends_an_interest(street: Street) -> None:
    anna = await street.visitor()
    await expect(anna.part("start")).to_be_enabled()
    await anna.part("interest-input").focus()
    keyboard = await anna.page.context.new_cdp_session(anna.page)
    composing = {"text": "音楽、", "selectionStart": 3, "selectionEnd": 3}
    await keyboard.send("Input.imeSetComposition", composing)
    await expect(anna.part("interest-input")).to_have_value("音楽、")
    await expect(anna.part("interest")).to_have_count(0)
    await keyboard.send("Input.insertText", {"text": "音楽、"})
    await expect(anna.part("interest")).to_have_text(["音楽"])
    await expect(anna.part("interest-input")).to_have_value("")
