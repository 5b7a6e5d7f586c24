from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from passerby import app
from passerby.limits import Rate
from tests.support.conversation import JumpingClock

if TYPE_CHECKING:
    from tests.conftest import StartServer

HARDLY = 0.01
"""Refill rate a second: no tokens return during a test."""


async def test_too_many_messages_are_refused_with_the_time_to_wait(start_server: StartServer) -> None:
    server = await start_server(limit_messages=Rate(3, HARDLY))
    (_, one), (_, other), _ = await server.pair()
    for number in range(5):
        await one.emit("chat:message", {"type": "text", "content": str(number), "clientId": f"c{number}"})
    for _ in range(3):
        await one.next("chat:message:sent")
    errors = [await one.next("chat:error") for _ in range(2)]

    assert [error["clientId"] for error in errors] == ["c3", "c4"]
    for error in errors:
        assert error["code"] == "rate_limited"
        assert 0 < error["retryAfter"] <= 1 / HARDLY
    assert [(await other.until("chat:message"))["content"] for _ in range(3)] == ["0", "1", "2"]
    assert one.is_open


async def test_whoever_waits_as_told_is_let_through(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock()
    monkeypatch.setattr(app, "PatientClock", lambda _watch: clock)
    server = await start_server(limit_messages=Rate(1, HARDLY))
    (_, one), (_, other), _ = await server.pair()
    await one.say("1")
    error = await one.say("2")
    assert error["code"] == "rate_limited"
    assert 1 < error["retryAfter"] <= 1 / HARDLY

    clock.ahead += error["retryAfter"] - 1
    assert (await one.say("2"))["code"] == "rate_limited"
    clock.ahead += 1

    assert "seq" in await one.say("again")
    assert [(await other.until("chat:message"))["content"] for _ in range(2)] == ["1", "again"]


@pytest.mark.parametrize(
    ("setting", "event", "payload", "answer"),
    [
        ("limit_typing", "chat:typing:start", {}, "chat:error"),
        ("limit_events", "chat:message:delivered", {"messageId": "m"}, "chat:error"),
        ("limit_events", "get:stats", None, "get:stats:error"),
        ("limit_matching", "user:match:cancel", None, "user:match:cancel:error"),
        ("limit_matching", "user:match", None, "user:match:error"),
        ("limit_matching", "leave-room", None, "chat:error"),
        ("limit_address_events", "chat:typing:stop", {}, "chat:error"),
    ],
)
async def test_every_kind_of_event_has_a_limit(
    start_server: StartServer, setting: str, event: str, payload: object, answer: str
) -> None:
    server = await start_server(**{setting: Rate(5, HARDLY)})
    (_, one), _, _ = await server.pair()
    for _ in range(7):
        await one.emit(event, payload)

    error = await one.until(answer, code="rate_limited")

    assert error["retryAfter"] > 0
    assert one.is_open


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param('42["chat:message",{"type":"text","content":"flood"}]', id="messages"),
        pytest.param('42["chat:typing:start"]', id="typing"),
        pytest.param('42["chat:message",{"type":"text"}]', id="malformed messages"),
        pytest.param('42["nobody:knows:this",1]', id="unknown events"),
        pytest.param(r'42["nobody:knows:this","\ud800"]', id="malformed unknown events"),
        pytest.param('4277["get:stats"]', id="statistics"),
    ],
)
async def test_only_a_flood_that_goes_on_is_closed(start_server: StartServer, packet: str) -> None:
    server = await start_server(
        limit_messages=Rate(2, HARDLY),
        limit_typing=Rate(2, HARDLY),
        limit_events=Rate(2, HARDLY),
        limit_refusals=Rate(5, HARDLY),
    )
    (_, one), (_, other), _ = await server.pair()
    for _ in range(7):
        await one.send(packet)
    await one.emit("chat:clear")
    await one.until("chat:clear:confirmed")
    assert one.is_open, "warned, not closed"

    for _ in range(3):
        await one.send(packet)

    closing = await one.until("connection:closing")
    assert closing["code"] == "rate_limited"
    await other.until("room:user_left")
    assert other.is_open


async def test_a_flood_harms_nobody_else(start_server: StartServer) -> None:
    server = await start_server()
    (_, flooder), (_, victim), _ = await server.pair()
    (_, third), (_, fourth), _ = await server.pair()
    packet = "42" + json.dumps(["chat:message", {"type": "text", "content": "flood"}])
    for _ in range(300):
        await flooder.send(packet)
    await flooder.until("connection:closing")
    await third.say("calm")

    assert (await fourth.until("chat:message"))["content"] == "calm"
    assert victim.is_open


async def test_a_real_person_meets_no_limit(start_server: StartServer) -> None:
    server = await start_server()
    (_, one), (_, other), _ = await server.pair()
    for number in range(14):
        await one.emit("chat:typing:start")
        await one.say(f"quick thought {number}")
        await one.emit("chat:typing:stop")
        message = await other.until("chat:message")
        await other.emit("chat:message:delivered", {"messageId": message["id"]})
        await one.until("chat:message:delivered", messageId=message["id"])

    assert not any(name == "chat:error" for name, _ in one.heard + other.heard)


async def test_a_scale_moves_the_limits_away(start_server: StartServer) -> None:
    server = await start_server(limit_messages=Rate(3, HARDLY), limits_scale=100.0)
    (_, one), _, _ = await server.pair()

    assert all(["seq" in await one.say(str(number)) for number in range(50)])
