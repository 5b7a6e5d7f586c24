"""Incremental parsers that are written as if all bytes were available.

A parser is a generator: `yield from stream.take(8)` suspends it until 8 bytes have arrived.
"""

from __future__ import annotations

import contextlib
from array import array
from typing import TYPE_CHECKING, Final

from passerby.errors import Code

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Generator, Iterator

    Parser = Generator[None, None, None]

MAX_TAKE: Final = 128 * 1024
"""Maximum bytes that a parser may take at once: two segments of a JPEG."""
STEPS: Final = 512
"""Steps of a parser at once, about a millisecond: a chunk may consist of thousands of elements of two bytes."""
GROWTH: Final = 64 * 1024
"""Bytes that a file may grow by: what completes it, and headers that are written anew."""
TO_THE_END: Final = 1 << 62
"""Size of an element that extends to the end of the file."""


class MediaError(ValueError):
    """The file does not match its format, or exceeds a limit. `code` is for programs."""

    def __init__(self, code: Code, message: str) -> None:
        """`message` says what is wrong."""
        super().__init__(message)
        self.code = code


def damaged(what: str = "file") -> MediaError:
    """Return the refusal of a file that does not match its format."""
    return MediaError(Code.FILE_DAMAGED, f"The {what} is damaged")


class EndedError(Exception):
    """The file ends here: raised into a parser that asks for more. `missing` is the number of bytes that lack."""

    def __init__(self, missing: int) -> None:
        """`missing` is at least 1."""
        super().__init__(missing)
        self.missing = missing


class Stream:
    """Bytes processed by `parse`: it outputs what it `keep`s or `give`s, and drops the rest.

    `whole` is true when the parser has come to its end; bytes after it are dropped. A parser that needs more bytes than
    the file has gets EndedError. It may complete the file and come to its end, or let the error pass: the file is
    damaged.
    """

    def __init__(self, parse: Callable[[Stream], Parser]) -> None:
        """Start before the first byte."""
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._held: list[bytes] | None = None
        self._held_from = 0
        self._is_blanking = False
        self._parser = parse(self)
        self._steps = 0
        """Steps since the parser was last resumed."""
        self._has_ended = False
        self.whole = False
        self.is_busy = False
        """Whether `portions` has more to do with the same bytes."""
        self.consumed = 0
        """Bytes that the parser has taken, kept or dropped."""
        self.position = 0
        """Bytes that the parser has output, with those on hold."""
        self.amendments: list[tuple[int, bytes]] = []
        """Places in the output whose bytes are known only later, and these bytes."""
        self.blanks = array("Q")
        """Places and lengths of output to overwrite with zeros, ascending for each track."""
        self.size: tuple[int, int] | None = None
        """Width and height in pixels as shown, if known."""
        self.seconds: float | None = None
        """Duration, if known."""
        self.tracks: set[str] = set()
        """Types of its tracks ("audio", "video"), if known."""
        self.subtype: str | None = None
        """The subtype of the MIME type, where only the parser learns it."""

    def feed(self, data: bytes) -> bytes:
        """Process `data`; return the output that is ready. Raises MediaError."""
        return b"".join(self.portions(data))

    def portions(self, data: bytes) -> Iterator[bytes]:
        """Process `data` in portions of at most STEPS steps; yield the output of each. Raises MediaError."""
        if self.whole:
            return
        self._buffer += data
        yield from self._run()

    def ending(self) -> Iterator[bytes]:
        """Process the end of the file, in portions; yield the last output. Raises MediaError."""
        if self.whole or self._has_ended:
            return
        self._has_ended = True
        yield from self._run()
        self._buffer.clear()

    def finish(self) -> bytes:
        """Process the end of the file; return the last output. Raises MediaError."""
        return b"".join(self.ending())

    def _run(self) -> Iterator[bytes]:
        self.is_busy = True
        while self.is_busy:
            self._steps = 0
            try:
                next(self._parser)
            except StopIteration:
                self.whole = True
                self._buffer.clear()
            except EndedError:
                self._steps = 0
            if self.position > self.consumed + GROWTH:
                raise damaged()
            self.is_busy = self._steps >= STEPS and not self.whole
            passed = b"".join(self._out)
            self._out.clear()
            yield passed

    def close(self) -> None:
        """Release all memory: the stream and its parser reference each other."""
        self._parser.close()
        self._buffer.clear()
        self._out.clear()
        self._held = None
        self.amendments.clear()
        del self.blanks[:]

    # ── for parsers ───────────────────────────────────────────────────────────────────────────────

    def take(self, count: int) -> Generator[None, None, bytes]:
        """Return the next `count` bytes of the stream. Raises MediaError above MAX_TAKE, EndedError."""
        if count > MAX_TAKE:
            raise damaged()
        buffer = self._buffer
        self._steps += 1
        while len(buffer) < count or self._steps >= STEPS:
            if self._has_ended and self._steps < STEPS:
                raise EndedError(count - len(buffer))
            yield
        taken = bytes(buffer[:count])
        del buffer[:count]
        self.consumed += count
        return taken

    def some(self, most: int) -> Generator[None, None, bytes]:
        """Return the next bytes of the stream, at least one and up to `most`. Raises EndedError."""
        buffer = self._buffer
        self._steps += 1
        while not buffer or self._steps >= STEPS:
            if self._has_ended and self._steps < STEPS:
                raise EndedError(1)
            yield
        taken = bytes(buffer[:most])
        del buffer[:most]
        self.consumed += len(taken)
        return taken

    def work(self, steps: int) -> Parser:
        """Count work that took as long as `steps` steps: others have their turn when it is much."""
        self._steps += steps
        while self._steps >= STEPS:
            yield

    def back(self, data: bytes) -> None:
        """Put back what was taken last."""
        self._buffer[:0] = data
        self.consumed -= len(data)

    def rest(self) -> bytes:
        """Return what has arrived and is not yet processed; after EndedError."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self.consumed += len(rest)
        return rest

    def give(self, data: bytes) -> None:
        """Output `data`."""
        self.position += len(data)
        if self._is_blanking:
            data = bytes(len(data))
        if self._held is None:
            self._out.append(data)
            return
        self._held.append(data)
        if self.position - self._held_from > MAX_TAKE:
            raise damaged()

    def hold(self) -> None:
        """Hold back what is output from here on, MAX_TAKE bytes at most, until `release` or `blank_held`."""
        self._held = []
        self._held_from = self.position

    def release(self) -> None:
        """Output what was held back."""
        self._out += self._held or ()
        self._held = None

    def blank_held(self, start: bytes) -> None:
        """Output `start` and zeros instead of what was held back, and zeros for all that follows until `show`."""
        if self._held is not None:
            self._out += (start, bytes(self.position - self._held_from - len(start)))
        self._held = None
        self._is_blanking = True

    def show(self) -> None:
        """Output bytes as they are again."""
        self._is_blanking = False

    def amend(self, place: int, data: bytes) -> None:
        """Overwrite output at `place`, at the end of the file."""
        self.amendments.append((place, data))

    def keep(self, count: int) -> Parser:
        """Output the next `count` bytes as they arrive."""
        yield from self._through(count, self.give)

    def skip(self, count: int) -> Parser:
        """Drop the next `count` bytes."""
        yield from self._through(count, _nowhere)

    def blank(self, count: int) -> Parser:
        """Output `count` zeros in place of the next `count` bytes."""
        yield from self._through(count, lambda data: self.give(bytes(len(data))))

    def keep_until(self, pattern: re.Pattern[bytes], overlap: int) -> Parser:
        """Output all bytes before the next match of `pattern`, which is at most `overlap` + 1 bytes long."""
        yield from self._until(pattern, overlap, self.give)

    def skip_until(self, pattern: re.Pattern[bytes], overlap: int) -> Parser:
        """Drop all bytes before the next match of `pattern`, which is at most `overlap` + 1 bytes long."""
        yield from self._until(pattern, overlap, _nowhere)

    def _until(self, pattern: re.Pattern[bytes], overlap: int, to: Callable[[bytes], None]) -> Parser:
        buffer = self._buffer
        self._steps += 1
        while self._steps >= STEPS:
            yield
        while (match := pattern.search(buffer)) is None:
            self._pass(max(0, len(buffer) - overlap), to)
            if self._has_ended:
                raise EndedError(1)
            yield
        self._pass(match.start(), to)

    def _through(self, count: int, to: Callable[[bytes], None]) -> Parser:
        buffer = self._buffer
        self._steps += 1
        while count > 0:
            if not buffer:
                if self._has_ended:
                    raise EndedError(count)
                yield
            part = min(len(buffer), count)
            self._pass(part, to)
            count -= part

    def _pass(self, count: int, to: Callable[[bytes], None]) -> None:
        buffer = self._buffer
        part = bytes(buffer) if len(buffer) == count else bytes(buffer[:count])
        del buffer[:count]
        self.consumed += count
        to(part)


def anything(stream: Stream) -> Parser:
    """Keep all bytes."""
    with contextlib.suppress(EndedError):
        yield from stream.keep(TO_THE_END)


def _nowhere(_data: bytes) -> None:
    pass
