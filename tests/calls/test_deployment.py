"""deploy/coturn/turnserver.conf: coturn accepts it unchanged, and relays only to the public internet."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from passerby.calls.ice import Ice
from passerby.clock import SystemClock
from passerby.doctor.turn_client import RefusedError
from tests.calls import turnserver
from tests.calls.allocation import allocation, permission

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATION = turnserver.CONFIGURATION
SETTINGS = [
    (name, value)
    for name, _, value in (
        line.partition("=")
        for line in CONFIGURATION.read_text(encoding="utf-8").splitlines()
        if line[:1] not in ("", "#")
    )
]
UNAUTHORIZED = 401
RANGES = [(name, value) for name, value in SETTINGS if name == "denied-peer-ip"]
FORBIDDEN = 403
QUOTA_REACHED = 486
PUBLIC = "9.9.9.9"
"""A public address. Nothing is sent there; the tests only check that relaying to it is allowed."""


@pytest.fixture
def deployed(coturn: str, tmp_path: Path) -> Iterator[turnserver.TurnServer]:
    """Run coturn with the deployment's configuration; only port, realm and secret are changed."""
    with turnserver.running(coturn, tmp_path, "-c", str(CONFIGURATION)) as server:
        yield server


def credentials(secret: str = turnserver.SECRET) -> tuple[str, str]:
    ice = Ice(SystemClock(), stun=(), turn=("turn:127.0.0.1",), secret=secret, ttl=600, relay=False)
    (server,) = msgspec.to_builtins(ice.servers("guest_x"))["iceServers"]
    return server["username"], server["credential"]


async def test_it_relays_to_the_public_internet_and_nowhere_else(deployed: turnserver.TurnServer) -> None:
    refused = [
        "0.0.0.0",  # noqa: S104 - a peer, not where anything listens
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "127.0.0.1",
        "127.0.0.53",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.254",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
    ]
    async with allocation(deployed, *credentials()) as relay:
        answers = {peer: await permission(relay, peer) for peer in [*refused, PUBLIC]}

    assert answers == {**dict.fromkeys(refused, FORBIDDEN), PUBLIC: None}


@pytest.mark.parametrize("guess", ["", "a guess"])
async def test_it_relays_for_nobody_without_the_secret(deployed: turnserver.TurnServer, guess: str) -> None:
    with pytest.raises(RefusedError) as caught:
        async with allocation(deployed, *credentials(guess)):
            pass

    assert caught.value.code == UNAUTHORIZED


@pytest.mark.parametrize("guess", ["", "turn.example", turnserver.SECRET])
async def test_without_a_secret_of_the_operators_it_relays_for_nobody(coturn: str, tmp_path: Path, guess: str) -> None:
    bare = turnserver.running(coturn, tmp_path, "-c", str(CONFIGURATION), secret=None)
    with bare as server, pytest.raises(RefusedError) as caught:
        async with allocation(server, *credentials(guess)):
            pass

    assert caught.value.code == UNAUTHORIZED


async def test_a_guest_has_so_many_allocations_and_no_more(deployed: turnserver.TurnServer) -> None:
    quota = int(dict(SETTINGS)["user-quota"])
    await _allocate(deployed, quota)
    with pytest.raises(RefusedError) as caught:
        await _allocate(deployed, quota + 1)

    assert caught.value.code == QUOTA_REACHED


async def _allocate(server: turnserver.TurnServer, times: int) -> None:
    if times:
        async with allocation(server, *credentials()):
            await _allocate(server, times - 1)


def is_denied(address: str) -> bool:
    """Return how coturn interprets the ranges: `::` means "from any address", and each byte is compared separately."""
    peer = ipaddress.ip_address(address).packed
    ranges = [[ipaddress.ip_address(end).packed for end in value.split("-")] for _, value in RANGES]
    assert bytes(16) not in [first for first, _ in ranges]
    return any(_within(first, peer, last) for first, last in ranges)


def _within(first: bytes, peer: bytes, last: bytes) -> bool:
    same_version = len(first) == len(peer)
    return same_version and all(low <= byte <= high for low, byte, high in zip(first, peer, last, strict=True))


@pytest.mark.parametrize(
    "network",
    [
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("::1/128", "::7f00:0/104", "::a00:0/104", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    ],
)
def test_networks_that_are_not_public_are_denied(network: str) -> None:
    whole = ipaddress.ip_network(network)
    middle = whole.network_address + whole.num_addresses // 2
    for address in (whole.network_address, middle, whole.broadcast_address):
        assert is_denied(str(address)), address


@pytest.mark.parametrize("public", [PUBLIC, "1.1.1.1", "172.32.0.1", "100.128.0.1", "2620:fe::fe", "2a00:1450::1"])
def test_public_addresses_are_not_denied(public: str) -> None:
    assert not is_denied(public)


def test_what_operators_must_not_miss_is_set() -> None:
    settings = dict(SETTINGS)
    assert {"use-auth-secret", "no-multicast-peers", "no-cli", "fingerprint"} <= set(settings)
    assert {"allow-loopback-peers", "no-auth", "lt-cred-mech", "server-relay", "allowed-peer-ip"} & set(
        settings
    ) == set()
    assert "static-auth-secret" not in settings  # no published and no empty secret
    for quota in ("user-quota", "total-quota", "max-bps", "bps-capacity"):
        assert int(settings[quota]) > 0
