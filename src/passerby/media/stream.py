"""Incremental parsers that are written as if all bytes were available.

A parser is a generator: `yield from stream.take(8)` suspends it until 8 bytes have arrived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from passerby.errors import Code

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Generator

    Parser = Generator[None, None, None]

MAX_TAKE: Final = 128 * 1024
"""Maximum bytes that a parser may take at once: two segments of a JPEG."""
TO_THE_END: Final = 1 << 62
"""Size of an element that extends to the end of the file."""


class MediaError(ValueError):
    """The file does not match its format, or exceeds a limit. `code` is for programs."""

    def __init__(self, code: Code, message: str) -> None:
        """`message` says what is wrong."""
        super().__init__(message)
        self.code = code


class Stream:
    """Bytes processed by `parse`: it outputs what it `keep`s or `give`s, and drops the rest.

    `whole` is true when the parser has reached the end of the format; bytes after it are dropped.
    """

    def __init__(self, parse: Callable[[Stream], Parser]) -> None:
        """Start before the first byte."""
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._parser = parse(self)
        self.whole = False
        self.size: tuple[int, int] | None = None
        """Width and height in pixels, if known."""
        self.seconds: float | None = None
        """Duration, if known."""
        self.tracks: set[str] = set()
        """Types of its tracks ("audio", "video"), if known."""

    def feed(self, data: bytes) -> bytes:
        """Process `data`; return the output that is ready. Raises MediaError."""
        if self.whole:
            return b""
        self._buffer += data
        try:
            next(self._parser)
        except StopIteration:
            self.whole = True
            self._buffer.clear()
        passed = b"".join(self._out)
        self._out.clear()
        return passed

    def finish(self) -> bytes:
        """Return the bytes still buffered at the end of the file, for formats without end marker."""
        rest = b"" if self.whole else bytes(self._buffer)
        self._buffer.clear()
        return rest

    def close(self) -> None:
        """Release all memory: the stream and its parser reference each other."""
        self._parser.close()
        self._buffer.clear()
        self._out.clear()

    # ── for parsers ───────────────────────────────────────────────────────────────────────────────

    def take(self, count: int) -> Generator[None, None, bytes]:
        """Return the next `count` bytes of the stream. Raises MediaError above MAX_TAKE."""
        if count > MAX_TAKE:
            raise MediaError(Code.UNSUPPORTED_TYPE, "The file is damaged")
        buffer = self._buffer
        while len(buffer) < count:
            yield
        taken = bytes(buffer[:count])
        del buffer[:count]
        return taken

    def give(self, data: bytes) -> None:
        """Output `data`."""
        self._out.append(data)

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
        buffer = self._buffer
        while (match := pattern.search(buffer)) is None:
            end = max(0, len(buffer) - overlap)
            self.give(bytes(buffer[:end]))
            del buffer[:end]
            yield
        self.give(bytes(buffer[: match.start()]))
        del buffer[: match.start()]

    def _through(self, count: int, to: Callable[[bytes], None]) -> Parser:
        buffer = self._buffer
        while count > 0:
            if not buffer:
                yield
            part = bytes(buffer) if len(buffer) <= count else bytes(buffer[:count])
            del buffer[: len(part)]
            to(part)
            count -= len(part)


def _nowhere(_data: bytes) -> None:
    pass
