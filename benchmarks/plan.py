"""Duration and size of each measurement."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Plan:
    """The sizes and durations of one run; times are in seconds."""

    pairs: int = 100
    rounds: int = 3
    warm_up: float = 1.0
    window: float = 3.0
    client_ids: bool = True

    turns: int = 40
    """Turns of relays per server: short and many, because a shared machine's speed varies within seconds."""
    turn_warm_up: float = 0.1
    turn: float = 0.3

    starts: int = 1
    """Of two builds that are compared: how often both are started anew."""

    stored_starts: int = 4
    """How often a build with Redis, and one without, are started anew: see `BUILDS`."""

    signal_turns: int = 10
    calls: int = 10

    large_crowd: int = 5000
    small_crowd: int = 500
    joiners: int = 500
    rushes: int = 1
    """In so many parts they come, see `crowds`."""
    settle: float = 3.0
    """Longer than one complete broadcast of statistics: 5,500 guests at 2,000 frames a second."""

    seekers: int = 50
    match_turns: int = 15
    match_warm_up: float = 0.2
    match_turn: float = 0.5

    waiting: int = 100_000
    queue_matches: int = 20_000
    queue_rounds: int = 5
    queue_rate: float = 1000.0
    """Matches a second beside renewals: ten times what 5,000 guests make who stay for a minute."""
    queue_window: float = 10.0

    wish_turns: int = 15
    wish_matches: int = 500

    first_rooms: int = 4
    full_rooms: int = 16

    open_cases: int = 10_000
    newcomers: int = 400
    newcomers_per_second: float = 200.0

    latency_window: float = 2.0

    file_bytes: int = 10 << 20
    file_rounds: int = 3
    transfers: int = 40
    """Per server, direction and round."""
    talk_rounds: int = 5
    talk_slices: int = 16
    talk_slice: float = 0.25
    talk_rate: float = 1000.0
    """Messages a second during uploads: far below the peak, so that only the uploads can slow them down."""
    worst_repeats: int = 15

    uploads: int = 1000
    uploads_a_room: int = 25

    outage_pairs: int = 50
    outage_messages: int = 100_000
    outage_rate: float = 1000.0
    outage_every: float = 10.0
    """Time between two kills of the server."""
    restart_pairs: int = 1000
    restart_rate: float = 500.0
    fault_pairs: int = 50
    fault_rate: float = 500.0
    calm: float = 5.0
    """Time before a failure, and after it."""
    hole: float = 8.0
    """Time in which Redis swallows everything."""

    deaths: int = 5
    crew_pairs: int = 3000
    """Of three workers, one of which is killed with 2,000 guests."""
    sessions: int = 1000
    searches: int = 1000
    """Guests of several workers who search, in each round."""

    flood: float = 10.0

    coming_guests: int = 500
    coming_seconds: float = 600.0
    coming_first: float = 60.0
    """When memory is read first, in seconds after the first guests come."""

    builds_image: bool = True

    idle_guests: int = 10_000
    scrape_window: float = 20.0
    idle_window: float = 60.0
    """Also REFRESH_INTERVAL: each session is refreshed once."""


FULL = Plan()

BUILDS = replace(
    FULL,
    starts=8,
    warm_up=0.5,
    window=1.0,
    turns=30,
    turn_warm_up=0.05,
    turn=0.15,
    rounds=4,
    joiners=250,
    rushes=10,
    settle=1.2,
    match_turns=12,
    match_warm_up=0.1,
    match_turn=0.25,
)
"""To compare two builds, whose difference is small: turns are shorter and more, and processes too. A process keeps
the luck that it starts with (where its memory lies, how its strings hash), which is worth some per cent and which no
number of turns evens out."""

QUICK = Plan(
    rounds=1,
    warm_up=0.5,
    window=1.0,
    turns=12,
    stored_starts=1,
    signal_turns=3,
    calls=3,
    large_crowd=1000,
    small_crowd=100,
    joiners=200,
    open_cases=500,
    settle=2.0,
    match_turns=3,
    waiting=20_000,
    queue_matches=4_000,
    wish_turns=5,
    wish_matches=200,
    queue_rounds=2,
    queue_window=2.0,
    latency_window=1.0,
    first_rooms=2,
    full_rooms=4,
    file_rounds=1,
    talk_rounds=2,
    transfers=8,
    worst_repeats=5,
    uploads=100,
    outage_messages=15_000,
    outage_every=6.0,
    restart_pairs=50,
    calm=2.0,
    hole=4.0,
    deaths=2,
    crew_pairs=75,
    sessions=100,
    searches=200,
    flood=3.0,
    builds_image=False,
    coming_guests=100,
    coming_seconds=30.0,
    coming_first=15.0,
    idle_guests=1000,
    scrape_window=3.0,
    idle_window=20.0,
)
"""Shows that everything works; its figures decide nothing."""

QUICK_BUILDS = replace(BUILDS, starts=2, turns=6, rounds=1, match_turns=3)
