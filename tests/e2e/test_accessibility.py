"""For everyone: by keyboard alone, with a screen reader, with large text, in the dark."""

from __future__ import annotations

import json
import re

import pytest
from playwright.async_api import ViewportSize, expect

from tests.e2e.calling import call, devices, is_active, is_over
from tests.e2e.conftest import Street
from tests.e2e.visitor import MOST_OFTEN_MS, REST_MS, Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

PHONE: ViewportSize = {"width": 390, "height": 844}
LAPTOP: ViewportSize = {"width": 1280, "height": 800}
SOMETHING = re.compile(r"\S")

# Text that is cut off: outside of the window, or outside of a box that hides what overflows and cannot be scrolled.
# What ends in an ellipsis is shortened, and says so.
CUT_OFF = """
() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.data.trim() || node.parentElement.closest('noscript, script, style')) continue;
    const style = getComputedStyle(node.parentElement);
    const hidden = node.parentElement.closest('.visually-hidden, .keys');
    if (hidden || style.visibility === 'hidden') continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      let cut = box.left < -1 || box.right > document.documentElement.clientWidth + 1;
      for (let around = node.parentElement; around; around = around.parentElement) {
        const { display, overflowX, overflowY, textOverflow } = getComputedStyle(around);
        const edge = around.getBoundingClientRect();
        if (overflowX !== 'visible' && textOverflow === 'ellipsis' && display !== 'flex') break;
        if (overflowX !== 'visible') cut ||= box.left < edge.left - 1 || box.right > edge.right + 1;
        if (overflowY === 'hidden' || overflowY === 'clip')
          cut ||= box.top < edge.top - 1 || box.bottom > edge.bottom + 1;
      }
      if (cut) found.push(node.data.trim());
    }
  }
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth) found.push(`the page is ${page.scrollWidth} wide`);
  return found;
}
"""

# The contrast of every text with what is behind it (WCAG 2.2, 1.4.3), where that is one opaque colour.
LOW_CONTRAST = """
() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const luminance = (colour) => {
    const [r, g, b] = Array.from(colour).map((byte) => {
      const part = byte / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest('noscript, script, style, :disabled')) continue;
    let behind = element;
    while (behind && rgba(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement;
    const [light, dark] = [
      luminance(rgba(getComputedStyle(element).color)),
      luminance(rgba(getComputedStyle(behind ?? document.body).backgroundColor)),
    ].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < 4.5) found.push(`${walker.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
  }
  return found;
}
"""

FOCUS_RING = """
() => {
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  return outlineStyle === 'none' ? 0 : parseFloat(outlineWidth);
}
"""


async def everything_is_named(visitor: Visitor) -> None:
    controls = visitor.page.get_by_role("button").or_(visitor.page.get_by_role("textbox"))
    for control in await controls.all():
        await expect(control).to_have_accessible_name(SOMETHING)
    await expect(visitor.page.get_by_role("main")).to_have_count(1)
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_count(1)
    await expect(visitor.page.locator("html")).to_have_attribute("lang", "en")


async def targets_are_large_enough(visitor: Visitor) -> None:
    targets = visitor.page.get_by_role("button").or_(visitor.page.locator("summary, label:has(input)"))
    for target in await targets.locator("visible=true").all():
        box = await target.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44, await target.inner_text()


async def tab_to(visitor: Visitor, testid: str, key: str = "Tab") -> None:
    """Press Tab until the focus is there, and see it on the way."""
    for _ in range(10):
        await visitor.page.keyboard.press(key)
        assert await visitor.page.evaluate(FOCUS_RING) >= 2
        if await visitor.page.evaluate("document.activeElement.dataset.testid") == testid:
            return
    pytest.fail(f"{testid} is not to be reached by {key}")


async def test_from_start_to_goodbye_by_keyboard_alone(street: Street) -> None:
    anna, berta = await street.visitors()
    await berta.start()
    await expect(anna.part("start")).to_be_enabled()
    await tab_to(anna, "name-input")
    await anna.page.keyboard.press("ControlOrMeta+a")
    await anna.page.keyboard.type("Anna_1")
    await tab_to(anna, "shuffle")
    await tab_to(anna, "start")
    await anna.page.keyboard.press("Enter")
    await anna.sees_conversation()
    assert await anna.page.evaluate(FOCUS_RING) >= 2
    await anna.page.keyboard.type("Hello")
    await anna.page.keyboard.press("Enter")
    await berta.sees("Hello")
    await berta.say("Hello yourself")
    await anna.sees("Hello", "Hello yourself")
    await anna.page.keyboard.type("Bye")
    await tab_to(anna, "send")
    await anna.page.keyboard.press("Space")
    await berta.sees("Hello", "Hello yourself", "Bye")
    await expect(anna.composer).to_be_focused()
    await anna.can_move_on()
    await tab_to(anna, "next", "Shift+Tab")
    await anna.page.keyboard.press("Enter")
    await expect(anna.part("cancel-search")).to_be_focused()
    await anna.page.keyboard.press("Enter")
    await expect(anna.part("start")).to_be_focused()
    await berta.sees_ended("Anna_1 has moved on.")
    # The composer went while Berta had the focus in it: the next Tab continues from the words that took its place.
    await expect(berta.part("conversation-ended")).to_be_focused()
    await tab_to(berta, "find-new")
    await berta.page.keyboard.press("Enter")
    await expect(berta.part("searching")).to_be_visible()


async def test_what_a_key_has_pressed_away_leaves_the_focus_where_one_goes_on(street: Street) -> None:
    anna, berta = await street.visitors()
    await expect(anna.part("start")).to_be_enabled()
    async with anna.page.expect_response("**/api/guest/username"):
        await anna.part("shuffle").press("Enter")
    await expect(anna.part("shuffle")).to_have_attribute("aria-disabled", "false")
    await expect(anna.part("shuffle")).to_be_focused()
    await street.pair(anna, berta)

    trouble = anna.part("recorder-trouble")
    await anna.part("record").press("Enter")
    await expect(trouble).to_have_text(SOMETHING)
    await anna.page.get_by_role("button", name="Close").press("Enter")
    await expect(trouble).to_have_text("")
    await expect(anna.composer).to_be_focused()

    await anna.part("file-input").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"a"})
    await anna.part("send").press("Enter")
    await expect(anna.composer).to_be_focused()
    await expect(berta.messages).to_have_count(1)

    log = anna.page.get_by_role("log")
    await anna.say(*(f"Message {number}" for number in range(30)))
    # Whatever still comes keeps the end in view until the page has heard that somebody scrolls.
    await anna.sees_states(*["delivered"] * 31)
    await log.evaluate("log => new Promise(heard => { log.onscrollend = heard; log.scrollTop = 0 })")
    await berta.say("Are you there?")
    await anna.page.get_by_role("button", name="1 new message").press("Enter")
    await expect(anna.words("Are you there?")).to_be_in_viewport()
    await expect(log).to_be_focused()


async def test_the_call_begins_and_its_devices_close_by_keyboard(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await anna.part("call-audio").click()
        await berta.part("answer-audio").focus()
        # A key that is held repeats itself: it must not hang up, before the call is there nor when it is.
        while await anna.part("call").get_attribute("data-state") != "active":
            await berta.page.keyboard.down("Enter")
        await expect(berta.part("call")).to_be_focused()
        for _ in range(20):
            await berta.page.keyboard.down("Enter")
        await berta.page.keyboard.up("Enter")
        await is_active(anna, berta)
        await expect(berta.part("call")).to_be_focused()
        await tab_to(berta, "call-settings")
        await berta.page.keyboard.press("Enter")
        await berta.part("choose-microphone").focus()
        await berta.page.keyboard.press("Escape")
        await expect(berta.part("call-devices")).to_have_count(0)
        await expect(berta.part("call-settings")).to_be_focused()
        await berta.part("hang-up").press("Enter")
        await expect(berta.composer).to_be_focused()


async def test_leave_is_reached_by_keyboard(street: Street) -> None:
    anna, berta = await street.pair()
    await anna.can_move_on()
    await tab_to(anna, "leave", "Shift+Tab")
    await anna.page.keyboard.press("Enter")
    await expect(anna.part("start")).to_be_focused()
    await berta.sees_ended("has moved on")


async def test_a_screen_reader_is_told_what_happens(street: Street) -> None:
    anna = await street.visitor()
    await expect(anna.part("start")).to_be_enabled()
    await everything_is_named(anna)
    await anna.start()
    await everything_is_named(anna)
    status = anna.page.get_by_role("status")
    await expect(status.filter(has_text="Nobody else is looking")).to_have_count(1)
    berta = await street.visitor()
    await berta.start()
    await anna.sees_conversation()
    await everything_is_named(anna)
    name = await anna.partner()
    await expect(status.filter(has_text=f"You are talking with {name}.")).to_have_count(1)
    log = anna.page.get_by_role("log", name="Messages")
    await expect(log).to_have_attribute("aria-live", "polite")
    await expect(log).to_have_attribute("aria-busy", "false")
    await berta.say("Hello")
    await expect(log).to_contain_text(re.compile(rf"{name}:\s*Hello"))
    await anna.say("Hello too")
    await expect(log).to_contain_text(re.compile(r"You:\s*Hello too"))
    await expect(anna.composer).to_have_accessible_name("Message")
    await expect(anna.composer).to_have_accessible_description(re.compile("Enter sends"))
    await berta.part("leave").click()
    await expect(status.filter(has_text=f"{name} has moved on.")).to_have_count(1)
    await everything_is_named(anna)


async def test_large_text_on_a_phone_is_neither_cut_off_nor_wider_than_the_page(street: Street) -> None:
    # Time stands still: what goes away by itself is there as long as it is looked at.
    anna = await street.visitor(viewport=PHONE, still=True)
    berta = await street.visitor(still=True)
    # As the browser's own setting does it: everything is measured in rem.
    await anna.page.add_style_tag(content="html { font-size: 200% !important }")

    async def nothing_is_cut_off() -> None:
        assert await anna.page.evaluate(CUT_OFF) == []

    await expect(anna.part("online-count")).to_be_visible()
    await nothing_is_cut_off()
    await anna.part("name-input").fill("a!")
    await expect(anna.words("digits and _ only, please.")).to_be_visible()
    await nothing_is_cut_off()
    await anna.start("Anna_with_20_letters")
    await expect(anna.words("Nobody else is looking just now")).to_be_visible()
    await nothing_is_cut_off()
    await berta.start("MMMMMMMMMMMMMMMMMMMM")
    await anna.sees_conversation()
    await nothing_is_cut_off()
    await anna.say(
        "Donaudampfschifffahrtsgesellschaftskapitän", "And some more words, to fill a few lines of this page."
    )
    await berta.say("https://example.com/an/address/that/knows/no/end/and/goes/on/and/on")
    await berta.page.clock.run_for(MOST_OFTEN_MS)
    await berta.composer.press_sequentially("Hm")
    await expect(anna.part("typing")).to_be_visible()
    await nothing_is_cut_off()
    await expect(anna.part("typing")).to_be_in_viewport()
    for testid in ("composer", "record", "next", "leave", "partner-name", "partner-state"):
        await expect(anna.part(testid)).to_be_in_viewport(ratio=1)
    for testid in ("partner-name", "partner-state"):
        await expect(anna.part(testid)).to_have_css("text-overflow", "clip")
    await anna.composer.fill("x" * 1001)
    await expect(anna.words("1,001 of 1,000")).to_be_visible()
    await expect(anna.part("send")).to_be_in_viewport(ratio=1)
    await nothing_is_cut_off()
    await anna.page.clock.run_for(REST_MS)
    await anna.can_move_on()
    await anna.page.keyboard.press("Escape")
    await expect(anna.words("Press Escape once more")).to_be_in_viewport(ratio=1)
    await nothing_is_cut_off()
    await berta.part("leave").click()
    await anna.sees_ended("has moved on")
    await nothing_is_cut_off()
    await expect(anna.part("find-new")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_every_text_is_easy_to_tell_from_what_is_behind_it(street: Street, dark: bool) -> None:
    anna = await street.visitor(dark=dark, viewport=PHONE)
    berta = await street.visitor()

    async def contrasts() -> None:
        assert await anna.page.evaluate(LOW_CONTRAST) == []

    await expect(anna.part("start")).to_be_enabled()
    await contrasts()
    await anna.part("name-input").fill("a!")
    await expect(anna.words("digits and _ only, please.")).to_be_visible()
    await contrasts()
    await anna.start("Anna_1")
    await contrasts()
    await berta.start()
    await anna.sees_conversation()
    await anna.say("Hello")
    await berta.sees("Hello")
    await berta.say("Hello yourself")
    await anna.sees_states("delivered", "received")
    await anna.composer.fill("x" * 1001)
    await contrasts()
    await berta.part("leave").click()
    await anna.sees_ended("has moved on")
    await contrasts()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize(
    "settings", [{"undo_seconds": "60", "match_again": "0", "match_only": "true", "match_interests": "600"}]
)
async def test_choosing_whom_to_meet_and_undoing_next_suit_everybody(street: Street, dark: bool, large: bool) -> None:
    anna = await street.visitor(dark=dark, viewport=PHONE, touch=True)
    berta = await street.visitor()
    if large:
        await anna.page.add_style_tag(content="html { font-size: 200% !important }")

    async def suits() -> None:
        await everything_is_named(anna)
        assert await anna.page.evaluate(CUT_OFF) == []
        assert await anna.page.evaluate(LOW_CONTRAST) == []
        await targets_are_large_enough(anna)

    status = json.dumps(
        {
            "success": True,
            "data": {
                "waiting": {"text": 9, "audio": 0, "video": 0},
                "suggestions": ["cooking", "night trains", "films"],
            },
        }
    )
    await anna.page.route("**/api/matching", lambda route: route.fulfill(body=status, content_type="application/json"))
    await anna.page.reload()
    if large:
        await anna.page.add_style_tag(content="html { font-size: 200% !important }")
    await anna.sees_connection("Connected")
    await expect(anna.part("suggestion")).to_have_text(["cooking", "night trains", "films"])
    await suits()
    await anna.likes("chess", "Donaudampfschifffahrtsgesellschaftskapit", "שח")
    await anna.part("interest-input").fill("Chess")
    await anna.part("interest-input").press("Enter")
    await expect(anna.words("You have this one already.")).to_be_visible()
    await anna.part("choices").locator("summary").click()
    await expect(anna.part("only")).to_be_visible()
    await suits()
    await anna.start("Anna_1")
    await expect(anna.part("stage")).to_contain_text("Looking for someone who likes chess")
    await suits()
    await berta.sees_connection("Connected")
    await berta.likes("chess")
    await berta.start("Berta_1")
    await anna.sees_conversation()
    await expect(anna.part("shared")).to_be_visible()
    await expect(anna.part("topic")).to_be_visible()
    await suits()
    await anna.can_move_on()
    await anna.part("next").click()
    await expect(anna.part("undo")).to_be_visible()
    await suits()
    await anna.part("undo").click()
    await anna.sees_conversation()
    # Once in a conversation: they have another one.
    await berta.part("next").click()
    await anna.part("find-new").click()
    await berta.can_move_on()
    await anna.can_move_on()
    await berta.part("next").click()
    await anna.sees_ended("pressed Next.")
    await suits()
    await anna.page.unroute_all()


@pytest.mark.parametrize("viewport", [PHONE, LAPTOP], ids=["phone", "laptop"])
async def test_a_long_conversation_scrolls_by_itself_and_not_the_page(street: Street, viewport: ViewportSize) -> None:
    anna, berta = await street.pair(await street.visitor(viewport=viewport))
    await anna.say(*(f"Message {number}" for number in range(30)))
    await expect(berta.messages).to_have_count(30)
    heights = "(({ scrollHeight, clientHeight }) => [scrollHeight, clientHeight])(document.documentElement)"
    assert await anna.page.evaluate(heights) == [viewport["height"]] * 2
    assert await anna.page.get_by_role("log").evaluate("log => log.scrollHeight > log.clientHeight")
    await expect(anna.words("Message 29")).to_be_in_viewport(ratio=1)


async def test_targets_are_large_enough_for_a_finger(street: Street) -> None:
    anna = await street.visitor(viewport=PHONE, touch=True)

    async def large_enough() -> None:
        await targets_are_large_enough(anna)

    await expect(anna.part("start")).to_be_enabled()
    await large_enough()
    await anna.start()
    await large_enough()
    berta = await street.visitor()
    await berta.start()
    await anna.sees_conversation()
    await large_enough()
    async with devices(anna, berta):
        await call(anna, berta, "video")
        await expect(anna.part("reveal")).to_be_visible()
        await large_enough()
        await anna.part("reveal").click()
        await expect(anna.part("full-screen")).to_be_visible()
        await large_enough()
        # A phone shares no screen; the others stand in one line.
        await expect(anna.part("share-screen")).to_have_count(0)
        rows = "buttons => new Set(buttons.map((button) => button.getBoundingClientRect().top)).size"
        assert (
            await anna.page.get_by_role("group", name="Controls of the call").get_by_role("button").evaluate_all(rows)
            == 1
        )
        await anna.part("hang-up").click()
        await is_over(berta, "Video call")
