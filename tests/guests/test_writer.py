"""The writing of sessions to stores that take their time: many at once, but never two writes of one session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passerby.guests.store_memory import MemorySessionStore
from passerby.guests.writer import _MAX_FAILURES, _TOGETHER
from tests.support.clock import ManualClock, turns
from tests.support.fakes import SlowSessionStore
from tests.support.house import House

if TYPE_CHECKING:
    from passerby.models import Guest
    from tests.support.house import Person


class WatchedStore(MemorySessionStore):
    """Each write takes some turns of the event loop, or for ever, or fails. None of a session may begin meanwhile."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.turns: dict[str, int] = {}
        """Turns of a session's writes; 0 if it is not here."""
        self.hanging: set[str] = set()
        self.failing: set[str] = set()
        self.busy: set[str] = set()
        self.most_at_once = 0
        self.writes = 0

    async def save(self, guest: Guest, lifetime: float) -> None:
        await self._take_time(guest.session_id)
        await super().save(guest, lifetime)

    async def remove(self, session_id: str) -> None:
        await self._take_time(session_id)
        await super().remove(session_id)

    async def _take_time(self, session_id: str) -> None:
        assert session_id not in self.busy, "two writes of one session at once"
        self.busy.add(session_id)
        self.writes += 1
        self.most_at_once = max(self.most_at_once, len(self.busy))
        try:
            await turns(self.turns.get(session_id, 0))
            if session_id in self.hanging:
                await asyncio.Event().wait()
            if session_id in self.failing:
                raise OSError("no")
        finally:
            self.busy.discard(session_id)


@pytest.fixture
def store() -> WatchedStore:
    return WatchedStore(ManualClock())


@pytest.fixture
def house(store: WatchedStore) -> House:
    return House(stand_ins={"store": store})


async def crowd(house: House, count: int = 200) -> list[Person]:
    return [await house.visitor() for _ in range(count)]


def touch(house: House, people: list[Person], place: str) -> None:
    for person in people:
        person.live.guest.location = place
        house.guests.touch(person.live)


async def places(store: MemorySessionStore, people: list[Person]) -> set[str | None]:
    found = [await store.load(person.session_id) for person in people]
    return {guest.location if guest is not None else "gone" for guest in found}


async def test_many_are_written_at_once_but_not_all(house: House, store: WatchedStore) -> None:
    people = await crowd(house)
    store.turns = {person.session_id: 5 for person in people}
    touch(house, people, "here")

    await house.writer.flush()

    assert store.most_at_once == _TOGETHER
    assert await places(store, people) == {"here"}


async def test_a_store_that_lets_nobody_wait_needs_no_help(house: House) -> None:
    people = await crowd(house)
    await house.settle()
    touch(house, people, "here")
    tasks = set[str]()
    flushing = asyncio.ensure_future(house.writer.flush())
    while not flushing.done():
        tasks |= {task.get_name() for task in asyncio.all_tasks()}
        await asyncio.sleep(0)

    assert "writing of sessions" in tasks
    assert not any("help" in name for name in tasks)


async def test_one_session_that_hangs_blocks_no_other(
    house: House, store: WatchedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await crowd(house)
    monkeypatch.setattr("passerby.guests.writer._TIMEOUT", 0.05)
    first, *others = people
    store.hanging = {first.session_id}
    touch(house, people, "here")
    await turns()
    assert await places(store, others) == {"here"}

    await house.writer.flush()
    assert house.background.failures == {"writing of sessions": 1}
    store.hanging = set()
    await house.pass_time(1)

    assert await places(store, people) == {"here"}


async def test_a_store_that_hangs_is_given_up_and_nothing_is_lost(
    house: House, store: WatchedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await crowd(house)
    monkeypatch.setattr("passerby.guests.writer._TIMEOUT", 0.05)
    store.hanging = {person.session_id for person in people}
    touch(house, people, "here")
    before = store.writes
    async with asyncio.timeout(5):
        await house.writer.flush()
    assert store.writes - before <= _TOGETHER + _MAX_FAILURES
    assert store.busy == set()
    assert house.background.failures == {"writing of sessions": 1}

    store.hanging = set()
    await house.pass_time(1)

    assert await places(store, people) == {"here"}


async def test_a_store_that_fails_late_is_given_up_and_nothing_is_lost(house: House, store: WatchedStore) -> None:
    people = await crowd(house)
    store.turns = {person.session_id: 3 for person in people}
    store.failing = {person.session_id for person in people}
    touch(house, people, "here")
    before = store.writes
    await house.writer.flush()
    assert store.writes - before <= _TOGETHER + _MAX_FAILURES

    store.failing = set()
    await house.pass_time(1)

    assert await places(store, people) == {"here"}


async def test_a_stop_in_the_middle_loses_nothing() -> None:
    clock = ManualClock()
    store = SlowSessionStore(clock)
    house = House(clock=clock, stand_ins={"store": store})
    people = await crowd(house)
    store.asked.shut()
    touch(house, people, "here")
    await store.asked.arrival(_TOGETHER)
    house.writer.remove(people[0].session_id)
    await house.background.wind_down(0.01)
    assert store.asked.waiting == 0
    store.asked.open()

    await house.writer.flush()

    assert await places(store, people[:1]) == {"gone"}
    assert await places(store, people[1:]) == {"here"}
    assert asyncio.all_tasks() == {asyncio.current_task()}


Step = Literal["touch", "remove", "turns", "fail", "heal"]
STEPS = st.tuples(st.sampled_from(["touch", "touch", "remove", "turns", "fail", "heal"]), st.integers(0, 7))


@given(st.lists(st.integers(0, 4), min_size=8, max_size=8), st.lists(STEPS, min_size=10, max_size=60))
@settings(max_examples=100)
async def test_whatever_the_order_the_last_state_is_written(slowness: list[int], steps: list[tuple[Step, int]]) -> None:
    store = WatchedStore(ManualClock())
    house = House(stand_ins={"store": store})
    people = await crowd(house, 8)
    store.turns = {person.session_id: count for person, count in zip(people, slowness, strict=True)}
    last: dict[str, str] = {}
    for number, (step, which) in enumerate(steps):
        person = people[which]
        if step == "touch" and last.get(person.id) != "gone":
            last[person.id] = f"place {number}"
            touch(house, [person], last[person.id])
        elif step == "remove":
            last[person.id] = "gone"
            house.writer.remove(person.session_id)
        elif step == "fail":
            store.failing.add(person.session_id)
        elif step == "heal":
            store.failing.discard(person.session_id)
        await turns(which if step == "turns" else 0)
    store.failing.clear()
    await house.pass_time(1)

    for person in people:
        if person.id in last:
            assert await places(store, [person]) == {last[person.id]}
