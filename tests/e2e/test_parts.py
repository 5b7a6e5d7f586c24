"""The page is small at first; what comes later comes when it is needed, or says that it cannot."""

from __future__ import annotations

import gzip
import re

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.calling import devices
from tests.e2e.conftest import Street

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

MOST_BYTES = 60_000
"""JavaScript before the first screen can be used, as gzip makes it."""

_SCRIPTS = re.compile(r'(?:src|href)="(/assets/[^"]+[.]js)"')
_IMPORTS = re.compile(r'(?:from|import)\s*["`\']./([^"`\']+[.]js)')
_ENGLISH = re.compile(r"en-[^\"`']+[.]js")


async def test_the_first_screen_needs_little(street: Street) -> None:
    anna = await street.visitor()

    async def text(path: str) -> str:
        return await (await anna.page.request.get(street.server.url + path)).text()

    needed: dict[str, str] = {}
    waiting = _SCRIPTS.findall(await text("/"))
    assert waiting
    while waiting:
        path = waiting.pop()
        if path not in needed:
            needed[path] = await text(path)
            waiting += [f"/assets/{name}" for name in _IMPORTS.findall(needed[path])]
            waiting += [f"/assets/{name}" for name in _ENGLISH.findall(needed[path])]
    assert any("/en-" in path for path in needed)
    sizes = {path: len(gzip.compress(script.encode())) for path, script in needed.items()}
    assert sum(sizes.values()) <= MOST_BYTES, sizes


async def test_a_part_that_cannot_be_loaded_is_told_and_asked_for_again(street: Street) -> None:
    async def without_calls(page: Page) -> None:
        async def refuse(route: Route) -> None:
            await route.abort()

        await page.route("**/assets/calls*.js", refuse)

    anna = await street.visitor(before=without_calls, expecting="net::ERR_FAILED|dynamically imported")
    anna, berta = await street.pair(anna)
    async with devices(anna, berta):
        await anna.part("call-audio").click()
        await anna.saw("This part of the page could not be loaded.")
        await anna.page.unroute("**/assets/calls*.js")
        await anna.part("call-audio").click()
        await expect(berta.part("call-incoming")).to_be_visible()
        await berta.part("decline").click()
        await expect(anna.part("call-line")).to_have_attribute("data-outcome", "declined")


async def test_whoever_loses_the_way_to_the_conversation_can_load_the_page_again(street: Street) -> None:
    async def without_conversations(page: Page) -> None:
        async def refuse(route: Route) -> None:
            await route.abort()

        await page.route("**/assets/Conversation*.js", refuse)

    anna = await street.visitor(before=without_conversations, expecting="net::ERR_FAILED|dynamically imported")
    berta = await street.visitor()
    await berta.start()
    await expect(anna.part("start")).to_be_enabled()
    await anna.part("start").click()
    await expect(anna.part("load-again")).to_be_visible()
    await anna.page.unroute("**/assets/Conversation*.js")
    await anna.part("load-again").click()
    await anna.sees_conversation()
