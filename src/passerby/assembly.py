"""Builds all services from settings, adapters and a clock, for the application and for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from passerby import ids
from passerby.background import Stopping
from passerby.calls.calls import Calls
from passerby.calls.ice import Ice
from passerby.chat.log import RoomLog
from passerby.chat.log_memory import MemoryRoomLog
from passerby.chat.log_redis import RedisRoomLog
from passerby.chat.rooms import Rooms
from passerby.clock import Clock, sleep
from passerby.files.blobs import BlobStore
from passerby.files.blobs_disk import DiskBlobStore
from passerby.files.blobs_memory import MemoryBlobStore
from passerby.files.blobs_redis import RedisBlobStore
from passerby.files.files import Files
from passerby.files.links import Links
from passerby.files.space import Quotas
from passerby.guests.sessions import Guests
from passerby.guests.store import SessionStore
from passerby.guests.store_memory import MemorySessionStore
from passerby.guests.store_redis import RedisSessionStore
from passerby.guests.tokens import Tokens, derive
from passerby.guests.writer import SessionWriter
from passerby.hours import Hours
from passerby.matching.matchmaking import Matchmaking
from passerby.matching.meetings import Meetings
from passerby.matching.pulse import Pulse
from passerby.matching.queue import MatchQueue
from passerby.matching.queue_memory import MemoryMatchQueue
from passerby.matching.queue_redis import RedisMatchQueue
from passerby.matching.stages import Steps
from passerby.media.sniff import PICTURE_TYPES
from passerby.models import MOST_LANGUAGES, Limits, MatchingLimits, RedisStats
from passerby.nodes.about_redis import RedisAbout
from passerby.nodes.buckets import Buckets
from passerby.nodes.buckets_memory import MemoryBuckets
from passerby.nodes.buckets_redis import RedisBuckets
from passerby.nodes.bus_redis import RedisBus
from passerby.nodes.homes_redis import RedisHomes
from passerby.nodes.membership_redis import RedisMembership
from passerby.presence import Periods, Presence
from passerby.recovery import Gate, Recovery
from passerby.redis.client import Redis, State
from passerby.redis.secret import SharedSecret
from passerby.safety.consent import Consent
from passerby.settings import SettingsError
from passerby.stats.counters import Counters
from passerby.stats.counters_memory import MemoryCounters
from passerby.stats.counters_redis import RedisCounters
from passerby.stats.statistics import Statistics

if TYPE_CHECKING:
    from passerby.background import Background
    from passerby.live import LiveGuest
    from passerby.settings import Settings
    from passerby.stats.events import RealtimeStats


ADDRESS_RATES: Final = ("connects", "sessions", "uploads")
"""Rate limits per address that all nodes share: what they limit is rare, and may wait for Redis."""
_OWN_RATES: Final = ("requests",)
"""Those that each node has for itself, because what they limit is frequent. (Events are another: see `app`.)"""
_STEP_TIMEOUT: Final = 5.0
"""Seconds for each step of `stop`. A step that takes longer is abandoned, so that the next ones run."""
_CHECK_TIMEOUT: Final = 2.0
"""Seconds for an adapter's `check`."""
_SESSION_DELAY: Final = 0.1
"""Seconds that a change of a session waits for others, if the session is written to Redis."""
_LINKS: Final = "file links"
"""What the key of links to files is derived for."""
_BUS_WAIT: Final = 1.0
"""Seconds at the start until the other nodes have to find this one by themselves, if the bus cannot be used."""
_REDIS_WAIT: Final = 2.0
"""Seconds at the start until guests are served from memory, if Redis cannot be used."""


class Cluster(Struct):
    """The implementations of the ports to the other nodes."""

    bus: RedisBus
    membership: RedisMembership
    homes: RedisHomes
    about: RedisAbout


class Adapters(Struct, kw_only=True):
    """The implementations of the ports, and the Redis that some of them use."""

    node: str
    """This node's id."""

    store: SessionStore
    queue: MatchQueue
    log: RoomLog
    blobs: BlobStore
    counters: Counters
    buckets: dict[str, Buckets]
    """The rate limits per address that are asked by name; those of ADDRESS_RATES are the same for all nodes."""
    redis: Redis | None = None
    cluster: Cluster | None = None
    """None: there are no other nodes."""
    loops: dict[str, Callable[[], Awaitable[None]]] = {}
    """What adapters do again and again, by its name."""
    redis_stats: Callable[[], RedisStats | None] = lambda: None
    """Returns how Redis fares; None without it."""

    def all(self) -> dict[str, SessionStore | MatchQueue | RoomLog | BlobStore | Counters]:
        """Return each adapter by the name of the data it keeps."""
        return {
            "sessions": self.store,
            "searches": self.queue,
            "messages": self.log,
            "files": self.blobs,
            "counts": self.counters,
        }


def adapters(settings: Settings, clock: Clock, background: Background) -> Adapters:
    """Return the adapters selected by `settings`. Raises SettingsError when one cannot be created."""
    if settings.redis_url is not None:
        return _redis_adapters(settings, clock, background, settings.redis_url)
    return Adapters(
        node=ids.node_id(),
        store=MemorySessionStore(clock),
        queue=MemoryMatchQueue(clock, settings.match_fair),
        log=MemoryRoomLog(settings.room_log_messages, settings.room_log_bytes),
        blobs=_blobs(settings, clock, None),
        counters=MemoryCounters(clock),
        buckets=_buckets(settings, clock),
    )


def _redis_adapters(settings: Settings, clock: Clock, background: Background, url: str) -> Adapters:
    node = ids.node_id()
    redis = Redis(url, settings.redis_prefix, background)
    store = RedisSessionStore(redis, clock, settings.session_ttl)
    queue = RedisMatchQueue(redis, clock, background, node, settings.match_fair)
    room_log = RedisRoomLog(redis, clock, background, settings.room_log_messages, settings.room_log_bytes, node=node)
    bus = RedisBus(redis, node, background)
    membership = RedisMembership(redis, bus, background)
    about = RedisAbout(redis, node, clock)
    counters = RedisCounters(redis, clock)
    redis.on_resync("sessions", store.resync)
    redis.on_resync("messages", room_log.resync)
    redis.on_resync("searches", queue.resync)
    redis.on_resync("counts", counters.resync)
    redis.on_resync("record of this node", about.write)

    def stats() -> RedisStats:
        watch = redis.watch
        changes = {state.value: watch.changes[state] for state in State}
        return RedisStats(state=watch.state.value, **changes, unlogged=room_log.unlogged)

    return Adapters(
        node=node,
        store=store,
        queue=queue,
        log=room_log,
        blobs=_blobs(settings, clock, redis),
        counters=counters,
        buckets=_buckets(settings, clock) | _shared_buckets(settings, clock, redis, membership.others()),
        redis=redis,
        cluster=Cluster(bus, membership, RedisHomes(redis, node), about),
        loops={"renewal of rooms": room_log.renew, "record of this node": about.keep},
        redis_stats=stats,
    )


def _buckets(settings: Settings, clock: Clock) -> dict[str, Buckets]:
    names = (*ADDRESS_RATES, *_OWN_RATES)
    return {name: MemoryBuckets(settings.rate(f"address_{name}"), clock) for name in names}


def _shared_buckets(settings: Settings, clock: Clock, redis: Redis, others: Collection[str]) -> dict[str, Buckets]:
    return {name: RedisBuckets(redis, clock, name, settings.rate(f"address_{name}"), others) for name in ADDRESS_RATES}


def _blobs(settings: Settings, clock: Clock, redis: Redis | None) -> BlobStore:
    if settings.files_in == "redis" and redis is not None:
        return RedisBlobStore(redis, limit=settings.redis_files_limit, upload_timeout=settings.upload_timeout)
    if settings.files_in == "memory":
        return MemoryBlobStore(clock)
    try:
        return DiskBlobStore(clock, settings.file_directory, keep=redis is not None)
    except OSError as error:
        raise SettingsError(f"FILE_DIRECTORY={settings.file_directory or ''!r}: {error.strerror}") from error


def limits(settings: Settings) -> Limits:
    """Return the limits that are sent to clients."""
    # A file that no account has room for would only be refused later, and with a puzzling reason.
    sizes = [settings.file_limit, settings.guest_files_limit, settings.room_files_limit, settings.files_limit]
    if settings.files_in == "redis":
        sizes.append(settings.redis_files_limit)
    return Limits(
        text_length=settings.text_limit,
        file_size=min(sizes),
        room_files_size=settings.room_files_limit,
        guest_files_size=settings.guest_files_limit,
        files_per_message=settings.files_per_message,
        file_lifetime=settings.file_ttl,
        voice_duration=settings.voice_limit,
        picture_types=list(PICTURE_TYPES),
        picture_pixels=settings.picture_pixels,
        ring_timeout=settings.ring_timeout,
        grace=settings.grace,
        undo=settings.undo_seconds,
        matching=MatchingLimits(
            interests=settings.interests_limit,
            interest_length=settings.interest_length,
            languages=MOST_LANGUAGES,
            wants=settings.wants,
            only=settings.match_only,
        ),
        consent=settings.steps,
    )


class Assembly:
    """All services. Nothing runs until `start`. After `stop` nothing runs.

    No guest's file is left, unless the adapters outlive the process: then sessions, searches, rooms and files do too.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        adapters: Adapters,
        background: Background,
        publish: Callable[[RealtimeStats, list[LiveGuest]], None],
    ) -> None:
        """`publish` sends one event to many guests, see Statistics."""
        self.settings = settings
        self.clock = clock
        self.adapters = adapters
        self.limits = limits(settings)
        self.background = background
        delay = 0.0 if adapters.redis is None else _SESSION_DELAY
        self.writer = SessionWriter(adapters.store, background, settings.session_ttl, delay=delay)
        tokens = Tokens(
            clock,
            secret=settings.jwt_secret,
            previous=settings.jwt_secret_previous,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            lifetime=settings.session_ttl,
        )
        is_durable = adapters.log.is_durable
        gate = Gate(clock, is_open=not is_durable)
        self.tokens = tokens
        self._links = Links(tokens.derive(_LINKS), clock)
        self.guests = Guests(
            adapters.store,
            tokens,
            clock,
            session_ttl=settings.session_ttl,
            limit=settings.sessions_limit,
            changed=self._changed,
            is_ended=self.writer.is_ended,
            written=self.writer.flush,
            ready=gate.passing if is_durable else None,
        )
        self.files = Files(
            adapters.blobs,
            self._links,
            clock,
            background,
            quotas=Quotas(
                file=settings.file_limit,
                room=settings.room_files_limit,
                guest=settings.guest_files_limit,
                address=settings.per_address(settings.address_files_limit),
                process=settings.files_limit,
                pixels=settings.picture_pixels,
                seconds=settings.voice_limit,
            ),
            ttl=settings.file_ttl,
            rate=settings.rate("uploads"),
        )
        note = adapters.log.note if is_durable else None
        self.consent = Consent(background, steps=settings.steps, closed=settings.closed_steps, note=note)
        self.calls = Calls(
            clock,
            background,
            ring=settings.ring_timeout,
            come_back=settings.call_return,
            relay_only=settings.relay_only,
            consent=self.consent,
            note=note,
        )
        self.ice = Ice(
            clock,
            stun=settings.stun_urls,
            turn=settings.turn_urls,
            secret=settings.turn_secret,
            ttl=settings.turn_ttl,
            relay=settings.relay_only,
        )
        self.meetings = Meetings(clock, limit=settings.met_limit, seconds=settings.met_seconds)
        self.rooms = Rooms(
            adapters.log,
            clock,
            background,
            grace=settings.grace,
            undo=settings.undo_seconds,
            observers=(self.files, self.calls, self.consent, self.meetings),
            changed=self.guests.touch,
        )
        self.hours = Hours(settings.meeting_hours, settings.meeting_timezone)
        self.pulse = Pulse(clock, node=adapters.node, people=settings.suggestion_people)
        self.matchmaking = Matchmaking(
            adapters.queue,
            self.rooms,
            clock,
            background,
            node=adapters.node,
            grace=settings.grace,
            patience=settings.match_patience,
            steps=Steps(settings.match_interests, settings.match_language, settings.match_again),
            meetings=self.meetings,
            pulse=self.pulse,
            changed=self.guests.touch,
            admit=lambda: self.hours.check(clock.time()),
        )
        self.stats = Statistics(
            self.guests,
            self.rooms,
            adapters.store,
            adapters.counters,
            clock,
            node=adapters.node,
            sample=settings.online_sample,
            interval=settings.stats_interval,
            frames=settings.stats_frames,
            publish=publish,
        )
        self.presence = Presence(
            guests=self.guests,
            rooms=self.rooms,
            matchmaking=self.matchmaking,
            stats=self.stats,
            store=adapters.store,
            writer=self.writer,
            clock=clock,
            background=background,
            periods=Periods(settings.grace, settings.renew_before, settings.refresh_interval, settings.session_sweep),
            limits=self.limits,
        )
        self.recovery = Recovery(
            log=adapters.log,
            guests=self.guests,
            presence=self.presence,
            rooms=self.rooms,
            files=self.files,
            gate=gate,
            clock=clock,
            background=background,
            grace=settings.grace,
        )
        if adapters.redis is not None and adapters.cluster is not None:
            if settings.jwt_secret is None:
                self._share_secret(adapters.redis)
            adapters.redis.on_resync("membership", self._look_at_nodes)
            adapters.redis.on_resync("removed files", self.files.sweep)
            adapters.redis.on_resync("rooms of an earlier process", self.recovery.run)
            adapters.redis.watch.on_use(self.recovery.expect, self.recovery.skip)
        self._stopping = Stopping(background, self._stop)

    def _share_secret(self, redis: Redis) -> None:
        """Use the secret that is kept in Redis, as soon as it is known."""
        self.tokens.is_provisional = True
        tokens = self.tokens
        shared = SharedSecret(redis, self.clock, tokens.secret, self._adopt_secrets, lambda: tokens.has_issued)
        redis.on_resync("secret of tokens", shared.keep)
        self.adapters.loops["renewal of the secret"] = shared.renew

    def _adopt_secrets(self, secrets: tuple[str, ...]) -> None:
        self.tokens.adopt(secrets)
        self._links.adopt(derive(secret, _LINKS) for secret in secrets)

    def _changed(self, live: LiveGuest) -> None:
        """Mark a changed session. Whoever changes one is in the middle of something, so nothing is raised here."""
        # `Background.attempt`, inlined: a match changes sessions six times.
        try:
            self.writer.save(live.guest)
        except Exception as error:  # noqa: BLE001 - the statistics must be marked after any error
            self.background.failed("marking a changed session", error)
        try:
            self.stats.changed()
        except Exception as error:  # noqa: BLE001 - see above: nothing is raised
            self.background.failed("marking changed statistics", error)

    # ── start and stop ────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start the loops, in the running event loop."""
        self._starting = self.background.start("recovery", self._recover())
        self.background.repeat("broadcast of statistics", self.stats.broadcast)
        self.background.repeat("heartbeat of the counts", self.stats.heartbeat)
        self.background.repeat("refresh of sessions", self.presence.refresh)
        self.background.repeat("sweep of sessions", self.presence.sweep)
        self.background.repeat("sweep of files", self._sweep_files)
        if self.adapters.queue.is_durable:
            self.background.repeat("renewal of searches", self.matchmaking.renew)
        for name, step in self.adapters.loops.items():
            self.background.repeat(name, step)

    async def _recover(self) -> None:
        """Bring back what an earlier process has left. Nobody waits for it if Redis cannot be used; it comes later."""
        redis = self.adapters.redis
        if redis is None:
            await self.recovery.run()
            return
        redis.start()
        if self.adapters.cluster is not None:
            self.adapters.cluster.bus.start()
            self.adapters.cluster.membership.start()
        if not await redis.ready(_REDIS_WAIT) and redis.watch.state is State.DEGRADED:
            self.recovery.skip()
        if self.adapters.cluster is not None and redis.is_usable and await self.adapters.cluster.bus.ready(_BUS_WAIT):
            await self.adapters.cluster.membership.greet()

    async def ready(self) -> None:
        """Wait until Redis is in use, and the other nodes know this one; but not long: Redis may be away."""
        await asyncio.wait([self._starting])

    async def _look_at_nodes(self) -> None:
        if self.adapters.cluster is not None:
            await self.adapters.cluster.membership.look()

    async def _sweep_files(self) -> None:
        await sleep(self.clock, self.settings.file_sweep)
        await self.files.sweep()

    async def check(self) -> dict[str, bool]:
        """Return for each adapter, by the name of its data, whether it can serve now."""
        return {
            name: await self.background.finish(f"check of {name}", adapter.check, _CHECK_TIMEOUT)
            for name, adapter in self.adapters.all().items()
        }

    def prepare_stop(self) -> None:
        """All connections are about to be closed. If rooms outlive the process, that is no absence of their members."""
        if self.adapters.log.is_durable:
            self.presence.stop()

    async def stop(self) -> None:
        """Stop everything, step by step. Each step has a timeout and runs even when earlier ones have failed.

        Every caller waits for the same run of the steps, see Stopping.
        """
        await self._stopping.run()

    async def _stop(self) -> None:
        background, step = self.background, self._stopping.step
        await step("forgetting all files", self._forget_files, _STEP_TIMEOUT)
        await step("end of background work", lambda: background.wind_down(_STEP_TIMEOUT), None)
        await step("last writing of sessions", self.writer.flush, _STEP_TIMEOUT)
        for name, adapter in self.adapters.all().items():
            if not await step(f"closing of {name}", adapter.close, _STEP_TIMEOUT):
                await step(f"closing of {name}", adapter.close, _STEP_TIMEOUT)  # one retry
        if self.adapters.cluster is not None:
            await step("end of the record of this node", self.adapters.cluster.about.close, _STEP_TIMEOUT)
            await step("goodbye to the other nodes", self.adapters.cluster.membership.close, _STEP_TIMEOUT)
            await step("closing of the bus", self.adapters.cluster.bus.close, _STEP_TIMEOUT)
        if self.adapters.redis is not None:
            await step("closing of Redis", self.adapters.redis.close, _STEP_TIMEOUT)
        # What the last steps have begun.
        await step("end of background work", lambda: background.stop(_STEP_TIMEOUT), None)

    async def _forget_files(self) -> None:
        self.files.close()
