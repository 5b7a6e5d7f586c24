"""A person at a browser: what they can do, and what they see."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from playwright.async_api import ConsoleMessage, Error, Locator, Page, ViewportSize, expect

from tests.e2e import sightings

# What browsers say by themselves when a connection fails: no program can keep them from it.
BROKEN_CONNECTION = r"WebSocket connection to .* failed|net::ERR_|Failed to load resource"

# A picture names no icon, so the browser guesses: perhaps only when the tab's next user is there.
_NO_ICON = r"404 .*/favicon\.ico"

# What the page waits for, where its clock stands still: web/src/chat/typing.ts, double_press.ts, events.ts.
MOST_OFTEN_MS = 1000
"""Typing is not told of sooner after it was told of before."""
PAUSE_MS = 3000
"""Whoever presses no key for so long is not typing."""
TOGETHER_MS = 1500
"""Two presses of Escape within this mean it."""
REST_MS = 1000
"""So long after a match nothing ends the conversation."""

_OVERLAYS = "dialog[open], [data-testid=about-panel], [data-testid=call-devices]"

STORAGE_KEY = "passerby.3"


async def end_session(page: Page, url: str, token: str | None) -> None:
    """End a session by its token, if it has not ended yet."""
    if token is not None:
        address, headers = f"{url}/api/guest/me", {"authorization": f"Bearer {token}"}
        try:
            await page.request.delete(address, headers=headers)
        except Error:  # over a connection that was kept, and that the server has closed in this moment
            await page.request.delete(address, headers=headers)


SAY_AT_ONCE = """
(lines) => {
  const composer = document.querySelector('[data-testid="composer"]');
  for (const line of lines) {
    composer.value = line;
    composer.dispatchEvent(new Event('input', { bubbles: true }));
    composer.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
  }
}
"""


class Visitor:
    """One tab. `complaints` is what the console said that no test expected."""

    def __init__(self, page: Page, url: str, expecting: Sequence[str] = ()) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self._expected = [_NO_ICON, *expecting]
        page.on("console", self._console)
        page.on("pageerror", self._page_error)

    async def resize(self, window: ViewportSize) -> None:
        """Change the size of the window, and wait until the page has followed (web/src/shell/viewport.ts)."""
        await self.page.set_viewport_size(window)
        await self.page.wait_for_function(
            "height => document.documentElement.style.getPropertyValue('--viewport-height') === `${height}px`",
            arg=window["height"],
        )

    async def go_away(self) -> None:
        """Leave the page, for a picture on the same server."""
        await self._leave_for(self.url)

    async def _leave_for(self, server: str) -> None:
        # What has just closed takes its entry out of the history, and that would stop this way out.
        await self.page.wait_for_function(
            "overlays => !history.state?.overlay || document.querySelector(overlays) !== null", arg=_OVERLAYS
        )
        await self.page.goto(f"{server}/icon.svg")

    async def go_for_good(self, server: str) -> str | None:
        """Leave and forget; return the token of the session, which goes on.

        To `server`, whose URL is not a cable's: between pages of one site the browser keeps its process.
        """
        token: str | None = await self.token()
        self.page.remove_listener("console", self._console)
        self.page.remove_listener("pageerror", self._page_error)
        await self.page.evaluate("Storage.prototype.setItem = () => {}; sessionStorage.clear()")
        await self.page.context.set_offline(offline=False)
        await self._leave_for(server)
        return token

    def _page_error(self, error: Error) -> None:
        self.complaints.append(f"uncaught: {error}")

    def _console(self, message: ConsoleMessage) -> None:
        said = f"{message.text} ({message.location['url']})"
        if message.type in ("error", "warning") and not any(re.search(known, said) for known in self._expected):
            self.complaints.append(f"{message.type}: {said}")

    def expect_complaint(self, pattern: str = BROKEN_CONNECTION) -> None:
        """From now on the console may say this."""
        self._expected.append(pattern)

    # ── what is on the page ───────────────────────────────────────────────────────────────────────

    def part(self, testid: str) -> Locator:
        return self.page.get_by_test_id(testid)

    @property
    def composer(self) -> Locator:
        return self.part("composer")

    @property
    def messages(self) -> Locator:
        return self.part("message")

    def message(self, text: str) -> Locator:
        """The line that says exactly this."""
        exactly = re.compile(f"^{re.escape(text)}$")
        return self.messages.filter(has=self.page.locator(".text", has_text=exactly))

    def words(self, text: str | re.Pattern[str]) -> Locator:
        """Whatever shows these words; not what only a screen reader hears."""
        return self.page.get_by_text(text).locator("visible=true").and_(self.page.locator(":not(.visually-hidden)"))

    async def partner(self) -> str:
        return await self.part("partner-name").inner_text()

    async def token(self) -> str | None:
        stored: str | None = await self.page.evaluate("key => sessionStorage.getItem(key)", STORAGE_KEY)
        return None if stored is None else str(json.loads(stored)["token"])

    async def end_session(self) -> None:
        """End the session behind the page's back."""
        await end_session(self.page, self.url, await self.token())

    # ── what they do ──────────────────────────────────────────────────────────────────────────────

    async def start(self, name: str | None = None) -> None:
        """Press Start, once it can be pressed, and search."""
        if name is not None:
            await self.part("name-input").fill(name)
        await self.part("start").click()
        await expect(self.part("searching").or_(self.part("conversation"))).to_be_visible()

    async def likes(self, *interests: str) -> None:
        """Choose interests, at the start."""
        for interest in interests:
            await self.part("interest-input").fill(interest)
            await self.part("interest-input").press("Enter")
            await expect(self.part("interest-input")).to_have_value("")

    async def comes_for(self, mode: str) -> None:
        """Choose how to talk, at the start: `text`, `audio` or `video`."""
        if not await self.part("choices").evaluate("details => details.open"):
            await self.part("choices").locator("summary").click()
        await self.part(f"mode-{mode}").check()

    async def unveils(self) -> None:
        """See the partner's picture, which is blurred at first."""
        veil = self.page.get_by_role("button", name="Show picture")
        await veil.click()
        await expect(veil).to_have_count(0)

    async def say(self, *texts: str) -> None:
        for text in texts:
            await self.composer.fill(text)
            await self.composer.press("Enter")
            await expect(self.composer).to_have_value("")

    async def say_at_once(self, *texts: str) -> None:
        """Send all in one moment, however busy the machine is."""
        await self.page.evaluate(SAY_AT_ONCE, texts)

    # ── what they see ─────────────────────────────────────────────────────────────────────────────

    async def sees_conversation(self) -> None:
        await expect(self.part("conversation")).to_be_visible()
        await expect(self.composer).to_be_focused()

    async def can_move_on(self) -> None:
        """The match is no longer so new that Next, Leave and Escape rest."""
        await expect(self.part("leave")).to_have_attribute("aria-disabled", "false")

    async def saw(self, words: str) -> None:
        """These words are there, or were for a moment since whatever this visitor `saw` before."""
        await sightings.saw(self.page, words)

    async def sees(self, *texts: str) -> None:
        """These messages, in this order, and no others."""
        await expect(self.messages.locator(".text")).to_have_text(
            [re.compile(f"^{re.escape(text)}$") for text in texts]
        )

    async def sees_states(self, *states: str) -> None:
        """The states of all messages, in order."""
        await self.settles_to("message", "data-status", states)

    async def settles_to(self, testid: str, attribute: str, values: Sequence[str]) -> None:
        await self.page.wait_for_function(
            """([testid, attribute, values]) =>
                JSON.stringify(Array.from(document.querySelectorAll(`[data-testid="${testid}"]`),
                  (element) => element.getAttribute(attribute))) === values""",
            arg=[testid, attribute, json.dumps(list(values), separators=(",", ":"))],
        )

    async def sees_connection(self, word: str) -> None:
        await expect(self.part("connection-state")).to_have_text(word)

    async def sees_ended(self, words: str | re.Pattern[str]) -> None:
        await expect(self.part("conversation-ended")).to_contain_text(words)
        await expect(self.composer).to_have_count(0)
