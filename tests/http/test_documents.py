from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from passerby.errors import Code
from passerby.http.examples import EXAMPLES
from passerby.realtime.contract import INBOUND, OUTBOUND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import RunningServer

ROUTES = {
    ("post", "/api/guest"),
    ("get", "/api/guest/username"),
    ("get", "/api/guest/me"),
    ("delete", "/api/guest/me"),
    ("get", "/api/guest/{session_id}"),
    ("post", "/api/guest/location"),
    ("get", "/api/stats"),
    ("get", "/api/stats/online-users"),
    ("get", "/api/socket/stats"),
    ("get", "/api/matching"),
    ("get", "/health"),
}
NEED_A_TOKEN = {
    ("get", "/api/guest/me"),
    ("delete", "/api/guest/me"),
    ("post", "/api/guest/location"),
    ("get", "/api/stats"),
    ("get", "/api/stats/online-users"),
}

# The contract's table of events, without calls.
FROM_CLIENTS = {
    "user:match",
    "user:match:cancel",
    "chat:message",
    "chat:message:delivered",
    "chat:typing:start",
    "chat:typing:stop",
    "chat:clear",
    "chat:undo",
    "leave-room",
    "close-room",
    "get:stats",
}
TO_CLIENTS = {
    "connection:established",
    "realtime:stats",
    "user:match:searching",
    "user:match:no_users",
    "user:matched",
    "user:match:error",
    "user:match:cancelled",
    "user:match:cancel:error",
    "room:user_joined",
    "chat:message:sent",
    "chat:error",
    "chat:message",
    "chat:message:delivered",
    "chat:typing:start",
    "chat:typing:stop",
    "chat:clear:confirmed",
    "chat:undo:error",
    "room:user_left",
    "room:restored",
    "chat:cleared",
    "room:partner_away",
    "room:partner_back",
    "room:closed",
    "room:resumed",
    "session:renewed",
}


@pytest.fixture
async def openapi(shared_server: RunningServer) -> dict[str, Any]:
    answer = await shared_server.http.get("/schema/openapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


@pytest.fixture
async def asyncapi(shared_server: RunningServer) -> dict[str, Any]:
    answer = await shared_server.http.get("/schema/asyncapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


def nodes(value: object) -> Iterator[dict[str, Any]]:
    """Yield every object of a document."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from nodes(item)


def resolve(document: dict[str, Any], reference: str) -> Any:  # noqa: ANN401 - any part of a document
    assert reference.startswith("#/")
    value: Any = document
    for step in reference[2:].split("/"):
        value = value[step.replace("~1", "/").replace("~0", "~")]
    return value


@pytest.mark.parametrize("path", ["/schema/openapi.json", "/schema/asyncapi.json"])
async def test_every_reference_leads_somewhere(shared_server: RunningServer, path: str) -> None:
    document = (await shared_server.http.get(path)).json()
    references = [node["$ref"] for node in nodes(document) if isinstance(node.get("$ref"), str)]

    assert references
    for reference in references:
        assert resolve(document, reference)


async def test_openapi_has_every_route_of_the_contract_and_who_may_use_it(openapi: dict[str, Any]) -> None:
    assert openapi["openapi"].startswith("3.1")
    assert openapi["info"]["title"] == "Passerby"
    operations = {
        (method, path): operation
        for path, item in openapi["paths"].items()
        for method, operation in item.items()
        if method in {"get", "post", "put", "delete", "patch"}
    }
    assert set(operations) >= ROUTES
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)
    schemes = openapi["components"]["securitySchemes"]
    assert schemes["token"]["scheme"] == "bearer"
    for key in ROUTES:
        operation = operations[key]
        assert operation["summary"]
        assert any(status.startswith("2") for status in operation["responses"])
        assert (operation["security"] == [{"token": []}]) is (key in NEED_A_TOKEN), key
    assert "201" in operations["post", "/api/guest"]["responses"]


async def test_openapi_tells_how_each_route_refuses(openapi: dict[str, Any]) -> None:
    for path, item in openapi["paths"].items():
        for method, operation in item.items():
            answers = operation["responses"]
            assert ("429" in answers) is (path not in ("/health", "/health/live", "/health/ready")), (method, path)
            if {} not in (operation["security"] or [{}]):
                assert "401" in answers, (method, path)
            for status in answers:
                if status >= "400":  # also `default`
                    schema = answers[status]["content"]["application/json"]["schema"]
                    assert set(resolve(openapi, schema["$ref"])["required"]) == {"success", "message", "code"}
                    assert answers[status]["description"]
    uploads = openapi["paths"]["/api/files/upload"]["post"]["responses"]
    assert set(uploads) == {"201", "400", "401", "403", "408", "409", "413", "415", "429", "503", "507", "default"}
    assert {"200", "206", "304", "416"} <= set(openapi["paths"]["/api/temp-files/temp/{file_id}"]["get"]["responses"])


async def test_openapi_shows_the_envelope_and_the_bounds(openapi: dict[str, Any]) -> None:
    answer = openapi["paths"]["/api/guest"]["post"]["responses"]["201"]["content"]["application/json"]["schema"]
    envelope = resolve(openapi, answer["$ref"]) if "$ref" in answer else answer
    assert {"success", "data"} <= set(envelope["properties"])
    body = openapi["paths"]["/api/guest"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    text = str([resolve(openapi, node["$ref"]) for node in nodes(body) if "$ref" in node] or body)
    assert "username" in text
    assert "'maxLength': 20" in text


async def test_openapi_tells_what_the_console_needs_and_who_needs_nothing(openapi: dict[str, Any]) -> None:
    for path, item in openapi["paths"].items():
        for method, operation in item.items():
            needs = operation["security"]
            if not path.startswith("/api/moderate/"):
                assert needs in ([], [{"token": []}], [{}, {"token": []}]), (method, path)
            elif path == "/api/moderate/setup/{token}" or (method, path) == ("post", "/api/moderate/session"):
                assert needs == [], (method, path)
            else:
                assert needs == [{"moderator": []} if method == "get" else {"moderator": [], "csrf": []}], (
                    method,
                    path,
                )
    assert openapi["paths"]["/api/guest"]["post"]["security"] == [{}, {"token": []}]


async def test_openapi_knows_types_of_bodies_and_which_are_optional(openapi: dict[str, Any]) -> None:
    paths = openapi["paths"]
    assert paths["/api/guest"]["post"]["requestBody"]["required"] is False
    assert paths["/api/reports/status"]["post"]["requestBody"]["required"] is True
    assert set(paths["/api/files/{room_id}"]["put"]["requestBody"]["content"]) == {"application/octet-stream", "*/*"}
    for path in ("/api/temp-files/temp/{file_id}", "/api/temp-files/download/{file_id}"):
        answers = paths[path]["get"]["responses"]
        for status in ("200", "206"):
            assert set(answers[status]["content"]) == {"application/octet-stream", "*/*"}
        assert "Content-Range" in answers["206"]["headers"]
        assert "content" not in answers["304"]
    assert set(paths["/api/moderate/cases/{case_id}/export"]["get"]["responses"]["200"]["content"]) == {
        "application/zip"
    }


async def test_operation_ids_are_names_and_schemas_tell_of_no_module(openapi: dict[str, Any]) -> None:
    identifiers = [operation["operationId"] for item in openapi["paths"].values() for operation in item.values()]

    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", name) for name in identifiers), identifiers
    assert all(re.fullmatch(r"[A-Za-z]+", name) for name in openapi["components"]["schemas"])
    assert set(openapi["components"]["schemas"]["Code"]["enum"]) == {code.value for code in Code}


def test_bodies_have_examples_within_their_bounds() -> None:
    for kind, example in EXAMPLES.items():
        assert msgspec.json.decode(msgspec.json.encode(example), type=kind) == example


async def test_asyncapi_has_every_event_of_the_contract(asyncapi: dict[str, Any]) -> None:
    def names(operation: str) -> set[str]:
        found = set()
        for message in asyncapi["operations"][operation]["messages"]:
            in_channel = resolve(asyncapi, message["$ref"])
            found.add(resolve(asyncapi, in_channel["$ref"])["name"])
        return found

    assert asyncapi["asyncapi"] == "3.0.0"
    assert names("receive") == {event.event for event in INBOUND}
    assert names("send") == {event.event for event in OUTBOUND}
    assert names("receive") >= FROM_CLIENTS
    assert names("send") >= TO_CLIENTS


async def test_every_asyncapi_message_has_a_payload_and_says_what_it_is(asyncapi: dict[str, Any]) -> None:
    for message in asyncapi["components"]["messages"].values():
        assert message["summary"]
        schema = resolve(asyncapi, message["payload"]["$ref"])
        assert schema["type"] == "object"


def test_no_two_events_of_one_direction_share_a_name() -> None:
    for events in (INBOUND, OUTBOUND):
        assert len({event.event for event in events}) == len(events)
