"""Parsers that are fed as bytes come, and are written as if all were there.

A parser is a generator: it asks with `yield from stream.take(8)`, and sleeps until that much has come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from passerby.errors import Code

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Generator

    Parser = Generator[None, None, None]

MAX_TAKE: Final = 128 * 1024
"""Bytes a parser may ask for at once: two segments of a JPEG."""
TO_THE_END: Final = 1 << 62
"""Bytes of what goes on until the file ends."""


class MediaError(ValueError):
    """The file is not what its first bytes promise, or more than is accepted. `code` is for programs."""

    def __init__(self, code: Code, message: str) -> None:
        """Say in `message` what is wrong."""
        super().__init__(message)
        self.code = code


class Stream:
    """Bytes on their way through `parse`, which passes on what it `keep`s or `give`s and drops the rest.

    `whole` is true once the parser has seen the end of the format; bytes behind it are dropped.
    """

    def __init__(self, parse: Callable[[Stream], Parser]) -> None:
        """Begin before the first byte."""
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._parser = parse(self)
        self.whole = False
        self.size: tuple[int, int] | None = None
        """Width and height in pixels, where the parser knows them."""
        self.seconds: float | None = None
        """How long it plays, where the parser knows."""
        self.tracks: set[str] = set()
        """What it has of "audio" and "video", where the parser knows."""

    def feed(self, data: bytes) -> bytes:
        """Return what is passed on because of `data`. Raises MediaError."""
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
        """The end of the bytes: return what was still held back, for formats that may end anywhere."""
        rest = b"" if self.whole else bytes(self._buffer)
        self._buffer.clear()
        return rest

    def close(self) -> None:
        """Let go of everything: a stream and its parser hold each other, and the last bytes."""
        self._parser.close()
        self._buffer.clear()
        self._out.clear()

    # ── for parsers ───────────────────────────────────────────────────────────────────────────────

    def take(self, count: int) -> Generator[None, None, bytes]:
        """Take `count` bytes out of the stream. Raises MediaError when it is too much to ask for."""
        if count > MAX_TAKE:
            raise MediaError(Code.UNSUPPORTED_TYPE, "The file is damaged")
        buffer = self._buffer
        while len(buffer) < count:
            yield
        taken = bytes(buffer[:count])
        del buffer[:count]
        return taken

    def give(self, data: bytes) -> None:
        """Pass `data` on."""
        self._out.append(data)

    def keep(self, count: int) -> Parser:
        """Pass on the next `count` bytes as they come."""
        yield from self._through(count, self.give)

    def skip(self, count: int) -> Parser:
        """Drop the next `count` bytes as they come."""
        yield from self._through(count, _nowhere)

    def blank(self, count: int) -> Parser:
        """Pass on `count` zeros in place of the next `count` bytes."""
        yield from self._through(count, lambda data: self.give(bytes(len(data))))

    def keep_until(self, pattern: re.Pattern[bytes], overlap: int) -> Parser:
        """Pass on all before the next match of `pattern`, which is at most `overlap` + 1 bytes long."""
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
