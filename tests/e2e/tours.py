"""Ways past every screen that safety has, for tests that look at all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from playwright.async_api import Page, expect

from tests.e2e import test_banned
from tests.e2e.answering import Answering
from tests.e2e.calling import devices, is_active
from tests.e2e.conftest import Street
from tests.e2e.scenes import FILES
from tests.e2e.test_console import MARKUP, Desks, rows
from tests.e2e.test_console import opens as opens_case
from tests.e2e.test_files import share
from tests.e2e.test_house import ASKED, REFUSED, is_born, is_in
from tests.e2e.test_report import DECIDED, TAKEN, opens
from tests.e2e.visitor import Visitor
from tests.moderation.conftest import Browser
from tests.support.conversation import Two

Look = Callable[[Visitor, str], Awaitable[None]]
"""Looks at what a visitor sees; the name of the screen is for those who read of it."""

PICTURE = FILES[0]
LONG = "Donaudampfschifffahrtsgesellschaftskapitän " + "x" * 80

_WORK = "**/assets/pbkdf2-*.js"


async def before_the_first_session(street: Street, look: Look, **files: str) -> None:
    """Age, rules, the operator's pages (`files`), the work of the browser, and the start with its foot."""
    street.server = await street.another_server(proof_of_work="always", age_minimum="18", **files)

    async def without_work(page: Page) -> None:
        await page.route(_WORK, lambda route: route.fulfill(body="", content_type="text/javascript"))

    expecting = f"{ASKED}|{REFUSED}"
    anna = await street.visitor(touch=True, expecting=expecting, before=without_work)
    await expect(anna.part("born-day")).to_be_visible()
    await look(anna, "age")
    await is_born(anna, "", "", "")
    await expect(anna.words("There is no such day.")).to_be_visible()
    await look(anna, "age-mistake")
    await is_born(anna, "1", "2", "1990")
    await expect(anna.part("rules-accept")).to_be_visible()
    await look(anna, "rules")
    await anna.part("rules-read").click()
    await expect(anna.part("house-page").get_by_role("table")).to_be_visible()
    await look(anna, "page-rules")
    await anna.part("house-page-close").click()
    await anna.part("rules-accept").click()
    await expect(anna.part("proof").locator("altcha-widget")).to_be_visible()
    await look(anna, "proof")
    await anna.part("proof-cancel").click()
    await expect(anna.part("proof-again")).to_be_visible()
    await look(anna, "proof-stopped")
    await anna.page.unroute(_WORK)
    await anna.part("proof-again").click()
    await is_in(anna)
    await look(anna, "start-with-pages")
    for page in ("privacy", "contact"):
        await anna.part(f"page-{page}").click()
        await expect(anna.part("house-page").get_by_role("paragraph")).to_be_visible()
        await look(anna, f"page-{page}")
        await anna.part("house-page-close").click()

    child = await street.visitor(touch=True, expecting=expecting)
    await is_born(child, "1", "2", "2020")
    await child.part("rules-accept").click()
    await expect(child.part("under-age")).to_be_visible()
    await look(child, "under-age")


async def among_strangers(street: Street, look: Look) -> None:
    """A conversation: what is asked for, what is blurred, a call, a report and what becomes of it."""
    street.server = await street.another_server(consent="links,pictures,files,voice,audio,video", match_again="0")
    answering = Answering(reports=True, reportWindow=60)
    answering.answers["safety:report"] = TAKEN
    answering.bodies["/api/reports/status"] = {"data": DECIDED}
    anna = await street.visitor(touch=True, before=answering.join)
    berta = await street.visitor(touch=True)
    await expect(anna.part("start")).to_be_enabled()
    await anna.part("choices").locator("summary").click()
    await look(anna, "start")
    await anna.start("AmberOtter2734")
    await expect(anna.words("Nobody else is looking just now")).to_be_visible()
    await look(anna, "searching")
    await berta.start("QuietHeron1148")
    await anna.sees_conversation()
    await anna.say("Hello! What do you see out of your window?")
    await berta.say("A garden, and the neighbour's cat. Shall I show you?")
    await anna.sees_states("delivered", "received")
    await look(anna, "conversation")
    await anna.can_move_on()
    await share(berta, PICTURE)
    await expect(anna.part("ask-pictures")).to_be_visible()
    await look(anna, "consent")
    await look(berta, "consent-awaited")
    await anna.part("allow-pictures").click()
    await expect(anna.part("picture")).to_have_css("filter", "blur(28px) grayscale(1)")
    await look(anna, "blurred")
    await anna.unveils()
    await anna.part("picture").click()
    await expect(anna.part("full-view")).to_be_visible()
    await look(anna, "full-view")
    await anna.page.keyboard.press("Escape")
    await expect(anna.part("full-view")).to_have_count(0)
    await anna.part("about").click()
    await anna.part("open-to-all").locator("summary").click()
    await look(anna, "about")
    await anna.page.keyboard.press("Escape")
    await _calls(anna, berta, look)
    await _report(anna, look)


async def _calls(anna: Visitor, berta: Visitor, look: Look) -> None:
    async with devices(anna, berta):
        await berta.part("call-video").click()
        await berta.part("join-call").click()
        await expect(anna.part("ask-video")).to_be_visible()
        await look(anna, "call-consent")
        await anna.part("allow-video").click()
        await expect(anna.part("answer-video")).to_be_visible()
        await look(anna, "call-rings")
        await anna.part("answer-video").click()
        await anna.part("join-call").click()
        await is_active(anna, berta)
        await expect(anna.part("reveal")).to_be_visible()
        await look(anna, "call-blurred")
        await anna.part("reveal").click()
        await expect(anna.part("remote-video")).to_have_css("filter", "none")
        await look(anna, "call")
        await anna.part("hang-up").click()
        await expect(anna.part("call")).to_have_count(0)


async def _report(anna: Visitor, look: Look) -> None:
    await opens(anna)
    await look(anna, "report")
    await anna.part("report-send").click()
    await expect(anna.words("Please choose what it is about.")).to_be_visible()
    await anna.part("reason-threats").check()
    await look(anna, "report-danger")
    await anna.part("report-send").click()
    await expect(anna.part("receipt")).to_be_visible()
    await look(anna, "receipt")
    await anna.part("report-close").click()
    await anna.part("my-reports").click()
    await expect(anna.part("report-state")).to_contain_text("It was looked at.")
    await look(anna, "my-reports")


async def told_by_a_moderator(street: Street, look: Look) -> None:
    """A warning, a session that is ended, a ban, and the appeal against it."""
    answering = Answering(reports=True)
    answering.bodies["/api/appeals/status"] = test_banned.appeal("none")
    anna = await street.visitor(touch=True, before=answering.join)
    await anna.sees_connection("Connected")
    answering.say("safety:told", kind="warning", rule="hate", words="Please do not write such things here.")
    await expect(anna.part("warning")).to_be_visible()
    await look(anna, "warning")
    await anna.part("warning-read").click()
    answering.say("safety:told", kind="session_ended", rule="spam", words="")
    await expect(anna.part("barred")).to_be_visible()
    await look(anna, "session-ended")
    await anna.part("begin-again").click()
    await anna.sees_connection("Connected")

    in_a_week = datetime.now(UTC) + timedelta(days=7)
    ban = {
        "rule": "threats",
        "words": "You have threatened somebody. Nobody has to put up with that here.",
        "until": in_a_week.isoformat(timespec="milliseconds"),
        "appealCode": test_banned.CODE,
    }
    answering.say("safety:told", kind="banned", **ban)
    await expect(anna.part("appeal-send")).to_be_visible()
    await look(anna, "banned")
    await anna.part("appeal-send").click()
    await expect(anna.words("Please write something.")).to_be_visible()
    await look(anna, "appeal-mistake")
    answering.bodies["/api/appeals"] = test_banned.appeal("waiting", words="It was a quote.")
    await anna.part("appeal-words").fill("It was a quote.")
    await anna.part("appeal-send").click()
    await expect(anna.part("appeal-state")).to_have_attribute("data-state", "waiting")
    await look(anna, "appeal-waits")
    answering.bodies["/api/appeals/status"] = test_banned.appeal(
        "rejected", words="It was a quote.", answer="It was no quote."
    )
    await anna.part("appeal-look").click()
    await expect(anna.part("appeal-answer")).to_be_visible()
    await look(anna, "appeal-rejected")
    answering.bodies["/api/appeals/status"] = test_banned.appeal("upheld", ended=True, answer="You are right.")
    await anna.page.reload()
    await expect(anna.part("answered")).to_be_visible()
    await look(anna, "appeal-upheld")
    answering.bodies["/api/guest"] = {"code": "banned", "ban": test_banned.SHARED}
    neighbour = await street.visitor(touch=True, before=answering.join)
    await expect(neighbour.part("shared")).to_be_visible()
    await look(neighbour, "banned-connection")


async def at_the_desks(desks: Desks, look: Look, language: str = "en", texts: tuple[str, str] = (MARKUP, LONG)) -> None:
    """The console, from the link that sets up to the audit. The `texts` are reported."""
    token = await desks.office.server.application.services.logins.invite("ida", "admin", "test")
    eva = await desks.open(f"/moderate#/setup/{token}")
    await expect(eva.part("secret")).to_be_visible()
    await eva.part("language").select_option(language)
    await expect(eva.page.locator("html")).to_have_attribute("lang", language)
    await look(eva, "set-up")
    await eva.part("password").fill("short")
    await eva.part("finish").click()
    await look(eva, "set-up-mistake")
    await eva.page.goto(f"{desks.url}/moderate#/setup/made-up")
    await expect(eva.part("trouble")).to_be_visible()
    await look(eva, "set-up-gone")

    colleague = await desks.colleague("eva", "admin")
    await eva.page.goto(f"{desks.url}/moderate#/")
    await look(eva, "log-in")
    await desks.log_in(eva, colleague, password="wrong")
    await expect(eva.part("trouble")).not_to_be_empty()
    await look(eva, "log-in-refused")
    await desks.log_in(eva, colleague)
    await expect(eva.part("empty")).to_be_visible()
    await look(eva, "queue-empty")
    for part in ("appeals", "bans"):
        await eva.part(f"nav-{part}").click()
        await expect(eva.part("empty")).to_be_visible()
        await look(eva, f"{part}-empty")
    await eva.page.goto(f"{desks.url}/moderate#/nowhere")
    await expect(eva.page.get_by_role("main").get_by_role("link")).to_be_visible()
    await look(eva, "nowhere")

    two, case = await _reported(desks, *texts)
    await desks.cases(2, rule="threats")
    await desks.cases(3, rule="spam", source="repeats")
    await _a_case_is_decided(desks, eva, case, look)
    await two.one.close()
    await _what_follows(desks, eva, await desks.colleague("tom", "triage"), look)


async def _reported(desks: Desks, first: str, second: str) -> tuple[Two, str]:
    """A conversation with a picture and a text, all of it reported; the two, and the case."""
    server = desks.office.server
    anna, berta = await server.visitor(username="AmberOtter2734"), await server.visitor(username="QuietHeron1148")
    two = Two(server, anna, berta, await server.match(anna[1], berta[1]))
    ids = []
    for kind, content in (
        ("text", first),
        ("file", await two.upload(PICTURE["buffer"], PICTURE["name"], by=two.berta)),
        ("text", second),
    ):
        await two.other.emit("chat:message", {"type": kind, "content": content})
        ids.append((await two.one.until("chat:message"))["id"])
    await two.one.emit("chat:message", {"type": "text", "content": "Please stop."})
    await two.one.ask("safety:report", {"reason": "hate", "messages": ids, "words": "All of it.", "leave": False})
    page = await server.application.services.adapters.kept.cases.page("open")
    return two, page.cases[0].id


async def _a_case_is_decided(desks: Desks, eva: Visitor, case: str, look: Look) -> None:
    await eva.page.goto(f"{desks.url}/moderate#/")
    await expect(rows(eva)).to_have_count(6)
    await look(eva, "queue")
    await eva.part("figures").locator("summary").click()
    await look(eva, "figures")
    await opens_case(eva, case)
    # It is loaded when it is near.
    await eva.part("file").scroll_into_view_if_needed()
    await expect(eva.part("picture")).to_be_visible()
    await look(eva, "case")
    await eva.part("show").click()
    await look(eva, "case-picture")
    await eva.page.keyboard.press("?")
    await expect(eva.part("key-list")).to_be_visible()
    await look(eva, "keys")
    await eva.page.keyboard.press("Escape")
    for action in ("dismiss", "warn", "hold", "export", "ban"):
        await eva.part(f"action-{action}").click()
        await expect(eva.part("decide")).to_be_visible()
        if action in ("warn", "ban"):
            await expect(eva.part("decide-words")).not_to_have_value("")
        await look(eva, f"decide-{action}")
        if action == "hold":
            await eva.part("confirm").click()
            await expect(eva.part("decide-trouble")).not_to_be_empty()
            await look(eva, "decide-mistake")
        if action != "ban":
            await eva.part("cancel").click()
    await eva.part("decide-words").fill("Not here.")
    await eva.part("confirm").click()
    await expect(eva.part("decide")).to_have_count(0)
    await opens_case(eva, case)
    await eva.page.keyboard.press("b")
    await expect(eva.part("refusal")).not_to_be_empty()
    await look(eva, "case-closed")


async def _what_follows(desks: Desks, eva: Visitor, colleague: Browser, look: Look) -> None:
    kept = desks.office.server.application.services.adapters.kept
    await eva.part("nav-bans").click()
    await expect(eva.part("ban")).to_be_visible()
    await look(eva, "bans")
    await eva.part("lift").click()
    await expect(eva.part("say")).to_be_visible()
    await look(eva, "lift")
    await eva.page.keyboard.press("Escape")

    (ban,) = await kept.sanctions.changed(0)
    answer = await desks.office.server.http.post("/api/appeals", json={"code": ban.appeal_code, "words": MARKUP})
    assert answer.json()["success"], answer.text
    await eva.part("nav-appeals").click()
    await expect(eva.part("why")).to_be_visible()
    await look(eva, "appeals-own")
    for part in ("people", "audit"):
        await eva.part(f"nav-{part}").click()
        await expect(eva.part(part)).to_be_visible()
        await look(eva, part)

    # Somebody else may answer, and do less with a case.
    max_ = await desks.colleague("max")
    for someone in (max_, colleague):
        await eva.part("log-out").click()
        await desks.log_in(eva, someone)
        await expect(rows(eva)).to_have_count(5)
        if someone is max_:
            await eva.part("nav-appeals").click()
            await expect(eva.part("appeal")).to_be_visible()
            await look(eva, "appeals")
            await eva.part("rejected").click()
            await eva.part("confirm").click()
            await expect(eva.part("say-trouble")).not_to_be_empty()
            await look(eva, "answer")
            await eva.page.keyboard.press("Escape")
            continue
        await rows(eva).first.click()
        await expect(eva.part("reasons")).to_be_visible()
        await look(eva, "case-triage")
