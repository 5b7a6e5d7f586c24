"""Who is warned, sent away or banned is told why, how long, and can object."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import ViewportSize, expect

from passerby.safety.appeals import new_code
from passerby.safety.cases import Sanction, SanctionKind
from passerby.safety.devices import digest_of
from passerby.safety.marks import device_mark, session_mark
from tests.database.conftest import KEY, opened
from tests.e2e.answering import Answering
from tests.e2e.conftest import Street
from tests.e2e.test_accessibility import (
    CUT_OFF,
    LAPTOP,
    LOW_CONTRAST,
    PHONE,
    everything_is_named,
    targets_are_large_enough,
)
from tests.e2e.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

GONE = 401
CODE = "Ap-81-Pq_7aLr0vT3cWm9Ku"
WORDS = "You wrote <b>this</b>:\nand that"
BAN: dict[str, Any] = {
    "rule": "threats",
    "words": WORDS,
    "since": "2020-01-01T10:00:00.000Z",
    "until": "2999-01-02T11:00:00.000Z",
    "appealCode": CODE,
}
REFUSED = {"code": "banned", "ban": BAN}
SHARED = {"rule": "threats", "words": "", "since": BAN["since"], "until": BAN["until"], "shared": True}


async def pair(street: Street, answering: Answering) -> tuple[Visitor, Visitor]:
    """Two who have just met; the page of the first one is answered by `answering`."""
    first = await street.visitor(touch=True, before=answering.join)
    return await street.pair(first, await street.visitor(touch=True, before=Answering(reports=True).join))


def appeal(state: str, **more: object) -> dict[str, Any]:
    return {"data": {"ban": BAN, "state": state, **more}}


async def decide(visitor: Visitor, url: str, kind: SanctionKind) -> Sanction:
    """Do what a moderator does, for a week."""
    answer = await visitor.page.request.get(
        f"{visitor.url}/api/guest/me", headers={"authorization": f"Bearer {await visitor.token()}"}
    )
    session_id = (await answer.json())["data"]["user"]["sessionId"]
    device = digest_of(await visitor.page.evaluate("localStorage.getItem('passerby.device')"))
    assert device is not None
    session = session_mark(session_id)
    now = time.time()
    async with opened(url) as store:
        return await store.sanctions.add(
            Sanction(
                id=0,
                kind=kind,
                case_id=None,
                marks=(session, device_mark(device)) if kind == "banned" else (session,),
                rule="threats",
                words=WORDS,
                begins_at=now,
                ends_at=now + 7 * 86_400 if kind == "banned" else None,
                moderator="max",
                appeal_code=new_code() if kind == "banned" else "",
            )
        )


async def test_a_moderator_warns_bans_and_lets_in_again(street: Street, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/kept.db"
    street.server = await street.another_server(database_url=url, evidence_key=KEY)
    anna, berta = await pair(street, Answering(reports=True))
    await decide(anna, url, "warning")
    await expect(anna.part("reason")).to_have_text(WORDS)
    await anna.part("warning-read").click()
    await anna.say("Sorry")
    await berta.sees("Sorry")

    ban = await decide(anna, url, "banned")
    await expect(anna.part("reason")).to_have_text(WORDS)
    await expect(anna.part("until")).to_contain_text("in 7 days")
    await expect(anna.part("appeal-code")).to_have_text(ban.appeal_code)
    await expect(berta.part("conversation-ended")).to_be_visible()
    anna.expect_complaint("status of 403")
    await anna.page.reload()
    await expect(anna.part("appeal-code")).to_have_text(ban.appeal_code)
    await expect(anna.part("barred")).to_contain_text("Since")
    await anna.part("appeal-words").fill("It was a <i>quote</i>.")
    await anna.part("appeal-send").click()
    await expect(anna.part("appeal-state")).to_have_attribute("data-state", "waiting")

    async with opened(url) as store:
        [(appealed, _)] = await store.sanctions.appeals()
        assert appealed.words == "It was a <i>quote</i>."
        await store.sanctions.answer(appealed.id, time.time(), "moritz", "upheld", "So it was.")
    await anna.part("appeal-look").click()
    await expect(anna.part("appeal-answer")).to_have_text("So it was.")
    await expect(anna.part("begin-again")).to_have_text("Begin again")
    async with anna.page.expect_response("**/api/guest"):
        await anna.part("begin-again").click()
    await expect(anna.part("start").or_(anna.part("begin-again"))).to_be_enabled()


async def test_who_is_sent_away_by_a_moderator_begins_anew(street: Street, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/kept.db"
    street.server = await street.another_server(database_url=url, evidence_key=KEY)
    anna, _ = await pair(street, Answering(reports=True))
    before = await anna.token()
    await decide(anna, url, "session_ended")
    await expect(anna.page.get_by_role("heading", name="Your session was ended")).to_be_visible()
    await anna.part("begin-again").click()
    await anna.sees_connection("Connected")
    await expect(anna.part("start")).to_be_enabled()
    assert await anna.token() != before


async def test_who_was_away_is_told_on_the_way_back_why_the_session_is_over(street: Street, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/kept.db"
    street.server = await street.another_server(database_url=url, evidence_key=KEY)
    anna = await street.visitor()
    await anna.sees_connection("Connected")
    before = await anna.token()
    await anna.go_away()
    await decide(anna, url, "session_ended")
    me = f"{anna.url}/api/guest/me"
    mine = {"authorization": f"Bearer {before}"}
    while (await anna.page.request.get(me, headers=mine)).status != GONE:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.1)
    anna.expect_complaint("status of 40[13]")
    await anna.page.goto(anna.url)
    told = anna.page.get_by_role("alertdialog", name="Your session was ended")
    await expect(told).to_contain_text("while you were away")
    await expect(anna.part("reason")).to_have_text(WORDS)
    await anna.part("warning-read").click()
    await expect(told).to_have_count(0)
    await expect(anna.part("start")).to_be_enabled()
    assert await anna.token() != before


async def test_whose_neighbour_is_banned_reads_that_it_may_be_somebody_else(street: Street) -> None:
    answering = Answering(reports=True)
    answering.bodies["/api/guest"] = {"code": "banned", "ban": SHARED}
    anna = await street.visitor(touch=True, before=answering.join)
    await expect(anna.page.get_by_role("heading", name="Your internet connection is banned")).to_be_focused()
    await expect(anna.part("shared")).to_contain_text("That may not be you")
    await expect(anna.part("rule")).to_have_text("No threats and no violence")
    await expect(anna.part("until")).to_contain_text("2 January 2999")
    await expect(anna.part("reason")).to_have_count(0)
    await expect(anna.part("appeal")).to_have_count(0)
    await expect(anna.part("begin-again")).to_have_text("Try again")


async def test_a_warning_stays_until_it_is_read(street: Street) -> None:
    answering = Answering(reports=True)
    anna, berta = await pair(street, answering)
    answering.say("safety:told", kind="warning", rule="hate", words=WORDS)
    warning = anna.page.get_by_role("alertdialog", name="A word from those who look after this place")
    await expect(warning).to_be_visible()
    await expect(anna.part("reason")).to_have_text(WORDS)
    await expect(anna.part("rule")).to_have_text("No hate")
    for _ in range(3):
        await anna.page.keyboard.press("Escape")
    await expect(warning).to_be_visible()
    await anna.page.reload()
    await expect(warning).to_be_visible()
    await expect(anna.part("warning-read")).to_be_focused()
    await anna.page.keyboard.press("Enter")
    await expect(warning).to_have_count(0)
    await anna.say("All right")
    await berta.sees("All right")
    await anna.page.reload()
    await anna.sees("All right")
    await expect(warning).to_have_count(0)


async def test_who_is_sent_away_hears_why_also_after_a_reload_and_may_begin_anew(street: Street) -> None:
    answering = Answering(reports=True)
    anna, _ = await pair(street, answering)
    answering.say("safety:told", kind="session_ended", rule="spam", words="")
    await expect(anna.page.get_by_role("heading", name="Your session was ended")).to_be_focused()
    await expect(anna.part("rule")).to_have_text("No spam and no fraud")
    await expect(anna.part("appeal")).to_have_count(0)
    await anna.page.reload()
    await expect(anna.part("barred")).to_contain_text("Your session was ended")
    await anna.part("begin-again").click()
    await expect(anna.part("start")).to_be_enabled()
    await anna.page.reload()
    await expect(anna.part("start")).to_be_enabled()


async def test_who_is_banned_objects_and_sees_the_answer(street: Street) -> None:
    answering = Answering(reports=True)
    answering.bodies["/api/appeals/status"] = appeal("none")
    anna = await street.visitor(touch=True, before=answering.join)
    await anna.sees_connection("Connected")
    answering.say("safety:told", kind="banned", **{key: value for key, value in BAN.items() if key != "since"})
    await expect(anna.page.get_by_role("heading", name="You are banned")).to_be_visible()
    await expect(anna.part("reason")).to_have_text(WORDS)
    await expect(anna.part("until")).to_contain_text("2 January 2999")
    await expect(anna.part("appeal-code")).to_have_text(CODE)
    await expect(anna.part("begin-again")).to_have_text("Try again")

    await anna.part("appeal-send").click()
    await expect(anna.words("Please write something.")).to_be_visible()
    await anna.part("appeal-words").fill("It was a <i>quote</i>.")
    answering.bodies["/api/appeals"] = {"code": "unavailable"}
    await anna.part("appeal-send").click()
    await expect(anna.part("appeal-trouble")).to_contain_text("cannot do this right now")
    answering.bodies["/api/appeals"] = appeal("waiting", words="It was a <i>quote</i>.")
    await anna.part("appeal-send").click()
    await expect(anna.part("appeal-state")).to_have_attribute("data-state", "waiting")
    assert ("/api/appeals", {"code": CODE, "words": "It was a <i>quote</i>."}) in answering.asked
    await expect(anna.part("appeal-sent")).to_have_text("It was a <i>quote</i>.")

    # The way in is closed, by either door.
    answering.refusal = REFUSED
    answering.bodies["/api/appeals/status"] = appeal("rejected", words="It was.", answer="It was no quote.")
    await anna.page.reload()
    await expect(anna.part("appeal-answer")).to_have_text("It was no quote.")
    await expect(anna.part("barred")).to_contain_text("1 January 2020")
    answering.bodies["/api/guest"] = REFUSED
    await anna.part("begin-again").click()
    await expect(anna.part("barred")).to_contain_text("You are banned")
    await anna.page.evaluate("sessionStorage.clear()")
    await anna.page.reload()
    await expect(anna.part("appeal-answer")).to_have_text("It was no quote.")

    del answering.bodies["/api/guest"]
    answering.refusal = None
    answering.bodies["/api/appeals/status"] = appeal("upheld", ended=True, answer="You are right.")
    await anna.page.reload()
    await expect(anna.part("answered")).to_contain_text("You are right.")
    await anna.part("answered-close").click()
    await expect(anna.part("start")).to_be_enabled()
    await anna.page.wait_for_function("() => !history.state?.overlay")
    await anna.page.reload()
    await expect(anna.part("start")).to_be_enabled()
    await expect(anna.part("answered")).to_have_count(0)


async def test_a_ban_that_has_ended_lets_begin_again(street: Street) -> None:
    answering = Answering(reports=True)
    answering.bodies["/api/guest"] = {"code": "banned", "ban": {**BAN, "until": "2020-01-02T11:00:00.000Z"}}
    answering.bodies["/api/appeals/status"] = appeal("none", ended=True)
    anna = await street.visitor(touch=True, before=answering.join)
    await expect(anna.words("The ban has ended. You may begin again.")).to_be_visible()
    del answering.bodies["/api/guest"]
    await anna.part("begin-again").click()
    await expect(anna.part("start")).to_be_enabled()


@pytest.mark.parametrize("viewport", [PHONE, LAPTOP], ids=["phone", "laptop"])
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_what_is_told_suits_everybody(street: Street, viewport: ViewportSize, large: bool, dark: bool) -> None:
    answering = Answering(reports=True)
    answering.bodies["/api/appeals/status"] = appeal("none")
    answering.bodies["/api/appeals"] = appeal("waiting", words="x" * 60)
    anna = await street.visitor(touch=True, viewport=viewport, dark=dark, before=answering.join)
    await anna.sees_connection("Connected")
    if large:
        await anna.page.add_style_tag(content="html { font-size: 200% !important }")

    async def suits() -> None:
        await targets_are_large_enough(anna)
        assert await anna.page.evaluate(CUT_OFF) == []
        assert await anna.page.evaluate(LOW_CONTRAST) == []

    answering.say("safety:told", kind="warning", rule="under_age", words="Donaudampfschifffahrtsgesellschaftskapitän")
    await expect(anna.part("warning")).to_be_visible()
    await suits()
    await anna.part("warning-read").click()
    answering.say("safety:told", kind="banned", rule="private_data", words="x" * 60, appealCode=CODE)
    await expect(anna.part("until")).to_have_text("It does not end by itself.")
    await anna.part("appeal-send").click()
    await expect(anna.words("Please write something.")).to_be_visible()
    await everything_is_named(anna)
    await suits()
    await anna.part("appeal-words").fill("x" * 60)
    await anna.part("appeal-send").click()
    await expect(anna.part("appeal-state")).to_be_visible()
    await suits()
