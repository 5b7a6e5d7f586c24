"""A client's input allocates at most four times its size before the application gets it, whatever its shape."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Mapping

import msgspec
import pytest

from passerby.socketio import InvalidPayloadError, ProtocolError, Request
from passerby.socketio.engineio import decode_payload
from passerby.socketio.packets import decode, decode_event
from tests.support.sio_fakes import FakeWebSocket
from tests.support.sio_server import echo

SIZE = 200_000
FACTOR = 4
CONSTANT = 64 * 1024


def filled(unit: str, head: str = "", tail: str = "") -> str:
    return head + unit * ((SIZE - len(head) - len(tail)) // len(unit)) + tail


def peak_of(function: Callable[[str], object], data: str) -> int:
    """Return the peak of bytes allocated while `function` processed `data`."""
    gc.collect()
    tracemalloc.start()
    try:
        function(data)
    except (ProtocolError, InvalidPayloadError):
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def read_payload(body: str) -> None:
    """Process a payload packet by packet, as a session does."""
    for _packet in decode_payload(body):
        pass


class Note(msgspec.Struct):
    text: str


note = msgspec.json.Decoder(Note)


def read_note(data: str) -> None:
    note.decode(decode_event(data).argument)


SHAPES: Mapping[str, tuple[Callable[[str], object], str]] = {
    "a payload of nothing": (read_payload, "\x1e" * SIZE),
    "a payload of noops": (read_payload, filled("6\x1e", tail="6")),
    "a payload of small packets": (read_payload, filled("41\x1e", tail="6")),
    "a payload of events": (read_payload, filled('42["message",1]\x1e', tail="6")),
    "a payload of small binaries": (read_payload, filled("bAA==\x1e", tail="6")),
    "a payload of one binary": (read_payload, "b" + "A" * SIZE),
    "a payload that ends badly": (read_payload, filled("41\x1e", tail="x")),
    "a long namespace": (decode, filled("x", head="0/")),
    "a long ack id": (decode, filled("1", head="2", tail='["a"]')),
    "a long text": (decode, filled("x", head='2["', tail='"]')),
    "an event of many arguments": (decode_event, filled("0,", head='["e",', tail="0]")),
    "an event of many arguments that ends badly": (decode_event, filled("[],", head='["e",', tail="0]]")),
    "an event with a large argument": (decode_event, filled("[],", head='["e",[', tail="0]]")),
    "an event with a large argument that ends badly": (decode_event, filled("[],", head='["e",[', tail="0]],")),
    "an event with a large argument and a lone surrogate": (
        decode_event,
        filled("[],", head='["e",["\\ud800",', tail="0]]"),
    ),
    "an event with a large number for a name": (decode_event, filled("1", head="[", tail="]")),
    "an event nested deeply": (decode_event, filled("[", head='["e",')),
    "a payload for a type, with much that it does not name": (
        read_note,
        filled("[],", head='["e",{"text":"a","more":[', tail="0]}]"),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_decoding_allocates_little_more_than_the_packet(shape: str) -> None:
    function, data = SHAPES[shape]
    assert peak_of(function, data) <= FACTOR * len(data) + CONSTANT


@pytest.mark.parametrize("state", ["unconnected", "connected"])
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(("[],", '40{"a":[', "0]}"), id="auth"),
        pytest.param(("[],", '40/unknown,{"a":[', "0]}"), id="auth for an unknown namespace"),
        pytest.param(("[],", "430[", "0]"), id="an ack that nobody waits for"),
        pytest.param(("[],", '42["nobody listens",[', "0]]"), id="an event that nobody listens to"),
        pytest.param(("0,", '42["nobody listens",', "0]"), id="an event of many arguments that nobody listens to"),
        pytest.param(("x", '42["', '"]'), id="a long name"),
        pytest.param(("x", "40/", ""), id="a long unknown namespace"),
    ],
)
async def test_what_the_application_does_not_take_allocates_little(state: str, shape: tuple[str, str, str]) -> None:
    subject = echo()
    subject.start()
    session = subject.engine.open(Request("GET", {}, {}, "192.0.2.1"), FakeWebSocket())  # type: ignore[arg-type]
    if state == "connected":
        session.receive_text("40")
    data = filled(*shape)
    peak = peak_of(session.receive_text, data)
    subject.engine.stop()
    assert peak <= FACTOR * len(data) + CONSTANT
