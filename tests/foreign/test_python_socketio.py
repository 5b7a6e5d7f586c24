"""The scenario with python-socketio's client, which is written independently."""

from __future__ import annotations

import asyncio
from typing import Any

import socketio  # type: ignore[import-untyped]  # has no types
from socketio.exceptions import ConnectionError as RefusedError  # type: ignore[import-untyped]  # has no types

from tests.foreign.scenario import SEEN, TRANSPORTS, Scenario, reason_of_cut_line, transport_in_the_end
from tests.support.sio_server import BOUND, running


class Client:
    """python-socketio's AsyncClient with a queue for each event."""

    def __init__(self, *namespaces: str) -> None:
        self.client = socketio.AsyncClient(reconnection_delay=0.02, reconnection_delay_max=0.05, randomization_factor=0)
        self._events: dict[tuple[str, str], asyncio.Queue[list[Any]]] = {}
        for namespace in namespaces:
            for event in ("auth", "message-back", "question", "answered", "connect_error"):
                self._listen(namespace, event)

    def _listen(self, namespace: str, event: str) -> None:
        queue = self._events[namespace, event] = asyncio.Queue()

        def handler(*arguments: object) -> object:
            queue.put_nowait([plain(argument) for argument in arguments])
            return (42, b"\x03") if event == "question" else None

        self.client.on(event, handler, namespace)

    async def next(self, event: str, namespace: str = "/") -> list[Any]:
        return await asyncio.wait_for(self._events[namespace, event].get(), BOUND)

    async def exchange(self, *arguments: object, namespace: str = "/") -> list[Any]:
        await self.client.emit("message", arguments, namespace)
        return await self.next("message-back", namespace)

    async def ask(self, event: str, *arguments: object) -> list[Any]:
        answer = await self.client.call(event, arguments, timeout=BOUND)
        return [plain(value) for value in (answer if isinstance(answer, tuple) else (answer,))]


def plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


async def refusal(url: str, namespace: str, transports: list[str]) -> Any:  # noqa: ANN401 - the error's payload
    """Connect to a namespace that refuses; return the error."""
    client = Client(namespace)
    try:
        await client.client.connect(url, namespaces=[namespace], transports=transports, retry=False)
    except RefusedError:
        (said,) = await client.next("connect_error", namespace)
        return said
    finally:
        await client.client.disconnect()
    raise AssertionError("not refused")


@TRANSPORTS
async def test_python_socketio_goes_through_the_scenario(transports: str) -> None:
    scenario = Scenario()
    seen: dict[str, object] = {}
    ways = transports.split(",")
    async with running(scenario.subject) as server:
        scenario.running = server
        url = f"http://127.0.0.1:{server.port}"
        client = Client("/", "/custom")
        await client.client.connect(url, auth={"token": "abc"}, namespaces=["/"], transports=ways)
        try:
            (seen["auth"],) = await client.next("auth")
            seen["message-back"] = await client.exchange(1, "2", {"3": [True]}, "é😀\x1e", None)
            seen["binary message-back"] = await client.exchange(b"\x00\xff", {"deep": [b"", b"\xab" * 300]})
            (large,) = await client.exchange("x" * 200_000)
            seen["large message-back"] = len(large)
            seen["ack"] = await client.ask("message-with-ack", 1, {"2": [False]})
            seen["binary ack"] = await client.ask("message-with-ack", b"\x01", "last")
            await client.client.emit("ask", ("how much?", b"\x02"))
            seen["question"] = await client.next("question")
            seen["answered"] = await client.next("answered")
            before = client.client.get_sid()
            await client.client.emit("drop")
            await client.next("auth")
            seen["reconnected"] = client.client.get_sid() != before
            seen["after reconnecting"] = await client.exchange("back again")
            assert await client.ask("transport") == [transport_in_the_end(transports)]
        finally:
            await client.client.disconnect()
        assert await asyncio.wait_for(scenario.left.get(), BOUND) == reason_of_cut_line(transports)
        assert await asyncio.wait_for(scenario.left.get(), BOUND) in ("client_disconnect", "transport_close")

        custom = Client("/custom", "/")
        await custom.client.connect(url, auth={"token": "of /custom"}, namespaces=["/custom", "/"], transports=ways)
        try:
            (seen["custom auth"],) = await custom.next("auth", "/custom")
            seen["custom message-back"] = await custom.exchange("to /custom", namespace="/custom")
        finally:
            await custom.client.disconnect()
        seen["refused"] = await refusal(url, "/refusing", ways)
        seen["unknown namespace"] = (await refusal(url, "/nowhere", ways))["message"]
        assert seen == SEEN
