"""`/health/probe` answers requests of `passerby doctor`, and nobody else."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest

from passerby.guests.tokens import derive
from passerby.http.probes import HEADER, PATH, PURPOSE, Probes
from passerby.limits import Rate
from tests.support.clock import ManualClock
from tests.support.server import SECRET

if TYPE_CHECKING:
    from tests.conftest import StartServer
    from tests.support.server import InsideServer, RunningServer

KEY = derive(SECRET, PURPOSE)


def signature(key: bytes = KEY, since: float = 0) -> str:
    return Probes(key, ManualClock(time.time() + since)).sign()


async def test_it_tells_what_the_server_sees(start_server: StartServer) -> None:
    server = await start_server(trusted_proxies=("127.0.0.1",))
    headers = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2"), (HEADER, signature())]
    answer = await server.http.get(PATH, headers=headers)

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    seen = answer.json()["data"]
    assert seen.pop("peerPort") > 0
    assert seen == {
        "peer": "127.0.0.1",
        "isTrusted": True,
        "forwardedFor": "192.0.2.1, 192.0.2.2",
        "address": "192.0.2.2",
    }


async def test_who_is_not_trusted_is_the_client(server: InsideServer) -> None:
    answer = await server.http.get(PATH, headers={"X-Forwarded-For": "192.0.2.1", HEADER: signature()})

    seen = answer.json()["data"]
    assert (seen["address"], seen["isTrusted"]) == ("127.0.0.1", False)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        ".",
        "1.2",
        "nonsense",
        signature(derive("another secret, which is long enough", PURPOSE)),
        signature(derive(SECRET, "file links")),
        signature(since=-86400),
        signature(since=86400),
        signature() + "0",
        f"{time.time():.0f}.",
        "9" * 5000 + ".0",
    ],
    ids=itertools.count(),  # some have the time in them: two processes that collect the tests must call them the same
)
async def test_for_all_others_it_does_not_exist(shared_server: RunningServer, wrong: str) -> None:
    headers = {HEADER: wrong} if wrong else {}
    answer = await shared_server.http.get(PATH, headers=headers)
    nowhere = await shared_server.http.get("/health/nowhere")

    assert (answer.status_code, answer.content) == (nowhere.status_code, nowhere.content)
    assert answer.status_code == 404


@pytest.mark.parametrize("wrong", ["\u0663.0", "1.\ud800", "\xb2.1", "-1.0", "1e3.0"])
def test_what_is_no_signature_is_not_accepted(wrong: str) -> None:
    assert not Probes(KEY, ManualClock(1)).accepts(wrong)


@pytest.mark.parametrize(("since", "is_valid"), [(-61, False), (-59, True), (0, True), (59, True), (61, False)])
def test_clocks_may_differ_by_a_minute(since: float, *, is_valid: bool) -> None:
    now = 1_700_000_000
    signed = Probes(KEY, ManualClock(now + since)).sign()

    assert Probes(KEY, ManualClock(now)).accepts(signed) is is_valid


async def test_guesses_are_limited(start_server: StartServer) -> None:
    server = await start_server(limit_address_requests=Rate(2, 0.001))
    codes = [(await server.http.get(PATH, headers={HEADER: "1.2"})).status_code for _ in range(3)]

    assert codes == [404, 404, 429]


async def test_it_is_in_no_document(shared_server: RunningServer) -> None:
    assert PATH not in (await shared_server.http.get("/schema/openapi.json")).text
