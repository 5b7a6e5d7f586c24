"""What people write is shown as they wrote it, or they are told why not."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.conftest import Street

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

SESSIONS = "**/api/guest"

# Somebody who is faster than any limit, on however busy a machine: all presses are within one turn of the page. Between
# two of them the page has done what its promises do, so that the next button is there.
PRESS = """
async (names) => {
  for (const name of names) {
    document.querySelector(`[data-testid="${name}"]`).click();
    for (let kept = 0; kept < 10; kept++) await null;
  }
}
"""

FAMILY = "👩\u200d👩\u200d👧\u200d👦"


TEXTS = (
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script><b>bold</b>",
    "&lt;b&gt; &amp; {{7*7}} ${7*7} javascript:alert(1)",
    f"👋🏽 {FAMILY} 🇩🇪 e\u0301",
    "שלום, מה שלומך? (hello) 12:30",
    "first line\nsecond line\n\n  indented",
    "https://example.com/?a=1&b=2",
    "x" * 1000,
    FAMILY * 1000,
)


async def test_a_text_is_shown_as_it_was_written(street: Street) -> None:
    anna, berta = await street.pair()
    for number, text in enumerate(TEXTS, 1):
        await anna.say(text)
        for visitor in (berta, anna):
            await expect(visitor.messages).to_have_count(number)
            shown = visitor.messages.last.locator(".text")
            assert await shown.inner_text() == text
            # A link is the one thing that a text can be besides itself: test_links.py.
            assert await shown.evaluate("element => element.querySelectorAll(':not(a)').length") == 0
            assert await shown.locator("a").all_inner_texts() == ([text] if text.startswith("https:") else [])
            await expect(visitor.page).to_have_title("Passerby")
            fits = "element => element.scrollWidth <= element.clientWidth"
            assert await visitor.page.get_by_role("log").evaluate(fits)
    await anna.sees_states(*["delivered"] * len(TEXTS))


async def test_right_to_left_text_is_laid_out_so(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.say("שלום", "Hello")
    await expect(berta.message("שלום").locator(".text")).to_have_css("direction", "rtl")
    await expect(berta.message("Hello").locator(".text")).to_have_css("direction", "ltr")


async def test_a_thousand_and_one_characters_cannot_be_sent(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.composer.fill("x" * 1001)
    await expect(anna.words("1,001 of 1,000")).to_be_visible()
    await expect(anna.composer).to_have_attribute("aria-invalid", "true")
    await expect(anna.part("send")).to_be_disabled()
    await anna.composer.press("Enter")
    await expect(anna.composer).to_have_value("x" * 1001)
    await anna.composer.press("Backspace")
    await expect(anna.words("1,000 of 1,000")).to_be_visible()
    await expect(anna.part("send")).to_be_enabled()
    await anna.part("send").click()
    await berta.sees("x" * 1000)
    await expect(anna.composer).to_be_focused()


async def test_nothing_but_space_cannot_be_sent(street: Street) -> None:
    anna, berta = await street.pair()
    await expect(anna.part("send")).to_be_disabled()
    await anna.composer.fill(" \n\t ")
    await expect(anna.part("send")).to_be_disabled()
    await anna.composer.press("Enter")
    await anna.say("Something")
    await berta.sees("Something")


async def test_shift_and_enter_make_a_new_line(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.composer.press_sequentially("one")
    low = await anna.composer.evaluate("element => element.clientHeight")
    await anna.composer.press("Shift+Enter")
    await anna.composer.press_sequentially("two")
    assert await anna.composer.evaluate("element => element.clientHeight") > low
    await anna.composer.press("Enter")
    await expect(berta.messages.locator(".text")).to_have_text("one\ntwo", use_inner_text=True)
    await expect(anna.composer).to_have_value("")
    assert await anna.composer.evaluate("element => element.clientHeight") == low


async def test_whoever_reads_above_is_told_of_new_messages_and_not_moved(street: Street) -> None:
    anna, berta = await street.pair(await street.visitor(viewport={"width": 390, "height": 500}))
    lines = [f"Line {number}" for number in range(1, 16)]
    await berta.say(*lines)
    await anna.sees(*lines)
    await expect(anna.message("Line 15")).to_be_in_viewport()
    await anna.page.get_by_role("log").evaluate("log => log.scrollTo(0, 0)")
    await expect(anna.message("Line 1")).to_be_in_viewport()
    await berta.say("The news")
    button = anna.page.get_by_role("button", name="1 new message")
    await expect(button).to_be_visible()
    await expect(anna.message("Line 1")).to_be_in_viewport()
    await button.click()
    await expect(anna.message("The news")).to_be_in_viewport()
    await expect(button).to_have_count(0)


@pytest.mark.parametrize("settings", [{"limit_messages": "2/4"}])
async def test_who_writes_too_fast_is_told_kindly_and_nothing_is_lost(street: Street) -> None:
    anna, berta = await street.pair()
    lines = [str(number) for number in range(1, 9)]
    await anna.say_at_once(*lines)
    await anna.saw("Too many messages at once.")
    await berta.sees(*lines)
    await anna.sees(*lines)
    await anna.sees_states(*["delivered"] * len(lines))
    await expect(anna.words("Too many messages at once.")).to_have_count(0)


@pytest.mark.parametrize("settings", [{"limit_matching": "2/1"}])
async def test_who_searches_too_fast_is_told_kindly_and_the_search_goes_on(street: Street) -> None:
    anna, berta = await street.visitors()
    await expect(anna.part("start")).to_be_enabled()
    await anna.sees_connection("Connected")
    await anna.page.evaluate(PRESS, ["start", "cancel-search", "start"])
    await anna.saw("That was a little fast.")
    await berta.start()
    await anna.sees_conversation()
    await berta.sees_conversation()


@pytest.mark.parametrize("settings", [{"limit_address_sessions": "1/0.5"}])
async def test_who_comes_too_often_is_told_kindly_and_let_in_later(street: Street) -> None:
    async def others_come_first(page: Page) -> None:
        """Somebody of the same address is always a moment faster, the first time."""

        async def first(route: Route) -> None:
            await page.request.post(route.request.url, data={})
            await route.continue_()

        await page.route(SESSIONS, first, times=1)

    anna = await street.visitor()
    await expect(anna.part("start")).to_be_enabled()
    berta = await street.visitor(expecting=re.escape("429 (Too Many Requests)"), before=others_come_first)
    await berta.saw("That was a little fast.")
    await expect(berta.part("start")).to_be_enabled()
    await expect(berta.words("That was a little fast.")).to_have_count(0)
    await street.pair(anna, berta)
