"""One upload: bytes are checked and cleaned while they are written to the store, in constant memory."""

from __future__ import annotations

import contextlib
import itertools
import secrets
from typing import TYPE_CHECKING, Final

from passerby.errors import (
    Code,
    ForbiddenError,
    InvalidInputError,
    PasserbyError,
    StorageFullError,
    TooLargeError,
    UnavailableError,
    UnsupportedTypeError,
)
from passerby.files.names import clean_name
from passerby.media.markup import Search
from passerby.media.sniff import ATTACHMENT, HEAD, Kind, is_polyglot, kind_of, of_stream
from passerby.media.stream import MediaError, Stream, damaged
from passerby.models import StoredFile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from passerby.clock import Clock
    from passerby.files.blobs import BlobStore
    from passerby.files.space import Quotas, Share
    from passerby.files.turns import Turns

_PIECE: Final = 16 * 1024
"""Minimum bytes per write to the store, so that a body in tiny chunks costs no more than one in large chunks."""
_LARGE_PIECE: Final = 64 * 1024
"""Maximum bytes per write to the store."""
_CHANGES: Final = 64
"""Maximum changes at once, of bytes that were already written."""
_CHANGE: Final = 1024
"""Maximum bytes of each."""
_RETRY: Final = 5.0
"""Seconds until a client should try again if the store was away: it is noticed so soon that it is back."""
_TOLERANCE: Final = 1.0
"""Seconds that a measured voice note may exceed the limit: recorders stop only between two packets."""


class Upload:
    """An upload to a room. Its creator must call `finish` or `abort`."""

    def __init__(
        self,
        store: BlobStore,
        share: Share,
        clock: Clock,
        *,
        owner: str,
        quotas: Quotas,
        turns: Turns,
        ttl: float,
        discard: Callable[[str], Awaitable[None]],
        name: str,
        claimed: str,
        voice: bool,
        file_id: str | None = None,
        ended: Callable[[Upload], object],
    ) -> None:
        """`share` grows with the file; `ttl` is the file's lifetime in seconds; all uploads share `turns`.

        `discard` removes stored bytes, and retries after failures. `file_id` is of `new_id`, or a new one. `ended` is
        called with the upload when it is finished or aborted.
        """
        self.id = file_id or new_id()
        self.room = share.room
        self.owner = owner
        self._store = store
        self._share = share
        self._clock = clock
        self._quotas = quotas
        self._turns = turns
        self._ttl = ttl
        self._discard = discard
        self._ended = ended
        self._name = clean_name(name)
        self._claimed = claimed.partition(";")[0].strip().lower()
        self.voice = voice
        self._received = 0
        self._stored = 0
        self._head: bytearray | None = bytearray()
        self._kind = Kind(ATTACHMENT)
        self._stream = Stream(self._kind.parse)
        self._active = False
        self._search = Search()
        self._piece = bytearray()
        self._seconds: float | None = None

    async def write(self, data: bytes) -> None:
        """Process the next bytes.

        Raises TooLargeError, StorageFullError, UnavailableError, UnsupportedTypeError, ConflictError (room_closed).
        """
        self._share.check()
        self._received += len(data)
        if self._received > self._share.size:
            raise self._quotas.too_large()
        if self._received > self._share.held:
            await self._share.extend(self._received)
        if self._head is not None:
            self._head += data
            if len(self._head) < HEAD:
                return
            data = await self._recognised()
        await self._take(data)

    async def finish(self, room_id: str, seconds: float | None = None) -> StoredFile:
        """Publish the complete file in its room.

        `seconds` is the duration of a voice note claimed by the sender; a duration measured in the file takes
        precedence. Raises what `write` raises, ForbiddenError (not_your_room), InvalidInputError (file_empty,
        duration_invalid).
        """
        if room_id != self.room.id:
            raise not_your_room()
        if not self._received:
            raise InvalidInputError(Code.FILE_EMPTY, "The file is empty", field="file")
        if self._head is not None:
            await self._take(await self._recognised())
        await self._process(self._stream.ending())
        if not self._stream.whole:
            raise _refusal(damaged())
        await self._pass_on(b"", last=True)
        await self._amend()
        self._kind = of_stream(self._kind, self._stream)
        if self.voice:
            self._check_sound()
            self._seconds = self._duration(seconds)
        elif self._stream.seconds is not None:
            self._seconds = _rounded(self._stream.seconds)
        file = self.described(self._clock.time() + self._ttl)
        with _storing():
            await self._store.publish(file, self._ttl)
        await self._share.publish(file)
        self._let_go()
        return file

    async def abort(self) -> None:
        """Remove what is already stored."""
        self._share.release()
        self._let_go()
        await self._discard(self.id)

    def _let_go(self) -> None:
        self._ended(self)
        self._stream.close()
        self._piece.clear()

    def described(self, expires_at: float) -> StoredFile:
        """Return the file's metadata."""
        width, height = self._stream.size or (None, None)
        inline = self._kind.inline and not self._active
        return StoredFile(
            id=self.id,
            room_id=self.room.id,
            epoch=self.room.epoch,
            owner=self.owner,
            voice=self.voice,
            filename=self._name,
            mime_type=self._kind.mime_type if inline or not self._kind.inline else ATTACHMENT,
            category=self._kind.category if inline or not self._kind.inline else "document",
            inline=inline,
            size=self._stored,
            expires_at=expires_at,
            seconds=self._seconds,
            width=width,
            height=height,
        )

    async def _recognised(self) -> bytes:
        await self._turn()
        with self._turns.taken():
            return self._recognise()

    def _recognise(self) -> bytes:
        head, self._head = bytes(self._head or b""), None
        try:
            claimed = "audio/" if self.voice else self._claimed  # only the tracks can show that it is not audio
            self._kind = kind_of(head[:HEAD], claimed, max_pixels=self._quotas.pixels)
        except MediaError as error:
            raise _refusal(error) from error
        if self.voice:
            self._check_sound()
        self._stream.close()
        self._stream = Stream(self._kind.parse)
        return head

    def _check_sound(self) -> None:
        if self._kind.category != "audio":
            raise UnsupportedTypeError(Code.NOT_AUDIO, "A voice note is a sound: WebM, Ogg, MP4, MP3 or WAV")

    async def _take(self, data: bytes) -> None:
        """Process `data`. Raises what `write` raises."""
        await self._process(self._stream.portions(data))

    async def _process(self, portions: Iterator[bytes]) -> None:
        """Process portions, between which others have their turn. Raises what `write` raises."""
        while True:
            await self._turn()
            try:
                with self._turns.taken():
                    portion = next(portions, None)
            except MediaError as error:
                raise _refusal(error) from error
            if portion is None:
                return
            await self._pass_on(portion)

    async def _turn(self) -> None:
        """Wait for a turn. Raises ConflictError (room_closed)."""
        await self._turns.wait()
        self._share.check()

    def _look_at(self, piece: bytes) -> None:
        """Search the stored bytes for content that a browser might execute. Dropped metadata is not searched."""
        if self._kind.inline and not self._active:
            self._active = (not self._stored and is_polyglot(piece[:HEAD])) or self._search.finds(piece)

    async def _pass_on(self, data: bytes, *, last: bool = False) -> None:
        waiting = memoryview(data)
        while len(self._piece) + len(waiting) >= _PIECE or (last and (self._piece or waiting)):
            part = waiting[: _LARGE_PIECE - len(self._piece)]
            waiting = waiting[len(part) :]
            piece = data if not self._piece and len(part) == len(data) else b"".join((self._piece, part))
            self._piece.clear()
            with self._turns.taken():
                self._look_at(piece)
            self._stored += len(piece)
            if self._stored > self._quotas.file:
                raise self._quotas.too_large()
            if self._stored > self._share.held:
                await self._share.extend(self._stored)
            with _storing():
                await self._store.write(self.id, piece)
        self._piece += waiting

    async def _amend(self) -> None:
        """Overwrite what could be known only at the end of the file."""
        changes = self._changes()
        while some := list(itertools.islice(changes, _CHANGES)):
            with _storing():
                await self._store.amend(self.id, some)
            self._turns.end()
            await self._turn()

    def _changes(self) -> Iterator[tuple[int, bytes]]:
        yield from self._stream.amendments
        blanks = self._stream.blanks
        for number in range(0, len(blanks), 2):
            end = min(blanks[number] + blanks[number + 1], self._stored)
            for place in range(blanks[number], end, _CHANGE):
                yield place, bytes(min(_CHANGE, end - place))

    def _duration(self, claimed: float | None) -> float:
        measured, limit = self._stream.seconds, self._quotas.seconds
        if claimed is None or not 0 < claimed <= limit or (measured is not None and measured > limit + _TOLERANCE):
            raise InvalidInputError(
                Code.DURATION_INVALID, f"A voice note lasts up to {limit:g} seconds", field="duration"
            )
        return _rounded(min(measured, limit) if measured else claimed)


def new_id() -> str:
    """Return the id of a new file."""
    return f"file_{secrets.token_urlsafe(18)}"


def _rounded(seconds: float) -> float:
    return max(round(seconds, 3), 0.001)  # a duration is never zero


def _refusal(error: MediaError) -> PasserbyError:
    kind = TooLargeError if error.code is Code.PICTURE_TOO_LARGE else UnsupportedTypeError
    return kind(error.code, str(error), field="file")


@contextlib.contextmanager
def _storing() -> Iterator[None]:
    """Raise UnavailableError or StorageFullError for what the store raises in the block, see BlobStore."""
    try:
        yield
    except ConnectionError as error:
        raise unavailable() from error
    except OSError as error:
        raise StorageFullError from error


def unavailable() -> UnavailableError:
    """Return the error for a store that cannot be reached now."""
    return UnavailableError(["files"], retry_after=_RETRY)


def not_your_room() -> ForbiddenError:
    """Return the error for an upload to another conversation."""
    return ForbiddenError(Code.NOT_YOUR_ROOM, "That is not your conversation")
