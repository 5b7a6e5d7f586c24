"""Proof of work: asked for under suspicion, checked cheaply, and worth one session."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Literal

import altcha
import httpx
import pytest

from passerby.errors import Code, InvalidInputError, RequiredError
from passerby.guests.tokens import Tokens
from passerby.limits import Rate
from passerby.safety.pressure import HIGHEST, Pressure
from passerby.safety.proofs import COUNTERS, ITERATIONS, LIFETIME, LONGEST, Proofs, counters
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from tests.conftest import StartServer
    from tests.support.server import InsideServer

HERE = "192.0.2.7"
SECRET = "a secret of the tests, long enough for HS256"
OTHER_SECRET = "another secret of the tests, long enough, too"
FEW = Rate(3, 0.001)
ALL = Rate(1000, 1000)


class Door:
    """One process's proofs."""

    def __init__(
        self,
        clock: ManualClock | None = None,
        *,
        mode: Literal["auto", "always"] = "always",
        secret: str = SECRET,
        most: int = 100,
    ) -> None:
        self.clock = clock or ManualClock()
        self.pressure = Pressure(self.clock, mode=mode, address=FEW, house=ALL)
        self.tokens = Tokens(self.clock, secret=secret, previous=None, issuer="i", audience="a", lifetime=60)
        self.proofs = Proofs(self.pressure, self.clock, self.tokens.derive_all, most=most)

    def challenge(self, address: str = HERE) -> dict[str, Any]:
        with pytest.raises(RequiredError) as refused:
            self.proofs.check(address, None)
        assert refused.value.code == Code.PROOF_REQUIRED
        assert refused.value.challenge is not None
        return refused.value.challenge

    def refusal(self, proof: str, address: str = HERE) -> str:
        with pytest.raises(InvalidInputError) as refused:
            self.proofs.check(address, proof)
        assert refused.value.code == Code.PROOF_INVALID
        return refused.value.message


def solve(challenge: dict[str, Any]) -> str:
    """Return what the widget sends."""
    one = altcha.Challenge.from_dict(challenge)
    solution = altcha.solve_challenge(one)
    assert solution is not None
    return altcha.Payload(one, solution).to_base64()


def changed(proof: str, change: str, value: object) -> str:
    """Return a proof with another value at a path such as `challenge.parameters.cost`."""
    payload = json.loads(base64.b64decode(proof))
    *path, last = change.split(".")
    part = payload
    for name in path:
        part = part[name]
    part[last] = value
    return base64.b64encode(json.dumps(payload).encode()).decode()


def test_calm_asks_for_nothing_and_counts() -> None:
    door = Door(mode="auto")
    for proof in (None, "nonsense", "x" * 10_000):
        door.proofs.check(HERE, proof)
    door.challenge()


def test_a_solved_challenge_counts_once() -> None:
    door = Door()
    proof = solve(door.challenge())
    door.proofs.check(HERE, proof)
    assert door.refusal(proof) == "The proof was used before"
    assert door.refusal(changed(proof, "solution.time", 5)) == "The proof was used before"


def test_it_is_not_bound_to_an_address() -> None:
    door = Door()
    proof = solve(door.challenge())
    door.proofs.check("198.51.100.1", proof)
    assert HERE not in base64.b64decode(proof).decode()


def test_all_nodes_accept_it_and_other_houses_do_not() -> None:
    clock = ManualClock()
    one, node, stranger = Door(clock), Door(clock), Door(clock, secret=OTHER_SECRET)
    proof = solve(one.challenge())
    assert stranger.refusal(proof) == "The proof is not valid"
    node.proofs.check(HERE, proof)


def test_one_of_the_former_secret_is_accepted() -> None:
    clock = ManualClock()
    former, door = Door(clock, secret=OTHER_SECRET), Door(clock)
    proof = solve(former.challenge())
    door.tokens.adopt((SECRET, OTHER_SECRET))
    door.proofs.check(HERE, proof)
    assert solve(door.challenge())


def test_an_expired_one_does_not_count() -> None:
    door = Door()
    proof, late = solve(door.challenge()), solve(door.challenge())
    door.clock.advance(LIFETIME - 2)
    door.proofs.check(HERE, proof)
    door.clock.advance(3)
    assert door.refusal(late) == "The challenge has expired"
    assert door.refusal(proof) == "The challenge has expired"


@pytest.mark.parametrize("jump", [-1e8, 1e8])
def test_a_clock_that_is_set_changes_nothing(jump: float) -> None:
    door = Door()
    proof, other = solve(door.challenge()), solve(door.challenge())
    door.clock.set_wall(jump)
    door.proofs.check(HERE, proof)
    door.clock.advance(LIFETIME + 1)
    assert door.refusal(other) == "The challenge has expired"


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("challenge.parameters.cost", 1),
        ("challenge.parameters.data.level", 10),
        ("challenge.parameters.data.expires", 2**53),
        ("challenge.parameters.data", {}),
        ("challenge.parameters.data", None),
        ("challenge.parameters.keyPrefix", ""),
        ("challenge.parameters.keySignature", "00" * 32),
        ("challenge.parameters.keySignature", None),
        ("challenge.parameters.nonce", "ab" * 16),
        ("challenge.parameters.salt", "ab" * 16),
        ("challenge.parameters.algorithm", "SHA-256"),
        ("challenge.signature", "00" * 32),
        ("challenge.signature", "é"),
        ("challenge.signature", None),
        ("challenge", []),
        ("solution.derivedKey", "00" * 32),
        ("solution.derivedKey", ""),
        ("solution.derivedKey", "é"),
        ("solution", 7),
    ],
)
def test_a_forged_one_does_not_count_and_raises_suspicion(change: str, value: object) -> None:
    door = Door()
    proof = solve(door.challenge())
    before = door.pressure.level(HERE)
    for _ in range(20):
        assert door.refusal(changed(proof, change, value)) == "The proof is not valid"
    assert door.pressure.level(HERE) > before


def test_a_challenge_of_ones_own_does_not_count() -> None:
    door = Door()
    data = {"level": HIGHEST, "expires": int(door.clock.time()) + 60}
    own = altcha.create_challenge(
        "PBKDF2/SHA-256", 1, counter=1, data=data, hmac_secret=b"mine", hmac_key_secret=b"mine"
    )
    assert door.refusal(solve(own.to_dict())) == "The proof is not valid"


@pytest.mark.parametrize(
    "proof",
    [
        "",
        " ",
        "=",
        "e30=",
        "bnVsbA==",
        "é",
        "\x00",
        "x" * 1_000_000,
        base64.b64encode(b"[" * 1500).decode(),
        base64.b64encode(b"\xff\xfe").decode(),
        base64.b64encode(b'{"challenge":' * 100).decode(),
        base64.b64encode(b'{"challenge":1e999}').decode(),
    ],
)
def test_nonsense_is_refused(proof: str) -> None:
    assert Door().refusal(proof) == "The proof is not valid"


def test_a_huge_one_is_not_read() -> None:
    door = Door()
    huge = solve(door.challenge()) + " " * LONGEST
    begun = time.perf_counter()
    for _ in range(200):
        door.refusal(huge)
    assert (time.perf_counter() - begun) / 200 < 0.002


def test_a_proof_of_much_less_than_is_asked_for_now_is_not_enough() -> None:
    door = Door()
    easy, second = solve(door.challenge()), solve(door.challenge())
    for _ in range(8):
        door.pressure.asked(HERE)  # suspicion grows while the guest's device works
    assert 1 < door.pressure.level(HERE) <= 4
    door.proofs.check(HERE, easy)
    for _ in range(500):
        door.pressure.asked(HERE)
    with pytest.raises(RequiredError) as refused:
        door.proofs.check(HERE, second)
    assert refused.value.challenge is not None
    assert refused.value.challenge["parameters"]["data"]["level"] == HIGHEST


def test_work_grows_with_the_level() -> None:
    highest = [counters(level) for level in range(1, HIGHEST + 1)]
    assert highest == sorted(set(highest))
    assert (highest[0], highest[-1] > 30 * COUNTERS) == (COUNTERS, True)


def test_what_is_remembered_is_bounded_and_what_is_forgotten_does_not_count_again() -> None:
    door = Door(most=3)
    proofs = []
    for _ in range(6):
        proofs.append(solve(door.challenge()))
        door.clock.advance(1.0)
    fresh = solve(door.challenge())
    for proof in proofs:
        door.proofs.check("198.51.100.1", proof)
        assert len(door.proofs._spent) <= 3
    for proof in proofs:
        door.refusal(proof)
    door.proofs.check("198.51.100.1", fresh)


def test_what_has_expired_is_not_remembered() -> None:
    door = Door()
    for _ in range(4):
        door.proofs.check("198.51.100.1", solve(door.challenge()))
        door.clock.advance(LIFETIME + 1)
    assert len(door.proofs._spent) == 1


# ── over the wire ─────────────────────────────────────────────────────────────────────────────────


async def suspicious(start_server: StartServer) -> InsideServer:
    return await start_server(proof_of_work="auto", calm_address_sessions=Rate(2, 0.001))


async def test_a_newcomer_under_suspicion_works_and_is_let_in(start_server: StartServer) -> None:
    server = await suspicious(start_server)
    for _ in range(3):
        await server.newcomer()
    refused = await server.http.post("/api/guest", json={})
    body = refused.json()
    assert (refused.status_code, body["success"], body["code"]) == (428, False, "proof_required")
    challenge = body["challenge"]
    assert challenge["parameters"]["algorithm"] == "PBKDF2/SHA-256"
    assert challenge["parameters"]["cost"] == ITERATIONS

    proof = solve(challenge)
    let_in = await server.http.post("/api/guest", json={"username": "Anna"}, headers={"Proof": proof})
    assert (let_in.status_code, let_in.json()["data"]["user"]["username"]) == (201, "Anna")
    again = await server.http.post("/api/guest", json={}, headers={"Proof": proof})
    assert (again.status_code, again.json()["code"]) == (400, "proof_invalid")


@pytest.mark.parametrize("proof", ["nonsense", "A" * 8000])
async def test_nonsense_is_refused_over_the_wire(start_server: StartServer, proof: str) -> None:
    server = await start_server(proof_of_work="always")
    refused = await server.http.post("/api/guest", json={}, headers={"Proof": proof})
    assert (refused.status_code, refused.json()["code"]) == (400, "proof_invalid")


async def test_a_header_larger_than_all_headers_may_be_is_cut(start_server: StartServer) -> None:
    server = await start_server(proof_of_work="always")
    try:
        refused = await server.http.post("/api/guest", json={}, headers={"Proof": "A" * 200_000})
    except httpx.TransportError:
        pass
    else:
        assert refused.status_code == 400
    assert (await server.http.post("/api/guest", json={})).status_code == 428


@pytest.mark.parametrize("origin", ["https://chat.example", None])
async def test_pages_of_other_origins_can_read_what_they_are_asked(
    start_server: StartServer, origin: str | None
) -> None:
    server = await start_server(proof_of_work="always", cors_origin=("https://chat.example",))
    headers = {} if origin is None else {"Origin": origin}
    refused = await server.http.post("/api/guest", json={}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (428, "proof_required")
    assert refused.headers.get("access-control-allow-origin") == origin
    assert refused.headers["cache-control"] == "no-store"
    asked = {"Origin": "https://chat.example", "Access-Control-Request-Method": "POST"}
    preflight = await server.http.options(
        "/api/guest", headers={**asked, "Access-Control-Request-Headers": "proof, content-type"}
    )
    assert "proof" in preflight.headers["access-control-allow-headers"].lower()


async def test_addresses_behind_a_proxy_are_told_apart(start_server: StartServer) -> None:
    server = await start_server(
        proof_of_work="auto", calm_address_sessions=Rate(2, 0.001), trusted_proxies=("127.0.0.0/8",)
    )
    statuses = []
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1", "198.51.100.1"):
        answer = await server.http.post("/api/guest", json={}, headers={"X-Forwarded-For": address})
        statuses.append(answer.status_code)
    assert statuses == [201, 201, 201, 428, 201]


async def test_challenges_are_limited_as_sessions_are(start_server: StartServer) -> None:
    server = await start_server(proof_of_work="always", limit_address_sessions=Rate(2, 0.001))
    answers = [await server.http.post("/api/guest", json={}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [428, 428, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
    proof = solve(answers[0].json()["challenge"])
    assert (await server.http.post("/api/guest", headers={"Proof": proof})).status_code == 429


async def test_other_routes_ask_for_nothing(start_server: StartServer) -> None:
    server = await start_server(proof_of_work="always")
    assert (await server.http.get("/api/guest/username")).status_code == 200
    assert (await server.http.get("/api/guest")).status_code in (404, 405)


def test_the_library_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, passerby.app; print('altcha' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
