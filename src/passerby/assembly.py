"""Builds all services from settings, adapters and a clock, for the application and for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from passerby import ids
from passerby.background import Stopping
from passerby.calls.calls import Calls
from passerby.calls.ice import Ice
from passerby.chat.events import ChatClearConfirmed
from passerby.chat.log import RoomLog
from passerby.chat.log_memory import MemoryRoomLog
from passerby.chat.log_redis import RedisRoomLog
from passerby.chat.rooms import Rooms
from passerby.clock import Clock, sleep
from passerby.database.engine import Database
from passerby.database.sealing import Sealer, sealer
from passerby.errors import Code, PasserbyError
from passerby.farewell import Farewell
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
from passerby.limits import Rate
from passerby.machine import MemoryBudget
from passerby.matching.matchmaking import Matchmaking
from passerby.matching.meetings import Meetings
from passerby.matching.pulse import Pulse
from passerby.matching.queue import MatchQueue
from passerby.matching.queue_memory import MemoryMatchQueue
from passerby.matching.queue_redis import RedisMatchQueue
from passerby.matching.stages import Steps
from passerby.media.sniff import PICTURE_TYPES
from passerby.models import MOST_LANGUAGES, Limits, MatchingLimits, RedisStats
from passerby.moderation.audit import Journal
from passerby.moderation.audit_sql import SqlJournal
from passerby.moderation.desk import Desk
from passerby.moderation.figures import FigureStore
from passerby.moderation.figures_sql import SqlFigureStore
from passerby.moderation.logins import Logins
from passerby.moderation.staff import StaffStore
from passerby.moderation.staff_sql import SqlStaffStore
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
from passerby.safety.ages import LIFETIME, AgeChecks
from passerby.safety.appeals import Appeals
from passerby.safety.banlist import BanList
from passerby.safety.cases import CaseStore
from passerby.safety.cases_sql import SqlCaseStore
from passerby.safety.checks import Checks
from passerby.safety.consent import Consent, NewDevices
from passerby.safety.devices import Devices
from passerby.safety.marks import Marks
from passerby.safety.newcomers import Newcomers
from passerby.safety.pages import PageError, PageName, Pages
from passerby.safety.pressure import Pressure
from passerby.safety.proofs import Proofs
from passerby.safety.repeats import Repeats
from passerby.safety.reports import ReportedFile, Reports
from passerby.safety.retention import Retention
from passerby.safety.sanctions import SanctionStore
from passerby.safety.sanctions_sql import SqlSanctionStore
from passerby.safety.skips import Skips
from passerby.settings import SettingsError
from passerby.stats.counters import Counters
from passerby.stats.counters_memory import MemoryCounters
from passerby.stats.counters_redis import RedisCounters
from passerby.stats.statistics import Statistics

if TYPE_CHECKING:
    from passerby.background import Background
    from passerby.live import LiveGuest
    from passerby.safety.hook import Hook
    from passerby.settings import Settings
    from passerby.stats.events import RealtimeStats


ADDRESS_RATES: Final = ("connects", "sessions", "uploads", "codes", "reports", "logins")
"""Rate limits per address that all nodes share: what they limit is rare, and may wait for Redis."""
_OWN_RATES: Final = ("requests",)
"""Those that each node has for itself, because what they limit is frequent. (Events are another: see `app`.)"""
_ONCE: Final = Rate(1, 0.5 / LIFETIME)
"""Of the result of an age check: for longer than it counts."""
_STEP_TIMEOUT: Final = 5.0
"""Seconds for each step of `stop`. A step that takes longer is abandoned, so that the next ones run."""
_CHECK_TIMEOUT: Final = 2.0
"""Seconds for an adapter's `check`."""
_SESSION_DELAY: Final = 0.1
"""Seconds that a change of a session waits for others, if the session is written to Redis."""
LINKS: Final = "file links"
"""What the key of links to files is derived for."""
_BUS_WAIT: Final = 1.0
"""Seconds at the start until the other nodes have to find this one by themselves, if the bus cannot be used."""
_DAY: Final = 86_400.0
_HOOKS: Final = "passerby.hooks"
"""The group of entry points of other packages: each returns a Hook when it is called."""
_REDIS_WAIT: Final = 2.0
"""Seconds at the start until guests are served from memory, if Redis cannot be used."""


class Cluster(Struct):
    """The implementations of the ports to the other nodes."""

    bus: RedisBus
    membership: RedisMembership
    homes: RedisHomes
    about: RedisAbout


class Kept(Struct, kw_only=True):
    """The implementations of the ports to the database, and what they share."""

    database: Database
    sealer: Sealer
    cases: CaseStore
    sanctions: SanctionStore
    staff: StaffStore
    journal: Journal
    figures: FigureStore


class Adapters(Struct, kw_only=True):
    """The implementations of the ports, and the Redis that some of them use."""

    node: str
    """This node's id."""

    store: SessionStore
    queue: MatchQueue
    log: RoomLog
    blobs: BlobStore
    counters: Counters
    kept: Kept
    buckets: dict[str, Buckets]
    """The rate limits per address that are asked by name; those of ADDRESS_RATES are the same for all nodes."""
    age_checks: Buckets
    """One token for each age check at a provider: its result counts once."""
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
        kept=kept(settings, clock),
        buckets=_buckets(settings, clock),
        age_checks=MemoryBuckets(_ONCE, clock),
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
        kept=kept(settings, clock),
        buckets=_buckets(settings, clock) | _shared_buckets(settings, clock, redis, membership.others()),
        age_checks=RedisBuckets(redis, clock, "age_checks", _ONCE, membership.others()),
        redis=redis,
        cluster=Cluster(bus, membership, RedisHomes(redis, node), about),
        loops={"renewal of rooms": room_log.renew, "record of this node": about.keep},
        redis_stats=stats,
    )


def kept(settings: Settings, clock: Clock) -> Kept:
    """Return the adapters of the database. Nothing is opened. Raises SettingsError."""
    database = Database(settings.database_url, clock)
    secret = sealer(settings.evidence_key, settings.evidence_key_file)
    return Kept(
        database=database,
        sealer=secret,
        cases=SqlCaseStore(database, secret, hours=settings.case_hours, evidence_days=settings.evidence_days),
        sanctions=SqlSanctionStore(database, secret, clock),
        staff=SqlStaffStore(database, secret, clock),
        journal=SqlJournal(database, clock),
        figures=SqlFigureStore(database, clock),
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


def built_in_hooks(settings: Settings) -> list[Hook]:
    """Return the lists that look at messages. Raises SettingsError."""
    hooks: list[Hook] = []
    if settings.word_list is not None:
        from passerby.safety.hook_words import WordList, WordListError  # noqa: PLC0415 - only if it is used

        try:
            hooks.append(WordList.read(settings.word_list))
        except WordListError as error:
            raise SettingsError(f"WORD_LIST={settings.word_list!r}: {error}") from error
    if settings.picture_list is not None:
        from passerby.safety.hook_pdq import PictureList, PictureListError  # noqa: PLC0415 - an extra

        try:
            hooks.append(PictureList(settings.picture_list, pixels=settings.picture_pixels))
        except PictureListError as error:
            raise SettingsError(f"PICTURE_LIST={settings.picture_list!r}: {error}") from error
    return hooks


def own_hooks() -> list[Hook]:
    """Return the operator's own code that looks at messages. Raises SettingsError."""
    hooks: list[Hook] = []
    for point in metadata.entry_points(group=_HOOKS):
        try:
            hooks.append(point.load()())
        except Exception as error:
            raise SettingsError(f"the hook {point.name!r} of {_HOOKS} cannot be made: {error}") from error
    return hooks


def hook_services(settings: Settings, clock: Clock) -> list[Hook]:
    """Return the operator's service that looks at messages, if there is one."""
    if settings.hook_url is None or settings.hook_secret is None:
        return []
    from passerby.safety.hook_http import HttpHook  # noqa: PLC0415 - only if it is used

    return [HttpHook(settings.hook_url, settings.hook_secret, settings.hook_checks, clock)]


def quotas(settings: Settings) -> Quotas:
    """Return the limits of files."""
    return Quotas(
        file=settings.file_limit,
        room=settings.room_files_limit,
        guest=settings.guest_files_limit,
        address=settings.per_address(settings.address_files_limit),
        process=settings.files_limit,
        pixels=settings.picture_pixels,
        seconds=settings.voice_limit,
    )


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
        self.links = Links(tokens.derive_all(LINKS), clock, settings.root_path)
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
            self.links,
            clock,
            background,
            quotas=quotas(settings),
            ttl=settings.file_ttl,
            rate=settings.rate("uploads"),
        )
        note = adapters.log.note if is_durable else None
        self.checks = self._make_checks(settings)
        self.pressure = Pressure(
            clock,
            mode=settings.proof_of_work,
            address=settings.calm_address_sessions,
            house=settings.calm_sessions,
        )
        self.proofs = Proofs(self.pressure, clock, tokens.derive_all)
        self.repeats = Repeats(clock, partners=settings.repeat_partners)
        self.skips = Skips(clock, partners=settings.skip_partners)
        new_devices = NewDevices(
            clock, self.pressure, seconds=settings.new_device_seconds, steps=settings.new_device_steps
        )
        self.consent = Consent(
            background, steps=settings.steps, closed=settings.closed_steps, new_devices=new_devices, note=note
        )
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
            observers=(
                *(self.files, self.calls, self.consent, self.meetings),
                self.checks,
                *self.skips.observers,
            ),
            changed=self.guests.touch,
        )
        kept = adapters.kept
        self.devices = Devices(clock, tokens.derive_all)
        self.marks = Marks(
            kept.sanctions, kept.sealer.derive("addresses"), clock, lifetime=settings.address_key_days * _DAY
        )
        self.reports = self._make_reports(settings)
        self.rooms.observe(self.reports)
        self.repeats.notice = self.skips.notice = self.reports.notice
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
            admit=self._admit,
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
        self._look_after(settings)
        self._ask_before_beginnings(settings)
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

    def _look_after(self, settings: Settings) -> None:
        """Build what keeps the peace: bans, appeals, moderators and what they see, retention."""
        kept, clock, background = self.adapters.kept, self.clock, self.background
        self.bans = BanList(
            kept.sanctions,
            self.marks,
            clock,
            background,
            lives=self.guests.lives,
            end=self._end_session,
            told=self.guests.touch,
        )
        self.guests.check_session = lambda session_id: self.bans.check(session_id=session_id)
        self.appeals = Appeals(kept.sanctions, clock)
        self.newcomers = self._make_newcomers(settings)
        self.logins = Logins(kept.staff, kept.journal, clock)
        self.desk = Desk(kept.cases, kept.sanctions, kept.journal, clock)
        self.retention = Retention(
            kept.cases, clock, evidence_days=settings.evidence_days, record_days=settings.record_days
        )

    def _ask_before_beginnings(self, settings: Settings) -> None:
        """Build what knows whether anything may begin: nothing does near MEMORY_LIMIT, and before a stop."""
        self.memory = MemoryBudget(settings.memory_limit, self.clock)
        self.rooms_of_uploads_elsewhere: Callable[[], Iterable[str]] = tuple
        """Returns the ids of rooms here with an upload under way that comes to another node."""
        self.farewell = Farewell(self.guests, self.matchmaking, self.clock, busy_rooms=self._busy_rooms)
        self.calls.check_new = self.farewell.check
        self.guests.check_new = self._admit_session
        self.files.check_new = self._admit_upload
        if settings.files_in == "memory":
            self.files.space.check_memory = self.memory.check_upload

    def _busy_rooms(self) -> Iterator[str]:
        """Yield the ids of rooms with a call or an upload under way."""
        yield from self.calls.rooms()
        yield from self.files.rooms_of_uploads()
        yield from self.rooms_of_uploads_elsewhere()

    def _make_newcomers(self, settings: Settings) -> Newcomers:
        """Raises SettingsError."""
        files: dict[PageName, str | None] = {
            "rules": settings.rules_file,
            "privacy": settings.privacy_file,
            "contact": settings.contact_file,
        }
        try:
            pages = Pages(self.clock, self.background, files)
        except PageError as error:
            raise SettingsError(str(error)) from error
        checks = None
        if settings.age_url is not None and settings.age_secret is not None:
            checks = AgeChecks(self.clock, self.tokens.derive_all, settings.age_secret, self.adapters.age_checks.take)
        return Newcomers(
            self.clock,
            pages,
            checks,
            minimum=settings.age_minimum,
            takes_reports=not self.adapters.kept.database.is_off,
            report_window=settings.report_window,
        )

    def _make_reports(self, settings: Settings) -> Reports:
        kept = self.adapters.kept
        return Reports(
            kept.cases,
            self.clock,
            self.background,
            node=self.adapters.node,
            window=settings.report_window,
            memory=settings.report_memory,
            is_open=not kept.database.is_off,
            keeps_messages=kept.sealer.is_on,
            marks=self.marks.of,
            entries=self.adapters.log.entries,
            read=self._read_file,
            leave=self._leave_for_good,
        )

    async def _read_file(self, live: LiveGuest, file_id: str) -> ReportedFile | None:
        try:
            file = await self.files.of_member(file_id, live)
        except PasserbyError:
            return None
        parts = [part async for part in self.files.read(file, 0, file.size)]
        return ReportedFile(file.filename, file.mime_type, b"".join(parts))

    async def _leave_for_good(self, live: LiveGuest, partner_id: str, root: str) -> None:
        """End a conversation that was reported; if it is over, the two still never meet again."""
        if self.rooms.is_with(live, partner_id):
            await self.presence.block(live)
            live.send(ChatClearConfirmed(message="You have left the conversation"))
        elif not live.has_moved:
            self.matchmaking.avoid(live, root)

    def _make_checks(self, settings: Settings) -> Checks:
        """Return the checks by hooks, of which there may be none. Raises SettingsError."""
        self.own_hooks = own_hooks()
        return Checks(
            [*self.own_hooks, *hook_services(settings, self.clock)],
            self.clock,
            self.background,
            built_in=built_in_hooks(settings),
            deadline=settings.hook_timeout,
            fails_open=settings.hook_fails == "open",
            noticed=lambda live, rule: self.reports.notice(live, "hook", rule),
        )

    def _share_secret(self, redis: Redis) -> None:
        """Use the secret that is kept in Redis, as soon as it is known."""
        self.tokens.is_provisional = True
        tokens = self.tokens
        shared = SharedSecret(redis, self.clock, tokens.secret, self._adopt_secrets, lambda: tokens.has_issued)
        redis.on_resync("secret of tokens", shared.keep)
        self.adapters.loops["renewal of the secret"] = shared.renew

    def _adopt_secrets(self, secrets: tuple[str, ...]) -> None:
        self.tokens.adopt(secrets)
        self.links.adopt(derive(secret, LINKS) for secret in secrets)

    def _admit(self, live: LiveGuest) -> None:
        """Let a search of the guest begin, or raise StoppingError, ClosedError or RateLimitedError."""
        self.farewell.check()
        self.hours.check(self.clock.time())
        self.skips.check(live)

    def _admit_session(self) -> None:
        """Let a session begin, or raise StoppingError or UnavailableError."""
        self.farewell.check()
        self.memory.check_session()

    def _admit_upload(self) -> None:
        """Let an upload begin, or raise StoppingError or StorageFullError."""
        self.farewell.check()
        self.memory.check_upload()

    async def _end_session(self, live: LiveGuest, is_banned: bool) -> None:  # noqa: FBT001 - of BanList
        await self.presence.end(live.guest, Code.BANNED if is_banned else Code.SESSION_ENDED)

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
        self.background.repeat("removal of old evidence", self.retention.keep)
        self.background.repeat("look at memory", self.memory.keep)
        if not self.adapters.kept.database.is_off:
            self.background.repeat("writing of reports", self.reports.keep)
            self.background.repeat("look at sanctions", self.bans.keep)
            self.background.repeat("renewal of address keys", self.marks.keep)
        if self.adapters.queue.is_durable:
            self.background.repeat("renewal of searches", self.matchmaking.renew)
        if self.settings.repeat_partners:
            self.background.repeat("forgetting of what was said", self.repeats.keep)
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
        """Return for each adapter, by the name of its data, whether it can serve now; and whether guests may come."""
        return {
            "new guests": not self.farewell.has_begun,
            **{
                name: await self.background.finish(f"check of {name}", adapter.check, _CHECK_TIMEOUT)
                for name, adapter in self.adapters.all().items()
            },
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
        await step("last writing of reports", self.reports.stop, _STEP_TIMEOUT)
        await step("closing of hooks", self.checks.close, _STEP_TIMEOUT)
        await step("last writing of sessions", self.writer.flush, _STEP_TIMEOUT)
        for name, adapter in self.adapters.all().items():
            if not await step(f"closing of {name}", adapter.close, _STEP_TIMEOUT):
                await step(f"closing of {name}", adapter.close, _STEP_TIMEOUT)  # one retry
        await step("closing of the database", self.adapters.kept.database.close, _STEP_TIMEOUT)
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
