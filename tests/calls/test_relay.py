"""Calls through a real coturn: its credentials, and no guest's own address passes the server."""

from __future__ import annotations

import ipaddress
import json
import re
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aioice.candidate import Candidate

from passerby.calls.ice import Ice
from passerby.calls.sdp import relayed, relayed_only
from passerby.doctor.turn_client import RefusedError
from tests.calls import turnserver
from tests.calls.allocation import allocation
from tests.calls.conftest import HOST
from tests.calls.peer import talk
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from tests.calls.conftest import Introduce
    from tests.calls.peer import Peer
    from tests.calls.turnserver import TurnServer
    from tests.conftest import StartServer

UNAUTHORIZED = 401


def turn_setting(server: TurnServer) -> dict[str, Any]:
    """Return Passerby's settings for coturn as TURN server."""
    return {
        "stun_urls": (server.settings["stun_urls"],),
        "turn_urls": (server.settings["turn_urls"],),
        "turn_secret": turnserver.SECRET,
    }


async def credentials(start_server: StartServer, turn: TurnServer) -> dict[str, Any]:
    """Return the TURN server from GET /api/ice-servers, for a guest in a conversation."""
    server = await start_server(**turn_setting(turn))
    (account, _), _, _ = await server.pair()
    answer = await server.http.get("/api/ice-servers", headers=account.headers)
    servers = answer.raise_for_status().json()["data"]["iceServers"]
    return next(server for server in servers if server["urls"] == [turn.settings["turn_urls"]])


async def test_coturn_relays_for_fresh_credentials(start_server: StartServer, turn: TurnServer) -> None:
    given = await credentials(start_server, turn)
    async with allocation(turn, given["username"], given["credential"]) as relay:
        host, port = relay.relayed

    assert host == turnserver.HOST
    assert port != turn.port


def expired(given: dict[str, Any]) -> tuple[str, str]:
    """Return credentials as the server would have issued them, an hour after their expiry."""
    clock = ManualClock(time.time() - 3600)
    ice = Ice(clock, stun=(), turn=("turn:127.0.0.1",), secret=turnserver.SECRET, ttl=600, relay=False)
    (server,) = msgspec.to_builtins(ice.servers("guest_x"))["iceServers"]
    return server["username"], server["credential"]


def prolonged(given: dict[str, Any]) -> tuple[str, str]:
    ends, _, guest = given["username"].partition(":")
    return f"{int(ends) + 3600}:{guest}", given["credential"]


def of_somebody_else(given: dict[str, Any]) -> tuple[str, str]:
    return f"{given['username']}0", given["credential"]


def of_another_secret(given: dict[str, Any]) -> tuple[str, str]:
    clock = ManualClock(time.time())
    ice = Ice(clock, stun=(), turn=("turn:127.0.0.1",), secret="a guess", ttl=600, relay=False)
    (server,) = msgspec.to_builtins(ice.servers("guest_x"))["iceServers"]
    return server["username"], server["credential"]


def empty(given: dict[str, Any]) -> tuple[str, str]:
    return given["username"], ""


@pytest.mark.parametrize("made", [expired, prolonged, of_somebody_else, of_another_secret, empty])
async def test_coturn_does_not_relay_for_others(start_server: StartServer, turn: TurnServer, made: Any) -> None:  # noqa: ANN401 - one of the functions above
    username, password = made(await credentials(start_server, turn))
    with pytest.raises(RefusedError) as caught:
        async with allocation(turn, username, password):
            pass

    assert caught.value.code == UNAUTHORIZED


def addresses(text: str) -> set[str]:
    """Return all addresses and host names in JSON text."""
    found = set()
    for word in re.split(r"[^\w.:-]|\\[rn]", text):
        try:
            found.add(str(ipaddress.ip_address(word)))
        except ValueError:
            if word.endswith(".local"):
                found.add(word)
    return found


def candidates(peer: Peer) -> list[Candidate]:
    """Return all received candidates, separate or within descriptions."""
    return [Candidate.from_sdp(text) for text in re.findall(r"candidate:([^\"\\]+)", peer.told())]


def test_addresses_are_found_wherever_they_stand() -> None:
    sdp = "c=IN IP4 192.168.1.7\r\na=candidate:1 1 udp 1 fd00::2 5 typ host\r\na=fingerprint:sha-256 AB:CD x-1.local"
    assert addresses(json.dumps({"sdp": sdp})) == {"192.168.1.7", "fd00::2", "x-1.local"}


def assert_only_relays(peer: Peer) -> None:
    """Check that `peer` received no address of its partner."""
    came = candidates(peer)
    assert came
    assert {(candidate.type, candidate.host) for candidate in came} == {("relay", turnserver.HOST)}
    assert {(candidate.related_address, candidate.related_port) for candidate in came} == {("0.0.0.0", 0)}  # noqa: S104 - the unspecified address
    assert addresses(peer.told()) <= {turnserver.HOST, "0.0.0.0"}  # noqa: S104 - as above


@pytest.mark.parametrize("policy", ["relay", "all"], ids=["guests who obey", "guests who tell everything"])
async def test_with_relay_only_calls_connect_and_no_address_passes(
    turn: TurnServer, start_server: StartServer, introduce: Introduce, policy: str
) -> None:
    server = await start_server(relay_only=True, **turn_setting(turn))
    anna, berta = await introduce(server)
    for peer in (anna, berta):
        await peer.ask_for_servers(server.http)
        assert peer.servers["iceTransportPolicy"] == "relay"
        peer.servers["iceTransportPolicy"] = policy
    await talk(anna, berta)

    for peer in (anna, berta):
        own = {candidate.type for candidate in _gathered(peer)}
        assert own == ({"relay"} if policy == "relay" else {"host", "srflx", "relay"})
        assert_only_relays(peer)
        assert (peer.pair().local_candidate.type, peer.pair().remote_candidate.type) == ("relay", "relay")


async def test_a_guest_alone_may_choose_to_be_reached_by_relay_only(
    turn: TurnServer, start_server: StartServer, introduce: Introduce
) -> None:
    server = await start_server(**turn_setting(turn))
    anna, berta = await introduce(server)
    for peer in (anna, berta):
        await peer.ask_for_servers(server.http)
        assert peer.servers["iceTransportPolicy"] == "all"
    await talk(anna, berta, relayOnly=True)

    assert_only_relays(berta)
    assert {candidate.type for candidate in candidates(anna)} == {"host", "srflx", "relay"}
    assert HOST in addresses(anna.told())


CANDIDATES_OF_A_GUEST = [
    "candidate:1 1 udp 2122260223 192.168.1.7 50000 typ host generation 0",
    "candidate:2 1 udp 1686052607 203.0.113.9 50001 typ srflx raddr 192.168.1.7 rport 50000",
    "candidate:3 1 udp 1686052607 203.0.113.9 50002 typ prflx raddr 192.168.1.7 rport 50000",
    "candidate:4 1 tcp 1518280447 192.168.1.7 9 typ host tcptype active",
    "candidate:5 1 udp 2122197247 2001:db8::7 50003 typ host",
    "candidate:6 1 udp 2122260223 5e2b0f1c-88aa-4b5c-9d5b-4fd4b0c1a5d1.local 50004 typ host",
    "a=candidate:7 1 udp 2122260223 192.168.1.7 50005 typ host",
    "candidate:8 1 udp 2122260223 192.168.1.7 50006 typ host network-name typ relay",
    "candidate:9 1 udp 1 198.51.100.3 6 typ relay\r\na=candidate:10 1 udp 1 192.168.1.7 5 typ host",
    "candidate:11 1 UDP 1 192.168.1.7 50007 typ HOST",
    "candidate:13 1 udp 1 192.168.1.7 5 typ relay typ host",
    "typ relay 192.168.1.7",
]
SPELLINGS = [
    "candidate:20 1 udp 1 198.51.100.3 60000 typ relay raddr  192.168.1.7 rport 5",
    "candidate:20 1 udp 1 198.51.100.3 60000 typ relay RADDR 192.168.1.7 RPORT 5",
    "candidate:20  1 udp 1 198.51.100.3 60000 typ relay x-base 192.168.1.7",
]
"""Relay candidates with other extensions than browsers send."""
TELLING_LINES = [
    " a=candidate:1 1 udp 1 192.168.1.7 5 typ host",
    "a=x\ra=candidate:1 1 udp 1 192.168.1.7 5 typ host",
    "c=in ip4 192.168.1.7",
    "c=IN\tIP4 192.168.1.7",
    "o=-  1  2 IN  IP4 192.168.1.7",
    "a=rtcp:5 in ip4 192.168.1.7",
    "a=source-filter: incl IN IP4 * 192.168.1.7",
    "a=alt:1 1 : x y 192.168.1.7 5",
    "s=2001:db8::7",
    "a=remote-candidates:1 192.168.1.7 50000",
]
RELAYED = "candidate:12 1 udp 41885439 198.51.100.3 60000 typ relay raddr 203.0.113.9 rport 50001 generation 0"
DESCRIPTION = (
    "v=0\r\no=- 4611731400430051336 2 IN IP6 2001:db8::7\r\ns=-\r\nc=IN IP6 2001:db8::7\r\nt=0 0\r\n"
    "m=audio 50000 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 192.168.1.7\r\na=rtcp:50001 IN IP4 192.168.1.7\r\n"
    + "".join(f"a={candidate.removeprefix('a=')}\r\n" for candidate in CANDIDATES_OF_A_GUEST[:8])
    + f"a=remote-candidates:1 192.168.1.7 50000\r\na={RELAYED}\r\na=mid:0\r\n"
)


@pytest.mark.parametrize("line", [*TELLING_LINES, *(f"a={candidate}" for candidate in SPELLINGS)])
def test_however_an_address_is_spelled_it_does_not_pass(line: str) -> None:
    hidden = relayed_only(f"v=0\r\n{line}\r\na=mid:0\r\na=fingerprint:sha-256 AB:CD:EF:01:02\r\n")

    assert addresses(json.dumps(hidden)) <= {"198.51.100.3", "0.0.0.0"}  # noqa: S104 - the unspecified address
    assert "192.168.1.7" not in hidden
    assert hidden.endswith("a=mid:0\r\na=fingerprint:sha-256 AB:CD:EF:01:02\r\n")


@pytest.mark.parametrize("candidate", SPELLINGS)
def test_a_relayed_candidate_tells_of_the_relay_alone(candidate: str) -> None:
    hidden = relayed(candidate)
    assert hidden is not None
    foundation, _, rest = hidden.partition(" ")
    assert rest == "1 udp 1 198.51.100.3 60000 typ relay raddr 0.0.0.0 rport 0"
    assert foundation == (relayed(RELAYED) or "").partition(" ")[0], "candidates of one relay have one foundation"


async def test_whatever_guests_send_with_relay_only_no_address_passes(start_server: StartServer) -> None:
    server = await start_server(relay_only=True, turn_urls=("turn:turn.example:3478",), turn_secret=turnserver.SECRET)
    (_, caller), (_, callee), _ = await server.pair()
    signals = [
        *({"candidate": {"candidate": text, "sdpMid": "0"}} for text in (*CANDIDATES_OF_A_GUEST, RELAYED)),
        {"candidate": None},
    ]
    for _ in range(2):  # a call, and a renegotiation
        await caller.emit("webrtc:offer", {"offer": {"type": "offer", "sdp": DESCRIPTION}, "type": "audio"})
        await callee.until("webrtc:offer")
        await callee.emit("webrtc:answer", {"answer": {"type": "answer", "sdp": DESCRIPTION}})
        await caller.until("webrtc:answer")
        for client, partner in ((caller, callee), (callee, caller)):
            for signal in signals:
                await client.emit("webrtc:ice-candidate", signal)
            await client.say("a barrier")
            await partner.until("chat:message")

    for client in (caller, callee):
        came = [payload for event, payload in client.heard if event.startswith("webrtc:")]
        assert addresses(msgspec.json.encode(came).decode()) == {"198.51.100.3", "0.0.0.0"}  # noqa: S104 - the unspecified address
        told = [signal["candidate"] and signal["candidate"]["candidate"] for signal in came if "candidate" in signal]
        assert told == [relayed(RELAYED), None] * 2


def _gathered(peer: Peer) -> list[Candidate]:
    transport = peer.connection.getReceivers()[0].transport.transport
    return list(transport._connection.local_candidates)
