from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import aiohttp
import jwt
import pytest

from passerby.limits import Rate
from tests.support.client import Client, RefusedError
from tests.support.server import SECRET
from tests.support.sio_client import ClosedError, PollingClient, WebSocketClient
from tests.support.sio_server import PATH, until

if TYPE_CHECKING:
    from tests.conftest import StartServer
    from tests.support.server import InsideServer, RunningServer

REQUIRED = ("Authentication token required", "token_required")
INVALID = ("Invalid token", "token_invalid")
EXPIRED = ("Token has expired", "token_expired")
GONE = ("Guest session not found or expired", "session_not_found")


def sign(secret: str = SECRET, algorithm: str = "HS256", **changes: object) -> str:
    claims = {
        "iss": "passerby",
        "aud": "passerby-guests",
        "iat": 1_700_000_000,
        "exp": 4_000_000_000,
        "sessionId": "nobody",
        **changes,
    }
    return jwt.encode(claims, secret if algorithm != "none" else "", algorithm=algorithm)


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        pytest.param(None, REQUIRED, id="no auth"),
        pytest.param({}, REQUIRED, id="empty auth"),
        pytest.param({"token": ""}, REQUIRED, id="empty token"),
        pytest.param({"token": None}, REQUIRED, id="null"),
        pytest.param({"token": "nonsense"}, INVALID, id="nonsense"),
        pytest.param({"token": "x" * 50_000}, INVALID, id="giant"),
        pytest.param({"token": sign("another secret that is as long as ours is")}, INVALID, id="another key"),
        pytest.param({"token": sign(algorithm="none")}, INVALID, id="alg none"),
        pytest.param({"token": sign(iss="another")}, INVALID, id="another issuer"),
        pytest.param({"token": sign(aud="another")}, INVALID, id="another audience"),
        pytest.param({"token": sign(exp=1_700_000_001)}, EXPIRED, id="expired"),
        pytest.param({"token": sign()}, GONE, id="session gone"),
    ],
)
async def test_a_refusal_says_why_word_for_word(
    shared_server: RunningServer, auth: object, expected: tuple[str, str]
) -> None:
    with pytest.raises(RefusedError) as caught:
        await Client.connect(shared_server.url, auth)

    assert (caught.value.message, caught.value.data["code"]) == expected


@pytest.mark.parametrize("auth", [{"token": 7}, {"token": ["x"]}, {"token": {"a": 1}}])
async def test_an_auth_of_the_wrong_shape_is_an_invalid_token(shared_server: RunningServer, auth: object) -> None:
    with pytest.raises(RefusedError) as caught:
        await Client.connect(shared_server.url, auth)

    assert caught.value.message == "Invalid token"


async def test_fields_of_the_handshake_that_nobody_knows_do_no_harm(shared_server: RunningServer) -> None:
    account = await shared_server.newcomer()
    auth = {"token": account.token, "userAgent": "old", "sessionId": "someone else's"}
    async with await Client.connect(shared_server.url, auth, query="&version=1&platform=web") as client:
        assert (await client.next("connection:established"))["userId"] == account.id


async def test_a_token_in_the_query_opens_too(shared_server: RunningServer) -> None:
    account = await shared_server.newcomer()
    async with await Client.connect(shared_server.url, None, query=f"&token={account.token}") as client:
        assert (await client.next("connection:established"))["userId"] == account.id


async def test_a_token_in_auth_beats_the_one_in_the_query(shared_server: RunningServer) -> None:
    one, other = await shared_server.newcomer(), await shared_server.newcomer()
    auth = {"token": one.token}
    async with await Client.connect(shared_server.url, auth, query=f"&token={other.token}") as client:
        assert (await client.next("connection:established"))["userId"] == one.id


@pytest.mark.parametrize(
    "resume",
    [
        {"roomId": "guest_a_guest_b", "epoch": 1, "seq": 0},
        {"roomId": "", "epoch": 0, "seq": 0},
        {"roomId": "<script>", "epoch": 2**53, "seq": 2**53},
        {"roomId": "guest_a_guest_b", "epoch": 1, "seq": 0, "extra": True},
    ],
)
async def test_a_resume_of_a_room_that_is_not_there_is_told_so(
    shared_server: RunningServer, resume: dict[str, object]
) -> None:
    account = await shared_server.newcomer()
    client = await shared_server.connect(account, resume)

    assert (await client.next("connection:established"))["room"] is None
    assert (await client.next("room:closed"))["reason"] == "partner_offline"


async def test_nobody_resumes_a_room_of_others(server: InsideServer) -> None:
    (_, one), (_, other), room = await server.pair()
    await one.say("secret")
    thief = await server.newcomer()
    client = await server.connect(thief, {**room, "seq": 0})
    assert (await client.next("connection:established"))["room"] is None
    await client.next("room:closed")
    await client.emit("chat:message", {"type": "text", "content": "hello?", "roomId": room["roomId"]})

    assert (await client.next("chat:error"))["code"] == "not_in_room"
    await one.say("still private")
    assert [(await other.until("chat:message"))["content"] for _ in range(2)] == ["secret", "still private"]
    assert not any("secret" in json.dumps(event) for event in client.heard)


async def test_after_a_refusal_a_better_token_may_follow(shared_server: RunningServer) -> None:
    account = await shared_server.newcomer()
    async with await Client.open(shared_server.url) as client:
        with pytest.raises(RefusedError):
            await client.join({"token": "nonsense"})
        await client.join({"token": account.token})
        await client.next("connection:established")


async def test_a_token_of_the_secret_before_is_still_accepted(start_server: StartServer) -> None:
    from tests.support import server as support  # noqa: PLC0415 - the SECRET that signed the tokens

    server = await start_server(jwt_secret="the new secret, long enough for HS256 as well", jwt_secret_previous=SECRET)
    account = await server.newcomer()
    session = await server.application.services.guests.public(account.session_id)
    old = sign(support.SECRET, sessionId=session.session_id)

    client = await Client.connect(server.url, {"token": old})

    async with client:
        assert (await client.next("connection:established"))["userId"] == account.id


async def test_connecting_too_often_from_one_address_is_refused(start_server: StartServer) -> None:
    server = await start_server(limit_address_connects=Rate(6, 0.001))
    account = await server.newcomer()
    refused: list[object] = []
    for _ in range(8):
        try:
            await server.connect(account)
        except aiohttp.WSServerHandshakeError as error:
            refused.append(error.status)
        except RefusedError as error:
            refused.append(error.data["code"])

    assert 2 <= len(refused) <= 6
    assert set(refused) <= {429, "rate_limited"}
    assert (await server.http.get("/health")).status_code == 200


async def test_upgrading_one_connection_again_and_again_is_refused(start_server: StartServer) -> None:
    server = await start_server(limit_address_connects=Rate(20, 0.001))
    port = int(server.url.rpartition(":")[2])
    statuses: Counter[int | None] = Counter()
    async with PollingClient.open(port) as client:
        session = server.application.server.engine.sessions[client.sid]
        for _ in range(100):
            try:
                async with WebSocketClient.open(port, f"{PATH}?EIO=4&transport=websocket&sid={client.sid}"):
                    statuses[101] += 1
            except ClosedError as refused:
                statuses[refused.code] += 1
            await until(lambda: session.can_upgrade)

    assert statuses == {101: 19, 429: 81}


async def test_polls_without_end_close_their_connection(start_server: StartServer) -> None:
    """While a session upgrades, each poll is answered at once."""
    server = await start_server(packet_rate=1)
    port = int(server.url.rpartition(":")[2])
    async with (
        PollingClient.open(port) as client,
        WebSocketClient.open(port, f"{PATH}?EIO=4&transport=websocket&sid={client.sid}"),
    ):
        answers = [await client.get() for _ in range(900)]

    assert 255 <= sum(answer.status == 200 for answer in answers) <= 768
    assert answers[-1].status == 400
    assert not server.application.server.engine.sessions


async def test_a_head_request_opens_no_session(server: InsideServer) -> None:
    answer = await server.http.head("/socket.io/?EIO=4&transport=polling")
    assert answer.status_code == 400
    assert not server.application.server.engine.sessions
