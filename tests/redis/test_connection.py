"""Commands and answers on one connection: order, writes, refusals, loss."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from passerby.background import Background
from passerby.clock import SystemClock
from passerby.redis import connection as module
from passerby.redis.connection import Connection
from passerby.redis.errors import LostError, RefusedError
from passerby.redis.opening import Hooks, Opener
from passerby.redis.script import Script
from passerby.redis_url import parse
from tests.support.clock import ManualClock, turns
from tests.support.valkey import connected, proxy, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Fake(asyncio.Protocol):
    """A server that answers only what a test tells it to."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.heard = asyncio.Event()
        self.made = asyncio.Event()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.made.set()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.heard.set()

    def say(self, data: bytes) -> None:
        self.transport.write(data)


@asynccontextmanager
async def talk(path: Path, clock: ManualClock | None = None) -> AsyncIterator[tuple[Fake, Connection, list[Any]]]:
    """Connect to a fake server; the list gets what is told of the connection."""
    fake = Fake()
    told: list[Any] = []
    loop = asyncio.get_running_loop()
    listener = await loop.create_unix_server(lambda: fake, str(path / "s"))
    background = Background(clock or SystemClock())
    _, connection = await loop.create_unix_connection(
        lambda: Connection(background, told.append, told.append), str(path / "s")
    )
    await fake.made.wait()
    try:
        yield fake, connection, told
    finally:
        connection.close()
        fake.transport.abort()
        listener.close()
        await turns()


async def test_answers_come_in_the_order_of_commands_and_never_at_once() -> None:
    async with valkey() as server, connected(server.url) as redis:
        got: list[object] = []
        redis.send(got.append, "SET", "x", 1)
        for _ in range(100):
            redis.send(got.append, "INCR", "x")
        redis.send(got.append, "GET", "x")
        assert got == []
        assert await redis.command("STRLEN", "x") == 3
        assert got == [b"OK", *range(2, 102), b"101"]


async def test_all_commands_of_one_turn_are_one_write() -> None:
    async with valkey() as server, proxy(server) as between, connected(between.url) as redis:
        await redis.command("SET", "x", "0")
        between.writes.clear()
        await asyncio.gather(*(redis.command("INCR", "x") for _ in range(50)))
        assert len(between.writes) == 1
        assert between.writes[0].count(b"INCR") == 50


@pytest.mark.parametrize("part", ["ä€\U0001f600", b"\x00\r\n\xff", "", b"", -7, 2.5, "x" * 1_000_000])
async def test_all_kinds_of_parts(part: str | bytes | float) -> None:
    async with valkey() as server, connected(server.url) as redis:
        await redis.command("SET", "x", part)
        expected = part if isinstance(part, bytes) else str(part).encode()
        assert await redis.command("GET", "x") == expected


async def test_a_part_that_cannot_be_sent_is_an_error_of_the_caller() -> None:
    async with valkey() as server, connected(server.url) as redis:
        waiting = redis.command("SET", "x", "1")
        for part in (None, object(), "\ud800"):
            with pytest.raises((TypeError, UnicodeEncodeError)):
                redis.send(print, "SET", "x", part)  # type: ignore[arg-type]
        assert await waiting == b"OK"
        assert await redis.command("GET", "x") == b"1"


async def test_all_kinds_of_replies() -> None:
    async with valkey() as server, connected(server.url) as redis:
        script = "return {1, 'two', {redis.status_reply('OK'), false}, {err='NO'}, {}}"
        reply = await redis.command("EVAL", script, 0)
        assert isinstance(reply, list)
        assert reply[:3] == [1, b"two", [b"OK", None]]
        assert [type(part) for part in reply[3:]] == [RefusedError, list]


async def test_a_callback_that_fails_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise ValueError("broken")

    async with valkey() as server, connected(server.url) as redis:
        redis.send(fail, "SET", "x", "1")
        assert await redis.command("GET", "x") == b"1"
    assert "reply of Redis failed" in caplog.text


async def test_a_caller_who_has_gone_harms_no_other() -> None:
    async with valkey() as server, connected(server.url) as redis:
        redis.command("SET", "x", "1").cancel()
        assert await redis.command("GET", "x") == b"1"


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_replies_may_come_in_pieces(tmp_path: Path, size: int) -> None:
    async with talk(tmp_path) as (fake, connection, told):
        answers = asyncio.gather(connection.command("GET", "x"), connection.command("GET", "y"))
        await fake.heard.wait()
        assert bytes(fake.received) == b"*2\r\n$3\r\nGET\r\n$1\r\nx\r\n*2\r\n$3\r\nGET\r\n$1\r\ny\r\n"
        reply = b"$5\r\nhello\r\n*2\r\n:1\r\n$-1\r\n"
        for start in range(0, len(reply), size):
            fake.say(reply[start : start + size])
            await asyncio.sleep(0)
        assert list(await answers) == [b"hello", [1, None]]
        assert told == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak Redis' protocol"),
        (b"", "has closed the connection"),
        (b"$5\r\nhal", "has closed the connection"),
    ],
)
async def test_a_connection_that_breaks_tells_everybody_once(tmp_path: Path, said: bytes, reason: str) -> None:
    async with talk(tmp_path) as (fake, connection, told):
        answers = [connection.command("GET", "x") for _ in range(3)]
        await fake.heard.wait()
        fake.say(said)
        fake.transport.close()
        results = await asyncio.gather(*answers, return_exceptions=True)
        assert all(isinstance(result, LostError) and reason in str(result) for result in results)
        assert told == [results[0]]
        assert not connection.is_open
        with pytest.raises(LostError, match=reason):
            await connection.command("GET", "x")


async def test_what_nobody_asked_for_is_ignored(tmp_path: Path) -> None:
    async with talk(tmp_path) as (fake, connection, told):
        fake.say(b"-ERR max number of clients reached\r\n")
        while not told:  # noqa: ASYNC110 - until it is read
            await asyncio.sleep(0)
        fake.transport.close()
        with pytest.raises(LostError):
            await connection.command("GET", "x")
        assert [type(what) for what in told] == [RefusedError, LostError]


async def test_an_outbox_that_is_full_refuses_what_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OUTBOX_LIMIT", 1 << 20)
    async with talk(tmp_path) as (fake, connection, told):
        fake.transport.pause_reading()
        part = "x" * 100_000
        results: list[object] = []
        for _ in range(10):
            connection.send(results.append, ("SET", "x", part))
        with pytest.raises(LostError, match="too much waits"):
            await connection.command("SET", "x", part)
        await asyncio.sleep(0)
        with pytest.raises(LostError, match="too much waits"):  # it waits in the transport now
            await connection.command("SET", "x", part * 3)
        assert results == []
        fake.transport.resume_reading()
        fake.say(b"+OK\r\n" * 10)
        assert told == []
        later = connection.command("GET", "x")
        fake.say(b"$1\r\n1\r\n")
        assert await later == b"1"
        assert results == [b"OK"] * 10


async def test_silence_ends_a_connection_at_the_deadline(tmp_path: Path) -> None:
    clock = ManualClock()
    async with talk(tmp_path, clock) as (fake, connection, told):
        for _ in range(20):  # it is asked at each look, and answers
            await clock.run(0.5)
            fake.say(b"+PONG\r\n" * fake.received.count(b"PING"))
            fake.received.clear()
            await clock.run(0)
        await clock.run(1.4)
        assert told == []
        await clock.run(0.6)
        assert [str(error) for error in told] == ["no answer for 1.5 s"]
        assert not connection.is_open


async def test_a_network_that_is_slow_with_much_is_no_black_hole(tmp_path: Path) -> None:
    clock = ManualClock()
    async with talk(tmp_path, clock) as (fake, connection, told):
        fake.transport.pause_reading()
        connection.command("SET", "x", b"x" * 4_000_000).add_done_callback(lambda future: future.exception())
        await clock.run(0.5)
        for _ in range(6):
            size = len(fake.received)
            fake.transport.resume_reading()
            while len(fake.received) < size + 300_000:  # noqa: ASYNC110 - until it is read
                await asyncio.sleep(0)
            fake.transport.pause_reading()
            await clock.run(0.5)
        assert told == []
        await clock.run(1.5)
        assert [str(error) for error in told] == ["no answer for 1.5 s"]


async def test_a_process_that_was_paused_does_not_blame_the_server(tmp_path: Path) -> None:
    clock = ManualClock()
    async with talk(tmp_path, clock) as (fake, connection, told):
        waiting = connection.command("GET", "x")
        await fake.heard.wait()
        clock._now += 60  # as after SIGSTOP: all timers are late
        clock.advance(0)
        assert told == []
        fake.say(b"$1\r\n1\r\n")
        assert await waiting == b"1"


async def test_a_script_is_sent_once_and_again_when_it_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "add.lua"
    path.write_text("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    script = Script(path)
    assert script.name == "add.lua"
    async with valkey() as server, connected(server.url, "p:") as redis:
        for expected in (2, 4):
            assert await redis.run(script, [redis.key("x")], 2) == expected
        await server.command("SCRIPT", "FLUSH")
        assert await asyncio.gather(*(redis.run(script, [redis.key("x")], 1) for _ in range(3))) == [5, 6, 7]
        stats = await server.command_stats()
        assert (stats["eval"], stats["evalsha"]) == (4, 4)
        assert await server.command("GET", "p:x") == b"7"
        with pytest.raises(RefusedError):
            await redis.run(script, [redis.key("x")], "much")


async def test_nothing_is_left_of_a_client_that_was_closed() -> None:
    async with valkey() as server:
        async with connected(server.url) as redis:
            last = redis.command("SET", "x", "1")
        assert await last == b"OK"
        assert not redis.is_usable
        with pytest.raises(LostError):
            await redis.command("GET", "x")

        async def nobody() -> bool:
            return b"passerby" not in await server.command("CLIENT", "LIST")

        assert await nobody()
    gc.collect()


# ── who answers ───────────────────────────────────────────────────────────────────────────────────

_HELLO = {"server": "valkey", "version": "8.0.1", "proto": 2, "mode": "standalone", "role": "master"}


def _resp(values: dict[str, object]) -> bytes:
    items = [str(part) for pair in values.items() for part in pair]
    return f"*{len(items)}\r\n".encode() + b"".join(f"${len(item)}\r\n{item}\r\n".encode() for item in items)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (_resp(_HELLO), ""),
        (_resp(_HELLO | {"server": "redis", "version": "7.0.0"}), ""),
        (_resp(_HELLO | {"server": "redis", "version": "6.2.14"}), "too old: Redis 6.2.14, but Redis 7 or Valkey 8"),
        (_resp(_HELLO | {"version": "7.2.5"}), "too old: Valkey 7.2.5"),
        (_resp(_HELLO | {"role": "replica"}), "it is a replica"),
        (_resp(_HELLO | {"mode": "cluster"}), "must begin with redis\\+cluster://"),
        (_resp(_HELLO | {"server": "dragonfly"}), "neither Redis nor Valkey"),
        (_resp(_HELLO | {"version": "new"}), "neither Redis nor Valkey"),
        (b"+OK\r\n", "does not answer HELLO"),
        (b"*0\r\n", "neither Redis nor Valkey"),
        (b"-ERR unknown command 'HELLO'\r\n", "too old"),
        (b"-NOAUTH HELLO must be called with the client already authenticated\r\n", "requires a password"),
        (b"-DENIED Redis is running in protected mode\r\n", "refuses a command \\(DENIED\\)"),
        (b"HTTP/1.1 400\r\n", "does not speak"),
    ],
)
async def test_who_is_good_enough(tmp_path: Path, answer: bytes, reason: str) -> None:
    class Answering(Fake):
        def data_received(self, data: bytes) -> None:
            self.say(answer)

    told: list[object] = []
    listener = await asyncio.get_running_loop().create_unix_server(Answering, str(tmp_path / "s"))
    opener = Opener(parse(f"unix://{tmp_path}/s"), Background(SystemClock()))
    hooks = Hooks(lambda *what: told.append(what), lambda *what: told.append(what))
    try:
        if reason:
            with pytest.raises(OSError, match=reason):
                await opener.open(opener.url.addresses[0], hooks)
            assert told == []
        else:
            (await opener.open(opener.url.addresses[0], hooks)).close()
            assert len(told) == 1
    finally:
        listener.close()
