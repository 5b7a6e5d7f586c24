"""The page is small at first; what comes later comes when it is needed, or says that it cannot."""

from __future__ import annotations

import gzip
import re
from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from tests.e2e.calling import devices
from tests.e2e.conftest import Street
from tests.e2e.test_files import PICTURE, choose, share
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

MOST_BYTES = {"Outside": 67_000, "Conversation": 75_500}
"""JavaScript before the first screen can be used, as gzip makes it: at the start, or reloaded in a conversation."""

MISSING = "net::ERR_FAILED|dynamically imported"
"""What the console says of a part that cannot be loaded."""

_SCRIPTS = re.compile(r'(?:src|href)="[.]?(/assets/[^"]+[.]js)"')
_IMPORTS = re.compile(r'(?:from|import)\s*["`\']./([^"`\']+[.]js)')


@pytest.mark.parametrize("view", MOST_BYTES)
async def test_the_first_screen_needs_little(street: Street, view: str) -> None:
    anna = await street.visitor()
    imported_at_once = re.compile(rf"\bimport\([\"`']./((?:en|{view})-[\w-]+[.]js)")

    async def text(path: str) -> str:
        return await (await anna.page.request.get(street.server.url + path)).text()

    needed: dict[str, str] = {}
    waiting = _SCRIPTS.findall(await text("/"))
    assert waiting
    while waiting:
        path = waiting.pop()
        if path not in needed:
            needed[path] = await text(path)
            names = _IMPORTS.findall(needed[path]) + imported_at_once.findall(needed[path])
            waiting += [f"/assets/{name}" for name in names]
    for name in ("en", view):
        assert any(f"/{name}-" in path for path in needed)
    sizes = {path: len(gzip.compress(script.encode())) for path, script in needed.items()}
    assert sum(sizes.values()) <= MOST_BYTES[view], sizes


def without(*parts: str) -> Callable[[Page], Awaitable[None]]:
    """Let the page load none of these parts."""

    async def before(page: Page) -> None:
        for part in parts:
            await page.route(f"**/assets/{part}*.js", lambda route: route.abort())

    return before


async def has_all_parts(visitor: Visitor, *parts: str) -> None:
    """These parts can be loaded from now on."""
    for part in parts:
        await visitor.page.unroute(f"**/assets/{part}*.js")


async def test_a_part_that_cannot_be_loaded_is_told_and_asked_for_again(street: Street) -> None:
    anna = await street.visitor(before=without("calls"), expecting=MISSING)
    anna, berta = await street.pair(anna)
    async with devices(anna, berta):
        await anna.part("call-audio").click()
        await anna.saw("This part of the page could not be loaded.")
        await has_all_parts(anna, "calls")
        await anna.part("call-audio").click()
        await expect(berta.part("call-incoming")).to_be_visible()
        await berta.part("decline").click()
        await expect(anna.part("call-line")).to_have_attribute("data-outcome", "declined")


async def test_a_call_waits_for_what_shows_it(street: Street) -> None:
    anna = await street.visitor(before=without("CallArea"), expecting=MISSING)
    anna, berta = await street.pair(anna)
    async with devices(anna, berta):
        await berta.part("call-audio").click()
        await anna.saw("This part of the page could not be loaded.")
        await has_all_parts(anna, "CallArea")
        await anna.composer.click()
        await anna.part("decline").click()


async def test_files_wait_for_what_shows_and_sends_them(street: Street) -> None:
    anna = await street.visitor(before=without("FileContent", "upload"), expecting=MISSING)
    anna, berta = await street.pair(anna)
    await share(berta, PICTURE)
    await anna.saw("This part of the page could not be loaded.")
    await anna.sees(PICTURE["name"])
    await has_all_parts(anna, "FileContent")
    await anna.composer.click()
    await expect(anna.part("picture")).to_be_visible()
    await share(anna, PICTURE)
    await expect(anna.part("attachment")).to_contain_text("This part of the page could not be loaded.")
    await has_all_parts(anna, "upload")
    await anna.part("attachment-retry").click()
    await expect(berta.part("picture")).to_have_count(2)


async def test_what_was_chosen_waits_for_what_shows_it(street: Street) -> None:
    anna = await street.visitor(before=without("AttachmentRow"), expecting=MISSING)
    anna, berta = await street.pair(anna)
    await choose(anna, PICTURE)
    await anna.saw("This part of the page could not be loaded.")
    await has_all_parts(anna, "AttachmentRow")
    await anna.composer.click()
    await expect(anna.part("attachment")).to_contain_text(PICTURE["name"])
    await anna.part("send").click()
    await expect(berta.part("picture")).to_be_visible()


async def test_a_link_leads_nowhere_without_its_step(street: Street) -> None:
    anna = await street.visitor(before=without("LinkStep"), expecting=MISSING)
    anna, berta = await street.pair(anna)
    await berta.say("https://www.example/")
    await anna.part("link").click()
    await anna.saw("This part of the page could not be loaded.")
    assert len(anna.page.context.pages) == 1
    await has_all_parts(anna, "LinkStep")
    await anna.part("link").click()
    await expect(anna.part("link-host")).to_have_text("www.example")
    await anna.part("link-stay").click()


async def test_after_a_reload_the_end_is_in_view_though_files_come_later(street: Street) -> None:
    anna, berta = await street.pair()
    await berta.say(*(f"Message {number}" for number in range(20)))
    for _ in range(3):
        await share(berta, PICTURE)
    await expect(anna.part("picture")).to_have_count(3)
    await anna.page.reload()
    await expect(anna.part("picture")).to_have_count(3)
    at_end = "log => log.scrollHeight - log.scrollTop - log.clientHeight < 2"
    await expect(anna.part("picture").last).to_be_in_viewport()
    assert await anna.page.get_by_role("log").evaluate(at_end)


async def test_whoever_loses_the_way_to_the_conversation_can_load_the_page_again(street: Street) -> None:
    anna = await street.visitor(before=without("Conversation"), expecting=MISSING)
    berta = await street.visitor()
    await berta.start()
    await expect(anna.part("start")).to_be_enabled()
    await anna.part("start").click()
    await expect(anna.part("load-again")).to_be_visible()
    await has_all_parts(anna, "Conversation")
    await anna.part("load-again").click()
    await anna.sees_conversation()
