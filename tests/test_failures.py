"""Parts that fail once: affected guests get an error or resume, others notice nothing, and all work continues."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from passerby.background import ANSWER_LIMIT
from passerby.chat.events import ChatError, MessageSent, PartnerAway, RoomClosed, RoomResumed, UserLeft
from passerby.chat.log_memory import MemoryRoomLog
from passerby.errors import Code, UnauthorizedError
from passerby.guests.events import SessionRenewed
from passerby.guests.store_memory import MemorySessionStore
from passerby.live import Room
from passerby.matching.events import MatchCancelled, MatchError, MatchNoUsers
from passerby.matching.stages import OPEN, Openness
from passerby.models import Guest, Message, Partner, Ticket
from tests.support.clock import ManualClock, turns
from tests.support.failing import BrokenError, Failing
from tests.support.fakes import Gate
from tests.support.folders import entries
from tests.support.house import GRACE, SESSION_TTL, House

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from passerby.chat.log import Done
    from tests.support.house import Person


@pytest.fixture
def house() -> House:
    return House()


def failures(house: House) -> dict[str, int]:
    return dict(house.background.failures)


async def gone(person: Person) -> bool:
    try:
        await person.house.guests.authenticate(person.token)
    except UnauthorizedError:
        return True
    return False


def counts(house: House) -> tuple[int, int, int]:
    tally = house.stats.tally()
    return tally.online, tally.chatting, tally.pairs


def recount(house: House) -> tuple[int, int, int]:
    lives = house.lives()
    online = [live for live in lives if live.link is not None]
    members = [live.member for live in lives if live.member is not None]
    return len(online), sum(live.member is not None for live in online), len({member.room for member in members})


# ── loops ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_sweep_of_sessions_that_fails_comes_again(house: House) -> None:
    await house.newcomer()
    broken = Failing(house.adapters.store, "sweep")
    async with house.repeating(house.presence.sweep):
        await house.pass_time(SESSION_TTL + 1200)

    assert broken.calls > 2
    assert await house.adapters.store.count() == 0
    assert failures(house) == {"a loop under test": 1}


async def test_a_sweep_of_files_that_fails_comes_again(house: House) -> None:
    broken = Failing(house.adapters.blobs, "sweep")
    house.start()
    await house.pass_time(1000)
    await house.stop()

    assert broken.calls == 3
    assert failures(house) == {"sweep of files": 1}


async def test_one_session_that_cannot_be_refreshed_keeps_no_other_from_it(house: House) -> None:
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    Failing(house.guests, "renew")
    async with house.repeating(house.presence.refresh):
        await house.pass_time(SESSION_TTL)

    assert [len(person.link.of(SessionRenewed)) for person in (anna, berta)] == [1, 1]
    assert failures(house) == {"refreshing a session": 1}


async def test_statistics_that_fail_once_are_told_again(house: House) -> None:
    publish = Failing(house.stats, "_publish")
    async with house.repeating(house.stats.broadcast):
        await house.visitor()
        await house.pass_time(5)
        published = len(house.published)
        await house.visitor()
        await house.pass_time(5)

    assert publish.calls > 2
    assert published == 1, "the failed step is retried"
    assert house.published[-1][1].stats.online_users == 2


async def test_counters_that_fail_once_are_asked_again(house: House) -> None:
    Failing(house.adapters.counters, "report")
    async with house.repeating(house.stats.broadcast):
        await house.visitor()
        await house.pass_time(5)

    assert [event.stats.online_users for _, event, _ in house.published] == [1]


@pytest.mark.parametrize(
    ("adapter", "method", "name"),
    [
        ("counters", "report", "broadcast of statistics"),
        ("counters", "total", "broadcast of statistics"),
        ("store", "count", "broadcast of statistics"),
        ("store", "sweep", "sweep of sessions"),
        ("blobs", "sweep", "sweep of files"),
    ],
)
async def test_an_adapter_that_never_answers_a_loop_is_asked_again(
    house: House, adapter: str, method: str, name: str
) -> None:
    await house.visitor()
    hanging = hang_once(getattr(house.adapters, adapter), method)
    house.start()
    await house.clock.run(SESSION_TTL)
    await house.stop()

    assert len(hanging) > 1
    assert failures(house) == {name: 1}


def hang_once(owner: object, method: str) -> list[str]:
    """Let the next call of a method hang for ever. Return the list of calls."""
    calls: list[str] = []
    original = getattr(owner, method)

    async def hang(*arguments: object) -> object:
        calls.append(method)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return await original(*arguments)

    setattr(owner, method, hang)
    return calls


# ── searches ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_queue_that_fails_ends_the_search_with_an_error_and_the_next_one_works(house: House) -> None:
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    Failing(house.adapters.queue, "enter")

    await anna.search()

    assert anna.link.last(MatchError).code is Code.INTERNAL
    assert (anna.live.ticket, anna.live.guest.is_searching, house.matchmaking.waiting) == (None, False, 0)
    await anna.search()
    assert anna.link.of(MatchNoUsers)
    await berta.search()
    assert anna.live.member is not None
    assert anna.live.member.partner is berta.live.member


async def test_a_queue_that_never_answers_ends_the_search_with_an_error(house: House) -> None:
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    hang_once(house.adapters.queue, "enter")
    search = asyncio.create_task(anna.search())

    await house.clock.run(ANSWER_LIMIT)
    await search

    assert anna.link.last(MatchError).code is Code.INTERNAL
    assert (anna.live.ticket, anna.live.guest.is_searching, house.matchmaking.waiting) == (None, False, 0)
    await anna.search()
    await berta.search()
    assert house.rooms.count == 1


async def test_a_queue_that_never_takes_a_ticket_out_keeps_nobody_waiting(house: House) -> None:
    anna = await house.visitor("Anna")
    await anna.search()
    hang_once(house.adapters.queue, "cancel")
    end = asyncio.create_task(anna.cancel())

    await house.clock.run(ANSWER_LIMIT)
    await end

    assert anna.link.of(MatchCancelled)
    assert failures(house) == {"withdrawal of a ticket": 1}


async def test_a_queue_that_fails_after_it_has_taken_the_ticket_makes_nobody_meet_a_ghost(house: House) -> None:
    anna, berta, carla = [await house.visitor(name) for name in ("Anna", "Berta", "Carla")]
    enter = house.adapters.queue.enter

    async def take_and_fail(ticket: Ticket, openness: Openness = OPEN, patience: float = 0.0) -> Ticket | None:
        await enter(ticket, openness, patience)
        raise BrokenError

    house.adapters.queue.enter = take_and_fail  # type: ignore[method-assign]  # fails once
    await anna.search()
    house.adapters.queue.enter = enter  # type: ignore[method-assign]  # restored
    await berta.search()
    assert berta.link.of(MatchNoUsers)
    await carla.search()

    assert anna.live.member is None
    assert berta.live.member is not None
    assert berta.live.member.partner is carla.live.member


async def test_a_queue_that_fails_on_the_way_back_is_asked_again(house: House) -> None:
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    await anna.search()
    anna.drop()
    await house.settle()
    Failing(house.adapters.queue, "enter")

    await anna.arrive()
    await turns()
    assert await house.adapters.queue.size() == 0
    await house.clock.run(1)

    await berta.search()
    assert berta.live.member is not None
    assert anna.live.member is berta.live.member.partner


async def test_a_ticket_that_the_queue_has_given_to_nobody_comes_back(house: House) -> None:
    anna, berta, carla = [await house.visitor(name) for name in ("Anna", "Berta", "Carla")]
    await anna.search()
    enter = house.adapters.queue.enter

    async def give_and_fail(ticket: Ticket, openness: Openness = OPEN, patience: float = 0.0) -> Ticket | None:
        assert await enter(ticket, openness, patience) is not None
        raise BrokenError

    house.adapters.queue.enter = give_and_fail  # type: ignore[method-assign]  # fails once
    await berta.search()
    house.adapters.queue.enter = enter  # type: ignore[method-assign]  # as it was
    assert berta.link.last(MatchError).code is Code.INTERNAL
    assert anna.live.ticket is not None, "she knows nothing of it"
    await house.clock.run(1)

    await carla.search()

    assert carla.live.member is not None
    assert carla.live.member.partner is anna.live.member


async def test_a_ticket_that_cannot_be_withdrawn_is_worth_nothing(house: House) -> None:
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    await anna.search()
    Failing(house.adapters.queue, "cancel")
    await anna.cancel()

    await berta.search()

    assert anna.live.member is berta.live.member is None
    assert failures(house) == {"withdrawal of a ticket": 1}


async def test_a_log_that_cannot_begin_ends_both_searches_with_an_error(house: House) -> None:
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    Failing(house.adapters.log, "open")

    await anna.search()
    await berta.search()

    for person in (anna, berta):
        assert person.link.last(MatchError).code is Code.INTERNAL
        assert (person.live.member, person.live.ticket) == (None, None)
    assert (house.rooms.count, house.rooms.online_members, house.matchmaking.waiting) == (0, 0, 0)
    await anna.search()
    await berta.search()
    assert house.rooms.count == 1


# ── messages ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_message_that_cannot_be_logged_is_refused_and_the_next_one_is_not(house: House) -> None:
    anna, berta = await house.pair()
    append = house.adapters.log.append

    def refuse(_room_id: str, _epoch: int, message: Message, done: Done, context: object) -> None:
        done(context, message, None, BrokenError("full"))

    house.adapters.log.append = refuse  # type: ignore[method-assign,assignment]  # fails once
    answers: list[MessageSent | ChatError] = []
    house.rooms.send(anna.live.membership(), "text", "lost", "c-1", answers.append)
    house.adapters.log.append = append  # type: ignore[method-assign]  # restored

    error = anna.link.last(ChatError)
    assert (error.code, error.client_id) == (Code.INTERNAL, "c-1")
    assert answers == [error]
    assert berta.link.of(Message) == []
    assert anna.say("again", "c-1").seq == 1
    assert berta.link.texts() == ["again"]


async def test_a_replay_that_fails_ends_that_connection_and_the_next_one_has_everything(house: House) -> None:
    anna, berta = await house.pair()
    berta.drop()
    anna.say("while you were away")
    Failing(house.adapters.log, "replay")

    await berta.connect(berta.resume_from(0))

    assert berta.link.closed is Code.SERVER_ERROR
    house.presence.disconnect(berta.live, berta.link)  # as the gateway does once the socket is gone
    anna.say("and now")
    await berta.connect(berta.resume_from(0))
    assert berta.link.texts() == ["while you were away", "and now"]
    anna.say("here you are")
    assert berta.link.texts()[-1] == "here you are"


async def test_a_replay_that_never_comes_ends_that_connection(house: House) -> None:
    anna, _ = await house.pair()
    anna.drop()
    hang_once(house.adapters.log, "replay")
    link = await anna.arrive()

    await house.clock.run(ANSWER_LIMIT)

    assert link.closed is Code.SERVER_ERROR
    assert failures(house) == {"resumption of a room": 1}


async def test_a_replay_that_fails_for_a_connection_that_is_replaced_leaves_the_new_one_alone() -> None:
    class LateLog(MemoryRoomLog):
        async def replay(self, *_: object) -> None:  # type: ignore[override]  # fails, late
            await released.wait()
            raise BrokenError

    released = asyncio.Event()
    house = House(stand_ins={"log": LateLog(200, 262_144)})
    _, berta = await house.pair()
    await berta.arrive(berta.resume_from(0))
    await turns()
    house.adapters.log.replay = MemoryRoomLog.replay.__get__(house.adapters.log)  # type: ignore[method-assign]  # restored
    again = await berta.arrive(berta.resume_from(0))
    released.set()
    await house.settle()

    assert again.closed is None
    assert again.of(RoomResumed)


@pytest.mark.parametrize("place", ["changed", "view", "send"])
@pytest.mark.parametrize("time", [1, 2])
async def test_a_room_that_opens_only_halfway_is_closed_or_opens_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch, place: str, time: int
) -> None:
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    await anna.search()
    if place == "changed":
        house.writer.save = fails_at(time, house.writer.save)  # type: ignore[method-assign]  # fails
    elif place == "view":
        monkeypatch.setattr("passerby.chat.rooms.Partner.of", fails_at(time, Partner.of))
    else:
        monkeypatch.setattr("passerby.live.Room.tell", fails_at(time, Room.tell))

    await berta.search()

    if place == "changed":
        assert house.rooms.count == 1
        house.rooms.leave(anna.live, "user_left")
    else:
        assert [person.link.last(MatchError).code for person in (anna, berta)] == [Code.INTERNAL] * 2
    assert (anna.live.member, berta.live.member, house.rooms.count) == (None, None, 0)
    assert [person.live.guest.in_chat for person in (anna, berta)] == [False, False]
    assert counts(house) == recount(house)
    await anna.search()
    await berta.search()
    assert house.rooms.count == 1
    assert counts(house) == recount(house)


def fails_at(time: int, work: Callable[..., Any]) -> Callable[..., Any]:
    """Return `work`, but its call number `time`, counted from 1, fails."""
    calls = itertools.count(1)

    def call(*arguments: object) -> object:
        if next(calls) == time:
            raise BrokenError
        return work(*arguments)

    return call


# ── disconnecting ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("observer", ["files", "calls"])
async def test_an_observer_that_fails_keeps_nobody_in_a_session(house: House, observer: str) -> None:
    anna, berta = await house.pair()
    Failing(getattr(house, observer), "room_closed")

    await anna.leave_for_good()

    assert await gone(anna)
    assert house.guests.live(anna.session_id) is None
    assert await house.adapters.store.load(anna.session_id) is None
    assert berta.link.last(RoomClosed).reason == "user_disconnected"
    assert (berta.live.member, house.rooms.count) == (None, 0)
    assert failures(house) == {"observer of a closed room": 1}


@pytest.mark.parametrize("name", ["expire", "away"])
async def test_a_room_that_cannot_be_ended_keeps_nobody_in_a_session(house: House, name: str) -> None:
    anna, _ = await house.pair()
    Failing(house.rooms, name)

    await anna.leave_for_good()

    assert await gone(anna)
    assert house.guests.live(anna.session_id) is None


async def test_a_log_that_cannot_be_forgotten_keeps_no_room_open(house: House) -> None:
    anna, berta = await house.pair()
    Failing(house.adapters.log, "forget")

    house.rooms.leave(anna.live, "user_left")

    assert berta.link.of(UserLeft)
    assert (anna.live.member, berta.live.member, house.rooms.count) == (None, None, 0)
    await anna.search()
    await berta.search()
    assert house.rooms.count == 1


@pytest.mark.parametrize(("service", "place"), [("writer", "save"), ("rooms", "_closed")])
@pytest.mark.parametrize("time", [1, 2])
@pytest.mark.parametrize("end", ["leave", "expire"])
async def test_a_room_closes_whatever_fails_on_the_way(
    tmp_path: Path, service: str, place: str, time: int, end: str
) -> None:
    house = House(file_store="disk", file_directory=str(tmp_path))
    anna, berta = await house.pair()
    await bring(house, anna, b"private")
    forgotten = Failing(house.adapters.log, "forget", times=0)
    failing = getattr(house, service)
    setattr(failing, place, fails_at(time, getattr(failing, place)))

    house.background.attempt(
        "end", *((house.rooms.leave, anna.live, "user_left") if end == "leave" else (house.rooms.expire, anna.live))
    )
    await house.settle()

    assert (anna.live.member, berta.live.member, house.rooms.count) == (None, None, 0)
    assert counts(house) == recount(house)
    assert forgotten.calls == 1
    assert entries(tmp_path, "*/*.bin") == []
    await house.stop()


async def test_files_of_a_room_whose_space_cannot_be_released_are_removed(tmp_path: Path) -> None:
    house = House(file_store="disk", file_directory=str(tmp_path))
    anna, _ = await house.pair()
    await bring(house, anna, b"private")
    Failing(house.files.space, "close")

    house.rooms.leave(anna.live, "user_left")
    await house.settle()
    await house.files.sweep()

    assert entries(tmp_path, "*/*.bin") == []
    await house.stop()


async def test_a_session_that_ends_does_so_whatever_its_room_does(house: House) -> None:
    anna, _ = await house.pair()
    Failing(house.rooms, "leave")

    await house.presence.end(anna.live.guest)

    assert await gone(anna)
    assert anna.link.closed is Code.SESSION_ENDED


async def test_a_removal_that_the_store_refuses_is_made_up_for(house: House) -> None:
    anna = await house.visitor()
    broken = Failing(house.adapters.store, "remove", times=100)
    await house.presence.end(anna.live.guest)
    assert await gone(anna), "at once, even while the store still has it"
    assert await house.adapters.store.load(anna.session_id) is not None
    broken.left = 0

    await house.pass_time(1)

    assert await house.adapters.store.load(anna.session_id) is None


class LateStore(MemorySessionStore):
    """Answers late: `told` stands between reading and the answer."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.told = Gate()

    async def load(self, session_id: str) -> Guest | None:
        found = await super().load(session_id)
        await self.told.passing()
        return found


async def test_a_session_that_ends_while_the_store_answers_does_not_come_back() -> None:
    clock = ManualClock()
    store = LateStore(clock)
    house = House(clock=clock, stand_ins={"store": store})
    anna = await house.newcomer()
    guest, _ = await house.guests.authenticate(anna.token)
    store.told.shut()
    connecting = asyncio.ensure_future(anna.arrive())
    changing = asyncio.ensure_future(house.guests.update(guest, language="nl"))
    await store.told.arrival(2)
    await house.presence.end(guest)
    store.told.open()

    for work in (connecting, changing):
        with pytest.raises(UnauthorizedError):
            await work
    assert await gone(anna)
    assert await store.count() == 0


async def test_a_session_that_ends_while_a_change_is_written_does_not_come_back(house: House) -> None:
    anna = await house.newcomer()
    guest, _ = await house.guests.authenticate(anna.token)
    written, save = Gate(), house.adapters.store.save

    async def save_late(guest: Guest, lifetime: float) -> None:
        await written.passing()
        await save(guest, lifetime)

    house.adapters.store.save = save_late  # type: ignore[method-assign]  # a slow one
    written.shut()
    changing = asyncio.ensure_future(house.guests.update(guest, language="nl"))
    await written.arrival()
    await house.presence.end(guest)
    written.open()

    with pytest.raises(UnauthorizedError):
        await changing
    assert await gone(anna)
    assert await house.adapters.store.count() == 0


async def test_one_session_that_cannot_be_written_blocks_no_other(house: House) -> None:
    anna, berta, carla = [await house.visitor(name) for name in ("Anna", "Berta", "Carla")]
    await house.settle()
    save = house.adapters.store.save

    async def refuse_anna(guest: Guest, lifetime: float) -> None:
        if guest.username == "Anna":
            raise BrokenError("too large")
        await save(guest, lifetime)

    house.adapters.store.save = refuse_anna  # type: ignore[method-assign]  # broken for one
    house.guests.touch(carla.live)
    house.guests.touch(anna.live)
    await house.presence.end(berta.live.guest)

    assert await house.adapters.store.load(berta.session_id) is None
    await house.clock.run(10)
    assert house.background.failures["writing of sessions"] <= 12, "one try a second"


async def test_a_store_that_fails_is_asked_once_a_second_however_much_changes(house: House) -> None:
    people = [await house.visitor() for _ in range(3)]
    await house.settle()
    Failing(house.adapters.store, "save", times=10**6)

    for number in range(200):
        house.guests.touch(people[number % 3].live)
        await turns(4)

    assert house.background.failures["writing of sessions"] == 1


# ── connecting ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("owner", "name"),
    [("stats", "greet"), ("rooms", "back"), ("rooms", "summary"), ("matchmaking", "restore")],
)
async def test_who_cannot_be_greeted_is_not_here_and_comes_back(house: House, owner: str, name: str) -> None:
    anna, berta = await house.pair()
    anna.drop()
    await house.settle()
    berta.link.clear()
    Failing(getattr(house, owner), name)

    with pytest.raises(BrokenError):
        await anna.arrive(anna.resume_from(0))
    await house.settle()

    assert (anna.live.link, anna.live.guest.is_online) == (None, False)
    assert counts(house) == recount(house)
    await anna.connect(anna.resume_from(0))
    assert anna.live.link is anna.link
    assert counts(house) == recount(house)
    anna.say("here again")
    assert berta.link.texts() == ["here again"]


async def test_who_cannot_be_greeted_and_never_comes_back_is_forgotten(house: House) -> None:
    anna, berta = await house.pair()
    anna.drop()
    await house.settle()
    Failing(house.stats, "greet")
    with pytest.raises(BrokenError):
        await anna.arrive()

    await house.pass_time(GRACE)

    assert await gone(anna)
    assert berta.live.member is None
    assert berta.link.of(PartnerAway)


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


async def bring(house: House, person: Person, body: bytes) -> None:
    upload = house.files.begin(person.live, name="a", claimed="", size=len(body), voice=False)
    await upload.write(body)
    await upload.finish(upload.room.id)


@pytest.mark.parametrize("store", ["memory", "disk"])
async def test_a_file_that_cannot_be_removed_keeps_no_other_and_is_removed_later(tmp_path: Path, store: str) -> None:
    house = House(file_store=store, file_directory=str(tmp_path))
    anna, berta = await house.pair()
    for person in (anna, berta, anna):
        await bring(house, person, b"private")
    remove = Failing(house.adapters.blobs, "remove")

    house.rooms.leave(anna.live, "user_left")
    await house.settle()

    assert remove.calls == 3
    assert len(house.files._unremoved) == 1
    assert failures(house) == {"removal of a file": 1}
    if store == "disk":
        assert len(entries(tmp_path, "*/*.bin")) == 1
    await house.files.sweep()
    assert house.files._unremoved == set()
    assert entries(tmp_path, "*/*.bin") == []
    await house.stop()
    assert entries(tmp_path) == []


async def test_an_upload_that_is_given_up_while_the_disk_refuses_is_removed_later(tmp_path: Path) -> None:
    house = House(file_store="disk", file_directory=str(tmp_path))
    anna, _ = await house.pair()
    upload = house.files.begin(anna.live, name="a", claimed="", size=100_000, voice=False)
    await upload.write(bytes(50_000))
    Failing(house.adapters.blobs, "remove")

    await upload.abort()

    assert len(entries(tmp_path, "*/*.bin")) == 1
    assert house.files.space.used == 0
    await house.files.sweep()
    assert entries(tmp_path, "*/*.bin") == []
    await house.stop()


async def test_an_expired_file_that_cannot_be_removed_is_removed_later(tmp_path: Path) -> None:
    house = House(file_store="disk", file_directory=str(tmp_path), file_ttl=100)
    anna, _ = await house.pair()
    await bring(house, anna, b"private")
    await house.pass_time(101)
    Failing(house.adapters.blobs, "_unlink")
    await house.files.sweep()
    assert len(entries(tmp_path, "*/*.bin")) == 1

    await house.files.sweep()

    assert entries(tmp_path, "*/*.bin") == []
    await house.stop()


# ── stopping ──────────────────────────────────────────────────────────────────────────────────────

ADAPTERS = ("store", "queue", "log", "blobs", "counters")


class PanicError(BaseException):
    """What libraries in other languages raise, as PanicException of PyO3."""


RAISED: dict[str, BaseException] = {
    "raises at once": BrokenError(),
    "panics": PanicError(),
    "is cancelled": asyncio.CancelledError(),
    "is closed": GeneratorExit(),
    "panics in a group": BaseExceptionGroup("several", [PanicError()]),
}


def raising(error: BaseException) -> Callable[..., object]:
    """Return a function that raises, before there is anything to await."""

    def call(*_arguments: object) -> object:
        raise error

    return call


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("how", ["fails once", "fails always", "hangs", *RAISED])
async def test_whatever_cannot_be_closed_all_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adapter: str, how: str
) -> None:
    monkeypatch.setattr("passerby.assembly._STEP_TIMEOUT", 0.05)
    house = House(file_store="disk", file_directory=str(tmp_path))
    house.start()
    anna, _ = await house.pair()
    await bring(house, anna, b"private")
    closed = {name: Failing(getattr(house.adapters, name), "close", times=0) for name in ADAPTERS}
    if how == "hangs":
        setattr(getattr(house.adapters, adapter), "close", asyncio.Event().wait)  # noqa: B010 - any of them
    elif how in RAISED:
        setattr(getattr(house.adapters, adapter), "close", raising(RAISED[how]))  # noqa: B010 - any of them
    else:
        Failing(getattr(house.adapters, adapter), "close", times=1 if how == "fails once" else 2)

    await house.stop()

    assert all(stub.calls for name, stub in closed.items() if name != adapter)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert house.background.timers == set()
    if adapter != "blobs" or how == "fails once":
        assert entries(tmp_path) == []


@pytest.mark.parametrize("error", RAISED.values())
async def test_files_that_cannot_be_forgotten_are_deleted_all_the_same(tmp_path: Path, error: BaseException) -> None:
    house = House(file_store="disk", file_directory=str(tmp_path))
    house.start()
    anna, _ = await house.pair()
    await bring(house, anna, b"private")
    house.files.close = raising(error)  # type: ignore[method-assign,assignment]  # broken

    await house.stop()

    assert entries(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("place", ["close", "save"])
def test_what_ends_the_process_does_so_after_all_steps(tmp_path: Path, error: BaseException, place: str) -> None:
    async def live() -> None:
        house = House(file_store="disk", file_directory=str(tmp_path))
        house.start()
        anna, _ = await house.pair()
        await bring(house, anna, b"private")
        Failing(house.adapters.store, place, error=error)
        house.guests.touch(anna.live)
        await house.stop()

    with pytest.raises(type(error)):
        asyncio.run(live())

    assert entries(tmp_path) == []


async def test_a_stop_whose_caller_is_cancelled_ends_all_the_same_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passerby.assembly._STEP_TIMEOUT", 0.05)
    house = House(file_store="disk", file_directory=str(tmp_path))
    house.start()
    anna, _ = await house.pair()
    await bring(house, anna, b"private")
    closed = Failing(house.adapters.blobs, "close", times=0)
    house.adapters.store.close = asyncio.Event().wait  # type: ignore[method-assign,assignment]  # hangs
    first, second = asyncio.create_task(house.stop()), asyncio.create_task(house.stop())
    await turns()

    first.cancel()
    await second

    assert entries(tmp_path) == []
    with pytest.raises(asyncio.CancelledError):
        await first
    await house.stop()
    assert closed.calls == 1


async def test_stopping_writes_what_the_store_has_just_refused(house: House) -> None:
    anna = await house.visitor()
    await house.settle()
    Failing(house.adapters.store, "save")
    house.guests.touch(anna.live)
    await turns()
    written: list[str] = []
    save = house.adapters.store.save

    async def note(guest: object, lifetime: float) -> None:
        written.append(type(guest).__name__)
        await save(guest, lifetime)  # type: ignore[arg-type]  # a guest

    house.adapters.store.save = note  # type: ignore[method-assign]  # notes
    await house.stop()

    assert written == ["Guest"]


async def test_stopping_leaves_no_timer_of_a_store_that_fails_always(house: House) -> None:
    anna = await house.visitor()
    await house.settle()
    Failing(house.adapters.store, "save", times=10**6)
    house.guests.touch(anna.live)
    await turns()

    await house.stop()

    assert house.background.timers == set()


@pytest.mark.parametrize("error", [asyncio.CancelledError(), BaseExceptionGroup("several", [asyncio.CancelledError()])])
async def test_a_cancellation_within_the_queue_is_a_failure_like_any_other(house: House, error: BaseException) -> None:
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    enter = house.adapters.queue.enter

    async def cancelled(_ticket: Ticket) -> None:
        raise error

    house.adapters.queue.enter = cancelled  # type: ignore[method-assign,assignment]  # broken for once
    await anna.search()
    house.adapters.queue.enter = enter  # type: ignore[method-assign]  # as it was

    assert anna.link.last(MatchError).code is Code.INTERNAL
    await anna.search()
    await berta.search()
    assert house.rooms.count == 1
