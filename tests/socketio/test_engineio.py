"""The Engine.IO codec: payloads of long polling and the open packet."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.socketio.engineio import SEPARATOR, Binary, Open, ProtocolError, decode_payload, encode_payload
from passerby.socketio.packets import encode_event
from tests.socketio.strategies import properties, text, values

packet_texts = st.builds(
    lambda kind, data: kind + data.replace(SEPARATOR, ""),
    st.sampled_from("0123456"),
    text,
)
packets = packet_texts | st.binary(max_size=40)


def rendered(packet: str | bytes) -> str:
    return packet if isinstance(packet, str) else "b" + base64.b64encode(packet).decode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("4hello", ["4hello"]),
        ("4", ["4"]),
        ("2", ["2"]),
        ("3probe", ["3probe"]),
        ("6", ["6"]),
        ('40{"token":"…"}', ['40{"token":"…"}']),
        ("4test1\x1e4test2\x1e4test3", ["4test1", "4test2", "4test3"]),
        ("4hello\x1ebAQIDBA==", ["4hello", b"\x01\x02\x03\x04"]),
        ("b", [b""]),
        ("bAA==\x1ebAAE=\x1e1", [b"\x00", b"\x00\x01", "1"]),
        ("4b64", ["4b64"]),
    ],
)
def test_a_payload_is_split_into_its_packets(body: str, expected: list[str | bytes]) -> None:
    assert list(decode_payload(body)) == expected


@pytest.mark.parametrize(
    "body",
    [
        "",
        "abc",
        "7",
        "9x",
        "B4hello",
        " 4hello",
        "\x1e",
        "4hello\x1e",
        "\x1e4hello",
        "4a\x1e\x1e4b",
        "4a\x1eabc",
        "b*",
        "bAQIDBA",
        "bAQIDBA=",
        "bAQIDBA==AQ",
        "bAQ IDBA==",
        "bAQIDBA==\n",
        "b_-8=",
        "bé",
        "\ufeff4hello",
    ],
)
def test_a_broken_packet_anywhere_in_a_payload_breaks_the_protocol(body: str) -> None:
    with pytest.raises(ProtocolError):
        list(decode_payload(body))


@properties
@given(st.lists(packets, min_size=1, max_size=6))
def test_what_a_client_joins_is_what_the_server_splits(sent: list[str | bytes]) -> None:
    assert list(decode_payload(SEPARATOR.join(map(rendered, sent)))) == sent


@properties
@given(st.lists(packets, min_size=1, max_size=6))
def test_what_the_server_joins_is_what_a_client_splits(sent: list[str | bytes]) -> None:
    outgoing = [packet.encode() if isinstance(packet, str) else Binary(packet) for packet in sent]
    assert encode_payload(outgoing).decode().split("\x1e") == [rendered(packet) for packet in sent]


@properties
@given(st.lists(packets, min_size=1, max_size=4), st.lists(packets, min_size=1, max_size=4))
def test_a_joined_payload_is_its_parts_one_after_the_other(first: list[str | bytes], second: list[str | bytes]) -> None:
    left, right = (SEPARATOR.join(map(rendered, part)) for part in (first, second))
    assert list(decode_payload(left + SEPARATOR + right)) == [*decode_payload(left), *decode_payload(right)]


@properties
@given(st.lists(values, max_size=4))
def test_an_event_whose_text_holds_the_separator_is_still_one_packet(arguments: list[object]) -> None:
    event = encode_event("/", "separated \x1e", (*arguments, "\x1e"))[0]
    assert list(decode_payload(encode_payload([event, event]).decode())) == [event.decode()] * 2


@properties
@given(st.text())
def test_any_text_is_a_payload_or_a_protocol_error(body: str) -> None:
    try:
        decoded = list(decode_payload(body))
    except ProtocolError:
        return
    assert SEPARATOR.join(map(rendered, decoded)) == body


def test_plain_bytes_are_text_and_only_binary_is_base64() -> None:
    assert encode_payload([b"4plain", Binary(b"\x01\x02\x03\x04"), b"6"]) == b"4plain\x1ebAQIDBA==\x1e6"


def test_the_open_packet_has_the_five_fields_of_the_protocol() -> None:
    packet = Open(sid="x", upgrades=["websocket"], ping_interval=300, ping_timeout=200, max_payload=1_000_000).packet()
    assert packet[:1] == b"0"
    assert json.loads(packet[1:]) == {
        "sid": "x",
        "upgrades": ["websocket"],
        "pingInterval": 300,
        "pingTimeout": 200,
        "maxPayload": 1_000_000,
    }
