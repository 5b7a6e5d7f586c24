"""In the guest's own language: the browser's wish, the guest's choice, and what happens without either."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from tests.e2e import tours
from tests.e2e.conftest import Street, Tabs
from tests.e2e.test_accessibility import CUT_OFF, PHONE, tab_to
from tests.e2e.test_console import desks_of
from tests.e2e.visitor import BROKEN_CONNECTION, Visitor, end_session

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

NOBODYS = "qaa"
"""A tag that no language has, or will have: reserved for private use."""

NO_STORAGE = """
Object.defineProperty(window, 'localStorage', {
  get: () => { throw new DOMException('forbidden', 'SecurityError'); },
});
"""

# The page's own words that do not fit into one line, and letters of controls that are smaller than those around them.
BROKEN_OR_SMALL = """
() => {
  const found = [];
  for (const element of document.querySelectorAll('h2, dt, label, legend, nav a, .button')) {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      for (const { 0: word, index } of node.data.matchAll(/[^\\s-]+-?/g)) {
        const range = document.createRange();
        range.setStart(node, index);
        range.setEnd(node, index + word.length);
        if (range.getClientRects().length > 1) found.push(`${word} is broken`);
      }
    }
  }
  for (const control of document.querySelectorAll('input, select, textarea')) {
    const [own, around] = [control, control.parentElement].map((one) => parseFloat(getComputedStyle(one).fontSize));
    if (own < around) found.push(`${control.dataset.testid} is written in ${own} px, what is around it in ${around}`);
  }
  return found;
}
"""


@contextlib.asynccontextmanager
async def reading(
    street: Street, locale: str, *, script: str | None = None, missing: str | None = None
) -> AsyncIterator[Visitor]:
    """Someone on a phone whose browser asks for pages in this language; the files called `missing` do not come."""
    neighbour = await street.visitor()
    browser = neighbour.page.context.browser
    assert browser is not None
    context = await browser.new_context(locale=locale, viewport=PHONE, reduced_motion="reduce")
    if script is not None:
        await context.add_init_script(script)
    if missing is not None:
        await context.route(missing, lambda route: route.abort())
    visitor = Visitor(await context.new_page(), street.server.url, [BROKEN_CONNECTION] if missing else [])
    await visitor.page.goto(visitor.url)
    try:
        yield visitor
    finally:
        await end_session(visitor.page, visitor.url, await visitor.token())
        await context.close()
    assert not visitor.complaints, "\n".join(visitor.complaints)


async def speaks(page: Page, tag: str, title: str) -> None:
    await expect(page.locator("html")).to_have_attribute("lang", tag)
    await expect(page.locator("html")).to_have_attribute("dir", "ltr")
    await expect(page.get_by_role("heading", level=1)).to_have_text(title)


async def starts_in_english(visitor: Visitor) -> None:
    await speaks(visitor.page, "en", "Say hello to a passer-by.")


async def starts_in_german(visitor: Visitor) -> None:
    await speaks(visitor.page, "de", "Sag Hallo im Vorbeigehen.")


async def test_a_browser_that_asks_for_german_gets_it_from_start_to_goodbye(street: Street) -> None:
    berta = await street.visitor()
    async with reading(street, "de-AT") as anna:
        await starts_in_german(anna)
        await anna.sees_connection("Verbunden")
        await expect(anna.part("language")).to_have_accessible_name("Sprache")
        await anna.part("name-input").fill("ab")
        await expect(anna.words("Bitte mindestens 3 Zeichen.")).to_be_visible()
        await anna.start("Anna_1")
        await berta.start("Berta_1")
        await anna.sees_conversation()
        await expect(anna.words("Du und Berta_1 seid euch gerade begegnet. Sag Hallo.")).to_be_visible()
        await expect(anna.composer).to_have_accessible_name("Nachricht")
        await berta.composer.press_sequentially("Hm")
        await expect(anna.part("typing")).to_have_text("Berta_1 schreibt …")
        await anna.composer.fill("x" * 950)
        await expect(anna.words(re.compile(r"^950 von 1\s000$"))).to_be_visible()
        await anna.composer.fill("")
        await berta.part("leave").click()
        await anna.sees_ended("Berta_1 ist weitergezogen.")


async def test_the_guest_chooses_by_keyboard_without_a_reload_and_is_remembered(street: Street) -> None:
    async with reading(street, NOBODYS) as anna:
        await starts_in_english(anna)
        await anna.page.evaluate("window.same = true")
        await tab_to(anna, "language")
        await anna.page.keyboard.type("Deu")
        await starts_in_german(anna)
        await expect(anna.part("language")).to_be_focused()
        options = anna.part("language").locator("option")
        offered = await options.evaluate_all("all => all.map((one) => `${one.lang} ${one.text}`)")
        assert {"en English", "de Deutsch"} <= set(offered)
        assert await anna.page.evaluate("window.same")
        await anna.page.reload()
        await starts_in_german(anna)
        await expect(anna.part("language")).to_have_value("de")


async def test_what_happens_goes_on_in_the_language_that_is_chosen(street: Street) -> None:
    async with reading(street, "en-US") as anna:
        await anna.start()
        await expect(anna.words("Nobody else is looking just now")).to_be_visible()
        await anna.part("language").select_option("de")
        await expect(anna.words("Gerade sucht sonst niemand.")).to_be_visible()
        await expect(anna.page.get_by_role("status").filter(has_text="Gerade sucht sonst niemand.")).to_have_count(1)
        await anna.sees_connection("Verbunden")
        await expect(anna.part("cancel-search")).to_have_text("Abbrechen")


async def test_a_browser_that_keeps_nothing_can_still_choose(street: Street) -> None:
    async with reading(street, "de", script=NO_STORAGE) as anna:
        await starts_in_german(anna)
        await anna.part("language").select_option("en")
        await starts_in_english(anna)


async def test_words_that_do_not_come_are_english(street: Street) -> None:
    async with reading(street, "de", missing="**/assets/de-*.js") as anna:
        await starts_in_english(anna)
        await anna.part("language").select_option("de")
        await expect(anna.words("This language cannot be loaded right now.")).to_be_visible()
        await expect(anna.part("language")).to_have_value("en")
        await starts_in_english(anna)
        await expect(anna.part("start")).to_be_enabled()


async def test_without_any_words_the_page_says_so(street: Street) -> None:
    async with reading(street, "de", missing="**/assets/{de,en}-*.js") as anna:
        await expect(anna.words("Passerby could not be loaded.")).to_be_visible()
        await expect(anna.words("Passerby konnte nicht geladen werden.")).to_be_visible()
        await anna.page.context.unroute_all()
        await anna.page.get_by_role("link", name="Noch einmal versuchen").click()
        await starts_in_german(anna)


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
async def test_large_german_words_fit_on_a_phone_whichever_way_one_reads(street: Street, direction: str) -> None:
    berta = await street.visitor()
    async with reading(street, "de") as anna:
        await starts_in_german(anna)
        await anna.page.add_style_tag(content="html { font-size: 200% !important }")
        # The longest words, whichever way they are read.
        await anna.page.evaluate("dir => { document.documentElement.dir = dir; }", direction)

        async def nothing_is_cut_off() -> None:
            assert await anna.page.evaluate(CUT_OFF) == []

        await expect(anna.part("online-count")).to_be_visible()
        await nothing_is_cut_off()
        await anna.start()
        await expect(anna.words("Gerade sucht sonst niemand.")).to_be_visible()
        await nothing_is_cut_off()
        await berta.start("MMMMMMMMMMMMMMMMMMMM")
        await anna.sees_conversation()
        await anna.say("Donaudampfschifffahrtsgesellschaftskapitän")
        await berta.say("שלום")
        await berta.composer.press_sequentially("Hm")
        await expect(anna.part("typing")).to_be_visible()
        await nothing_is_cut_off()
        await berta.part("leave").click()
        await anna.sees_ended("ist weitergezogen")
        await nothing_is_cut_off()


async def test_the_console_in_german_fits_on_a_phone_also_with_large_text(tabs: Tabs) -> None:
    found: list[str] = []

    async def look(visitor: Visitor, screen: str) -> None:
        await visitor.page.set_viewport_size(PHONE)
        for size in ("200%", "100%"):
            await visitor.page.evaluate("size => { document.documentElement.style.fontSize = size; }", size)
            for wrong in (CUT_OFF, BROKEN_OR_SMALL):
                found.extend(f"{screen} at {size}: {what}" for what in await visitor.page.evaluate(wrong))

    async with desks_of(tabs) as desks:
        await tours.at_the_desks(desks, look, language="de")
    assert not found, "\n".join(found)
