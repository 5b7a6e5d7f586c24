"""How long the worst input holds up the event loop, and a server without sockets to measure it with."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import uvicorn
from uvicorn.server import ServerState

from passerby.app import Application
from passerby.http.guard import READ_SIZE, http_factory
from passerby.settings import Settings
from passerby.socketio import Request
from tests.support.friction import NO_FRICTION
from tests.support.sio_fakes import FakeWebSocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from passerby.models import Guest
    from passerby.socketio.session import Session

BOUND = 0.005
"""Seconds of the event loop that one event may take, on a machine that does nothing else."""
BUSY = 2
"""On a busy machine the same work takes longer, also in CPU time: others use its caches and its clock rate."""
PATIENCE = 2.0
"""Seconds until a request that has no answer is given up."""
PEER = "127.0.0.1"
SECRET = "a secret of the tests, long enough for HS256"


class Stopwatch:
    """CPU seconds of this thread for the longest callback of the event loop."""

    def __init__(self) -> None:
        self.longest = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Measure every callback of asyncio's event loop."""
        run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            began = time.thread_time()
            run(handle)
            self.longest = max(self.longest, time.thread_time() - began)

        gc.disable()
        try:
            with mock.patch.object(asyncio.Handle, "_run", timed):
                yield
        finally:
            gc.enable()


async def turns(count: int = 12) -> None:
    """Let everything run that is ready."""
    for _ in range(count):
        await asyncio.sleep(0)


class Visitor:
    """A connected guest: what the server sends is counted and dropped."""

    def __init__(self, world: World, guest: Guest, token: str) -> None:
        self.guest, self.token = guest, token
        self.session: Session = world.open_session()
        self.session.receive_text("40" + json.dumps({"token": token}))

    def send(self, event: str, payload: object = None) -> None:
        self.session.receive_text("42" + json.dumps([event, payload]))

    @property
    def is_open(self) -> bool:
        return self.session.sid in self.session._engine.sessions


class World:
    """All of the server but its sockets; two guests in a room, who hide their addresses."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.anna: Visitor
        self.berta: Visitor
        self.file = ""
        """Id of a file that Anna has uploaded to the room."""
        self._config = uvicorn.Config(
            application, http=http_factory(application.guard), lifespan="off", log_config=None
        )
        self._config.load()
        self._protocol: Callable[..., Any] = self._config.http_protocol_class

    async def newcomer(self) -> Visitor:
        guest, token = await self.application.services.guests.create(None, None, None, None)
        newcomer = Visitor(self, guest, token)
        await turns()
        return newcomer

    def open_session(self) -> Session:
        """Return a new session on a WebSocket, without a guest."""
        websocket: Any = FakeWebSocket()
        return self.application.server.engine.open(Request("GET", {}, {}, PEER), websocket)

    def poller(self) -> str:
        """Return the id of a new session that polls."""
        return self.application.server.engine.open(Request("GET", {}, {}, PEER)).sid

    def room_of(self, guest: Visitor) -> str | None:
        live = self.application.services.guests.live(guest.guest.session_id)
        return None if live is None or live.member is None else live.member.room.id

    async def bring(self, state: str) -> None:
        """Bring the two guests into a state: alone, together, offered (Berta calls), calling (Anna has answered)."""
        is_there = hasattr(self, "anna") and self.anna.is_open and self.berta.is_open
        if not is_there:
            self.anna, self.berta = await self.newcomer(), await self.newcomer()
        if state == "alone":
            self.anna.send("chat:clear")
            self.anna.send("user:match:cancel")
            await turns()
            return
        if not (self.room_of(self.anna) and self.room_of(self.anna) == self.room_of(self.berta)):
            for guest in (self.anna, self.berta):
                guest.send("chat:clear")
                guest.send("user:match:cancel")
                await turns()
            for guest in (self.anna, self.berta):
                known = self.application.services.guests.live(guest.guest.session_id)
                if known is not None:
                    known.guest.never = []  # one may have blocked the other
                guest.send("user:match")
                await turns()
            room = self.room_of(self.anna)
            assert room is not None
            files = self.application.services.files
            live = self.application.services.guests.live(self.anna.guest.session_id)
            upload = files.begin(live, name="a.txt", claimed="", size=1, voice=False)
            await upload.write(b"a")
            self.file = (await upload.finish(room)).id
        self.anna.send("webrtc:call-end")
        if state in ("offered", "calling"):
            self.berta.send("webrtc:offer", {"type": "audio", "offer": {"type": "offer", "sdp": "v=0\r\n"}})
        if state == "calling":
            self.anna.send("webrtc:answer", {"answer": {"type": "answer", "sdp": "v=0\r\n"}})
        await turns()

    async def request(self, raw: bytes, watch: Stopwatch | None = None, patience: float | None = None) -> bytes:
        """Feed one HTTP request as the socket would, in pieces; return the beginning of the answer.

        With `patience` (seconds) none needs to come.
        """
        loop = asyncio.get_running_loop()
        transport = FakeTransport()
        protocol: Any = self._protocol(config=self._config, server_state=ServerState(), app_state={}, _loop=loop)
        with contextlib.nullcontext() if watch is None else watch.running():
            protocol.connection_made(transport)
            for start in range(0, len(raw), READ_SIZE):
                loop.call_soon(_receive, protocol, raw[start : start + READ_SIZE])
                await turns(3)
                while transport.is_paused and not transport.is_closing():  # noqa: ASYNC110 - one turn of the loop each
                    await asyncio.sleep(0)
                if transport.is_closing():
                    break
            deadline = loop.time() + (patience or PATIENCE)
            while not (_is_answered(protocol) or transport.is_closing() or loop.time() > deadline):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)  # the answer may wait for a thread that reads a file
        if patience is None:
            assert _is_answered(protocol) or transport.is_closing(), "no answer, so nothing was measured"
        answer = bytes(transport.written[:64])
        protocol.connection_lost(None)
        await turns()
        return answer


def _is_answered(protocol: Any) -> bool:  # noqa: ANN401 - uvicorn's, behind a buffer
    cycle = protocol._protocol.cycle
    return cycle is not None and cycle.response_complete


def _receive(protocol: Any, data: bytes) -> None:  # noqa: ANN401 - asyncio's BufferedProtocol
    protocol.get_buffer(len(data))[: len(data)] = data
    protocol.buffer_updated(len(data))


class FakeTransport(asyncio.Transport):
    """A connection of an address that is a trusted proxy."""

    def __init__(self) -> None:
        super().__init__({"peername": (PEER, 1), "sockname": (PEER, 2)})
        self.written = bytearray()
        self.is_paused = False
        self._is_closing = False

    def write(self, data: Any) -> None:  # noqa: ANN401 - any buffer
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def is_reading(self) -> bool:
        return not self.is_paused

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    def abort(self) -> None:
        self._is_closing = True


@contextlib.asynccontextmanager
async def world(**changes: Any) -> AsyncIterator[World]:  # noqa: ANN401 - settings
    """Start everything but the sockets. No rate is limited but that of packets, which has its default."""
    chosen: dict[str, Any] = {
        "jwt_secret": SECRET,
        "limits_scale": 1e9,
        "packet_rate": 1e-6,
        "relay_only": True,
        **NO_FRICTION,
        "repeat_partners": 5,
        "turn_urls": ("turn:turn.example",),
        "turn_secret": SECRET,
        "trusted_proxies": ("127.0.0.0/8", "10.0.0.0/8", "192.168.0.0/16"),
    }
    application = Application(Settings(**{**chosen, **changes}))
    application.start()
    try:
        yield World(application)
    finally:
        await application.stop()
