"""What a stranger sends first is asked for, on the pages of both."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.calling import devices, is_active
from tests.e2e.conftest import Street
from tests.e2e.test_accessibility import CUT_OFF, PHONE, everything_is_named, targets_are_large_enough
from tests.e2e.test_files import PICTURE, share

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

ASKS = {"consent": "links,pictures,files,voice,audio,video"}
LINK = "Look: https://www.example/"


@pytest.mark.parametrize("settings", [ASKS])
async def test_a_picture_is_asked_for_allowed_and_shown_when_it_is_tapped(street: Street) -> None:
    anna, berta = await street.pair(await street.visitor(viewport=PHONE))
    name = await berta.partner()
    await share(berta, PICTURE)
    await expect(berta.words("is asked first.")).to_be_visible()
    ask = anna.part("ask-pictures")
    await expect(ask).to_contain_text("wants to send a picture.")
    await everything_is_named(anna)
    await targets_are_large_enough(anna)
    await anna.say("Hm")
    await berta.sees("Hm")
    await expect(anna.composer).to_be_focused()
    await anna.page.reload()
    await expect(ask).to_be_visible()
    await anna.part("allow-pictures").focus()
    await anna.page.keyboard.press("Enter")
    await expect(ask).to_have_count(0)

    await expect(anna.part("picture")).to_have_css("filter", "blur(28px) grayscale(1)")
    # It is a small picture, and what it says is larger.
    assert await anna.page.evaluate(CUT_OFF) == []
    await everything_is_named(anna)
    await targets_are_large_enough(anna)
    await anna.unveils()
    await expect(anna.part("picture")).to_have_css("filter", "none")
    await anna.part("picture").click()
    await expect(anna.part("full-view")).to_be_visible()
    await expect(berta.part("picture")).to_have_css("filter", "none")
    await expect(berta.words(f"{name} is asked first.")).to_have_count(0)


@pytest.mark.parametrize("settings", [ASKS])
async def test_a_link_is_not_wanted_now(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.say(LINK)
    await berta.part("decline-links").click()
    await expect(anna.words("They do not want links now.")).to_be_visible()
    await anna.sees_states("failed")
    await berta.part("about").click()
    await expect(berta.part("allowance-links")).not_to_be_checked()
    await anna.say("All right")
    await expect(berta.message("All right")).to_be_visible()
    await expect(berta.messages).to_have_count(1)

    await berta.part("allowance-links").check()
    await berta.page.keyboard.press("Escape")
    await anna.page.get_by_role("button", name="Try again").click()
    await berta.sees("All right", LINK)
    await berta.page.reload()
    await berta.part("about").click()
    await expect(berta.part("allowance-links")).to_be_checked()


@pytest.mark.parametrize("settings", [ASKS | {"match_again": "0"}])
async def test_what_everybody_may_send_is_never_asked_for(street: Street) -> None:
    anna, berta = await street.pair(await street.visitor(viewport=PHONE))
    await berta.say(LINK)
    await expect(anna.part("ask-links")).to_be_visible()
    await anna.part("about").click()
    await anna.part("open-to-all").locator("summary").click()
    await targets_are_large_enough(anna)
    await anna.page.get_by_role("switch", name="Links").check()
    await expect(anna.part("allowance-links")).to_be_checked()
    await expect(anna.part("allowance-links")).to_be_disabled()
    await anna.page.keyboard.press("Escape")
    await anna.sees(LINK)
    await expect(anna.part("ask-links")).to_have_count(0)

    await anna.page.reload()
    await anna.sees(LINK)
    await anna.can_move_on()
    await anna.part("leave").click()
    await berta.part("find-new").click()
    await anna.start()
    await anna.sees_conversation()
    await berta.say(LINK)
    await anna.sees(LINK)
    await anna.part("about").click()
    await anna.part("open-to-all").locator("summary").click()
    await anna.part("open-links").uncheck()
    await anna.page.keyboard.press("Escape")
    await berta.say(f"{LINK} again")
    await expect(anna.part("ask-links")).to_be_visible()


@pytest.mark.parametrize("settings", [ASKS])
async def test_a_call_rings_when_it_is_allowed_and_begins_blurred_and_silent(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await anna.part("call-video").click()
        await anna.part("join-call").click()
        await expect(anna.part("call-state")).to_contain_text("is asked whether you may call.")
        await expect(anna.part("reveal")).to_have_count(0)
        await expect(berta.part("ask-video")).to_contain_text("wants to call you with video.")
        await expect(berta.part("call-incoming")).to_have_count(0)
        await berta.part("allow-video").click()
        await berta.part("answer-video").click()
        await berta.part("join-call").click()
        await is_active(anna, berta)
        for visitor in (anna, berta):
            video = visitor.part("remote-video")
            await expect(video).to_have_js_property("muted", value=True)
            await expect(video).to_have_css("filter", "blur(32px) grayscale(1)")
            await visitor.part("reveal").click()
            await expect(video).to_have_js_property("muted", value=False)
            await expect(video).to_have_css("filter", "none")
        await anna.part("hang-up").click()
        for visitor in (anna, berta):
            await expect(visitor.part("call")).to_have_count(0)
        await anna.part("call-video").click()
        await expect(berta.part("answer-video")).to_be_visible()
        await expect(berta.part("ask-video")).to_have_count(0)


@pytest.mark.parametrize("settings", [ASKS])
async def test_a_call_that_is_not_wanted_ends_for_the_caller(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await anna.part("call-audio").click()
        await berta.part("decline-audio").click()
        await expect(anna.part("call")).to_have_count(0)
        await expect(berta.part("call-line")).to_have_count(0)
        await anna.part("call-audio").click()
        await expect(anna.part("call-notice")).to_have_text("The other one does not want calls now.")
