from __future__ import annotations

import asyncio
import contextlib
import re
import typing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby import ids
from passerby.errors import NotFoundError, UnauthorizedError, UnavailableError
from passerby.guests.store_memory import MemorySessionStore
from passerby.models import Guest, OnlineUser, Username
from tests.support.clock import ManualClock, turns
from tests.support.failing import Failing
from tests.support.fakes import SlowSessionStore
from tests.support.house import SESSION_TTL, House, Person

if typing.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PATTERN = re.compile(r"[A-Z][a-z]+[A-Z][a-z]+[0-9]{4}")


@pytest.fixture
def house() -> House:
    return House()


def test_random_names_are_adjective_noun_number_and_within_the_contract() -> None:
    names = {ids.random_username() for _ in range(5000)}

    assert len(names) > 4900, "names repeat too often"
    for name in names:
        assert PATTERN.fullmatch(name)
        assert msgspec.convert(name, Username) == name


def test_the_longest_random_name_is_within_the_contract() -> None:
    longest = max(map(len, ids._ADJECTIVES)) + max(map(len, ids._NOUNS)) + 4

    assert longest <= 20


def test_the_session_id_cannot_be_told_from_the_public_id() -> None:
    public, secret = ids.guest_id(), ids.session_id()

    assert public.startswith("guest_")
    assert secret not in public
    assert public.removeprefix("guest_") not in secret
    assert len({ids.session_id() for _ in range(1000)}) == 1000


async def test_a_guest_begins_with_all_fields_of_the_contract(house: House) -> None:
    guest, token = await house.guests.create("CoolPanda1234", "Lima, Peru", "female", "es-PE")

    assert msgspec.to_builtins(guest) == {
        "id": guest.id,
        "sessionId": guest.session_id,
        "username": "CoolPanda1234",
        "isOnline": False,
        "isSearching": False,
        "inChat": False,
        "connectedUser": None,
        "location": "Lima, Peru",
        "gender": "female",
        "language": "es-PE",
        "socketId": None,
        "lastSeen": "2023-11-14T22:13:20.000Z",
        "createdAt": "2023-11-14T22:13:20.000Z",
        "connectedAt": None,
        "met": [],
        "never": [],
        "origin": None,
        "device": None,
        "deviceSince": None,
        "rules": None,
        "told": 0,
        "isOfAge": None,
    }
    assert token


async def test_without_a_name_one_is_made_up(house: House) -> None:
    guest, _ = await house.guests.create(None, None, None, None)

    assert PATTERN.fullmatch(guest.username)


async def test_a_token_opens_its_own_session(house: House) -> None:
    anna, berta = await house.newcomer("Anna"), await house.newcomer("Berta")

    guest, expires = await house.guests.authenticate(anna.token)

    assert guest.session_id == anna.session_id
    assert guest.session_id != berta.session_id
    assert expires == house.clock.time() + 7200


async def test_a_session_lives_two_hours_without_activity(house: House) -> None:
    person = await house.newcomer()
    house.clock.advance(7199)
    await house.guests.authenticate(person.token)
    house.clock.advance(1)

    with pytest.raises(UnauthorizedError):
        await house.guests.authenticate(person.token)
    with pytest.raises(NotFoundError):
        await house.guests.public(person.session_id)


async def test_a_good_token_of_a_session_that_is_gone_says_so(house: House) -> None:
    person = await house.newcomer()
    await house.adapters.store.remove(person.session_id)

    with pytest.raises(UnauthorizedError) as caught:
        await house.guests.authenticate(person.token)

    assert (caught.value.code, caught.value.message) == ("session_not_found", "Guest session not found or expired")


async def test_connecting_is_seen_in_the_session(house: House) -> None:
    person = await house.newcomer()
    house.clock.advance(5)
    await person.connect()

    stored = await house.adapters.store.load(person.session_id)

    assert stored is not None
    assert (stored.is_online, stored.socket_id, stored.connected_at, stored.last_seen) == (
        True,
        "socket_1",
        "2023-11-14T22:13:25.000Z",
        "2023-11-14T22:13:25.000Z",
    )


async def test_losing_the_connection_is_seen_in_the_session(house: House) -> None:
    person = await house.visitor()
    person.drop()
    await house.settle()

    stored = await house.adapters.store.load(person.session_id)

    assert stored is not None
    assert (stored.is_online, stored.socket_id) == (False, None)


async def test_a_conversation_is_seen_in_both_sessions_and_so_is_its_end(house: House) -> None:
    anna, berta = await house.pair()
    await house.settle()
    for one, other in ((anna, berta), (berta, anna)):
        stored = await house.adapters.store.load(one.session_id)
        assert stored is not None
        assert (stored.in_chat, stored.connected_user, stored.is_searching) == (True, other.id, False)

    house.rooms.leave(anna.live, "user_left")
    await house.settle()

    for one in (anna, berta):
        stored = await house.adapters.store.load(one.session_id)
        assert stored is not None
        assert (stored.in_chat, stored.connected_user) == (False, None)


async def test_searching_is_seen_in_the_session(house: House) -> None:
    person = await house.visitor()
    await person.search()
    await house.settle()
    stored = await house.adapters.store.load(person.session_id)
    assert stored is not None
    assert stored.is_searching

    await person.cancel()
    await house.settle()

    stored = await house.adapters.store.load(person.session_id)
    assert stored is not None
    assert not stored.is_searching


async def test_an_update_changes_what_it_names_and_is_activity(house: House) -> None:
    person = await house.newcomer()
    guest, _ = await house.guests.authenticate(person.token)
    await house.guests.update(guest, location="Oslo", language="no")
    house.clock.advance(7000)
    guest, _ = await house.guests.authenticate(person.token)
    await house.guests.update(guest, location=None)
    house.clock.advance(1000)

    stored = await house.guests.public(person.session_id)

    assert (stored.location, stored.language, stored.gender) == (None, "no", None)
    assert stored.last_seen == "2023-11-15T00:10:00.000Z"


async def test_an_update_of_a_connected_guest_is_seen_at_once_and_stored(house: House) -> None:
    person = await house.visitor()
    guest, _ = await house.guests.authenticate(person.token)
    await house.guests.update(guest, gender="other")
    await house.settle()

    stored = await house.adapters.store.load(person.session_id)

    assert stored is not None
    assert stored.gender == "other"
    assert person.live.guest.gender == "other"


async def test_an_update_begun_before_the_guest_connected_is_not_lost(house: House) -> None:
    person = await house.newcomer()
    guest, _ = await house.guests.authenticate(person.token)
    await person.connect()
    await house.guests.update(guest, location="Oslo")
    await house.settle()

    assert (await house.guests.public(person.session_id)).location == "Oslo"
    stored = await house.adapters.store.load(person.session_id)
    assert stored is not None
    assert (stored.location, stored.is_online) == ("Oslo", True)


async def test_an_update_begun_before_the_session_ended_does_not_bring_it_back(house: House) -> None:
    person = await house.newcomer()
    guest, _ = await house.guests.authenticate(person.token)
    await house.presence.end(guest)
    with pytest.raises(UnauthorizedError):
        await house.guests.update(guest, location="Oslo")
    await house.settle()

    with pytest.raises(UnauthorizedError):
        await house.guests.authenticate(person.token)


async def test_the_public_view_holds_nothing_secret(house: House) -> None:
    person = await house.visitor()

    view = msgspec.to_builtins(OnlineUser.of(await house.guests.public(person.session_id)))

    assert set(view) == {
        "id",
        "username",
        "isOnline",
        "isSearching",
        "lastSeen",
        "location",
        "gender",
        "language",
        "isGuest",
    }
    assert person.session_id not in str(view)
    assert "socket_1" not in str(view)


async def test_the_public_view_of_nobody_is_not_found(house: House) -> None:
    with pytest.raises(NotFoundError) as caught:
        await house.guests.public("nobody")

    assert caught.value.status == 404


async def test_the_last_state_is_stored_however_slow_the_store_is() -> None:
    clock = ManualClock()
    store = SlowSessionStore(clock)
    house = House(clock=clock, stand_ins={"store": store})
    person = await house.visitor()
    store.asked.shut()
    before = store.saves
    for number in range(20):
        person.live.guest.location = f"place {number}"
        house.guests.touch(person.live)
    await store.asked.arrival()
    person.live.guest.location = "the last place"
    house.guests.touch(person.live)
    store.asked.open()
    await house.settle()

    stored = await store.load(person.session_id)

    assert stored is not None
    assert stored.location == "the last place"
    assert store.saves - before <= 2, "one write for all changes in the meantime"


async def test_a_removal_is_never_overtaken_by_a_save() -> None:
    clock = ManualClock()
    store = SlowSessionStore(clock)
    house = House(clock=clock, stand_ins={"store": store})
    person = await house.visitor()
    store.asked.shut()
    house.guests.touch(person.live)
    await store.asked.arrival()
    house.writer.remove(person.session_id)
    store.asked.open()
    await house.settle()

    assert await store.load(person.session_id) is None


async def test_a_save_after_the_removal_does_not_bring_a_session_back(house: House) -> None:
    person = await house.visitor()
    house.writer.remove(person.session_id)
    house.writer.save(person.live.guest)
    await house.settle()

    assert await house.adapters.store.load(person.session_id) is None


@pytest.mark.filterwarnings("default")
async def test_what_a_failing_store_refused_is_written_when_it_is_back() -> None:
    clock = ManualClock()
    store = SlowSessionStore(clock)
    house = House(clock=clock, stand_ins={"store": store})
    anna, berta = await house.visitor("Anna"), await house.visitor("Berta")
    store.failing = True
    anna.live.guest.location = "Oslo"
    house.guests.touch(anna.live)
    await house.settle()
    store.failing = False
    house.guests.touch(berta.live)
    await house.settle()

    stored = await store.load(anna.session_id)

    assert stored is not None
    assert stored.location == "Oslo"


# ── a store that cannot serve ─────────────────────────────────────────────────────────────────────


def asked(house: House, person: Person) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return everything that asks the store for somebody who is not connected."""
    guest = Guest(id=person.id, session_id=person.session_id, username=person.username, last_seen="", created_at="")
    return {
        "create": lambda: house.guests.create(None, None, None, None),
        "authenticate": lambda: house.guests.authenticate(person.token),
        "public": lambda: house.guests.public(person.session_id),
        "update": lambda: house.guests.update(guest, location="Oslo"),
    }


ASKED = [
    ("create", "count"),
    ("create", "save"),
    ("authenticate", "load"),
    ("public", "load"),
    ("update", "load"),
    ("update", "save"),
]


@pytest.mark.parametrize(("what", "method"), ASKED)
async def test_a_store_that_fails_ends_no_session_but_is_to_be_tried_again(
    house: House, caplog: pytest.LogCaptureFixture, what: str, method: str
) -> None:
    person = await house.newcomer()
    Failing(house.adapters.store, method, error=ConnectionResetError())

    with pytest.raises(UnavailableError) as caught:
        await asked(house, person)[what]()

    assert (caught.value.code, caught.value.retry_after) == ("unavailable", 2)
    assert [record.getMessage() for record in caplog.records] == ["sessions cannot be read or written"]
    await asked(house, person)[what]()


@pytest.mark.parametrize(("what", "method"), ASKED)
async def test_nobody_waits_long_for_a_store_that_hangs(
    house: House, monkeypatch: pytest.MonkeyPatch, what: str, method: str
) -> None:
    person = await house.newcomer()
    waiting = asked(house, person)[what]
    monkeypatch.setattr(house.adapters.store, method, lambda *_: asyncio.Event().wait())
    answer = asyncio.ensure_future(waiting())
    await house.clock.run(4.9)
    assert not answer.done()
    await house.clock.run(0.1)

    with pytest.raises(UnavailableError):
        await answer
    assert house.clock.next_due() is None
    monkeypatch.undo()
    await waiting()


async def test_a_connected_guest_needs_no_store(house: House) -> None:
    person = await house.visitor()
    Failing(house.adapters.store, "load", times=10, error=OSError())

    guest, _ = await house.guests.authenticate(person.token)
    await house.guests.update(guest, location="Oslo")

    assert (await house.guests.public(person.session_id)).location == "Oslo"


def test_every_guest_field_of_the_contract_has_a_type() -> None:
    hints = typing.get_type_hints(OnlineUser)

    assert "session_id" not in hints
    assert "socket_id" not in hints


async def test_of_many_sessions_that_begin_at_once_no_more_are_made_than_may_exist() -> None:
    """Some may be refused too early. They are made when those who were before them are counted."""

    class SlowToCount(MemorySessionStore):
        async def count(self) -> int:
            await turns()
            return await super().count()

    clock = ManualClock()
    house = House(clock=clock, stand_ins={"store": SlowToCount(clock)}, sessions_limit=3)

    async def made() -> bool:
        try:
            await house.guests.create(None, None, None, None)
        except UnavailableError:
            return False
        return True

    for _ in range(2):
        at_once = sum(await asyncio.gather(*(made() for _ in range(6))))
        assert 1 <= at_once <= 3
        assert at_once + sum([await made() for _ in range(6)]) == 3
        clock.advance(SESSION_TTL)


async def test_a_session_that_nobody_uses_is_replaced_when_there_are_too_many() -> None:
    house = House(sessions_limit=3)
    unused, used = await house.newcomer(), await house.visitor()
    await house.pass_time(30)
    later = await house.newcomer()

    with pytest.raises(UnavailableError):
        await house.newcomer()  # someone may still be about to connect
    await house.pass_time(30)
    await house.newcomer()

    assert await house.adapters.store.load(unused.session_id) is None
    assert await house.adapters.store.load(used.session_id) is not None
    with pytest.raises(UnavailableError):
        await house.newcomer()
    await house.pass_time(30)
    await house.newcomer()
    assert await house.adapters.store.load(later.session_id) is None


async def test_a_session_that_is_used_on_another_node_is_not_replaced() -> None:
    house = House(sessions_limit=2)
    elsewhere, unused = await house.newcomer(), await house.newcomer()
    connected = await house.adapters.store.load(elsewhere.session_id)
    assert connected is not None
    connected.connected_at = connected.created_at
    await house.adapters.store.save(connected, SESSION_TTL)
    await house.pass_time(60)
    await house.newcomer()

    assert await house.adapters.store.load(elsewhere.session_id) == connected
    assert await house.adapters.store.load(unused.session_id) is None


async def test_a_session_that_has_expired_is_not_remembered_as_unused() -> None:
    house = House()
    await house.newcomer()
    await house.pass_time(SESSION_TTL)
    latest = await house.newcomer()

    assert list(house.guests._unused) == [latest.session_id]


Step = typing.Literal["create", "connect", "drop", "end", "wait"]
STEPS = st.tuples(st.sampled_from(["create", "create", *typing.get_args(Step)]), st.integers(0, 9))


@given(st.lists(STEPS, min_size=20, max_size=60))
@settings(max_examples=60)
async def test_sessions_stay_within_their_limit_and_who_is_here_keeps_theirs(steps: list[tuple[Step, int]]) -> None:
    house = House(sessions_limit=4)
    people: list[Person] = []
    for step, number in steps:
        person = people[number % len(people)] if people else None
        if step == "create":
            with contextlib.suppress(UnavailableError):
                people.append(await house.newcomer())
        elif step == "wait":
            await house.pass_time(60)
        elif person is not None:
            await act(house, people, person, step)
        await house.settle()

        assert await house.adapters.store.count() <= 4
        for live in house.lives():
            assert await house.adapters.store.load(live.guest.session_id) is not None


async def act(house: House, people: list[Person], person: Person, step: Step) -> None:
    live = house.guests.live(person.session_id)
    if step == "end":
        people.remove(person)
        with contextlib.suppress(NotFoundError):
            await house.presence.end(await house.guests.public(person.session_id))
    elif step == "drop" and live is not None and live.link is not None:
        person.drop()
    elif step == "connect":
        with contextlib.suppress(UnauthorizedError):
            await person.arrive()
