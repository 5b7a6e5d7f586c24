"""Every event is acknowledged, if the client asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jsonschema_rs
import msgspec
import pytest

from passerby.chat.events import ChatError
from passerby.errors import Code
from passerby.limits import Rate
from passerby.realtime.asyncapi import asyncapi
from passerby.realtime.contract import ANSWERS, INBOUND
from passerby.realtime.examples import EXAMPLES

if TYPE_CHECKING:
    from passerby.events import Event
    from tests.conftest import StartServer
    from tests.support.server import InsideServer

DOCUMENT = asyncapi()


def check(event: type[Event], answer: object) -> None:
    """Raise ValidationError if the document says that an acknowledgement of `event` is otherwise."""
    told = DOCUMENT["components"]["messages"][event.__name__]["x-ack"]
    jsonschema_rs.validator_for({"components": DOCUMENT["components"], **told}).validate(answer)


@pytest.mark.parametrize("event", INBOUND, ids=lambda event: event.event)
async def test_every_event_is_acknowledged_in_a_conversation_and_without_one(
    server: InsideServer, event: type[Event]
) -> None:
    (_, alone), ((_, one), _, _) = await server.visitor(), await server.pair()

    for client in (alone, one):
        answer = await client.ask(event.event, msgspec.to_builtins(EXAMPLES[event]))
        check(event, answer)
        if "code" in answer:
            assert answer["message"]
        elif event.event in ANSWERS:
            msgspec.convert(answer, ANSWERS[event.event])
        else:
            assert answer == {}


@pytest.mark.parametrize("event", INBOUND, ids=lambda event: event.event)
async def test_an_event_without_its_argument_is_acknowledged_too(server: InsideServer, event: type[Event]) -> None:
    (_, one), _, _ = await server.pair()

    answer = await one.ask(event.event)

    check(event, answer)
    assert answer == {} or {"message", "code"} <= answer.keys()


@pytest.mark.parametrize("event", INBOUND, ids=lambda event: event.event)
def test_the_document_tells_acceptance_and_refusal_apart(event: type[Event]) -> None:
    answer = ANSWERS.get(event.event)
    accepted = {} if answer is None else msgspec.to_builtins(EXAMPLES[answer])
    refused = msgspec.to_builtins(ChatError(message="Not now", code=Code.RATE_LIMITED, retry_after=1.5, client_id="c"))

    for good in (accepted, refused):
        check(event, good)
    wrong: tuple[object, ...] = ({"message": "no code"}, {"code": "rate_limited"}, [], None)
    for bad in wrong:
        with pytest.raises(jsonschema_rs.ValidationError):
            check(event, bad)


async def test_what_succeeds_is_acknowledged_after_its_answer(server: InsideServer) -> None:
    _, client = await server.visitor()

    assert await client.ask("user:match") == {}
    assert next(name for name, _ in client.heard if name.startswith("user:match")) == "user:match:searching"
    assert await client.ask("user:match:cancel") == {}
    assert (await client.ask("user:match:cancel"))["code"] == "not_searching"
    assert await client.ask("leave-room") == {}
    assert await client.ask("get:stats") == {}


async def test_an_unknown_event_is_acknowledged_and_changes_nothing(server: InsideServer) -> None:
    _, client = await server.visitor()

    assert await client.ask("nobody:knows:this", 1) == {"message": "There is no such event", "code": "not_found"}
    await client.send('427[""]')
    await client.ask("get:stats")
    assert client.answers[7][0]["code"] == "not_found"
    assert not [name for name, _ in client.heard if name.endswith("error")]


async def test_a_refusal_by_the_rate_limit_is_acknowledged(start_server: StartServer) -> None:
    server = await start_server(limit_events=Rate(4, 0.01))
    _, client = await server.visitor()

    answers = [await client.ask(name) for name in ("get:stats", "nobody:knows:this") * 8]

    assert [answer["code"] for answer in answers[-2:]] == ["rate_limited", "rate_limited"]
