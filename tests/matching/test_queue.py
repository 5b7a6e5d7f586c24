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


class QueueMachine(RuleBasedStateMachine):
    """Random sequences of commands, compared with a dict of waiting guests."""

    def __init__(self, open_backend: Callable[[], AbstractAsyncContextManager[Backend]]) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.context = open_backend()
        self.queue = self.runner.run(self._open())
        self.waiting: dict[str, Ticket] = {}
        self.known: list[Ticket] = []

    async def _open(self) -> MatchQueue:
        return (await self.context.__aenter__()).match_queue()

    async def _close(self) -> None:
        await self.context.__aexit__(None, None, None)

    def teardown(self) -> None:
        self.runner.run(self._close())
        self.runner.close()

    def _enter(self, own: Ticket) -> None:
        found = self.runner.run(self.queue.enter(own))
        others = [other for guest, other in self.waiting.items() if guest != own.guest_id]
        self.waiting.pop(own.guest_id, None)
        if found is None:
            assert others == []
            self.waiting[own.guest_id] = own
        else:
            assert found in others
            del self.waiting[found.guest_id]

    @rule(guest=st.integers(0, 5), entered_at=st.floats(0, 2e9))
    def enter(self, guest: int, entered_at: float) -> None:
        own = ticket(guest, len(self.known), entered_at)
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
        if expected:
            del self.waiting[own.guest_id]

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
