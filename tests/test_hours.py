"""Meeting hours: what is allowed, and when guests can meet, also when clocks are set forward and back."""

from __future__ import annotations

import sys
import zoneinfo
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby import settings
from passerby.errors import ClosedError, Code
from passerby.hours import DAYS, Hours, HoursError, Range, parse_range, zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator

BERLIN = "Europe/Berlin"
ZONES = (
    *("UTC", BERLIN, "America/New_York", "Asia/Kathmandu"),
    "Australia/Lord_Howe",  # sets clocks by half an hour
    "America/Sao_Paulo",  # set them at midnight, until 2019
    "Pacific/Apia",  # left out the 30th of December 2011
)
EVERY_DAY = frozenset(range(7))


def at(text: str, zone: str = BERLIN, fold: int = 0) -> float:
    """Return when a clock in the zone shows `text`, such as `2026-03-29 02:30`."""
    return datetime.fromisoformat(text).replace(tzinfo=zone_of(zone), fold=fold).timestamp()


def openings(hours: Hours, begin: float, end: float) -> list[tuple[float, float]]:
    """Return when guests can meet, between two times at which they cannot."""
    found = []
    now = begin
    while (wait := hours.opens_in(now)) is not None and now + wait < end:
        opens = now + wait
        lasts = hours.closes_in(opens)
        assert lasts is not None
        now = opens + lasts
        found.append((opens, now))
    return found


# ── what is allowed ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("19:00-22:00", Range(EVERY_DAY, 1140, 1320)),
        ("9:05 - 10:00", Range(EVERY_DAY, 545, 600)),
        ("sat 15:00-17:00", Range(frozenset({5}), 900, 1020)),
        ("Sat  15:00-17:00", Range(frozenset({5}), 900, 1020)),
        ("mon-fri 00:00-24:00", Range(frozenset({0, 1, 2, 3, 4}), 0, 1440)),
        ("fri-mon 22:00-02:00", Range(frozenset({4, 5, 6, 0}), 1320, 1560)),
        ("19:00-00:00", Range(EVERY_DAY, 1140, 1440)),
        ("tue-tue 23:59-00:01", Range(frozenset({1}), 1439, 1441)),
    ],
)
def test_a_range_is_understood(text: str, meant: Range) -> None:
    assert parse_range(text) == meant


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *((text, "is not a range such as") for text in ("19-22", "19:00", "19:00-22:00-23:00", "7pm-9pm", "sat", "-")),
        *(
            (text, "is not a range such as")
            for text in ("19:0-20:00", "\u0661\u0669:00-20:00", "sat15:00-17:00", "19:00\u201322:00")
        ),
        *((text, "times are from 00:00") for text in ("24:00-01:00", "19:60-20:00", "10:00-24:01", "10:00-25:00")),
        *((text, "begins and ends at the same time") for text in ("19:00-19:00", "00:00-00:00")),
        *((text, "is not a day") for text in ("saturday 15:00-17:00", "sat-so 15:00-17:00", "xyz 15:00-17:00")),
    ],
)
def test_what_is_no_range_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(HoursError, match=reason):
        parse_range(text)


@pytest.mark.parametrize("name", ["Berlin", "Europe/Berlln", "Europe", "../etc/passwd", "/etc/passwd", "a\0b", "ü"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(HoursError, match="is not a time zone such as Europe/Berlin"):
        zone_of(name)


@pytest.fixture
def no_zones(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be on a system without a database of time zones, and without the package of PyPI."""
    monkeypatch.setitem(sys.modules, "tzdata", None)
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath(to=before)


def test_without_a_database_it_is_said_what_to_install(no_zones: None) -> None:
    with pytest.raises(settings.SettingsError, match=r"^MEETING_TIMEZONE='Europe/Berlin': .*install .*tzdata"):
        settings.load({"MEETING_TIMEZONE": BERLIN})
    assert settings.load({"MEETING_HOURS": "19:00-22:00"}).meeting_timezone == "UTC"
    assert Hours(["19:00-22:00"], "UTC").opens_in(0) == 19 * 3600


# ── when guests can meet ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "ranges",
    [[], ["00:00-24:00"], ["mon-sat 00:00-24:00", "sun 00:00-24:00"], ["12:00-00:00", "23:00-13:00"]],
)
def test_without_a_pause_guests_can_always_meet(ranges: list[str]) -> None:
    hours = Hours(ranges, BERLIN)

    for now in (0.0, at("2026-03-29 03:00"), at("2026-11-27 12:00")):
        assert (hours.opens_in(now), hours.closes_in(now)) == (None, None)
        hours.check(now)


def test_they_can_from_the_begin_of_a_range_until_its_end() -> None:
    hours = Hours(["19:00-22:00"], BERLIN)

    assert hours.opens_in(at("2026-11-27 18:59:59")) == 1
    assert hours.closes_in(at("2026-11-27 18:59:59")) is None
    assert hours.opens_in(at("2026-11-27 19:00")) is None
    assert hours.closes_in(at("2026-11-27 19:00")) == 3 * 3600
    assert hours.closes_in(at("2026-11-27 21:59:59")) == 1
    assert hours.opens_in(at("2026-11-27 22:00")) == 21 * 3600


def test_who_comes_too_early_is_told_when_it_opens() -> None:
    hours = Hours(["19:00-22:00"], BERLIN)

    with pytest.raises(ClosedError) as caught:
        hours.check(at("2026-11-27 18:00"))
    assert (caught.value.code, caught.value.retry_after) == (Code.HOUSE_CLOSED, 3600)
    hours.check(at("2026-11-27 19:00"))


def test_ranges_that_touch_or_overlap_are_one() -> None:
    hours = Hours(["10:00-12:00", "12:00-14:00", "13:00-15:00", "13:30-13:40", "fri 15:00-15:30"], BERLIN)

    assert hours.closes_in(at("2026-11-26 10:00")) == 5 * 3600
    assert hours.closes_in(at("2026-11-27 10:00")) == 5.5 * 3600  # a Friday


def test_a_range_over_midnight_belongs_to_the_day_of_its_begin() -> None:
    hours = Hours(["fri-sat 22:00-02:00"], BERLIN)
    friday, saturday = at("2026-11-27 22:00"), at("2026-11-28 22:00")

    found = openings(hours, at("2026-11-23 00:00"), at("2026-11-30 12:00"))
    assert found == [(friday, friday + 4 * 3600), (saturday, saturday + 4 * 3600)]


def test_the_zone_decides_which_day_it_is() -> None:
    hours = Hours(["mon 00:00-01:00"], "Asia/Kathmandu")

    assert hours.opens_in(at("2026-11-22 18:14", "UTC")) == 60
    assert hours.closes_in(at("2026-11-22 18:15", "UTC")) == 3600


FORWARD, BACK = "2026-03-29", "2026-10-25"
"""Sundays on which clocks in Berlin go from 02:00 to 03:00, and from 03:00 to 02:00."""


@pytest.mark.parametrize(
    ("text", "opens", "lasts"),
    [
        ("01:00-04:00", "01:00", 2),
        ("02:30-04:00", "03:00", 1),
        ("01:00-02:30", "01:00", 1),
        ("23:00-04:00", "23:00", 4),
    ],
)
def test_a_time_that_is_skipped_is_the_moment_of_the_skip(text: str, opens: str, lasts: float) -> None:
    hours = Hours([text], BERLIN)
    day = datetime.fromisoformat(FORWARD).date() - timedelta(days=int(opens > "12"))

    found = openings(hours, at(f"{FORWARD} 00:00") - 4 * 3600, at(f"{FORWARD} 12:00"))
    assert found == [(at(f"{day} {opens}"), at(f"{day} {opens}") + lasts * 3600)]


def test_a_range_that_is_skipped_does_not_happen_that_day() -> None:
    hours = Hours(["sun 02:00-03:00"], BERLIN)

    assert openings(hours, at("2026-03-23 00:00"), at("2026-03-30 00:00")) == []
    assert hours.opens_in(at(f"{FORWARD} 01:00")) == at("2026-04-05 02:00") - at(f"{FORWARD} 01:00")


def test_a_pause_that_is_skipped_does_not_happen_that_day() -> None:
    hours = Hours(["mon-sat 00:00-24:00", "sun 00:00-02:00", "sun 03:00-24:00"], BERLIN)

    assert hours.closes_in(at("2026-03-22 03:00")) == at("2026-04-05 02:00") - at("2026-03-22 03:00")


@pytest.mark.parametrize(
    ("text", "opens", "lasts"),
    [
        ("01:00-02:30", "01:00", 2.5),
        ("02:00-03:00", "02:00", 2),
        ("02:30-04:00", "02:30", 2.5),
        ("02:10-02:20", "02:10", 70 / 60),
    ],
)
def test_of_a_time_that_comes_twice_the_first_opens_and_the_last_closes(text: str, opens: str, lasts: float) -> None:
    hours = Hours([text], BERLIN)

    found = openings(hours, at(f"{BACK} 00:00"), at(f"{BACK} 12:00"))
    assert found == [(at(f"{BACK} {opens}"), at(f"{BACK} {opens}") + lasts * 3600)]


def test_a_day_that_is_left_out_has_no_opening() -> None:
    zone = "Pacific/Apia"
    hours = Hours(["thu-sat 10:00-11:00"], zone)

    found = openings(hours, at("2011-12-28 00:00", zone), at("2012-01-01 00:00", zone))
    assert [opens for opens, _ in found] == [at("2011-12-29 10:00", zone), at("2011-12-31 10:00", zone)]


# ── all of it, for any ranges ─────────────────────────────────────────────────────────────────────


@st.composite
def ranges_(draw: st.DrawFn) -> str:
    begin = draw(st.integers(0, 1439))
    end = draw(st.integers(0, 1440).filter(lambda end: end != begin))
    days = draw(st.sampled_from(["", "mon-fri ", "sat-sun ", "sun-mon ", *(f"{day} " for day in DAYS)]))
    return f"{days}{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"


def turning_points() -> st.SearchStrategy[int]:
    """Return times of any year, and many around those at which clocks are set."""
    turns = [
        at(f"{FORWARD} 01:00"),
        at(f"{BACK} 01:00"),
        at("2018-11-03 23:00", ZONES[5]),
        at("2011-12-29 23:00", ZONES[6]),
    ]
    near = st.builds(lambda turn, more: int(turn) + more, st.sampled_from(turns), st.integers(-90_000, 90_000))
    return st.integers(0, 2_000_000_000) | near


some_hours = st.lists(ranges_(), min_size=1, max_size=4)
some_zones = st.sampled_from(ZONES)


@given(ranges=some_hours, zone=some_zones, now=turning_points())
def test_guests_can_meet_while_the_clock_on_the_wall_is_in_a_range(ranges: list[str], zone: str, now: int) -> None:
    wall = datetime.fromtimestamp(now, zone_of(zone))
    twice = {wall.replace(fold=fold).timestamp() for fold in (0, 1)}
    minute = wall.hour * 60 + wall.minute
    is_in = any(
        (wall.weekday() - later) % 7 in each.days and each.begin <= minute + later * 1440 < each.end
        for each in map(parse_range, ranges)
        for later in (0, 1)
    )

    is_open = Hours(ranges, zone).opens_in(now) is None
    assert is_open or not is_in
    assert is_in or not is_open or len(twice) == 2, (
        "only a time that comes twice may be open although it is in no range"
    )


@given(ranges=some_hours, zone=some_zones, now=turning_points(), part=st.floats(0, 1, exclude_max=True))
def test_until_it_opens_it_is_closed_and_until_it_closes_open(
    ranges: list[str], zone: str, now: int, part: float
) -> None:
    hours = Hours(ranges, zone)
    opens, closes = hours.opens_in(now), hours.closes_in(now)

    if opens is not None:
        assert closes is None
        assert opens > 0
        meanwhile = now + int(opens * part)
        assert Hours(ranges, zone).opens_in(meanwhile) == now + opens - meanwhile
        assert Hours(ranges, zone).opens_in(now + opens) is None
    elif closes is not None:
        assert closes > 0
        meanwhile = now + int(closes * part)
        assert Hours(ranges, zone).closes_in(meanwhile) == now + closes - meanwhile
        assert Hours(ranges, zone).opens_in(now + closes) is not None


@given(ranges=some_hours, zone=some_zones, moments=st.lists(turning_points(), min_size=2, max_size=6))
def test_what_was_asked_before_changes_no_answer(ranges: list[str], zone: str, moments: list[int]) -> None:
    asked = Hours(ranges, zone)

    for now in moments:
        fresh = Hours(ranges, zone)
        assert (asked.opens_in(now), asked.closes_in(now)) == (fresh.opens_in(now), fresh.closes_in(now))
