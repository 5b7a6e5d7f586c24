"""A browser translates the page: it puts elements of its own in the place of texts, and goes on doing so."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.e2e.calling import call, devices, is_over
from tests.e2e.conftest import Street
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

# As Google's does it: each text node gives way to <font><font>…</font></font>, now and whenever a new one comes. What
# is written to one that has been taken away, or done to it instead of to what stands for it, is `lost`: nobody sees it.
TRANSLATE = """
() => {
  window.lost = [];
  const taken = new WeakMap();
  const put = (text) => {
    if (!text.isConnected || !text.data.trim()) return;
    if (text.parentElement.closest('[translate="no"], font, script, style, noscript, textarea, option')) return;
    const [outer, inner] = [document.createElement('font'), document.createElement('font')];
    inner.textContent = `~${text.data.trim()}~`;
    outer.append(inner);
    taken.set(text, text.data.trim());
    text.replaceWith(outer);
  };
  const look = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const texts = root.nodeType === Node.TEXT_NODE ? [root] : [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    texts.forEach(put);
  };
  look(document.body);
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) [target, ...addedNodes].forEach(look);
  }).observe(document.body, { subtree: true, childList: true, characterData: true });

  for (const [owner, name] of [[Node.prototype, 'nodeValue'], [CharacterData.prototype, 'data'],
                               [Node.prototype, 'textContent']]) {
    const { get, set } = Object.getOwnPropertyDescriptor(owner, name);
    Object.defineProperty(owner, name, {
      get,
      set(value) {
        if (taken.has(this)) window.lost.push(`“${taken.get(this)}” should be “${value}”`);
        set.call(this, value);
      },
    });
  }
  const { remove } = CharacterData.prototype;
  CharacterData.prototype.remove = function () {
    if (taken.has(this)) window.lost.push(`“${taken.get(this)}” should be gone`);
    remove.call(this);
  };
}
"""


async def translated(visitor: Visitor) -> None:
    await visitor.page.evaluate(TRANSLATE)


async def loses_nothing(*visitors: Visitor) -> None:
    for visitor in visitors:
        assert await visitor.page.evaluate("window.lost") == []


@pytest.mark.parametrize("settings", [{"limit_messages": "2/4", "stats_interval": "0.1"}])
async def test_what_changes_goes_on_changing_in_a_translated_page(street: Street) -> None:
    mine = await street.cable()
    anna = await street.visitor(through=mine, expecting=r"net::ERR_|WebSocket|415")
    await expect(anna.part("start")).to_be_enabled()
    await translated(anna)
    await anna.part("name-input").fill("a!")
    await expect(anna.words("digits and _ only, please.~")).to_be_visible()
    await expect(anna.part("online-count")).to_have_text("~Nobody else is here just now~")
    berta = await street.visitor()
    await expect(anna.part("online-count")).to_have_text("1")
    await expect(anna.words("~other person here~")).to_be_visible()
    await anna.part("name-input").fill("Anna_1")
    await anna.part("start").click()
    await expect(anna.part("searching")).to_contain_text("~Nobody else is looking just now.")

    await translated(berta)
    await berta.start("Berta_1")
    await anna.sees_conversation()
    # A name is a name in every language.
    await expect(anna.part("partner-name")).to_have_text("Berta_1")
    await expect(anna.words("~You and~Berta_1~have just met. Say hello.~")).to_be_visible()
    await berta.composer.press_sequentially("Hm")
    await expect(anna.part("typing")).to_have_text("Berta_1~is typing…~")
    await berta.composer.fill("")
    await expect(anna.part("typing")).to_have_count(0)
    await anna.say_at_once("One", "Two", "Three")
    await anna.saw("~Too many messages at once. The rest will be sent soon.~")
    await anna.sees_states("delivered", "delivered", "delivered")
    await expect(anna.words("~Too many messages at once.")).to_have_count(0)
    await anna.composer.fill("x" * 1001)
    await expect(anna.words("1,001 of 1,000")).to_be_visible()
    await anna.composer.press("Backspace")
    await expect(anna.words("1,000 of 1,000")).to_be_visible()
    await anna.composer.fill("")
    await anna.part("file-input").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"a"})
    await anna.part("send").click()
    await expect(anna.part("file-card")).to_contain_text("a.txt")

    mine.cut()
    await anna.sees_connection("~Reconnecting…~")
    await expect(berta.words("Anna_1~lost the connection.")).to_be_visible()
    mine.mend()
    await anna.sees_connection("~Connected~")
    await expect(berta.words("Anna_1~lost the connection.")).to_have_count(0)
    await berta.part("leave").click()
    await anna.sees_ended("Berta_1~has moved on.~")
    await loses_nothing(anna, berta)


async def test_the_clock_and_the_states_of_a_call_go_on_in_a_translated_page(street: Street) -> None:
    anna, berta = await street.pair()
    async with devices(anna, berta):
        await translated(anna)
        await translated(berta)
        await call(anna, berta, "video")
        await expect(anna.part("call-time")).to_have_text(re.compile(r"^0:0[2-9]$"))
        await expect(anna.part("call-state")).to_contain_text("~Good connection~")
        await anna.part("mute").click()
        await expect(anna.part("call-state")).to_contain_text("~You are muted~")
        await anna.part("mute").click()
        await expect(anna.part("call-state")).not_to_contain_text("muted")
        await berta.part("hang-up").click()
        await is_over(anna, "Video call", "0:")
    await anna.part("record").focus()
    await anna.page.keyboard.press("Enter")
    await expect(anna.part("recorder-trouble")).to_contain_text("~The microphone is blocked")
    await anna.page.get_by_role("button", name="Close").click()
    await expect(anna.part("recorder-trouble")).to_have_text("")
    await loses_nothing(anna, berta)
