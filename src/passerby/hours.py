"""The settings `MEETING_HOURS` and `MEETING_TIMEZONE`: when guests can meet.

    [day[-day] ]HH:MM-HH:MM       19:00-22:00, sat 15:00-17:00, fri-sun 22:00-02:00

Days are those of `DAYS`; without any, it is each day. A range whose end is not later than its begin ends on the next
day. `24:00` is the end of a day.

Times are those of a clock on the wall in the time zone. Of a time that comes twice, because clocks are set back, the
first is meant where a range begins, the last where it ends. A time that clocks skip is the moment of the skip.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from passerby.errors import ClosedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY: Final = 24 * 60
"""Minutes of a day."""
_RANGE: Final = re.compile(
    r"(?:([a-z]+)(?:-([a-z]+))?\s+)?(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)", re.ASCII | re.IGNORECASE
)


class HoursError(ValueError):
    """A range or a time zone is wrong; the message is one line that says what is allowed."""


class Range(NamedTuple):
    """On these days (0 is Monday) guests can meet. `begin` and `end` are minutes of the day; from 1,440 of the next."""

    days: frozenset[int]
    begin: int
    end: int


def parse_range(text: str) -> Range:
    """Return the range that `text` describes. Raises HoursError."""
    found = _RANGE.fullmatch(text)
    if found is None:
        raise HoursError("is not a range such as 19:00-22:00 or sat 15:00-17:00")
    first, last, *times = found.groups()
    begin_hour, begin_minute, end_hour, end_minute = map(int, times)
    begin, end = begin_hour * 60 + begin_minute, end_hour * 60 + end_minute
    if max(begin_minute, end_minute) >= 60 or begin >= _DAY or end > _DAY:  # noqa: PLR2004 - minutes of an hour
        raise HoursError("times are from 00:00 to 23:59, and 24:00 at the end of a range")
    if begin == end:
        raise HoursError("begins and ends at the same time; a whole day is 00:00-24:00")
    days = frozenset(range(len(DAYS))) if first is None else _days(first, last or first)
    return Range(days, begin, end if end > begin else end + _DAY)


def _days(first: str, last: str) -> frozenset[int]:
    for day in (first, last):
        if day.lower() not in DAYS:
            raise HoursError(f"{day!r} is not a day; they are {', '.join(DAYS)}")
    begin, end = DAYS.index(first.lower()), DAYS.index(last.lower())
    return frozenset((begin + more) % len(DAYS) for more in range((end - begin) % len(DAYS) + 1))


def zone_of(name: str) -> tzinfo:
    """Return the time zone `name` of the system's database, or of the package `tzdata`. Raises HoursError."""
    if name == "UTC":
        return UTC  # known without a database
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of the database, such as Europe
        pass
    if available_timezones():
        raise HoursError("is not a time zone such as Europe/Berlin")
    raise HoursError(
        "this system knows no time zones but UTC; install its package tzdata, or that of PyPI (pip install tzdata)"
    )


class Hours:
    """Tells whether guests can meet, from ranges and a time zone. Times are seconds since the Unix epoch."""

    def __init__(self, ranges: Sequence[str], zone: str) -> None:
        """Without ranges guests can always meet. Raises HoursError."""
        self.change(ranges, zone)

    def change(self, ranges: Sequence[str], zone: str) -> None:
        """Have other hours from now on. Raises HoursError."""
        self._ranges = sorted((parse_range(text) for text in ranges), key=lambda each: each.begin)
        self._zone = zone_of(zone)
        self._is_always = not ranges or _fill_the_week(self._ranges)
        self._is_open = False
        self._from = self._until = 0.0
        """From when until when `_is_open` is right."""

    def opens_in(self, now: float) -> float | None:
        """Return after how many seconds (> 0) guests can meet; None: they can now."""
        return None if self._is_open_at(now) else self._until - now

    def closes_in(self, now: float) -> float | None:
        """Return after how many seconds (> 0) they can no longer; None: never, or they cannot now."""
        return self._until - now if self._is_open_at(now) and not self._is_always else None

    def check(self, now: float) -> None:
        """Raise ClosedError if guests cannot meet now."""
        wait = self.opens_in(now)
        if wait is not None:
            raise ClosedError(wait)

    def _is_open_at(self, now: float) -> bool:
        if self._is_always:
            return True
        if not self._from <= now < self._until:  # also when somebody has set the clock
            self._is_open, self._from, self._until = self._look(now)
        return self._is_open

    def _look(self, now: float) -> tuple[bool, float, float]:
        """Return whether guests can meet now, since when at least it is so, and until when."""
        today = datetime.fromtimestamp(now, self._zone).date()
        begun = ends = self._at(today, 0, is_end=False)
        openings = self._openings(today - timedelta(days=1))  # some may end today
        while True:
            begin, end = next(openings)
            if begin > ends:
                if now < ends:
                    return True, begun, ends
                if now < begin:
                    return False, ends, begin
                begun = begin
            ends = max(ends, end)

    def _openings(self, day: date) -> Iterator[tuple[float, float]]:
        """Yield when guests can meet, from `day` on without an end; by their begin, and they may overlap."""
        while True:
            for each in self._ranges:
                if day.weekday() in each.days:
                    begin = self._at(day, each.begin, is_end=False)
                    end = self._at(day, each.end, is_end=True)
                    if begin < end:  # else the clocks skip all of it
                        yield begin, end
            day += timedelta(days=1)

    def _at(self, day: date, minute: int, *, is_end: bool) -> float:
        """Return when the clock on the wall shows `minute` of `day`, as the begin or the end of a range."""
        wall = datetime.combine(day, time(), self._zone) + timedelta(minutes=minute)
        first, last = (wall.replace(fold=fold).timestamp() for fold in (0, 1))
        if first <= last:
            return last if is_end else first
        before, after = int(last), int(first)  # of the skip
        offset = self._offset(before)
        return before + bisect_left(range(before, after), True, key=lambda second: self._offset(second) != offset)  # noqa: FBT003 - what is looked for

    def _offset(self, seconds: float) -> timedelta | None:
        return datetime.fromtimestamp(seconds, self._zone).utcoffset()


def _fill_the_week(ranges: Sequence[Range]) -> bool:
    """Return whether no minute of the week is left out."""
    week = len(DAYS) * _DAY
    open_minutes = {
        (day * _DAY + minute) % week for each in ranges for day in each.days for minute in range(each.begin, each.end)
    }
    return len(open_minutes) == week
