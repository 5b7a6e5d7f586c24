"""How many workers, machines and how much Redis a number of guests needs, and what is exhausted first.

    python -m tools.sizing                                       # the table of docs/operations.md
    python -m tools.sizing --guests 50000 --messages 4000        # one line, and where its limits are

It multiplies what guests do by what each of it costs. The costs are those of docs/performance.md, rounded up, on one
core of the machine that is named there: measure yours with `make bench`, and give `--speed` if it is faster or slower.
What is not measured there is marked as estimated below.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

# ── what it costs ─────────────────────────────────────────────────────────────────────────────────

MICRO: Final = 1e-6
KILO: Final = 1000
MEBI: Final = 1 << 20
GIBI: Final = 1 << 30

RELAY: Final = 20 * MICRO
"""Seconds of CPU for a message whose guests are on one node, with the log in Redis: 52,227 a CPU-second."""
ACROSS: Final = 1.6
"""How much dearer it is between two nodes: the bar of the measurement, which is 1.28 to 1.58 x."""
GUEST: Final = 7 * MICRO
"""Seconds of CPU a second for a guest who does nothing, with pings and the renewal in Redis: 6.56 % for 10,000."""
JOIN: Final = 950 * MICRO
"""Seconds of CPU for a guest who comes: 799 us with 500 there, and 1.17 x with 5,000."""
MATCH: Final = 95 * MICRO
"""Seconds of CPU for a match with the end of its conversation: 93 us."""
FRAME: Final = 5 * MICRO
"""Seconds of CPU for a frame of the statistics: a third of a relay, which is three frames, in memory alone."""
FRAMES: Final = 700
"""Frames of the statistics a second of all processes together: STATS_FRAMES."""

WORKER_MEMORY: Final = 75 * MEBI
"""Bytes of a worker without guests: 72.5 MiB."""
GUEST_MEMORY: Final = 13 * KILO
"""Bytes of a worker for an idle guest: 13.0 KB."""
GUEST_BUFFERS: Final = 5 * KILO
"""Bytes of the kernel for a connection. Estimated."""

REDIS_RELAY: Final = 8 * MICRO
"""Seconds of Redis' CPU for a message: 8.0 us."""
REDIS_ACROSS: Final = 5 * MICRO
"""What it is more between two nodes: 2 to 5 us."""
REDIS_MATCH: Final = 44 * MICRO
"""Seconds of Redis' CPU for a match: 33 us."""
REDIS_JOIN: Final = 40 * MICRO
"""Seconds of Redis' CPU for a guest who comes and goes: some twenty commands. Estimated."""
REDIS_GUEST: Final = 2 * MICRO / 60
"""Seconds of Redis' CPU a second for a guest who is here, whose session is written once a minute. Estimated."""
REDIS_COUNT: Final = 2 * MICRO
"""Seconds of Redis' CPU for one node's counts that another one reads, and for its lease. Estimated."""
COUNTS: Final = 1.8
"""How often a second each node reads those of all: comparison of the count, lease."""

SESSION: Final = 1_300
"""Bytes of Redis for a session with its entries in the indexes and its home: 1 kB and some."""
ROOM: Final = 1_000
"""Bytes of Redis for a conversation without messages."""
MESSAGE: Final = 300
"""Bytes of Redis for a short message: 200 of them are 60 kB."""
ROOM_MESSAGES: Final = 200
"""Messages that a room keeps: ROOM_LOG_MESSAGES."""

# ── how much may be used ──────────────────────────────────────────────────────────────────────────

USED: Final = 0.6
"""Part of a core that is planned, for workers and for Redis: the rest is for rushes and for a machine that is gone."""
CONNECTIONS: Final = 20_000
"""Connections of a worker: MAX_CONNECTIONS."""
REDIS_SPACE: Final = 0.9
"""Part of `maxmemory` that may be used by what is counted here."""


class Load(NamedTuple):
    """What guests do. Times are in seconds; all guests are in conversations."""

    guests: int
    messages: float
    """A second, of all guests."""
    conversation: float = 300
    """How long one lasts on average."""
    stay: float = 1800
    """How long a guest is here."""
    local: float = 0.85
    """Share of the messages whose guests are on one node."""
    files: int = 256 * MEBI
    """REDIS_FILES_LIMIT."""


class Machine(NamedTuple):
    """What there is. `speed` is that of a core against the one that was measured."""

    cores: int = 8
    speed: float = 1.0


class Limit(NamedTuple):
    """Something that does not grow with the number of machines."""

    what: str
    used: float
    """Part of what is planned: above 1 it does not suffice."""
    then: str
    """What to do."""


class Need(NamedTuple):
    """What a load needs."""

    load: Load
    workers: int
    machines: int
    """With one more than needed, so that one may be gone; one alone if it suffices."""
    worker_memory: float
    """Bytes of each worker."""
    redis_cores: float
    """Cores of Redis that are busy, those of all primaries."""
    primaries: int
    redis_memory: float
    """`maxmemory` of all primaries together, in bytes."""
    limits: Sequence[Limit]
    """The one that is reached first is the first."""


def need(load: Load, machine: Machine = Machine()) -> Need:  # noqa: B008 - it cannot be changed
    """Return what a load needs."""
    across = 1 - load.local
    joins = load.guests / load.stay
    matches = load.guests / 2 / load.conversation
    busy = (
        load.messages * RELAY * (load.local + across * ACROSS)
        + load.guests * GUEST
        + joins * JOIN
        + matches * MATCH
        + FRAMES * FRAME
    ) / machine.speed
    workers = max(1, math.ceil(busy / USED), math.ceil(load.guests / CONNECTIONS))
    machines = math.ceil(workers / machine.cores)
    counts = workers**2 * COUNTS * REDIS_COUNT / machine.speed
    searches = matches * REDIS_MATCH / machine.speed
    spread = (
        load.messages * (REDIS_RELAY + across * REDIS_ACROSS) + joins * REDIS_JOIN + load.guests * REDIS_GUEST
    ) / machine.speed
    redis = spread + searches + counts
    primaries = 1
    while spread / primaries + searches + counts > USED and spread / primaries > USED / 20:
        primaries += 2 if primaries == 1 else 1  # a Cluster has three at least
    rooms = load.guests / 2
    kept = min(ROOM_MESSAGES, load.messages * load.conversation / rooms / 2) if rooms else 0
    memory = (load.guests * SESSION + rooms * (ROOM + kept * MESSAGE) + load.files) / REDIS_SPACE
    per_worker = WORKER_MEMORY + load.guests / workers * (GUEST_MEMORY + GUEST_BUFFERS + (ROOM + kept * MESSAGE) / 2)
    limits = [
        Limit("one Redis, for messages", (spread + searches + counts) / USED, "a Cluster"),
        Limit("the primary with all searches", (searches + counts) / USED, "several installations"),
        Limit("what each node reads of all nodes", counts / USED, "fewer and faster workers"),
    ]
    return Need(
        load,
        workers,
        machines if machines == 1 else machines + 1,
        per_worker,
        redis,
        primaries,
        memory,
        sorted(limits, key=lambda limit: -limit.used),
    )


# ── printing ──────────────────────────────────────────────────────────────────────────────────────

USUAL: Final = tuple(
    Load(guests, guests / 10) for guests in (1_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)
)
"""What the document has: everybody says something every ten seconds."""
SEVERAL: Final = 5
"""From here on factors are shown without a fraction."""
_HEAD: Final = (
    *("guests", "messages/s", "workers", "machines of 8 cores", "memory of a worker"),
    *("Redis: cores", "primaries", "`maxmemory` in all", "first limit, and at how much of this load"),
)


def _size(size: float) -> str:
    return f"{size / GIBI:.1f} GiB" if size >= GIBI else f"{size / MEBI:.0f} MiB"


def _times(factor: float) -> str:
    return f"{factor:,.0f} x" if factor >= SEVERAL else f"{factor:.1f} x"


def rows(needs: Sequence[Need], cores: int) -> Iterator[str]:
    """Yield the lines of a table in Markdown."""
    yield f"| {' | '.join(_HEAD).replace('8 cores', f'{cores} cores')} |"
    yield "|" + "---|" * len(_HEAD)
    for one in needs:
        first = one.limits[0]
        cells = (
            f"{one.load.guests:,}",
            f"{one.load.messages:,.0f}",
            f"{one.workers}",
            f"{one.machines}",
            _size(one.worker_memory),
            f"{one.redis_cores:.2f}",
            f"{one.primaries}",
            _size(one.redis_memory),
            f"{first.what}: {_times(1 / first.used)}",
        )
        yield f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or what one load needs with all its limits."""
    parser = argparse.ArgumentParser(prog="python -m tools.sizing", description=__doc__.partition("\n")[0])
    usual, machine = Load(0, 0), Machine()
    parser.add_argument("--guests", type=int, help="guests at the same time; without it a table is printed")
    parser.add_argument("--messages", type=float, help="messages a second of all guests (default: guests / 10)")
    parser.add_argument("--conversation", type=float, default=usual.conversation, help="seconds of one (%(default)s)")
    parser.add_argument("--stay", type=float, default=usual.stay, help="seconds that a guest stays (%(default)s)")
    parser.add_argument("--local", type=float, default=usual.local, help="share within one node (%(default)s)")
    parser.add_argument("--files", type=int, default=usual.files, help="REDIS_FILES_LIMIT, in bytes (%(default)s)")
    parser.add_argument("--cores", type=int, default=machine.cores, help="of a machine, for workers (%(default)s)")
    parser.add_argument("--speed", type=float, default=machine.speed, help="of a core, 1: the measured one")
    chosen = parser.parse_args(arguments)
    for name in ("guests", "messages", "conversation", "stay", "cores", "speed"):
        value = getattr(chosen, name)
        if value is not None and value <= 0:
            parser.error(f"--{name}: must be more than 0")
    loads = USUAL
    if chosen.guests is not None:
        messages = chosen.guests / 10 if chosen.messages is None else chosen.messages
        loads = (Load(chosen.guests, messages, chosen.conversation, chosen.stay, chosen.local, chosen.files),)
    needs = [need(load, Machine(chosen.cores, chosen.speed)) for load in loads]
    print("\n".join(rows(needs, chosen.cores)))
    if chosen.guests is not None:
        for limit in needs[0].limits:
            print(f"{limit.what}: {limit.used:.0%} of what is planned; beyond it {limit.then}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
