"""The Socket.IO codec: all examples of the grammar, round trips, and packets that clients must not send."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.socketio.engineio import Binary, ProtocolError
from passerby.socketio.packets import (
    MAX_ATTACHMENTS,
    InvalidPayloadError,
    Packet,
    PacketType,
    decode,
    decode_event,
    decode_json,
    encode_ack,
    encode_connect,
    encode_connect_error,
    encode_disconnect,
    encode_event,
    event_prefix,
)
from tests.socketio.strategies import (
    ack_ids,
    event_names,
    namespaces,
    properties,
    values,
    values_with_binaries,
)

EVENT, ACK = PacketType.EVENT, PacketType.ACK
BINARY_EVENT, BINARY_ACK = PacketType.BINARY_EVENT, PacketType.BINARY_ACK
ONE = '["name",{"_placeholder":true,"num":0}]'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", Packet(PacketType.CONNECT, "/", None, "")),
        ('0{"token":"…"}', Packet(PacketType.CONNECT, "/", None, '{"token":"…"}')),
        ("0/admin,", Packet(PacketType.CONNECT, "/admin", None, "")),
        ("0/admin", Packet(PacketType.CONNECT, "/admin", None, "")),
        ('0/admin,{"a":1}', Packet(PacketType.CONNECT, "/admin", None, '{"a":1}')),
        ("0/admin?token=1,", Packet(PacketType.CONNECT, "/admin", None, "")),
        ("0/admin?token=1&b=/", Packet(PacketType.CONNECT, "/admin", None, "")),
        ("0/,", Packet(PacketType.CONNECT, "/", None, "")),
        ("1", Packet(PacketType.DISCONNECT, "/", None, "")),
        ("1/admin,", Packet(PacketType.DISCONNECT, "/admin", None, "")),
        ("1/admin", Packet(PacketType.DISCONNECT, "/admin", None, "")),
        ('2["name",1]', Packet(EVENT, "/", None, '["name",1]')),
        ('212["name",1]', Packet(EVENT, "/", 12, '["name",1]')),
        ('20["name"]', Packet(EVENT, "/", 0, '["name"]')),
        ('2/admin,["name"]', Packet(EVENT, "/admin", None, '["name"]')),
        ('2/admin,999999999999999["name"]', Packet(EVENT, "/admin", 999_999_999_999_999, '["name"]')),
        ("312[true]", Packet(ACK, "/", 12, "[true]")),
        ("3/admin,0[]", Packet(ACK, "/admin", 0, "[]")),
        ("51-" + ONE, Packet(BINARY_EVENT, "/", None, ONE, 1)),
        ("510-" + ONE, Packet(BINARY_EVENT, "/", None, ONE, 10)),
        ("50-" + '["name"]', Packet(BINARY_EVENT, "/", None, '["name"]', 0)),
        ("51-/admin,7" + ONE, Packet(BINARY_EVENT, "/admin", 7, ONE, 1)),
        (
            '61-/admin,456[{"_placeholder":true,"num":0}]',
            Packet(BINARY_ACK, "/admin", 456, '[{"_placeholder":true,"num":0}]', 1),
        ),
    ],
)
def test_every_example_of_the_grammar(text: str, expected: Packet) -> None:
    assert decode(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("7", id="unknown type"),
        pytest.param("abc", id="no type"),
        pytest.param('4{"message":"no"}', id="CONNECT_ERROR is the server's"),
        pytest.param("0[]", id="CONNECT with an array"),
        pytest.param('0"x"', id="CONNECT with a string"),
        pytest.param("012{}", id="CONNECT with an ack id"),
        pytest.param("0admin", id="namespace without slash"),
        pytest.param("1{}", id="DISCONNECT with data"),
        pytest.param("1[]", id="DISCONNECT with an array"),
        pytest.param("2", id="EVENT without data"),
        pytest.param("2{}", id="EVENT with an object"),
        pytest.param('2"name"', id="EVENT with a string"),
        pytest.param('2abc["name"]', id="ack id of letters"),
        pytest.param('2-1["name"]', id="negative ack id"),
        pytest.param('21.5["name"]', id="ack id with a fraction"),
        pytest.param('201["name"]', id="ack id with a leading zero"),
        pytest.param('21000000000000000["name"]', id="ack id beyond 15 digits"),
        pytest.param('2\u0661["name"]', id="ack id of other digits"),
        pytest.param('2 ["name"]', id="blank before the data"),
        pytest.param('2/admin["name"]', id="namespace without comma"),
        pytest.param("3[1]", id="ACK without id"),
        pytest.param("312", id="ACK without data"),
        pytest.param("312{}", id="ACK with an object"),
        pytest.param('5["name"]', id="BINARY_EVENT without number"),
        pytest.param('5-["name"]', id="BINARY_EVENT with an empty number"),
        pytest.param("5x-" + ONE, id="number of letters"),
        pytest.param("511-" + ONE, id="eleven attachments"),
        pytest.param("5100-" + ONE, id="a hundred attachments"),
        pytest.param("5999999999999-" + ONE, id="a trillion attachments"),
        pytest.param("51.5-" + ONE, id="one attachment and a half"),
        pytest.param("5-1-" + ONE, id="less than no attachment"),
        pytest.param("51" + ONE, id="number without dash"),
        pytest.param("51-", id="BINARY_EVENT without data"),
        pytest.param('61-["x"]', id="BINARY_ACK without id"),
        pytest.param('6["x"]', id="BINARY_ACK without number"),
        pytest.param('21-["name"]', id="EVENT with attachments"),
    ],
)
def test_what_a_client_may_not_send(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode(text)


@properties
@given(
    st.sampled_from([EVENT, ACK, BINARY_EVENT, BINARY_ACK]),
    namespaces,
    st.none() | ack_ids,
    st.lists(values, min_size=1, max_size=3),
    st.integers(0, MAX_ATTACHMENTS),
)
def test_any_packet_of_the_grammar_is_understood(
    kind: PacketType, namespace: str, ack_id: int | None, data: list[object], attachments: int
) -> None:
    if kind in (ACK, BINARY_ACK) and ack_id is None:
        ack_id = 0
    binary = kind in (BINARY_EVENT, BINARY_ACK)
    body = json.dumps(data, ensure_ascii=False)
    text = "".join(
        (
            str(int(kind)),
            f"{attachments}-" if binary else "",
            "" if namespace == "/" else f"{namespace},",
            "" if ack_id is None else str(ack_id),
            body,
        )
    )
    assert decode(text) == Packet(kind, namespace, ack_id, body, attachments if binary else 0)


def received(sent: list[bytes]) -> tuple[Packet, list[bytes]]:
    """Return a packet and its attachments as decoded by a peer that follows the grammar."""
    text, *attachments = sent
    assert all(isinstance(attachment, Binary) for attachment in attachments)
    assert text[:1] == b"4"
    packet = decode(text[1:].decode())
    assert packet.attachments == len(attachments)
    return packet, [bytes(attachment) for attachment in attachments]


@properties
@given(namespaces, event_names, st.lists(values, max_size=3), st.none() | ack_ids)
def test_an_event_comes_back_as_it_went(
    namespace: str, event: str, arguments: list[object], ack_id: int | None
) -> None:
    packet, attachments = received(encode_event(namespace, event, tuple(arguments), ack_id))
    assert (packet.type, packet.namespace, packet.id, attachments) == (EVENT, namespace, ack_id, [])
    decoded = decode_event(packet.data)
    assert decoded.name == event
    assert decode_json(decoded.argument, []) == (arguments[0] if arguments else None)
    assert decode_json(packet.data, []) == [event, *arguments]


@properties
@given(namespaces, ack_ids, st.lists(values, max_size=3))
def test_an_ack_comes_back_as_it_went(namespace: str, ack_id: int, arguments: list[object]) -> None:
    packet, attachments = received(encode_ack(namespace, ack_id, tuple(arguments)))
    assert (packet.type, packet.namespace, packet.id, attachments) == (ACK, namespace, ack_id, [])
    assert decode_json(packet.data, []) == arguments


def count_binaries(value: object) -> int:
    if isinstance(value, bytes):
        return 1
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(count_binaries, inner))


@properties
@given(namespaces, st.none() | ack_ids, st.lists(values_with_binaries, max_size=4))
def test_binaries_travel_behind_the_packet_and_come_back_in_their_places(
    namespace: str, ack_id: int | None, arguments: list[object]
) -> None:
    binaries = count_binaries(arguments)
    for sent in (
        encode_event(namespace, "name", tuple(arguments), ack_id),
        encode_ack(namespace, ack_id or 0, tuple(arguments)),
    ):
        assert len(sent) == 1 + binaries
        if binaries > MAX_ATTACHMENTS:
            continue
        packet, attachments = received(sent)
        assert (packet.type in (BINARY_EVENT, BINARY_ACK)) == (binaries > 0)
        came: Any = decode_json(packet.data, attachments)
        assert came[-len(arguments) :] == arguments or not arguments


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_buffer_is_an_attachment(kind: type) -> None:
    assert encode_event("/", "blob", ({"deep": [kind(b"\x01\x02")]}, kind(b""))) == [
        b'452-["blob",{"deep":[{"_placeholder":true,"num":0}]},{"_placeholder":true,"num":1}]',
        b"\x01\x02",
        b"",
    ]


def test_the_server_s_other_packets() -> None:
    assert encode_connect("/", "abc") == b'40{"sid":"abc"}'
    assert encode_connect("/admin", "abc") == b'40/admin,{"sid":"abc"}'
    assert encode_connect_error("/admin", "no") == b'44/admin,{"message":"no"}'
    assert encode_connect_error("/", "no", {"code": 7}) == b'44{"message":"no","data":{"code":7}}'
    assert encode_connect_error("/", "no", 0) == b'44{"message":"no","data":0}'
    assert encode_disconnect("/") == b"41"
    assert encode_disconnect("/admin") == b"41/admin,"


@properties
@given(namespaces, event_names, values)
def test_a_prefix_with_an_argument_is_the_event(namespace: str, event: str, argument: object) -> None:
    whole = event_prefix(event, namespace) + msgspec.json.encode(argument) + b"]"
    assert [whole] == encode_event(namespace, event, (argument,))


# ── events ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "name", "argument"),
    [
        ('["name",1]', "name", "1"),
        ('["name"]', "name", "null"),
        ('["name",1,"2",{"3":[true]}]', "name", "1"),
        ('["name",{"3":[true]},{}]', "name", '{"3":[true]}'),
        ('[ "name" , { "a" : 1 } ]', "name", '{ "a" : 1 }'),
        ('["\\u0063hat:\\"x\\"",null]', 'chat:"x"', "null"),
        ('["",1]', "", "1"),
        ('["é",1]', "é", "1"),
    ],
)
def test_an_event_is_a_name_and_a_first_argument_not_decoded_yet(data: str, name: str, argument: str) -> None:
    event = decode_event(data)
    assert (event.name, bytes(event.argument).decode()) == (name, argument)


@pytest.mark.parametrize(("data", "name"), [("[1,2]", "1"), ("[0]", "0"), ("[ -7 , {}, {} ]", "-7")])
def test_a_number_is_a_name(data: str, name: str) -> None:
    assert decode_event(data).name == name


@pytest.mark.parametrize(
    "data",
    [
        "[",
        "[]",
        "[null]",
        "[true,1]",
        "[{},1]",
        '[["name"],1]',
        '["name"',
        '["name",',
        '["name",]',
        '["name",1',
        '["name",1]]',
        '["name",1] x',
        '["name",01]',
        '["name",NaN]',
        '["name",1,NaN]',
        '["name",Infinity]',
        '["name",-Infinity]',
        '["name",undefined]',
        "['name',1]",
        '["na\nme",1]',
        '["name","\\x"]',
        '["name","\\ud83"]',
        '["name","\\ud800",]',
        '["name","\\ud800"',
        '["\\ud800",1]',
    ],
)
def test_what_is_no_event_breaks_the_protocol(data: str) -> None:
    with pytest.raises(ProtocolError):
        decode_event(data)


@pytest.mark.parametrize("name", ["connect", "connect_error", "disconnect", "disconnecting", "newListener"])
@pytest.mark.parametrize("arguments", ["", ",1", ",1,2"])
def test_the_library_s_own_events_are_not_for_clients(name: str, arguments: str) -> None:
    with pytest.raises(ProtocolError):
        decode_event(f'["{name}"{arguments}]')


@pytest.mark.parametrize("surrogates", ["\\ud800", "\\udc00", "\\ud83d x", "\\ude00\\ud83d", "a\\uDBFF"])
@pytest.mark.parametrize("shape", ['["name","%s"]', '["name",1,"%s"]', '["name",{"%s":1}]', '["name",[[{"a":"%s"}]]]'])
def test_a_lone_surrogate_is_an_invalid_payload_that_names_its_event(shape: str, surrogates: str) -> None:
    with pytest.raises(InvalidPayloadError) as raised:
        decode_event(shape % surrogates)
    assert raised.value.event == "name"
    assert not isinstance(raised.value, ProtocolError)


def test_a_surrogate_pair_is_a_character() -> None:
    event = decode_event('["name","\\ud83d\\ude00"]')
    assert (event.name, decode_json(event.argument, [])) == ("name", "😀")


def test_what_only_looks_like_a_surrogate_is_text() -> None:
    event = decode_event('["name","\\\\ud800"]')
    assert decode_json(event.argument, []) == "\\ud800"


@pytest.mark.parametrize("depth", [2_000, 100_000])
@pytest.mark.parametrize("shape", ["whole", "cut off"])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_deep_nesting_is_an_invalid_payload_and_not_a_crash(depth: int, shape: str, brackets: str) -> None:
    opening = "[" if brackets == "[]" else '{"a":'
    data = '["name",' + opening * depth
    if shape == "whole":
        data += "1" + brackets[1] * depth + "]"
    with pytest.raises(InvalidPayloadError) as raised:
        decode_event(data)
    assert raised.value.event == "name"


# ── placeholders ──────────────────────────────────────────────────────────────────────────────────


def test_placeholders_take_their_attachments_in_any_order_and_more_than_once() -> None:
    data = '[{"_placeholder":true,"num":1},{"deep":[{"num":0,"_placeholder":true}]},{"_placeholder":true,"num":1}]'
    assert decode_json(data, [b"a", b"b"]) == [b"b", {"deep": [b"a"]}, b"b"]


@pytest.mark.parametrize(
    "placeholder",
    [
        '{"_placeholder":true}',
        '{"_placeholder":true,"num":1}',
        '{"_placeholder":true,"num":-1}',
        '{"_placeholder":true,"num":"0"}',
        '{"_placeholder":true,"num":0.5}',
        '{"_placeholder":true,"num":true}',
        '{"_placeholder":true,"num":null}',
        '{"_placeholder":true,"num":[]}',
        '{"_placeholder":true,"num":99999999999999999999}',
    ],
)
def test_a_placeholder_without_its_attachment_breaks_the_protocol(placeholder: str) -> None:
    with pytest.raises(ProtocolError):
        decode_json(f"[{placeholder}]", [b"only"])


@pytest.mark.parametrize("marker", ["false", "1", '"true"', "null"])
def test_only_true_marks_a_placeholder(marker: str) -> None:
    data = f'[{{"_placeholder":{marker},"num":0}}]'
    assert decode_json(data, [b"x"]) == json.loads(data)


@properties
@given(st.text())
def test_any_text_is_a_packet_or_a_protocol_error(text: str) -> None:
    try:
        packet = decode(text)
    except ProtocolError:
        return
    assert text.startswith(str(int(packet.type)))
    assert text.endswith(packet.data)


@properties
@given(st.text())
def test_any_text_is_an_event_or_one_of_two_errors(data: str) -> None:
    try:
        event = decode_event("[" + data)
    except (ProtocolError, InvalidPayloadError):
        return
    assert str(json.loads("[" + data)[0]) == event.name
