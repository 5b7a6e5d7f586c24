from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.media.stream import MAX_TAKE, MediaError, Stream
from tests.media.feeding import fed, one_by_one, splits

if TYPE_CHECKING:
    from passerby.media.stream import Parser

CONTENT = bytes(range(100))


def every_step(stream: Stream) -> Parser:
    taken = yield from stream.take(5)
    stream.give(taken[::-1])
    yield from stream.keep(10)
    yield from stream.skip(15)
    yield from stream.blank(20)
    yield from stream.keep_until(re.compile(b"[\x46-\x4a]\x47"), 1)  # 70, 71
    yield from stream.keep(2)


EXPECTED = CONTENT[4::-1] + CONTENT[5:15] + bytes(20) + CONTENT[50:72]


def test_each_step_does_what_it_says() -> None:
    result = fed(every_step, CONTENT)

    assert result.out == EXPECTED
    assert result.whole
    assert result.rest == b"", "bytes after the end are dropped"


@given(pieces=splits(CONTENT))
def test_steps_do_not_depend_on_how_bytes_come(pieces: list[bytes]) -> None:
    assert fed(every_step, *pieces) == fed(every_step, CONTENT)


def test_a_parser_that_wants_more_is_not_whole() -> None:
    for place in range(72):
        assert not fed(every_step, CONTENT[:place]).whole
    assert fed(every_step, CONTENT[:72]).whole


def test_bytes_pass_as_soon_as_it_is_known_that_they_may() -> None:
    stream = Stream(every_step)

    passed = [len(stream.feed(byte)) for byte in one_by_one(CONTENT)]

    assert passed == [0] * 4 + [5] + [1] * 10 + [0] * 15 + [1] * 20 + [0] + [1] * 20 + [2] + [0] * 28


def test_what_was_held_back_comes_at_the_end() -> None:
    stream = Stream(every_step)

    assert stream.feed(b"abc") == b""
    assert stream.finish() == b"abc"
    assert stream.finish() == b""


def test_behind_the_end_nothing_passes() -> None:
    stream = Stream(every_step)
    stream.feed(CONTENT)

    assert stream.feed(b"more") == b""
    assert stream.finish() == b""


def test_nothing_fed_is_nothing_passed() -> None:
    stream = Stream(every_step)

    assert stream.feed(b"") == b""
    assert stream.finish() == b""
    assert not stream.whole


@given(count=st.integers(0, 200))
def test_keep_skip_and_blank_stop_exactly(count: int) -> None:
    def parse(stream: Stream) -> Parser:
        yield from stream.keep(count)
        yield from stream.skip(3)
        yield from stream.blank(2)

    content = bytes([1]) * count + b"...xy"

    assert fed(parse, content + b"behind").out == content[:count] + b"\0\0"
    assert fed(parse, *one_by_one(content + b"behind")).out == content[:count] + b"\0\0"


def test_no_parser_may_hold_a_whole_file() -> None:
    def parse(stream: Stream) -> Parser:
        yield from stream.take(size)

    size = MAX_TAKE
    assert fed(parse, bytes(size)).whole

    size = MAX_TAKE + 1
    with pytest.raises(MediaError, match="damaged") as refusal:
        fed(parse, b"")
    assert refusal.value.code == "unsupported_type"
