"""Upgrades from polling to WebSocket do not lose, duplicate or reorder messages."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, suppress

import pytest

from passerby.socketio import Options, Refusal, Request, Server
from passerby.socketio.session import State
from tests.support.sio_client import ClosedError, PollingClient, WebSocketClient, connected, payload_packets
from tests.support.sio_server import BOUND, PATH, echo, engine_echo, running, socketio_server, until


def target(client: PollingClient) -> str:
    return f"{PATH}?EIO=4&transport=websocket&sid={client.sid}"


def emit(subject: Server, *numbers: int) -> None:
    for socket in subject.namespace().sockets.values():
        for number in numbers:
            socket.emit("n", number, bytes((number,))) if number % 3 == 0 else socket.emit("n", number)


def numbers_in(packets: list[str | bytes]) -> list[int]:
    """Return the numbers of complete events; each attachment must directly follow its packet."""
    numbers = []
    for position, packet in enumerate(packets):
        if isinstance(packet, str) and packet.startswith(('42["n",', '451-["n",')):
            number = int(packet.split(",")[1].rstrip("]"))
            if packet.startswith("451-"):
                assert packets[position + 1] == bytes((number,))
            numbers.append(number)
    return numbers


async def test_what_waits_during_an_upgrade_comes_once_and_in_order() -> None:
    subject = echo()
    async with running(subject) as server, connected(server.port, "polling") as client:
        assert isinstance(client, PollingClient)
        await client.receive()
        emit(subject, 1, 2, 3)
        async with WebSocketClient.open(server.port, target(client)) as websocket:
            await websocket.send("2probe")
            assert await websocket.receive() == "3probe"
            emit(subject, 4, 5, 6)
            polled = [await client.receive() for _ in range(8)]
            emit(subject, 7, 8, 9)
            await websocket.send("5", '42["message",0]')
            upgraded: list[str | bytes] = []
            while not upgraded or upgraded[-1] != '42["message-back",0]':
                upgraded.append(await websocket.receive())
            emit(subject, 10)
            upgraded.append(await websocket.receive())
            assert numbers_in(polled) == [1, 2, 3, 4, 5, 6]
            assert numbers_in(upgraded) == [7, 8, 9, 10]


@pytest.mark.parametrize("seed", range(8))
async def test_a_busy_upgrade_loses_nothing_wherever_its_steps_fall(seed: int) -> None:
    chance = random.Random(seed)
    subject = echo()
    async with running(subject) as server, connected(server.port, "polling") as client:
        assert isinstance(client, PollingClient)
        await client.receive()
        sent = 0
        received: list[str | bytes] = []

        async def emit_some() -> None:
            nonlocal sent
            for _ in range(chance.randrange(4)):
                if sent < 250:
                    sent += 1
                    emit(subject, sent)
                if chance.random() < 0.5:
                    await asyncio.sleep(0)

        async def poll_until_upgraded() -> None:
            while True:
                answer = await client.get()
                assert answer.status == 200
                packets = payload_packets(answer.text)
                received.extend(packets)
                if "6" in packets:
                    return

        polling = asyncio.create_task(poll_until_upgraded())
        async with WebSocketClient.open(server.port, target(client)) as websocket:
            await emit_some()
            await websocket.send("2probe")
            await emit_some()
            assert await websocket.receive() == "3probe"
            await emit_some()
            await asyncio.wait_for(polling, BOUND)
            await emit_some()
            await websocket.send("5")
            await emit_some()
            while server.engine.sessions[client.sid].transport != "websocket":
                await emit_some()
                await asyncio.sleep(0)
            await emit_some()
            await websocket.send('42["message",0]')
            while not received or received[-1] != '42["message-back",0]':
                received.append(await websocket.receive())
            assert numbers_in(received) == list(range(1, sent + 1))


async def test_what_the_client_posts_while_it_probes_is_taken() -> None:
    engine, _ = engine_echo(Options())
    async with (
        running(engine) as server,
        PollingClient.open(server.port) as client,
        WebSocketClient.open(server.port, target(client)) as websocket,
    ):
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await client.post("4a\x1e4b")
        await websocket.send("5", "4c")
        assert [await websocket.receive() for _ in range(3)] == ["4a", "4b", "4c"]


@pytest.mark.parametrize("probed", [False, True])
async def test_an_upgrade_that_never_completes_is_abandoned_and_polling_goes_on(probed: bool) -> None:
    engine, ends = engine_echo(Options(upgrade_timeout=0.3))
    async with running(engine) as server, PollingClient.open(server.port) as client:
        await client.receive()
        async with WebSocketClient.open(server.port, target(client)) as websocket:
            if probed:
                await websocket.send("2probe")
                assert await websocket.receive() == "3probe"
            end = await websocket.closed()
            assert (end.code, end.reason) == (1008, "upgrade_not_completed")
        await client.post("4still here")
        assert await client.receive() == "4still here"
        assert ends.empty()
        assert engine.sessions[client.sid].state is State.OPEN


@pytest.mark.parametrize("strange", ["4early", "1", "abc", "2", "", b"\x01"])
async def test_a_probe_that_is_none_is_closed_and_polling_goes_on(strange: str | bytes) -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        await client.receive()
        async with WebSocketClient.open(server.port, target(client)) as websocket:
            await websocket.send(strange)
            assert (await websocket.closed()).code == 1008
        await client.post("4still here")
        assert await client.receive() == "4still here"
        assert ends.empty()


async def test_after_a_failed_upgrade_another_may_succeed() -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        await client.receive()
        for _ in range(3):
            async with WebSocketClient.open(server.port, target(client)) as websocket:
                await websocket.send("2probe")
                assert await websocket.receive() == "3probe"
                websocket.line._writer.transport.abort()
            await until(lambda: engine.sessions[client.sid].state is State.OPEN)
        async with WebSocketClient.open(server.port, target(client)) as websocket:
            await websocket.send("2probe", "5", "4a")
            assert [await websocket.receive(), await websocket.receive()] == ["3probe", "4a"]
            assert ends.empty()


@pytest.mark.parametrize("upgraded", [False, True])
async def test_a_session_has_one_upgrade_at_a_time(upgraded: bool) -> None:
    engine, ends = engine_echo(Options())
    async with (
        running(engine) as server,
        PollingClient.open(server.port) as client,
        WebSocketClient.open(server.port, target(client)) as websocket,
    ):
        await websocket.send("2probe", *(["5"] if upgraded else []))
        assert await websocket.receive() == "3probe"
        if upgraded:
            await until(lambda: engine.sessions[client.sid].transport == "websocket")
        for _ in range(3):
            with pytest.raises(ClosedError) as refused:
                async with WebSocketClient.open(server.port, target(client)):
                    pass
            assert refused.value.code == 400
            assert '"already_upgraded"' in refused.value.reason
        await websocket.send(*([] if upgraded else ["5"]), "4a")
        assert await websocket.receive() == "4a"
        assert ends.empty()


async def test_of_many_upgrades_at_once_one_is_accepted() -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client, AsyncExitStack() as opened:

        async def upgrade() -> WebSocketClient | None:
            with suppress(ClosedError):
                return await opened.enter_async_context(WebSocketClient.open(server.port, target(client)))
            return None

        websockets = [one for one in await asyncio.gather(*(upgrade() for _ in range(50))) if one is not None]
        assert len(websockets) == 1
        await websockets[0].send("2probe", "5", "4a")
        assert [await websockets[0].receive() for _ in range(2)] == ["3probe", "4a"]
        assert ends.empty()


async def test_an_upgrade_is_counted_like_a_new_connection() -> None:
    asked: list[bool] = []
    full = Refusal(6, "rate_limited", "Too Many Requests", status=429, retry_after=1)

    def allow(request: Request) -> Refusal | None:
        asked.append(request.websocket)
        return full if len(asked) > 2 else None

    subject = socketio_server(allow=allow)
    async with running(subject) as server, PollingClient.open(server.port) as client:
        async with WebSocketClient.open(server.port, target(client)) as websocket:
            await websocket.send("4no probe")
            await websocket.closed()
        await until(lambda: subject.engine.sessions[client.sid].state is State.OPEN)
        with pytest.raises(ClosedError) as refused:
            async with WebSocketClient.open(server.port, target(client)):
                pass
        assert refused.value.code == 429
        assert asked == [False, True, True]
        assert subject.engine.sessions[client.sid].can_upgrade


async def test_a_session_that_ends_while_it_probes_takes_its_websocket_along() -> None:
    engine, ends = engine_echo(Options())
    async with (
        running(engine) as server,
        PollingClient.open(server.port) as client,
        WebSocketClient.open(server.port, target(client)) as websocket,
    ):
        await websocket.send("2probe")
        assert await websocket.receive() == "3probe"
        await client.post("1")
        assert (await websocket.closed()).code == 1008
        assert ends.get_nowait() == "transport_close"
        assert client.sid not in engine.sessions


async def test_the_heartbeat_goes_on_over_the_new_transport() -> None:
    engine, ends = engine_echo(Options(ping_interval=0.1, ping_timeout=BOUND))
    async with (
        running(engine) as server,
        PollingClient.open(server.port) as client,
        WebSocketClient.open(server.port, target(client)) as websocket,
    ):
        await websocket.send("2probe", "5")
        assert await websocket.receive() == "3probe"
        for _ in range(2):
            assert await websocket.receive() == "2"
            await websocket.send("3")
        assert ends.empty()


async def test_a_session_that_was_upgraded_ends_with_its_websocket() -> None:
    engine, ends = engine_echo(Options())
    async with running(engine) as server, PollingClient.open(server.port) as client:
        async with WebSocketClient.open(server.port, target(client)) as websocket:
            await websocket.send("2probe", "5", "4a")
            assert [await websocket.receive(), await websocket.receive()] == ["3probe", "4a"]
        assert await asyncio.wait_for(ends.get(), BOUND) == "transport_close"
        with pytest.raises(ClosedError) as refused:
            async with WebSocketClient.open(server.port, target(client)):
                pass
        assert refused.value.code == 400
