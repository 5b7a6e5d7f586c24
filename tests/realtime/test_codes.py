"""Every error, refusal and close reason for clients has a code in `Code`, which both schemas contain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from passerby.errors import Code
from passerby.realtime.asyncapi import asyncapi
from passerby.realtime.closings import CLOSINGS
from passerby.schema import json_schema
from passerby.socketio import CLOSINGS as SOCKETIO
from passerby.socketio import Closing, handshake, polling
from passerby.socketio.frames import CloseCode
from tests.support.client import Client, RefusedError
from tests.support.failing import Failing

if TYPE_CHECKING:
    import httpx

    from tests.conftest import StartServer
    from tests.support.server import RunningServer

CODES = {code.value for code in Code}


def test_both_schemas_hold_the_enumeration() -> None:
    components = asyncapi()["components"]["schemas"]
    for schema in (components["Code"], json_schema()["$defs"]["Code"]):
        assert set(schema["enum"]) == CODES
    for event in ("ChatError", "MatchError", "MatchCancelError", "StatsError", "CallError", "ConnectionClosing"):
        assert components[event]["properties"]["code"]["$ref"].endswith("/Code"), event


async def test_openapi_holds_the_enumeration(shared_server: RunningServer) -> None:
    document = (await shared_server.http.get("/schema/openapi.json")).json()
    failure = document["components"]["schemas"]["Failure"]["properties"]["code"]
    schema = document["components"]["schemas"][failure["$ref"].rpartition("/")[2]] if "$ref" in failure else failure

    assert set(schema["enum"]) == CODES


def test_every_closing_is_in_one_table() -> None:
    assert set(CLOSINGS) <= set(Code)
    assert {closing.code for closing in SOCKETIO} <= set(CLOSINGS)
    assert asyncapi()["x-closings"] == [
        {"code": code, "websocket": closing.websocket, "meaning": closing.meaning, "comeBack": closing.come_back}
        for code, closing in CLOSINGS.items()
    ]


@pytest.mark.parametrize("code", ["", "two words", "Capital", "x" * 65, "line\n"])
def test_a_closing_has_a_code_that_stands_in_a_close_frame(code: str) -> None:
    with pytest.raises(ValueError, match="code of a closing"):
        Closing(code, CloseCode.NORMAL, come_back=True, meaning="no")


REFUSALS = [
    value for module in (handshake, polling) for value in vars(module).values() if isinstance(value, handshake.Refusal)
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.code)
def test_every_refusal_of_a_handshake_has_a_code(refusal: handshake.Refusal) -> None:
    assert refusal.code in CODES
    assert json.loads(refusal.body()) == {
        "code": refusal.number,
        "message": refusal.message,
        "reason": refusal.code,
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "?transport=polling", 400, "protocol_unsupported"),
        ("GET", "?EIO=4&transport=pigeon", 400, "transport_unknown"),
        ("GET", "?EIO=4&transport=polling&sid=unknown", 400, "connection_unknown"),
        ("POST", "?EIO=4&transport=polling", 400, "bad_method"),
        ("GET", "?EIO=4&transport=websocket", 400, "bad_request"),
    ],
)
async def test_a_handshake_is_refused_with_a_code(
    shared_server: RunningServer, method: str, path: str, status: int, reason: str
) -> None:
    answer = await shared_server.http.request(method, f"/socket.io/{path}")

    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


async def test_a_foreign_page_is_refused_with_a_code(shared_server: RunningServer) -> None:
    answer = await shared_server.http.get(
        "/socket.io/?EIO=4&transport=polling", headers={"Origin": "https://elsewhere.example"}
    )

    assert (answer.status_code, answer.json()["reason"]) == (403, "origin_forbidden")


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        ({}, "token_required"),
        ({"token": ""}, "token_required"),
        ({"token": "nonsense"}, "token_invalid"),
        ({"token": 7}, "invalid_payload"),
    ],
)
async def test_a_connect_is_refused_with_a_code(
    shared_server: RunningServer, auth: dict[str, object], code: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        await Client.connect(shared_server.url, auth)

    assert refused.value.data["code"] == code


async def test_a_connect_that_fails_is_refused_with_a_code(start_server: StartServer) -> None:
    server = await start_server()
    account = await server.newcomer()
    Failing(server.application.services.guests, "live")

    with pytest.raises(RefusedError, match="Internal server error") as refused:
        await server.connect(account)

    assert refused.value.data == {"code": "internal"}
    await server.connect(account)


async def test_a_session_that_cannot_be_read_is_to_be_tried_again(start_server: StartServer) -> None:
    server = await start_server()
    account = await server.newcomer()
    store = server.application.services.adapters.store
    Failing(store, "load", error=ConnectionResetError())
    with pytest.raises(RefusedError, match="Not available now: sessions") as refused:
        await server.connect(account)
    assert refused.value.data == {"code": "unavailable", "retryAfter": 2}

    for method, path in (("GET", "/api/guest/me"), ("DELETE", "/api/guest/me"), ("GET", "/api/stats")):
        Failing(store, "load", error=TimeoutError())
        answer = await server.http.request(method, path, headers=account.headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json() == {
            "success": False,
            "message": "Not available now: sessions",
            "code": "unavailable",
            "retryAfter": 2,
        }
    await server.connect(account)


def codes_of(answer: httpx.Response) -> Any:  # noqa: ANN401 - any JSON
    return answer.json()["code"]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/nothing", "not_found"),
        ("GET", f"/{'a' * 300}", "not_found"),
        ("GET", f"/assets/{'a/' * 3000}", "not_found"),
        ("PATCH", "/api/guest", "method_not_allowed"),
        ("GET", "/api/guest/me", "token_required"),
        ("GET", "/api/guest/unknown-session", "session_not_found"),
        ("GET", "/api/temp-files/temp/unknown", "file_not_found"),
        ("PUT", "/api/files/room", "token_required"),
        ("GET", "/api/ice-servers", "token_required"),
    ],
)
async def test_a_request_is_refused_with_a_code(
    shared_server: RunningServer, method: str, path: str, code: str
) -> None:
    assert codes_of(await shared_server.http.request(method, path)) == code
