"""Invalid signals: the sender gets one clear error, the partner gets nothing, and the call continues."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from passerby import app
from passerby.calls.call import MAX_CANDIDATES
from tests.support.client import PATIENCE
from tests.support.conversation import JumpingClock
from tests.support.sio_client import PollingClient, WebSocketClient

if TYPE_CHECKING:
    from tests.conftest import StartServer
    from tests.support.client import Client
    from tests.support.server import RunningServer

SDP = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
KIB = 1024


def description(kind: str, sdp: object = SDP) -> dict[str, object]:
    return {"type": kind, "sdp": sdp}


def candidate(text: object = "candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host") -> dict[str, object]:
    return {"candidate": text, "sdpMid": "0", "sdpMLineIndex": 0}


OFFER = {"offer": description("offer"), "type": "video"}
ANSWER = {"answer": description("answer")}
CANDIDATE = {"candidate": candidate()}
SDP_LIMIT = 64 * KIB
LARGE_TEXT = ("👋" + "\U000e0101" * 9) * 1000
"""40,000 bytes as UTF-8, and as large as a message may be when these clients escape it."""


class Line(NamedTuple):
    """Two clients in a room: the caller and the callee of a call, if there is one."""

    caller: Client
    callee: Client
    call_id: str


async def line(server: RunningServer, stage: str) -> Line:
    """Bring two clients to a stage of a call."""
    (_, caller), (_, callee), _ = await server.pair()
    return Line(caller, callee, await bring(caller, callee, stage))


async def bring(caller: Client, callee: Client, stage: str) -> str:
    if stage == "no call":
        return ""
    await caller.emit("webrtc:offer", OFFER)
    call_id: str = (await caller.next("webrtc:ringing"))["callId"]
    await callee.next("webrtc:offer")
    if stage in ("connecting", "talking"):
        await callee.emit("webrtc:answer", ANSWER)
        await caller.next("webrtc:answer")
    if stage == "talking":
        await caller.emit("webrtc:connected", {"callId": call_id})
    return call_id


async def goes_on(talk: Line, stage: str) -> None:
    """Check that the call is unchanged and that no client got an event; then finish the call."""
    caller, callee, call_id = talk
    if stage == "no call":
        await bring(caller, callee, "ringing")
        call_id = ""
    if stage in ("no call", "ringing"):
        await callee.emit("webrtc:answer", ANSWER)
        answer = await caller.next("webrtc:answer")
        assert call_id in ("", answer["callId"])
        call_id = answer["callId"]
    for one, other in ((caller, callee), (callee, caller)):
        await one.emit("webrtc:ice-candidate", CANDIDATE)
        assert (await other.next("webrtc:ice-candidate"))["callId"] == call_id
    await callee.emit("webrtc:call-end", {"callId": call_id})
    assert (await caller.next("webrtc:call-end"))["callId"] == call_id


STAGES = ("no call", "ringing", "talking")

MALFORMED: dict[str, tuple[str, object]] = {
    "offer of nothing": ("webrtc:offer", None),
    "offer of text": ("webrtc:offer", "v=0"),
    "offer without type": ("webrtc:offer", {"offer": description("offer")}),
    "offer of a hologram": ("webrtc:offer", {**OFFER, "type": "hologram"}),
    "offer of type 7": ("webrtc:offer", {**OFFER, "type": 7}),
    "offer that is an answer": ("webrtc:offer", {**OFFER, "offer": description("answer")}),
    "offer that is a rollback": ("webrtc:offer", {**OFFER, "offer": description("rollback")}),
    "offer that is a pranswer": ("webrtc:offer", {**OFFER, "offer": description("pranswer")}),
    "offer that is bare sdp": ("webrtc:offer", {**OFFER, "offer": SDP}),
    "offer whose sdp is a number": ("webrtc:offer", {**OFFER, "offer": description("offer", 7)}),
    "offer whose sdp is null": ("webrtc:offer", {**OFFER, "offer": description("offer", None)}),
    "offer whose sdp is a list": ("webrtc:offer", {**OFFER, "offer": description("offer", [SDP])}),
    "offer whose sdp is empty": ("webrtc:offer", {**OFFER, "offer": description("offer", "")}),
    "offer whose sdp is garbage": ("webrtc:offer", {**OFFER, "offer": description("offer", "\x00\ufffd<script>")}),
    "offer over 64 KiB": ("webrtc:offer", {**OFFER, "offer": description("offer", SDP + "a" * SDP_LIMIT)}),
    "offer to a number": ("webrtc:offer", {**OFFER, "callId": 7}),
    "offer to a long id": ("webrtc:offer", {**OFFER, "callId": "c" * 65}),
    "offer with a wish that is none": ("webrtc:offer", {**OFFER, "relayOnly": "yes"}),
    "answer of nothing": ("webrtc:answer", None),
    "answer that is an offer": ("webrtc:answer", {"answer": description("offer")}),
    "answer whose sdp is a number": ("webrtc:answer", {"answer": description("answer", 7)}),
    "answer whose sdp is garbage": ("webrtc:answer", {"answer": description("answer", "xyz")}),
    "answer over 64 KiB": ("webrtc:answer", {"answer": description("answer", SDP + "a" * SDP_LIMIT)}),
    "candidate that is missing": ("webrtc:ice-candidate", {}),
    "candidate that is text": ("webrtc:ice-candidate", {"candidate": "candidate:1"}),
    "candidate that is a number": ("webrtc:ice-candidate", {"candidate": candidate(7)}),
    "candidate over 2 KiB": ("webrtc:ice-candidate", {"candidate": candidate("c" * (2 * KIB + 1))}),
    "candidate of line -1": ("webrtc:ice-candidate", {"candidate": {**candidate(), "sdpMLineIndex": -1}}),
    "candidate of line 256": ("webrtc:ice-candidate", {"candidate": {**candidate(), "sdpMLineIndex": 256}}),
    "candidate of a long line": ("webrtc:ice-candidate", {"candidate": {**candidate(), "sdpMid": "m" * 65}}),
    "end of a number": ("webrtc:call-end", {"callId": 7}),
    "end that is text": ("webrtc:call-end", "now"),
    "rejection that is a list": ("webrtc:call-reject", []),
    "time-out that is a number": ("webrtc:call-timeout", 7),
    "leaving nothing": ("webrtc:leaving", {}),
    "connected to nothing": ("webrtc:connected", {}),
    "connected without a payload": ("webrtc:connected", None),
}


@pytest.mark.parametrize("stage", STAGES)
async def test_a_malformed_signal_is_one_clear_error_and_nothing_else(shared_server: RunningServer, stage: str) -> None:
    talk = await line(shared_server, stage)
    for name, (event, payload) in MALFORMED.items():
        for sender in talk[:2]:
            await sender.emit(event, payload)
            error = await sender.next("webrtc:error")
            assert set(error) == {"message", "code"}, name
            assert error["code"] == "invalid_payload", name
            assert 0 < len(error["message"]) < 300, name
    await goes_on(talk, stage)


@pytest.mark.parametrize(
    "packet",
    [
        r'["webrtc:offer",{"type":"video","offer":{"type":"offer","sdp":"v=0\r\n\ud800"}}]',
        '["webrtc:offer",{"type":"video","offer":{"type":"offer","sdp":' + "[" * 20_000 + "]" * 20_000 + "}}]",
        '["webrtc:answer",{"answer":' + '{"a":' * 10_000 + "1" + "}" * 10_000 + "}]",
        '["webrtc:ice-candidate",{"candidate":{"candidate":{"_placeholder":true,"num":0}}}]',
        '["webrtc:call-end",' + "[" * 20_000 + "]" * 20_000 + "]",
        '["webrtc:offer"]',
    ],
    ids=lambda packet: packet[:40],
)
async def test_odd_json_is_malformed_too(shared_server: RunningServer, packet: str) -> None:
    talk = await line(shared_server, "talking")
    await talk.caller.send("42" + packet)
    assert (await talk.caller.next("webrtc:error"))["code"] == "invalid_payload"

    await goes_on(talk, "talking")


class OutOfTurn(NamedTuple):
    """A signal at a wrong stage of a call: its sender, and the code of the error."""

    stage: str
    who: str
    event: str
    payload: object
    code: str


OUT_OF_TURN = [
    OutOfTurn("no call", "caller", "webrtc:answer", ANSWER, "no_call"),
    OutOfTurn("no call", "caller", "webrtc:ice-candidate", CANDIDATE, "no_call"),
    OutOfTurn("no call", "caller", "webrtc:ice-candidate", {"candidate": None}, "no_call"),
    OutOfTurn("no call", "caller", "webrtc:call-end", {}, "no_call"),
    OutOfTurn("no call", "caller", "webrtc:call-reject", {}, "no_call"),
    OutOfTurn("no call", "caller", "webrtc:call-timeout", {}, "no_call"),
    OutOfTurn("no call", "caller", "webrtc:connected", {"callId": "call_0"}, "no_call"),
    OutOfTurn("no call", "caller", "webrtc:leaving", {"callId": "call_0"}, "no_call"),
    OutOfTurn("no call", "caller", "webrtc:offer", {**OFFER, "callId": "call_0"}, "no_call"),
    OutOfTurn("ringing", "caller", "webrtc:answer", ANSWER, "no_offer"),
    OutOfTurn("ringing", "caller", "webrtc:offer", OFFER, "call_active"),
    OutOfTurn("ringing", "caller", "webrtc:offer", {**OFFER, "callId": "call_0"}, "call_active"),
    OutOfTurn("ringing", "callee", "webrtc:offer", {**OFFER, "callId": "call_0"}, "call_active"),
    OutOfTurn("talking", "caller", "webrtc:answer", ANSWER, "no_offer"),
    OutOfTurn("talking", "callee", "webrtc:answer", ANSWER, "no_offer"),
    OutOfTurn("talking", "caller", "webrtc:offer", {**OFFER, "callId": "call_0"}, "call_active"),
    OutOfTurn("talking", "callee", "webrtc:offer", {**OFFER, "callId": "call_0"}, "call_active"),
]


@pytest.mark.parametrize("bad", OUT_OF_TURN, ids=lambda bad: f"{bad.stage}: {bad.who}'s {bad.event}")
async def test_a_signal_out_of_turn_is_told_to_its_sender_alone(shared_server: RunningServer, bad: OutOfTurn) -> None:
    talk = await line(shared_server, bad.stage)
    sender = talk.caller if bad.who == "caller" else talk.callee
    await sender.emit(bad.event, bad.payload)
    error = await sender.next("webrtc:error")

    assert (set(error), error["code"]) == ({"message", "code"}, bad.code)
    await goes_on(talk, bad.stage)


async def test_a_call_is_not_connected_before_it_is_taken(shared_server: RunningServer) -> None:
    talk = await line(shared_server, "ringing")
    for sender in talk[:2]:
        await sender.emit("webrtc:connected", {"callId": talk.call_id})
        assert (await sender.next("webrtc:error"))["code"] == "no_call"

    await goes_on(talk, "ringing")


async def test_an_offer_is_answered_once(shared_server: RunningServer) -> None:
    talk = await line(shared_server, "ringing")
    await talk.callee.emit("webrtc:answer", ANSWER)
    await talk.callee.emit("webrtc:answer", ANSWER)
    assert (await talk.callee.next("webrtc:error"))["code"] == "no_offer"
    await talk.caller.next("webrtc:answer")

    await goes_on(talk, "talking")


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("webrtc:offer", OFFER),
        ("webrtc:answer", ANSWER),
        ("webrtc:ice-candidate", CANDIDATE),
        ("webrtc:call-end", {}),
        ("webrtc:call-reject", {}),
        ("webrtc:call-timeout", {}),
        ("webrtc:connected", {"callId": "call_0"}),
        ("webrtc:leaving", {"callId": "call_0"}),
    ],
)
async def test_without_a_room_there_is_nobody_to_call(
    shared_server: RunningServer, event: str, payload: object
) -> None:
    _, client = await shared_server.visitor()
    await client.emit(event, payload)

    assert (await client.next("webrtc:error"))["code"] == "not_in_room"


@pytest.mark.parametrize("stage", ["ringing", "talking"])
async def test_signals_for_another_rooms_call_go_nowhere(shared_server: RunningServer, stage: str) -> None:
    theirs, ours = await line(shared_server, stage), await line(shared_server, stage)
    strange = {"callId": theirs.call_id}
    signals: list[tuple[str, dict[str, Any]]] = [
        ("webrtc:answer", {**ANSWER, **strange}),
        ("webrtc:ice-candidate", {**CANDIDATE, **strange}),
        ("webrtc:connected", strange),
        ("webrtc:leaving", strange),
        ("webrtc:call-end", strange),
        ("webrtc:call-reject", strange),
        ("webrtc:call-timeout", strange),
    ]
    for sender in ours[:2]:
        for event, payload in signals:
            await sender.emit(event, payload)
        await sender.emit("webrtc:offer", {**OFFER, **strange})
        assert (await sender.next("webrtc:error"))["code"] == "call_active"

    await goes_on(ours, stage)
    await goes_on(theirs, stage)


async def test_an_offer_within_a_call_that_is_over_does_not_ring(shared_server: RunningServer) -> None:
    caller, callee, call_id = await line(shared_server, "talking")
    await caller.emit("webrtc:call-end", {"callId": call_id})
    await callee.next("webrtc:call-end")
    await callee.emit("webrtc:offer", {**OFFER, "callId": call_id})  # as if sent at the same time as the end
    await callee.emit("chat:typing:start")
    await caller.next("chat:typing:start")  # the first offer has been handled before the next one is sent

    await goes_on(Line(caller, callee, ""), "no call")


async def test_a_description_of_a_megabyte_closes_its_connection_and_the_call_goes_on(
    shared_server: RunningServer,
) -> None:
    (anna, caller), (_, callee), room = await shared_server.pair()
    call_id = await bring(caller, callee, "talking")
    await caller.emit("webrtc:offer", {**OFFER, "offer": description("offer", SDP + "a" * KIB * KIB)})
    await caller.gone()
    await callee.next("room:partner_away")
    back = await shared_server.connect(anna, {**room, "seq": 0})
    await back.until("room:resumed")
    await callee.next("room:partner_back")

    await goes_on(Line(back, callee, call_id), "talking")


async def test_of_ten_thousand_candidates_a_callful_passes(start_server: StartServer) -> None:
    server = await start_server(limits_scale=1000, packet_rate=1e6)
    talk = await line(server, "talking")
    sent, chunk = 0, MAX_CANDIDATES
    while sent < 10_000:
        for number in range(sent, sent + chunk):
            await talk.caller.emit("webrtc:ice-candidate", {"candidate": candidate(f"candidate {number}")})
        for number in range(sent, sent + chunk):
            if number < MAX_CANDIDATES:
                told = await talk.callee.next("webrtc:ice-candidate")
                assert told["candidate"]["candidate"] == f"candidate {number}"
            else:
                assert (await talk.caller.next("webrtc:error"))["code"] == "too_many_candidates"
        sent += chunk

    # The call continues, but accepts no more candidates.
    await talk.callee.emit("webrtc:offer", {**OFFER, "callId": talk.call_id})
    await talk.caller.next("webrtc:offer")
    await talk.caller.emit("webrtc:answer", ANSWER)
    await talk.callee.next("webrtc:answer")
    await talk.caller.emit("webrtc:call-end")
    await talk.callee.next("webrtc:call-end")


@pytest.mark.parametrize("waiting_for", ["answer", "return"])
async def test_the_largest_candidates_that_wait_do_not_drown_who_gets_them(
    start_server: StartServer, waiting_for: str
) -> None:
    server = await start_server(limits_scale=1000)
    (_, caller), (berta, callee), room = await server.pair()
    await bring(caller, callee, "ringing" if waiting_for == "answer" else "talking")
    if waiting_for == "return":
        await callee.cut()
        await caller.next("room:partner_away")
    for _ in range(MAX_CANDIDATES):
        await caller.emit("webrtc:ice-candidate", {"candidate": candidate("c" * 2 * KIB)})
    await caller.say("a barrier")
    if waiting_for == "return":
        callee = await server.connect(berta, {**room, "seq": 0})
        await callee.until("room:resumed")
    else:
        await callee.emit("webrtc:answer", ANSWER)
    came = [name for name, _ in callee.heard].count("webrtc:ice-candidate")
    while came < MAX_CANDIDATES:
        await callee.until("webrtc:ice-candidate")
        came += 1

    assert callee.is_open


@pytest.mark.parametrize("connection", ["polling", "websocket"])
async def test_who_returns_and_reads_slowly_gets_everything_that_waited(
    start_server: StartServer, connection: str
) -> None:
    """Many negotiations and the largest messages: together far more than the outbox holds."""
    server = await start_server(limits_scale=1000, packet_rate=1e6)
    (_, caller), (berta, callee), room = await server.pair()
    call_id = await bring(caller, callee, "talking")
    await callee.cut()
    await caller.next("room:partner_away")
    for round_ in range(10):
        restart = description("offer", f"{SDP}a=ice-ufrag:{round_}\r\n")
        await caller.emit("webrtc:offer", {**OFFER, "offer": restart, "callId": call_id})
        for number in range(MAX_CANDIDATES - 1):
            await caller.emit("webrtc:ice-candidate", {"candidate": candidate(f"{round_} {number:04} {'c' * 2000}")})
    for number in range(6):
        await caller.say(f"{number}{LARGE_TEXT[1:]}")
    port = int(server.url.rpartition(":")[2])
    opening = PollingClient.open(port) if connection == "polling" else WebSocketClient.open(port, receive_buffer=4096)
    async with opening as slow, asyncio.timeout(PATIENCE):
        assert str(await slow.receive()).startswith("0{")
        await slow.send("40" + json.dumps({"token": berta.token, "resume": {**room, "seq": 0}}))
        await caller.until("room:partner_back")
        await caller.emit("webrtc:ice-candidate", {"candidate": candidate("9 9999")})
        await caller.say("the last")
        numbers: list[str] = []
        texts: list[str] = []
        while len(texts) < 7 or numbers[-1:] != ["9999"]:
            packet = str(await slow.receive())
            name, payload = json.loads(packet[2:]) if packet.startswith("42") else ("", {})
            if name == "webrtc:ice-candidate":
                numbers.append(payload["candidate"]["candidate"].split()[1])
            elif name == "chat:message":
                texts.append(payload["content"])
            elif packet == "2":
                await slow.send("3")

    assert numbers == [*(f"{number:04}" for number in range(MAX_CANDIDATES - 1)), "9999"]
    assert [text[:1] for text in texts] == ["0", "1", "2", "3", "4", "5", "t"]


@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("stage", ["ringing", "connecting", "talking"])
async def test_who_does_not_come_back_ends_the_call_with_the_room(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, stage: str, who: str
) -> None:
    clock = JumpingClock()
    monkeypatch.setattr(app, "PatientClock", lambda _watch: clock)
    server = await start_server(grace=20.0, ring_timeout=30.0)
    (_, caller), (_, callee), _ = await server.pair()
    await bring(caller, callee, stage)
    gone, left = (caller, callee) if who == "caller" else (callee, caller)
    await gone.cut()
    await left.next("room:partner_away")
    clock.jump(20)
    await left.next("room:closed")

    for event, payload in (("webrtc:ice-candidate", CANDIDATE), ("webrtc:call-end", {})):
        await left.emit(event, payload)
        assert (await left.next("webrtc:error"))["code"] == "not_in_room"
    # No timer of the call may ring or end anything in the next room.
    _, newcomer = await server.visitor()
    await server.match(left, newcomer)
    await bring(left, newcomer, "ringing")
    clock.jump(29)
    await left.emit("chat:typing:start")
    await newcomer.next("chat:typing:start")  # without an earlier event: the call still rings
    clock.jump(1)
    for client in (left, newcomer):
        await client.next("webrtc:call-timeout")


@pytest.mark.parametrize("stage", ["ringing", "connecting", "talking"])
async def test_who_comes_back_in_time_finds_the_call_as_it_was(shared_server: RunningServer, stage: str) -> None:
    (_, caller), (berta, callee), room = await shared_server.pair()
    call_id = await bring(caller, callee, stage)
    await callee.cut()
    await caller.next("room:partner_away")
    back = await shared_server.connect(berta, {**room, "seq": 0})
    await back.until("room:resumed")
    await caller.next("room:partner_back")

    await goes_on(Line(caller, back, call_id), stage)


async def test_a_call_that_ended_while_its_member_was_away_ended_for_them_too(shared_server: RunningServer) -> None:
    (_, caller), (berta, callee), room = await shared_server.pair()
    first = await bring(caller, callee, "talking")
    await callee.cut()
    await caller.next("room:partner_away")
    await caller.emit("webrtc:call-end", {"callId": first})
    await caller.emit("webrtc:offer", OFFER)
    second = (await caller.next("webrtc:ringing"))["callId"]
    await caller.emit("webrtc:call-end", {"callId": second})
    await caller.say("a barrier")
    back = await shared_server.connect(berta, {**room, "seq": 0})

    assert (await back.until("webrtc:call-end"))["callId"] == first
    assert (await back.until("webrtc:call-end"))["callId"] == second
    assert "webrtc:offer" not in [name for name, _ in back.heard]


async def test_offers_that_wait_for_who_is_away_are_one(shared_server: RunningServer) -> None:
    (_, caller), (berta, callee), room = await shared_server.pair()
    call_id = await bring(caller, callee, "talking")
    await callee.cut()
    await caller.next("room:partner_away")
    large = SDP + "a=x-padding:" + "a" * (SDP_LIMIT - KIB) + "\r\n"
    for number in range(12):
        offer = description("offer", f"{large}a=x-number:{number}\r\n")
        await caller.emit("webrtc:offer", {**OFFER, "offer": offer, "callId": call_id})
    await caller.say("a barrier")
    back = await shared_server.connect(berta, {**room, "seq": 0})
    await back.until("room:resumed")
    await caller.say("another")
    await back.until("chat:message", content="another")

    offers = [payload["offer"]["sdp"] for name, payload in back.heard if name == "webrtc:offer"]
    assert len(offers) == 1
    assert offers[0].endswith("a=x-number:11\r\n")


async def test_a_flood_of_refused_signals_is_warned_of_and_then_put_out(start_server: StartServer) -> None:
    server = await start_server()
    (_, caller), (_, callee), _ = await server.pair()
    await bring(caller, callee, "talking")
    bad = json.dumps(["webrtc:offer", {**OFFER, "type": "hologram"}])
    sending = asyncio.ensure_future(_flood(caller, bad))
    await caller.gone()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)

    codes = {payload["code"] for name, payload in caller.heard if name == "webrtc:error"}
    assert codes == {"invalid_payload", "rate_limited"}
    await callee.next("room:partner_away")


async def _flood(client: Client, packet: str) -> None:
    for _ in range(2000):
        await client.send("42" + packet)
