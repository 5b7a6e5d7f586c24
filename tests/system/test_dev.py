"""`make dev`: the server and Vite together, with reload."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.client import Client
from tests.support.development import ROOT, Development
from tests.support.server import RunningServer, http_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., Development]

SOURCE = ROOT / "src" / "passerby" / "ids.py"


@pytest.fixture
def start_development() -> Iterator[Start]:
    """Return a function that starts `make dev`'s processes; they end with the test."""
    started: list[Development] = []

    def start(*arguments: str, terminal: int = subprocess.DEVNULL, **environment: str) -> Development:
        started.append(Development(*arguments, terminal=terminal, **environment))
        return started[-1]

    yield start
    for development in started:
        development.stop()


async def test_it_serves_the_page_from_its_source_and_passes_on_what_is_the_servers(start_development: Start) -> None:
    development = await asyncio.to_thread(start_development().wait_until_ready)

    assert sum("http://" in line for line in development.lines) == 1, "exactly one URL is printed"
    async with http_client(development.url) as http:
        page = await http.get("/")
        assert "/src/main.ts" in page.text
        assert "/@vite/client" in page.text, "the page updates automatically"
        assert (await http.get("/health")).json()["success"] is True
        assert (await http.get("/schema/asyncapi.json")).json()["asyncapi"] == "3.0.0"
        assert (await http.get("/api/guest/username")).status_code == 200


async def test_two_guests_of_its_origin_talk_and_the_server_restarts_when_its_code_changes(
    start_development: Start,
) -> None:
    development = await asyncio.to_thread(start_development().wait_until_ready)
    origin = {"Origin": development.url}  # as the browser sends it
    polling = "/socket.io/?EIO=4&transport=polling"
    async with http_client(development.url) as http:
        server = RunningServer(development.url, http)
        one, other = [
            await Client.connect(development.url, {"token": (await server.newcomer()).token}, headers=origin)
            for _ in range(2)
        ]
        for client in (one, other):
            await client.next("connection:established")
        await server.match(one, other)
        await one.emit("chat:message", {"type": "text", "content": "Through Vite"})
        assert (await other.next("chat:message"))["content"] == "Through Vite"
        assert (await http.get(polling, headers=origin)).status_code == 200
        assert (await http.get(polling, headers={"Origin": "http://localhost:1"})).status_code != 200

        os.utime(SOURCE)
        await asyncio.to_thread(development.wait_for, "ids.py changed: the server restarts")
        await one.gone()
        await asyncio.gather(one.close(), other.close())

        await asyncio.to_thread(development.wait_for, "the server is ready again")
        assert (await http.get("/health")).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_it(start_development: Start, number: signal.Signals) -> None:
    development = start_development().wait_until_ready()

    development.send(number)

    assert development.wait() == 0
    assert not is_open(development.port)
    assert not any("Traceback" in line for line in development.lines)


def test_it_ends_with_its_terminal(start_development: Start) -> None:
    ours, its = os.openpty()
    development = start_development(terminal=its)
    os.close(its)
    development.wait_until_ready()

    os.close(ours)

    assert development.wait() == 0
    assert not is_open(development.port)


@pytest.mark.parametrize("ci", ["", "true"])
def test_nothing_is_left_when_it_is_killed(start_development: Start, ci: str) -> None:
    development = start_development(CI=ci).wait_until_ready()

    development.send(signal.SIGKILL)

    assert development.wait() == -signal.SIGKILL
    assert not is_open(development.port)


@pytest.mark.parametrize("whose", ["page", "server"])
def test_a_port_that_is_taken_is_one_line_and_exit_code_1(start_development: Start, whose: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        development = start_development("--port" if whose == "page" else "--server-port", port)

        assert development.wait() == 1
        (line,) = development.lines
        assert f"port {port} is in use" in line


def test_a_bad_setting_is_said_and_exit_code_2(start_development: Start) -> None:
    development = start_development(GRACE="soon")

    assert development.wait() == 2
    assert any(line.startswith("passerby: GRACE") for line in development.lines)
    assert not is_open(development.port)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
