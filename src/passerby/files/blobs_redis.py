"""Files in Redis, in chunks that expire. What they take is bounded, for all processes together.

    file:<id>        hash: the metadata, each field of StoredFile as JSON. While it exists, the file is visible
    file:<id>:<n>    string: the bytes from n * CHUNK on
    {files}:until    zset: file id -> when it expires, in milliseconds since the Unix epoch by the server's clock
    {files}:held     hash: file id -> bytes held for it; `total`: the sum of all

The metadata is written last and removed first, and the chunks outlive it a little: what is visible is whole.
Memory is held in the index before a chunk is written, so the index also tells how many chunks a file can have.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import msgspec

from passerby.files.blobs_index import PIECE
from passerby.models import StoredFile
from passerby.redis.client import RedisError, RefusedError, Script
from passerby.redis.errors import UNFIT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence

    from passerby.redis.client import Part, Redis, Reply

log = logging.getLogger(__name__)

CHUNK: Final = 64 * 1024 - 64
"""Bytes of a chunk: with what Redis adds to it 64 KiB, for which its allocator has a size (the next one is 80 KiB)."""
OVERHEAD: Final = 2048
"""Bytes that count for each file besides its content: for its metadata, its place in the index and its keys."""
STEP: Final = 256 * 1024
"""Bytes by which what an upload holds grows: one question to the index for four chunks."""
AT_ONCE: Final = 4
"""Chunks of all files that are on their way at the same time. What else is sent waits only for them."""
BATCH: Final = 100
"""Small commands that are sent at once."""
OUTLIVES: Final = 10.0
"""Seconds that chunks outlive the metadata, and the index the last file: longer than any step of publishing."""
SLACK: Final = 60.0
"""Seconds that an unpublished piece outlives the longest upload."""
FULL: Final = 0.9
"""The part of the server's `maxmemory` above which files are refused: the rest is for sessions and messages."""

_HERE: Final = Path(__file__).parent
_HOLD: Final = Script(_HERE / "files_hold.lua")
_RELEASE: Final = Script(_HERE / "files_release.lua")
_AMEND: Final = Script(_HERE / "file_amend.lua")
_PUBLISH: Final = Script(_HERE / "file_publish.lua")
_DIGITS: Final = 18
"""Maximum decimal digits of a count of bytes."""
_NEARLY_FULL: Final = -1
"""What `files_hold.lua` returns if the server's memory is."""
_RELEASED_AT_ONCE: Final = 1000
"""The maximum of `files_release.lua`."""


class _Upload:
    """What is known of an unpublished file of this process."""

    __slots__ = ("chunks", "held", "tail")

    def __init__(self) -> None:
        self.chunks = 0
        """Number of full chunks that are in Redis, or on their way."""
        self.tail = bytearray()
        """The bytes behind them: less than a chunk, except while they are written."""
        self.held = 0
        """Bytes held in the index."""


class RedisBlobStore:
    """Files in Redis. While Redis is away nothing can be read or written: files never go to this process's memory."""

    is_durable: Final = True

    def __init__(self, redis: Redis, *, limit: int, upload_timeout: float) -> None:
        """All files of all processes hold at most `limit` bytes. An upload lasts at most `upload_timeout` seconds."""
        self._redis = redis
        self._limit = limit
        self._upload_ms = _milliseconds(upload_timeout + SLACK)
        self._index = (redis.key("{files}:until"), redis.key("{files}:held"))
        self._uploads: dict[str, _Upload] = {}
        self._on_the_way = asyncio.Semaphore(AT_ONCE)
        self._is_closed = False

    # ── writing ───────────────────────────────────────────────────────────────────────────────────

    async def write(self, file_id: str, piece: bytes) -> None:
        """See BlobStore. The bytes of a chunk are kept here until it is full."""
        upload = self._upload(file_id)
        upload.tail += piece
        while len(upload.tail) >= CHUNK:
            needed = OVERHEAD + (upload.chunks + 1) * CHUNK
            if needed > upload.held:
                await self._hold(file_id, upload, -(-needed // STEP) * STEP, needed, self._upload_ms)
            with memoryview(upload.tail) as tail:
                chunk = bytes(tail[:CHUNK])
            await self._set(file_id, upload, chunk)
            del upload.tail[:CHUNK]

    async def amend(self, file_id: str, changes: Sequence[tuple[int, bytes]]) -> None:
        """See BlobStore."""
        upload = self._upload(file_id)
        changed: dict[int, list[Part]] = {}
        for place, data in changes:
            number, start = divmod(place, CHUNK)
            while data:
                part = data[: CHUNK - start]
                if number < upload.chunks:
                    changed.setdefault(number, []).extend((start, part))
                else:
                    upload.tail[start : start + len(part)] = part
                data, number, start = data[len(part) :], number + 1, 0  # noqa: PLW2901 - what is left
        async with self._on_the_way:
            amended = [self._redis.run(_AMEND, [self._chunk(file_id, n)], *parts) for n, parts in changed.items()]
            _check_whole(await _answers(amended))

    async def publish(self, file: StoredFile, lifetime: float) -> None:
        """See BlobStore."""
        upload, lifetime_ms = self._upload(file.id), _milliseconds(lifetime)
        size = OVERHEAD + upload.chunks * CHUNK + len(upload.tail)
        await self._hold(file.id, upload, size, size, lifetime_ms)
        if upload.tail:
            await self._set(file.id, upload, bytes(upload.tail))
            upload.tail.clear()
        chunks_ms = lifetime_ms + _milliseconds(OUTLIVES)
        for numbers in _batches(upload.chunks):
            kept = [self._redis.command("PEXPIRE", self._chunk(file.id, n), chunks_ms) for n in numbers]
            _check_whole(await _answers(kept))
        _, listed = await _answers(
            [
                self._redis.run(_PUBLISH, [self._metadata(file.id)], lifetime_ms, *_fields(file)),
                self._redis.command("ZSCORE", self._index[0], file.id),
            ]
        )
        if listed is None:  # Redis was emptied since memory was held, and may have the metadata alone
            raise ConnectionError("Redis has lost the file")
        del self._uploads[file.id]

    def _upload(self, file_id: str) -> _Upload:
        self._check_usable()
        if self._is_closed:
            raise ConnectionError("the store is closed")
        return self._uploads.setdefault(file_id, _Upload())

    async def _set(self, file_id: str, upload: _Upload, chunk: bytes) -> None:
        key = self._chunk(file_id, upload.chunks)
        upload.chunks += 1  # at once: whatever happens now, it may have been written
        async with self._on_the_way:
            await _answers([self._redis.command("SET", key, chunk, "PX", self._upload_ms)])

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    async def find(self, file_id: str) -> StoredFile | None:
        """See BlobStore. A file whose metadata cannot be understood is none."""
        if self._is_closed:
            return None
        (found,) = await self._look([file_id])
        return found

    async def files(self) -> list[StoredFile]:
        """See BlobStore."""
        if self._is_closed:
            return []
        self._check_usable()
        (listed,) = await _answers([self._redis.command("ZRANGE", self._index[0], 0, -1)])
        ids = [file_id.decode(errors="replace") for file_id in cast("list[bytes]", listed)]
        found: list[StoredFile] = []
        for some in _batches(len(ids)):
            found += [file for file in await self._look(ids[some.start : some.stop]) if file is not None]
        return found

    async def _look(self, file_ids: Sequence[str]) -> list[StoredFile | None]:
        self._check_usable()
        asked = [self._redis.command("HGETALL", self._metadata(file_id)) for file_id in file_ids]
        found: list[StoredFile | None] = []
        for file_id, reply in zip(file_ids, await _answers(asked, "WRONGTYPE"), strict=True):
            file = _read_fields(reply) if reply else None
            if reply != [] and (file is None or file.id != file_id):
                log.warning("the metadata of a file cannot be understood, it counts as gone", extra={"file": file_id})
                file = None
            found.append(file)
        return found

    async def read(self, file_id: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """See BlobStore."""
        while start < stop and not self._is_closed:
            part = await self._slice(file_id, start, min(start + PIECE, stop))
            if not part:
                return
            start += len(part)
            yield part

    async def _slice(self, file_id: str, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop` of a visible file, up to the first that is missing."""
        self._check_usable()
        asked = [self._redis.command("EXISTS", self._metadata(file_id))]
        sizes = []
        async with self._on_the_way:
            for number in range(start // CHUNK, -(-stop // CHUNK)):
                first, last = max(0, start - number * CHUNK), min(CHUNK, stop - number * CHUNK) - 1
                asked.append(self._redis.command("GETRANGE", self._chunk(file_id, number), first, last))
                sizes.append(last + 1 - first)
            is_visible, *found = await _answers(asked)
        parts: list[bytes] = []
        for size, part in zip(sizes, cast("list[bytes]", found), strict=True):
            parts.append(part)
            if len(part) < size:
                break
        return b"".join(parts) if is_visible else b""

    # ── removal ───────────────────────────────────────────────────────────────────────────────────

    async def remove(self, file_id: str) -> None:
        """See BlobStore."""
        upload = self._uploads.get(file_id) or _Upload()
        upload.tail.clear()
        self._check_usable()
        metadata = self._metadata(file_id)
        size, held, _ = await _answers(
            [
                self._redis.command("HGET", metadata, "size"),
                self._redis.command("HGET", self._index[1], file_id),
                self._redis.command("DEL", metadata),
            ],
            "WRONGTYPE",
        )
        content = _number(held) or min(_number(size), self._limit)  # the index may have been lost, but not the file
        for numbers in _batches(max(upload.chunks, -(-content // CHUNK))):
            await _answers([self._redis.command("UNLINK", self._chunk(file_id, number)) for number in numbers])
        await _answers([self._redis.run(_RELEASE, self._index, file_id)])
        self._uploads.pop(file_id, None)

    async def sweep(self) -> int:
        """See BlobStore. Redis removes expired files itself: this releases what was held for them."""
        released = 0
        while self._redis.is_usable and not self._is_closed:
            (some,) = await _answers([self._redis.run(_RELEASE, self._index)])
            released += cast("int", some)
            if some != _RELEASED_AT_ONCE:
                break
        return released

    async def check(self) -> None:
        """See BlobStore. How Redis fares is told elsewhere: without it this process is as good as all others."""

    async def close(self) -> None:
        """See BlobStore. If Redis is away, what is not published expires."""
        self._is_closed = True
        if self._redis.is_usable:
            for file_id in list(self._uploads):
                await self.remove(file_id)

    async def _hold(self, file_id: str, upload: _Upload, wanted: int, needed: int, lifetime_ms: int) -> None:
        """Hold `wanted` bytes, or at least `needed`, in the index. Raises OSError (ENOSPC) if they do not fit."""
        arguments = (file_id, wanted, needed, self._limit, FULL, lifetime_ms, _milliseconds(OUTLIVES))
        (held,) = await _answers([self._redis.run(_HOLD, self._index, *arguments)])
        if held == 0 and await self.sweep():
            (held,) = await _answers([self._redis.run(_HOLD, self._index, *arguments)])
        if held == 0:
            raise OSError(errno.ENOSPC, "files hold as much of Redis as they may")
        if held == _NEARLY_FULL:
            raise OSError(errno.ENOSPC, "the memory of Redis is nearly full")
        upload.held = cast("int", held)

    # ── names ─────────────────────────────────────────────────────────────────────────────────────

    def _metadata(self, file_id: str) -> str:
        return self._redis.key(f"file:{file_id}")

    def _chunk(self, file_id: str, number: int) -> str:
        return self._redis.key(f"file:{file_id}:{number}")

    def _check_usable(self) -> None:
        if not self._redis.is_usable:
            raise ConnectionError("Redis is away")


async def _answers(asked: Sequence[Awaitable[Reply]], harmless: str = "") -> list[Reply]:
    """Return all answers; an error reply with the code `harmless` counts as None.

    Raises OSError (ENOSPC) if Redis' memory is full, else ConnectionError for each RedisError.
    """
    answers: list[Reply] = []
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(answer, RefusedError) and answer.code == harmless:
            answers.append(None)
        elif isinstance(answer, RefusedError) and answer.code == "OOM":
            raise OSError(errno.ENOSPC, "the memory of Redis is full") from answer
        elif isinstance(answer, RedisError):
            if isinstance(answer, RefusedError) and answer.code not in UNFIT:
                log.error("Redis refuses what files need", extra={"reason": answer.code})
            raise ConnectionError("Redis has not done it") from answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            answers.append(answer)
    return answers


def _check_whole(answers: Sequence[Reply]) -> None:
    """Raise ConnectionError if an answer says that there is no such chunk: Redis was emptied in the meantime."""
    if 0 in answers:
        raise ConnectionError("Redis has lost a part of the file")


def _fields(file: StoredFile) -> list[bytes | str]:
    """Return the fields of a file's metadata, each name followed by its value in JSON."""
    fields: list[bytes | str] = []
    for name in StoredFile.__struct_fields__:
        fields += (name, msgspec.json.encode(getattr(file, name)))
    return fields


def _read_fields(reply: Reply) -> StoredFile | None:
    """Return the file that `_fields` describes; None if it cannot be understood."""
    fields = cast("list[bytes]", reply)
    pairs = (b'"%s":%s' % (name, value) for name, value in zip(fields[::2], fields[1::2], strict=True))
    try:
        return msgspec.json.decode(b"{%s}" % b",".join(pairs), type=StoredFile)
    except msgspec.DecodeError:
        return None


def _number(text: Reply | bytes) -> int:
    """Return a count in decimal digits; 0 if it is none, or one of no file."""
    return int(text) if isinstance(text, bytes) and text.isdigit() and len(text) <= _DIGITS else 0


def _batches(count: int) -> Iterator[range]:
    """Yield the numbers from 0 to `count` (exclusive) in ranges of at most BATCH."""
    for start in range(0, count, BATCH):
        yield range(start, min(start + BATCH, count))


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)
