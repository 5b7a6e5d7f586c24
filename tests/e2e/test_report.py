"""Who reports another sees what is sent, gets a receipt, and hears what became of it."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import ViewportSize, expect

from passerby.safety.cases import Decision
from passerby.safety.reports import Evidence
from tests.database.conftest import KEY, opened
from tests.e2e.answering import Answering
from tests.e2e.conftest import Street
from tests.e2e.test_accessibility import (
    CUT_OFF,
    LAPTOP,
    LOW_CONTRAST,
    PHONE,
    everything_is_named,
    tab_to,
    targets_are_large_enough,
)
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

RECEIPT = "Zx81-Pq_7aLr0vT3cWm9Ku"
TAKEN = ("safety:reported", {"receipt": RECEIPT, "queued": False, "hasMessages": True})
DECIDED = {
    "state": "decided",
    "rule": "hate",
    "action": "ban",
    "reportedAt": "2026-01-01T10:00:00.000Z",
    "decidedAt": "2026-01-02T11:00:00.000Z",
}


async def opens(visitor: Visitor) -> None:
    """Open the form in a conversation."""
    await visitor.part("about").click()
    await visitor.part("report").click()
    await expect(visitor.part("reason-sexual")).to_be_focused()


async def pair(
    street: Street, answering: Answering, viewport: ViewportSize = PHONE, *, dark: bool = False
) -> tuple[Visitor, Visitor]:
    """Two who have just met; the page of the first one is answered by `answering`."""
    first = await street.visitor(touch=True, viewport=viewport, dark=dark, before=answering.join)
    return await street.pair(first, await street.visitor(touch=True, before=Answering(reports=True).join))


async def test_a_report_is_made_by_keyboard_and_followed_by_its_receipt(street: Street) -> None:
    answering = Answering(reports=True, reportWindow=60)
    answering.answers["safety:report"] = TAKEN
    anna, berta = await pair(street, answering)
    name = await anna.partner()
    await berta.say("Hello", "You are all <b>bad</b>")
    await anna.say("Pardon?")
    await expect(anna.messages).to_have_count(3)
    await anna.part("about").press("Enter")
    await anna.part("report").press("Enter")
    await expect(anna.page.get_by_role("dialog", name=f"Report {name}")).to_be_visible()
    await expect(anna.part("mark")).to_have_count(2)
    await expect(anna.words(f"{name} is not told who has reported them.")).to_be_visible()
    await anna.part("report-send").press("Enter")
    await expect(anna.words("Please choose what it is about.")).to_be_visible()
    await expect(anna.part("reason-sexual")).to_be_focused()
    await anna.page.keyboard.press("Space")
    await expect(anna.part("danger")).to_contain_text("Call your local emergency number.")
    for _ in range(2):
        await anna.page.keyboard.press("ArrowDown")
    await expect(anna.part("reason-hate")).to_be_checked()
    await expect(anna.part("danger")).to_have_text("")
    await tab_to(anna, "mark")
    await anna.page.keyboard.press("Tab")
    await anna.page.keyboard.press("Space")
    await tab_to(anna, "report-words")
    await anna.page.keyboard.type("See above")
    await expect(anna.part("report-leave")).to_be_checked()
    await tab_to(anna, "report-send")
    await anna.page.keyboard.press("Enter")

    await expect(anna.part("receipt")).to_have_text(RECEIPT)
    [report] = answering.of("safety:report")
    [marked] = report.pop("messages")
    assert report.pop("epoch") > 0
    assert report == {"reason": "hate", "words": "See above", "leave": True}
    assert marked.startswith("msg_")
    await expect(anna.page.get_by_role("heading", name="Your report has arrived")).to_be_focused()
    await anna.page.keyboard.press("Escape")
    await expect(anna.part("start")).to_be_focused()
    await expect(anna.part("blocked")).to_have_text(f"You will not meet {name} again.")


async def test_receipts_say_what_became_of_reports_until_they_are_removed(street: Street) -> None:
    answering = Answering(reports=True, reportWindow=60)
    answering.answers["safety:report"] = TAKEN
    answering.bodies["/api/reports/status"] = {"data": DECIDED}
    anna, berta = await pair(street, answering)
    await opens(anna)
    await anna.part("reason-hate").check()
    await anna.part("report-send").click()
    await anna.part("report-close").click()
    answering.tell("chat:block")  # as the server does when it takes the report
    await berta.sees_ended("has moved on")
    await anna.page.reload()
    await anna.part("my-reports").click()
    await expect(anna.part("kept-receipt")).to_contain_text("Hate")
    await expect(anna.part("report-state")).to_contain_text("The other one was banned.")
    assert ("/api/reports/status", {"receipt": RECEIPT}) in answering.asked
    answering.bodies["/api/reports/status"] = {"code": "receipt_unknown"}
    await anna.part("other-receipt").fill(" another ")
    await anna.part("look-up").click()
    await expect(anna.part("other-state")).to_contain_text("There is no report with this code")
    assert answering.asked[-1] == ("/api/reports/status", {"receipt": "another"})
    await anna.part("forget-receipt").click()
    await expect(anna.part("kept-receipt")).to_have_count(0)
    await anna.part("receipts-close").click()
    await expect(anna.part("my-reports")).to_have_count(0)


async def test_the_server_takes_a_report_and_says_what_became_of_it(street: Street, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/kept.db"
    async with opened(url) as store:  # to make its tables takes longer than a report waits, on a busy machine
        assert (await store.cases.page("open")).cases == []
    street.server = await street.another_server(database_url=url, evidence_key=KEY)
    anna, berta = await pair(street, Answering(reports=True, reportWindow=60))
    await berta.say("Hello", "You are <b>bad</b>")
    await expect(anna.messages).to_have_count(2)
    await opens(anna)
    await anna.part("reason-threats").check()
    await anna.part("mark").last.check()
    await anna.part("report-words").fill("See <i>above</i>")
    await anna.part("report-send").click()
    await expect(anna.part("receipt")).to_be_visible()
    await expect(anna.part("report-queued")).to_have_count(0)
    await expect(anna.part("report-bare")).to_have_count(0)
    await berta.sees_ended("has moved on")
    await anna.part("report-close").click()
    await anna.part("my-reports").click()
    await expect(anna.part("report-state")).to_have_text("Nobody has decided yet.")

    async with opened(url) as store:
        [overview] = (await store.cases.page("open")).cases
        case = await store.cases.load(overview.id)
        assert case is not None
        assert case.log is not None
        evidence = msgspec.json.decode(case.log, type=Evidence)
        assert (overview.rule, case.words) == ("threats", "See <i>above</i>")
        assert [message.content for message in evidence.messages] == ["Hello", "You are <b>bad</b>"]
        assert evidence.marked == [evidence.messages[-1].id]
        decision = Decision(case_id=overview.id, at=time.time(), moderator="max", action="dismiss", rule="threats")
        await store.cases.decide(decision)
    await anna.part("look-again").click()
    await expect(anna.part("report-state")).to_contain_text("No rule was found to be broken.")
    await anna.part("receipts-close").click()
    await expect(anna.part("start")).to_be_enabled()


async def test_after_the_end_the_server_takes_one_report_and_no_second(street: Street, tmp_path: Path) -> None:
    street.server = await street.another_server(database_url=f"sqlite:///{tmp_path}/kept.db")
    anna, berta = await pair(street, Answering(reports=True, reportWindow=60))
    await berta.can_move_on()
    await berta.part("leave").click()
    for refused in (False, True):
        await anna.part("report-ended").click()
        await anna.part("reason-spam").check()
        await anna.part("report-leave").uncheck()
        await anna.part("report-send").click()
        if refused:
            await expect(anna.part("report-trouble")).to_have_text("You have reported this conversation already.")
        else:
            await expect(anna.part("report-bare")).to_be_visible()
        await anna.page.keyboard.press("Escape")


async def test_a_report_that_was_refused_is_sent_again_as_it_was_and_one_may_stay(street: Street) -> None:
    answering = Answering()
    anna, berta = await pair(street, answering)
    await opens(anna)
    await anna.part("reason-other").check()
    await anna.part("report-words").fill("x" * 2001)
    await anna.part("report-leave").uncheck()
    answering.answers["safety:report"] = ("safety:report:error", {"code": "already_reported", "message": ""})
    await anna.part("report-send").click()
    await expect(anna.part("report-trouble")).to_have_text("You have reported this conversation already.")
    await expect(anna.part("report-words")).to_have_value("x" * 2000)
    answering.answers["safety:report"] = (TAKEN[0], {**TAKEN[1], "queued": True, "hasMessages": False})
    await anna.part("report-send").click()
    await expect(anna.part("report-queued")).to_contain_text("as soon as its database is back")
    await expect(anna.part("report-bare")).to_contain_text("No messages are kept here")
    first, second = answering.of("safety:report")
    assert first == second
    await anna.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await anna.part("receipt-copy").click()
    await expect(anna.words("Copied.")).to_be_visible()
    assert await anna.page.evaluate("navigator.clipboard.readText()") == RECEIPT
    await anna.page.go_back()
    await expect(anna.part("report-dialog")).to_have_count(0)
    await anna.say("Still here")
    await berta.sees("Still here")


async def test_a_report_is_possible_for_a_while_after_the_end(street: Street) -> None:
    answering = Answering(reports=True, reportWindow=60)
    answering.answers["safety:report"] = TAKEN
    anna, berta = await pair(street, answering)
    await berta.can_move_on()
    await berta.part("leave").click()
    await anna.part("report-ended").click()
    await anna.part("reason-spam").check()
    await anna.part("report-send").click()
    await expect(anna.part("receipt")).to_have_text(RECEIPT)
    await anna.part("report-close").click()
    await expect(anna.part("start")).to_be_focused()


async def test_after_that_it_is_not_offered(street: Street) -> None:
    anna, berta = await pair(street, Answering(reports=True, reportWindow=0.001))
    await expect(anna.part("about")).to_be_visible()
    await berta.can_move_on()
    await berta.part("leave").click()
    await anna.sees_ended("has moved on")
    await expect(anna.part("report-ended")).to_have_count(0)


async def test_where_no_reports_are_taken_none_is_offered(street: Street) -> None:
    answering = Answering(reports=False)
    anna, berta = await pair(street, answering)
    await anna.part("about").click()
    await expect(anna.part("block")).to_be_visible()
    await expect(anna.part("report")).to_have_count(0)
    await expect(anna.part("my-reports")).to_have_count(0)
    await anna.page.keyboard.press("Escape")
    await berta.can_move_on()
    await berta.part("leave").click()
    await anna.sees_ended("has moved on")
    await expect(anna.part("report-ended")).to_have_count(0)


@pytest.mark.parametrize("viewport", [PHONE, LAPTOP], ids=["phone", "laptop"])
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_a_report_suits_everybody(street: Street, viewport: ViewportSize, large: bool, dark: bool) -> None:
    answering = Answering(reports=True, reportWindow=60)
    answering.bodies["/api/reports/status"] = {"data": DECIDED}
    answering.answers["safety:report"] = TAKEN
    anna, berta = await pair(street, answering, viewport, dark=dark)
    if large:
        await anna.page.add_style_tag(content="html { font-size: 200% !important }")

    async def suits() -> None:
        await targets_are_large_enough(anna)
        assert await anna.page.evaluate(CUT_OFF) == []
        assert await anna.page.evaluate(LOW_CONTRAST) == []

    await berta.say(
        "Donaudampfschifffahrtsgesellschaftskapitän", "https://example.com/an/address/that/knows/no/end/and/on"
    )
    await expect(anna.messages).to_have_count(2)
    await opens(anna)
    await anna.part("report-send").click()
    await anna.part("reason-under_age").check()
    await suits()
    await anna.part("report-send").click()
    await expect(anna.part("receipt")).to_be_visible()
    await suits()
    await anna.part("report-close").click()
    await everything_is_named(anna)
    await anna.part("my-reports").click()
    await expect(anna.part("report-state")).to_contain_text("It was looked at.")
    await suits()
