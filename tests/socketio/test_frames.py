"""WebSocket frames encoded by the server, decoded by another implementation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from passerby.socketio.frames import TEXT_HEADERS, binary_header
from tests.socketio.strategies import properties

EDGES = (0, 1, 125, 126, 127, 1023, 1024, 65_535, 65_536, 1_000_000)


def parsed(data: bytes) -> tuple[Frame, bytes]:
    """Return the first frame and the remaining bytes."""
    stream = StreamReader()
    stream.feed_data(data)
    parsing = Frame.parse(stream.read_exact, mask=False)
    with pytest.raises(StopIteration) as end:
        next(parsing)
    assert isinstance(end.value.value, Frame)
    return end.value.value, bytes(stream.buffer)


@pytest.mark.parametrize("size", EDGES)
def test_every_form_of_length_is_the_shortest_that_holds(size: int) -> None:
    payload = b"x" * size
    header = 2 if size < 126 else 4 if size < 65_536 else 10
    for made, opcode in ((TEXT_HEADERS[size] + payload, Opcode.TEXT), (binary_header(size) + payload, Opcode.BINARY)):
        frame, behind = parsed(made)
        assert (frame.opcode, frame.fin, bytes(frame.data), behind) == (opcode, True, payload, b"")
        assert len(made) == header + size


@properties
@given(st.text(max_size=300), st.binary(max_size=300))
def test_frames_in_one_write_are_read_one_by_one(message: str, blob: bytes) -> None:
    payload = message.encode()
    text, rest = parsed(TEXT_HEADERS[len(payload)] + payload + binary_header(len(blob)) + blob)
    binary, behind = parsed(rest)
    assert (bytes(text.data), bytes(binary.data), behind) == (payload, blob, b"")
    assert not any((text.rsv1, text.rsv2, text.rsv3, binary.rsv1, binary.rsv2, binary.rsv3))
