"""Requests from one node to another."""

from __future__ import annotations

import asyncio
import operator
from typing import TYPE_CHECKING

import pytest

from passerby import errors
from passerby.background import Background
from passerby.errors import Code, ConflictError, InternalError, NotFoundError, PasserbyError, UnavailableError
from passerby.nodes.bus_memory import MemoryBus, MemoryHub
from passerby.nodes.requests import FAIL, NodeLostError, Requests, raised_again, told
from tests.support.buses import Net
from tests.support.clock import ManualClock, turns
from tests.support.fakes import Gate

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from passerby.nodes.bus import Frame


class Node:
    def __init__(self, hub: MemoryHub, name: str, clock: ManualClock, most: int = 256) -> None:
        self.name = name
        self.background = Background(clock)
        self.bus = MemoryBus(hub, name, self.background)
        self.requests = Requests(self.bus, clock, self.background, most)
        self.bus.start()

    def ask(self, other: Node, name: str, argument: bytes = b"", timeout: float = 3.0) -> asyncio.Future[bytes]:
        return asyncio.ensure_future(self.requests.ask(other.name, name, argument, timeout))


class Two:
    def __init__(self) -> None:
        self.hub = MemoryHub()
        self.clock = ManualClock()
        self.anna = Node(self.hub, "anna", self.clock)
        self.ben = Node(self.hub, "ben", self.clock, most=3)


@pytest.fixture
async def two() -> Two:
    return Two()


async def echo(argument: bytes) -> bytes:
    return b"echo " + argument


async def caught(answer: Awaitable[bytes]) -> BaseException:
    with pytest.raises((PasserbyError, TimeoutError)) as info:
        await answer
    return info.value


def is_at_rest(two: Two) -> bool:
    return not any(node.requests._asked or node.requests.running for node in (two.anna, two.ben))


async def test_over_any_bus(net: Net) -> None:
    anna, ben = await net.node("anna"), await net.node("ben")
    clock = anna.background.clock
    asking = Requests(anna.bus, clock, anna.background)
    Requests(ben.bus, clock, ben.background).serve("echo", echo)
    answers = await asyncio.gather(*(asking.ask("ben", "echo", str(n).encode(), 5) for n in range(50)))
    assert answers == [f"echo {n}".encode() for n in range(50)]
    with pytest.raises(NodeLostError):
        await asking.ask("nobody", "echo", b"", 5)


async def test_answers_of_both_and_of_oneself(two: Two) -> None:
    for node in (two.anna, two.ben):
        node.requests.serve("echo", echo)
    assert await two.anna.ask(two.ben, "echo", b"1") == b"echo 1"
    assert await two.ben.ask(two.anna, "echo", b"2") == b"echo 2"
    assert await two.anna.ask(two.anna, "echo", b"3") == b"echo 3"
    await turns()
    assert is_at_rest(two)


heard = operator.attrgetter("code", "message", "field", "retry_after")
"""What a guest is told of an error: that travels, and not for example which limit is counted."""


@pytest.mark.parametrize(
    "error",
    [
        ConflictError(Code.ALREADY_IN_ROOM, "You are in a room"),
        errors.InvalidInputError(Code.TEXT_EMPTY, "Empty", field="text"),
        errors.RateLimitedError(1.5),
        errors.BadRangeError(),
        errors.StorageFullError(),
        UnavailableError(["messages"], retry_after=2),
        InternalError(),
    ],
)
async def test_errors_travel(two: Two, error: PasserbyError) -> None:
    async def fail(_: bytes) -> bytes:
        raise error

    two.ben.requests.serve("fail", fail)
    raised = await caught(two.anna.ask(two.ben, "fail"))
    assert type(raised) is type(error)
    assert heard(raised) == heard(error)
    assert not two.ben.background.failures


async def test_an_error_of_a_node_behind_the_node_is_unavailable(two: Two) -> None:
    async def fail(_: bytes) -> bytes:
        raise NodeLostError

    two.ben.requests.serve("fail", fail)
    assert type(await caught(two.anna.ask(two.ben, "fail"))) is UnavailableError


async def test_other_errors_are_internal_and_logged_where_they_happen(
    two: Two, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: bytes) -> bytes:
        raise RuntimeError("secret")

    two.ben.requests.serve("fail", fail)
    raised = await caught(two.anna.ask(two.ben, "fail"))
    assert type(raised) is InternalError
    assert "secret" not in str(raised)
    assert "request fail failed" in caplog.text
    await turns()
    assert is_at_rest(two)


@pytest.mark.parametrize(
    "what", [("NoError", "conflict"), ("ConflictError", "no_code"), ("annotations", "internal"), ("Code", "internal")]
)
def test_an_error_of_another_version_is_internal(what: tuple[str, str]) -> None:
    assert type(raised_again(*what, "message", None, None)) is InternalError


def test_each_error_can_be_told() -> None:
    assert told(ConflictError(Code.NO_CALL, "No"))[:3] == ("ConflictError", "no_call", "No")


async def test_a_question_that_nobody_answers(two: Two) -> None:
    assert type(await caught(two.anna.ask(two.ben, "what"))) is NotFoundError


async def test_a_time_limit(two: Two) -> None:
    gate = Gate()

    async def wait(_: bytes) -> bytes:
        await gate.passing()
        return b"late"

    gate.shut()
    two.ben.requests.serve("wait", wait)
    answer = two.anna.ask(two.ben, "wait", timeout=3)
    await gate.arrival()
    two.clock.advance(2.9)
    await turns()
    assert not answer.done()
    two.clock.advance(0.1)
    assert isinstance(await caught(answer), TimeoutError)
    gate.open()
    await turns()
    assert is_at_rest(two)
    two.ben.requests.serve("echo", echo)
    assert await two.anna.ask(two.ben, "echo") == b"echo "


async def test_an_asker_that_is_cancelled_leaves_nothing(two: Two) -> None:
    two.ben.requests.serve("echo", echo)
    answer = two.anna.ask(two.ben, "echo")
    await asyncio.sleep(0)
    answer.cancel()
    await turns()
    assert is_at_rest(two)
    assert not two.anna.background.failures


@pytest.mark.parametrize("who", ["asker", "answerer", "gone"])
async def test_a_loss_is_told_at_once(two: Two, who: str) -> None:
    gate = Gate()

    async def wait(_: bytes) -> bytes:
        await gate.passing()
        return b"late"

    gate.shut()
    two.ben.requests.serve("wait", wait)
    answer = two.anna.ask(two.ben, "wait")
    await gate.arrival()
    if who == "gone":
        two.anna.bus.gone("ben")
    else:
        node = two.anna if who == "asker" else two.ben
        node.bus.cut()
        node.bus.start()
    assert isinstance(await caught(answer), NodeLostError)
    gate.open()
    await turns()
    assert is_at_rest(two)
    assert two.anna.bus.pairs.losses == two.ben.bus.pairs.losses == 1


async def test_too_many_questions_are_refused(two: Two) -> None:
    gate = Gate()

    async def wait(argument: bytes) -> bytes:
        await gate.passing()
        return argument

    gate.shut()
    two.ben.requests.serve("wait", wait)
    answers = [two.anna.ask(two.ben, "wait", b"%d" % number) for number in range(5)]
    assert isinstance(await caught(answers[3]), UnavailableError)
    assert isinstance(await caught(answers[4]), UnavailableError)
    assert two.ben.requests.running["anna"] == 3
    gate.open()
    assert await asyncio.gather(*answers[:3]) == [b"0", b"1", b"2"]
    await turns()
    assert is_at_rest(two)


async def test_frames_that_make_no_sense_change_nothing(two: Two) -> None:
    two.ben.requests.serve("echo", echo)
    frames: list[Frame] = [(10,), (11, 99, b""), (FAIL, 99, "X", "y", "z", None, None), (12, 1), (10, 1, [], b"")]
    for frame in frames:
        two.anna.bus.send("ben", frame)
    assert await two.anna.ask(two.ben, "echo") == b"echo "
    assert two.ben.background.failures["frame of the bus"] == 2
