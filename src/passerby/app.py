"""Starts, serves and stops the application: the services of `assembly` behind HTTP and Socket.IO, on one port."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import uvicorn
from msgspec.structs import replace

from passerby import collection, reloading
from passerby.addresses import ClientAddress, Networks
from passerby.assembly import Assembly, Cluster, adapters
from passerby.background import Background, Stopping
from passerby.clock import Clock, Timestamps
from passerby.errors import Code
from passerby.http import app as http
from passerby.http.door import Door
from passerby.http.guard import Guard, GuardedHttpProtocol, http_factory
from passerby.http.handover import HandingReads, Handover
from passerby.http.moderation_parts import Moderation
from passerby.http.probes import PURPOSE, Probes
from passerby.http.services import Services
from passerby.limits import AddressLimit
from passerby.listening import ListenError, Listeners, listen
from passerby.machine import ClockWatch, DiskWatch
from passerby.matching.preferences import Preferences
from passerby.measures import Refusals
from passerby.moderation.export import signing_key
from passerby.nodes.asking import Asking
from passerby.nodes.bus import VERSION
from passerby.nodes.edges import Edges
from passerby.nodes.moving import Moving
from passerby.nodes.reporting import Reporting
from passerby.nodes.requests import Requests
from passerby.nodes.rounds import SEARCHES, STATISTICS, Rounds
from passerby.nodes.uploads import Uploads
from passerby.realtime.gateway import GUEST_RATES, Gateway
from passerby.realtime.links import Publisher
from passerby.reloading import Change, Reloading
from passerby.settings import SettingsError
from passerby.socketio import Options, Refusal, Request, Server
from passerby.socketio.handshake import join_headers
from passerby.socketio.origins import Origins
from passerby.socketio.polling import Polling
from passerby.socketio.websocket import protocol_factory
from passerby.summary import Summary
from passerby.watch import PatientClock, Watch, make_room

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, MutableMapping
    from types import FrameType

    from passerby.metrics.server import Metrics
    from passerby.nodes.bus import Bus
    from passerby.nodes.membership import Membership
    from passerby.settings import Configuration, Settings

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger(__name__)

CONSOLE_FILE: Final = "/moderate.html"
CONSOLE_PATHS: Final = ("/moderate", "/moderate/", CONSOLE_FILE)
_LOOK: Final = 0.05
"""Seconds between two looks whether a process that drains should hurry."""
_HEAR: Final = 0.2
"""Seconds in which what another process has said at the same time is heard."""
_LEAST: Final = 1.0
"""Seconds that open HTTP connections have at least to go to other workers."""
_CLOSE_TIMEOUT: Final = 10.0
"""Seconds to close all connections: longer than the closing handshake and the handlers' timeout together."""


class Crew(Handover, Protocol):
    """The other workers of this machine, if there are several; see `workers`."""

    number: int
    """1 is the first worker."""
    tag: str
    """Begins the `sid`s of this worker."""
    ends: frozenset[str] | None
    """The node ids of all workers of this machine once all of them end; None before."""
    keeps: bool
    """Whether what they have in Redis outlives them all."""
    may_leave: bool
    """Whether all have parted."""

    def on_gone(self, callback: Callable[[str], object]) -> None:
        """Call `callback(node id)` as soon as another worker has ended, whatever the reason."""

    async def begin(self) -> None:
        """Talk to the others from now on."""

    async def serve(self, node: str, adopt: Callable[[socket.socket, bytes], Awaitable[object]]) -> None:
        """Serve from now on as the node `node`. `adopt(connection, data)` takes connections of the others."""

    def part(self) -> None:
        """Say that no guest of this worker is waited for any more, before all of them end."""

    def drain(self) -> None:
        """Take no new clients from now on."""

    async def close(self) -> None:
        """Talk to nobody any more."""


class Application:
    """The ASGI application and all its services. `start` and `stop` must run in the same event loop."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        crew: Crew | None = None,
        *,
        connections: int | None = None,
    ) -> None:
        """Create all objects; nothing runs until `start`. `crew` are the other workers of this machine, if any.

        `connections` is how many there can be, if that is less than MAX_CONNECTIONS.
        """
        self.crew = crew
        self.moving: Moving | None = None
        self.asking: Asking | None = None
        self.edges: Edges | None = None
        """Connections that are passed on to other nodes, or come from there."""
        self.watch = Watch()
        self.refusals = Refusals()
        self.metrics: Metrics | None = None
        """None: they are not wanted."""
        clock = clock or PatientClock(self.watch)
        background = Background(clock)
        self.services = services = Assembly(
            settings, clock, adapters(settings, clock, background), background, Publisher()
        )
        self.collector = collection.Collector(clock, lambda: services.guests.live_count)
        self._address = ClientAddress(settings.trusted_proxies, has_unix=settings.has_unix)
        self._connects = services.adapters.buckets["connects"]
        self.server = Server(
            Options(
                root_path=settings.root_path,
                ping_interval=settings.ping_interval,
                ping_timeout=settings.ping_timeout,
                connect_timeout=settings.connect_timeout,
                max_payload=settings.max_payload,
                outbox_limit=settings.outbox_limit,
                stall_timeout=settings.stall_timeout,
                packet_rate=settings.packet_rate * settings.limits_scale,
            ),
            spawn=background.start,
            origins=Origins(settings.cors_origin),
            allow=self._allow,
            address=self._address_of,
            sid_prefix="" if crew is None else crew.tag,
        )
        self._rates = {name: settings.rate(name) for name in (*GUEST_RATES, "uploads")}
        """Of each guest."""
        self._events = AddressLimit(settings.rate("address_events"), clock)
        self.gateway = gateway = Gateway(
            namespace=self.server.namespace("/"),
            guests=services.guests,
            rooms=services.rooms,
            files=services.files,
            calls=services.calls,
            consent=services.consent,
            bans=services.bans,
            farewell=services.farewell,
            reports=services.reports,
            checks=services.checks,
            repeats=services.repeats,
            matchmaking=services.matchmaking,
            presence=services.presence,
            stats=services.stats,
            clock=clock,
            background=background,
            text_limit=settings.text_limit,
            preferences=Preferences(services.limits.matching),
            rates=self._rates,
            addresses=self._events,
            connects=self._connects.take,
            reporting=services.adapters.buckets["reports"].take,
            refusals=self.refusals,
        )
        if services.adapters.cluster is not None:
            self._join(services.adapters.cluster, gateway)
        self.guard = Guard(
            stall_timeout=settings.stall_timeout,
            connections=connections or settings.max_connections,
            address_connections=settings.per_address(settings.max_address_connections),
            address=self._address,
            scheduler=self.watch,
        )
        self.watch.on_lost(self.server.extend)
        self.watch.on_lost(self.guard.extend)
        self.watch.on_lost(services.calls.extend)
        self._stopping = Stopping(background, self._stop)
        self.polling = Polling(self.server.engine, self._failed)
        self.client_files = http.client_files(self.refusals.request)
        self.door = Door(
            services.bans,
            services.proofs,
            self._address,
            services.adapters.buckets["sessions"],
            session_of=services.guests.session_of,
            is_shared=bool(settings.cors_origin),
        )
        self._console_headers = http.console_headers()
        self.moderation = self._moderation(settings, clock)
        self.http = http.create(
            Services(
                services.guests,
                services.files,
                settings.upload_timeout,
                settings.upload_pace,
                services.ice,
                services.presence,
                services.matchmaking,
                services.pulse,
                services.hours,
                services.stats,
                self.server,
                self._address,
                services.adapters.buckets,
                services.limits,
                services.check,
                services.adapters.redis_stats,
                background,
                Probes(services.tokens.derive(PURPOSE), clock),
                services.proofs,
                services.devices,
                services.bans,
                services.appeals,
                services.reports,
                services.newcomers,
                settings.age_url,
                self.server.engine.origins,
                Timestamps(clock),
                self.moderation,
                clock,
                self.refusals,
                VERSION,
                services.adapters.kept.database.revision,
            ),
            cors_origin=settings.cors_origin,
            root_path=settings.root_path,
        )
        self.reloading = Reloading(settings, self._changes(), background, self._hold)

    def _moderation(self, settings: Settings, clock: Clock) -> Moderation:
        services = self.services
        kept = services.adapters.kept
        key = kept.sealer.derive("export")
        high, middle, low = settings.case_hours
        return Moderation(
            logins=services.logins,
            desk=services.desk,
            staff=kept.staff,
            journal=kept.journal,
            figures=kept.figures,
            hours=(high, middle, low),
            networks=Networks(settings.moderate_addresses),
            requests=AddressLimit(settings.rate("moderation"), clock),
            can_mark_addresses=services.marks.can_mark_addresses,
            signing_key=partial(signing_key, key),
            house="",
            root_path=settings.root_path,
            timestamps=Timestamps(clock),
        )

    def _join(self, cluster: Cluster, gateway: Gateway) -> None:
        """Be one node of several."""
        services, bus = self.services, cluster.bus
        clock, background = services.clock, services.background
        requests = Requests(bus, clock, background)
        self.edges = Edges(bus, self.server)
        self.moving = moving = Moving(
            bus=bus,
            requests=requests,
            membership=cluster.membership,
            homes=cluster.homes,
            edges=self.edges,
            gateway=gateway,
            guests=services.guests,
            rooms=services.rooms,
            room_log=services.adapters.log,
            presence=services.presence,
            matchmaking=services.matchmaking,
            recovery=services.recovery,
            reports=services.reports,
            rates=self._rates,
            clock=clock,
            background=background,
        )
        services.reports.ask = Reporting(requests, cluster.membership, services.reports).ask
        self.asking = Asking(
            bus=bus,
            requests=requests,
            membership=cluster.membership,
            homes=cluster.homes,
            guests=services.guests,
            writer=services.writer,
            files=services.files,
            room_log=services.adapters.log,
            rooms=services.rooms,
            presence=services.presence,
            clock=clock,
            background=background,
        )
        if services.settings.files_in == "redis":
            uploads = Uploads(
                bus=bus,
                requests=requests,
                asking=self.asking,
                guests=services.guests,
                files=services.files,
                rooms=services.rooms,
                background=background,
                upload_timeout=services.settings.upload_timeout,
            )
            services.rooms_of_uploads_elsewhere = uploads.rooms
        services.adapters.loops["keeping of homes"] = moving.keep
        redis = services.adapters.redis
        # Without the lease another node may have taken over whoever is away; there is one, unless this node is alone.
        membership, others = cluster.membership, cluster.membership.others()
        services.presence.is_sure = lambda: membership.holds() or not others
        self._count_together(bus, requests, cluster.membership)
        self._search_together(bus, requests, cluster.membership)
        if self.crew is not None:
            services.rooms.is_one_of_several = True
            self.crew.on_gone(cluster.membership.gone)
        if redis is not None:
            redis.on_resync("homes", moving.keep_all)

    def _count_together(self, bus: Bus, requests: Requests, membership: Membership) -> None:
        """Have one broadcast of statistics for the guests of all nodes."""
        stats, background = self.services.stats, self.services.background

        def forget(node: str, _: object) -> None:
            background.start("forgetting of a node's counts", stats.forget(node))

        async def regroup() -> None:
            stats.regroup()

        stats.others = Rounds(
            bus, requests, membership, STATISTICS, share=stats.share, due=stats.changed, told=stats.told
        )
        bus.on_lost(lambda _: stats.regroup())
        membership.on_gone(forget)
        membership.on_expired(stats.regroup)
        if self.services.adapters.redis is not None:
            self.services.adapters.redis.on_resync("statistics", regroup)
        self.services.adapters.loops["passing on of statistics"] = stats.pass_on

    def _search_together(self, bus: Bus, requests: Requests, membership: Membership) -> None:
        """Let each node know how many search on all nodes, and with what."""
        pulse = self.services.pulse
        pulse.others = Rounds(bus, requests, membership, SEARCHES, share=pulse.share, due=pulse.stir, told=pulse.told)
        self.services.adapters.loops["round of searches"] = pulse.keep

    def _allow(self, request: Request) -> Refusal | None:
        address = self._address_of(request)
        wait = self._connects.take_at_once(address)
        if wait:
            self.refusals.meet("address_connects", address)
        return Refusal(6, Code.RATE_LIMITED, "Too Many Requests", status=429, retry_after=wait) if wait else None

    def _address_of(self, request: Request) -> str:
        return self._address.of(request.peer, request.header(b"x-forwarded-for"))

    # ── changed settings ──────────────────────────────────────────────────────────────────────────

    def _changes(self) -> list[Change]:
        guests = {"limits_scale", *(f"limit_{name}" for name in self._rates)}
        connections = {"limits_scale", "max_connections", "max_address_connections"}
        return [
            *reloading.changes(self.services, None if self.crew is None else self.crew.number),
            Change(frozenset(guests), self._change_rates),
            Change(frozenset(connections), self._change_connections),
            Change(frozenset({"limits_scale", "packet_rate"}), self._change_pace),
            Change(
                frozenset({"limits_scale", "limit_address_events"}),
                lambda new: self._events.change(new.rate("address_events")),
            ),
            Change(
                frozenset({"limits_scale", "limit_moderation"}),
                lambda new: self.moderation.requests.change(new.rate("moderation")),
            ),
            Change(frozenset({"trusted_proxies"}), lambda new: self._address.trust(new.trusted_proxies)),
            Change(
                frozenset({"moderate_addresses"}), lambda new: self.moderation.networks.change(new.moderate_addresses)
            ),
            Change(frozenset({"text_limit"}), lambda new: setattr(self.gateway, "text_limit", new.text_limit)),
        ]

    def _change_rates(self, settings: Settings) -> None:
        self._rates.update({name: settings.rate(name) for name in self._rates})
        reloading.change_guests(self.services, self._rates)

    def _change_connections(self, settings: Settings) -> None:
        self.guard.change(make_room(settings.max_connections), settings.per_address(settings.max_address_connections))

    def _change_pace(self, settings: Settings) -> None:
        engine = self.server.engine
        engine.options = replace(engine.options, packet_rate=settings.packet_rate * settings.limits_scale)

    def _hold(self, settings: Settings) -> None:
        self.services.settings = settings

    # ── ASGI ──────────────────────────────────────────────────────────────────────────────────────

    async def __call__(
        self,
        scope: Message,
        receive: Receive,
        send: Send,
    ) -> None:
        """Serve one HTTP request: long polling at `/socket.io/`, a file of the web client, or a route of Litestar.

        A proxy may have taken ROOT_PATH from the path, or not: both are understood.
        """
        root, path = self.services.settings.root_path, scope["path"]
        if root and path.startswith(f"{root}/"):
            scope = {**scope, "path": path[len(root) :], "raw_path": scope["raw_path"].removeprefix(root.encode())}
        elif root and path == root:
            await http.redirect(f"{root}/", scope, send)
            return
        if self._stopping.has_begun:  # over a connection that was open before
            self.refusals.request(http.STOPPED.code)
            await http.STOPPED.send(send)
            return
        client = scope.get("client")
        try:
            with self.guard.request(client[0] if client else "", scope["headers"]) as refusal:
                if refusal is None:
                    await self._serve(scope, receive, send)
                else:
                    await refusal(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - of any part outside Litestar, which answers its own
            # If an answer has begun, uvicorn refuses this one and closes the connection.
            await http.failure(self._failed(error)).send(send)

    def _failed(self, error: Exception) -> str:
        """Log and count a request that has failed; return what its answer has in common with the line in the log."""
        number = http.new_request_id()
        self.services.background.failed("request", error, request_id=number)
        self.refusals.request(Code.INTERNAL)
        return number

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"].rstrip("/") == "/socket.io":
            await self.polling(scope, receive, send)
        elif scope["path"] in CONSOLE_PATHS:
            await self._serve_console(scope, receive, send)
        elif (asset := self.client_files.find(scope["path"])) is not None:
            await self.client_files.send(asset, scope, send)
        elif http.is_forbidden_preflight(self.http, scope):
            self.refusals.request(http.ORIGIN_FORBIDDEN.code)
            await http.ORIGIN_FORBIDDEN.send(send)
        elif (refusal := await self.door.refuse(scope)) is not None:
            self.refusals.request(refusal.code)
            await refusal.send(send)
        else:
            if scope["method"] == "HEAD":
                scope = {**scope, "method": "GET", "passerby.head": True}  # uvicorn omits the body
            await self.http(scope, receive, send)  # type: ignore[arg-type]  # the same ASGI, differently typed

    async def _serve_console(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve the page of the moderators, if there are any; else it is a path like any other."""
        client = scope.get("client")
        forwarded_for = join_headers(scope["headers"]).get(b"x-forwarded-for", b"").decode("latin-1")
        address = self._address.of(client[0] if client else "", forwarded_for)
        asset = self.client_files.find(CONSOLE_FILE)
        try:
            is_open = asset is not None and await self.moderation.is_open(address)
        except OSError:
            is_open = False
        if asset is None or not is_open:
            await self.http({**scope, "path": CONSOLE_FILE}, receive, send)  # type: ignore[arg-type]  # as below
        elif scope["path"].endswith("/"):  # the page has relative addresses
            await http.redirect(f"{self.services.settings.root_path}/moderate", scope, send)
        else:
            await self.client_files.send(asset, scope, send, self._console_headers)

    # ── start and stop ────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start the background work, in the running event loop."""
        services = self.services
        self.watch.start(services.background)
        self.server.start(self.watch)
        services.start()
        services.background.repeat("watch of descriptors", lambda: self.watch.look_at_descriptors(services.clock))
        services.background.repeat("collection of garbage", self.collector.keep)
        services.background.repeat("summary of refusals", self._summary().keep)
        services.background.repeat("look at the disk", DiskWatch(self._folders(), services.clock).keep)
        services.background.repeat("look at the clock", ClockWatch(services.clock).keep)

    def _summary(self) -> Summary:
        engine, refusals = self.server.engine, self.refusals
        return Summary(
            self.services.clock,
            {
                "refusals": lambda: sum(
                    (refusals.events, refusals.connects, refusals.requests, engine.refusals, self.guard.refusals),
                    Counter(),
                ),
                "rate limits met": lambda: refusals.limits,
                "connections ended": lambda: engine.closings,
            },
            refusals.crowded,
        )

    async def prepare_metrics(self) -> None:
        """Take the address of the metrics, if they are wanted, and count from now on.

        Raises SettingsError if the address cannot be had.
        """
        settings, services, crew = self.services.settings, self.services, self.crew
        if settings.metrics_port is None:
            return
        # Nothing of it is imported or measured without the setting.
        from passerby.chat.lengths import Conversations  # noqa: PLC0415
        from passerby.metrics.collector import Parts  # noqa: PLC0415
        from passerby.metrics.probes import LoopLag, Pauses, TimedTurn  # noqa: PLC0415
        from passerby.metrics.server import Metrics  # noqa: PLC0415

        conversations, turn = Conversations(services.clock), TimedTurn()
        services.rooms.observe(conversations)
        self.server.engine.turn = turn
        cluster = services.adapters.cluster
        parts = Parts(
            guests=services.guests,
            rooms=services.rooms,
            conversations=conversations,
            matchmaking=services.matchmaking,
            calls=services.calls,
            files=services.files,
            reports=services.reports,
            bans=services.bans,
            checks=services.checks,
            background=services.background,
            engine=self.server.engine,
            guard=self.guard,
            refusals=self.refusals,
            watch=self.watch,
            turn=turn,
            lag=LoopLag(),
            pauses=Pauses(),
            redis=services.adapters.redis_stats,
            memory_limit=settings.memory_limit,
            bus=None if cluster is None else cluster.bus.pairs,
            nodes=() if cluster is None else cluster.membership.others(),
        )
        number = 1 if crew is None else crew.number
        port = settings.metrics_port and settings.metrics_port + number - 1
        metrics = Metrics(parts, number)
        try:
            await metrics.listen(settings.metrics_host, port, is_followed=crew is not None)
        except ListenError as error:
            raise SettingsError(error.strerror) from error
        except OSError as error:
            reason = error.strerror or error
            if error.errno == errno.EADDRNOTAVAIL:
                raise SettingsError(f"METRICS_HOST={settings.metrics_host}: {reason}") from error
            raise SettingsError(f"METRICS_PORT={port}: {reason}") from error
        self.metrics = metrics

    def log(self, step: str) -> None:
        """Log a step at the end of the process, and who is here then."""
        tally = self.services.stats.tally()
        log.info(step, extra={"guests": tally.online, "rooms": tally.pairs})

    def _folders(self) -> dict[str, Path]:
        """Return where is written to a disk, by setting."""
        directory, database = self.services.settings.file_directory, self.services.adapters.kept.database.file
        folders = {"FILE_DIRECTORY": directory and Path(directory), "DATABASE_URL": database}
        return {setting: folder for setting, folder in folders.items() if folder}

    async def stop(self) -> None:
        """Close every connection and stop the background work. A step that fails does not prevent the others.

        A second call waits until the first has done it.
        """
        await self._stopping.run()

    async def _stop(self) -> None:
        step = self._stopping.step
        self.services.prepare_stop()
        await step("closing of connections", self._close_connections, _CLOSE_TIMEOUT)
        await step("stop of the services", self.services.stop, None)
        await step("stop of the watch", self._stop_watch, None)

    async def _close_connections(self) -> None:
        if self.edges is not None:
            self.edges.stop()
        await self.server.stop()

    async def _stop_watch(self) -> None:
        self.watch.stop()

    async def leave(self) -> None:
        """Let other nodes know that this one takes no guests any more; they may say the same in this moment."""
        cluster = self.services.adapters.cluster
        if cluster is not None:
            cluster.membership.leave()
            await asyncio.sleep(_HEAR)  # also for what the parent has said before the signal

    def is_followed(self) -> bool:
        """Return whether other processes serve who comes now: workers of this machine, or other machines."""
        crew, cluster = self.crew, self.services.adapters.cluster
        if crew is not None and crew.ends is None:
            return True
        here = () if crew is None or crew.ends is None else crew.ends
        return cluster is not None and not cluster.membership.staying().issubset(here)

    async def say_farewell(self, is_urgent: Callable[[], bool]) -> None:
        """Tell the guests that nobody serves them soon, and let what is under way end; see `farewell`.

        Of several workers none ends before all have said it: guests of one are connected to another.
        """
        services, crew = self.services, self.crew
        settings, farewell = services.settings, services.farewell
        until = asyncio.get_running_loop().time() + max(settings.stop_notice, settings.stop_patience)
        await farewell.say(
            notice=settings.stop_notice,
            patience=settings.stop_patience,
            away=settings.stop_away,
            keeps=services.adapters.log.is_durable and (crew is None or crew.keeps),
            is_over=lambda: is_urgent() or not self._is_anybody_here(),
        )
        if crew is not None:
            farewell.part_with_all()
            crew.part()
            while not (crew.may_leave or is_urgent()) and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - a signal
                await asyncio.sleep(_LOOK)

    def _is_anybody_here(self) -> bool:
        services = self.services
        if self.server.engine.sessions or services.files.is_uploading:
            return True
        return any(live.link is not None for live in services.guests.lives())  # over another worker's connection

    async def drain(self, seconds: float, is_urgent: Callable[[], bool]) -> None:
        """Tell the clients to come back, one after the other over `seconds`, so that not all come back at once.

        Less long if nobody is left, or once `is_urgent()`.
        """
        if self.moving is not None:
            self.moving.is_draining = True
        engine = self.server.engine
        sids = list(engine.sessions)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number, sid in enumerate(sids):
            due = begun + seconds * number / len(sids)
            while engine.sessions and self.is_followed() and not is_urgent() and (wait := due - loop.time()) > 0:  # noqa: ASYNC110 - a signal
                await asyncio.sleep(min(wait, _LOOK))
            if not self.is_followed():  # the others leave, too
                return
            engine.dismiss(sid)


class _Uvicorn(uvicorn.Server):
    """uvicorn, but Socket.IO connections are closed first: uvicorn waits until long polls end by themselves."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application
        self._is_urgent = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # The second signal, or Ctrl-C: somebody waits. (A worker gets SIGTERM from its parent.)
        self._is_urgent = self.should_exit or sig == signal.SIGINT
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        application = self._application
        crew = application.crew
        application.log("the server stops" if crew is None else "the worker drains")
        await application.leave()
        if application.is_followed():
            self._close_ports()  # before clients are told to reconnect
            await self._drain()
        if not application.is_followed():  # or not any more
            await application.say_farewell(lambda: self._is_urgent)
            self._close_ports()
        await application.stop()
        await super().shutdown(sockets)
        # Otherwise uvicorn raises the signal again, and a clean exit looks like a crash to the parent process.
        self._captured_signals.clear()

    def _close_ports(self) -> None:
        for server in self.servers:
            server.close()
        if self._application.metrics is not None:
            self._application.metrics.release()  # a worker that follows this one may need the port

    async def _drain(self) -> None:
        """Let other workers or machines have the clients, one by one over DRAIN_SECONDS.

        Requests under way, such as uploads, get STOP_PATIENCE to end, or a moment if that is less.
        """
        settings, crew = self._application.services.settings, self._application.crew
        if crew is not None:
            crew.drain()
        leaving = asyncio.ensure_future(self._wait_for_requests(crew, max(settings.drain_seconds, _LEAST)))
        try:
            async with asyncio.timeout(max(settings.drain_seconds, settings.stop_patience, _LEAST)):
                await self._application.drain(settings.drain_seconds, lambda: self._is_urgent)
                if self._application.is_followed():
                    await leaving
        except TimeoutError:
            pass
        finally:
            leaving.cancel()

    async def _wait_for_requests(self, crew: Crew | None, seconds: float) -> None:
        """Pass HTTP connections on to other workers, for `seconds`, as soon as their requests are answered.

        Return when none is left; if nobody takes them, when no request is under way.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self._is_urgent:
            await asyncio.sleep(_LOOK)  # first, because some are accepted and not known to uvicorn yet
            connections = [known for known in self.server_state.connections if isinstance(known, GuardedHttpProtocol)]
            if crew is None or crew.elsewhere() is None or loop.time() > until:
                connections = [connection for connection in connections if not connection.is_between_requests]
            if not connections:
                return
            for connection in connections:
                reads = connection.reads
                if isinstance(reads, HandingReads):
                    reads.leave()

    async def adopt(self, connection: socket.socket, data: bytes) -> None:
        """Serve a connection that another worker has accepted, and of which it has read `data`. Raises OSError."""

        def protocol() -> asyncio.Protocol:
            made: Any = self.config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn does it
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=None
            )
            made.begin_with(data)
            return made  # type: ignore[no-any-return]  # what reads for a protocol

        await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)


async def serve(
    settings: Settings,
    *,
    ready: Callable[[Listeners], None] | None = None,
    reread: Callable[[], Configuration] | None = None,
    sockets: list[socket.socket] | None = None,
    crew: Crew | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM. `ready` is called with where it listens once it serves. Raises ListenError.

    With `sockets`, which listen already, it serves there instead, and `ready` is not called. If others serve its
    clients meanwhile, workers of this machine or other machines, it tells them over DRAIN_SECONDS to come back. A
    process that is alone tells its guests STOP_NOTICE before it stops. After SIGHUP it takes over what `reread` says.
    """
    if sockets is not None:
        await _serve(settings, sockets, crew)
        return
    listeners = listen(settings.host, settings.port)
    try:
        await _serve(settings, listeners.sockets, crew, None if ready is None else partial(ready, listeners), reread)
    finally:
        listeners.close()


def _obey(application: Application, reread: Callable[[], Configuration] | None) -> None:
    """Read the settings again after SIGHUP, if it is this process that is asked to."""
    if reread is not None and sys.platform != "win32":
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, application.reloading.ask, reread)


async def _serve(
    settings: Settings,
    sockets: list[socket.socket],
    crew: Crew | None,
    ready: Callable[[], None] | None = None,
    reread: Callable[[], Configuration] | None = None,
) -> None:
    application = Application(settings, crew=crew, connections=make_room(settings.max_connections))
    reads = None if crew is None else partial(HandingReads, handover=crew)
    config = uvicorn.Config(
        application,
        http=http_factory(application.guard, reads),
        ws=protocol_factory(application.server.engine),  # type: ignore[arg-type]  # uvicorn only calls it
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    server = _Uvicorn(config, application)
    await application.prepare_metrics()  # before others rely on this process: it may be refused
    if crew is not None:
        await crew.begin()
    application.start()
    if application.metrics is not None:
        await application.metrics.start()
    asyncio.get_running_loop().set_exception_handler(application.watch.handle)
    _obey(application, reread)
    collection.tune()
    if crew is not None:
        # A session that only this worker's memory had would be unknown to the others.
        await application.services.ready()
    serving = asyncio.ensure_future(server.serve(sockets))
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event to wait for
            await asyncio.sleep(0.01)
        if crew is not None and server.started:
            await crew.serve(application.services.adapters.node, server.adopt)
        if ready is not None and server.started:
            ready()
        await serving
    finally:
        await application.stop()  # also if uvicorn has not called `shutdown`, because it could not start
        if application.metrics is not None:
            await application.metrics.stop()
        if server.started:
            log.info("stopped")
        if crew is not None:
            await crew.close()
