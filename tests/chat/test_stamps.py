"""Ids and timestamps of messages."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from passerby.chat.stamps import Stamps
from tests.support.clock import ManualClock

ID = re.compile(r"msg_([0-9]+)_[0-9a-f]{12}")


class SetClock(ManualClock):
    """A clock that somebody sets, also back."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = 0.0

    def time(self) -> float:
        return self.shown


@given(st.lists(st.integers(0, 4 * 10**12).map(lambda milliseconds: (milliseconds + 0.5) / 1000), min_size=1))
def test_id_and_timestamp_are_of_the_same_millisecond_whatever_the_clock_does(times: list[float]) -> None:
    clock = SetClock()
    stamps = Stamps(clock)
    for clock.shown in times:
        message_id, timestamp = stamps.next()
        found = ID.fullmatch(message_id)
        assert found is not None
        milliseconds = int(clock.shown * 1000)
        assert int(found[1]) == milliseconds
        shown = datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        assert timestamp == f"{shown}.{milliseconds % 1000:03d}Z"


def test_no_id_comes_twice() -> None:
    stamps = Stamps(SetClock())
    ids = [stamps.next()[0] for _ in range(2000)]
    assert len(set(ids)) == len(ids)
