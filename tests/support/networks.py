"""Networks of a Redis, nodes and guests, in which a test can cut, slow down and spoil each way by itself.

Nodes talk to each other through Redis alone, so the ways are those between a node and Redis, and between a node and the
guests. There are two kinds of networks, with the same methods:

- **namespaces**: Redis and each node run on a host of their own, a network namespace, and Redis is at another address
  than the nodes. The hosts' interfaces are TUN devices, and the `Switch` between them passes packets on, late, or not
  at all. So connections meet what they meet between machines: packets that nobody answers, TCP that sends again. The
  kernel needs no `netem`. This takes root on Linux.
- **proxies**: everything listens on the loopback interface, and a proxy stands in each way. It passes on what was
  read from one connection to another one. A loss is a pause, as long as TCP takes to send again.

Nothing of a network outlives the tests, whatever ends them: a namespace goes with its last process, and a TUN device
with its descriptor.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import itertools
import json
import os
import random
import shutil
import struct
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from tests.support.server import SECRET, RunningServer, ServerProcess, http_client
from tests.support.valkey import HOST, Valkey, proxy, valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from ipaddress import IPv4Address

_RANGES: Final = IPv4Network("198.18.0.0/15")
"""Addresses for measurements of networks (RFC 2544), which are in use nowhere else."""
_TUN: Final = Path("/dev/net/tun")
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_PROGRAMS: Final = ("ip", "unshare", "nsenter", "setpriv")
_TURN: Final = 64
"""Packets of one host that are passed on in one turn of the loop."""
_PACKET: Final = 65_536
_numbers = itertools.count()


class Way(Protocol):
    """The way between two hosts. All of it concerns both directions."""

    delay: float
    """Seconds that everything is late."""
    loss: float
    """The share of what is sent that is lost, below 1."""
    lost: int
    """How often something was lost by that."""

    def swallow(self) -> None:
        """Become a black hole: nothing goes through, and nobody is told."""

    def flow(self) -> None:
        """Let everything through again."""


class Node(RunningServer):
    """A node in a process of its own, on a host of its own."""

    process: ServerProcess
    to_redis: Way
    to_guests: Way

    @property
    def place(self) -> str:
        """Host and port, for guests."""
        return urlsplit(self.url).netloc


class Network(Protocol):
    """A Redis, and nodes that use it."""

    store: Valkey
    guests: str
    """The address from which guests connect."""

    async def begin(self, **settings: str) -> Node:
        """Start a node on another host, and wait until it serves."""


@asynccontextmanager
async def _serving(process: ServerProcess, url: str, to_redis: Way, to_guests: Way) -> AsyncIterator[Node]:
    async with http_client(url) as http:
        node = Node(url, http)
        node.process, node.to_redis, node.to_guests = process, to_redis, to_guests
        yield node
        await node.close()


@asynccontextmanager
async def _process(store: str, settings: dict[str, str], within: tuple[str, ...] = ()) -> AsyncIterator[ServerProcess]:
    process = ServerProcess(within=within, **{"REDIS_URL": store, "JWT_SECRET": SECRET, **settings})
    try:
        await asyncio.to_thread(process.wait_until_ready)
        yield process
    finally:
        await asyncio.to_thread(process.stop)


def _port(process: ServerProcess) -> int:
    return int(process.url.rpartition(":")[2])


# ── proxies ───────────────────────────────────────────────────────────────────────────────────────


@dataclass
class _Door:
    """See Target."""

    port: int
    login: str = ""
    path: Path = Path()


class _Proxies:
    """See Network."""

    guests = HOST

    def __init__(self, store: Valkey, stack: AsyncExitStack) -> None:
        self.store = store
        self._stack = stack

    async def begin(self, **settings: str) -> Node:
        enter = self._stack.enter_async_context
        to_redis = await enter(proxy(self.store))
        process = await enter(_process(to_redis.url, settings))
        to_guests = await enter(proxy(_Door(_port(process))))
        return await enter(_serving(process, f"http://{HOST}:{to_guests.port}", to_redis, to_guests))


@asynccontextmanager
async def proxies() -> AsyncIterator[Network]:
    """Make a network of proxies."""
    async with valkey(transport="tcp") as store, AsyncExitStack() as stack:
        yield _Proxies(store, stack)


# ── namespaces ────────────────────────────────────────────────────────────────────────────────────


@dataclass
class _Way:
    """See Way."""

    delay: float = 0.0
    loss: float = 0.0
    lost: int = 0
    is_hole: bool = False

    def swallow(self) -> None:
        self.is_hole = True

    def flow(self) -> None:
        self.is_hole = False


class _Host:
    """A network namespace with one interface besides that of loopback; or, for guests, an interface of the tests."""

    def __init__(self, address: IPv4Address, prefix: int, *, is_here: bool = False) -> None:
        self.address = address
        self._holder: subprocess.Popen[bytes] | None = None
        self.device = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.within: tuple[str, ...] = ()
        """A command that runs another one on the host. It ends with the tests."""
        try:
            name = f"pb{os.getpid()}n{next(_numbers)}"
            fcntl.ioctl(self.device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
            if not is_here:
                self.within = self._make_namespace(name)
            _run(
                *(*self.within, "ip", "-batch", "-"),
                text=f"addr add {address}/{prefix} dev {name}\nlink set {name} up\nlink set lo up\n",
            )
        except BaseException:
            self.close()
            raise

    def _make_namespace(self, name: str) -> tuple[str, ...]:
        """Move the interface to a namespace that lasts as long as a process that ends when nobody writes to it."""
        self._holder = holder = subprocess.Popen(
            ["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert holder.stdin is not None
        assert holder.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            holder.stdin.write(b"\n")
            holder.stdin.flush()
        if not holder.stdout.read(1):
            raise OSError("no namespace can be made")
        _run("ip", "link", "set", name, "netns", str(holder.pid))
        return "nsenter", f"--net=/proc/{holder.pid}/ns/net", "setpriv", "--pdeathsig", "KILL"

    def close(self) -> None:
        """Remove the interface. The namespace goes with the last process on the host."""
        os.close(self.device)
        if self._holder is not None:
            self._holder.communicate()


def _run(*command: str, text: str = "") -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        raise OSError(f"{' '.join(command)}: {error.stderr}") from error
    return done.stdout


def _free_range() -> IPv4Network:
    """Return a range of addresses to which no route leads, except that to everywhere."""
    routes = json.loads(_run("ip", "-json", "-4", "route", "show", "table", "all"))
    taken = [IPv4Network(route["dst"]) for route in routes if route["dst"] != "default"]
    free = [some for some in _RANGES.subnets(new_prefix=24) if not any(some.overlaps(one) for one in taken)]
    return random.choice(free)


class Switch:
    """Passes packets from each host to the others, and does to them what the way between the two says."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._range = _free_range()
        self._addresses = self._range.hosts()
        self._devices: dict[bytes, int] = {}
        self._ways: dict[frozenset[bytes], _Way] = {}

    def way(self, one: _Host, other: _Host) -> _Way:
        """Return the way between two hosts."""
        return self._way(one.address.packed, other.address.packed)

    def _way(self, one: bytes, other: bytes) -> _Way:
        return self._ways.setdefault(frozenset((one, other)), _Way())

    @asynccontextmanager
    async def host(self, *, is_here: bool = False) -> AsyncIterator[_Host]:
        """Make a host."""
        address = next(self._addresses)
        host = await asyncio.to_thread(_Host, address, self._range.prefixlen, is_here=is_here)
        self._devices[address.packed] = host.device
        self._loop.add_reader(host.device, self._read, host.device)
        try:
            yield host
        finally:
            self._loop.remove_reader(host.device)
            del self._devices[address.packed]
            await asyncio.to_thread(host.close)

    def _read(self, device: int) -> None:
        with contextlib.suppress(OSError):  # there is no more
            for _ in range(_TURN):
                self._pass(os.read(device, _PACKET))

    def _pass(self, packet: bytes) -> None:
        source, target = packet[12:16], packet[16:20]
        if packet[0] >> 4 != 4 or target not in self._devices:  # IPv6, or to nobody
            return
        way = self._way(source, target)
        if way.is_hole:
            return
        if random.random() < way.loss:
            way.lost += 1
        elif way.delay:
            self._loop.call_later(way.delay, self._write, target, packet)
        else:
            self._write(target, packet)

    def _write(self, target: bytes, packet: bytes) -> None:
        with contextlib.suppress(OSError, KeyError):  # the host is gone, or has no room for it
            os.write(self._devices[target], packet)


class _Namespaces:
    """See Network."""

    def __init__(self, switch: Switch, here: _Host, redis: _Host, store: Valkey, stack: AsyncExitStack) -> None:
        self.store = store
        self.guests = str(here.address)
        self._switch = switch
        self._here = here
        self._redis = redis
        self._stack = stack

    async def begin(self, **settings: str) -> Node:
        enter = self._stack.enter_async_context
        host = await enter(self._switch.host())
        process = await enter(_process(self.store.url, {"HOST": "0.0.0.0", **settings}, host.within))  # noqa: S104 - it is alone there
        url = f"http://{host.address}:{_port(process)}"
        way = self._switch.way
        return await enter(_serving(process, url, way(host, self._redis), way(host, self._here)))


@asynccontextmanager
async def namespaces() -> AsyncIterator[Network]:
    """Make a network of namespaces."""
    switch = Switch()
    async with switch.host(is_here=True) as here, switch.host() as redis, AsyncExitStack() as stack:
        address = str(redis.address)
        store = await stack.enter_async_context(
            valkey("--protected-mode", "no", transport="tcp", host=address, within=redis.within)
        )
        yield _Namespaces(switch, here, redis, store, stack)


@functools.cache
def _can_make_namespaces() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0 or not all(map(shutil.which, _PROGRAMS)):
        return False
    try:
        some = _free_range()
        for is_here in (True, False):
            _Host(some[1], some.prefixlen, is_here=is_here).close()
    except OSError:
        return False
    return True


def possible() -> dict[str, Callable[[], AbstractAsyncContextManager[Network]]]:
    """Return the kinds of networks that can be made here; those of proxies always can."""
    return {"proxies": proxies, **({"namespaces": namespaces} if _can_make_namespaces() else {})}
