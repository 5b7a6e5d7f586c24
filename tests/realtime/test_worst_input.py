"""One guest's worst input costs the others nothing that they notice: no event and no request takes more than 5 ms.

Every field of every event, and every input of every route, gets the largest values of many shapes that fit. An event,
a type of field or a route that this file does not know fails the tests: its worst input has to be thought of.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import types
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import msgspec
import pytest

from passerby.http.guard import MAX_HEADERS
from passerby.realtime.contract import INBOUND, Auth
from passerby.socketio.closing import SERVER_DISCONNECT
from passerby.socketio.session import State
from passerby.socketio.websocket import _parse_head
from tests.support.worst import BOUND, BUSY, FakeTransport, Stopwatch, World, turns, world

if TYPE_CHECKING:
    from passerby.socketio.session import Session

MAX_PAYLOAD = 131_072
TEXT_LIMIT = 1000
REPEATS = 3
MORE_REPEATS = 12
"""Only for what seems slow: on a busy machine, one measurement in many is undisturbed."""
SDP = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n"


class Entry(msgspec.Struct):
    """What this file knows of an event: a valid payload, and the state in which it has the most work."""

    payload: Any
    state: str = "together"
    worst: dict[str, list[str]] = {}
    """The worst values of a field, known from its implementation."""


def offered(line: str) -> str:
    """Return the largest description of one repeated line."""
    return (SDP + f"{line}\r\n" * (65_536 // (len(line) + 2)))[: 65_536 - len(SDP)]


DESCRIPTIONS = [
    *map(
        offered,
        [
            "a=",
            "a=sendrecv",
            "c=IN IP4 192.168.1.7",
            "a=candidate:1 1 udp 1 198.51.100.3 6 typ relay",
            "a=candidate:1 1 udp 1 198.51.100.3 6 typ relay" + " a" * 32,
            "m=audio 9 UDP/TLS/RTP/SAVPF 1 2 3",
            "a=fmtp:96 " + ";".join(["L=1"] * 13),
            "a=fmtp:96 " + ";" * 52,
            "a=fmtp:96 " + "1-" * 26,
            "a=rtpmap:96 x/1",
            "a=rtpmap:96 VP8/90000",
            "a=ssrc:1 cname:" + "x" * 40,
            "a=ssrc:1 msid:" + "x" * 40,
            "a=rid:q send " + ";".join(["max-fr=1"] * 6),
            "a=simulcast:send " + "q;" * 24,
            "a=group:BUNDLE" + " 0" * 26,
            "a=extmap:1 urn:ietf:params:rtp-hdrext:toffset",
            "a=fingerprint:sha-256 " + ":".join(["AB"] * 14),
            "x=" + " " * 60,
        ],
    ),
    SDP + "a=fmtp:96 " + "1;" * 32_000,
    SDP + "a=" + "x:" * 32_000,
    SDP + "\r\n".join(f"a=fmtp:{number % 128} apt={number}" for number in range(990)),
    SDP + "m=audio 9 UDP/TLS/RTP/SAVPF" + " 1" * 32_000,
    SDP + "m=audio 9 UDP/TLS/RTP/SAVPF 1\r\n" + "a=rtpmap:1 x/1\r\na=fmtp:1 apt=1\r\n" * 490,
    SDP + "o=" + "a " * 32_000,
]
CANDIDATES = [
    "candidate:1 1 udp 1 198.51.100.3 6 typ relay" + " generation 0" * 16,
    "candidate:1 1 udp 1 198.51.100.3 6 typ relay" + " " * 2000 + "x",
    "candidate:" + " 1" * 1000,
    "candidate:1 1 udp 1 " + "1:" * 1000 + " 6 typ relay",
    "candidate:" + "x" * 2000,
]
CALL = {"callId": "call_0"}
EVENTS = {
    "user:match": Entry(
        {
            "interests": ["chess"],
            "languages": ["en"],
            "wants": {"gender": "w", "location": "Oslo"},
            "mode": "text",
            "only": True,
        },
        "alone",
    ),
    "user:match:cancel": Entry({}, "alone"),
    "chat:message": Entry({"type": "text", "content": "hello", "clientId": "c"}),
    "chat:message:delivered": Entry({"messageId": "msg_0"}),
    "chat:typing:start": Entry({}),
    "chat:typing:stop": Entry({}),
    "chat:clear": Entry({"undo": True}),
    "chat:undo": Entry({"resume": {"roomId": "guest_0_guest_1", "epoch": 1, "seq": 0}}, "alone"),
    "chat:block": Entry({}),
    "safety:report": Entry({"reason": "hate", "messages": ["msg_0"], "words": "why", "leave": False, "epoch": 1}),
    "consent:answer": Entry({"step": "links", "allowed": True}),
    "consent:open": Entry({"steps": ["links", "video"]}),
    "leave-room": Entry({}),
    "close-room": Entry({}),
    "get:stats": Entry({}),
    "webrtc:offer": Entry(
        {"type": "audio", "offer": {"type": "offer", "sdp": SDP}, "relayOnly": True},
        worst={"offer.sdp": [json.dumps(sdp) for sdp in DESCRIPTIONS]},
    ),
    "webrtc:answer": Entry(
        {"answer": {"type": "answer", "sdp": SDP}},
        "offered",
        worst={"answer.sdp": [json.dumps(sdp) for sdp in DESCRIPTIONS]},
    ),
    "webrtc:ice-candidate": Entry(
        {"candidate": {"candidate": "candidate:1 1 udp 1 198.51.100.3 6 typ relay"}},
        "calling",
        worst={"candidate.candidate": [json.dumps(text) for text in CANDIDATES]},
    ),
    "webrtc:call-end": Entry(CALL, "calling"),
    "webrtc:call-reject": Entry(CALL, "offered"),
    "webrtc:call-timeout": Entry(CALL, "offered"),
    "webrtc:connected": Entry(CALL, "calling"),
    "webrtc:leaving": Entry(CALL, "calling"),
}

# ── worst values ──────────────────────────────────────────────────────────────────────────────────

UNITS = [
    "a",
    " ",
    "/",
    "/\t",
    "http",
    ".",
    "1",
    "\u00e9",
    "\u200b",
    "\u0301",
    "\u0316\u0301",
    "\u0e01\u0e33",
    "\u0915\u094d",
    "\u1100",
    "\u1100\u1161\u11a8",
    "\U0001f1e6",
    "\U0001f1e6x",
    "\U0001f600",
    "\U0001f468\u200d",
    "\U000e0061",
    "\r\n",
    "\r",
    "\x00",
]
ESCAPED = ["\\n", "\\u00e9", "\\ud83d\\ude00", "\\ud800", "\\ud800a", "\\\\", '\\"', "\\/"]
TWO = ["a" * 8, "\u0301\u0316", "\U0001f1e6", "\u200b"]
"""Beginnings before a row of marks: one half of each, in the wrong order."""


def strings(room: int, most: int | None) -> Iterator[str]:
    """Yield JSON texts of strings: as long as the field allows and one longer, and as long as fits in a message."""
    for unit in UNITS:
        written = json.dumps(unit, ensure_ascii=False)[1:-1]
        fits = room // len(written.encode())
        for length in {fits, *((most // len(unit), most // len(unit) + 1) if most else ())}:
            yield f'"{written * min(length, fits)}"'
    for escaped in ESCAPED:
        yield f'"{escaped * (room // len(escaped))}"'
    half = room // 8
    yield '"a' + "\u0301" * half + "\u0316" * half + '"'
    if most:
        yield '"a' + "\u0301" * (most // 2) + "\u0316" * (most // 2 - 1) + '"'


def objects(room: int) -> Iterator[str]:
    """Yield JSON texts that are large in other ways than a string."""
    many = range(room // 12)
    yield "{" + ",".join(f'"{number:x}":0' for number in many) + "}"
    yield "{" + ",".join(f'"\\u{number % 0x800 + 0x100:04x}{number // 0x800}":0' for number in range(room // 14)) + "}"
    yield "{" + ",".join(['"":0'] * (room // 5)) + "}"
    yield '{"fileId":"@file@","a":' + "[" * 500 + "]" * 500 + "}"
    yield '{"fileId":"@file@","a":"' + "http" * (room // 4 - 16) + '"}'
    yield '{"fileId":"@file@","a":"' + "http" * 900 + '","b":"' + "/\\t" * 100 + '"}'
    yield '{"fileId":"@file@",' + ",".join(f'"{number:x}":0' for number in range(680)) + "}"
    yield '{"fileId":"@file@","a":[' + ",".join(["[]"] * 2700) + "]}"
    yield '{"fileId":"' + "/?" * (room // 2 - 32) + '"}'
    yield "[" + ",".join(["[]"] * (room // 3)) + "]"
    yield "[" * (room // 2) + "]" * (room // 2)
    yield '{"a":' * (room // 6) + "0" + "}" * (room // 6)
    yield "[" + ",".join(["1e999"] * (room // 6)) + "]"


def numbers(room: int) -> Iterator[str]:
    """Yield JSON texts of numbers."""
    yield from (str(1 << 53), str(1 << 63), str(1 << 64), "-1", "1e999", "1e" + "9" * (room - 2), "9" * room)
    yield "0." + "9" * (room - 2)
    yield "-" + "9" * 4300


def lists(room: int, most: int | None) -> Iterator[str]:
    """Yield JSON texts of lists: as long as the field allows and one longer, and as long as fits in a message."""
    for count in (most or 8, (most or 8) + 1):
        for unit in UNITS:
            written = json.dumps(unit, ensure_ascii=False)[1:-1]
            for length in (8, 40, room // count // len(written.encode()) - 4):
                yield "[" + ",".join([f'"{written * (length // len(unit) + 1)}"'] * count) + "]"
    yield "[" + ",".join(['"a"'] * (room // 4)) + "]"
    yield "[" + ",".join(["[]"] * (room // 3)) + "]"


def leaves(kind: Any, path: str = "") -> Iterator[tuple[str, Any, int | None]]:  # noqa: ANN401 - a type
    """Yield path, basic type and maximum length of all fields within a Struct."""
    most: int | None = None
    if get_origin(kind) is Annotated:
        kind, *metas = get_args(kind)
        most = next((meta.max_length for meta in metas if isinstance(meta, msgspec.Meta) and meta.max_length), None)
    origin = get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        for member in get_args(kind):
            for inner, basic, own in leaves(member, path):
                yield inner, basic, own or most
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind, include_extras=True)
        for field in msgspec.structs.fields(kind):
            yield from leaves(hints[field.name], f"{path}.{field.encode_name}" if path else field.encode_name)
    elif origin is Literal:
        yield path, str, None
    elif kind not in (type(None), msgspec.UnsetType):
        yield path, origin or kind, most


VALUES: dict[Any, Callable[[int, int | None], Iterator[str]]] = {
    str: strings,
    dict: lambda room, _most: objects(room),
    list: lists,
    int: lambda room, _most: numbers(room),
    bool: lambda room, _most: numbers(room),
}
"""The worst values of each type of field. A field of another type has no worst values yet: think of them."""


def put(payload: Any, path: str, value: str) -> str:  # noqa: ANN401 - any JSON
    """Return the JSON of `payload` with the JSON text `value` at `path`."""
    changed = json.loads(json.dumps(payload))
    *outer, name = path.split(".")
    inner = changed
    for key in outer:
        inner = inner[key]
    inner[name] = "@@"
    return json.dumps(changed).replace('"@@"', value)


ROOM = MAX_PAYLOAD - 512


def payloads(event: str) -> Iterator[tuple[str, str]]:
    """Yield name and JSON text of all the worst payloads of an event."""
    entry, kind = EVENTS[event], next(event_ for event_ in INBOUND if event_.event == event)
    yield "valid", json.dumps(entry.payload)
    for number, value in enumerate([*objects(ROOM), *strings(ROOM, None), *numbers(ROOM)]):
        yield f"payload {number}", value
        extra = json.dumps({**entry.payload, "other": "@@"}).replace('"@@"', value)
        yield f"an unknown field {number}", extra
    for path, basic, most in leaves(kind):
        limit = 16 * TEXT_LIMIT if (event, path) == ("chat:message", "content") else most
        for number, value in enumerate([*VALUES[basic](ROOM, limit), *entry.worst.get(path, ())]):
            payload = entry.payload | ({"type": "file"} if basic is dict else {})
            yield f"{path} {basic.__name__} {number}", put(payload, path, value)
            if event == "chat:message" and basic is dict:
                yield f"{path} late error {number}", put(payload, path, value)[:-1] + ',"clientId":7}'


def packets(event: str) -> Iterator[tuple[str, str]]:
    for name, payload in payloads(event):
        yield name, f'42["{event}",{payload}]'
        if name.startswith("payload"):
            yield f"{name}, with ack", f'4299999["{event}",{payload}]'
            yield f"{name}, cut off", f'42["{event}",{payload}'
            yield f"{name}, not the first", f'42["{event}",{{}},{payload}]'


# ── measuring ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def server() -> AsyncIterator[World]:
    async with world() as running:
        yield running


async def slowest_event(server: World, event: str, packet: str, repeats: int) -> float:
    best = float("inf")
    for _ in range(repeats):
        await server.bring(EVENTS[event].state)
        watch = Stopwatch()
        with watch.running():
            call_soon(server, packet.replace("@file@", server.file))
            await turns()
        best = min(best, watch.longest)
        if best < BOUND:
            break
    return best


def call_soon(server: World, packet: str) -> None:
    if server.anna.is_open:
        asyncio.get_running_loop().call_soon(receive_all, server.anna.session, packet)


def receive_all(session: Session, packet: str) -> None:
    if session.state is not State.CLOSED:
        session.receive_text(packet)


def test_every_event_has_an_entry() -> None:
    assert set(EVENTS) == {event.event for event in INBOUND}


@pytest.mark.parametrize("event", sorted(EVENTS))
async def test_no_event_takes_longer_than_others_notice(server: World, event: str) -> None:
    slow = {}
    for name, packet in packets(event):
        assert len(packet.encode()) <= MAX_PAYLOAD + 4096, name
        took = await slowest_event(server, event, packet, REPEATS)
        if took >= BOUND * BUSY:
            took = await slowest_event(server, event, packet, MORE_REPEATS)
        if took >= BOUND * BUSY:
            slow[name] = f"{took * 1000:.1f} ms"
    assert not slow


async def test_no_handshake_takes_longer_than_others_notice(server: World) -> None:
    await server.bring("together")
    good = {"token": server.anna.token, "resume": {"roomId": server.room_of(server.anna), "epoch": 1, "seq": 0}}
    worst = [value for room in (ROOM,) for value in (*objects(room), *strings(room, 2048), *numbers(room))]
    auths = [put(good, path, value) for path, _, _ in leaves(Auth) for value in worst]
    slow = []
    for auth in (*auths, *worst):
        took = float("inf")
        for _ in range(REPEATS):
            session = server.open_session()
            watch = Stopwatch()
            with watch.running():
                asyncio.get_running_loop().call_soon(receive_all, session, "40" + auth)
                await turns()
            session.close(SERVER_DISCONNECT)
            took = min(took, watch.longest)
        if took >= BOUND * BUSY:
            slow.append(f"{auth[:60]}: {took * 1000:.1f} ms")
    assert not slow


@pytest.mark.parametrize("line", ["a:", "X-Forwarded-For: 10.1.1.1", "a: " + "x" * 200])
def test_no_upgrade_takes_longer_than_others_notice(line: str) -> None:
    head = b"GET /?" + b"a=%41&" * 200 + b" HTTP/1.1\r\n" + f"{line}\r\n".encode() * MAX_HEADERS + b"\r\n"
    wire = FakeTransport()
    took = []
    for _ in range(REPEATS):
        began = time.thread_time()
        _parse_head(head, wire)
        took.append(time.thread_time() - began)
    assert min(took) < BOUND * BUSY


# ── HTTP ──────────────────────────────────────────────────────────────────────────────────────────

HEAD = 30_000
"""Bytes of the largest header or query; the whole head has at most HEAD_LIMIT."""
LONG = [
    "a" * HEAD,
    " " * HEAD + "a",
    "," * HEAD,
    "; a=b" * (HEAD // 5),
    ";" * HEAD,
    '"' * HEAD,
    "=" * HEAD,
    "9" * HEAD,
    "." * HEAD,
    "10.1.1.1," * (HEAD // 9),
    "1:" * (HEAD // 2),
    "%zz" * (HEAD // 3),
    "%CC%81" * (HEAD // 12) + "%CC%96" * (HEAD // 12),
    "a%CC%81" + "%F0%9F%87%A6" * (HEAD // 12),
    "%2F" * (HEAD // 3),
    "\xe9" * HEAD,
    "0-1," * (HEAD // 4),
]
HEADERS = {
    "Accept": "",
    "Accept-Encoding": "",
    "Age-Proof": "",
    "Authorization": "Bearer ",
    "Content-Type": "",
    "Cookie": "",
    "Device": "",
    "If-Modified-Since": "",
    "If-None-Match": "",
    "If-Range": "",
    "Origin": "",
    "Proof": "",
    "Range": "bytes=",
    "X-Duration": "",
    "X-File-Name": "",
    "X-Forwarded-For": "",
}
"""All headers that the server reads, and how their value begins."""
QUERIES = ["expires={}&signature=x", "expires=1&signature={}", "expires=1&signature=x&{}", "EIO=4&transport=polling&{}"]
FIELDS = [
    *["a=b&" * (HEAD // 4), "a&" * (HEAD // 2), "&" * HEAD, "a=%41&" * (HEAD // 6), "a=" + "+" * HEAD],
    "&".join(f"{number:x}=" for number in range(HEAD // 6)),
]

ROUTES = {
    ("POST", "/api/guest"): "json",
    ("GET", "/api/guest/me"): "",
    ("DELETE", "/api/guest/me"): "",
    ("GET", "/api/guest/{session_id}"): "",
    ("POST", "/api/guest/location"): "json",
    ("GET", "/api/guest/username"): "",
    ("PUT", "/api/files/{room_id}"): "file",
    ("POST", "/api/files/upload"): "form",
    ("POST", "/api/files/voice"): "form",
    ("GET", "/api/temp-files/download/{file_id}"): "",
    ("GET", "/api/temp-files/info/{file_id}"): "",
    ("GET", "/api/temp-files/temp/{file_id}"): "",
    ("GET", "/api/ice-servers"): "",
    ("GET", "/api/house"): "",
    ("GET", "/api/pages/{name}"): "",
    ("GET", "/api/age"): "",
    ("POST", "/api/reports/status"): "json",
    ("POST", "/api/appeals"): "json",
    ("POST", "/api/appeals/status"): "json",
    ("POST", "/api/moderate/session"): "json",
    ("GET", "/api/moderate/session"): "",
    ("DELETE", "/api/moderate/session"): "",
    ("GET", "/api/moderate/setup/{token}"): "",
    ("POST", "/api/moderate/setup/{token}"): "json",
    ("GET", "/api/moderate/figures"): "",
    ("GET", "/api/moderate/cases"): "",
    ("GET", "/api/moderate/cases/{case_id}"): "",
    ("POST", "/api/moderate/cases/{case_id}/viewing"): "",
    ("POST", "/api/moderate/cases/{case_id}/decisions"): "json",
    ("GET", "/api/moderate/cases/{case_id}/files/{number}"): "",
    ("GET", "/api/moderate/cases/{case_id}/export"): "",
    ("GET", "/api/moderate/appeals"): "",
    ("POST", "/api/moderate/appeals/{appeal_id}"): "json",
    ("GET", "/api/moderate/sanctions"): "",
    ("POST", "/api/moderate/sanctions/{sanction_id}/lift"): "json",
    ("GET", "/api/moderate/moderators"): "",
    ("GET", "/api/moderate/audit"): "",
    ("GET", "/api/moderate/templates"): "",
    ("GET", "/schema/asyncapi.json"): "",
    ("GET", "/health"): "",
    ("GET", "/health/live"): "",
    ("GET", "/api/version"): "",
    ("GET", "/api/limits"): "",
    ("GET", "/api/matching"): "",
    ("GET", "/api/stats/online-users"): "",
    ("GET", "/health/probe"): "",
    ("GET", "/health/ready"): "",
    ("GET", "/api/socket/stats"): "",
    ("GET", "/api/stats"): "",
    ("GET", "/"): "",
    ("HEAD", "/"): "",
    ("GET", "/schema/openapi.json"): "",
    ("GET", "/schema"): "",
    ("GET", "/schema/{path}"): "",
    ("GET", "/socket.io/"): "",
    ("POST", "/socket.io/"): "packets",
}
"""Every route, and the kind of its body."""
NOT_OF_THE_FRAMEWORK = {("GET", "/"), ("HEAD", "/"), ("GET", "/socket.io/"), ("POST", "/socket.io/")}
"""The web client's files, and polling."""


def image(head: str, unit: str) -> bytes:
    start, element = bytes.fromhex(head), bytes.fromhex(unit)
    return start + element * (65_536 // len(element))


FILES = {
    "png": image(
        "89504e470d0a1a0a 0000000d 49484452 0000000a 0000000a 0802000000 025058ea", "00000000 49444154 35af061e"
    ),
    "jpeg segments": image(
        "ffd8 ffe000104a46494600010100000100010000 ffc0001108001000100301110002110003 1100", "ffdb0002"
    ),
    "jpeg fill": image("ffd8 ffe000104a46494600010100000100010000 ffc0001108001000100301110002110003 1100", "ff"),
    "gif blocks": image("474946383961 0a000a00000000 2c000000000a000a000002", "0100"),
    "gif extensions": image("474946383961 0a000a00000000", "21f900"),
    "webp": image("52494646ffffff00 57454250 565038580a000000 00000000090000090000", "414c504800000000"),
    "mp4": image("00000018 66747970 69736f6d 00000000 69736f6d6d703432", "0000000866726565"),
    "mp4 in moov": image("00000018 66747970 69736f6d 00000000 69736f6d6d703432 00010008 6d6f6f76", "0000000875647461"),
    "webm voids": image("1a45dfa3 8b 4282 8477 65626d 4281 8101 1853806701ffffffffffffff", "ec80"),
    "webm blocks": image(
        "1a45dfa3 8b 4282 8477 65626d 4281 8101 1853806701ffffffffffffff 1f43b67501ffffffffffffff", "a380"
    ),
    "webm tracks": image(
        "1a45dfa3 8b 4282 8477 65626d 4281 8101 1853806701ffffffffffffff 1654ae6b01ffffffffffff00", "ae80"
    ),
    "wav": image("52494646ffffff00 57415645 666d742010000000 01000100401f0000803e000002001000", "4c49535400000000"),
    "mp3": image("494433040000 00000000", "fff314c4" + "00" * 20),
    "markup": b"GIF89a" + b"<" * 65_536,
}
"""Files of tiny elements, for each parser, so that a chunk of the body holds as many as possible."""
BOUNDARY = "x" * 70


Body = tuple[str, str, bytes]
"""Name, Content-Type and bytes."""


def json_bodies() -> Iterator[Body]:
    for number, text in enumerate([*objects(65_000), *strings(65_000, 64), *numbers(65_000)]):
        for name in ("username", "location", "language", "other"):
            yield f"{name} {number}", "application/json", f'{{"{name}":{text}}}'.encode(errors="replace")
        yield f"whole {number}", "application/json", text.encode(errors="replace")


def file_bodies() -> Iterator[Body]:
    for name, data in FILES.items():
        yield name, "", data


def form_bodies() -> Iterator[Body]:
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="'.encode()
    end = f"\r\n--{BOUNDARY}--".encode()
    start = part + b'roomId"\r\n\r\n' + b"@room@\r\n" + part + b'file"; filename="'
    form = f"multipart/form-data; boundary={BOUNDARY}"
    for name, data in FILES.items():
        yield name, form, start + b'a"\r\n\r\n' + data + end
    for name in ("\u0301" * 3900 + "\u0316" * 3900, '\\"' * 7900, "/" * 16_000, "%zz" * 5000):
        yield f"name {name[:2]!a}", form, start + name.encode() + b'"\r\n\r\na' + end
    yield "dispositions", form, part + b'a"' + b"; name=a" * 1900 + b"\r\n\r\na" + end
    yield "part headers", form, part + b'a"\r\n' + b"a:\r\n" * 4000 + b"\r\n" + end
    yield "lines", form, start + b'a"\r\n\r\n' + b"\r\n--" * 16_000 + end
    yield "almost the boundary", form, start + b'a"\r\n\r\n' + end[:-3] * 900 + end
    yield "boundary", f"multipart/form-data; boundary={'-' * 28_000}", b"--" + b"-" * 60_000


def packet_bodies() -> Iterator[Body]:
    for unit in (
        "6\x1e",
        "3\x1e",
        "42\x1e",
        "b\x1e",
        "bAAAA\x1e",
        '42["chat:typing:start"]\x1e',
        '42["nobody"]\x1e',
    ):
        yield f"packets {unit!a}", "text/plain", (unit * (MAX_PAYLOAD // len(unit))).encode()
    yield "base64", "text/plain", b"b" + b"A" * (MAX_PAYLOAD - 4)
    yield "CONNECT", "text/plain", b"40" + b"[" * 60_000
    yield "namespace", "text/plain", b"40/" + b"," * 130_000


BODIES: dict[str, Callable[[], Iterator[Body]]] = {
    "": lambda: iter(()),
    "json": json_bodies,
    "file": file_bodies,
    "form": form_bodies,
    "packets": packet_bodies,
}
"""The worst bodies of each kind."""


def requests(method: str, path: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the worst requests to a route, with placeholders (`filled`)."""
    kind = ROUTES[method, path]
    own = path.replace("{room_id}", "@room@").replace("{file_id}", "@file@")
    own = own.replace("{session_id}", "@session@")
    own = re.sub(r"\{(number|[a-z]+_id)\}", "1", own)
    own = re.sub(r"\{[a-z]+\}", "x", own)
    if own == "/socket.io/":
        own += "?EIO=4&transport=polling" + ("&sid=@poller@" if method == "POST" else "")
    token = "Authorization: Bearer @token@"

    def head(target: str, *lines: str, body: bytes = b"a" if kind == "file" else b"") -> bytes:
        written = (f"{method} {target} HTTP/1.1", "Host: h", *lines, f"Content-Length: {len(body)}", "", "")
        return "\r\n".join(written).encode("latin-1", "replace") + body

    yield "valid", head(own, token)
    yield "many headers", head(own, token, *["a:"] * (MAX_HEADERS - 8))
    yield "too many headers", head(own, token, *["a:"] * 7000)
    yield "many forwarded", head(own, token, *["X-Forwarded-For: 10.1.1.1"] * (MAX_HEADERS - 8))
    for header, start in HEADERS.items():
        lines = [] if header == "Authorization" else [token]
        for number, value in enumerate(LONG):
            yield f"{header} {number}", head(own, *lines, f"{header}: {start}{value}"[:HEAD])
    for number, value in enumerate(LONG):
        yield f"path {number}", head((path.partition("{")[0] + value)[:HEAD], token)
        yield f"absolute target {number}", head(f"http://{value}"[:HEAD], token)
        for query in QUERIES:
            yield f"{query} {number}", head(f"{own}?{query.format(value)}"[:HEAD])
    for number, value in enumerate(FIELDS):
        for query in QUERIES:
            yield f"{query} fields {number}", head(f"{own}?{query.format(value)}"[:HEAD])
    for name, content_type, body in BODIES[kind]():
        yield f"body {name}", head(own, token, f"Content-Type: {content_type}", body=body)


def filled(server: World, raw: bytes) -> bytes:
    """Return a request with what exists now in place of `@file@` and the like."""
    head, end, body = raw.partition(b"\r\n\r\n")
    values = {
        "room": server.room_of(server.anna) or "",
        "file": server.file,
        "session": server.anna.guest.session_id,
        "token": server.anna.token,
    }
    for name, value in values.items():
        mark = f"@{name}@".encode()
        head, body = head.replace(mark, value.encode()), body.replace(mark, value.encode())
    if b"@poller@" in head:
        head = head.replace(b"@poller@", server.poller().encode())
    head = re.sub(rb"Content-Length: [0-9]+$", b"Content-Length: %d" % len(body), head)
    return head + end + body


async def slowest_request(server: World, raw: bytes, repeats: int) -> float:
    best = float("inf")
    for _ in range(repeats):
        await server.bring("together")
        watch = Stopwatch()
        await server.request(filled(server, raw), watch)
        best = min(best, watch.longest)
        if best < BOUND:
            break
    return best


async def test_every_route_has_an_entry(server: World) -> None:
    routes = {
        (method, route.path_format)
        for route in server.application.http.routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS"
    }

    assert routes == set(ROUTES) - NOT_OF_THE_FRAMEWORK


@pytest.mark.parametrize(("method", "path"), sorted(ROUTES))
async def test_no_request_takes_longer_than_others_notice(server: World, method: str, path: str) -> None:
    slow = {}
    for name, raw in requests(method, path):
        took = await slowest_request(server, raw, REPEATS)
        if took >= BOUND * BUSY:
            took = await slowest_request(server, raw, MORE_REPEATS)
        if took >= BOUND * BUSY:
            slow[name] = f"{took * 1000:.1f} ms"
    assert not slow
