"""The one place that builds, starts and closes everything."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import TYPE_CHECKING, Any

import uvicorn

from passerby import ids
from passerby.addresses import ClientAddress
from passerby.calls.calls import Calls
from passerby.calls.ice import Ice
from passerby.chat.log_memory import MemoryRoomLog
from passerby.chat.rooms import Rooms
from passerby.clock import Clock, SystemClock
from passerby.errors import Code
from passerby.files.blobs_disk import DiskBlobStore
from passerby.files.blobs_memory import MemoryBlobStore
from passerby.files.files import Files
from passerby.files.space import Quotas
from passerby.guests.sessions import Guests
from passerby.guests.store_memory import MemorySessionStore
from passerby.guests.tokens import Tokens
from passerby.guests.writer import SessionWriter
from passerby.http import app as http
from passerby.http.guard import http_factory
from passerby.http.services import Services
from passerby.limits import AddressLimit
from passerby.live import LiveGuest
from passerby.matching.matchmaking import Matchmaking
from passerby.matching.queue_memory import MemoryMatchQueue
from passerby.media.sniff import PICTURE_TYPES
from passerby.models import Limits
from passerby.presence import Periods, Presence
from passerby.realtime.gateway import GUEST_RATES, Gateway
from passerby.realtime.links import Publisher
from passerby.settings import SettingsError
from passerby.socketio import Options, Refusal, Request, Server
from passerby.socketio.origins import Origins
from passerby.socketio.polling import Polling
from passerby.socketio.websocket import protocol_factory
from passerby.stats.counters_memory import MemoryCounters
from passerby.stats.statistics import Statistics

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, MutableMapping

    from passerby.files.blobs import BlobStore
    from passerby.settings import Settings


class Application:
    """The ASGI application and everything behind it. `start` and `stop` belong to one event loop."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """Build; nothing runs until `start`."""
        self.settings = settings
        clock = clock or SystemClock()
        store = MemorySessionStore(clock)
        self.writer = SessionWriter(store, settings.session_ttl)
        tokens = Tokens(
            clock,
            secret=settings.jwt_secret,
            previous=settings.jwt_secret_previous,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            lifetime=settings.session_ttl,
        )
        self.guests = Guests(
            store,
            tokens,
            clock,
            session_ttl=settings.session_ttl,
            changed=self._changed,
            is_ended=self.writer.is_removing,
        )
        self.rooms = Rooms(
            MemoryRoomLog(settings.room_log_messages, settings.room_log_bytes),
            clock,
            text_limit=settings.text_limit,
            grace=settings.grace,
            changed=self.guests.touch,
        )
        self.matchmaking = Matchmaking(
            MemoryMatchQueue(),
            self.rooms,
            clock,
            find=self.guests.online.get,
            changed=self.guests.touch,
        )
        self.files = Files(
            _blob_store(settings, clock),
            self.rooms,
            clock,
            key=tokens.derive("file links"),
            quotas=Quotas(
                file=settings.file_limit,
                room=settings.room_files_limit,
                guest=settings.guest_files_limit,
                process=settings.files_limit,
                pixels=settings.picture_pixels,
                seconds=settings.voice_limit,
            ),
            ttl=settings.file_ttl,
            rate=settings.rate("uploads"),
        )
        self.calls = Calls(
            clock, ring=settings.ring_timeout, come_back=settings.call_return, relay_only=settings.relay_only
        )
        self.rooms.on_close += [self.files.room_closed, self.calls.room_closed]
        self.rooms.on_back.append(self.calls.back)
        self.rooms.describe = self.files.content
        self.stats = Statistics(
            self.guests,
            self.rooms,
            store,
            MemoryCounters(clock),
            clock,
            node=ids.node_id(),
            sample=settings.online_sample,
            interval=settings.stats_interval,
            frames=settings.stats_frames,
            publish=Publisher(),
        )
        limits = _limits(settings)
        self.presence = Presence(
            guests=self.guests,
            rooms=self.rooms,
            matchmaking=self.matchmaking,
            stats=self.stats,
            store=store,
            writer=self.writer,
            clock=clock,
            periods=Periods(settings.grace, settings.renew_before, settings.refresh_interval, settings.session_sweep),
            limits=limits,
        )
        self._address = ClientAddress(settings.trusted_proxies)
        self._limits = {
            name: AddressLimit(settings.rate(f"address_{name}"), clock)
            for name in ("events", "connects", "sessions", "uploads", "requests")
        }
        self.server = self._realtime(clock)
        self.polling = Polling(self.server.engine)
        services = Services(
            self.guests,
            self.files,
            settings.upload_timeout,
            Ice(
                clock,
                stun=settings.stun_urls,
                turn=settings.turn_urls,
                secret=settings.turn_secret,
                ttl=settings.turn_ttl,
                relay=settings.relay_only,
            ),
            self.presence,
            self.matchmaking,
            self.stats,
            self.server,
            self._address,
            self._limits,
            limits,
        )
        self.http = http.create(services, cors_origin=settings.cors_origin)
        self._running: list[asyncio.Task[None]] = []

    def _realtime(self, clock: Clock) -> Server:
        settings = self.settings

        def allow(request: Request) -> Refusal | None:
            wait = self._limits["connects"].take(address(request))
            return Refusal(6, Code.RATE_LIMITED, "Too Many Requests", status=429, retry_after=wait) if wait else None

        def address(request: Request) -> str:
            return self._address.of(request.peer, request.header(b"x-forwarded-for"))

        server = Server(
            Options(
                ping_interval=settings.ping_interval,
                ping_timeout=settings.ping_timeout,
                connect_timeout=settings.connect_timeout,
                max_payload=settings.max_payload,
                outbox_limit=settings.outbox_limit,
                stall_timeout=settings.stall_timeout,
                packet_rate=settings.packet_rate * settings.limits_scale,
            ),
            origins=Origins(settings.cors_origin),
            allow=allow,
            address=address,
        )
        Gateway(
            namespace=server.namespace("/"),
            guests=self.guests,
            rooms=self.rooms,
            calls=self.calls,
            matchmaking=self.matchmaking,
            presence=self.presence,
            stats=self.stats,
            clock=clock,
            rates={name: settings.rate(name) for name in GUEST_RATES},
            addresses=self._limits["events"],
            connects=self._limits["connects"],
        )
        return server

    def _changed(self, live: LiveGuest) -> None:
        self.writer.save(live.guest)
        self.stats.changed()

    # ── ASGI ──────────────────────────────────────────────────────────────────────────────────────

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Serve one HTTP request: Socket.IO's path is polling, all others are Litestar's."""
        if scope["path"].rstrip("/") == "/socket.io":
            await self.polling(scope, receive, send)
        else:
            if scope["method"] == "HEAD":
                scope = {**scope, "method": "GET", "passerby.head": True}  # uvicorn itself leaves the body out
            await self.http(scope, receive, send)  # type: ignore[arg-type]  # the same ASGI, differently typed

    # ── life ──────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start what runs in the background, in the running event loop."""
        self.server.start()
        loop = asyncio.get_running_loop()
        self._running = [
            loop.create_task(work)
            for work in (
                self.stats.run(),
                self.presence.refresh(),
                self.presence.sweep(),
                self.files.sweep(self.settings.file_sweep),
            )
        ]

    async def stop(self) -> None:
        """Close every connection and end what runs in the background."""
        await self.server.stop()
        for task in self._running:
            task.cancel()
        for task in self._running:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.presence.settle()
        await self.files.close()


def _limits(settings: Settings) -> Limits:
    """Return what clients are told to keep to."""
    return Limits(
        text_length=settings.text_limit,
        file_size=settings.file_limit,
        room_files_size=settings.room_files_limit,
        guest_files_size=settings.guest_files_limit,
        files_per_message=settings.files_per_message,
        file_lifetime=settings.file_ttl,
        voice_duration=settings.voice_limit,
        picture_types=list(PICTURE_TYPES),
        picture_pixels=settings.picture_pixels,
        ring_timeout=settings.ring_timeout,
        grace=settings.grace,
    )


def _blob_store(settings: Settings, clock: Clock) -> BlobStore:
    if settings.file_store == "memory":
        return MemoryBlobStore(clock)
    try:
        return DiskBlobStore(clock, settings.file_directory)
    except OSError as error:
        raise SettingsError(f"FILE_DIRECTORY={settings.file_directory or ''!r}: {error.strerror}") from error


class _Uvicorn(uvicorn.Server):
    """uvicorn, closing Socket.IO connections first: it would wait for long polls to end by themselves."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()  # before clients are told to come back
        await self._application.stop()
        await super().shutdown(sockets)
        # Or uvicorn raises the signal once more, and a clean end looks like a crash to whoever started us.
        self._captured_signals.clear()


async def serve(settings: Settings, *, ready: Callable[[int], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM. `ready` is called with the port once it is open."""
    application = Application(settings)
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        http=http_factory(),
        ws=protocol_factory(application.server.engine),  # type: ignore[arg-type]  # uvicorn only calls it
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    server = _Uvicorn(config, application)
    application.start()
    # Thousands of idle guests are long-lived objects: do not walk over them for every few new ones.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    serving = asyncio.ensure_future(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    if ready is not None and server.started:
        ready(server.servers[0].sockets[0].getsockname()[1])
    await serving
