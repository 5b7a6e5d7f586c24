"""The examples of the AsyncAPI document are what the server takes and sends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import msgspec
import pytest

from passerby.realtime.contract import INBOUND, OUTBOUND
from passerby.realtime.examples import EXAMPLES, encoded

if TYPE_CHECKING:
    from passerby.events import Event
    from passerby.models import Message
    from tests.conftest import StartServer
    from tests.support.server import RunningServer


@pytest.mark.parametrize("event", [*INBOUND, *OUTBOUND], ids=lambda event: event.__name__)
def test_every_event_has_an_example_within_its_bounds(event: type[Event | Message]) -> None:
    assert msgspec.json.decode(encoded(event), type=event) == EXAMPLES[event]


async def test_the_document_has_them_and_all_names_are_those_on_the_wire(shared_server: RunningServer) -> None:
    document = (await shared_server.http.get("/schema/asyncapi.json")).json()

    for event in (*INBOUND, *OUTBOUND):
        message = document["components"]["messages"][event.__name__]
        schema = document["components"]["schemas"][event.__name__]
        assert message["name"] == event.event
        assert [example["payload"] for example in message["examples"]] == [json.loads(encoded(event))]
        assert set(message["examples"][0]["payload"]) <= set(schema["properties"]), event
        whole = {**message["payload"], "components": document["components"]}
        jsonschema_rs.validator_for(whole).validate(message["examples"][0]["payload"])
        assert not [name for name in schema["properties"] if "_" in name]


@pytest.mark.parametrize(("headers", "protocol"), [({}, "ws"), ({"X-Forwarded-Proto": "https"}, "wss")])
async def test_the_document_names_the_server_as_the_client_has_reached_it(
    start_server: StartServer, headers: dict[str, str], protocol: str
) -> None:
    server = await start_server(trusted_proxies=("127.0.0.1",))
    answer = await server.http.get("/schema/asyncapi.json", headers={"Host": "chat.example:8443", **headers})

    told: dict[str, Any] = answer.json()["servers"]["this"]
    assert (told["host"], told["protocol"], told["pathname"]) == ("chat.example:8443", protocol, "/socket.io/")
