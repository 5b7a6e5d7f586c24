"""DelayQueue, with a scheduler whose time the test controls."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from passerby.socketio.timers import DelayQueue
from tests.socketio.strategies import properties


class FakeTimer:
    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeScheduler:
    """Event-loop time that stands still until `advance`. `lateness` is the delay of its timers."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, FakeTimer]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> FakeTimer:
        timer = FakeTimer(callback)
        heapq.heappush(self._heap, (when, next(self._order), timer))
        return timer

    @property
    def pending(self) -> int:
        return sum(not timer.cancelled for _, _, timer in self._heap)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            when, _, timer = heapq.heappop(self._heap)
            self.now = max(self.now, when)
            if not timer.cancelled:
                timer.callback()
        self.now = end

    def oversleep(self, seconds: float) -> None:
        """Advance the time without firing, then fire what is due, as a busy loop does."""
        self.now += seconds
        self.advance(0)


class Recorder:
    def __init__(self, delay: float = 10) -> None:
        self.scheduler = FakeScheduler()
        self.calls: list[tuple[float, str]] = []
        self.then: Callable[[str], object] = lambda item: None
        self.queue: DelayQueue[str] = DelayQueue(self.scheduler, delay, self.called)

    def called(self, item: str) -> None:
        self.calls.append((self.scheduler.now, item))
        self.then(item)


def test_items_are_called_once_each_when_due_in_the_order_of_adding() -> None:
    recorder = Recorder()
    for item in "cab":
        recorder.queue.add(item)
        recorder.scheduler.advance(1)
    recorder.scheduler.advance(100)
    assert recorder.calls == [(10, "c"), (11, "a"), (12, "b")]
    assert len(recorder.queue) == 0
    assert recorder.scheduler.pending == 0


def test_nothing_is_called_early() -> None:
    recorder = Recorder()
    recorder.queue.add("a")
    recorder.scheduler.advance(9.999)
    assert recorder.calls == []
    assert "a" in recorder.queue


def test_adding_again_starts_the_delay_anew() -> None:
    recorder = Recorder()
    recorder.queue.add("a")
    recorder.queue.add("b")
    recorder.scheduler.advance(6)
    recorder.queue.add("a")
    assert recorder.queue.due("a") == 16
    recorder.scheduler.advance(100)
    assert recorder.calls == [(10, "b"), (16, "a")]


def test_a_discarded_item_is_not_called_and_the_next_still_is() -> None:
    recorder = Recorder()
    recorder.queue.add("a")
    recorder.scheduler.advance(1)
    recorder.queue.add("b")
    recorder.queue.discard("a")
    recorder.queue.discard("never added")
    assert "a" not in recorder.queue
    assert recorder.queue.due("a") == float("inf")
    recorder.scheduler.advance(100)
    assert recorder.calls == [(11, "b")]


def test_a_delay_may_start_earlier_than_now() -> None:
    recorder = Recorder()
    recorder.scheduler.advance(7)
    recorder.queue.add("a", start=5)
    recorder.scheduler.advance(100)
    assert recorder.calls == [(15, "a")]


def test_a_delay_that_is_over_already_is_called_at_once() -> None:
    recorder = Recorder()
    recorder.scheduler.advance(50)
    recorder.queue.add("a", start=5)
    recorder.scheduler.advance(0)
    assert recorder.calls == [(50, "a")]


def test_thousands_of_items_cost_one_timer() -> None:
    recorder = Recorder()
    for number in range(5_000):
        recorder.queue.add(str(number))
        recorder.queue.add(str(number))
    assert recorder.scheduler.pending == 1
    recorder.scheduler.advance(10)
    assert len(recorder.calls) == 5_000


def test_a_busy_loop_gets_all_that_is_overdue_in_order() -> None:
    recorder = Recorder()
    for item in "abc":
        recorder.queue.add(item)
        recorder.scheduler.advance(1)
    recorder.scheduler.oversleep(8.5)
    assert [item for _, item in recorder.calls] == ["a", "b"]
    recorder.scheduler.advance(100)
    assert [item for _, item in recorder.calls] == ["a", "b", "c"]


def test_a_callback_may_add_its_own_item_again() -> None:
    recorder = Recorder()
    recorder.then = lambda item: recorder.queue.add(item) if len(recorder.calls) < 3 else None
    recorder.queue.add("a")
    recorder.scheduler.advance(100)
    assert recorder.calls == [(10, "a"), (20, "a"), (30, "a")]


def test_a_callback_may_add_another_item() -> None:
    recorder = Recorder()
    recorder.then = lambda item: recorder.queue.add("b") if item == "a" else None
    recorder.queue.add("a")
    recorder.scheduler.advance(100)
    assert recorder.calls == [(10, "a"), (20, "b")]


def test_everything_that_waits_can_be_given_more_time() -> None:
    scheduler = FakeScheduler()
    fired: list[tuple[str, float]] = []
    queue: DelayQueue[str] = DelayQueue(scheduler, 10, lambda item: fired.append((item, scheduler.now)))
    queue.add("a")
    scheduler.advance(4)
    queue.add("b")
    scheduler.oversleep(3)
    queue.extend(30)
    queue.add("c", scheduler.now + 30)
    assert queue.due("a") == 40
    scheduler.advance(100)

    assert fired == [("a", 40), ("b", 44), ("c", 47)]


def test_a_callback_that_adds_delays_nobody_who_waits_already() -> None:
    recorder = Recorder()
    recorder.then = lambda item: recorder.queue.add("a") if item == "a" else None
    recorder.queue.add("a")
    recorder.scheduler.advance(1)
    recorder.queue.add("b")
    recorder.scheduler.advance(10)
    assert recorder.calls == [(10, "a"), (11, "b")]


def test_a_callback_may_close_the_queue() -> None:
    recorder = Recorder()
    recorder.then = lambda item: recorder.queue.close()
    for item in "ab":
        recorder.queue.add(item)
    recorder.scheduler.advance(100)
    assert recorder.calls == [(10, "a")]
    assert recorder.scheduler.pending == 0


def test_a_callback_may_discard_an_item_that_is_due_with_it() -> None:
    recorder = Recorder()
    recorder.then = lambda item: recorder.queue.discard("b")
    for item in "abc":
        recorder.queue.add(item)
    recorder.scheduler.advance(100)
    assert recorder.calls == [(10, "a"), (10, "c")]


def test_a_callback_may_renew_an_item_that_is_due_with_it() -> None:
    recorder = Recorder()
    recorder.then = lambda item: recorder.queue.add("b") if item == "a" else None
    for item in "ab":
        recorder.queue.add(item)
    recorder.scheduler.advance(100)
    assert recorder.calls == [(10, "a"), (20, "b")]


def test_an_item_that_is_being_called_waits_no_more() -> None:
    recorder = Recorder()
    waiting: list[bool] = []
    recorder.then = lambda item: waiting.append(item in recorder.queue)
    recorder.queue.add("a")
    recorder.scheduler.advance(100)
    assert waiting == [False]


def test_a_callback_that_fails_costs_no_other_item_its_call() -> None:
    recorder = Recorder()

    def fail(item: str) -> None:
        if item == "a":
            raise LookupError(item)

    recorder.then = fail
    for item in "abc":
        recorder.queue.add(item)
    with pytest.raises(LookupError):  # the event loop logs it
        recorder.scheduler.advance(10)
    recorder.scheduler.advance(100)
    assert [item for _, item in recorder.calls] == ["a", "b", "c"]


def test_a_closed_queue_calls_nobody_and_holds_no_timer() -> None:
    recorder = Recorder()
    recorder.queue.add("a")
    recorder.queue.close()
    assert recorder.scheduler.pending == 0
    recorder.scheduler.advance(100)
    assert recorder.calls == []
    recorder.queue.close()


def test_without_delay_items_are_called_on_the_next_turn() -> None:
    recorder = Recorder(delay=0)
    recorder.then = lambda item: recorder.queue.add("b") if item == "a" else None
    recorder.queue.add("a")
    assert recorder.calls == []
    recorder.scheduler.advance(0)
    assert [item for _, item in recorder.calls] == ["a", "b"]


class DelayQueueMachine(RuleBasedStateMachine):
    """Compares the queue with a dict of due times."""

    DELAY = 8.0

    def __init__(self) -> None:
        super().__init__()
        self.recorder = Recorder(self.DELAY)
        self.recorder.then = self.react
        self.model: dict[str, float] = {}
        self.reactions: dict[str, tuple[str, str]] = {}

    def react(self, item: str) -> None:
        now = self.recorder.scheduler.now
        assert self.model[item] <= now, "called too early"
        assert self.model[item] == min(self.model.values()), "called out of order"
        del self.model[item]
        action, other = self.reactions.pop(item, ("", ""))
        if action == "add":
            self.add(other)
        elif action == "discard":
            self.discard(other)

    @rule(item=st.sampled_from("abcde"))
    def add(self, item: str) -> None:
        self.recorder.queue.add(item)
        self.model[item] = self.recorder.scheduler.now + self.DELAY

    @rule(item=st.sampled_from("abcde"))
    def discard(self, item: str) -> None:
        self.recorder.queue.discard(item)
        self.model.pop(item, None)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), action=st.sampled_from(["add", "discard"]), other=st.sampled_from("abcde"))
    def react_when_called(self, data: st.DataObject, action: str, other: str) -> None:
        self.reactions[data.draw(st.sampled_from(sorted(self.model)))] = (action, other)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 3.0, 7.5, 8.0, 20.0]), busy=st.booleans())
    def pass_time(self, seconds: float, busy: bool) -> None:
        move = self.recorder.scheduler.oversleep if busy else self.recorder.scheduler.advance
        move(seconds)
        overdue = [item for item, due in self.model.items() if due <= self.recorder.scheduler.now]
        assert not overdue, "not called in time"

    @invariant()
    def the_queue_holds_what_the_model_holds(self) -> None:
        queue = self.recorder.queue
        assert len(queue) == len(self.model)
        assert {item: queue.due(item) for item in self.model} == self.model

    @invariant()
    def one_timer_runs_at_most_and_one_while_somebody_waits(self) -> None:
        assert int(bool(self.model)) <= self.recorder.scheduler.pending <= 1


TestDelayQueueMachine = DelayQueueMachine.TestCase
TestDelayQueueMachine.settings = settings(properties, max_examples=40, stateful_step_count=25)
