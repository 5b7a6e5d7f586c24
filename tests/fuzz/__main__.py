"""Feeds mutated wire data to the codecs and to sessions.

    python -m tests.fuzz --inputs 1000000 [--seed 7]

A codec may raise only ProtocolError and InvalidPayloadError, a session nothing. No error may be logged, no input may
take long, and at most four times the input (and a constant) may be allocated. The size of an input is what Python
allocates to decode its UTF-8 once: its bytes for ASCII, and temporarily up to four times as much with one wide
character. The seed is printed; the same seed repeats a run. The exit code is 1 if there are findings.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import random
import secrets
import sys
import time
import traceback
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from passerby.socketio import Ack, Arguments, InvalidPayloadError, Options, ProtocolError, Request, Socket
from passerby.socketio.closing import SERVER_DISCONNECT
from passerby.socketio.engineio import decode_payload, encode_payload
from passerby.socketio.packets import decode, decode_event, decode_json, encode_ack
from passerby.socketio.session import Session
from tests.fuzz.mutator import Mutator
from tests.support.sio_fakes import FakeWebSocket
from tests.support.sio_server import socketio_server

FACTOR = 4
CONSTANT = 64 * 1024
SLOW_SECONDS = 2.0
"""CPU seconds. Inputs are at most about 100 KB, so an input that takes this long needs non-linear time."""
LARGE_EVERY = 1_000
"""One of so many inputs is large; only its allocations are traced, because tracing is slow."""


class Note(msgspec.Struct):
    text: str
    number: int = 0
    blob: bytes = b""
    tags: list[str] = []


_note = msgspec.json.Decoder(Note)


# ── targets ───────────────────────────────────────────────────────────────────────────────────────


def payload(data: str) -> None:
    for decoded in decode_payload(data):
        encode_payload([decoded.encode() if isinstance(decoded, str) else decoded])


def packet(data: str) -> None:
    decoded = decode(data)
    if decoded.data[:1] == "[":
        event(decoded.data)


def event(data: str) -> None:
    decoded = decode_event(data)
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        _note.decode(decoded.argument)


def python_objects(data: str) -> None:
    decoded = decode_json(data, [b"a", b"b"])
    if len(data) < 1_000:
        encode_ack("/", 1, (decoded,))


class Sessions:
    """A server whose clients send mutated packets until they are closed."""

    def __init__(self) -> None:
        self.server = socketio_server(Options(max_payload=1 << 20, packet_rate=1e9))
        for name in ("/", "/custom"):
            namespace = self.server.namespace(name)
            namespace.on_connect = self._connected
            namespace.on("note", Note, self._noted)
            namespace.on("message", Arguments, self._messaged)
        self.server.start()
        self.opened = 0

    @staticmethod
    def _connected(socket: Socket) -> None:
        socket.emit("auth", socket.auth is not None)

    @staticmethod
    def _noted(socket: Socket, note: Note, ack: Ack | None) -> None:
        socket.emit("noted", note.number)
        if ack is not None:
            ack(note.blob)

    @staticmethod
    def _messaged(_socket: Socket, arguments: list[object], ack: Ack | None) -> None:
        if ack is not None:
            ack(len(arguments))

    def websocket(self) -> Session:
        self.opened += 1
        session = self.server.engine.open(Request("GET", {}, {}, "192.0.2.1"), FakeWebSocket())  # type: ignore[arg-type]
        if self.opened % 8:
            session.receive_text("40")
        return session

    def polling(self) -> Session:
        self.opened += 1
        session = self.server.engine.open(Request("GET", {}, {}, "192.0.2.1"))
        session.receive_payload("40\x1e40/custom," if self.opened % 8 else "6")
        return session


class OpenSession:
    """The session for the next input; replaced when it is closed or has received many inputs."""

    def __init__(self, make: Callable[[], Session]) -> None:
        self._make = make
        self._session: Session | None = None
        self._uses = 0

    def get(self) -> Session:
        self._uses += 1
        if self._session is None or self._session.sid not in self._session._engine.sessions or self._uses % 50 == 0:
            if self._session is not None:
                self._session.close(SERVER_DISCONNECT)
            self._session = self._make()
        return self._session


def session_targets(sessions: Sessions) -> dict[str, Callable[[str], None]]:
    on_websocket, on_polling = OpenSession(sessions.websocket), OpenSession(sessions.polling)

    def text(data: str) -> None:
        on_websocket.get().receive_text(data)

    def event_text(data: str) -> None:
        on_websocket.get().receive_text("4" + data)

    def with_attachments(data: str) -> None:
        session = on_websocket.get()
        session.receive_text("4" + data)
        for blob in (b"\x00", data.encode()):
            session.receive_binary(blob)

    def posted(data: str) -> None:
        session = on_polling.get()
        session.receive_payload(data)
        poll = session.start_poll()
        if poll is not None:
            session._answer_poll()
            session.end_poll(poll)

    return {"text": text, "event text": event_text, "attachments": with_attachments, "posted": posted}


# ── the run ───────────────────────────────────────────────────────────────────────────────────────


class Logged(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter().format(record))


@dataclass
class Finding:
    target: str
    what: str
    data: str
    times: int = 1


class Findings:
    """One finding of each kind, with the shortest input that reproduces it."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, str], Finding] = {}

    def add(self, target: str, kind: str, what: str, data: str) -> None:
        known = self.all.get((target, kind))
        if known is None:
            self.all[target, kind] = Finding(target, what, data)
            return
        known.times += 1
        if len(data) < len(known.data):
            known.what, known.data = what, data

    def print(self) -> None:
        for finding in self.all.values():
            shown = finding.data if len(finding.data) < 400 else finding.data[:120] + " … " + finding.data[-60:]
            print(
                f"\n{finding.target}: {finding.what}\n  {finding.times} times, first of {len(finding.data)} characters"
            )
            print(f"  {shown!r}")


class Run:
    """Passes inputs to the targets in turn, and records findings."""

    def __init__(self, seed: int) -> None:
        self._mutator = Mutator(random.Random(seed))
        self._logged = Logged()
        logging.getLogger().addHandler(self._logged)
        self.sessions = Sessions()
        self._of_sessions = session_targets(self.sessions)
        self._traced = {"payload": payload, "packet": packet, "event": event} | self._of_sessions
        # The size of Python objects is not limited: an application that asks for them (`Arguments`) must do so itself.
        self._targets = [*self._traced.items(), ("python objects", python_objects)]
        self.findings = Findings()
        self.taken = 0

    def input(self, number: int) -> None:
        """Pass input `number` to a target."""
        name, target = self._targets[number % len(self._targets)]
        if number // len(self._targets) % LARGE_EVERY == 0:
            data = self._mutator.large(name)
            self._give_traced(name, target, data)
        else:
            data = self._mutator.small(name)
            self._give(name, target, data)
        for line in self._logged.lines:
            self.findings.add(name, line[-200:], "logged: " + line, data)
        self._logged.lines.clear()

    def _give(self, name: str, target: Callable[[str], None], data: str) -> None:
        began = time.process_time()
        try:
            target(data)
            self.taken += 1
        except (ProtocolError, InvalidPayloadError) as error:
            if name in self._of_sessions and name != "posted":  # its `receive_payload` raises for the POST's response
                self.findings.add(name, "escaped", f"{error!r} escaped", data)
        except Exception as error:  # noqa: BLE001 - any other exception is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.findings.add(name, f"{type(error)} {where.name}", traceback.format_exc(), data)
        took = time.process_time() - began
        if took > SLOW_SECONDS:
            self.findings.add(name, "slow", f"took {took:.1f} s", data)

    def _give_traced(self, name: str, target: Callable[[str], None], data: str) -> None:
        encoded = data.encode()
        size = _allocated(encoded.decode)
        peak = _allocated(lambda: self._give(name, target, data))
        if name in self._traced and peak > FACTOR * size + CONSTANT:
            what = f"{peak / size:.1f} times the input allocated ({self._mutator.shape})"
            self.findings.add(name, "allocation", what, data)


def _allocated(call: Callable[[], object]) -> int:
    """Return the peak of bytes allocated during `call`."""
    gc.collect()
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


async def run(inputs: int, seed: int) -> int:
    """Run `inputs` inputs, print the findings, and return the exit code."""
    started = time.monotonic()
    fuzzing = Run(seed)
    for number in range(inputs):
        fuzzing.input(number)
        if number % 500 == 0:
            await asyncio.sleep(0)
    fuzzing.sessions.server.engine.stop()
    print(
        f"{inputs:,} inputs in {time.monotonic() - started:.0f} s, seed {seed}: "
        f"{fuzzing.taken:,} taken, {inputs - fuzzing.taken:,} refused, "
        f"{fuzzing.sessions.opened:,} sessions, {len(fuzzing.findings.all)} findings"
    )
    fuzzing.findings.print()
    return 1 if fuzzing.findings.all else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = secrets.randbelow(1 << 32) if arguments.seed is None else arguments.seed
    sys.exit(asyncio.run(run(arguments.inputs, seed)))


if __name__ == "__main__":
    main()
