"""Reports, over the wire, and against a model."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.chat.events import Resume
from passerby.errors import ConflictError, UnavailableError
from passerby.safety.events import Report
from passerby.safety.marks import session_mark
from passerby.safety.reports import MOST_WAITING, Evidence
from tests.database.conftest import KEY
from tests.support.conversation import Two, png
from tests.support.house import House
from tests.support.server import inside
from tests.support.valkey import valkey

if TYPE_CHECKING:
    from passerby.assembly import Assembly
    from passerby.safety.cases import Case, NewCase
    from tests.conftest import StartServer
    from tests.support.client import Client
    from tests.support.house import Person
    from tests.support.server import InsideServer


class Reported(Two):
    """Anna and Berta at a server with a database."""

    server: InsideServer


async def meet(start_server: StartServer, **changes: object) -> Reported:
    server = await start_server(database_url="sqlite:///", evidence_key=KEY, consent=(), **changes)
    await server.application.services.adapters.kept.database.open()  # no report has to wait for that
    return Reported(server, *await server.pair())


async def say(client: Client, text: str) -> str:
    await client.emit("chat:message", {"type": "text", "content": text})
    message_id: str = (await client.until("chat:message:sent"))["messageId"]
    return message_id


async def report(client: Client, **body: Any) -> Any:  # noqa: ANN401 - any JSON
    return await client.ask("safety:report", {"reason": "hate", **body})


async def only_case(server: InsideServer) -> Case:
    return await case_of(server.application.services)


async def case_of(house: Assembly) -> Case:
    cases = house.adapters.kept.cases
    page = await cases.page("open")
    assert len(page.cases) == 1
    found: Case | None = await cases.load(page.cases[0].id)
    assert found is not None
    return found


async def away(_case: object) -> bool:
    raise OSError("away")


def evidence(case: Case) -> Evidence:
    assert case.log is not None
    return msgspec.json.decode(case.log, type=Evidence)


async def test_the_evidence_is_what_the_server_has_relayed(start_server: StartServer) -> None:
    two = await meet(start_server)
    await say(two.one, "hello")
    bad = await say(two.other, "something <b>bad</b>")
    answer = await report(two.one, messages=[bad, "msg_forged", bad], words="<script>she said</script>")

    assert answer["hasMessages"]
    assert not answer["queued"]
    await two.one.until("chat:clear:confirmed")
    assert (await two.other.until("chat:cleared"))["reason"] == "user_left"
    case = await only_case(two.server)
    assert (case.overview.rule, case.words) == ("hate", "<script>she said</script>")
    assert case.subject.guest_id == two.berta.id
    assert {mark.kind for mark in case.subject.marks} == {"session", "device", "address", "network"}
    assert {mark.kind for mark in case.reporter} == {"session", "device"}
    found = evidence(case)
    assert [(one.sender_id, one.content) for one in found.messages] == [
        (two.anna.id, "hello"),
        (two.berta.id, "something <b>bad</b>"),
    ]
    assert found.marked == [bad]
    assert (found.reported, found.reporter) == (two.berta.id, two.anna.id)


async def test_a_marked_picture_is_kept_while_the_room_is_open(start_server: StartServer) -> None:
    two = await meet(start_server)
    info = await two.upload(png(), "bad.png", by=two.berta)
    await two.other.emit("chat:message", {"type": "file", "content": info})
    message_id = (await two.one.until("chat:message"))["id"]
    await report(two.one, messages=[message_id], leave=False)
    case = await only_case(two.server)
    ((number, name, mime_type, _),) = case.files
    assert (name, mime_type) == ("bad.png", "image/png")
    assert evidence(case).files == {message_id: number}
    kept = await two.server.application.services.adapters.kept.cases.file(case.overview.id, number)
    assert kept is not None
    assert kept.content == await two.read(info)


async def test_a_conversation_can_be_reported_after_its_end_and_not_for_ever(start_server: StartServer) -> None:
    two = await meet(start_server, report_window=0.6)
    await say(two.other, "bad")
    await two.other.emit("leave-room")
    await two.one.until("chat:cleared")
    assert "receipt" in await report(two.one)
    assert [one.content for one in evidence(await only_case(two.server)).messages] == ["bad"]
    assert (await report(two.one))["code"] == "already_reported"
    reports = two.server.application.services.reports
    async with asyncio.timeout(10):
        while reports.held:
            await asyncio.sleep(0.1)
            reports.forget_old()
    assert (await report(two.other))["code"] == "nothing_to_report"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"reason": "nonsense"}, "invalid_payload"),
        ({"words": "x" * 2001}, "invalid_payload"),
        ({"messages": ["m"] * 201}, "invalid_payload"),
        ({"messages": [1]}, "invalid_payload"),
        ({"epoch": 1}, "nothing_to_report"),
    ],
)
async def test_bad_input_changes_nothing(start_server: StartServer, body: dict[str, Any], code: str) -> None:
    two = await meet(start_server)
    assert (await report(two.one, **body))["code"] == code
    assert await say(two.one, "we talk on")
    assert "receipt" in await report(two.one)


async def test_nobody_reports_a_room_that_they_were_not_in(start_server: StartServer) -> None:
    two = await meet(start_server)
    stranger = await two.server.newcomer()
    client = await two.server.connect(stranger)
    assert (await report(client))["code"] == "nothing_to_report"
    assert (await report(client, epoch=two.room["epoch"]))["code"] == "nothing_to_report"


async def test_a_flood_of_reports_is_slowed(start_server: StartServer) -> None:
    two = await meet(start_server)
    codes = [(await report(two.one, leave=False)).get("code") for _ in range(12)]
    assert codes[0] is None
    assert codes[1] == "already_reported"
    assert codes[-1] == "rate_limited"
    assert len((await two.server.application.services.adapters.kept.cases.page("open")).cases) == 1


async def test_without_a_key_a_report_says_that_it_holds_no_messages(start_server: StartServer) -> None:
    server = await start_server(database_url="sqlite:///")
    two = await Two.meet(server)
    await say(two.other, "bad")
    assert not (await report(two.one))["hasMessages"]
    assert (await only_case(server)).log is None


async def test_without_a_database_there_are_no_reports(start_server: StartServer) -> None:
    two = await Two.meet(await start_server(database_url="none"))
    assert (await report(two.one))["code"] == "reports_closed"


async def test_a_receipt_shows_what_has_become_of_it(start_server: StartServer) -> None:
    two = await meet(start_server)
    receipt = (await report(two.one))["receipt"]

    async def ask(code: str) -> Any:  # noqa: ANN401 - JSON
        return (await two.http.post("/api/reports/status", json={"receipt": code})).json()

    assert (await ask(receipt.lower()))["data"]["state"] == "waiting"
    assert (await ask("A" * 26))["code"] == "receipt_unknown"
    assert (await ask("x" * 65))["code"] == "invalid_payload"


async def test_while_the_database_is_away_reports_wait_and_the_chat_goes_on(start_server: StartServer) -> None:
    two = await meet(start_server)
    services = two.server.application.services
    add = services.adapters.kept.cases.add

    setattr(services.adapters.kept.cases, "add", away)  # noqa: B010 - a method
    await say(two.other, "bad")
    answer = await report(two.one, leave=False)
    assert answer["queued"]
    assert await say(two.one, "we talk on")
    status = await two.http.post("/api/reports/status", json={"receipt": answer["receipt"]})
    assert status.json()["data"]["state"] == "waiting"
    setattr(services.adapters.kept.cases, "add", add)  # noqa: B010 - a method
    await services.reports.write_all()
    assert evidence(await only_case(two.server)).messages[0].content == "bad"


async def test_a_message_is_evidence_although_its_author_leaves_in_the_same_breath() -> None:
    async with (
        valkey() as backend,
        inside(
            redis_url=backend.url, database_url="sqlite:///", evidence_key=KEY, consent=(), undo_seconds=60
        ) as server,
    ):
        accounts = [await server.newcomer(username=name) for name in ("Anna", "Berta")]
        one, other = [await server.connect(account, features=["undo"]) for account in accounts]
        for client in (one, other):
            await client.next("connection:established")
        await server.match(one, other)
        live = next(live for live in server.lives() if live.guest.id == accounts[1].id)
        rooms = server.application.services.rooms
        rooms.send(live.membership(), "text", "bad", None, None)  # both in one turn: Redis has not answered
        rooms.leave(live, "user_left", undo=True)
        assert (await one.until("chat:message"))["content"] == "bad"
        assert (await report(one))["hasMessages"]
        assert [one.content for one in evidence(await only_case(server)).messages] == ["bad"]


async def test_what_was_held_back_is_no_evidence(start_server: StartServer) -> None:
    server = await start_server(database_url="sqlite:///", evidence_key=KEY)
    accounts = [await server.newcomer(username=name) for name in ("Anna", "Berta")]
    one, other = [await server.connect(account, features=["consent"]) for account in accounts]
    for client in (one, other):
        await client.next("connection:established")
    await server.match(one, other)
    await say(other, "hello")
    await other.emit("chat:message", {"type": "text", "content": "https://bad.example/x", "clientId": "held"})
    await one.until("consent:ask")
    await report(one)
    assert [message.content for message in evidence(await only_case(server)).messages] == ["hello"]


async def test_only_some_files_are_kept_and_only_those_of_the_reported_one(start_server: StartServer) -> None:
    two = await meet(start_server, limits_scale=100)
    marked = []
    for number in range(7):
        info = await two.upload(png(), f"{number}.png", by=two.berta)
        await two.other.emit("chat:message", {"type": "file", "content": info})
        marked.append((await two.one.until("chat:message"))["id"])
    await two.one.emit("chat:message", {"type": "file", "content": await two.upload(png(), "own.png")})
    own = (await two.one.until("chat:message:sent"))["messageId"]
    await report(two.one, messages=[own, *marked])
    case = await only_case(two.server)
    assert [name for _, name, *_ in case.files] == [f"{number}.png" for number in range(5)]
    assert evidence(case).files == {message_id: number + 1 for number, message_id in enumerate(marked[:5])}
    assert evidence(case).marked == [own, *marked]
    assert len(evidence(case).messages) == 8
    assert two.server.application.services.reports._files_in_hand == 0


async def test_without_a_time_after_the_end_only_what_goes_on_can_be_reported(start_server: StartServer) -> None:
    two = await meet(start_server, report_window=0)
    await say(two.other, "bad")
    assert "receipt" in await report(two.one, leave=False)
    await two.other.emit("leave-room")
    await two.one.until("chat:cleared")
    assert (await report(two.one))["code"] == "nothing_to_report"
    assert (await report(two.other))["code"] == "nothing_to_report"


async def test_who_connects_again_reports_no_conversation_twice(start_server: StartServer) -> None:
    two = await meet(start_server)
    assert "receipt" in await report(two.one, leave=False)
    two.server.application.services.reports._reported.clear()  # as on another node, or after a restart
    await two.one.close()
    again = await two.server.connect(two.anna, {**two.room, "seq": 0})
    assert (await report(again, leave=False))["code"] == "already_reported"
    assert (await report(again, leave=False))["code"] == "already_reported"  # and now without asking the database


# ── without sockets ───────────────────────────────────────────────────────────────────────────────


async def test_what_waits_is_bounded_and_says_so() -> None:
    house = House(database_url="sqlite:///", evidence_key=KEY, limits_scale=1000)

    setattr(house.adapters.kept.cases, "add", away)  # noqa: B010 - a method
    one, other = await house.pair()
    for number in range(MOST_WAITING):
        other.say(f"bad {number}")
        reported = await house.reports.report(one.live, Report(reason="hate", leave=False))
        assert reported.queued
        house.reports._reported.clear()
    with pytest.raises(UnavailableError):
        await house.reports.report(one.live, Report(reason="hate", leave=False))
    await house.stop()


async def test_what_does_not_fit_is_refused_and_can_be_reported_later() -> None:
    house = House(database_url="sqlite:///", evidence_key=KEY, report_memory=1000)
    cases = house.adapters.kept.cases
    add = cases.add
    setattr(cases, "add", away)  # noqa: B010 - a method
    one, other = await house.pair()
    for _ in range(2):
        other.say("x" * 900)
    with pytest.raises(UnavailableError):
        await house.reports.report(one.live, Report(reason="hate"))
    assert house.reports.held <= 1000
    setattr(cases, "add", add)  # noqa: B010 - a method
    assert not (await house.reports.report(one.live, Report(reason="hate"))).queued
    await house.stop()


async def test_what_waits_takes_the_place_of_ended_conversations() -> None:
    house = House(database_url="sqlite:///", evidence_key=KEY, report_memory=2000)
    one, other = await house.pair()
    other.say("x" * 1000)
    house.rooms.leave(one.live, "user_left")
    third, fourth = await house.pair("Clara", "Doris")
    fourth.say("bad")
    setattr(house.adapters.kept.cases, "add", away)  # noqa: B010 - a method
    reported = await house.reports.report(third.live, Report(reason="hate", words="y" * 1500))
    assert (reported.queued, reported.has_messages) == (True, True)
    assert house.reports.held <= 2000
    reported = await house.reports.report(one.live, Report(reason="hate"))
    assert (reported.queued, reported.has_messages) == (True, False)
    await house.stop()


async def test_a_slow_database_does_not_hold_up_the_reporter() -> None:
    house = House(database_url="sqlite:///", evidence_key=KEY)
    cases = house.adapters.kept.cases
    add, answered = cases.add, asyncio.Event()

    async def slow(case: NewCase) -> bool:
        await answered.wait()
        return await add(case)

    setattr(cases, "add", slow)  # noqa: B010 - a method
    one, other = await house.pair()
    other.say("bad")
    reporting = asyncio.ensure_future(house.reports.report(one.live, Report(reason="hate")))
    await house.clock.run(1.9)
    assert not reporting.done()
    await house.clock.run(0.2)
    reported = await reporting
    assert reported.queued
    assert (await house.reports.status(reported.receipt)).state == "waiting"
    answered.set()
    async with house.repeating(house.reports.keep):
        while house.reports.held:
            await house.clock.run(1)
            await asyncio.sleep(0.01)  # the database is in a thread
    assert (await house.adapters.kept.cases.page("open")).total == 1
    await house.stop()


async def test_while_the_database_is_away_what_has_ended_is_forgotten_in_time(caplog: pytest.LogCaptureFixture) -> None:
    house = House(database_url="sqlite:///", evidence_key=KEY, report_window=60)
    setattr(house.adapters.kept.cases, "add", away)  # noqa: B010 - a method
    one, other = await house.pair()
    other.say("bad")
    await house.reports.report(one.live, Report(reason="hate", leave=False))
    waiting = house.reports.held
    house.rooms.leave(one.live, "user_left")
    async with house.repeating(house.reports.keep):
        await house.clock.run(59.9)
        assert house.reports.held > waiting
        await house.clock.run(0.1)
        assert house.reports.held == waiting
        assert not house.reports._ended
    with pytest.raises(OSError, match="away"):
        await house.reports.stop()
    assert "reports are lost: the database was away" in caplog.messages
    await house.stop()


async def test_a_report_that_fails_can_be_made_again() -> None:
    house = House(database_url="sqlite:///", evidence_key=KEY)
    cases = house.adapters.kept.cases
    add = cases.add

    async def fail(_case: NewCase) -> bool:
        raise ValueError("refused for good")

    setattr(cases, "add", fail)  # noqa: B010 - a method
    one, _ = await house.pair()
    with pytest.raises(ValueError, match="for good"):
        await house.reports.report(one.live, Report(reason="hate"))
    setattr(cases, "add", add)  # noqa: B010 - a method
    await house.reports.report(one.live, Report(reason="hate"))
    await house.stop()


async def test_a_parked_conversation_is_reported_and_nobody_comes_back() -> None:
    house = House(database_url="sqlite:///", evidence_key=KEY, undo_seconds=5)
    one, other = await house.pair(features=("undo",))
    other.say("bad")
    room = one.live.membership().room
    assert house.rooms.leave(other.live, "user_left", undo=True)
    assert (await house.reports.report(one.live, Report(reason="hate"))).has_messages
    found = evidence(await case_of(house))
    assert [message.content for message in found.messages] == ["bad"]
    assert found.began_at == found.ended_at == house.clock.time()
    with pytest.raises(ConflictError):
        house.rooms.restore(other.live, Resume(room.id, room.epoch, 1))
    await house.stop()


async def test_what_a_node_knew_that_is_gone_is_reported_without_messages() -> None:
    there, here = (House(database_url="sqlite:///", evidence_key=KEY) for _ in range(2))
    one, other = await there.pair()
    other.say("bad")
    there.rooms.leave(one.live, "user_left")
    await there.pass_time(20)
    ended = there.reports.ended(one.live)
    assert ended is not None
    assert ended.until == 40
    person = await here.visitor("Anna")
    here.reports.arrived(person.live, ended)
    reported = await here.reports.report(person.live, Report(reason="hate", words="she was bad"))
    assert (reported.has_messages, reported.queued) == (False, False)
    case = await case_of(here)
    assert case.subject.guest_id == other.id
    assert case.subject.marks == (session_mark(other.session_id),)
    assert case.log is None
    assert other.live.guest.root in person.live.guest.never
    with pytest.raises(ConflictError) as caught:
        await here.reports.report(person.live, Report(reason="hate"))
    assert caught.value.code == "already_reported"
    assert here.reports.ended(person.live) == ended  # it goes on with the guest
    await here.pass_time(40)
    assert person.live.ended is None
    with pytest.raises(ConflictError) as caught:
        await here.reports.report(person.live, Report(reason="hate"))
    assert caught.value.code == "nothing_to_report"
    await there.stop()
    await here.stop()


async def test_ended_conversations_take_no_more_than_their_share_of_memory() -> None:
    house = House(database_url="sqlite:///", evidence_key=KEY, report_memory=2000)
    people = []
    for _ in range(10):
        one, other = await house.pair()
        other.say("x" * 200)
        one.live.member and house.rooms.leave(one.live, "user_left")
        people.append(one)
        assert house.reports.held <= 2000
    first = await house.reports.report(people[0].live, Report(reason="hate"))
    last = await house.reports.report(people[-1].live, Report(reason="hate"))
    assert not first.has_messages
    assert last.has_messages
    await house.stop()


async def test_the_reported_one_and_the_reporter_never_meet_again() -> None:
    house = House(database_url="sqlite:///", evidence_key=KEY)
    one, other = await house.pair()
    house.rooms.leave(other.live, "user_left")
    await house.reports.report(one.live, Report(reason="hate"))
    assert other.live.guest.root in one.live.guest.never or one.live.guest.root in other.live.guest.never
    await house.stop()


async def test_a_report_of_the_earlier_conversation_leaves_the_new_one_alone() -> None:
    house = House(database_url="sqlite:///", evidence_key=KEY)
    one, other = await house.pair()
    other.say("bad")
    epoch = one.live.membership().room.epoch
    house.rooms.leave(other.live, "user_left")
    third = await house.visitor("Clara")
    await third.search()
    await one.search()
    assert one.live.membership().partner.live is third.live
    third.say("hello")

    await house.reports.report(one.live, Report(reason="hate", epoch=epoch))

    assert one.live.membership().partner.live is third.live
    assert third.live.guest.root not in one.live.guest.never
    assert other.live.guest.root in one.live.guest.never
    assert [one.content for one in evidence(await case_of(house)).messages] == ["bad"]
    await house.stop()


async def test_the_conversation_that_is_named_is_reported_and_no_other() -> None:
    house = House(database_url="sqlite:///", evidence_key=KEY)
    one, _ = await house.pair()
    first = one.live.membership().room.epoch
    house.rooms.leave(one.live, "user_left")
    third = await house.visitor("Clara")
    await third.search()
    await one.search()
    house.rooms.leave(one.live, "user_left")
    with pytest.raises(ConflictError) as caught:
        await house.reports.report(one.live, Report(reason="hate", epoch=first))
    assert caught.value.code == "nothing_to_report"
    await house.stop()


async def test_what_the_server_notices_is_a_case_once_an_hour() -> None:
    house = House(database_url="sqlite:///", evidence_key=KEY)
    one, other = await house.pair()
    other.say("buy this")
    for _ in range(3):
        house.reports.notice(other.live, "repeats", "spam")
    house.reports.notice(one.live, "skips", "other")
    await house.background.settle()
    page = await house.adapters.kept.cases.page("open")
    assert sorted((case.source, case.rule) for case in page.cases) == [("repeats", "spam"), ("skips", "other")]
    house.clock.advance(3601)
    house.reports.notice(other.live, "repeats", "spam")
    await house.background.settle()
    assert (await house.adapters.kept.cases.page("open")).total == 3
    await house.stop()


# ── against a model ───────────────────────────────────────────────────────────────────────────────

_WINDOW, _UNDO, _MEMORY = 60.0, 5.0, 1500
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["say", "say", "leave", "undo", "meet", "meet", "report", "report", "report old", "pass", "long"]
        ),
        st.integers(0, 2),
    ),
    min_size=12,
    max_size=40,
)


class Talk:
    """A conversation, as it should be known to the server."""

    def __init__(self, one: int, other: int, room_id: str, epoch: int) -> None:
        self.people = (one, other)
        self.room_id, self.epoch = room_id, epoch
        self.said: list[str] = []
        self.left: tuple[int, float] | None = None
        """Who has left it, and when."""
        self.reported: dict[int, int] = {}
        """Who has reported it, and how much was said before."""


class Model:
    """Three guests, and what each of them can report."""

    def __init__(self, house: House, people: list[Person]) -> None:
        self.house, self.people = house, people
        self.now: dict[int, Talk] = {}
        self.last: dict[int, Talk] = {}
        """The last conversation of each that is over, if it can be reported."""
        self.cases: set[str] = set()

    async def step(self, step: str, which: int) -> None:
        who = self.choose(step, which)
        person = self.people[who]
        match step:
            case "say" if who in self.now:
                text = f"{who} says {len(self.now[who].said)} {'x' * 400}"
                person.say(text)
                self.now[who].said.append(text)
            case "leave" if who in self.now:
                self.house.rooms.leave(person.live, "user_left", undo=True)
                self.end(who)
            case "undo":
                self.undo(who)
            case "meet" if who not in self.now:
                await self.meet(who)
            case "pass" | "long":
                await self.house.pass_time(3 if step == "pass" else _WINDOW)
                self.forget()
            case "report":
                await self.report(who, self.now.get(who) or self.last.get(who), None)
            case "report old" if who in self.last:
                await self.report(who, self.last[who], self.last[who].epoch)

    def choose(self, step: str, which: int) -> int:
        """Return a guest for whom the step makes a difference, if there is one."""
        order = [(which + place) % 3 for place in range(3)]
        useful = {
            "say": [who for who in order if who in self.now],
            "leave": [who for who in order if who in self.now],
            "undo": [who for who in order if (talk := self.last.get(who)) and talk.left and talk.left[0] == who],
            "meet": [who for who in order if who not in self.now and (who + 1) % 3 not in self.now],
            "report old": [who for who in order if who in self.now and who in self.last],
        }
        return (useful.get(step) or order)[0]

    def end(self, who: int) -> None:
        talk = self.now[who]
        talk.left = who, self.house.clock.monotonic()
        for one in talk.people:
            self.last[one] = self.now.pop(one)

    def undo(self, who: int) -> None:
        talk = self.last.get(who)
        if talk is None or talk.left is None:
            return
        with contextlib.suppress(ConflictError):
            self.house.rooms.restore(self.people[who].live, Resume(talk.room_id, talk.epoch, len(talk.said)))
            assert talk.left[0] == who
            for one in talk.people:
                self.now[one] = talk
                assert self.last.pop(one) is talk

    async def meet(self, who: int) -> None:
        other = (who + 1) % 3
        if other in self.now:
            return
        for one in (who, other):
            await self.people[one].search()
        room = self.people[who].live.membership().room
        talk = Talk(who, other, room.id, room.epoch)
        self.now[who] = self.now[other] = talk

    def forget(self) -> None:
        now = self.house.clock.monotonic()
        self.last = {one: talk for one, talk in self.last.items() if talk.left and now - talk.left[1] < _WINDOW}

    async def report(self, who: int, talk: Talk | None, epoch: int | None) -> None:
        report = Report(reason="spam", leave=False, epoch=epoch)
        if talk is None or talk.reported.get(who) == len(talk.said):
            with pytest.raises(ConflictError) as caught:
                await self.house.reports.report(self.people[who].live, report)
            assert caught.value.code == ("nothing_to_report" if talk is None else "already_reported")
            return
        reported = await self.house.reports.report(self.people[who].live, report)
        talk.reported[who] = len(talk.said)
        cases = self.house.adapters.kept.cases
        found = [await cases.load(one.id) for one in (await cases.page("open", limit=50)).cases]
        (case,) = (case for case in found if case is not None and case.overview.id not in self.cases)
        self.cases.add(case.overview.id)
        (partner,) = set(talk.people) - {who}
        assert case.subject.guest_id == self.people[partner].id
        assert reported.has_messages == (case.log is not None)
        if case.log is not None:
            assert [one.content for one in evidence(case).messages] == talk.said
            assert (evidence(case).ended_at is None) == (self.now.get(who) is talk)
        else:
            assert not talk.said or talk in self.last.values()  # only what has ended is dropped for space

    def check(self) -> None:
        """Check that exactly what can be reported is kept, within its bound."""
        reports = self.house.reports
        ended = {self.people[one].session_id: (talk.room_id, talk.epoch) for one, talk in self.last.items()}
        assert {one: (talk.room_id, talk.epoch) for one, talk in reports._ended.items()} == ended
        kept = {id(talk): talk for talk in reports._ended.values()}.values()
        assert reports.held == sum(talk.size for talk in kept) <= _MEMORY
        assert all(talk.size == sum(map(len, talk.entries)) for talk in kept)
        assert {id(talk) for talk in kept if talk.size} <= {id(talk) for talk in reports._whole}
        if not ended:
            assert not reports._whole


@given(_STEPS)
@settings(max_examples=25)
async def test_a_report_has_exactly_what_was_relayed_and_nothing_is_kept_longer(steps: list[tuple[str, int]]) -> None:
    house = House(
        database_url="sqlite:///", evidence_key=KEY, undo_seconds=_UNDO, report_window=_WINDOW, report_memory=_MEMORY
    )
    people = [await house.visitor(name, ("undo",)) for name in ("Anna", "Berta", "Clara")]
    model = Model(house, people)
    for step, who in steps:
        await model.step(step, who)
        model.check()
    assert (await house.adapters.kept.cases.page("open")).total == len(model.cases)
    await house.pass_time(_WINDOW)
    for who in list(model.now):
        if who in model.now:
            house.rooms.leave(people[who].live, "user_left")
            model.end(who)
    await house.pass_time(_WINDOW)
    assert house.reports.held == 0
    assert not house.reports._ended
    await house.stop()
