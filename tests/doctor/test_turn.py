"""STUN_URLS and TURN_URLS, with a real coturn."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from passerby.clock import SystemClock
from passerby.doctor import turn_client
from passerby.doctor.turn import credentials
from tests.calls import turnserver
from tests.doctor.diagnosis import HOST, chosen, diagnose, silent
from tests.proxies.proxy import make_certificate
from tests.support.client import PATIENCE
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.calls.turnserver import TurnServer
    from tests.support.server import InsideServer

CONFIGURATION = ("-c", str(turnserver.CONFIGURATION))


@pytest.fixture
def deployed(coturn: str, tmp_path: Path) -> Iterator[TurnServer]:
    """Run coturn as `deploy/` has it, and with TLS."""
    with turnserver.running(coturn, tmp_path, *CONFIGURATION) as server:
        yield server


@pytest.fixture
def encrypted(coturn: str, tmp_path: Path) -> Iterator[tuple[TurnServer, Path]]:
    """Run coturn with TLS; yield it and the certificate."""
    pair = make_certificate(tmp_path, "localhost")
    with turnserver.running(coturn, tmp_path, "-n", pair=pair) as server:
        yield server, pair[0]


@pytest.mark.parametrize("transport", ["", "?transport=udp", "?transport=tcp"])
async def test_a_relay_for_a_guest(deployed: TurnServer, transport: str) -> None:
    url = f"turn:{HOST}:{deployed.port}{transport}"
    report = await diagnose(turn_urls=(url,), turn_secret=turnserver.SECRET)

    assert report.code == 0
    assert report.level(f"{HOST}:{deployed.port}") == "ok"


async def test_a_stun_server_sees_this_machine(deployed: TurnServer) -> None:
    report = await diagnose(stun_urls=(f"stun:{HOST}:{deployed.port}",))

    assert report.level(f"sees this machine as {HOST}") == "ok"


async def test_tls(encrypted: tuple[TurnServer, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    server, certificate = encrypted
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    place = f"localhost:{server.tls_port}"
    report = await diagnose(
        stun_urls=(f"stuns:{place}",),
        turn_urls=(f"turns:{place}", f"turns:{place}?transport=tcp"),
        turn_secret=turnserver.SECRET,
    )

    assert [line.split()[0] for line in report.about(str(server.tls_port))][:1] == ["ok"]
    assert len(report.about("relays through")) == 2


async def test_a_certificate_that_nobody_trusts(encrypted: tuple[TurnServer, Path]) -> None:
    url = f"turns:localhost:{encrypted[0].tls_port}"
    report = await diagnose(turn_urls=(url,), turn_secret=turnserver.SECRET)

    assert report.level("the certificate is not valid") == "problem"


async def test_another_secret(deployed: TurnServer) -> None:
    url = f"turn:{HOST}:{deployed.port}"
    report = await diagnose(turn_urls=(url,), turn_secret="a wrong guess")

    assert report.level("TURN_SECRET") == "problem"
    assert not report.about("wrong guess")


async def test_a_clock_that_is_behind(deployed: TurnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SystemClock, "time", lambda _self: 1e9)
    report = await diagnose(turn_urls=(f"turn:{HOST}:{deployed.port}",), turn_secret=turnserver.SECRET)

    assert report.level("clocks") == "problem"


async def test_no_allocation_left(coturn: str, tmp_path: Path) -> None:
    with turnserver.running(coturn, tmp_path, "-n", "--total-quota=1") as server:
        url = f"turn:{HOST}:{server.port}"
        username, password = _credentials(url)
        async with turn_client.allocation(turn_client.parse(url), username, password):
            report = await diagnose(turn_urls=(url,), turn_secret=turnserver.SECRET)

    assert report.level("total-quota") == "problem"


def _credentials(url: str) -> tuple[str, str]:
    return credentials(chosen(turn_secret=turnserver.SECRET), url)


async def test_an_allocation_is_given_back(deployed: TurnServer) -> None:
    url = f"turn:{HOST}:{deployed.port}"
    async with turn_client.allocation(turn_client.parse(url), *_credentials(url)) as relay:
        await relay.release()
        code = await asyncio.wait_for(_refusal(relay), PATIENCE)

    assert code in (400, 437), "no allocation any more; the RFC has 437"


async def _refusal(relay: turn_client.Allocation) -> int:
    """Ask until the relay is gone: coturn removes it a moment after its answer."""
    while True:
        try:
            await relay.permit("9.9.9.9")
        except turn_client.RefusedError as refused:
            return refused.code


async def test_a_relay_into_private_networks(turn: TurnServer) -> None:
    report = await diagnose(turn_urls=(turn.settings["turn_urls"],), turn_secret=turnserver.SECRET)

    assert report.level("internal network") == "warning"
    assert report.code == 0


@pytest.mark.parametrize("url", ["turn:{}", "turn:{}?transport=tcp", "turns:{}"])
async def test_a_port_where_nothing_listens(url: str) -> None:
    there = url.format(f"{HOST}:{free_port()}")
    report = await diagnose(turn_urls=(there,), turn_secret=turnserver.SECRET)

    assert report.level("nothing listens there") == "problem"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("turn:{}", socket.SOCK_DGRAM),
        ("turn:{}?transport=tcp", socket.SOCK_STREAM),
        ("turns:{}", socket.SOCK_STREAM),
    ],
)
async def test_a_server_that_never_answers(url: str, kind: socket.SocketKind) -> None:
    with silent(kind) as port:
        there = url.format(f"{HOST}:{port}")
        report = await diagnose(deadline=0.5, turn_urls=(there,), turn_secret=turnserver.SECRET)

    assert report.level(f"{port}.* no answer within") == "problem"


@pytest.mark.parametrize("url", ["turn:no-such-host.invalid", "stun:no-such-host.invalid:1"])
async def test_a_name_without_address(url: str) -> None:
    is_turn = url.startswith("turn")
    report = await diagnose(
        turn_urls=(url,) if is_turn else (), stun_urls=() if is_turn else (url,), turn_secret="secret"
    )

    assert report.level("has no address") == "problem"


async def test_a_web_server_in_its_place(server: InsideServer) -> None:
    port = server.url.rpartition(":")[2]
    report = await diagnose(turn_urls=(f"turn:{HOST}:{port}?transport=tcp",), turn_secret="secret")

    assert report.level(f"{port}.transport=tcp cannot be used") == "problem"


async def test_dtls_is_not_checked() -> None:
    report = await diagnose(turn_urls=("turns:turn.example?transport=udp",), turn_secret="secret")

    assert report.level("DTLS") == "warning"


@pytest.mark.parametrize(
    ("url", "host", "port", "transport"),
    [
        ("stun:a.example", "a.example", 3478, "udp"),
        ("stuns:a.example", "a.example", 5349, "tls"),
        ("turn:a.example:1", "a.example", 1, "udp"),
        ("turn:a.example?transport=tcp", "a.example", 3478, "tcp"),
        ("turns:a.example:443?transport=tcp", "a.example", 443, "tls"),
        ("turns:a.example?transport=udp", "a.example", 5349, "dtls"),
        ("turn:[2001:db8::5]:99", "2001:db8::5", 99, "udp"),
        ("turn:[2001:db8::5]", "2001:db8::5", 3478, "udp"),
    ],
)
def test_a_url_is_read(url: str, host: str, port: int, transport: str) -> None:
    assert turn_client.parse(url) == (url, host, port, transport)


@pytest.mark.parametrize("url", ["turn::99", "turn:a.example:0", "turn:a.example:65536"])
async def test_a_url_without_host_or_port(url: str) -> None:
    report = await diagnose(turn_urls=(url,), turn_secret="secret")

    assert report.level("names no host and port") == "problem"
