from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from passerby.models import Ticket

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from passerby.matching.queue import MatchQueue
    from tests.support.backends import Backend


@pytest.fixture
def queue(backend: Backend) -> MatchQueue:
    return backend.match_queue()


def ticket(guest: object, search: object = "first", entered_at: float = 1000.0) -> Ticket:
    return Ticket(f"ticket_{guest}_{search}", f"guest_{guest}", entered_at)


async def test_the_first_one_waits(queue: MatchQueue) -> None:
    assert await queue.size() == 0
    assert await queue.enter(ticket("a")) is None
    assert await queue.size() == 1


async def test_the_second_one_gets_the_first_with_its_place(queue: MatchQueue) -> None:
    await queue.enter(ticket("a", entered_at=1234.5))

    assert await queue.enter(ticket("b", entered_at=2000.25)) == ticket("a", entered_at=1234.5)
    assert await queue.size() == 0


async def test_whoever_was_taken_out_is_not_taken_again(queue: MatchQueue) -> None:
    await queue.enter(ticket("a"))
    await queue.enter(ticket("b"))

    assert await queue.enter(ticket("c")) is None


async def test_whoever_got_a_partner_is_not_in_the_queue(queue: MatchQueue) -> None:
    await queue.enter(ticket("a"))
    matched = ticket("b")
    await queue.enter(matched)

    assert await queue.cancel(matched) is False


async def test_nobody_meets_themselves(queue: MatchQueue) -> None:
    await queue.enter(ticket("a", "first"))

    assert await queue.enter(ticket("a", "second")) is None
    assert await queue.size() == 1


async def test_a_newer_ticket_replaces_the_guests_older_one(queue: MatchQueue) -> None:
    await queue.enter(ticket("a", "first", 1.0))
    await queue.enter(ticket("a", "second", 2.0))

    assert await queue.cancel(ticket("a", "first", 1.0)) is False
    assert await queue.enter(ticket("b")) == ticket("a", "second", 2.0)
    assert await queue.size() == 0


async def test_a_cancelled_ticket_is_not_found(queue: MatchQueue) -> None:
    await queue.enter(ticket("a"))

    assert await queue.cancel(ticket("a")) is True
    assert await queue.size() == 0
    assert await queue.enter(ticket("b")) is None


async def test_only_what_waits_can_be_cancelled(queue: MatchQueue) -> None:
    assert await queue.cancel(ticket("a")) is False
    await queue.enter(ticket("a"))
    await queue.enter(ticket("b"))

    assert await queue.cancel(ticket("a")) is False
    assert await queue.cancel(ticket("b")) is False


async def test_a_ticket_cancelled_twice_is_gone_once(queue: MatchQueue) -> None:
    await queue.enter(ticket("a"))
    await queue.cancel(ticket("a"))

    assert await queue.cancel(ticket("a")) is False
    assert await queue.size() == 0


async def test_a_ticket_that_came_back_can_be_found_again(queue: MatchQueue) -> None:
    await queue.enter(ticket("a", entered_at=1.5))
    found = await queue.enter(ticket("b"))
    assert found is not None
    await queue.enter(found)

    assert await queue.enter(ticket("c")) == ticket("a", entered_at=1.5)


async def test_cancelling_somebody_who_does_not_wait_leaves_who_does(queue: MatchQueue) -> None:
    await queue.enter(ticket("a"))

    assert await queue.cancel(ticket("b")) is False
    assert await queue.size() == 1
    assert await queue.enter(ticket("c")) == ticket("a")


async def test_simultaneous_calls_pair_everybody_once(queue: MatchQueue) -> None:
    tickets = [ticket(number) for number in range(500)]
    found = await asyncio.gather(*(queue.enter(own) for own in tickets))

    pairs = [(own, other) for own, other in zip(tickets, found, strict=True) if other is not None]
    people = Counter(person.id for pair in pairs for person in pair)
    assert set(people.values()) == {1}
    assert len(people) + await queue.size() == 500
    assert all(own.guest_id != other.guest_id for own, other in pairs)


async def test_of_an_odd_number_one_is_left(queue: MatchQueue) -> None:
    await asyncio.gather(*(queue.enter(ticket(number)) for number in range(101)))

    assert await queue.size() == 1


async def test_simultaneous_calls_of_one_guest_leave_one_ticket(queue: MatchQueue) -> None:
    found = await asyncio.gather(*(queue.enter(ticket("a", number)) for number in range(50)))

    assert found == [None] * 50
    assert await queue.size() == 1


async def test_a_cancel_beside_an_enter_has_one_winner(queue: MatchQueue) -> None:
    for number in range(50):
        waiting = ticket(f"w{number}")
        await queue.enter(waiting)
        cancelled, found = await asyncio.gather(queue.cancel(waiting), queue.enter(ticket(f"e{number}")))

        assert cancelled is (found is None), "must be either cancelled or matched, not both, not neither"
        assert await queue.cancel(ticket(f"e{number}")) is cancelled
        assert await queue.size() == 0


# ── searches that go on later ─────────────────────────────────────────────────────────────────────


async def test_a_suspended_search_is_not_met_but_can_be_recalled(queue: MatchQueue) -> None:
    await queue.enter(ticket("a", entered_at=1234.56789))
    await queue.suspend(ticket("a", entered_at=1234.56789), 20)

    assert await queue.size() == 0
    assert await queue.enter(ticket("b")) is None
    assert await queue.recall("guest_a") == ticket("a", entered_at=1234.56789)


async def test_a_suspended_search_is_forgotten_in_time(queue: MatchQueue, backend: Backend) -> None:
    await queue.enter(ticket("a"))
    await queue.suspend(ticket("a"), 100)

    await backend.pass_time(99)
    assert await queue.recall("guest_a") == ticket("a")
    await backend.pass_time(1)
    assert await queue.recall("guest_a") is None


async def test_a_search_that_never_waited_can_be_suspended(queue: MatchQueue) -> None:
    await queue.suspend(ticket("a"), 20)

    assert await queue.recall("guest_a") == ticket("a")


async def test_only_the_guests_last_ticket_is_suspended(queue: MatchQueue) -> None:
    await queue.enter(ticket("a", "first"))
    await queue.enter(ticket("a", "second"))
    await queue.suspend(ticket("a", "first"), 20)

    assert await queue.recall("guest_a") == ticket("a", "second")
    assert await queue.enter(ticket("b")) == ticket("a", "second")


async def test_a_search_that_goes_on_takes_the_place_of_the_suspended_one(queue: MatchQueue) -> None:
    await queue.enter(ticket("a", "first"))
    await queue.suspend(ticket("a", "first"), 20)
    await queue.enter(ticket("a", "second"))

    assert await queue.cancel(ticket("a", "first")) is False
    assert await queue.recall("guest_a") == ticket("a", "second")
    assert await queue.cancel(ticket("a", "second")) is True
    assert await queue.recall("guest_a") is None


async def test_a_suspended_search_can_be_cancelled(queue: MatchQueue) -> None:
    await queue.suspend(ticket("a"), 20)

    assert await queue.cancel(ticket("a")) is False, "it did not wait"
    assert await queue.recall("guest_a") is None


async def test_whoever_waits_can_be_recalled_and_waits_on(queue: MatchQueue) -> None:
    await queue.enter(ticket("a", entered_at=1.25))

    assert await queue.recall("guest_a") == ticket("a", entered_at=1.25)
    assert await queue.recall("guest_b") is None
    assert await queue.enter(ticket("b")) == ticket("a", entered_at=1.25)


async def test_whoever_has_met_somebody_cannot_be_recalled(queue: MatchQueue) -> None:
    await queue.enter(ticket("a"))
    await queue.enter(ticket("b"))
    queue.forget(ticket("a"), ticket("b"))

    assert await queue.recall("guest_a") is None
    assert await queue.recall("guest_b") is None


async def test_only_the_tickets_of_those_who_met_are_forgotten(queue: MatchQueue) -> None:
    await queue.enter(ticket("a"))
    await queue.enter(ticket("b", "first"))
    await queue.enter(ticket("b", "second"))
    queue.forget(ticket("a"), ticket("b", "first"))

    assert await queue.recall("guest_b") == ticket("b", "second")
    assert await queue.enter(ticket("c")) == ticket("b", "second")


async def test_a_search_that_is_renewed_goes_on_as_long_as_it_likes(queue: MatchQueue, backend: Backend) -> None:
    await queue.enter(ticket("a"))
    for _ in range(1000):
        await backend.pass_time(3)
        assert await queue.renew([ticket("a")]) == []

    assert await queue.enter(ticket("b")) == ticket("a")


async def test_nobody_to_renew(queue: MatchQueue) -> None:
    assert await queue.renew([]) == []


class QueueMachine(RuleBasedStateMachine):
    """Random sequences of commands, compared with a dict of waiting guests, and one of suspended ones."""

    def __init__(self, open_backend: Callable[[], AbstractAsyncContextManager[Backend]]) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.context = open_backend()
        self.queue = self.runner.run(self._open())
        self.waiting: dict[str, Ticket] = {}
        self.suspended: dict[str, tuple[Ticket, float]] = {}
        self.matched: set[str] = set()
        """Guests whom `recall` may find or not: nobody has said yet that they have a room."""
        self.known: list[Ticket] = []
        """All tickets but those that are forgotten: they never come back."""
        self.made = 0
        self.now = 0.0

    async def _open(self) -> MatchQueue:
        self.backend = await self.context.__aenter__()
        return self.backend.match_queue()

    async def _close(self) -> None:
        await self.context.__aexit__(None, None, None)

    def teardown(self) -> None:
        self.runner.run(self._close())
        self.runner.close()

    def _enter(self, own: Ticket) -> None:
        found = self.runner.run(self.queue.enter(own))
        others = [other for guest, other in self.waiting.items() if guest != own.guest_id]
        self.waiting.pop(own.guest_id, None)
        self.suspended.pop(own.guest_id, None)
        self.matched.discard(own.guest_id)
        if found is None:
            assert others == []
            self.waiting[own.guest_id] = own
        else:
            assert found in others
            del self.waiting[found.guest_id]
            self.matched |= {own.guest_id, found.guest_id}

    @rule(guest=st.integers(0, 5), entered_at=st.floats(0, 2e9))
    def enter(self, guest: int, entered_at: float) -> None:
        own = ticket(guest, self.made, entered_at)
        self.made += 1
        self.known.append(own)
        self._enter(own)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        self._enter(data.draw(st.sampled_from(self.known)))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        own = data.draw(st.sampled_from(self.known))
        waits = self.waiting.get(own.guest_id)
        expected = waits is not None and waits.id == own.id
        assert self.runner.run(self.queue.cancel(own)) is expected
        self._end(own)

    def _end(self, own: Ticket) -> None:
        if (known := self.waiting.get(own.guest_id)) is not None and known.id == own.id:
            del self.waiting[own.guest_id]
        if own.guest_id in self.suspended and self.suspended[own.guest_id][0].id == own.id:
            del self.suspended[own.guest_id]

    @precondition(lambda self: self.known)
    @rule(data=st.data(), seconds=st.integers(1, 60))
    def suspend(self, data: st.DataObject, seconds: int) -> None:
        own = data.draw(st.sampled_from(self.known))
        self.runner.run(self.queue.suspend(own, seconds))
        if self.waiting.get(own.guest_id, own).id == own.id:
            self.waiting.pop(own.guest_id, None)
            self.matched.discard(own.guest_id)
            self.suspended[own.guest_id] = own, self.now + seconds

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        one, other = data.draw(st.sampled_from(self.known)), data.draw(st.sampled_from(self.known))
        if one.guest_id in self.matched and other.guest_id in self.matched:
            self.queue.forget(one, other)
            self.known = [own for own in self.known if own not in (one, other)]

    @rule(seconds=st.integers(1, 9))
    def pass_time_and_renew(self, seconds: int) -> None:
        self.runner.run(self.backend.pass_time(seconds))
        self.now += seconds
        assert self.runner.run(self.queue.renew(self.waiting.values())) == []

    @rule(guest=st.integers(0, 5))
    def recall(self, guest: int) -> None:
        name = f"guest_{guest}"
        found = self.runner.run(self.queue.recall(name))
        if name not in self.matched:
            until = self.suspended[name][1] if name in self.suspended else 0
            expected = self.waiting.get(name) or (self.suspended[name][0] if until > self.now else None)
            assert found == expected

    @invariant()
    def size_is_who_waits(self) -> None:
        assert self.runner.run(self.queue.size()) == len(self.waiting)


def test_any_sequence_of_commands_is_as_the_model_says(
    open_backend: Callable[[], AbstractAsyncContextManager[Backend]],
) -> None:
    class Machine(QueueMachine):
        def __init__(self) -> None:
            super().__init__(open_backend)

    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=60, stateful_step_count=30, deadline=None),
    )
