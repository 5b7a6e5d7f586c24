"""What the ports to the database promise, of every database."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from passerby.chain import verify
from passerby.errors import ForbiddenError
from passerby.moderation.staff import Moderator
from passerby.safety.cases import Decision, Mark, NewCase, Piece, Sanction, Subject
from tests.database.conftest import opened

if TYPE_CHECKING:
    from passerby.assembly import Kept
    from passerby.models import Rule
    from passerby.safety.cases import Action, SanctionKind
    from tests.support.clock import ManualClock

DAY = 86_400.0
SESSION = Mark("session", b"s" * 32)
DEVICE = Mark("device", b"d" * 32)


def case(
    number: int, *, rule: Rule = "hate", at: float = 1000.0, mark: Mark = SESSION, reporter: bytes = b"r"
) -> NewCase:
    return NewCase(
        id=f"{number:032x}",
        source="report",
        rule=rule,
        opened_at=at,
        subject=Subject(guest_id="guest_1", username="Anna", language="de", marks=(mark, DEVICE)),
        reporter=(Mark("session", reporter * 32),),
        words="she <b>said</b> it",
        receipt=hashlib.sha256(b"%d" % number).digest(),
        room=f"room {number}",
        evidence=(
            Piece(kind="log", content=b'{"messages": []}'),
            Piece(kind="file", name="a.png", mime_type="image/png", content=b"picture"),
        ),
    )


def decision(number: int, action: Action, *, words: str = "", by: str = "max", at: float = 2000.0) -> Decision:
    return Decision(case_id=f"{number:032x}", at=at, moderator=by, action=action, rule="hate", words=words)


def sanction(kind: SanctionKind = "banned", *, code: str = "CODE", ends_at: float | None = None) -> Sanction:
    return Sanction(
        id=0,
        kind=kind,
        case_id=None,
        marks=(SESSION, DEVICE),
        rule="hate",
        words="You did",
        begins_at=1_700_000_000.0,
        ends_at=ends_at,
        moderator="max",
        appeal_code=code,
    )


# ── cases ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_case_is_kept_whole(store: Kept) -> None:
    assert await store.cases.add(case(1))
    found = await store.cases.load(f"{1:032x}")
    assert found is not None
    assert replace(found.subject, marks=()) == replace(case(1).subject, marks=())
    assert set(found.subject.marks) == {SESSION, DEVICE}
    assert (found.words, found.log) == ("she <b>said</b> it", b'{"messages": []}')
    assert found.files == [(1, "a.png", "image/png", 7)]
    assert await store.cases.file(f"{1:032x}", 1) == case(1).evidence[1]
    assert found.overview.due_at == 1000.0 + 24 * 3600
    assert found.evidence_until == 1000.0 + 30 * DAY
    assert found.reporter == case(1).reporter


async def test_what_is_not_there_is_not_there(store: Kept) -> None:
    assert store.database.is_empty or not store.database.is_sqlite
    for _ in range(2):
        assert await store.cases.load("x") is None
        assert await store.cases.file("x", 1) is None
        assert await store.cases.outcome(b"x" * 32) is None
        assert (await store.cases.page("open")).cases == []
        assert not await store.cases.decide(decision(9, "note"))
        assert await store.cases.forget(evidence_before=1e12, records_before=1e12) == (0, 0)
        assert await store.sanctions.changed(0) == []
        assert await store.sanctions.by_code(b"x" * 32) is None
        assert await store.sanctions.appeals() == []
        assert (await store.sanctions.page()).sanctions == []
        assert not await store.sanctions.lift(1, 0, "max", "")
        assert not await store.sanctions.answer(1, 0, "max", "upheld", "")
        assert not await store.staff.is_any()
        assert await store.staff.all() == []
        assert await store.staff.by_name("max") is None
        assert await store.staff.session(b"x" * 32, 0, 60) is None
        assert [entry async for entry in store.journal.entries()] == []
        assert (await store.figures.figures(0, 1, (1, 24, 72))).open == 0
        assert await store.sanctions.forget_keys(1e9, 60) == []
        await store.sanctions.keys(0, 60)  # the second time, there is a database


async def test_a_reporter_reports_a_room_once(store: Kept) -> None:
    assert await store.cases.add(case(1))
    assert not await store.cases.add(replace(case(2), room="room 1"))
    assert await store.cases.add(replace(case(3, reporter=b"o"), room="room 1"))
    assert await store.cases.add(case(1))  # the same again: the answer was lost
    assert (await store.cases.page("open")).total == 2


async def test_two_reports_of_a_room_at_once_are_one(store: Kept) -> None:
    results = await asyncio.gather(
        *(store.cases.add(replace(case(n), room="room")) for n in range(8)), return_exceptions=True
    )
    assert sum(result is True for result in results) == 1
    assert (await store.cases.page("open")).total == 1


async def test_the_queue_is_by_severity_and_age_without_gaps(store: Kept) -> None:
    rules: list[Rule] = ["spam", "sexual", "hate", "threats", "other", "hate", "under_age"]
    for number, rule in enumerate(rules):
        await store.cases.add(case(number, rule=rule, at=1000.0 - number % 3))
    seen, after = [], None
    while True:
        page = await store.cases.page("open", after=after, limit=2)
        assert page.total == len(rules)
        seen += page.cases
        after = page.next
        if after is None:
            break
    assert [(-one.severity, one.opened_at, one.id) for one in seen] == sorted(
        (-one.severity, one.opened_at, one.id) for one in seen
    )
    assert len({one.id for one in seen}) == len(rules)
    for nonsense in ("x", "AAAA", "", "é"):
        with pytest.raises(ValueError):  # noqa: PT011 - of base64, or our own
            await store.cases.page("open", after=nonsense)


async def test_earlier_cases_are_found_by_session_and_device(store: Kept) -> None:
    await store.cases.add(case(1))
    await store.cases.add(case(2, mark=Mark("session", b"t" * 32)))
    other = case(3, mark=Mark("address", b"s" * 32, 1))
    await store.cases.add(replace(other, subject=replace(other.subject, marks=(Mark("address", b"s" * 32, 1),))))
    found = await store.cases.load(f"{1:032x}")
    assert found is not None
    assert [one.id for one in found.earlier] == [f"{2:032x}"]
    assert found.overview.earlier == 1


async def test_decisions_change_a_case_and_its_reporter_can_see_it(store: Kept) -> None:
    receipt = case(1).receipt
    await store.cases.add(case(1))
    for action, state in (("note", "open"), ("escalate", "escalated"), ("hold", "escalated"), ("warn", "closed")):
        assert await store.cases.decide(decision(1, action, words="why"))  # type: ignore[arg-type]
        found = await store.cases.load(f"{1:032x}")
        assert found is not None
        assert found.overview.state == state
    found = await store.cases.load(f"{1:032x}")
    assert found is not None
    assert found.hold_reason == "why"
    assert found.evidence_until is None
    assert [one.action for one in found.decisions] == ["note", "escalate", "hold", "warn"]
    outcome = await store.cases.outcome(receipt)
    assert outcome is not None
    assert (outcome.state, outcome.action, outcome.decided_at) == ("decided", "warning", 2000.0)


async def test_evidence_is_forgotten_and_what_is_on_hold_is_not(store: Kept) -> None:
    for number in (1, 2, 3):
        await store.cases.add(case(number, at=1000.0 * number))
    await store.cases.decide(decision(2, "hold", words="the police asks"))
    assert await store.cases.forget(evidence_before=2500.0, records_before=0.0) == (2, 0)
    found = [await store.cases.load(f"{number:032x}") for number in (1, 2, 3)]
    assert [one.log is not None for one in found if one] == [False, True, True]
    assert [one.words != "" for one in found if one] == [False, True, True]
    await store.cases.decide(decision(1, "dismiss", at=5000.0))
    await store.cases.decide(decision(2, "dismiss", at=5000.0))
    assert await store.cases.forget(evidence_before=0.0, records_before=6000.0) == (0, 1)
    assert await store.cases.load(f"{1:032x}") is None
    assert await store.cases.load(f"{2:032x}") is not None


async def test_without_a_key_no_messages_are_kept(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(url, key=None) as store:
        for number in (1, 2):
            assert await store.cases.add(case(number))
        found = await store.cases.load(f"{1:032x}")
    assert found is not None
    assert (found.log, found.files, found.words) == (None, [], "she <b>said</b> it")
    assert caplog.text.count("reports hold no messages") == 1


# ── sanctions and appeals ─────────────────────────────────────────────────────────────────────────


async def test_changes_of_sanctions_come_in_order(store: Kept) -> None:
    first = await store.sanctions.add(sanction(code="A"))
    second = await store.sanctions.add(sanction("warning", code=""))
    assert [one.id for one in await store.sanctions.changed(0)] == [first.id, second.id]
    assert set((await store.sanctions.changed(0))[0].marks) == {SESSION, DEVICE}
    assert await store.sanctions.lift(first.id, 1_700_000_001.0, "eva", "a mistake")
    assert not await store.sanctions.lift(first.id, 1_700_000_002.0, "eva", "again")
    (changed,) = await store.sanctions.changed(second.version)
    assert (changed.id, changed.lifted_at) == (first.id, 1_700_000_001.0)
    assert await store.sanctions.changed(changed.version) == []


async def test_what_ended_long_ago_is_not_told(store: Kept, clock: ManualClock) -> None:
    now = clock.time()
    for ends_at in (now - 2 * DAY, now - 1, None):
        await store.sanctions.add(replace(sanction(ends_at=ends_at, code=str(ends_at)), begins_at=now - 3 * DAY))
    await store.sanctions.add(replace(sanction("warning", code=""), begins_at=now - 3 * DAY))
    assert [one.ends_at for one in await store.sanctions.changed(0)] == [now - 1, None]


async def test_sanctions_come_in_parts_the_last_changed_first(store: Kept, clock: ManualClock) -> None:
    now = clock.time()
    await store.sanctions.add(sanction(ends_at=now - 2 * DAY, code="over"))
    first, second, third = [await store.sanctions.add(sanction(code=str(number))) for number in range(3)]
    page = await store.sanctions.page(limit=2)
    assert [one.id for one in page.sanctions] == [third.id, second.id]
    assert set(page.sanctions[0].marks) == {SESSION, DEVICE}
    assert page.next is not None
    await store.sanctions.lift(second.id, now, "eva", "a mistake")
    rest = await store.sanctions.page(after=page.next, limit=2)
    assert ([one.id for one in rest.sanctions], rest.next) == ([first.id], None)
    assert [one.id for one in (await store.sanctions.page()).sanctions] == [second.id, third.id, first.id]
    for nonsense in ("", "-1", "x", "1.5", "\u0663", "9" * 19):
        with pytest.raises(ValueError, match="not a place"):
            await store.sanctions.page(after=nonsense)


async def test_an_appeal_is_made_once_and_answered_by_somebody_else(store: Kept) -> None:
    ban = await store.sanctions.add(sanction())
    digest = hashlib.sha256(b"CODE").digest()
    assert await store.sanctions.by_code(digest) == (replace(ban, marks=(DEVICE, SESSION)), None)
    answers = await asyncio.gather(*(store.sanctions.appeal(ban.id, 5.0, "it was not me") for _ in range(5)))
    assert sorted(answers) == [False] * 4 + [True]
    ((appeal, of),) = await store.sanctions.appeals()
    assert (appeal.words, of.id) == ("it was not me", ban.id)
    with pytest.raises(ForbiddenError):
        await store.sanctions.answer(appeal.id, 6.0, "max", "rejected", "")
    assert await store.sanctions.answer(appeal.id, 6.0, "eva", "upheld", "Sorry")
    assert not await store.sanctions.answer(appeal.id, 7.0, "eva", "rejected", "")
    found = await store.sanctions.by_code(digest)
    assert found is not None
    assert found[0].lifted_at == 6.0
    assert found[1] is not None
    assert (found[1].verdict, found[1].answer, found[1].decided_by) == ("upheld", "Sorry", "eva")
    assert await store.sanctions.appeals() == []


async def test_keys_rotate_and_are_forgotten(store: Kept) -> None:
    first = await store.sanctions.keys(0.0, 100.0)
    assert await store.sanctions.keys(99.0, 100.0) == first
    second = await store.sanctions.keys(100.0, 100.0)
    assert second[1:] == first
    assert sorted(await store.sanctions.forget_keys(199.9, 100.0)) == sorted(number for number, _ in second)
    assert await store.sanctions.forget_keys(200.0, 100.0) == [second[0][0]]
    third = await store.sanctions.keys(200.0, 100.0)
    assert third[1:] == second[:1]
    assert (
        await asyncio.gather(*(store.sanctions.keys(300.0, 100.0) for _ in range(4)))
        == [await store.sanctions.keys(300.0, 100.0)] * 4
    )


# ── moderators, audit, figures ────────────────────────────────────────────────────────────────────


async def test_moderators_and_their_sessions(store: Kept) -> None:
    new = Moderator(id=0, name="max", role="admin", setup_hash=b"h" * 32, setup_until=10.0, created_at=1.0)
    added = await store.staff.add(new, "cli")
    with pytest.raises(ValueError, match="there is a moderator 'max'"):
        await store.staff.add(new, "cli")
    assert await store.staff.by_setup(b"h" * 32) == added
    done = replace(added, password_hash="hash", totp_secret="SECRET", setup_hash=b"", totp_step=3)
    await store.staff.change(done, "max", "moderator.setup")
    assert await store.staff.by_name("max") == done
    await store.staff.begin(b"t" * 32, added.id, 0.0, 100.0)
    assert await store.staff.session(b"t" * 32, 30.0, 60.0) == done
    assert await store.staff.session(b"t" * 32, 89.0, 60.0) == done
    assert await store.staff.session(b"t" * 32, 101.0, 60.0) is None
    assert await store.staff.session(b"t" * 32, 99.0, 5.0) is None
    await store.staff.change(replace(done, disabled_at=5.0), "cli", "moderator.disable")
    assert await store.staff.session(b"t" * 32, 90.0, 60.0) is None
    assert not await store.staff.is_any()
    await store.staff.end(b"t" * 32)
    await store.staff.end_all(added.id)
    assert [entry.action async for entry in store.journal.entries()] == [
        "moderator.add",
        "moderator.setup",
        "moderator.disable",
    ]


async def test_a_set_up_is_finished_once(store: Kept) -> None:
    new = Moderator(id=0, name="max", role="admin", totp_secret="SECRET", setup_hash=b"h" * 32, created_at=1.0)
    added = await store.staff.add(new, "cli")
    done = replace(added, password_hash="hash", totp_step=3)
    assert not await store.staff.finish(done, b"x" * 32)
    finished = await asyncio.gather(*(store.staff.finish(done, b"h" * 32) for _ in range(3)))
    assert sorted(finished) == [False, False, True]
    assert await store.staff.by_name("max") == replace(done, setup_hash=b"")
    assert await store.staff.by_setup(b"h" * 32) is None
    assert [entry.action async for entry in store.journal.entries()] == ["moderator.add", "moderator.setup"]


async def test_who_is_disabled_finishes_no_set_up(store: Kept) -> None:
    new = Moderator(id=0, name="max", role="admin", setup_hash=b"h" * 32, created_at=1.0, disabled_at=2.0)
    added = await store.staff.add(new, "cli")
    assert not await store.staff.finish(replace(added, password_hash="hash"), b"h" * 32)
    assert await store.staff.by_name("max") == added


async def test_the_audit_is_one_chain_however_many_decide_at_once(store: Kept) -> None:
    for number in range(4):
        await store.cases.add(case(number))
    await asyncio.gather(*(store.cases.decide(decision(number % 4, "note", by=f"m{number}")) for number in range(20)))
    entries = [entry async for entry in store.journal.entries()]
    assert [entry.number for entry in entries] == list(range(1, 21))
    assert verify(entries) is None
    assert [entry.number async for entry in store.journal.entries(18)] == [19, 20]


@pytest.mark.parametrize(
    "change", ["at", "actor", "action", "object", "details", "previous", "hash", "number", "delete"]
)
async def test_any_change_of_the_audit_is_found(store: Kept, change: str) -> None:
    for number in range(5):
        await store.journal.append("max", "case.note", str(number), {"n": number})
    async with store.database.write() as session:
        table = session.tables.audit
        row = (await session.execute(session.sql.select(table).where(table.c.number == 3))).one()
        changed = {
            "at": row.at + 1,
            "actor": "eva",
            "action": "case.ban",
            "object": "x",
            "details": b"{}",
            "previous": b"p" * 32,
            "hash": b"h" * 32,
            "number": 9,
        }
        if change == "delete":
            await session.execute(table.delete().where(table.c.number == 3))
        else:
            await session.execute(table.update().where(table.c.number == 3).values(**{change: changed[change]}))
    assert verify([entry async for entry in store.journal.entries()]) is not None


async def test_figures_count_what_was_decided(store: Kept) -> None:
    for number in range(5):
        await store.cases.add(case(number, at=1000.0 + number))
    await store.cases.decide(decision(0, "ban", at=1500.0))
    await store.cases.decide(decision(1, "dismiss", at=1001.0 + 25 * 3600))
    figures = await store.figures.figures(1000.0, 1004.0 + 30 * 3600, (1, 24, 72))
    of = next(one for one in figures.rules if one.rule == "hate")
    assert (of.cases, of.decisions) == (5, {"ban": 1, "dismiss": 1})
    assert figures.sources == {"report": 5}
    assert (figures.decided, figures.within_target, figures.open, figures.overdue) == (2, 1, 3, 3)
    assert figures.median_decision_seconds == (500.0 + 25 * 3600) / 2
