"""Links in messages: they say where they lead, and nobody leaves without being asked."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Locator, Request, ViewportSize, expect

from tests.e2e.conftest import Street
from tests.e2e.test_accessibility import CUT_OFF, FOCUS_RING, LAPTOP, LOW_CONTRAST, PHONE
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

ELSEWHERE = "https://*.example/**"
SHOWN_BEHIND = "element => getComputedStyle(element, '::after').content"
SELECT_ALL = """
(element) => {
  getSelection().selectAllChildren(element);
  return String(getSelection());
}
"""


@contextlib.asynccontextmanager
async def elsewhere(visitor: Visitor) -> AsyncIterator[list[Request]]:
    """Pages that the visitor could go to, without a network; yields who was asked for one."""
    asked: list[Request] = []
    context = visitor.page.context

    def note(request: Request) -> None:
        if ".example/" in request.url:
            asked.append(request)

    context.on("request", note)
    await context.route(ELSEWHERE, lambda route: route.fulfill(body="<title>Elsewhere</title>"))
    try:
        yield asked
    finally:
        context.remove_listener("request", note)
        await context.unroute(ELSEWHERE)


def link_of(visitor: Visitor) -> Locator:
    return visitor.messages.last.locator(".text a")


async def test_a_link_asks_first_and_opens_beside_the_conversation(street: Street) -> None:
    anna, berta = await street.pair()
    await berta.say("Look: https://www.example/a?b=1#c. Nice?")
    link = link_of(anna)
    await expect(link).to_have_text("https://www.example/a?b=1#c")
    await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    async with elsewhere(anna) as asked:
        await link.click()
        step = anna.page.get_by_role("dialog", name="You are leaving Passerby")
        await expect(anna.part("link-host")).to_have_text("www.example")
        await expect(step).to_contain_text("https://www.example/a?b=1#c")
        await expect(anna.part("link-stay")).to_be_focused()
        await anna.page.keyboard.press("Escape")
        await expect(step).to_have_count(0)
        await expect(link).to_be_focused()

        # By keyboard, and with the button that opens a tab at once elsewhere.
        await link.press("Enter")
        await anna.part("link-stay").click()
        await link.click(button="middle")
        await anna.part("link-stay").click()
        await link.click(modifiers=["ControlOrMeta"])
        assert asked == []
        async with anna.page.context.expect_page() as opened:
            await anna.part("link-open").click()
        page = await opened.value
        await expect(page).to_have_title("Elsewhere")
        assert await page.evaluate("[opener, document.referrer]") == [None, ""]
        assert asked[0].headers.get("referer") is None
        await page.close()
        await expect(step).to_have_count(0)
    # It goes on in its tab.
    await anna.say("Nice!")
    await berta.sees_states("delivered", "received")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://аpple.example/", "xn--pple-43d.example"),  # noqa: RUF001 - a Cyrillic letter, which is the point
        ("https://bank.example@evil.example/login", "evil.example"),
        ("https://münchen.example/", "xn--mnchen-3ya.example"),
    ],
)
async def test_a_link_that_looks_like_another_says_where_it_leads(street: Street, text: str, host: str) -> None:
    anna, berta = await street.pair()
    await berta.say(text)
    link = link_of(anna)
    assert host in await link.evaluate(SHOWN_BEHIND)
    await link.click()
    await expect(anna.part("link-host")).to_have_text(host)
    await anna.part("link-stay").click()
    # What is copied is what was written.
    assert await anna.messages.last.locator(".text").evaluate(SELECT_ALL) == text


async def test_only_pages_are_links_and_the_whole_text_can_be_selected(street: Street) -> None:
    anna, berta = await street.pair()
    text = "javascript:alert(1) data:text/html,x www.b.example (https://a.example/x) file:///etc"
    await berta.say(text)
    await expect(link_of(anna)).to_have_text("https://a.example/x")
    shown = anna.messages.last.locator(".text")
    assert await shown.evaluate(SELECT_ALL) == text
    # Pressed while it is selected, it is pressed.
    await link_of(anna).click()
    await anna.part("link-stay").click()


@pytest.mark.parametrize("settings", [{"text_limit": "16000"}])
async def test_a_text_made_of_links_costs_no_time(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.page.evaluate(
        """() => {
          window.longest = 0;
          new PerformanceObserver((list) => {
            for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
          }).observe({ type: 'longtask' });
        }"""
    )
    for number, text in enumerate(("http://" * 2000, "http://a.example/(" + ")" * 15_000, "http://a.b " * 1400), 1):
        await berta.composer.fill(text)
        await berta.composer.press("Enter")
        await expect(anna.messages).to_have_count(number)
    await expect(link_of(anna)).to_have_count(100)
    # Laying out 16,000 characters takes its time; what is quadratic takes seconds.
    assert await anna.page.evaluate("window.longest") < 1000


@pytest.mark.parametrize("viewport", [PHONE, LAPTOP], ids=["phone", "laptop"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_the_step_fits_and_is_easy_to_read(street: Street, viewport: ViewportSize, dark: bool) -> None:
    anna, berta = await street.pair(await street.visitor(viewport=viewport, dark=dark))
    await anna.page.evaluate("document.documentElement.style.fontSize = '200%'")
    await berta.say(f"https://{'long-' * 11}name.{'another-' * 7}one.example/{'path/' * 60}")
    await link_of(anna).press("Enter")
    await expect(anna.part("link-step")).to_be_visible()
    assert await anna.page.evaluate(CUT_OFF) == []
    assert await anna.page.evaluate(LOW_CONTRAST) == []
    assert await anna.page.evaluate(FOCUS_RING) >= 2
    await anna.page.keyboard.press("Tab")
    await expect(anna.part("link-open")).to_be_focused()
    await anna.part("link-stay").click()
