"""Pairs of guests who exchange messages: the load for relays and latency."""

import asyncio
import contextlib
import gc
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from picows import WSFrame, WSTransport

from benchmarks.guests import (
    ANSWER_SECONDS,
    TEXT,
    Guest,
    UnexpectedAnswerError,
    check,
    join_many,
    pass_turn,
)
from benchmarks.servers import FrameSizes, Server

SENT = b'42["chat:message:sent",'
MESSAGE = b'42["chat:message",'
DELIVERED = b'42["chat:message:delivered",'
AUTHOR = re.compile(rb"guest (\d{5}) says")
SAMPLE = 64
"""One of so many messages is compared with what its author sent."""
DRAIN_SECONDS = 3.0


class Talker(Guest):
    """Sends its next message when the last one is acknowledged.

    Every message differs: it contains the author's number and a counter. Messages arrive in order, so the
    recipient knows the expected text of the n-th.
    """

    def __init__(self, token: str | None) -> None:
        """Connect without sending."""
        super().__init__(token)
        self.number = 0
        self.content = self.template = b""
        self.talking = False
        self.said = self.heard = self.compared = 0
        self.partner_number: int | None = None
        self.partner_content = b""
        self.last_message = self.last_delivered = self.last_sent = b""

    def introduce(self, number: int, *, client_ids: bool) -> None:
        """Prepare this guest's messages, 40 characters each, from its number."""
        self.number = number
        self.content = b"guest %05d says its %%(n)07d. good thing" % number
        client_id = b',"clientId":"c%(n)d"' if client_ids else b""
        self.template = b'42["chat:message",{"type":"text","content":"%b"%b}]' % (
            self.content,
            client_id,
        )

    def speak(self, transport: WSTransport) -> None:
        """Send the next message."""
        self.said = number = self.said + 1
        transport.send(TEXT, self.template % {b"n": number})

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """The hot path: compares prefixes, parses nothing."""
        payload = frame.get_payload_as_bytes()
        if payload.startswith(SENT):
            self.last_sent = payload
            if self.talking:
                self.speak(transport)
        elif payload.startswith(MESSAGE):
            self.heard = number = self.heard + 1
            if number % SAMPLE == 1:
                self.compare(payload, number)
        elif payload.startswith(DELIVERED):
            self.last_delivered = payload
        else:
            self.on_packet(transport, payload)

    def compare(self, payload: bytes, number: int) -> None:
        """Compare the message with the author's expected n-th message."""
        self.last_message = payload
        if self.partner_number is None:
            found = AUTHOR.search(payload)
            self.partner_number = -1 if found is None else int(found[1])
            self.partner_content = b"guest %05d says its %%07d. good thing" % self.partner_number
        if self.partner_content % number not in payload:
            self.fail(f"message {number} is not what was sent: {payload.decode()}")
        self.compared += 1


Speaker = TypeVar("Speaker", bound=Talker)


@dataclass(frozen=True)
class Load:
    """The result of one window of the closed loop."""

    relays: int
    wall_seconds: float
    cpu_seconds: float

    @property
    def relays_per_cpu_second(self) -> float:
        """Messages received by their recipients per second of server CPU."""
        return self.relays / self.cpu_seconds

    @property
    def relays_per_second(self) -> float:
        """Messages a second that server and load reached together."""
        return self.relays / self.wall_seconds

    @property
    def utilisation(self) -> float:
        """The share of its core that the server used."""
        return self.cpu_seconds / self.wall_seconds


async def seat(server: Server, kind: Callable[[str | None], Speaker], pairs: int, *, client_ids: bool) -> list[Speaker]:
    """Let ``2 * pairs`` guests join and wait until each has a partner."""
    talkers = await join_many(server, kind, 2 * pairs)
    for number, talker in enumerate(talkers):
        talker.introduce(number, client_ids=client_ids)
        if talker.token is not None:
            talker.send(b'42["user:match"]')
    async with asyncio.timeout(ANSWER_SECONDS):
        for talker in talkers:
            await talker.paired
    return talkers


async def closed_loop(server: Server, talkers: Sequence[Talker], warm_up: float, window: float) -> Load:
    """Let all guests send for ``warm_up`` + ``window`` seconds; measure the window."""
    for talker in talkers:
        talker.talking = True
        talker.speak(talker.transport)
    await asyncio.sleep(warm_up)
    with no_garbage_collection():
        heard, began, cpu = _heard(talkers), time.perf_counter(), server.cpu_seconds()
        await pass_turn(window, talkers, lambda: server.cpu_seconds() > cpu and _heard(talkers) > heard)
        load = Load(
            relays=_heard(talkers) - heard,
            wall_seconds=time.perf_counter() - began,
            cpu_seconds=server.cpu_seconds() - cpu,
        )
    for talker in talkers:
        talker.talking = False
    await drain(talkers)
    _check_pairs(talkers)
    return load


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Disable this process's garbage collector, which would pause the load."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def drain(talkers: Sequence[Talker]) -> None:
    """Wait until all sent messages have arrived; raise if one is missing."""
    deadline = time.monotonic() + DRAIN_SECONDS
    # Polling, so that the hot path need not set an event.
    while _heard(talkers) < _said(talkers) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    check(talkers)
    if _heard(talkers) != _said(talkers):
        raise UnexpectedAnswerError(f"said {_said(talkers)}, heard {_heard(talkers)} messages")


def frame_sizes(talkers: Sequence[Talker]) -> FrameSizes:
    """Return the latest payload sizes received by the first guest."""
    first = talkers[0]
    return FrameSizes(
        message=len(first.last_message),
        delivered=len(first.last_delivered),
        sent=len(first.last_sent),
    )


def _heard(talkers: Sequence[Talker]) -> int:
    return sum(talker.heard for talker in talkers)


def _said(talkers: Sequence[Talker]) -> int:
    return sum(talker.said for talker in talkers)


def _check_pairs(talkers: Sequence[Talker]) -> None:
    """Check that each guest received messages of one partner only, and that the partner received theirs."""
    for talker in talkers:
        number = talker.partner_number
        if number is None or not 0 <= number < len(talkers) or talker.compared == 0:
            raise UnexpectedAnswerError(f"guest {talker.number} heard nobody it could check")
        partner = talkers[number]
        if partner.partner_number != talker.number or partner.said != talker.heard:
            raise UnexpectedAnswerError(f"guests {talker.number} and {number} are no clean pair")
