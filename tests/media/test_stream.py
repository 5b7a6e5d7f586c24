from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.media.stream import GROWTH, MAX_TAKE, STEPS, EndedError, MediaError, Stream
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
        stream = Stream(every_step)
        stream.feed(CONTENT[:place])
        assert not stream.whole
        stream.finish()
        assert not stream.whole, "the file ends too early"
    assert fed(every_step, CONTENT[:72]).whole


def test_bytes_pass_as_soon_as_it_is_known_that_they_may() -> None:
    stream = Stream(every_step)

    passed = [len(stream.feed(byte)) for byte in one_by_one(CONTENT)]

    assert passed == [0] * 4 + [5] + [1] * 10 + [0] * 15 + [1] * 20 + [0] + [1] * 20 + [2] + [0] * 28


def test_half_an_element_does_not_pass() -> None:
    stream = Stream(every_step)

    assert stream.feed(b"abc") == b""
    assert stream.finish() == b""
    assert stream.finish() == b""


@pytest.mark.parametrize("place", range(72))
def test_a_parser_is_told_where_the_file_ends(place: int) -> None:
    missing: list[int] = []

    def completing(stream: Stream) -> Parser:
        try:
            yield from every_step(stream)
        except EndedError as ended:
            missing.append(ended.missing)
            stream.give(b"end")

    result = fed(completing, *one_by_one(CONTENT[:place]))

    assert not result.whole
    assert result.rest.endswith(b"end")
    assert missing[0] == (5 - place if place < 5 else 15 - place if place < 15 else missing[0])


def test_what_is_held_back_is_output_or_blanked() -> None:
    def parse(stream: Stream) -> Parser:
        stream.hold()
        yield from stream.keep(10)
        stream.release()
        stream.hold()
        yield from stream.keep(10)
        stream.blank_held(b"free")
        yield from stream.keep(10)
        stream.show()
        yield from stream.keep(10)

    result = fed(parse, *one_by_one(CONTENT))

    assert result.out == CONTENT[:10] + b"free" + bytes(16) + CONTENT[30:40]
    assert Stream(parse).feed(CONTENT[:10]) == CONTENT[:10]


def test_nothing_large_is_held_back() -> None:
    def parse(stream: Stream) -> Parser:
        stream.hold()
        yield from stream.keep(MAX_TAKE + 1)

    with pytest.raises(MediaError, match="damaged"):
        fed(parse, bytes(MAX_TAKE + 1))


def test_what_is_put_back_is_taken_again() -> None:
    def parse(stream: Stream) -> Parser:
        taken = yield from stream.take(5)
        stream.back(taken[2:])
        assert stream.consumed == 2
        stream.give((yield from stream.take(8)))

    assert fed(parse, CONTENT).out == CONTENT[2:10]


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
    assert refusal.value.code == "file_damaged"


def test_a_chunk_of_many_elements_is_processed_in_portions() -> None:
    def pairs(stream: Stream) -> Parser:
        while True:
            stream.give((yield from stream.take(2))[::-1])

    stream = Stream(pairs)
    portions = list(stream.portions(b"ab" * (3 * STEPS)))

    assert b"".join(portions) == b"ba" * (3 * STEPS)
    assert len(portions) == 4
    assert max(map(len, portions)) <= 2 * STEPS
    assert not stream.is_busy


def test_a_file_that_grows_is_damaged() -> None:
    def doubled(stream: Stream) -> Parser:
        while True:
            stream.give(2 * (yield from stream.take(100)))

    stream = Stream(doubled)
    for _ in range(GROWTH // 100):
        stream.feed(bytes(100))

    with pytest.raises(MediaError) as caught:
        stream.feed(bytes(100))

    assert caught.value.code == "file_damaged"
