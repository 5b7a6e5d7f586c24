"""The page under a path of a site (ROOT_PATH): two meet, talk, and send a file."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Street, Tabs
from tests.e2e.test_console import desks_of
from tests.e2e.test_files import PDF

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("settings", [{"root_path": "/chat"}])
async def test_two_talk_and_send_a_file_under_a_prefix(street: Street) -> None:
    anna, ben = await street.visitors()
    for visitor in (anna, ben):
        await visitor.page.goto(f"{visitor.url}/chat")
        assert visitor.page.url == f"{visitor.url}/chat/"
    await street.pair(anna, ben)

    await anna.say("hello")
    await ben.sees("hello")
    await anna.part("file-input").set_input_files(PDF)
    await anna.page.keyboard.press("Enter")

    link = ben.page.get_by_role("link", name="timetable.pdf").or_(ben.part("file").get_by_role("link")).first
    await expect(link).to_be_visible()
    target = await link.get_attribute("href")
    assert target is not None
    assert target.startswith("/chat/api/temp-files/download/")
    answer = await ben.page.request.get(f"{ben.url}{target}")
    assert await answer.body() == PDF["buffer"]


async def test_a_moderator_logs_in_under_a_prefix_and_stays_so(tabs: Tabs) -> None:
    async with desks_of(tabs, root_path="/chat") as desks:
        visitor = await desks.seated(path="/chat/moderate/")
        assert visitor.page.url.partition("#")[0] == f"{desks.url}/chat/moderate"

        await visitor.page.reload()

        await expect(visitor.part("who")).to_be_visible()
        (cookie,) = await visitor.page.context.cookies(f"{desks.url}/chat/api/moderate")
        assert cookie["path"] == "/chat/api/moderate"
