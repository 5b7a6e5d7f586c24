"""Reads the counts of all services when Prometheus asks, and gives them their names.

Nothing has a label whose values clients could make up, and nothing is about a guest.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import time
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector as Base

from passerby import __version__
from passerby.machine import resident
from passerby.metrics import process

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from prometheus_client.core import Metric

    from passerby.background import Background
    from passerby.calls.calls import Calls
    from passerby.chat.lengths import Conversations
    from passerby.chat.rooms import Rooms
    from passerby.files.files import Files
    from passerby.guests.sessions import Guests
    from passerby.http.guard import Guard
    from passerby.matching.matchmaking import Matchmaking
    from passerby.measures import Histogram, Refusals
    from passerby.metrics.probes import LoopLag, Pauses, TimedTurn
    from passerby.models import RedisStats
    from passerby.safety.banlist import BanList
    from passerby.safety.checks import Checks
    from passerby.safety.reports import Reports
    from passerby.socketio.engine import Engine
    from passerby.watch import Watch

_SLICE: Final = 500
"""Slow clients that are looked at in one turn of the event loop."""
_STATES: Final = ("normal", "degraded", "resync")


class BusCounts(Protocol):
    """What the bus to other nodes counts; see `nodes.pairs`."""

    frames_sent: int
    frames_received: int
    losses: int


class Parts(NamedTuple):
    """Who counts."""

    guests: Guests
    rooms: Rooms
    conversations: Conversations
    matchmaking: Matchmaking
    calls: Calls
    files: Files
    reports: Reports
    bans: BanList
    checks: Checks
    background: Background
    engine: Engine
    guard: Guard
    refusals: Refusals
    watch: Watch
    turn: TimedTurn
    lag: LoopLag
    pauses: Pauses
    redis: Callable[[], RedisStats | None]
    memory_limit: int
    """Bytes; 0: there is none."""
    bus: BusCounts | None
    """None: there are no other nodes, and none can come."""
    nodes: Collection[str]
    """The other nodes that are alive."""


class Collector(Base):
    """The metrics of one process. `look` comes first: it reads what takes longer than a turn of the loop may."""

    def __init__(self, parts: Parts, worker: int) -> None:
        """All metrics have the label `worker`: the number of this process among several, else 1."""
        self._parts = parts
        self._worker = str(worker)
        self._unread = 0
        self._descriptors: int | None = None

    async def look(self) -> None:
        """Look at all clients that read slowly, some at a time, so that messages of guests do not wait."""
        unread = 0
        slow = self._parts.engine.stalled.waiting()
        for start in range(0, len(slow), _SLICE):
            unread += sum(client.unread for client in slow[start : start + _SLICE])
            await asyncio.sleep(0)
        self._unread = unread
        self._descriptors = await process.open_descriptors()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        yield from self._house()
        yield from self._talk()
        yield from self._trouble()
        yield from self._safety()
        yield from self._others()
        yield from self._machine()

    # ── what guests do ────────────────────────────────────────────────────────────────────────────

    def _house(self) -> Iterator[Metric]:
        parts = self._parts
        guests, engine, searches = parts.guests, parts.engine, parts.matchmaking
        online = len(guests.online)
        yield self._gauges(
            "passerby_guests",
            "Guests who are connected, and those who have lost the connection and may come back",
            "state",
            {"online": online, "away": max(0, guests.live_count - online)},
        )
        yield self._counter("passerby_sessions_created", "Sessions of guests that were created", guests.created)
        yield self._gauges(
            "passerby_connections",
            "Open connections of clients",
            "transport",
            {"websocket": engine.websockets, "polling": len(engine.sessions) - engine.websockets},
        )
        yield self._counter("passerby_connections_opened", "Connections of clients that were opened", engine.opened)
        yield self._gauge("passerby_searching", "Guests who search", searches.waiting)
        yield self._counter("passerby_searches", "Searches that have begun", searches.begun)
        yield self._histogram(
            "passerby_search_wait_seconds", "How long guests have searched who met somebody", searches.waits
        )

    def _talk(self) -> Iterator[Metric]:
        parts = self._parts
        rooms, talks, calls, space = parts.rooms, parts.conversations, parts.calls, parts.files.space
        yield self._gauge("passerby_rooms", "Conversations that are open", rooms.count)
        yield self._counter("passerby_rooms_opened", "Conversations that have begun", talks.begun)
        yield self._histogram("passerby_room_length_seconds", "How long conversations took", talks.lengths)
        yield self._counter("passerby_messages", "Messages of guests that were taken", talks.messages)
        yield self._counter("passerby_replays", "Replays to guests who have lost the connection", rooms.replays)
        yield self._counter("passerby_replay_gaps", "Replays that lacked messages, which guests are told", rooms.gaps)
        yield self._counter(
            "passerby_undelivered_messages",
            "Messages that did not arrive before the conversation has ended, which their authors are told",
            rooms.undelivered,
        )
        yield self._gauge("passerby_calls", "Calls, also those that ring", calls.count)
        kinds = {"audio": 0, "video": 0} | calls.begun
        yield self._counters("passerby_calls_begun", "Calls that have begun to ring", "kind", kinds)
        ends = dict.fromkeys(("declined", "unanswered", "cancelled", "not_connected", "completed"), 0) | calls.ended
        yield self._counters("passerby_calls_ended", "Calls by how they have ended", "end", ends)
        yield self._histogram(
            "passerby_call_connect_seconds", "From the answer until media flows, as clients report it", calls.connects
        )
        yield self._counter("passerby_files_received", "Files that guests have sent", space.stored)
        yield self._counter("passerby_files_received_bytes", "Bytes of these files", space.stored_bytes)
        yield self._counter("passerby_files_sent_bytes", "Bytes of files that were downloaded", parts.files.sent_bytes)
        yield self._gauge("passerby_files_bytes", "Bytes that files and uploads hold", space.used)
        yield self._gauge("passerby_files_limit_bytes", "Bytes that they may hold, FILES_LIMIT", space.quotas.process)

    # ── what went wrong ───────────────────────────────────────────────────────────────────────────

    def _trouble(self) -> Iterator[Metric]:
        parts = self._parts
        refused = self._family_of_counters("passerby_refusals", "What was refused, by its code", "at", "code")
        places: dict[str, Mapping[str, int]] = {
            "event": parts.refusals.events,
            "connect": parts.refusals.connects,
            "request": parts.refusals.requests,
            "handshake": parts.engine.refusals,
            "connection": parts.guard.refusals,
        }
        for place, codes in places.items():
            for code, count in codes.items():
                refused.add_metric([self._worker, place, code], count)
        yield refused
        yield self._counters(
            "passerby_limits_hit", "Rate limits that were met, by their names", "limit", parts.refusals.limits
        )
        yield self._counters(
            "passerby_closings", "Connections that have ended, by reason", "reason", parts.engine.closings
        )
        yield self._counter(
            "passerby_failures", "Work that has failed; the log says what", parts.background.failures.total()
        )
        yield self._gauge("passerby_outbox_bytes", "Bytes that wait for clients who read slowly", self._unread)

    def _safety(self) -> Iterator[Metric]:
        parts = self._parts
        reports, checks = parts.reports, parts.checks
        cases = {"guest": reports.taken, "server": reports.noticed}
        yield self._counters("passerby_reports", "Reports, by who has noticed something", "source", cases)
        yield self._gauge("passerby_bans", "Bans that are in force", parts.bans.bans)
        verdicts = {"passed": checks.passed, "held": checks.held}
        yield self._counters("passerby_checks", "What hooks have checked, by verdict", "verdict", verdicts)
        yield self._counter(
            "passerby_hooks_unanswered", "Questions that a hook has not answered in time", checks.unanswered
        )

    # ── what it rests on ──────────────────────────────────────────────────────────────────────────

    def _others(self) -> Iterator[Metric]:
        redis, bus = self._parts.redis(), self._parts.bus
        if redis is not None:
            states = {state: float(redis.state == state) for state in _STATES}
            yield self._gauges("passerby_redis_state", "1 for the state in which Redis is", "state", states)
            changes = {"normal": redis.normal, "degraded": redis.degraded, "resync": redis.resync}
            yield self._counters("passerby_redis_changes", "How often each state has begun", "state", changes)
            yield self._counter(
                "passerby_redis_unlogged_messages", "Messages taken while Redis did not have them", redis.unlogged
            )
        if bus is not None:
            yield self._gauge("passerby_nodes", "Nodes that are alive, with this one", len(self._parts.nodes) + 1)
            frames = {"sent": bus.frames_sent, "received": bus.frames_received}
            yield self._counters("passerby_bus_messages", "Messages to and from other nodes", "direction", frames)
            yield self._counter("passerby_bus_losses", "How often messages of another node were lost", bus.losses)

    def _machine(self) -> Iterator[Metric]:
        parts = self._parts
        yield self._histogram("passerby_event_loop_lag_seconds", "How late timers of the loop are", parts.lag.seconds)
        yield self._counter(
            "passerby_event_loop_lost_seconds", "Time in which the event loop stood still", parts.watch.lost
        )
        yield self._histogram("passerby_turn_seconds", "Turns: messages that came are handled", parts.turn.seconds)
        yield self._histogram("passerby_gc_pause_seconds", "Pauses of the garbage collector", parts.pauses.seconds)
        generations = {str(number): stats["collections"] for number, stats in enumerate(gc.get_stats())}
        yield self._counters("passerby_gc_collections", "Garbage collections", "generation", generations)
        info = GaugeMetricFamily("passerby_build_info", "What runs", labels=["worker", "version", "python"])
        info.add_metric([self._worker, __version__, platform.python_version()], 1)
        yield info
        if parts.memory_limit:
            yield self._gauge(
                "passerby_memory_limit_bytes", "What the process may take, MEMORY_LIMIT", parts.memory_limit
            )
        # The names that all exporters have.
        yield self._counter("process_cpu_seconds", "Time of user and system", time.process_time())
        yield self._gauge("process_start_time_seconds", "When the process has started", process.STARTED)
        known = {
            "process_resident_memory_bytes": resident() or None,
            "process_open_fds": self._descriptors,
            "process_max_fds": process.most_descriptors(),
        }
        for name, value in known.items():
            if value is not None:
                yield self._gauge(name, "As the system says", value)

    # ── forms ─────────────────────────────────────────────────────────────────────────────────────

    def _gauge(self, name: str, meaning: str, value: float) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, meaning, labels=["worker"])
        family.add_metric([self._worker], value)
        return family

    def _gauges(self, name: str, meaning: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, meaning, labels=["worker", label])
        for key, value in values.items():
            family.add_metric([self._worker, key], value)
        return family

    def _counter(self, name: str, meaning: str, value: float) -> CounterMetricFamily:
        family = self._family_of_counters(name, meaning)
        family.add_metric([self._worker], value)
        return family

    def _counters(self, name: str, meaning: str, label: str, values: Mapping[str, float]) -> CounterMetricFamily:
        family = self._family_of_counters(name, meaning, label)
        for key, value in values.items():
            family.add_metric([self._worker, key], value)
        return family

    @staticmethod
    def _family_of_counters(name: str, meaning: str, *labels: str) -> CounterMetricFamily:
        """Return it without samples; their names end with `_total`."""
        return CounterMetricFamily(name, meaning, labels=["worker", *labels])

    def _histogram(self, name: str, meaning: str, values: Histogram) -> HistogramMetricFamily:
        family = HistogramMetricFamily(name, meaning, labels=["worker"])
        bounds = [*(f"{bound:g}" for bound in values.bounds), "+Inf"]
        family.add_metric(
            [self._worker], list(zip(bounds, accumulate(values.counts), strict=True)), sum_value=values.total
        )
        return family
