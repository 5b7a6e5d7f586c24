"""Where people write: nothing of it is lost, and it fits the screen."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.e2e.calling import call, devices
from tests.e2e.conftest import Street
from tests.e2e.test_files import PICTURE, choose

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

PHONE: ViewportSize = {"width": 390, "height": 844}
ABOVE_THE_KEYBOARD: ViewportSize = {"width": 390, "height": 400}


async def test_a_draft_outlives_a_reload_and_what_was_sent_does_not_come_back(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.composer.press_sequentially("Half a thou")
    await anna.page.reload()
    await expect(anna.composer).to_have_value("Half a thou")
    await anna.composer.press_sequentially("ght")
    await anna.composer.press("Enter")
    await berta.sees("Half a thought")
    await anna.page.reload()
    await anna.sees("Half a thought")
    await expect(anna.composer).to_have_value("")


async def test_what_was_written_to_one_is_never_shown_or_sent_to_another(street: Street) -> None:
    mine = await street.cable()
    anna, berta = await street.pair(await street.visitor(through=mine))
    await anna.can_move_on()
    mine.cut()
    anna.expect_complaint()
    await anna.say("Sent to Berta alone, later")
    await choose(anna, PICTURE)
    await anna.composer.press_sequentially("Half a thought for Berta")
    await anna.part("next").click()
    await expect(anna.part("searching")).to_be_visible()
    mine.mend()
    carla = await street.visitor()
    await carla.start()
    await anna.sees_conversation()
    await carla.sees_conversation()
    for _ in range(2):
        await expect(anna.composer).to_have_value("")
        await expect(anna.part("attachment")).to_have_count(0)
        await expect(anna.messages).to_have_count(0)
        await anna.page.reload()
        await anna.sees_conversation()
    await anna.say("Hello, Carla")
    await carla.sees("Hello, Carla")
    await expect(berta.messages).to_have_count(0)


async def test_the_field_is_as_high_as_its_text_whatever_changes(street: Street) -> None:
    anna, _ = await street.pair()
    height = "element => element.clientHeight"
    await anna.composer.fill("All the words of a sentence that is a little longer than the field is wide.")
    wide = await anna.composer.evaluate(height)
    await anna.resize(PHONE)
    await anna.page.wait_for_function(
        "before => document.querySelector('[data-testid=composer]').clientHeight > before", arg=wide
    )
    narrow = await anna.composer.evaluate(height)
    await anna.page.add_style_tag(content="html { font-size: 150% !important }")
    await anna.page.wait_for_function(
        "before => document.querySelector('[data-testid=composer]').clientHeight > before", arg=narrow
    )
    fits = "element => element.scrollHeight <= element.clientHeight + 1"
    assert await anna.composer.evaluate(fits)


@pytest.mark.parametrize("name", ["Ada", "QuietHeron11485", "MMMMMMMMMMMMMMMMMMMM"])
async def test_on_a_phone_name_and_buttons_are_one_row_and_the_whole_name_a_press_away(
    street: Street, name: str
) -> None:
    anna, berta = await street.visitor(viewport=PHONE, touch=True), await street.visitor()
    await asyncio.gather(anna.start(), berta.start(name))
    await anna.sees_conversation()
    header = await anna.page.locator("header").bounding_box()
    assert header is not None
    assert header["height"] < 60
    await anna.part("about").tap()
    whole = anna.part("about-panel").get_by_text(name)
    await expect(whole).to_be_in_viewport(ratio=1)
    assert await whole.evaluate("name => name.scrollWidth <= name.parentElement.clientWidth")


async def test_on_a_phone_the_text_has_the_screen(street: Street) -> None:
    anna, berta = await street.pair(await street.visitor(viewport=PHONE, touch=True))
    header = await anna.page.locator("header").bounding_box()
    field = await anna.composer.bounding_box()
    assert header is not None
    assert field is not None
    assert header["height"] < 60
    assert field["width"] > 300
    await expect(anna.part("send")).to_be_hidden()
    await expect(anna.part("record")).to_be_visible()
    await anna.composer.fill("ok")
    await expect(anna.part("send")).to_be_visible()
    await expect(anna.part("record")).to_be_hidden()
    await anna.part("send").click()
    await berta.sees("ok")
    # The time stands in the line.
    bubble = await anna.messages.first.locator(".bubble").bounding_box()
    assert bubble is not None
    assert bubble["height"] < 50


async def test_what_is_written_during_a_call_stays_above_the_keyboard(street: Street) -> None:
    anna, berta = await street.pair(await street.visitor(viewport=PHONE))
    async with devices(anna, berta):
        await call(anna, berta, "video", answer="video")
        await anna.resize(ABOVE_THE_KEYBOARD)
        await anna.composer.focus()
        await expect(anna.composer).to_be_in_viewport(ratio=1)
        await berta.say("Can you read this?")
        await expect(anna.message("Can you read this?")).to_be_in_viewport()
        assert await anna.page.evaluate("document.documentElement.scrollHeight") <= ABOVE_THE_KEYBOARD["height"]
        await anna.resize(PHONE)
        await anna.part("hang-up").click()


async def test_whose_call_was_declined_does_not_ring_again_at_once(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await anna.part("call-audio").click()
        await berta.part("decline").click()
        await expect(anna.part("call-line")).to_have_attribute("data-outcome", "declined")
        await anna.part("call-audio").click()
        await expect(anna.part("call-notice")).to_have_text(
            "Your call was declined. Wait a little before you ring again."
        )
        await expect(anna.part("call-line")).to_have_count(1)
        await expect(berta.part("call-incoming")).to_have_count(0)


async def test_a_browser_that_cannot_count_characters_shows_the_page(street: Street) -> None:
    async def without_segmenter(page: Page) -> None:
        await page.add_init_script("delete Intl.Segmenter")

    anna, berta = await street.pair(await street.visitor(touch=True, before=without_segmenter))
    await anna.say("👩\u200d👩\u200d👧\u200d👦 hello")
    await berta.sees("👩\u200d👩\u200d👧\u200d👦 hello")
