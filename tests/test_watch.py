"""A loop that stood still: whoever waits gets the lost time back. And a wall clock that is set ends nothing."""

from __future__ import annotations

import logging
import resource

import pytest

from passerby.background import Background
from passerby.clock import SteadyClock
from passerby.errors import UnauthorizedError
from passerby.watch import LATE, RESERVED, TICK, Watch, make_room
from tests.socketio.test_timers import FakeScheduler
from tests.support.clock import ManualClock
from tests.support.house import SESSION_TTL, House

DAY = 86_400.0


class Watched:
    def __init__(self) -> None:
        self.loop = FakeScheduler()
        self.watch = Watch()
        self.lost: list[float] = []
        self.fired: list[tuple[str, float]] = []
        self.watch.start(Background(ManualClock()), self.loop)
        self.watch.on_lost(self.lost.append)

    def wait(self, name: str, seconds: float) -> None:
        self.watch.call_later(seconds, lambda: self.fired.append((name, self.loop.now)))


def test_timers_fire_in_time_while_the_loop_runs() -> None:
    watched = Watched()
    for seconds in (0.5, 5, 50):
        watched.wait(str(seconds), seconds)
    watched.loop.advance(100)

    assert watched.fired == [("0.5", 0.5), ("5", 5), ("50", 50)]
    assert watched.lost == []


def test_a_cancelled_timer_does_not_fire() -> None:
    watched = Watched()
    timer = watched.watch.call_later(5, lambda: watched.fired.append(("never", 0)))
    watched.loop.advance(4)
    watched.loop.oversleep(30)
    timer.cancel()
    watched.loop.advance(100)

    assert watched.fired == []


@pytest.mark.parametrize("before", [0.0, 0.3, 0.9])
def test_after_a_pause_every_timer_has_what_it_had_left(before: float, caplog: pytest.LogCaptureFixture) -> None:
    """Whichever timer is due first, and however long before the next look: all are later by the pause."""
    watched = Watched()
    for seconds in (0.95, 3.0, 20.0, 31.0):
        watched.wait(str(seconds), seconds)
    watched.loop.advance(before)
    with caplog.at_level(logging.WARNING):
        watched.loop.oversleep(30)

    (lost,) = watched.lost
    assert 30 <= lost <= 30 + TICK
    assert watched.fired == []
    watched.wait("new", 2.0)
    watched.loop.advance(100)
    assert sorted(watched.fired) == sorted(
        [(str(seconds), seconds + lost) for seconds in (0.95, 3.0, 20.0, 31.0)] + [("new", before + 32.0)]
    )
    assert [record.getMessage() for record in caplog.records] == [
        "the event loop stood still: all time limits are extended"
    ]


def test_a_busy_loop_is_no_pause() -> None:
    watched = Watched()
    watched.wait("a", 2)
    watched.loop.advance(0.1)
    watched.loop.oversleep(LATE)

    assert watched.lost == []
    assert [name for name, _ in watched.fired] == ["a"]


def test_a_listener_that_fails_keeps_no_other_from_its_time() -> None:
    watched = Watched()

    def fail(_seconds: float) -> None:
        raise ValueError("a bug")

    watched.watch._listeners.insert(0, fail)
    watched.loop.oversleep(30)

    assert len(watched.lost) == 1


def test_each_pause_is_added() -> None:
    watched = Watched()
    watched.wait("a", 20)
    for _ in range(3):
        watched.loop.oversleep(10)
        watched.loop.advance(1)
    watched.loop.advance(100)

    (fired,) = watched.fired
    assert 49 <= fired[1] <= 54


# ── descriptors ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("limits", "soft_then", "fitting"),
    [
        ((1024, 1 << 20), 20_000 + RESERVED, 20_000),
        ((1 << 20, 1 << 20), None, 20_000),
        ((256, resource.RLIM_INFINITY), 20_000 + RESERVED, 20_000),
        ((1024, 4096), 4096, 4096 - RESERVED),
        ((200, 300), 300, 150),
    ],
)
def test_the_process_makes_room_for_its_connections(
    limits: tuple[int, int],
    soft_then: int | None,
    fitting: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    set_limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _what, wanted: set_limits.append(wanted))

    with caplog.at_level(logging.INFO):
        assert make_room(20_000) == fitting
    assert set_limits == ([] if soft_then is None else [(soft_then, limits[1])])
    assert len(caplog.records) == (fitting < 20_000)


def test_a_system_that_refuses_more_descriptors_leaves_room_for_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_what: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed")

    monkeypatch.setattr(resource, "getrlimit", lambda _what: (1024, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)

    assert make_room(20_000) == 1024 - RESERVED


# ── a wall clock that is set ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("jump", [DAY, -DAY, 400 * DAY])
async def test_a_wall_clock_that_is_set_ends_no_token_and_no_file(jump: float) -> None:
    house = House()
    anna, _ = await house.pair()
    upload = house.files.begin(anna.live, name="a", claimed="", size=1, voice=False)
    await upload.write(b"x")
    file = await upload.finish(upload.room.id)
    link = house.files.info(file).file_url
    expires, signature = (part.split("=")[1] for part in link.partition("?")[2].split("&"))

    house.clock.set_wall(jump)

    guest, _ = await house.guests.authenticate(anna.token)
    assert guest.id == anna.id
    assert await house.files.signed(file.id, expires, signature) == file
    assert [part async for part in house.files.read(file, 0, 1)] == [b"x"]
    await house.files.sweep()
    assert await house.files.signed(file.id, expires, signature) == file


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_a_wall_clock_that_is_set_prolongs_nothing(jump: float) -> None:
    house = House(file_ttl=100.0)
    anna, _ = await house.pair()
    upload = house.files.begin(anna.live, name="a", claimed="", size=1, voice=False)
    await upload.write(b"x")
    file = await upload.finish(upload.room.id)
    house.clock.set_wall(jump)

    shown = house.files.info(file).expires_at
    assert shown == house.guests.timestamps.at(house.clock.time() + 100), "clients see the time of the new clock"
    house.clock.advance(101)
    assert [part async for part in house.files.read(file, 0, 1)] == []
    house.clock.advance(SESSION_TTL)
    with pytest.raises(UnauthorizedError):
        await house.guests.authenticate(anna.token)


async def test_tokens_are_renewed_by_the_time_that_they_have_left() -> None:
    house = House()
    anna, _ = await house.pair()
    house.clock.set_wall(DAY)
    assert house.guests.token_left(anna.live) == pytest.approx(SESSION_TTL, abs=1)
    _, expires_at = house.guests.renew(anna.live)
    assert expires_at[:19] == house.guests.timestamps.at(house.clock.time() + SESSION_TTL)[:19]


def test_what_is_shown_of_one_moment_does_not_change_while_clocks_drift() -> None:
    clock = ManualClock()
    steady = SteadyClock(clock)
    moment = clock.time() + 100.0
    for drift in (0.0004, -0.0001, 0.2):
        clock.set_wall(drift)
        assert steady.wall(moment) == moment


def test_a_steady_clock_goes_on_where_it_began() -> None:
    clock = ManualClock()
    steady = SteadyClock(clock)
    began = clock.time()
    clock.set_wall(DAY)
    clock.advance(10)

    assert steady.time() == began + 10
    assert steady.wall(began + 20) == began + DAY + 20
