from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from passerby.doctor import port
from tests.doctor.diagnosis import HOST, chosen, diagnose, silent
from tests.support.ports import free_port

if TYPE_CHECKING:
    from tests.support.server import InsideServer


async def test_a_free_port() -> None:
    assert (await diagnose(port=(number := free_port()))).level(f"port {number} ") == "ok"


async def test_any_port() -> None:
    assert (await diagnose(port=0)).level("PORT is 0") == "ok"


@pytest.mark.parametrize("host", [HOST, "0.0.0.0", "localhost"])  # noqa: S104 - where a server may listen
async def test_a_port_where_passerby_is_serving(server: InsideServer, host: str) -> None:
    number = int(server.url.rpartition(":")[2])

    report = await diagnose(host=host, port=number)

    assert report.level(f"port {number} of {host} is in use by a Passerby that is already serving") == "ok"


async def test_a_server_of_another_version(server: InsideServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "__version__", "99.0")

    report = await diagnose(port=int(server.url.rpartition(":")[2]))

    assert report.level("99.0") == "warning"


async def _not_found(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 29\r\n\r\n{"data":{"status":"ok","v":1}}')
    writer.close()


async def _noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"220 mail.example ESMTP\r\n")
    writer.close()


async def _closed(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("other", [_not_found, _noise, _closed])
async def test_a_port_of_another_program(other: object) -> None:
    server = await asyncio.start_server(other, HOST, 0)  # type: ignore[arg-type]  # one of the functions above
    async with server:
        number = server.sockets[0].getsockname()[1]
        report = await diagnose(port=number)

    assert report.level(f"port {number} ") == "problem"
    assert report.about("another program")


async def test_a_port_of_a_program_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "CONNECT", 0.2)
    with silent(socket.SOCK_STREAM) as number:
        report = await diagnose(port=number)

    assert report.level("another program") == "problem"


async def test_a_port_that_needs_rights_says_so_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_host: str, _port: int) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(port, "_listen", refuse)
    report = await diagnose(port=80)

    assert report.level("needs more rights") == report.level("1024 or more") == "problem"


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_a_host_that_is_not_here(host: str) -> None:
    assert (await diagnose(host=host)).level(f"HOST={host}") == "problem"


async def test_the_port_is_free_again_afterwards() -> None:
    settings = chosen(port=free_port())
    for _ in range(2):
        (finding,) = await port.port(settings)
        assert finding.level.value == "ok"
