"""A guest behind a proxy, with python-socketio's client, at an address of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
import socketio  # type: ignore[import-untyped]  # has no types
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.support.client import PATIENCE

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from tests.proxies.proxy import Proxy


class Here(AbstractResolver):
    """Every host is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        pass


class Guest:
    """A guest behind the proxy, at an address of its own, with python-socketio's client."""

    EVENTS = (
        *("connection:established", "user:matched", "room:resumed", "chat:message", "chat:message:delivered"),
        "disconnect",
    )

    def __init__(self, http: aiohttp.ClientSession, wire: aiohttp.ClientSession, address: str, root: str = "") -> None:
        """The connection is made with `wire`, all else with `http`. `root` is the ROOT_PATH of the server."""
        self.http = http
        self.root = root
        self.address = address
        self.token = ""
        self.client = socketio.AsyncClient(http_session=wire, reconnection=False)
        self._events: dict[str, asyncio.Queue[Any]] = {}
        for event in self.EVENTS:
            self._listen(event)

    def _listen(self, event: str) -> None:
        queue = self._events[event] = asyncio.Queue()
        self.client.on(event, queue.put_nowait)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def begin(self) -> None:
        """Create a session."""
        async with self.http.post(f"{self.root}/api/guest", json={}) as answer:
            assert answer.status == 201
            self.token = (await answer.json())["data"]["token"]

    async def connect(self, url: str, transports: list[str], resume: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - any JSON
        """Connect as a page of the proxy's origin would; return the greeting."""
        auth = {"token": self.token} | ({"resume": resume} if resume else {})
        await self.client.connect(
            url,
            headers={"Origin": url},
            auth=auth,
            transports=transports,
            retry=False,
            socketio_path=f"{self.root}/socket.io",
        )
        return await self.next("connection:established")

    async def return_to(self, url: str, transports: list[str], resume: dict[str, Any]) -> None:
        """Connect again and again until the conversation goes on."""
        async with asyncio.timeout(PATIENCE):
            while True:
                if self.client.eio.ws is not None:
                    await self.client.eio.ws.close()  # it would be forgotten as it is
                with contextlib.suppress(socketio.exceptions.ConnectionError, aiohttp.ClientError):
                    await self.connect(url, transports, resume)
                    break
                await asyncio.sleep(0.1)
        await self.next("room:resumed")

    async def leave(self) -> None:
        """Close the connection, if there is one."""
        await self.client.disconnect()

    async def next(self, event: str) -> Any:  # noqa: ANN401 - any JSON
        return await asyncio.wait_for(self._events[event].get(), PATIENCE)

    async def say(self, message: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Send a message and return the acknowledgement."""
        return await self.client.call("chat:message", message, timeout=PATIENCE)


class Street:
    """Where the guests of a proxy come from. `guest` makes a new one, at the next address of 127.0.0.0/8."""

    def __init__(self, before: Proxy, stack: AsyncExitStack) -> None:
        self.proxy = before
        self._stack = stack
        self._guests = 0
        self._tls = ssl.create_default_context(cafile=before.certificate)

    async def http(self, address: str, *, raise_for_status: bool = False) -> aiohttp.ClientSession:
        """Return an HTTP client at `address`; it knows the proxy by its name and checks its certificate."""
        connector = aiohttp.TCPConnector(resolver=Here(), ssl=self._tls, local_addr=(address, 0))
        session = aiohttp.ClientSession(
            self.proxy.url, connector=connector, auto_decompress=False, raise_for_status=raise_for_status
        )
        return await self._stack.enter_async_context(session)

    async def guest(self, root: str = "") -> Guest:
        """Return a new guest with a session. `root` is the ROOT_PATH of the server."""
        self._guests += 1
        address = f"127.0.0.{1 + self._guests}"
        # python-socketio forgets an answer that is an error, such as 502, as it is: then it must be closed already.
        wire = await self.http(address, raise_for_status=True)
        guest = Guest(await self.http(address), wire, address, root)
        self._stack.push_async_callback(guest.leave)
        await guest.begin()
        return guest

    async def match(self, anna: Guest, berta: Guest) -> Any:  # noqa: ANN401 - any JSON
        """Let two connected guests find each other; return what Anna is told."""
        for guest in (anna, berta):
            await guest.client.emit("user:match")
        matched = await anna.next("user:matched")
        await berta.next("user:matched")
        return matched
