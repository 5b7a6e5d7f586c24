"""Running servers: in this process, for access to their state, or as a `passerby serve` process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import httpx

from passerby import app, collection
from passerby.settings import Settings
from tests.support.client import PATIENCE, Client
from tests.support.friction import NO_FRICTION, NO_FRICTION_IN_ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import uvicorn

    from passerby.live import LiveGuest

SECRET = "a secret of the tests, long enough for HS256"
START_PATIENCE = 30.0
"""Timeout in seconds for a process to import everything on a busy machine."""


class Account:
    """A guest session, as known to its owner."""

    def __init__(self, token: str, user: dict[str, Any]) -> None:
        self.token = token
        self.id: str = user["id"]
        self.username: str = user["username"]
        self.session_id: str = user["sessionId"]
        self.headers = {"Authorization": f"Bearer {token}"}


class RunningServer:
    """A server at `url`, with common test operations."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self.http = http
        self._clients: list[Client] = []

    async def newcomer(self, **body: object) -> Account:
        """Create a session."""
        answer = await self.http.post("/api/guest", json=body)
        assert answer.status_code == 201, answer.text
        data = answer.json()["data"]
        return Account(data["token"], data["user"])

    async def connect(
        self, account: Account, resume: dict[str, object] | None = None, features: Sequence[str] = ()
    ) -> Client:
        """Connect a session; the greeting is not read yet."""
        auth: dict[str, object] = {"token": account.token}
        if resume is not None:
            auth["resume"] = resume
        if features:
            auth["features"] = [*features]
        client = await Client.connect(self.url, auth)
        self._clients.append(client)
        return client

    async def visitor(self, **body: object) -> tuple[Account, Client]:
        """Create a session, connect, and read the greeting."""
        account = await self.newcomer(**body)
        client = await self.connect(account)
        await client.next("connection:established")
        return account, client

    async def match(self, first: Client, second: Client) -> dict[str, Any]:
        """Match two clients and read the resulting events; return the first client's `user:matched`."""
        await first.emit("user:match")
        await first.next("user:match:searching")
        await first.next("user:match:no_users")
        await second.emit("user:match")
        await second.next("user:match:searching")
        matched: dict[str, Any] = await first.next("user:matched")
        await second.next("user:matched")
        for client in (first, second):
            await client.next("room:user_joined")
            await client.next("room:user_joined")
        return matched

    async def pair(self) -> tuple[tuple[Account, Client], tuple[Account, Client], dict[str, Any]]:
        """Return two clients in a room, and the first one's `user:matched` with room id and epoch."""
        one, other = await self.visitor(username="Anna"), await self.visitor(username="Berta")
        matched = await self.match(one[1], other[1])
        return one, other, {"roomId": matched["roomId"], "epoch": matched["epoch"]}

    async def stats(self, account: Account) -> dict[str, int]:
        """Return the counts."""
        answer = await self.http.get("/api/stats", headers=account.headers)
        assert answer.status_code == 200, answer.text
        stats: dict[str, int] = answer.json()["data"]["stats"]
        return stats

    async def close(self) -> None:
        """Close the clients."""
        await asyncio.gather(*(client.close() for client in self._clients))


class InsideServer(RunningServer):
    """A server in this process and event loop."""

    def __init__(self, url: str, http: httpx.AsyncClient, application: app.Application) -> None:
        super().__init__(url, http)
        self.application = application

    def lives(self) -> list[LiveGuest]:
        """Return all guests who are connected or in the grace window."""
        return list(self.application.services.guests._by_session.values())

    def recount(self) -> dict[str, int]:
        """Count all guests and rooms, for comparison with the server's counters."""
        lives = self.lives()
        online = [live for live in lives if live.link is not None]
        return {
            "onlineUsers": len(online),
            "availableUsers": sum(live.member is None for live in online),
            "connectedUsers": len({id(live.member.room) for live in lives if live.member is not None}),
        }


def http_client(url: str) -> httpx.AsyncClient:
    """Return a client of the server at `url`. Its TLS context is empty: loading certificates is slow."""
    return httpx.AsyncClient(
        base_url=url, timeout=PATIENCE, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )


@asynccontextmanager
async def inside(**changes: object) -> AsyncIterator[InsideServer]:
    """Run a server in this process, on a free port, with the given settings."""
    settings = Settings(**{"port": 0, "jwt_secret": SECRET, **NO_FRICTION, **changes})  # type: ignore[arg-type]  # by name
    made: list[tuple[uvicorn.Server, app.Application]] = []

    class Noted(app._Uvicorn):
        def __init__(self, config: uvicorn.Config, application: app.Application) -> None:
            super().__init__(config, application)
            made.append((self, application))

    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    # `serve` tunes the garbage collector of its own process.
    with mock.patch.object(app, "_Uvicorn", Noted), mock.patch.object(collection, "tune"):
        serving = asyncio.ensure_future(app.serve(settings, ready=lambda listeners: port.set_result(listeners.port)))
        serving.add_done_callback(lambda _: port.cancel())  # if it does not start, stop waiting
        await asyncio.wait_for(port, START_PATIENCE)
    uvicorn_server, application = made[0]
    url = f"http://127.0.0.1:{port.result()}"
    async with http_client(url) as http:
        server = InsideServer(url, http, application)
        try:
            yield server
        finally:
            await server.close()
            uvicorn_server.should_exit = True
            async with asyncio.timeout(START_PATIENCE):
                await serving


class ServerProcess:
    """`passerby serve` on a free port; `url` is known once `wait_until_ready` has returned."""

    def __init__(self, *arguments: str, within: Sequence[str] = (), **environment: str) -> None:
        """`within` is a command that runs another one, the server, elsewhere."""
        clean = {name: text for name, text in os.environ.items() if name.isupper() and name not in settings_names()}
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [
                *(*within, sys.executable, "-m", "passerby.cli"),
                *("serve", "--port", "0", "--log-format", "json", *arguments),
            ],
            env={**clean, "PYTHONUNBUFFERED": "1", **NO_FRICTION_IN_ENVIRONMENT, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = ""

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as errors:
            for line in errors:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_until_ready(self) -> ServerProcess:
        """Wait for the log line with the URL."""
        with self._news:
            self._news.wait_for(self._ready, START_PATIENCE)
        assert self.url, f"the server did not start: {self.lines}"
        return self

    def wait_for(self, text: str) -> list[str]:
        """Wait for a log line with `text`, or for the end; return the messages that have it."""
        with self._news:
            self._news.wait_for(
                lambda: any(text in line for line in self.lines) or not self._reader.is_alive(), START_PATIENCE
            )
        return [record["message"] for record in self.records() if text in record["message"]]

    def _ready(self) -> bool:
        for line in self.lines:
            found = re.search(r"serving on http://localhost:(\d+)", line)
            if found:
                self.url = f"http://127.0.0.1:{found[1]}"
                return True
        return not self._reader.is_alive() or self._process.poll() is not None

    def records(self) -> list[dict[str, Any]]:
        """Return the log records so far."""
        return [json.loads(line) for line in self.lines]

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self._process.terminate()
        return self.wait()

    def interrupt(self) -> int:
        """Send SIGINT and return the exit code."""
        self._process.send_signal(2)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code, once all output is read."""
        code = self._process.wait(START_PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def stop(self) -> None:
        """Kill it in any state."""
        if self._process.poll() is None:
            self._process.kill()
        self.wait()


@asynccontextmanager
async def running(process: ServerProcess) -> AsyncIterator[RunningServer]:
    """Return clients of a process; they are closed at the end."""
    async with http_client(process.url) as http:
        server = RunningServer(process.url, http)
        try:
            yield server
        finally:
            await server.close()


def settings_names() -> set[str]:
    """Return the environment variables of all settings; tests must not inherit them."""
    return {name.upper() for name in Settings.__struct_fields__}
