from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect

from tests.e2e import browser as chromium
from tests.e2e.cable import Cable, cable
from tests.e2e.serving import Serving, serving
from tests.e2e.sightings import NOTE
from tests.e2e.visitor import Visitor, end_session

WITHIN_MS = 30_000
"""Whatever a test waits for happens within this, however busy the machine: it only bounds how long a failure takes."""

WINDOW: ViewportSize = {"width": 800, "height": 600}

_UNTIL_PAUSED = 60.0
"""Seconds that a clock is put forward to stand still: it goes on until then, and cannot go back."""

# A violated policy is reported as an error in the console only for some directives.
_REPORT_VIOLATIONS = """
addEventListener('securitypolicyviolation', (event) => {
  console.error('policy violated:', event.effectiveDirective, event.blockedURI);
});
"""


class Tabs:
    """Browsers with one tab each. They are used again: to open one costs more than most tests."""

    def __init__(self, browser: Browser, scale: int = 1) -> None:
        """Each CSS pixel of their screens is `scale` by `scale`."""
        self._browser = browser
        self._scale = scale
        self._free: list[Page] = []

    async def take(self, *, touch: bool = False, still: bool = False) -> Page:
        """A tab of a browser that nobody else uses: a new one for a phone (`touch`) or a clock that stands `still`."""
        page = self._free.pop() if self._free and not touch and not still else await self._open(touch=touch)
        if still:
            now = time.time()
            await page.clock.install(time=now)
            await page.clock.pause_at(now + _UNTIL_PAUSED)
        await page.set_viewport_size(WINDOW)
        await page.emulate_media(reduced_motion="reduce", color_scheme="light")
        return page

    async def _open(self, *, touch: bool) -> Page:
        opened = await self._browser.new_context(
            locale="en-GB", has_touch=touch, is_mobile=touch, device_scale_factor=self._scale
        )
        opened.set_default_timeout(WITHIN_MS)
        await opened.add_init_script(_REPORT_VIOLATIONS)
        await opened.add_init_script(NOTE)
        return await opened.new_page()

    async def give_back(self, page: Page, *, again: bool) -> None:
        """Take back a tab that has been left by its user, to be used `again` or closed."""
        if again:
            self._free.append(page)
        else:
            await page.context.close()


class Street:
    """Where visitors come by: opens browsers at the server, and tidies up after them."""

    def __init__(self, tabs: Tabs, server: Serving, stack: contextlib.AsyncExitStack) -> None:
        self.server = server
        self._tabs = tabs
        self._stack = stack
        self._visitors: list[Visitor] = []
        self._used_up: set[Visitor] = set()
        """Whose tabs nobody can use again."""

    async def visitor(
        self,
        *,
        through: Cable | None = None,
        viewport: ViewportSize | None = None,
        dark: bool = False,
        touch: bool = False,
        still: bool = False,
        expecting: str = "^$",
        before: Callable[[Page], Awaitable[None]] | None = None,
    ) -> Visitor:
        """Someone opens the page in a browser of their own, through a cable if one is given.

        With `still`, no time passes on the page but what its `page.clock` is told to let pass: what goes away by itself
        stays, and two presses of a key are one right after the other, however long the test takes. The console may say
        what is `expecting`ed. `before` is done to the tab before the page is opened.
        """
        page = await self._tabs.take(touch=touch, still=still)
        if viewport is not None:
            await page.set_viewport_size(viewport)
        if dark:
            await page.emulate_media(color_scheme="dark")
        visitor = Visitor(page, (through or self.server).url, [expecting])
        self._visitors.append(visitor)
        if touch or still:
            self._used_up.add(visitor)
        if before is not None:
            await before(page)
        await page.goto(visitor.url)
        return visitor

    async def second_tab(self, visitor: Visitor) -> Visitor:
        """The visitor duplicates the tab, which copies its session."""
        async with visitor.page.context.expect_page() as opened:
            await visitor.page.evaluate("open(location.href)")  # copies the session storage, as duplicating does
        second = Visitor(await opened.value, visitor.url)
        self._stack.push_async_callback(second.page.close)
        return second

    async def same_guest(self, visitor: Visitor) -> Visitor:
        """The visitor's session in another browser, where no tab knows of the first."""
        second = await self.visitor()
        await expect(second.part("start")).to_be_enabled()
        own = await second.token()
        self._stack.push_async_callback(end_session, second.page, second.url, own)
        kept = await visitor.page.evaluate("JSON.stringify(sessionStorage)")
        await second.page.evaluate(
            """(kept) => {
              for (const [key, value] of Object.entries(JSON.parse(kept))) sessionStorage.setItem(key, value);
              Storage.prototype.setItem = () => {};
              location.reload();
            }""",
            kept,
        )
        return second

    async def pair(self, first: Visitor | None = None, second: Visitor | None = None) -> tuple[Visitor, Visitor]:
        """Two who have just met; who is not given arrives first."""
        arriving = [self.visitor() for visitor in (first, second) if visitor is None]
        arrived = iter(await asyncio.gather(*arriving))
        one, other = first or next(arrived), second or next(arrived)
        await asyncio.gather(one.start(), other.start())
        await asyncio.gather(one.sees_conversation(), other.sees_conversation())
        return one, other

    async def visitors(self, *, through: Cable | None = None) -> tuple[Visitor, Visitor]:
        """Two who have opened the page."""
        one, other = await asyncio.gather(self.visitor(through=through), self.visitor(through=through))
        return one, other

    async def cable(self) -> Cable:
        """Lay a cable to the server."""
        return await self._stack.enter_async_context(cable(self.server.port))

    async def another_server(self, **settings: str) -> Serving:
        return await self._stack.enter_async_context(serving(**settings))

    async def tidy(self) -> None:
        """End every session, so that nobody is left for the next test; then see what browsers complained of."""
        await asyncio.gather(*map(self._goodbye, self._visitors))
        complaints = [complaint for visitor in self._visitors for complaint in visitor.complaints]
        assert not complaints, "\n".join(complaints)

    async def _goodbye(self, visitor: Visitor) -> None:
        await end_session(visitor.page, self.server.url, await visitor.go_for_good(self.server.url))
        await self._tabs.give_back(visitor.page, again=visitor not in self._used_up)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tabs() -> AsyncIterator[Tabs]:
    try:
        path = chromium.executable()
    except chromium.NoBrowserError as error:
        pytest.fail(str(error), pytrace=False)
    expect.set_options(timeout=WITHIN_MS)
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=path, args=list(chromium.ARGS))
        yield Tabs(launched)
        await launched.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def default_server() -> AsyncIterator[Serving]:
    # All the tests' people come from one address, one soon after the other, and the same two meet again.
    async with serving(
        limit_address_sessions="10000/100", limit_address_connects="10000/100", match_again="0"
    ) as running:
        yield running


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of a server for one test alone: `@pytest.mark.parametrize("settings", [{"grace": "3"}])`."""
    return {}


@pytest_asyncio.fixture(loop_scope="session")
async def street(tabs: Tabs, default_server: Serving, settings: dict[str, str]) -> AsyncIterator[Street]:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(**settings)) if settings else default_server
        opened = Street(tabs, server, stack)
        yield opened
        await opened.tidy()
