"""Random schedules of sends, losses and restarts: each side gets what it must, and learns of each loss.

A model network carries real messages between real `Pairs`. It may lose a message that comes, keep many on the way, end
a subscription, or the connection to the server of one node. EXAMPLES is the number of random schedules.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from passerby.background import Background
from passerby.nodes import pairs as pairs_module
from passerby.nodes.bus import VERSION
from passerby.nodes.pairs import CONFIRMATION, Pairs
from tests.support.clock import ManualClock, turns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from passerby.nodes.bus import Frame

T = TypeVar("T")

EXAMPLES = int(os.environ.get("EXAMPLES", "300"))
NAMES = ("anna", "ben", "carl")
KIND = 1
names = st.sampled_from(NAMES)


class Node:
    """One node. What it sends to another one is numbered, and says how often that pair was lost here before."""

    def __init__(self, net: Network, name: str) -> None:
        self.net = net
        self.name = name
        self.pairs = Pairs(name, net.background, self._publish, outbox_limit=2000)
        self.pairs.take(KIND, self._take)
        self.pairs.on_lost(self._lost)
        self.inbox: deque[bytes] = deque()
        self.is_subscribed = False
        self.sent: dict[str, int] = defaultdict(int)
        self.losses: dict[str, int] = defaultdict(int)
        self.log: dict[str, list[tuple[int, int] | str]] = defaultdict(list)
        """What came from each other node: the number of losses there, the number of the frame; or a loss here."""
        self.sent_in: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))

    def _publish(self, node: str, message: bytes, done: Callable[[object], None]) -> None:
        self.net.publish(self, node, message, done)

    def _take(self, node: str, frame: Frame) -> None:
        self.log[node].append((frame[1], frame[2]))

    def _lost(self, node: str) -> None:
        self.losses[node] += 1
        self.log[node].append("lost")

    def send(self, node: str) -> None:
        self.sent[node] += 1
        self.sent_in[node][self.losses[node]].append(self.sent[node])
        self.pairs.send(node, (KIND, self.losses[node], self.sent[node]))

    def subscribe(self) -> None:
        self.is_subscribed = True
        self.pairs.up()

    def unsubscribe(self) -> None:
        """What was on the way is lost."""
        self.is_subscribed = False
        self.inbox.clear()
        self.pairs.down()


class Network:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.background = Background(self.clock)
        self.nodes = {name: Node(self, name) for name in NAMES}
        self.answers: deque[tuple[Callable[[object], None], object]] = deque()
        self.is_half_dead: set[str] = set()
        """Nodes whose subscription still counts as a listener, but what it gets is lost."""

    def publish(self, sender: Node, node: str, message: bytes, done: Callable[[object], None]) -> None:
        target = self.nodes.get(node)
        listens = target is not None and target.is_subscribed
        if target is not None and listens and node not in self.is_half_dead:
            target.inbox.append(message)
        self.answers.append((done, int(listens)))

    def answer(self, count: int) -> None:
        for _ in range(min(count, len(self.answers))):
            done, reply = self.answers.popleft()
            done(reply)

    def deliver(self, name: str, count: int) -> None:
        node = self.nodes[name]
        for _ in range(min(count, len(node.inbox))):
            node.pairs.receive(node.inbox.popleft())

    async def settle(self) -> None:
        """Let everything come that is on the way, until nothing is."""
        for _ in range(50):
            await turns(3)
            self.answer(len(self.answers))
            for name in NAMES:
                self.deliver(name, len(self.nodes[name].inbox))
            await turns(3)
            if not self.answers and not any(node.inbox for node in self.nodes.values()):
                return
        raise AssertionError("it never comes to rest")


class Schedule(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.net = self.run(self.make())
        self.may_have_holes = True
        self.has_holes = False
        """Whether messages have vanished from the middle: then only later frames can show it."""

    async def make(self) -> Network:
        net = Network()
        for node in net.nodes.values():
            node.subscribe()
        return net

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def _do(self, work: Callable[[], object]) -> None:
        work()

    def do(self, work: Callable[[], object]) -> None:
        self.run(self._do(work))

    @initialize(may_have_holes=st.booleans())
    def begin(self, *, may_have_holes: bool) -> None:
        self.may_have_holes = may_have_holes

    @rule(sender=names, to=names, count=st.integers(1, 5))
    def send(self, sender: str, to: str, count: int) -> None:
        self.do(lambda: self._send(sender, to, count))

    def _send(self, sender: str, to: str, count: int) -> None:
        for _ in range(count):
            self.net.nodes[sender].send(to)

    @rule()
    def turn(self) -> None:
        self.run(turns(2))

    @rule(name=names, count=st.integers(1, 4))
    def deliver(self, name: str, count: int) -> None:
        self.do(lambda: self.net.deliver(name, count))

    @rule(count=st.integers(1, 4))
    def answer(self, count: int) -> None:
        self.do(lambda: self.net.answer(count))

    @rule(name=names, peer=names)
    def give_up(self, name: str, peer: str) -> None:
        self.do(lambda: self.net.nodes[name].pairs.gone(peer))

    @rule(name=names)
    def half_die(self, name: str) -> None:
        if self.net.nodes[name].is_subscribed:
            self.net.is_half_dead.add(name)

    @rule(name=names)
    def unsubscribe(self, name: str) -> None:
        self.do(lambda: self._unsubscribe(name))

    def _unsubscribe(self, name: str) -> None:
        if self.net.nodes[name].is_subscribed:
            self.net.nodes[name].unsubscribe()
        self.net.is_half_dead.discard(name)

    @rule(name=names)
    def subscribe(self, name: str) -> None:
        self.do(lambda: self._subscribe(name))

    def _subscribe(self, name: str) -> None:
        if not self.net.nodes[name].is_subscribed:
            self.net.nodes[name].subscribe()

    @precondition(lambda self: self.may_have_holes and any(node.inbox for node in self.net.nodes.values()))
    @rule(name=names)
    def lose_one(self, name: str) -> None:
        """A message vanishes in the middle: which no server does, but a Cluster that changes may come near it."""
        inbox = self.net.nodes[name].inbox
        if inbox:
            inbox.popleft()
            self.has_holes = True

    @rule(seconds=st.sampled_from([1.0, CONFIRMATION]))
    def wait(self, seconds: float) -> None:
        self.do(lambda: self.net.clock.advance(seconds))

    def teardown(self) -> None:
        try:
            self.run(self.check())
        finally:
            self.loop.close()

    async def check(self) -> None:
        net = self.net
        for name in NAMES:  # the half-dead are noticed, the absent come back
            if name in net.is_half_dead:
                self._unsubscribe(name)
            self._subscribe(name)
        await net.settle()
        net.clock.advance(CONFIRMATION)
        await net.settle()
        for _ in range(3 if self.has_holes else 0):
            await self.greet()
        self.check_all()

        # Who had no frame in an era may learn only now that it was lost. Then all is well.
        await self.greet()
        self.check_all()
        before = [node.pairs.losses for node in net.nodes.values()]
        await self.greet()
        self.check_all()
        assert [node.pairs.losses for node in net.nodes.values()] == before
        assert not net.background.failures

    async def greet(self) -> None:
        """Let each send a frame to each: it shows a hole before it."""
        for one in self.net.nodes.values():
            for other in NAMES:
                one.send(other)
        await self.net.settle()
        self.net.clock.advance(CONFIRMATION)
        await self.net.settle()

    def check_all(self) -> None:
        for one in self.net.nodes.values():
            for other in self.net.nodes.values():
                self.check_pair(one, other)

    def check_pair(self, sender: Node, receiver: Node) -> None:
        """Check the frames of one direction."""
        numbers: list[int] = []
        in_stretch: list[tuple[int, int]] = []
        stretches: list[list[tuple[int, int]]] = []
        for what in receiver.log[sender.name]:
            if isinstance(what, tuple):
                in_stretch.append(what)
                numbers.append(what[1])
            else:
                stretches.append(in_stretch)
                in_stretch = []
        stretches.append(in_stretch)
        assert numbers == sorted(set(numbers)), "in order, nothing twice"
        eras_before: set[int] = set()
        for number, stretch in enumerate(stretches):
            eras = {era for era, _ in stretch}
            assert len(eras) <= 1, "between two losses here there are only frames of between two losses there"
            assert not eras & eras_before, "frames of before a loss do not come after it"
            eras_before |= eras
            if not stretch:
                continue
            sent = sender.sent_in[receiver.name][stretch[0][0]]
            came = [frame for _, frame in stretch]
            assert came == sent[: len(came)], "what comes is a prefix of what was sent"
            if number + 1 == len(stretches) or stretch[0][0] == sender.losses[receiver.name]:
                assert came == sent, "without a loss everything comes"
        last = sender.sent_in[receiver.name][sender.losses[receiver.name]]
        assert last == [frame for _, frame in stretches[-1]], "after the last loss everything has come"


def test_any_schedule() -> None:
    run_state_machine_as_test(Schedule, settings=settings(max_examples=EXAMPLES, stateful_step_count=30))


# ── schedules that chance finds rarely ────────────────────────────────────────────────────────────


@pytest.fixture
def schedule() -> Iterator[Schedule]:
    """Check at the end what is checked of any schedule."""
    schedule = Schedule()
    yield schedule
    schedule.teardown()


def test_the_first_frame_to_a_node_that_has_never_heard_of_us_is_swallowed(schedule: Schedule) -> None:
    schedule.half_die("anna")
    schedule.send("ben", "anna", 1)
    schedule.turn()
    schedule.answer(1)
    schedule.wait(CONFIRMATION)
    assert schedule.net.nodes["ben"].log["anna"] == ["lost"]


def test_a_frame_that_crosses_the_first_one_does_not_confirm_it(schedule: Schedule) -> None:
    schedule.send("anna", "ben", 1)
    schedule.turn()
    schedule.half_die("anna")
    schedule.send("ben", "anna", 1)
    schedule.turn()
    schedule.answer(2)
    schedule.unsubscribe("anna")  # its own frame is lost with that, but not yet on the other side
    schedule.subscribe("anna")


def test_a_loss_while_nothing_can_be_sent_is_told_afterwards(schedule: Schedule) -> None:
    nodes = schedule.net.nodes
    schedule.send("anna", "ben", 1)
    schedule.run(schedule.net.settle())
    schedule.unsubscribe("anna")
    schedule.turn()
    schedule.turn()
    assert nodes["anna"].log["ben"] == ["lost"]
    assert nodes["ben"].log["anna"] == [(0, 1)]
    schedule.subscribe("anna")
    schedule.run(schedule.net.settle())
    assert nodes["ben"].log["anna"] == [(0, 1), "lost"]


def test_who_sends_in_an_old_era_is_told_the_new_one_even_if_that_was_told_before(schedule: Schedule) -> None:
    nodes = schedule.net.nodes
    schedule.send("anna", "ben", 1)
    schedule.run(schedule.net.settle())
    schedule.send("ben", "anna", 1)
    schedule.run(schedule.net.settle())
    schedule.half_die("ben")
    schedule.give_up("anna", "ben")
    schedule.turn()
    schedule.net.is_half_dead.clear()
    schedule.send("ben", "anna", 1)
    schedule.run(schedule.net.settle())
    assert nodes["ben"].log["anna"] == [(0, 1), "lost"]


def test_an_era_that_no_node_reaches_is_ignored(schedule: Schedule) -> None:
    ben = schedule.net.nodes["ben"]
    ben.pairs.receive(msgspec.msgpack.encode((VERSION, "anna", 1 << 53, 0, 2, [])))
    schedule.send("anna", "ben", 1)
    schedule.run(schedule.net.settle())
    assert ben.log["anna"] == [(0, 1)]


def test_what_is_confirmed_late_is_lost_and_what_is_confirmed_is_not(schedule: Schedule) -> None:
    anna = schedule.net.nodes["anna"]
    schedule.send("anna", "ben", 1)
    schedule.turn()
    schedule.wait(CONFIRMATION - 1)
    schedule.run(schedule.net.settle())
    schedule.wait(CONFIRMATION)
    assert anna.losses["ben"] == 0
    schedule.send("anna", "carl", 1)
    schedule.turn()
    schedule.wait(CONFIRMATION - 1)
    assert anna.losses["carl"] == 0
    schedule.wait(1)
    assert anna.losses["carl"] == 1


def test_pairs_that_are_not_used_make_room(schedule: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_module, "MOST_PAIRS", 8)
    pairs = schedule.net.nodes["anna"].pairs
    for number in range(100):
        schedule.do(lambda number=number: pairs.send(f"node{number}", (KIND, 0, 0)))  # type: ignore[misc]
        schedule.do(lambda number=number: pairs.gone(f"node{number}"))  # type: ignore[misc]
        schedule.turn()
        schedule.net.answers.clear()
    assert len(pairs._pairs) <= 8
