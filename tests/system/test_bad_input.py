"""Invalid input: each gets one clear error, loses nothing that was accepted, and closes no connection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.client import Client

if TYPE_CHECKING:
    from tests.support.server import RunningServer


def text(content: object) -> str:
    return json.dumps(["chat:message", {"type": "text", "content": content}])


BAD_MESSAGES: dict[str, tuple[str, str]] = {
    "empty": (text(""), "text_empty"),
    "blank": (text(" \n\t "), "text_empty"),
    "zero width": (text("\u200b\u200d"), "text_empty"),
    "1001 characters": (text("x" * 1001), "text_too_long"),
    "1001 families": (text("👨‍👩‍👧‍👦" * 1001), "text_too_long"),
    "64 KiB": (text("x" * 65_000), "text_too_long"),
    "control characters": (text("a\x00b"), "text_control_characters"),
    "escape sequence": (text("\x1b[2J"), "text_control_characters"),
    "number": (text(7), "invalid_payload"),
    "null": (text(None), "invalid_payload"),
    "object": (text({"text": "x"}), "invalid_payload"),
    "list": (text(["x"]), "invalid_payload"),
    "true": (text(True), "invalid_payload"),
    "lone surrogate": (r'["chat:message",{"type":"text","content":"\ud800"}]', "invalid_payload"),
    "reversed surrogates": (r'["chat:message",{"type":"text","content":"\udc00\ud800"}]', "invalid_payload"),
    "unknown type": ('["chat:message",{"type":"video","content":"x"}]', "invalid_payload"),
    "type is null": ('["chat:message",{"type":null,"content":"x"}]', "invalid_payload"),
    "no type": ('["chat:message",{"content":"x"}]', "invalid_payload"),
    "no content": ('["chat:message",{"type":"text"}]', "invalid_payload"),
    "nothing": ('["chat:message"]', "invalid_payload"),
    "payload is null": ('["chat:message",null]', "invalid_payload"),
    "payload is text": ('["chat:message","hello"]', "invalid_payload"),
    "payload is a list": ('["chat:message",[]]', "invalid_payload"),
    "client id is empty": ('["chat:message",{"type":"text","content":"x","clientId":""}]', "invalid_payload"),
    "client id is long": (
        json.dumps(["chat:message", {"type": "text", "content": "x", "clientId": "c" * 65}]),
        "invalid_payload",
    ),
    "client id is a number": ('["chat:message",{"type":"text","content":"x","clientId":7}]', "invalid_payload"),
    "deep list": (
        '["chat:message",{"type":"text","content":' + "[" * 20_000 + "]" * 20_000 + "}]",
        "invalid_payload",
    ),
    "deep object": ('["chat:message",' + '{"a":' * 10_000 + "1" + "}" * 10_000 + "]", "invalid_payload"),
    "deep in an unknown field": (
        '["chat:message",{"type":"text","content":"x","more":' + "[" * 20_000 + "]" * 20_000 + "}]",
        "invalid_payload",
    ),
    "wide object": (
        json.dumps(["chat:message", {"type": "text", **{f"field{n}": n for n in range(5000)}}]),
        "invalid_payload",
    ),
    "binary": ('["chat:message",{"type":"text","content":{"_placeholder":true,"num":0}}]', "invalid_payload"),
}


@pytest.mark.parametrize("name", BAD_MESSAGES)
@pytest.mark.parametrize("acknowledged", [False, True], ids=["event", "ack"])
async def test_a_bad_message_is_one_clear_error_and_nothing_else(
    shared_server: RunningServer, name: str, acknowledged: bool
) -> None:
    (_, one), (_, other), _ = await shared_server.pair()
    before = await one.say("before")
    await one.next("chat:message:sent")
    packet, code = BAD_MESSAGES[name]
    await one.send(f"42{'77' if acknowledged else ''}{packet}")
    error = await one.next("chat:error")
    assert error["code"] == code
    assert isinstance(error["message"], str)
    assert 0 < len(error["message"]) < 300
    after = await one.say("after")
    await one.next("chat:message:sent")

    assert one.answers.get(77) == ([error] if acknowledged else None)
    assert after["seq"] == before["seq"] + 1
    assert (await other.next("chat:message"))["content"] == "before"
    await other.next("chat:message:delivered")
    assert (await other.next("chat:message"))["content"] == "after"
    assert one.is_open
    assert other.is_open


async def test_the_error_of_a_message_names_it(shared_server: RunningServer) -> None:
    (_, one), _, _ = await shared_server.pair()
    answer = await one.ask("chat:message", {"type": "text", "content": " ", "clientId": "c-7"})

    assert answer == await one.next("chat:error")
    assert (answer["clientId"], answer["code"]) == ("c-7", "text_empty")


@pytest.mark.parametrize(
    ("packet", "event", "code"),
    [
        ('["chat:message:delivered"]', "chat:error", "invalid_payload"),
        ('["chat:message:delivered",{}]', "chat:error", "invalid_payload"),
        ('["chat:message:delivered",{"messageId":7}]', "chat:error", "invalid_payload"),
        ('["chat:message:delivered",{"messageId":null}]', "chat:error", "invalid_payload"),
        (json.dumps(["chat:message:delivered", {"messageId": "m" * 65}]), "chat:error", "invalid_payload"),
        ('["user:match",{"interests":"chess"}]', "user:match:error", "interest_invalid"),
        ('["user:match",{"mode":"smell"}]', "user:match:error", "mode_unknown"),
        (r'["chat:typing:start","\ud800"]', "chat:error", "invalid_payload"),
        ('["chat:typing:start",' + "[" * 20_000 + "]" * 20_000 + "]", "chat:error", "invalid_payload"),
        (r'["user:match:cancel","\udfff"]', "user:match:cancel:error", "invalid_payload"),
        (r'["get:stats","\udfff"]', "get:stats:error", "invalid_payload"),
        (r'["leave-room",{"\ud800":1}]', "chat:error", "invalid_payload"),
    ],
    ids=lambda value: value[:40],
)
async def test_every_family_answers_with_its_own_error(
    shared_server: RunningServer, packet: str, event: str, code: str
) -> None:
    (_, one), (_, other), _ = await shared_server.pair()
    await one.send("42" + packet)
    assert (await one.next(event))["code"] == code
    await one.say("after")

    assert (await other.next("chat:message"))["content"] == "after"


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("chat:message", {"type": "text", "content": "hello"}),
        ("chat:message:delivered", {"messageId": "msg_1_x"}),
        ("chat:typing:start", {}),
        ("chat:typing:stop", {}),
    ],
)
async def test_without_a_room_there_is_nobody_to_tell(
    shared_server: RunningServer, event: str, payload: object
) -> None:
    _, client = await shared_server.visitor()
    await client.emit(event, payload)

    assert (await client.next("chat:error"))["code"] == "not_in_room"
    await client.emit("chat:clear")
    await client.next("chat:clear:confirmed")


@pytest.mark.parametrize(
    "packet",
    [
        '42["nobody:knows:this",{"a":1}]',
        '42["nobody:knows:this"]',
        '4277["nobody:knows:this",1,2,3]',
        r'42["nobody:knows:this","\ud800"]',
        '42["nobody:knows:this",' + "[" * 20_000 + "]" * 20_000 + "]",
        '42["",1]',
        "42[7]",
        '42["__proto__",{}]',
        '42["constructor",{}]',
        '43999["nobody asked"]',
        '42["chat:error",{}]',
        '42["realtime:stats",{}]',
    ],
    ids=lambda packet: packet[:32],
)
async def test_what_the_server_does_not_know_is_ignored(shared_server: RunningServer, packet: str) -> None:
    (_, one), (_, other), _ = await shared_server.pair()
    await one.send(packet)
    await one.say("after")

    assert (await other.next("chat:message"))["content"] == "after"
    await one.next("chat:message:sent")
    assert one.is_open


async def test_a_room_id_that_a_client_sends_is_never_believed(shared_server: RunningServer) -> None:
    (_, one), (_, other), _ = await shared_server.pair()
    (_, third), (_, fourth), room = await shared_server.pair()
    extra = {"roomId": room["roomId"], "senderId": "guest_x", "seq": 99, "id": "msg_1_x", "status": "delivered"}
    answer = await one.ask("chat:message", {"type": "text", "content": "for mine only", **extra})

    message = await other.next("chat:message")

    assert message["content"] == "for mine only"
    assert (message["seq"], message["id"]) == (1, answer["messageId"])
    assert message["senderId"] != "guest_x"
    assert "roomId" not in message
    await third.say("theirs")
    assert (await fourth.next("chat:message"))["content"] == "theirs"


async def test_a_confirmation_of_another_rooms_message_does_nothing(shared_server: RunningServer) -> None:
    (_, one), (_, other), _ = await shared_server.pair()
    (_, third), (_, fourth), _ = await shared_server.pair()
    sent = await one.say("hello")
    await fourth.emit("chat:message:delivered", {"messageId": sent["messageId"]})
    await one.emit("chat:message:delivered", {"messageId": sent["messageId"]})
    await fourth.say("barrier")
    await third.next("chat:message")
    await other.until("chat:message")
    await other.emit("chat:message:delivered", {"messageId": sent["messageId"]})
    await one.next("chat:message:sent")
    await one.next("chat:message:delivered")

    assert sum(name == "chat:message:delivered" for name, _ in one.heard) == 1


async def test_an_event_before_connect_breaks_the_protocol_and_only_that_connection(
    shared_server: RunningServer,
) -> None:
    (_, one), (_, other), _ = await shared_server.pair()
    client = await Client.open(shared_server.url)
    async with client:
        await client.send('42["chat:message",{"type":"text","content":"x"}]')
        await client.gone()
    await one.say("undisturbed")

    assert (await other.next("chat:message"))["content"] == "undisturbed"


async def test_a_frame_of_two_megabytes_closes_its_connection_and_loses_nothing(shared_server: RunningServer) -> None:
    (anna, one), (_, other), room = await shared_server.pair()
    await one.say("before")
    await one.send('42["chat:message",{"type":"text","content":"' + "x" * 2_000_000 + '"}]')
    await one.gone()
    assert (await other.next("chat:message"))["content"] == "before"
    await other.next("chat:message:delivered")
    await other.next("room:partner_away")
    await other.say("are you back?")

    back = await shared_server.connect(anna, {**room, "seq": 1})

    await back.until("room:resumed")
    assert (await back.next("chat:message"))["content"] == "are you back?"


@pytest.mark.parametrize(
    "packet", ["4x", "9", "42", "42{}", '42["unterminated', "42[", "40", '44{"message":"x"}', '42["connect"]']
)
async def test_a_broken_packet_closes_its_connection_and_loses_nothing(
    shared_server: RunningServer, packet: str
) -> None:
    (anna, one), (_, other), room = await shared_server.pair()
    await one.say("before")
    await one.send(packet)
    await one.gone()
    assert (await other.next("chat:message"))["content"] == "before"
    await other.next("chat:message:delivered")
    await other.next("room:partner_away")

    back = await shared_server.connect(anna, {**room, "seq": 1})

    await back.until("room:resumed")
    await back.say("here again")
    await other.next("room:partner_back")
    assert (await other.next("chat:message"))["content"] == "here again"
