"""Who looks after the place: from the set-up link to the decision, the appeal and the audit."""

from __future__ import annotations

import gzip
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pyotp
import pytest
import pytest_asyncio
from playwright.async_api import Locator, Route, ViewportSize, expect

from passerby.moderation.staff import Role
from passerby.safety.cases import NewCase, Subject
from passerby.safety.marks import session_mark
from tests.database.conftest import KEY
from tests.database.test_kept import sanction
from tests.e2e.conftest import Tabs
from tests.e2e.test_accessibility import (
    CUT_OFF,
    FOCUS_RING,
    LAPTOP,
    LOW_CONTRAST,
    PHONE,
    everything_is_named,
    targets_are_large_enough,
)
from tests.e2e.test_files import PICTURE
from tests.e2e.visitor import Visitor
from tests.moderation.conftest import PASSWORD, Browser, Office
from tests.support.conversation import TEXT, Two
from tests.support.server import inside

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

MARKUP = "<img src=x onerror=alert(1)> <b>bad</b>"
MOST_BYTES = 40_000
"""JavaScript of the console with the words of one language, as gzip makes it."""
REFUSED = "status of (4[0-9][0-9]|503)|net::ERR_"
"""What a browser says of an answer that refuses, and of none."""
MOVING = bytes.fromhex(
    "474946383961010001008000 00ff00000000ff"  # one pixel; red, blue
    "21ff0b4e45545343415045322e300301000000"  # again and again
    "21f904000a000000 2c000000000100010000 0202440100"  # a tenth of a second of red
    "21f904000a000000 2c000000000100010000 02024c0100"  # and one of blue
    "3b"
)
"""A GIF that moves."""
PIXEL = """
canvas => {
  const copy = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return [...copy.getImageData(0, 0, 1, 1).data];
}
"""


class Desks:
    """A server, and people who look after its guests, each with a browser of their own."""

    def __init__(self, office: Office, tabs: Tabs, stack: AsyncExitStack) -> None:
        self.office = office
        self.url = office.server.url
        self._tabs = tabs
        self._stack = stack
        self._visitors: list[Visitor] = []

    async def open(self, path: str = "/moderate", *, viewport: ViewportSize = LAPTOP, dark: bool = False) -> Visitor:
        """Somebody opens the console in a browser where nobody has logged in."""
        page = await self._tabs.take(touch=True)
        self._stack.push_async_callback(page.context.close)
        await page.set_viewport_size(viewport)
        await page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
        # To be asked for the first time who one is, is no failure; neither is what a test lets be refused.
        visitor = Visitor(page, self.url, [REFUSED])
        self._visitors.append(visitor)
        await page.goto(self.url + path)
        return visitor

    async def colleague(self, name: str = "max", role: Role = "moderator") -> Browser:
        """Make a moderator; there is no page yet."""
        browser = Browser(self.office.server, name)
        self.office.browsers.append(browser)
        await browser.set_up(role)
        return browser

    async def seated(
        self, name: str = "max", role: Role = "moderator", path: str = "/moderate", **options: object
    ) -> Visitor:
        """A moderator who has logged in."""
        colleague = await self.colleague(name, role)
        visitor = await self.open(path, **options)  # type: ignore[arg-type]  # as there
        await self.log_in(visitor, colleague)
        await expect(visitor.part("who")).to_be_visible()
        return visitor

    async def log_in(self, visitor: Visitor, colleague: Browser, password: str = PASSWORD) -> None:
        """Fill in the form, with a code that was not used yet."""
        found = await self.office.server.application.services.adapters.kept.staff.by_name(colleague.name)
        assert found is not None
        await colleague._forget_step(found)
        await visitor.part("name").fill(colleague.name)
        await visitor.part("password").fill(password)
        await visitor.part("code").fill(colleague.totp.now())
        await visitor.part("log-in").click()

    async def cases(self, count: int, **changes: object) -> list[str]:
        """Open cases behind the page's back, the oldest first, all of them hate; return their ids."""
        cases = self.office.server.application.services.adapters.kept.cases
        ids = [secrets.token_urlsafe(16) for _ in range(count)]
        for number, case_id in enumerate(ids):
            subject = Subject(guest_id=f"g{number}", username=f"Guest{number}", marks=(session_mark(case_id),))
            given: dict[str, object] = {"rule": "hate", "source": "report", **changes}
            await cases.add(
                NewCase(id=case_id, opened_at=time.time() - count + number, subject=subject, **given)  # type: ignore[arg-type]  # by name
            )
        return ids

    def tidy(self) -> None:
        complaints = [complaint for visitor in self._visitors for complaint in visitor.complaints]
        assert not complaints, "\n".join(complaints)


@asynccontextmanager
async def desks_of(tabs: Tabs, **changes: object) -> AsyncIterator[Desks]:
    """A server with a console, until this ends; nobody looks after it yet."""
    async with AsyncExitStack() as stack:
        settings = {"database_url": "sqlite:///", "evidence_key": KEY, "limits_scale": 100, **changes}
        server = await stack.enter_async_context(inside(**settings))
        opened = Desks(Office(server), tabs, stack)
        yield opened
        opened.tidy()
        for browser in opened.office.browsers:
            await browser.http.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def desks(tabs: Tabs) -> AsyncIterator[Desks]:
    async with desks_of(tabs) as opened:
        yield opened


def rows(visitor: Visitor) -> Locator:
    return visitor.part("case-row")


async def opens(visitor: Visitor, case_id: str) -> None:
    """Go to a case by its address."""
    await visitor.page.goto(f"{visitor.url}/moderate#/cases/{case_id}")
    await expect(visitor.part("case")).to_have_attribute("data-case", case_id)


def content(path: Path) -> bytes:
    return path.read_bytes()


async def dialog_is(visitor: Visitor, *, there: bool) -> None:
    await expect(visitor.part("decide")).to_have_count(1 if there else 0)


# ── who may come in ───────────────────────────────────────────────────────────────────────────────


async def test_a_link_sets_up_and_works_once(desks: Desks) -> None:
    token = await desks.office.server.application.services.logins.invite("eva", "admin", "test")
    visitor = await desks.open(f"/moderate#/setup/{token}")
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Welcome, eva")
    await expect(visitor.page.get_by_role("img", name="QR code")).to_be_visible()
    totp = pyotp.TOTP(await visitor.part("secret").inner_text())
    for password, repeated, code, words in (
        ("short", "short", "123456", "at least 12"),
        (PASSWORD, PASSWORD + "x", "123456", "differ"),
        (PASSWORD, PASSWORD, "12345", "six digits"),
        ("my name is eva, eva", "my name is eva, eva", totp.now(), "not accepted"),
        (PASSWORD, PASSWORD, "000000", "not accepted"),
    ):
        await visitor.part("password").fill(password)
        await visitor.part("repeat").fill(repeated)
        await visitor.part("code").fill(code)
        await visitor.part("finish").click()
        await expect(visitor.part("trouble")).to_contain_text(words)
    await visitor.part("code").fill(totp.now())
    await visitor.part("finish").click()
    await expect(visitor.part("log-in")).to_be_visible()
    await expect(visitor.part("said")).to_contain_text("All is set up")
    await visitor.page.goto(f"{desks.url}/moderate#/setup/{token}")
    await expect(visitor.part("trouble")).to_contain_text("does not work any more")


async def test_whoever_is_logged_out_comes_back_to_where_they_were(desks: Desks) -> None:
    colleague = await desks.colleague()
    (case,) = await desks.cases(1)
    visitor = await desks.open(f"/moderate#/cases/{case}")
    await desks.log_in(visitor, colleague, password="wrong")
    await expect(visitor.part("trouble")).to_contain_text("Name, password or code is wrong")
    await expect(visitor.part("code")).to_have_value("")
    await desks.log_in(visitor, colleague)
    await expect(visitor.part("case")).to_have_attribute("data-case", case)
    await visitor.page.reload()
    await expect(visitor.part("case")).to_have_attribute("data-case", case)

    # The session ends behind the page's back.
    await visitor.page.context.clear_cookies()
    await visitor.page.keyboard.press("n")
    await visitor.part("decide-words").fill("seen")
    await visitor.part("confirm").click()
    await expect(visitor.part("log-in")).to_be_visible()
    await expect(visitor.part("case")).to_have_count(0)
    await desks.log_in(visitor, colleague)
    await expect(visitor.part("case")).to_have_attribute("data-case", case)
    await visitor.part("cancel").click()
    await visitor.part("log-out").click()
    await expect(visitor.part("log-in")).to_be_visible()
    kept = await visitor.page.evaluate(
        "[JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie]"
    )
    assert kept == ["{}", "{}", ""]


async def test_what_was_typed_is_there_again_for_who_has_typed_it(desks: Desks) -> None:
    await desks.office.reported()
    kept = desks.office.server.application.services.adapters.kept
    await kept.sanctions.add(sanction(code=""))
    eva, max_ = await desks.colleague("eva"), await desks.colleague("max")
    visitor = await desks.open()
    await desks.log_in(visitor, eva)
    await rows(visitor).click()
    await expect(visitor.part("case")).to_be_visible()
    await visitor.page.keyboard.press("b")
    await expect(visitor.part("decide-words")).not_to_have_value("")
    await visitor.part("length").select_option("3600")
    await visitor.part("decide-words").fill("Only this.")
    await visitor.page.context.clear_cookies()
    await visitor.part("confirm").click()
    await desks.log_in(visitor, eva)
    await expect(visitor.part("decide-words")).to_have_value("Only this.")
    await expect(visitor.part("length")).to_have_value("3600")
    await visitor.part("cancel").click()
    await visitor.page.keyboard.press("b")
    await expect(visitor.part("decide-words")).to_have_value(re.compile("^You "))
    await visitor.part("cancel").click()

    await visitor.part("nav-bans").click()
    await visitor.part("lift").click()
    await visitor.part("say-words").fill("It was somebody else.")
    await visitor.page.context.clear_cookies()
    await visitor.part("confirm").click()
    await desks.log_in(visitor, eva)
    await expect(visitor.part("say-words")).to_have_value("It was somebody else.")
    await visitor.page.context.clear_cookies()
    await visitor.part("confirm").click()
    await desks.log_in(visitor, max_)
    await expect(visitor.part("ban")).to_be_visible()
    await expect(visitor.part("say")).to_have_count(0)
    await visitor.part("lift").click()
    await expect(visitor.part("say-words")).to_have_value("")


@pytest.mark.parametrize("notices", ["when something is sent", "on the way back to the tab"])
async def test_nothing_is_sent_in_the_name_of_who_logs_in_in_another_tab(desks: Desks, notices: str) -> None:
    (case,) = await desks.cases(1)
    visitor = await desks.seated("eva")
    await opens(visitor, case)
    await visitor.page.keyboard.press("n")
    await visitor.part("decide-words").fill("of eva")
    max_ = await desks.colleague("max")
    await max_.log_in()
    ((name, value),) = max_.http.cookies.items()
    await visitor.page.context.clear_cookies()
    await visitor.page.context.add_cookies([{"name": name, "value": value, "url": f"{desks.url}/api/moderate"}])
    if notices == "when something is sent":
        await visitor.part("confirm").click()
    else:
        await visitor.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(visitor.part("said")).to_contain_text("somebody else is logged in now: max, moderator")
    await expect(visitor.part("who")).to_have_text("max, moderator")
    await dialog_is(visitor, there=False)
    await expect(visitor.part("case")).to_have_attribute("data-case", case)
    found = await desks.office.server.application.services.adapters.kept.cases.load(case)
    assert found is not None
    assert found.decisions == []


# ── the network ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("part", ["", "appeals", "bans", "people", "audit", "cases"])
async def test_what_could_not_be_loaded_is_there_when_the_network_returns(desks: Desks, part: str) -> None:
    (case,) = await desks.cases(1)
    visitor = await desks.seated("eva", "admin", "/moderate#/nowhere")
    await visitor.page.context.set_offline(True)
    await visitor.page.evaluate("hash => { location.hash = hash }", f"#/{part}{f'/{case}' if part == 'cases' else ''}")
    trouble = visitor.part("trouble").last
    await expect(trouble).to_contain_text("The server cannot be reached.")
    await trouble.get_by_role("button").click()
    await expect(trouble).to_contain_text("The server cannot be reached.")
    await visitor.page.context.set_offline(False)
    await expect(visitor.part("trouble")).to_have_count(0)
    await expect(visitor.words("Loading…")).to_have_count(0)


async def test_a_decision_without_an_answer_is_not_made_again(desks: Desks) -> None:
    (case,) = await desks.cases(1)
    visitor = await desks.seated()
    await opens(visitor, case)
    await visitor.page.keyboard.press("n")
    await visitor.part("decide-words").fill("seen")
    asked: list[str] = []

    async def lose(route: Route) -> None:
        asked.append(route.request.url)
        await route.abort()

    await visitor.page.route(re.compile("/decisions"), lose)
    await visitor.part("confirm").click()
    await expect(visitor.part("decide-trouble")).to_contain_text("look before you try again")
    await visitor.page.evaluate("dispatchEvent(new Event('online'))")
    await expect(visitor.part("decide-words")).to_have_value("seen")
    await visitor.page.unroute(re.compile("/decisions"))
    await visitor.part("confirm").click()
    await expect(visitor.part("decisions")).to_contain_text("seen")
    assert len(asked) == 1


# ── the queue and a case ──────────────────────────────────────────────────────────────────────────


async def test_the_queue_is_worked_through_by_keys(desks: Desks) -> None:
    first, second, third = await desks.cases(3)
    (urgent,) = await desks.cases(1, rule="threats")
    visitor = await desks.seated()
    await expect(rows(visitor)).to_have_count(4)
    assert await rows(visitor).evaluate_all("rows => rows.map((row) => row.dataset.case)") == [
        *(urgent, first, second, third)
    ]
    await expect(rows(visitor).first).to_contain_text("left")
    await expect(visitor.part("figure-open")).to_have_text("4")
    keyboard = visitor.page.keyboard
    await keyboard.press("?")
    await expect(visitor.part("key-list")).to_be_visible()
    await keyboard.press("Escape")
    await expect(visitor.part("key-list")).to_have_count(0)
    await keyboard.press("j")
    await expect(rows(visitor).first).to_be_focused()
    assert await visitor.page.evaluate(FOCUS_RING) >= 2
    await keyboard.press("Enter")
    case = visitor.part("case")
    await expect(case).to_have_attribute("data-case", urgent)
    await expect(visitor.page.get_by_role("heading", level=1)).to_be_focused()
    await keyboard.press("j")
    await expect(case).to_have_attribute("data-case", first)
    await keyboard.press("k")
    await expect(case).to_have_attribute("data-case", urgent)


async def test_keys_decide_with_a_step_between(desks: Desks) -> None:
    first, second, third = await desks.cases(3)
    (urgent,) = await desks.cases(1, rule="threats")
    visitor = await desks.seated()
    keyboard, case = visitor.page.keyboard, visitor.part("case")
    await rows(visitor).first.click()
    await expect(case).to_have_attribute("data-case", urgent)
    await keyboard.press("d")
    await dialog_is(visitor, there=True)
    await keyboard.press("Escape")
    await dialog_is(visitor, there=False)
    await expect(case).to_have_attribute("data-case", urgent)
    await keyboard.press("d")
    await expect(visitor.part("confirm")).to_be_focused()
    await keyboard.press("Enter")
    await expect(case).to_have_attribute("data-case", first)
    await expect(visitor.part("said")).to_have_text("Done: Dismiss.")
    await keyboard.press("s")
    await keyboard.press("Enter")
    await expect(case).to_have_attribute("data-case", second)
    await keyboard.press("n")
    await visitor.part("confirm").click()
    await expect(visitor.part("decide-trouble")).to_have_text("Please write something.")
    await visitor.part("decide-words").fill(MARKUP)
    await keyboard.press("Control+Enter")
    await expect(visitor.part("decisions")).to_contain_text(MARKUP)
    await expect(case).to_have_attribute("data-case", second)
    await keyboard.press("h")
    await visitor.part("decide-words").fill("the police asks")
    await keyboard.press("Control+Enter")
    await expect(visitor.part("held")).to_have_text("the police asks")
    await keyboard.press("h")
    await keyboard.press("Enter")
    await expect(visitor.part("held")).to_have_count(0)
    await keyboard.press("e")
    await expect(visitor.part("decide-words")).not_to_have_value("")
    await keyboard.press("Control+Enter")
    await dialog_is(visitor, there=False)
    await expect(case).to_have_attribute("data-case", third)
    await keyboard.press("d")
    await keyboard.press("Enter")
    await expect(visitor.part("empty")).to_be_visible()
    await visitor.part("state-escalated").click()
    await expect(rows(visitor)).to_have_attribute("data-case", first)
    await visitor.part("state-closed").click()
    await expect(rows(visitor)).to_have_count(3)
    await rows(visitor).first.click()
    await expect(case).to_have_attribute("data-state", "closed")
    await keyboard.press("b")
    await expect(visitor.part("refusal")).to_contain_text("decided already")
    await dialog_is(visitor, there=False)


async def test_single_keys_can_be_switched_off(desks: Desks) -> None:
    (case,) = await desks.cases(1)
    visitor = await desks.seated()
    await opens(visitor, case)
    keyboard = visitor.page.keyboard
    await keyboard.press("?")
    await visitor.part("keys-on").uncheck()
    await keyboard.press("Escape")
    await expect(visitor.page.locator("kbd")).to_have_count(0)
    for key in "?nj":
        await keyboard.press(key)
    await expect(visitor.page.locator("dialog")).to_have_count(0)
    await visitor.page.reload()
    await expect(visitor.part("case")).to_be_visible()
    await keyboard.press("n")
    await dialog_is(visitor, there=False)
    await visitor.part("keys").click()
    await visitor.part("keys-on").check()
    await keyboard.press("Escape")
    await keyboard.press("n")
    await dialog_is(visitor, there=True)
    await visitor.part("decide-words").press_sequentially("bed?")
    await expect(visitor.part("decide-words")).to_have_value("bed?")


async def test_bans_come_in_parts(desks: Desks) -> None:
    store = desks.office.server.application.services.adapters.kept.sanctions
    for number in range(60):
        await store.add(sanction(code=str(number)))
    visitor = await desks.seated(path="/moderate#/bans")
    await expect(visitor.part("ban")).to_have_count(50)
    await visitor.part("more").click()
    await expect(visitor.part("ban")).to_have_count(60)
    await expect(visitor.part("more")).to_have_count(0)
    await visitor.part("lift").last.click()
    await visitor.part("say-words").fill("It was somebody else.")
    await visitor.part("confirm").click()
    await expect(visitor.part("lifted")).to_have_count(1)
    await expect(visitor.part("ban")).to_have_count(60)


async def test_a_long_queue_goes_on(desks: Desks) -> None:
    ids = await desks.cases(60)
    visitor = await desks.seated()
    await expect(visitor.part("total")).to_have_text("60 cases")
    await expect(rows(visitor)).to_have_count(50)
    await rows(visitor).last.click()
    await expect(visitor.part("case")).to_have_attribute("data-case", ids[49])
    await visitor.page.go_back()
    await visitor.part("more").click()
    await expect(rows(visitor)).to_have_count(60)
    async with visitor.page.expect_response(re.compile("/cases.*after=")):
        await visitor.part("state-open").click()
    await expect(rows(visitor)).to_have_count(60)
    await rows(visitor).nth(49).click()
    await expect(visitor.part("case")).to_have_attribute("data-case", ids[49])
    await visitor.page.keyboard.press("j")
    await expect(visitor.part("case")).to_have_attribute("data-case", ids[50])


async def test_a_ban_says_in_the_guests_language_what_it_is_for(desks: Desks) -> None:
    server = desks.office.server
    anna, berta = await server.visitor(username="Anna"), await server.visitor(username="Berta", language="de-AT")
    matched = await server.match(anna[1], berta[1])
    two = Two(server, anna, berta, {"roomId": matched["roomId"], "epoch": matched["epoch"]})
    await two.other.emit("chat:message", {"type": "text", "content": MARKUP})
    message = await two.one.until("chat:message")
    await two.one.ask("safety:report", {"reason": "hate", "messages": [message["id"]], "words": MARKUP})
    visitor = await desks.seated()
    await rows(visitor).click()
    await expect(visitor.part("text")).to_have_text(MARKUP)
    await expect(visitor.part("reporter-words")).to_have_text(MARKUP)
    await expect(visitor.part("marked")).to_be_visible()
    await visitor.page.keyboard.press("b")
    words = visitor.part("decide-words")
    await expect(words).to_have_value(re.compile("^Du hast jemanden oder eine Gruppe"))
    await expect(visitor.part("decide-language")).to_contain_text("Austrian German")
    await visitor.part("decide-rule").select_option("threats")
    await expect(words).to_have_value(re.compile("^Du hast jemanden bedroht"))
    await words.fill("Nur das.")
    await visitor.part("decide-rule").select_option("spam")
    await expect(words).to_have_value("Nur das.")
    await visitor.part("template").click()
    await expect(words).to_have_value(re.compile("^Du hast Werbung"))
    for kind in ("session", "device"):
        if await visitor.part(f"by-{kind}").count():
            await visitor.part(f"by-{kind}").uncheck()
    await visitor.part("confirm").click()
    await expect(visitor.part("decide-trouble")).to_have_text("Choose at least one.")
    await visitor.part("by-session").check()
    await visitor.part("length").select_option("86400")
    await words.fill("Nur das.")
    await visitor.part("confirm").click()
    told = await two.other.until("safety:told")
    assert (told["kind"], told["rule"], told["words"]) == ("banned", "spam", "Nur das.")
    assert "until" in told

    await visitor.part("nav-bans").click()
    await expect(visitor.part("ban")).to_contain_text("Nur das.")
    await visitor.part("lift").click()
    await visitor.part("say-words").fill("It was somebody else.")
    await visitor.part("confirm").click()
    await expect(visitor.part("lifted")).to_be_visible()
    await expect(visitor.part("lift")).to_have_count(0)


async def test_pictures_are_hidden_until_asked_and_nothing_plays(desks: Desks) -> None:
    two = Two(desks.office.server, *await desks.office.server.pair())
    messages = []
    for body, name in ((PICTURE["buffer"], "garden.png"), (TEXT, "words.txt")):
        info = await two.upload(body, name, by=two.berta)
        await two.other.emit("chat:message", {"type": "file", "content": info})
        messages.append((await two.one.until("chat:message"))["id"])
    await two.one.ask("safety:report", {"reason": "sexual", "messages": messages})
    visitor = await desks.seated()
    await rows(visitor).click()
    picture = visitor.part("picture")
    await expect(picture).to_have_css("filter", "blur(24px) grayscale(1)")
    await visitor.part("show").click()
    await expect(picture).to_have_css("filter", "grayscale(1)")
    await visitor.part("colour").click()
    await expect(picture).to_have_css("filter", "none")
    await visitor.part("hide").click()
    await expect(picture).to_have_css("filter", "blur(24px) grayscale(1)")
    assert await visitor.page.locator("audio, video, iframe, object").count() == 0
    async with visitor.page.expect_download() as download:
        await visitor.part("download").last.click()
    assert content(await (await download.value).path()) == TEXT
    await visitor.page.keyboard.press("x")
    async with visitor.page.expect_download() as download:
        await visitor.page.keyboard.press("Enter")
    assert content(await (await download.value).path())[:2] == b"PK"
    await expect(visitor.part("said")).to_have_text("The archive was downloaded.")


async def reported_file(desks: Desks, body: bytes, name: str) -> str:
    """Report a file; return the id of the case."""
    two = Two(desks.office.server, *await desks.office.server.pair())
    info = await two.upload(body, name, by=two.berta)
    await two.other.emit("chat:message", {"type": "file", "content": info})
    message = await two.one.until("chat:message")
    await two.one.ask("safety:report", {"reason": "sexual", "messages": [message["id"]]})
    (case,) = (await desks.office.server.application.services.adapters.kept.cases.page("open")).cases
    return case.id


async def test_a_picture_that_moves_is_still_until_asked(desks: Desks) -> None:
    case = await reported_file(desks, MOVING, "dance.gif")
    visitor = await desks.seated()
    await opens(visitor, case)
    picture = visitor.part("picture")
    for _ in ("hidden", "grey"):
        await expect(picture).to_have_js_property("tagName", "CANVAS")
        await expect(picture).to_have_js_property("width", 1)
        assert await picture.evaluate(PIXEL) == [255, 0, 0, 255]
        await visitor.part("show").or_(visitor.part("colour")).click()
    await expect(picture).to_have_js_property("tagName", "IMG")
    await expect(picture).to_have_js_property("naturalWidth", 1)
    await visitor.part("hide").click()
    await expect(picture).to_have_js_property("tagName", "CANVAS")


async def test_a_file_that_cannot_be_had_says_why(desks: Desks) -> None:
    case = await reported_file(desks, PICTURE["buffer"], "garden.png")
    refusals: dict[str, tuple[int, str] | None] = {"code": (503, "unavailable")}

    async def refuse(route: Route) -> None:
        if refusals["code"] is None:
            await route.continue_()
            return
        status, code = refusals["code"]
        await route.fulfill(status=status, json={"success": False, "code": code})

    visitor = await desks.seated()
    await visitor.page.route(re.compile("/files/|/export"), refuse)
    await opens(visitor, case)
    evidence = visitor.part("evidence")
    await expect(evidence.get_by_test_id("trouble")).to_contain_text("The database cannot be reached right now.")
    await visitor.part("download").click()
    await expect(visitor.part("file-trouble")).to_have_text("The database cannot be reached right now.")
    refusals["code"] = (404, "file_not_found")
    await visitor.part("download").click()
    await expect(visitor.part("file-trouble")).to_have_text("The file is not there, or not any more.")
    await visitor.page.keyboard.press("x")
    await visitor.part("confirm").click()
    await expect(visitor.part("decide-trouble")).to_have_text("The file is not there, or not any more.")
    await visitor.part("cancel").click()
    refusals["code"] = None
    await evidence.get_by_test_id("again").click()
    await expect(visitor.part("picture")).to_be_visible()
    async with visitor.page.expect_download() as download:
        await visitor.part("download").click()
    assert (await download.value).suggested_filename == "garden.png"
    await expect(visitor.part("file-trouble")).to_have_text("")
    refusals["code"] = (401, "login_required")
    await visitor.part("download").click()
    await expect(visitor.part("log-in")).to_be_visible()
    await expect(visitor.part("said")).to_contain_text("Your session has ended.")


async def test_two_on_one_case_see_each_other_and_one_decides(desks: Desks) -> None:
    (case,) = await desks.cases(1)
    eva = await desks.seated("eva")
    await opens(eva, case)
    await expect(eva.part("looking-too")).to_have_text("")
    max_ = await desks.seated("max")
    await expect(max_.part("viewers")).to_have_text("eva is looking")
    await opens(max_, case)
    await expect(max_.part("looking-too")).to_have_text("eva is looking too")
    await expect(eva.part("looking-too")).to_have_text("max is looking too")
    await eva.page.keyboard.press("d")
    await eva.page.keyboard.press("Enter")
    await expect(eva.part("empty")).to_be_visible()
    await max_.page.keyboard.press("w")
    await expect(max_.part("decide-words")).not_to_have_value("")
    await max_.part("confirm").click()
    await expect(max_.part("refusal")).to_contain_text("Somebody else has decided this case.")
    await expect(max_.part("state")).to_have_text("Closed")
    await expect(max_.part("decisions")).to_contain_text("by eva")


async def test_what_a_role_may_not_is_said(desks: Desks) -> None:
    (case,) = await desks.cases(1)
    visitor = await desks.seated("tom", "triage")
    await expect(visitor.part("nav-audit")).to_have_count(0)
    await opens(visitor, case)
    for action in ("warn", "end_session", "ban", "export"):
        await expect(visitor.part(f"action-{action}")).to_have_attribute("aria-disabled", "true")
    await expect(visitor.part("reasons")).to_contain_text("Ban: for the role moderator.")
    for key in "webx":
        await visitor.page.keyboard.press(key)
        await expect(visitor.part("refusal")).to_contain_text("for the role moderator")
        await dialog_is(visitor, there=False)
    await visitor.page.keyboard.press("h")
    await visitor.part("decide-words").fill("wait")
    await visitor.part("confirm").click()
    await expect(visitor.part("action-release")).to_have_attribute("aria-disabled", "true")
    await visitor.page.goto(f"{desks.url}/moderate#/audit")
    await expect(visitor.words("This is for admins.")).to_be_visible()


async def test_an_appeal_is_answered_by_somebody_else(desks: Desks) -> None:
    _, case = await desks.office.reported()
    eva = await desks.seated("eva")
    await opens(eva, case)
    await eva.page.keyboard.press("b")
    await expect(eva.part("decide-words")).not_to_have_value("")
    await eva.part("confirm").click()
    await expect(eva.part("empty")).to_be_visible()
    kept = desks.office.server.application.services.adapters.kept
    (ban,) = await kept.sanctions.changed(0)
    answer = await desks.office.server.http.post("/api/appeals", json={"code": ban.appeal_code, "words": MARKUP})
    assert answer.json()["success"], answer.text
    await eva.part("nav-appeals").click()
    await expect(eva.part("appeal-words")).to_have_text(MARKUP)
    await expect(eva.part("why")).to_contain_text("your own decision")
    await eva.part("upheld").click(force=True)
    await expect(eva.part("say")).to_have_count(0)
    max_ = await desks.seated("max", "admin", "/moderate#/appeals")
    await max_.part("upheld").click()
    await max_.part("confirm").click()
    await expect(max_.part("say-trouble")).to_have_text("Please write something.")
    await max_.part("say-words").fill("You are right.")
    await max_.part("confirm").click()
    await expect(max_.part("empty")).to_be_visible()
    await max_.part("nav-people").click()
    await expect(max_.part("people")).to_contain_text("eva")
    await max_.part("nav-audit").click()
    await expect(max_.part("audit")).to_contain_text("appeal")


# ── for everybody ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("viewport", [PHONE, LAPTOP], ids=["phone", "laptop"])
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_it_suits_everybody(desks: Desks, viewport: ViewportSize, large: bool, dark: bool) -> None:
    colleague = await desks.colleague("max", "admin")
    two, case = await desks.office.reported("Donaudampfschifffahrtsgesellschaftskapitän " + "x" * 80, leave=False)
    await two.one.close()
    await desks.cases(2, rule="sexual")
    visitor = await desks.open(viewport=viewport, dark=dark)

    async def suits() -> None:
        if large:
            await visitor.page.add_style_tag(content="html { font-size: 200% !important }")
        await everything_is_named(visitor)
        await targets_are_large_enough(visitor)
        assert await visitor.page.evaluate(CUT_OFF) == []
        assert await visitor.page.evaluate(LOW_CONTRAST) == []

    await expect(visitor.part("log-in")).to_be_visible()
    await suits()
    await desks.log_in(visitor, colleague)
    await expect(rows(visitor)).to_have_count(3)
    await visitor.page.get_by_text("By rule").click()
    await suits()
    await opens(visitor, case)
    await suits()
    for key in ("w", "b", "?"):
        await visitor.page.keyboard.press(key)
        await expect(visitor.page.locator("dialog")).to_be_visible()
        await suits()
        if key == "b":
            await expect(visitor.part("decide-words")).not_to_have_value("")
            await visitor.part("confirm").click()
            await expect(visitor.part("decide")).to_have_count(0)
        else:
            await visitor.page.keyboard.press("Escape")
            await expect(visitor.page.locator("dialog")).to_have_count(0)
    for part in ("bans", "appeals", "people", "audit"):
        await visitor.part(f"nav-{part}").click()
        await expect(visitor.part(f"nav-{part}")).to_have_attribute("aria-current", "page")
        await expect(visitor.words("Loading…")).to_have_count(0)
        await suits()


async def test_it_speaks_german_and_remembers(desks: Desks) -> None:
    visitor = await desks.seated()
    await visitor.part("language").select_option("de")
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Warteschlange")
    await visitor.page.reload()
    await expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Warteschlange")
    assert await visitor.page.evaluate("Object.entries(localStorage)") == [["passerby.language", "de"]]


async def test_the_console_is_small_and_guests_load_nothing_of_it(desks: Desks) -> None:
    await desks.colleague()
    http = desks.office.server.http

    async def scripts(page: str) -> dict[str, int]:
        waiting = re.findall(r'(?:src|href)="[.]?/assets/([^"]+[.]js)"', (await http.get(page)).text)
        assert waiting
        sizes: dict[str, int] = {}
        while waiting:
            name = waiting.pop()
            if name not in sizes:
                text = (await http.get(f"/assets/{name}")).text
                sizes[name] = len(gzip.compress(text.encode()))
                waiting += [
                    found for found in re.findall(r'["\'`]\./([\w.-]+[.]js)["\'`]', text) if not found.startswith("de-")
                ]
        return sizes

    console, guests = await scripts("/moderate"), await scripts("/")
    assert sum(console.values()) <= MOST_BYTES, console
    assert not set(console) & set(guests)
