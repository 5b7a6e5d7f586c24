"""Random schedules of sends, losses and restarts: each side gets what it must, and learns of each loss.

A model network carries real messages between real `Pairs`. It may lose a message that comes, keep many on the way, end
a subscription, or the connection to the server of one node. EXAMPLES is the number of random schedules.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from passerby.background import Background
from passerby.nodes.pairs import CONFIRMATION, Pairs
from tests.support.clock import ManualClock, turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.nodes.bus import Frame

EXAMPLES = int(os.environ.get("EXAMPLES", "150"))
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
        target = self.nodes[node]
        listens = target.is_subscribed
        if listens and node not in self.is_half_dead:
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
        self.has_holes = False
        """Whether messages have vanished from the middle: then only later frames can show it."""

    async def make(self) -> Network:
        net = Network()
        for node in net.nodes.values():
            node.subscribe()
        return net

    def run(self, work):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - of any type
        return self.loop.run_until_complete(work)

    async def _do(self, work: Callable[[], object]) -> None:
        work()

    def do(self, work: Callable[[], object]) -> None:
        self.run(self._do(work))

    @rule(sender=names, to=names, count=st.integers(1, 5))
    def send(self, sender: str, to: str, count: int) -> None:
        self.do(lambda: [self.net.nodes[sender].send(to) for _ in range(count)])

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

    @precondition(lambda self: any(node.inbox for node in self.net.nodes.values()))
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
    run_state_machine_as_test(Schedule, settings=settings(max_examples=EXAMPLES, stateful_step_count=60))
