from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from passerby.limits import Rate
from tests.support.client import PATIENCE
from tests.support.server import SECRET, InsideServer, RunningServer

if TYPE_CHECKING:
    import httpx

    from tests.conftest import StartServer


def failure(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check the envelope of an error and return it."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body["success"] is False
    assert body["code"] == code
    assert isinstance(body["message"], str)
    assert body["message"]
    assert set(body) <= {"success", "message", "code", "errors", "retryAfter"}
    assert "Traceback" not in answer.text
    return body


# ── creating a session ────────────────────────────────────────────────────────────────────────────


async def test_a_session_begins_with_what_was_given(shared_server: RunningServer) -> None:
    answer = await shared_server.http.post(
        "/api/guest",
        json={"username": "Cool_Panda_1", "location": "Lima", "gender": "female", "language": "es-PE"},
    )

    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"success", "message", "data"}
    assert body["success"] is True
    assert set(body["data"]) == {"token", "user", "device"}
    user = body["data"]["user"]
    assert re.fullmatch(r"guest_[0-9a-z]+", user.pop("id"))
    assert len(user.pop("sessionId")) >= 20
    assert user == {
        "username": "Cool_Panda_1",
        "isGuest": True,
        "location": "Lima",
        "gender": "female",
        "language": "es-PE",
    }


async def test_a_session_in_place_of_another_knows_whom_the_guest_has_met(start_server: StartServer) -> None:
    server = await start_server()
    (anna, _), (berta, _), _ = await server.pair()
    answer = await server.http.post("/api/guest", headers=anna.headers)

    user = answer.json()["data"]["user"]
    found = await server.application.services.guests.find(user["sessionId"])
    assert found is not None
    assert [meeting.guest_id for meeting in found.met] == [berta.id]
    assert user["id"] != anna.id


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic YTpi"])
async def test_a_token_of_nobody_makes_a_session_as_any(shared_server: RunningServer, header: str) -> None:
    answer = await shared_server.http.post("/api/guest", headers={"Authorization": header})

    assert answer.status_code == 201


async def test_sessions_have_a_limit_and_one_that_ends_makes_room(start_server: StartServer) -> None:
    server = await start_server(sessions_limit=3)
    accounts = [await server.newcomer() for _ in range(3)]

    refused = failure(await server.http.post("/api/guest"), 503, "unavailable")
    assert refused["retryAfter"] == 30
    client = await server.connect(accounts[0])
    await client.next("connection:established")

    assert (await server.http.delete("/api/guest/me", headers=accounts[1].headers)).status_code == 200
    await server.newcomer()
    failure(await server.http.post("/api/guest"), 503, "unavailable")


async def test_of_many_sessions_at_once_no_more_begin_than_the_limit(start_server: StartServer) -> None:
    server = await start_server(sessions_limit=10, limits_scale=100.0)
    answers = await asyncio.gather(*(server.http.post("/api/guest") for _ in range(40)))

    assert sorted(answer.status_code for answer in answers) == [201] * 10 + [503] * 30


async def test_the_token_is_a_jwt_of_two_hours(shared_server: RunningServer) -> None:
    account = await shared_server.newcomer()

    claims = jwt.decode(account.token, SECRET, algorithms=["HS256"], audience="passerby-guests", issuer="passerby")

    assert claims["exp"] - claims["iat"] == 7200
    assert claims["sessionId"] == account.session_id


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"username":null,"location":null}'])
async def test_everything_about_a_new_guest_is_optional(shared_server: RunningServer, body: bytes) -> None:
    answer = await shared_server.http.post("/api/guest", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 201
    user = answer.json()["data"]["user"]
    assert re.fullmatch(r"[A-Z][a-z]+[A-Z][a-z]+[0-9]{4}", user["username"])
    assert (user["location"], user["gender"], user["language"]) == (None, None, None)


async def test_a_request_without_any_body_or_type_is_fine(shared_server: RunningServer) -> None:
    assert (await shared_server.http.post("/api/guest")).status_code == 201


async def test_fields_that_nobody_knows_do_no_harm(shared_server: RunningServer) -> None:
    answer = await shared_server.http.post("/api/guest", json={"username": "Anna_1", "isAdmin": True, "id": "guest_x"})

    assert answer.status_code == 201
    assert answer.json()["data"]["user"]["id"] != "guest_x"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "x" * 21,
        "x" * 10_000,
        "with space",
        "Åsa",
        "🐼🐼🐼",
        "<b>bold</b>",
        "dash-ed",
        "new\nline",
        "Anna\n",
        7,
        [],
        {},
    ],
    ids=lambda name: ascii(name)[:20],
)
async def test_a_bad_name_is_refused_and_named(shared_server: RunningServer, name: object) -> None:
    answer = await shared_server.http.post("/api/guest", json={"username": name})

    body = failure(answer, 400, "invalid_payload")
    assert [error["field"] for error in body["errors"]] == ["username"]
    assert body["errors"][0]["message"]
    assert "username" in body["message"]
    assert len(answer.content) < 2000, "the refusal does not repeat what was sent"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("location", "x" * 65),
        ("location", 7),
        ("location", ["Lima"]),
        ("location", {"country": "x" * 65}),
        ("location", {"city": "x" * 10_000}),
        ("location", {"city": 7}),
        ("location", "https://spam.example/x"),
        ("location", {"city": "t.me/spam"}),
        ("gender", "spam.example/x"),
        ("gender", "x" * 65),
        ("gender", {}),
        ("language", "x" * 65),
        ("language", "not a tag"),
        ("language", "e"),
        ("language", "en_US"),
        ("language", "<script>"),
    ],
    ids=lambda value: ascii(value)[:24],
)
@pytest.mark.parametrize("path", ["/api/guest", "/api/guest/location"])
async def test_a_bad_trait_is_refused_and_named(
    shared_server: RunningServer, path: str, field: str, value: object
) -> None:
    account = await shared_server.newcomer()
    answer = await shared_server.http.post(path, json={field: value}, headers=account.headers)

    body = failure(answer, 400, "invalid_payload")
    assert [error["field"].partition(".")[0] for error in body["errors"]] == [field]


@pytest.mark.parametrize("field", ["location", "gender"])
async def test_a_trait_of_64_characters_is_fine(shared_server: RunningServer, field: str) -> None:
    answer = await shared_server.http.post("/api/guest", json={field: "ü" * 64})

    assert answer.json()["data"]["user"][field] == "ü" * 64


@pytest.mark.parametrize("language", ["en", "pt-BR", "zh-Hant-TW", "sl-rozaj-biske", "de-CH-1996"])
async def test_language_tags_are_fine(shared_server: RunningServer, language: str) -> None:
    answer = await shared_server.http.post("/api/guest", json={"language": language})

    assert answer.json()["data"]["user"]["language"] == language


@pytest.mark.parametrize(
    ("location", "stored"),
    [
        ({"country": "Peru", "city": "Lima"}, "Lima, Peru"),
        ({"country": "Peru"}, "Peru"),
        ({"city": "Lima", "country": None}, "Lima"),
        ({"city": "", "country": ""}, None),
        ({}, None),
        ({"city": "c" * 40, "country": "y" * 40}, "c" * 40 + ", " + "y" * 22),
        ({"country": "Peru", "city": "Lima", "lat": -12.0, "lng": -77.0}, "Lima, Peru"),
    ],
)
async def test_an_old_clients_location_becomes_one_string(
    shared_server: RunningServer, location: dict[str, object], stored: str | None
) -> None:
    account = await shared_server.newcomer(location=location)

    answer = await shared_server.http.get("/api/guest/me", headers=account.headers)

    assert answer.json()["data"]["user"]["location"] == stored


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"not json",
        b"[]",
        b'"text"',
        b"7",
        b'{"username":"\xff\xfe\xfd"}',
        b'{"username":"\\ud800abc"}',
        b"[" * 30_000,
        b'{"a":' * 10_000,
        b'{"username":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"other":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    ],
    ids=lambda body: ascii(body)[:24],
)
async def test_a_malformed_body_is_one_clear_refusal(shared_server: RunningServer, body: bytes) -> None:
    answer = await shared_server.http.post("/api/guest", content=body, headers={"content-type": "application/json"})

    failure(answer, 400, "invalid_payload")
    assert (await shared_server.http.post("/api/guest")).status_code == 201, "the server still works"


async def test_a_giant_body_is_refused(shared_server: RunningServer) -> None:
    answer = await shared_server.http.post("/api/guest", json={"username": "x" * 2_000_000})

    failure(answer, 413, "too_large")


# ── public view ───────────────────────────────────────────────────────────────────────────────────


async def test_random_names_are_fresh(shared_server: RunningServer) -> None:
    names = set()
    for _ in range(20):
        answer = await shared_server.http.get("/api/guest/username")
        assert answer.status_code == 200
        assert set(answer.json()) == {"success", "data"}
        names.add(answer.json()["data"]["username"])

    assert len(names) > 15
    assert all(re.fullmatch(r"[A-Za-z0-9_]{3,20}", name) for name in names)


async def test_me_is_whose_token_it_is(shared_server: RunningServer) -> None:
    account = await shared_server.newcomer(username="Anna_1")
    await shared_server.newcomer(username="Berta_1")

    answer = await shared_server.http.get("/api/guest/me", headers=account.headers)

    assert answer.status_code == 200
    user = answer.json()["data"]["user"]
    assert (user["id"], user["username"], user["sessionId"]) == (account.id, "Anna_1", account.session_id)


async def test_the_public_view_reveals_no_more_than_it_should(shared_server: RunningServer) -> None:
    account, _ = await shared_server.visitor(username="Anna_1", location="Lima")

    answer = await shared_server.http.get(f"/api/guest/{account.session_id}")

    assert answer.status_code == 200
    user = answer.json()["data"]["user"]
    assert set(user) == {
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
    assert (user["id"], user["isOnline"], user["isSearching"], user["isGuest"]) == (account.id, True, False, True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", user["lastSeen"])
    assert account.session_id not in answer.text
    assert account.token not in answer.text


@pytest.mark.parametrize(
    "session_id", ["nobody", "guest_123", "a b", "%00", "..%2f..%2fetc", "x" * 2000, "{sessionId}"]
)
async def test_a_session_that_is_not_there_is_not_found(shared_server: RunningServer, session_id: str) -> None:
    answer = await shared_server.http.get(f"/api/guest/{session_id}")

    body = answer.json()
    assert answer.status_code == 404
    assert (body["success"], body["code"]) in {(False, "session_not_found"), (False, "not_found")}


async def test_the_public_id_opens_nothing(shared_server: RunningServer) -> None:
    account = await shared_server.newcomer()

    failure(await shared_server.http.get(f"/api/guest/{account.id}"), 404, "session_not_found")


async def test_looking_at_sessions_is_limited(start_server: StartServer) -> None:
    server = await start_server(limit_address_requests=Rate(5, 0.001))
    answers = [await server.http.get("/api/guest/nobody") for _ in range(7)]

    assert [answer.status_code for answer in answers] == [404] * 5 + [429] * 2
    body = failure(answers[-1], 429, "rate_limited")
    assert body["retryAfter"] > 0
    assert int(answers[-1].headers["retry-after"]) >= 1


# ── changing traits ───────────────────────────────────────────────────────────────────────────────


async def test_what_is_given_changes_and_the_rest_stays(shared_server: RunningServer) -> None:
    account = await shared_server.newcomer(location="Lima", gender="female", language="es")

    answer = await shared_server.http.post("/api/guest/location", json={"location": "Oslo"}, headers=account.headers)
    assert answer.status_code == 200
    assert answer.json()["success"] is True
    answer = await shared_server.http.post(
        "/api/guest/location", json={"language": None, "gender": ""}, headers=account.headers
    )

    user = (await shared_server.http.get("/api/guest/me", headers=account.headers)).json()["data"]["user"]
    assert (user["location"], user["gender"] or None, user["language"]) == ("Oslo", None, None)
    assert answer.json()["data"]["user"] == user


async def test_a_change_is_seen_by_the_next_partner(server: InsideServer) -> None:
    anna, one = await server.visitor(username="Anna")
    _, other = await server.visitor(username="Berta")
    await server.http.post(
        "/api/guest/location",
        json={"location": {"city": "Lima", "country": "Peru"}, "gender": "female", "language": "es"},
        headers=anna.headers,
    )
    await one.emit("user:match")
    await other.emit("user:match")

    matched = await other.until("user:matched")

    assert matched["matchedUser"] == {
        "id": anna.id,
        "username": "Anna",
        "isGuest": True,
        "location": "Lima, Peru",
        "gender": "female",
        "language": "es",
    }


# ── ending a session ──────────────────────────────────────────────────────────────────────────────


async def test_an_ended_session_is_gone_at_once_and_its_room_with_it(server: InsideServer) -> None:
    (anna, one), (berta, other), _ = await server.pair()
    answer = await server.http.delete("/api/guest/me", headers=anna.headers)

    assert answer.status_code == 200
    assert answer.json()["success"] is True
    assert (await one.next("connection:closing"))["code"] == "session_ended"
    await asyncio.wait_for(one.disconnected.wait(), PATIENCE)
    left = await other.next("room:user_left")
    assert left["userId"] == anna.id
    assert (await other.next("chat:cleared"))["reason"] == "session_ended"
    body = failure(await server.http.get("/api/guest/me", headers=anna.headers), 401, "session_not_found")
    assert body["message"] == "Guest session not found or expired"
    failure(await server.http.get(f"/api/guest/{anna.session_id}"), 404, "session_not_found")
    failure(await server.http.delete("/api/guest/me", headers=anna.headers), 401, "session_not_found")
    assert (await server.stats(berta))["totalUsers"] == 1


# ── authentication ────────────────────────────────────────────────────────────────────────────────

PROTECTED = [
    ("GET", "/api/guest/me"),
    ("POST", "/api/guest/location"),
    ("DELETE", "/api/guest/me"),
    ("GET", "/api/stats"),
    ("GET", "/api/stats/online-users"),
]


def sign(**changes: object) -> str:
    claims = {
        "iss": "passerby",
        "aud": "passerby-guests",
        "iat": 1_700_000_000,
        "exp": 4_000_000_000,
        "sessionId": "nobody",
        **changes,
    }
    return jwt.encode(claims, SECRET, algorithm="HS256")


@pytest.mark.parametrize(
    ("header", "code", "message"),
    [
        pytest.param(None, "token_required", "Access token is required", id="absent"),
        pytest.param("", "token_required", "Access token is required", id="empty"),
        pytest.param("Bearer", "token_required", "Access token is required", id="only the scheme"),
        pytest.param("Basic dXNlcjpwdw==", "token_required", "Access token is required", id="other scheme"),
        pytest.param("Bearer nonsense", "token_invalid", "Invalid token", id="no token"),
        pytest.param("Bearer a.b.c", "token_invalid", "Invalid token", id="not a token either"),
        pytest.param(f"Bearer {sign(iss='x')}", "token_invalid", "Invalid token", id="other issuer"),
        pytest.param(f"Bearer {sign()[:-3]}", "token_invalid", "Invalid token", id="cut"),
        pytest.param(f"Bearer {'x' * 20_000}", "token_invalid", "Invalid token", id="giant"),
        pytest.param(
            f"Bearer {jwt.encode({'sessionId': 'x'}, '', algorithm='none')}",
            "token_invalid",
            "Invalid token",
            id="none",
        ),
        pytest.param(f"Bearer {sign(exp=1_700_000_001)}", "token_expired", "Token has expired", id="expired"),
        pytest.param(f"Bearer {sign()}", "session_not_found", "Guest session not found or expired", id="no session"),
        pytest.param(f"bearer {sign()}", "session_not_found", "Guest session not found or expired", id="lower case"),
    ],
)
async def test_who_may_not_is_told_word_for_word(
    shared_server: RunningServer, header: str | None, code: str, message: str
) -> None:
    for method, path in PROTECTED:
        answer = await shared_server.http.request(
            method,
            path,
            headers={} if header is None else {"Authorization": header},
            json={"location": "x"} if method == "POST" else None,
        )
        assert failure(answer, 401, code)["message"] == message


# ── rate limits ───────────────────────────────────────────────────────────────────────────────────


async def test_too_many_new_sessions_from_one_address_are_refused(start_server: StartServer) -> None:
    server = await start_server(limit_address_sessions=Rate(3, 0.001))
    answers = await asyncio.gather(*(server.http.post("/api/guest") for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 429, 429]


async def test_a_hundred_new_sessions_at_once_are_all_different(shared_server: RunningServer) -> None:
    accounts = await asyncio.gather(*(shared_server.newcomer() for _ in range(100)))

    assert len({account.id for account in accounts}) == 100
    assert len({account.session_id for account in accounts}) == 100


# ── client address ────────────────────────────────────────────────────────────────────────────────


async def statuses(server: InsideServer, headers: list[list[tuple[str, str]]]) -> list[int]:
    return [(await server.http.post("/api/guest", headers=one)).status_code for one in headers]


async def test_a_header_of_a_stranger_makes_nobody_another(start_server: StartServer) -> None:
    server = await start_server(limit_address_sessions=Rate(2, 0.001))

    assert await statuses(server, [[("X-Forwarded-For", f"203.0.113.{n}")] for n in range(4)]) == [201, 201, 429, 429]


async def test_behind_a_proxy_every_client_has_a_limit_of_its_own(start_server: StartServer) -> None:
    server = await start_server(limit_address_sessions=Rate(1, 0.001), trusted_proxies=("127.0.0.0/8",))

    assert await statuses(
        server,
        [
            [("X-Forwarded-For", "203.0.113.1")],
            [("X-Forwarded-For", "203.0.113.2")],
            [("X-Forwarded-For", "203.0.113.1")],
            [("X-Forwarded-For", "6.6.6.6, 203.0.113.1")],
        ],
    ) == [201, 201, 429, 429]


async def test_a_line_of_the_clients_own_before_the_proxys_changes_nothing(start_server: StartServer) -> None:
    """Some proxies add a second X-Forwarded-For line; all lines form one list (RFC 9110 §5.3)."""
    server = await start_server(limit_address_sessions=Rate(1, 0.001), trusted_proxies=("127.0.0.0/8",))

    assert await statuses(
        server,
        [[("X-Forwarded-For", f"6.6.6.{n}"), ("X-Forwarded-For", "203.0.113.1")] for n in range(3)],
    ) == [201, 429, 429]
