"""Whom a guest would like to meet: chosen at the start, told while it is looked for, and said when it is found."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import Street
from tests.e2e.test_accessibility import SOMETHING, tab_to
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

_ASKED = re.compile(r'^42\["user:match",(.*)\]$')

# How often the page has asked for a camera or a microphone.
COUNT_DEVICES = """
() => {
  window.devicesOpened = 0;
  const { getUserMedia } = MediaDevices.prototype;
  MediaDevices.prototype.getUserMedia = function (...wanted) {
    window.devicesOpened += 1;
    return getUserMedia.apply(this, wanted);
  };
}
"""


class Requests:
    """What each search of a page asked for, as it was sent."""

    def __init__(self) -> None:
        self.sent: list[object] = []

    async def listen(self, page: Page) -> None:
        page.on("websocket", lambda socket: socket.on("framesent", self._note))

    def _note(self, frame: str | bytes) -> None:
        if isinstance(frame, str) and (asked := _ASKED.match(frame)):
            self.sent.append(json.loads(asked[1]))


async def chosen(visitor: Visitor, *interests: str) -> None:
    await expect(visitor.part("interest")).to_have_text(list(interests))


async def test_interests_are_chosen_and_removed_by_keyboard(street: Street) -> None:
    anna = await street.visitor()
    field = anna.part("interest-input")
    await expect(field).to_have_accessible_name("What do you like?")
    await expect(anna.part("start")).to_be_enabled()
    await tab_to(anna, "interest-input")
    await anna.page.keyboard.type("music")
    await anna.page.keyboard.press("Enter")
    await chosen(anna, "music")
    await expect(anna.page.get_by_role("status").filter(has_text="music is added.")).to_have_count(1)
    await anna.page.keyboard.type("night  trains, ")
    await chosen(anna, "music", "night trains")
    await expect(field).to_have_value("")
    await anna.page.keyboard.type("tea")
    await anna.page.keyboard.press("Enter")
    await anna.page.keyboard.press("Backspace")
    await chosen(anna, "music", "night trains")
    await expect(anna.page.get_by_role("status").filter(has_text="tea is removed.")).to_have_count(1)
    await anna.page.get_by_role("button", name="Remove music").press("Enter")
    await chosen(anna, "night trains")
    await expect(anna.page.get_by_role("button", name="Remove night trains")).to_be_focused()
    await anna.page.keyboard.press("Enter")
    await chosen(anna)
    await expect(field).to_be_focused()


async def test_what_cannot_be_an_interest_is_answered_in_words(street: Street) -> None:
    anna = await street.visitor()
    await anna.sees_connection("Connected")
    field = anna.part("interest-input")
    await anna.likes("Música")
    await field.fill(" MÚSICA ")
    await field.press("Enter")
    await expect(field).to_have_accessible_description("You have this one already.")
    await chosen(anna, "Música")
    await field.fill("x" * 41)
    await field.press("Enter")
    await expect(field).to_have_accessible_description("At most 40 characters for one interest, please.")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_value("x" * 41)
    await anna.part("start").click()
    await expect(field).to_be_focused()
    await expect(field).to_have_accessible_description("At most 40 characters for one interest, please.")
    await field.fill("<b>")
    await field.press("Enter")
    await expect(field).to_have_accessible_description("Letters, numbers or emoji, please, without < and >.")
    await expect(field).to_have_value("<b>")
    await chosen(anna, "Música")
    await field.fill("tea, rain, C++, שח, 🐘")
    await field.press("Enter")
    await expect(field).to_have_accessible_description("At most 5 interests. Remove one to add another.")
    await chosen(anna, "Música", "tea", "rain", "C++", "שח")
    await expect(field).to_have_value("🐘")
    await anna.page.get_by_role("button", name="Remove rain").click()
    await field.press("Enter")
    await chosen(anna, "Música", "tea", "C++", "שח", "🐘")


async def test_what_is_chosen_goes_with_every_search_and_outlives_a_reload(street: Street) -> None:
    requests = Requests()
    mine = await street.cable()
    anna = await street.visitor(through=mine, before=requests.listen)
    await anna.sees_connection("Connected")
    await anna.likes("music")
    await anna.part("interest-input").fill("chess")
    await anna.comes_for("audio")
    await anna.start()  # what stands in the field is meant, too
    wanted = {"interests": ["music", "chess"], "languages": ["en"], "mode": "audio"}
    await expect(anna.part("stage")).to_have_attribute("data-stage", SOMETHING)
    assert requests.sent == [wanted]

    anna.expect_complaint()
    mine.cut()
    await anna.sees_connection("Reconnecting…")
    mine.mend()
    await anna.sees_connection("Connected")
    await anna.part("cancel-search").click()
    await chosen(anna, "music", "chess")
    await anna.page.reload()
    await chosen(anna, "music", "chess")
    await expect(anna.part("choices").locator("summary")).to_have_text("By voice · English")
    await anna.start()
    await expect(anna.part("stage")).to_have_attribute("data-stage", SOMETHING)

    berta = await street.visitor()
    await berta.comes_for("audio")
    await berta.start()
    await anna.sees_conversation()
    await anna.can_move_on()
    await anna.part("next").click()
    await expect(anna.part("stage")).to_have_attribute("data-stage", SOMETHING)
    assert requests.sent == [wanted] * 4


async def test_languages_come_from_the_browser_and_can_be_chosen(street: Street) -> None:
    requests = Requests()
    anna = await street.visitor(before=requests.listen)
    await anna.sees_connection("Connected")
    await anna.part("choices").locator("summary").press("Enter")
    english = anna.page.get_by_role("checkbox", name="English")
    await expect(english).to_be_checked()
    await expect(anna.page.get_by_role("radio", name="Text")).to_be_checked()
    await expect(anna.part("only")).to_have_count(0)
    await english.uncheck()
    await expect(anna.part("choices").locator("summary")).to_have_text("By text · any language")
    await anna.start()
    await expect(anna.part("stage")).to_have_attribute("data-stage", SOMETHING)
    assert requests.sent == [{}]


@pytest.mark.parametrize("settings", [{"match_only": "true"}])
async def test_who_wants_nothing_given_up_says_so(street: Street) -> None:
    requests = Requests()
    anna = await street.visitor(before=requests.listen)
    await anna.sees_connection("Connected")
    await anna.part("choices").locator("summary").click()
    only = anna.page.get_by_role("checkbox", name="Only someone who fits, however long it takes")
    await only.check()
    await anna.page.reload()
    await anna.part("choices").locator("summary").click()
    await expect(only).to_be_checked()
    await anna.start()
    await expect(anna.part("stage")).to_have_attribute("data-stage", SOMETHING)
    assert requests.sent == [{"languages": ["en"], "only": True}]


@pytest.mark.parametrize("settings", [{"match_interests": "600"}])
async def test_two_who_like_the_same_meet_and_the_page_begins_with_it(street: Street) -> None:
    anna, berta, carla = await asyncio.gather(street.visitor(), street.visitor(), street.visitor())
    for visitor, interests in {anna: ("music", "chess"), berta: ("gardens",), carla: ("CHESS",)}.items():
        await visitor.sees_connection("Connected")
        await visitor.likes(*interests)
    await anna.start()
    await expect(anna.part("stage")).to_have_text("Looking for someone who likes music or chess…")
    await berta.start()
    await expect(berta.part("stage")).to_have_text("Looking for someone who likes gardens…")
    await carla.start("Carla_1")
    await anna.sees_conversation()
    assert await anna.partner() == "Carla_1"
    await expect(anna.part("shared")).to_have_text("You both like chess, and you both speak English.")
    await expect(carla.part("shared")).to_have_text("You both like CHESS, and you both speak English.")
    heard = anna.page.get_by_role("status").filter(has_text="You are talking with Carla_1. You both like chess")
    await expect(heard).to_have_count(1)
    await anna.page.reload()
    await anna.sees_conversation()
    await expect(anna.part("shared")).to_have_text("You both like chess, and you both speak English.")
    await expect(berta.part("searching")).to_be_visible()


@pytest.mark.parametrize("settings", [{"match_interests": "0.5", "match_language": "0.5", "match_again": "1.5"}])
async def test_a_search_says_what_it_gives_up(street: Street) -> None:
    anna = await street.visitor()
    await anna.sees_connection("Connected")
    await anna.likes("music", "chess")
    await street.pair(anna)
    await anna.can_move_on()
    await anna.part("next").click()
    await anna.saw("Looking for someone who likes music or chess…")
    await anna.saw("Looking for someone who speaks English…")
    await anna.saw("Looking for anyone who comes by…")
    await anna.saw("Looking for anyone, perhaps someone you have met before…")
    heard = anna.page.get_by_role("status").filter(has_text="perhaps someone you have met before")
    await expect(heard).to_have_count(1)
    # The time goes on before everybody's eyes, and is read out to nobody.
    await expect(anna.part("elapsed")).to_have_text(re.compile(r"^Searching for [2-9] seconds$"))
    assert await anna.part("elapsed").evaluate("element => element.closest('[role=status], [aria-live]')") is None


async def test_who_has_met_before_is_told(street: Street) -> None:
    anna, berta = await street.pair()
    name = await anna.partner()
    await expect(anna.words(f"You and {name} have just met.")).to_be_visible()
    await anna.can_move_on()
    await anna.part("leave").click()
    await berta.part("leave").click()
    await street.pair(anna, berta)
    await expect(anna.words(f"You and {name} have met before.")).to_be_visible()
    heard = anna.page.locator("p[role=status]").filter(has_text=f"You and {name} have met before.")
    await expect(heard).to_have_count(1)


async def test_both_get_the_same_question_to_begin_with(street: Street) -> None:
    anna, berta = await street.pair()
    question = await anna.part("topic").locator(".question").inner_text()
    await expect(berta.part("topic").locator(".question")).to_have_text(question)
    await berta.composer.fill("Hello!")
    await tab_to(berta, "use-topic", "Shift+Tab")
    await expect(berta.part("use-topic")).to_have_accessible_description(question)
    await berta.page.keyboard.press("Enter")
    await expect(berta.composer).to_have_value(f"Hello! {question}")
    await expect(berta.composer).to_be_focused()
    await anna.part("use-topic").click()
    await expect(anna.composer).to_have_value(question)
    await anna.page.keyboard.press("Enter")
    await berta.sees(question)
    for visitor in (anna, berta):
        await expect(visitor.part("topic")).to_have_count(0)


async def test_who_came_for_video_meets_who_came_for_video_and_no_camera_starts_by_itself(street: Street) -> None:
    anna, berta, carla = await asyncio.gather(street.visitor(), street.visitor(), street.visitor())
    await carla.start()
    for visitor in (anna, berta):
        await visitor.page.evaluate(COUNT_DEVICES)
        await visitor.comes_for("video")
        await expect(visitor.part("choices").locator("summary")).to_have_text("By video · English")
    await street.pair(anna, berta)
    await expect(carla.part("searching")).to_be_visible()
    await expect(anna.words("You both came for video.")).to_be_visible()
    for visitor in (anna, berta):
        assert await visitor.page.evaluate("devicesOpened") == 0
    await anna.page.context.grant_permissions(["camera", "microphone"])
    await anna.part("call-offered").click()
    await expect(anna.part("join-call")).to_be_visible()
    await expect(anna.part("call-offer")).to_have_count(0)
    await anna.part("cancel-call").click()
    await anna.page.context.clear_permissions()


@pytest.mark.parametrize("settings", [{"suggestion_people": "2"}])
async def test_what_several_others_like_is_suggested(street: Street) -> None:
    berta, carla = await street.visitors()
    for visitor, mode in {berta: "text", carla: "audio"}.items():
        await visitor.sees_connection("Connected")
        await visitor.likes("tea")
        await visitor.comes_for(mode)
        await visitor.start()
        await expect(visitor.part("stage")).to_have_attribute("data-stage", SOMETHING)
    anna = await street.visitor()
    await anna.sees_connection("Connected")
    suggestion = anna.page.get_by_role("button", name="Add tea")
    await suggestion.press("Enter")
    await chosen(anna, "tea")
    await expect(suggestion).to_have_count(0)
    await expect(anna.part("interest-input")).to_be_focused()
