from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from passerby import __version__
from passerby.limits import Rate
from passerby.nodes.bus import VERSION

if TYPE_CHECKING:
    from tests.conftest import StartServer
    from tests.support.server import InsideServer, RunningServer

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_health_says_that_all_is_well(shared_server: RunningServer) -> None:
    answer = await shared_server.http.get("/health")

    assert answer.status_code == 200
    body = answer.json()
    assert body["success"] is True
    assert (body["data"]["status"], body["data"]["version"]) == ("ok", __version__)
    assert body["data"]["uptime"] >= 0


async def test_health_is_never_limited(start_server: StartServer) -> None:
    server = await start_server(limit_address_requests=Rate(1, 0.001))

    assert {(await server.http.get("/health")).status_code for _ in range(5)} == {200}


async def test_the_counts(server: InsideServer) -> None:
    (anna, _), _, _ = await server.pair()
    await server.visitor()
    await server.newcomer()

    answer = await server.http.get("/api/stats", headers=anna.headers)

    assert answer.status_code == 200
    body = answer.json()
    assert body["success"] is True
    data = body["data"]
    assert set(data) == {"stats", "onlineUsers", "timestamp"}
    assert set(data["stats"]) == {"totalUsers", "onlineUsers", "activeUsers", "availableUsers", "connectedUsers"}
    assert (data["stats"]["totalUsers"], data["stats"]["onlineUsers"]) == (4, 3)
    assert (data["stats"]["availableUsers"], data["stats"]["connectedUsers"]) == (1, 1)
    assert TIMESTAMP.fullmatch(data["timestamp"])
    assert len(data["onlineUsers"]) == 3


async def test_who_is_online(start_server: StartServer) -> None:
    server = await start_server(online_sample=2)
    visitors = [await server.visitor() for _ in range(4)]
    (anna, _) = visitors[0]

    answer = await server.http.get("/api/stats/online-users", headers=anna.headers)

    assert answer.status_code == 200
    data = answer.json()["data"]
    assert set(data) == {"onlineUsers", "count", "timestamp"}
    assert data["count"] == 4
    assert [user["id"] for user in data["onlineUsers"]] == [visitors[3][0].id, visitors[2][0].id]
    assert set(data["onlineUsers"][0]) == {
        "id",
        "username",
        "isOnline",
        "isSearching",
        "lastSeen",
        "location",
        "gender",
        "language",
        "isGuest",
    }
    assert not any(account.session_id in answer.text or account.token in answer.text for account, _ in visitors)


async def test_the_connections_of_this_process(server: InsideServer) -> None:
    await server.pair()
    await server.visitor()
    await server.http.get("/socket.io/?EIO=4&transport=polling")

    answer = await server.http.get("/api/socket/stats")

    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "data": {"connections": 4, "websocket": 3, "polling": 1, "guests": 3, "rooms": 1, "waiting": 0},
    }


@pytest.mark.parametrize("path", ["/api/nothing", "/nothing", "/nothing/at/all.js"])
async def test_what_is_not_there_is_not_found(shared_server: RunningServer, path: str) -> None:
    answer = await shared_server.http.get(path)

    assert answer.status_code == 404
    assert answer.json() == {"success": False, "message": "Not Found", "code": "not_found"}


async def test_a_method_that_does_not_fit_is_refused(shared_server: RunningServer) -> None:
    answer = await shared_server.http.put("/api/guest", json={})

    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"


async def test_every_answer_guards_the_browser(shared_server: RunningServer) -> None:
    for path in ("/health", "/api/guest/me", "/api/nothing", "/schema/openapi.json"):
        headers = (await shared_server.http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "server" not in headers


# ── CORS ──────────────────────────────────────────────────────────────────────────────────────────

FRIEND = "https://chat.example"
STRANGER = "https://evil.example"


async def test_without_a_list_no_other_origin_is_let_in(shared_server: RunningServer) -> None:
    answer = await shared_server.http.post("/api/guest", headers={"Origin": STRANGER})
    assert "access-control-allow-origin" not in answer.headers

    answer = await shared_server.http.get("/socket.io/?EIO=4&transport=polling", headers={"Origin": STRANGER})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_a_listed_origin_is_let_in_and_others_are_not(start_server: StartServer) -> None:
    server = await start_server(cors_origin=(FRIEND,))
    for path in ("/api/guest/username", "/socket.io/?EIO=4&transport=polling"):
        answer = await server.http.get(path, headers={"Origin": FRIEND})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert answer.headers["access-control-allow-credentials"] == "true", "the same as for long polling"
        answer = await server.http.get(path, headers={"Origin": STRANGER})
        assert answer.headers.get("access-control-allow-origin") is None


async def test_a_refusal_can_be_read_by_a_listed_origin(start_server: StartServer) -> None:
    server = await start_server(cors_origin=(FRIEND,))

    answer = await server.http.get("/api/guest/me", headers={"Origin": FRIEND})

    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert answer.headers["access-control-expose-headers"] == "Device, Request-Id, Retry-After"


async def test_a_listed_origin_may_send_a_token(start_server: StartServer) -> None:
    server = await start_server(cors_origin=(FRIEND,))
    ask = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization, content-type"}

    answer = await server.http.options("/api/guest/me", headers={"Origin": FRIEND, **ask})
    assert answer.is_success
    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert "authorization" in answer.headers["access-control-allow-headers"].lower() or (
        answer.headers["access-control-allow-headers"] == "*"
    )
    assert "DELETE" in answer.headers["access-control-allow-methods"]

    answer = await server.http.options("/api/guest/me", headers={"Origin": STRANGER, **ask})
    assert answer.headers.get("access-control-allow-origin") is None


@pytest.mark.parametrize("origin", [STRANGER, "null"])
async def test_a_preflight_of_an_unlisted_origin_is_refused_with_a_code(start_server: StartServer, origin: str) -> None:
    server = await start_server(cors_origin=(FRIEND,))
    ask = {"Origin": origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-tenant"}

    for path in ("/api/guest/me", "/api/nothing"):
        answer = await server.http.options(path, headers=ask)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
        assert answer.json() == {"success": False, "message": "Disallowed CORS Origin", "code": "origin_forbidden"}
        assert answer.headers["cache-control"] == "no-store"
        assert not [name for name in answer.headers if name.startswith("access-control-")]

    answer = await server.http.options("/socket.io/", headers=ask)
    assert (answer.status_code, answer.json()["reason"]) == (403, "origin_forbidden")


async def test_a_preflight_is_refused_to_nobody_if_all_are_listed(start_server: StartServer) -> None:
    server = await start_server(cors_origin=("*",))
    ask = {"Origin": STRANGER, "Access-Control-Request-Method": "DELETE"}

    assert (await server.http.options("/api/guest/me", headers=ask)).is_success


async def test_the_same_origin_needs_no_list(shared_server: RunningServer) -> None:
    answer = await shared_server.http.get("/socket.io/?EIO=4&transport=polling", headers={"Origin": shared_server.url})

    assert answer.status_code == 200


# ── the web client ────────────────────────────────────────────────────────────────────────────────


async def test_the_api_is_never_shadowed_by_the_clients_files(shared_server: RunningServer) -> None:
    for path in ("/api/guest/me", "/api/stats"):
        assert (await shared_server.http.get(path)).headers["content-type"].startswith("application/json")


async def test_nothing_outside_of_the_clients_files_is_served(shared_server: RunningServer) -> None:
    for path in ("/../app.py", "/%2e%2e/app.py", "/..%2fsettings.py", "/assets/../../app.py", "/static/../app.py"):
        answer = await shared_server.http.get(path)
        assert answer.status_code in {400, 404}
        assert "import" not in answer.text


async def test_the_version_names_what_it_shares_with_others(server: InsideServer) -> None:
    answer = await server.http.get("/api/version")
    assert answer.status_code == 200
    assert answer.json()["data"] == {
        "version": __version__,
        "frames": VERSION,
        "database": "0001",
        "schema": {"openapi": "/schema/openapi.json", "asyncapi": "/schema/asyncapi.json"},
    }
    for path in answer.json()["data"]["schema"].values():
        assert (await server.http.get(path)).json()["info"]["version"] == __version__


async def test_the_revision_is_that_of_a_database_that_was_made(server: InsideServer) -> None:
    database = server.application.services.adapters.kept.database
    async with database.read() as session:
        found = await session.connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        assert [row[0] for row in found] == [database.revision]


async def test_paths_are_those_of_the_site_and_there_may_be_no_database(start_server: StartServer) -> None:
    server = await start_server(root_path="/chat", database_url="none")
    data = (await server.http.get("/chat/api/version")).json()["data"]
    assert data["database"] is None
    for path in data["schema"].values():
        assert (await server.http.get(path)).status_code == 200


async def test_it_is_alive_while_it_is_not_ready(server: InsideServer) -> None:
    for path in ("/health", "/health/live", "/health/ready"):
        assert (await server.http.get(path)).status_code == 200
    server.application.services.farewell._closes_at = 1e9
    ready = await server.http.get("/health/ready")
    assert (ready.status_code, ready.json()["message"]) == (503, "Not available now: new guests")
    for path in ("/health", "/health/live"):
        assert (await server.http.get(path)).json()["data"]["status"] == "ok"
