"""Feeds a parser: whole files, arbitrary pieces, damaged files."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import strategies as st

from passerby.media.stream import MediaError, Stream, damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from passerby.media.stream import Parser

    Parse = Callable[[Stream], Parser]


class Fed(NamedTuple):
    """The output of a parser: `out` during feeding, `rest` at the end."""

    out: bytes
    rest: bytes
    whole: bool
    """Whether it was whole before the end of the file."""
    size: tuple[int, int] | None
    seconds: float | None

    tracks: frozenset[str]
    everything: bytes
    """All output, with what is known only at the end."""


def fed(parse: Parse, *pieces: bytes, ends: bool = True) -> Fed:
    """Feed all pieces; the file is whole unless it does not end there. Raises MediaError."""
    stream = Stream(parse)
    out = b"".join([stream.feed(piece) for piece in pieces])
    whole = stream.whole
    rest = b""
    if ends:
        rest = stream.finish()
        if not stream.whole:
            raise damaged()
    everything = bytearray(out + rest)
    for place, new in stream.amendments:
        assert place + len(new) <= len(everything)
        everything[place : place + len(new)] = new
    for place, length in zip(stream.blanks[::2], stream.blanks[1::2], strict=True):
        end = min(place + length, len(everything))
        everything[place:end] = bytes(max(0, end - place))
    return Fed(out, rest, whole, stream.size, stream.seconds, frozenset(stream.tracks), bytes(everything))


def outcome(parse: Parse, *pieces: bytes) -> Fed | str:
    """Feed all pieces; return the output, or the code of the error. Other exceptions fail the test."""
    try:
        return fed(parse, *pieces)
    except MediaError as error:
        return error.code


def one_by_one(data: bytes) -> Iterable[bytes]:
    return (data[place : place + 1] for place in range(len(data)))


def splits(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Draw splits of `data` into pieces, including empty ones."""

    def cut(places: list[int]) -> list[bytes]:
        return [data[begin:end] for begin, end in itertools.pairwise([0, *sorted(places), len(data)])]

    return st.lists(st.integers(0, len(data)), max_size=20).map(cut)


def mutants(data: bytes) -> st.SearchStrategy[bytes]:
    """Draw damaged versions of `data`: bytes changed; parts removed, repeated or inserted; truncated or extended."""
    place = st.integers(0, len(data))
    telling = st.sampled_from([b"\0", b"\1", b"\x7f", b"\x80", b"\xff", b"\0" * 8, b"\xff" * 8])
    edit = st.tuples(
        st.sampled_from(["change", "change", "change", "insert", "lose", "repeat", "end"]),
        place,
        st.integers(1, 40),
        telling | st.binary(min_size=1, max_size=8),
    )

    def mutate(edits: list[tuple[str, int, int, bytes]]) -> bytes:
        changed = data
        for what, at, count, new in edits:
            if what == "change":
                changed = changed[:at] + new + changed[at + len(new) :]
            elif what == "insert":
                changed = changed[:at] + new + changed[at:]
            elif what == "lose":
                changed = changed[:at] + changed[at + count :]
            elif what == "repeat":
                changed = changed[: at + count] + changed[at:]
            else:
                changed = changed[:at]
        return changed

    return st.lists(edit, min_size=1, max_size=4).map(mutate)
