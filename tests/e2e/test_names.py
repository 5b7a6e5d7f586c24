"""The name that a guest chooses."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.conftest import Street

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

RANDOM = re.compile(r"^[A-Z][a-z]+[A-Z][a-z]+\d+$")


async def test_a_name_is_there_already_and_shuffle_gives_another(street: Street) -> None:
    anna = await street.visitor()
    await expect(anna.part("name-input")).to_have_value(RANDOM)
    first = await anna.part("name-input").input_value()
    await anna.part("shuffle").click()
    await expect(anna.part("name-input")).not_to_have_value(first)
    await expect(anna.part("name-input")).to_have_value(RANDOM)
    chosen = await anna.part("name-input").input_value()
    _, berta = await street.pair(anna)
    assert await berta.partner() == chosen


async def test_a_name_that_cannot_be_is_answered_in_words(street: Street) -> None:
    anna = await street.visitor()
    await expect(anna.part("start")).to_be_enabled()
    field = anna.part("name-input")
    short = re.compile(r"^At least 3 characters, please\.$")
    characters = re.compile(r"^Letters A.Z, digits and _ only, please\.$")
    for name, words in {
        "ab": short,
        "": short,
        "Anna Maria": characters,
        "<b>Anna</b>": characters,
        "Ännchen": characters,
        "Anna👋": characters,
    }.items():
        await field.fill(name)
        await expect(field).to_have_accessible_description(words)
        await expect(field).to_have_attribute("aria-invalid", "true")
        await expect(anna.part("start")).to_be_disabled()
        await field.press("Enter")
        await field.fill("Anna_Maria")
        await expect(field).to_have_accessible_description(re.compile(r"^3.20 letters, digits or _$"))
        await expect(anna.part("start")).to_be_enabled()


async def test_no_more_than_twenty_characters_can_be_typed(street: Street) -> None:
    anna = await street.visitor()
    await anna.part("name-input").fill("")
    await anna.part("name-input").press_sequentially("abcdefghijklmnopqrstuvwxyz")
    await expect(anna.part("name-input")).to_have_value("abcdefghijklmnopqrst")
    await expect(anna.part("start")).to_be_enabled()


async def test_a_name_that_arrives_late_is_replaced_by_what_is_typed(street: Street) -> None:
    may_arrive = asyncio.Event()

    async def late(route: Route) -> None:
        await may_arrive.wait()
        await route.continue_()

    async def hold(page: Page) -> None:
        await page.route("**/api/guest", late)

    anna = await street.visitor(before=hold)
    field = anna.part("name-input")
    await field.focus()
    may_arrive.set()
    await expect(field).to_have_value(RANDOM)
    await field.press_sequentially("Anna_1")
    await expect(field).to_have_value("Anna_1")
    await anna.page.unroute("**/api/guest", late)


async def test_the_name_stays_after_leaving_and_can_be_changed(street: Street) -> None:
    anna, berta = await street.visitors()
    await anna.start("Anna_1")
    await anna.part("cancel-search").click()
    await expect(anna.part("name-input")).to_have_value("Anna_1")
    await anna.start("Anna_2")
    await berta.start()
    await berta.sees_conversation()
    assert await berta.partner() == "Anna_2"
    await anna.page.reload()
    await anna.sees_conversation()
    await anna.part("leave").click()
    await expect(anna.part("name-input")).to_have_value("Anna_2")
