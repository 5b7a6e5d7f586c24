from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import itertools
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from passerby.clock import SystemClock
from passerby.files.blobs_disk import DiskBlobStore
from passerby.models import StoredFile
from tests.support.backends import BLOBS
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from passerby.files.blobs import BlobStore
    from tests.support.backends import Blobs

PIECE = 64 * 1024
"""Maximum size of a written piece."""
CONTENT = random.Random(7).randbytes(3 * PIECE + 1000)
LIFETIME = 900.0


@pytest.fixture
def store(blobs: Blobs) -> BlobStore:
    return blobs.store


def described(file_id: str = "file_one", size: int = len(CONTENT)) -> StoredFile:
    return StoredFile(
        id=file_id,
        room_id="guest_a_guest_b",
        epoch=1_700_000_000_000,
        owner="guest_a",
        voice=True,
        filename="Zürich 🏔.ogg",
        mime_type="audio/ogg",
        category="audio",
        inline=True,
        size=size,
        expires_at=1_700_000_900.0,
        seconds=2.5,
        width=17,
        height=9,
    )


async def write(store: BlobStore, content: bytes = CONTENT, file_id: str = "file_one") -> None:
    for start in range(0, len(content), PIECE):
        await store.write(file_id, content[start : start + PIECE])


async def put(
    store: BlobStore, content: bytes = CONTENT, file_id: str = "file_one", lifetime: float = LIFETIME
) -> None:
    await write(store, content, file_id)
    await store.publish(described(file_id, len(content)), lifetime)


async def read(store: BlobStore, file_id: str = "file_one", start: int = 0, stop: int = len(CONTENT)) -> bytes:
    return b"".join([part async for part in store.read(file_id, start, stop)])


# ── writing and reading ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("place", [0, 1, PIECE - 3, PIECE, 2 * PIECE + 7, len(CONTENT) - 40])
async def test_what_is_written_can_be_overwritten_until_it_is_published(store: BlobStore, place: int) -> None:
    await write(store)
    end = place + 40

    await store.amend("file_one", [(place, b"first"), (place + 5, bytes(30)), (place + 35, b"last!")])
    await store.publish(described(), LIFETIME)

    assert await read(store) == CONTENT[:place] + b"first" + bytes(30) + b"last!" + CONTENT[end:]


async def test_so_much_can_be_overwritten_at_once(store: BlobStore) -> None:
    await write(store)
    await write(store, b"another", "file_two")
    places = range(0, len(CONTENT) - 1024, len(CONTENT) // 64)

    await store.amend("file_one", [(place, bytes(1024)) for place in places])
    await store.publish(described(), LIFETIME)

    expected = bytearray(CONTENT)
    for place in places:
        expected[place : place + 1024] = bytes(1024)
    assert await read(store) == expected


async def test_a_published_file_is_found_with_every_field_and_read_whole(store: BlobStore) -> None:
    await put(store)

    assert await store.find("file_one") == described()
    assert await read(store) == CONTENT


async def test_all_published_files_are_listed_with_every_field(blobs: Blobs, store: BlobStore) -> None:
    assert await store.files() == []
    await put(store)
    await put(store, b"short", "file_two", lifetime=10)
    await write(store, b"not published", "file_three")
    await put(store, b"removed", "file_four")
    await store.remove("file_four")
    expected = [described(), described("file_two", 5)]

    assert sorted(await store.files(), key=lambda file: file.id) == expected
    await blobs.pass_time(10)
    assert await store.files() == [described()]
    await store.close()
    assert await store.files() == []


async def test_a_file_can_be_read_again_and_by_two_at_once(store: BlobStore) -> None:
    await put(store)

    whole, part = await asyncio.gather(read(store), read(store, start=1, stop=PIECE + 1))
    assert (whole, part) == (CONTENT, CONTENT[1 : PIECE + 1])
    assert await read(store) == CONTENT


async def test_reading_beyond_the_end_stops_at_it(store: BlobStore) -> None:
    await put(store)

    assert await read(store, start=len(CONTENT) - 3, stop=len(CONTENT) + 100) == CONTENT[-3:]
    assert await read(store, start=len(CONTENT), stop=len(CONTENT) + 100) == b""
    assert await read(store, start=5, stop=5) == b""


async def test_two_files_written_in_turns_do_not_mix(store: BlobStore) -> None:
    for number in range(20):
        await store.write("file_one", b"one %d " % number)
        await store.write("file_two", b"TWO %d " % number)
    await store.publish(described("file_one"), LIFETIME)

    assert await read(store, "file_one") == b"".join(b"one %d " % number for number in range(20))
    assert await store.find("file_two") is None
    await store.publish(described("file_two"), LIFETIME)
    assert await read(store, "file_two") == b"".join(b"TWO %d " % number for number in range(20))
    assert await store.find("file_two") == described("file_two")


async def test_files_written_at_once_do_not_mix(store: BlobStore) -> None:
    contents = {f"file_{number}": bytes([number]) * 10_000 for number in range(20)}
    await asyncio.gather(*(put(store, content, file_id) for file_id, content in contents.items()))

    for file_id, content in contents.items():
        assert await read(store, file_id) == content


@pytest.mark.parametrize("name", sorted(BLOBS))
@settings(max_examples=60)
@given(
    size=st.integers(1, len(CONTENT)) | st.integers(1, 50),
    cuts=st.lists(st.integers(0, len(CONTENT)) | st.integers(0, 50), max_size=12),
    start=st.integers(0, len(CONTENT)) | st.integers(0, 50),
    stop=st.integers(0, len(CONTENT) + 10) | st.integers(0, 50),
)
def test_any_range_of_any_pieces_is_read(name: str, size: int, cuts: list[int], start: int, stop: int) -> None:
    async def scenario() -> None:
        async with BLOBS[name]() as blobs:
            for piece in pieces(CONTENT[:size], cuts):
                await blobs.store.write("file_one", piece)
            await blobs.store.publish(described(size=size), LIFETIME)

            assert await read(blobs.store, start=start, stop=stop) == CONTENT[:size][start:stop]
            assert await read(blobs.store) == CONTENT[:size]

    asyncio.run(scenario())


def pieces(content: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    """Cut `content` at `cuts`, and where a piece would be too long."""
    places = sorted({0, len(content), *range(0, len(content), PIECE), *(cut for cut in cuts if cut < len(content))})
    for begin, end in itertools.pairwise(places):
        yield content[begin:end]


# ── before publishing and after removal ───────────────────────────────────────────────────────────


async def test_nobody_sees_a_file_before_it_is_published(store: BlobStore) -> None:
    await write(store)

    assert await store.find("file_one") is None
    assert await read(store) == b""

    await store.publish(described(), LIFETIME)
    assert await read(store) == CONTENT


async def test_a_file_that_never_was_is_none(store: BlobStore) -> None:
    await put(store)

    assert await store.find("file_two") is None
    assert await read(store, "file_two") == b""


async def test_a_file_lives_until_its_deadline_and_not_at_it(blobs: Blobs, store: BlobStore) -> None:
    await put(store, lifetime=10)
    await blobs.pass_time(9)
    assert await store.find("file_one") == described()
    assert await read(store) == CONTENT

    await blobs.pass_time(1)

    assert await store.find("file_one") is None
    assert await read(store) == b""


async def test_the_lifetime_begins_when_the_file_is_published(blobs: Blobs, store: BlobStore) -> None:
    await write(store)
    await blobs.pass_time(100)
    await store.publish(described(), 10)
    await blobs.pass_time(9)

    assert await read(store) == CONTENT


async def test_reading_does_not_lengthen_the_life(blobs: Blobs, store: BlobStore) -> None:
    await put(store, lifetime=10)
    await blobs.pass_time(9)
    await read(store)
    await blobs.pass_time(1)

    assert await store.find("file_one") is None


async def test_a_removed_file_is_gone_and_others_stay(store: BlobStore) -> None:
    await put(store)
    await put(store, b"another", "file_two")
    await store.remove("file_one")

    assert await store.find("file_one") is None
    assert await read(store) == b""
    assert await read(store, "file_two") == b"another"


async def test_a_file_that_is_removed_before_it_is_published_leaves_nothing_for_its_id(store: BlobStore) -> None:
    await write(store)
    await store.remove("file_one")
    await put(store, b"new")

    assert await read(store) == b"new"


async def test_removing_what_is_not_there_does_nothing(store: BlobStore) -> None:
    await put(store)
    await store.remove("file_two")
    await store.remove("file_two")

    assert await read(store) == CONTENT


async def remove(blobs: Blobs) -> None:
    await blobs.store.remove("file_one")


async def expire(blobs: Blobs) -> None:
    await blobs.pass_time(LIFETIME)


async def expire_and_sweep(blobs: Blobs) -> None:
    await blobs.pass_time(LIFETIME)
    await blobs.store.sweep()


async def close(blobs: Blobs) -> None:
    await blobs.store.close()


@pytest.mark.parametrize("end", [remove, expire, expire_and_sweep, close], ids=lambda end: end.__name__)
async def test_a_read_that_is_under_way_ends_early(blobs: Blobs, end: Callable[[Blobs], object]) -> None:
    await put(blobs.store)
    await put(blobs.store, file_id="file_two", lifetime=2 * LIFETIME)
    reading = aiter(blobs.store.read("file_one", 0, len(CONTENT)))
    other = aiter(blobs.store.read("file_two", 0, len(CONTENT)))
    first = await anext(reading)
    others = await anext(other)
    assert CONTENT.startswith(first)
    assert len(first) < len(CONTENT)

    ending = end(blobs)
    assert asyncio.iscoroutine(ending)
    await ending

    assert await rest(reading) == b""
    if end is not close:
        assert others + await rest(other) == CONTENT


async def rest(reading: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in reading])


# ── sweeping, closing ─────────────────────────────────────────────────────────────────────────────


async def test_a_sweep_removes_the_expired_and_nothing_else(blobs: Blobs, store: BlobStore) -> None:
    for number in range(3):
        await put(store, b"short", f"file_short{number}", lifetime=10)
    for number in range(2):
        await put(store, b"long", f"file_long{number}", lifetime=20)
    await write(store, b"not published", "file_begun")
    assert await store.sweep() == 0
    await blobs.pass_time(10)

    assert await store.sweep() == 3
    assert await store.sweep() == 0
    assert await read(store, "file_short0") == b""
    assert [await read(store, f"file_long{number}") for number in range(2)] == [b"long", b"long"]
    await store.publish(described("file_begun"), LIFETIME)
    assert await read(store, "file_begun") == b"not published"


async def test_a_sweep_does_not_count_what_was_removed(blobs: Blobs, store: BlobStore) -> None:
    await put(store, lifetime=10)
    await put(store, b"two", "file_two", lifetime=10)
    await store.remove("file_one")
    await blobs.pass_time(10)

    assert await store.sweep() == 1


async def test_an_id_can_be_used_again_once_it_is_swept(blobs: Blobs, store: BlobStore) -> None:
    await put(store, lifetime=10)
    await blobs.pass_time(10)
    await store.sweep()
    await put(store, b"again")

    assert await read(store) == b"again"


async def test_a_closed_store_has_nothing(store: BlobStore) -> None:
    await put(store)
    await write(store, b"begun", "file_two")
    await store.close()

    assert await store.find("file_one") is None
    assert await read(store) == b""
    assert await read(store, "file_two") == b""
    assert await store.sweep() == 0


async def test_a_store_can_be_closed_twice(store: BlobStore) -> None:
    await put(store)
    await store.close()
    await store.close()

    assert await store.find("file_one") is None


class BlobMachine(RuleBasedStateMachine):
    """Random sequences of commands, compared with dicts of bytes and deadlines."""

    ids = ("file_one", "file_two", "file_three")

    def __init__(self, open_blobs: Callable[[], AbstractAsyncContextManager[Blobs]]) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.context = open_blobs()
        self.blobs = self.runner.run(self.context.__aenter__())
        self.store = self.blobs.store
        self.now = 0.0
        self.written: dict[str, bytes] = {}
        self.until: dict[str, float] = {}

    def teardown(self) -> None:
        self.runner.run(self._close())
        self.runner.close()

    async def _close(self) -> None:
        await self.context.__aexit__(None, None, None)

    def _seen(self, file_id: str) -> bytes | None:
        return self.written[file_id] if self.until.get(file_id, 0) > self.now else None

    @rule(file_id=st.sampled_from(ids), piece=st.binary(min_size=1, max_size=20))
    def write(self, file_id: str, piece: bytes) -> None:
        if file_id not in self.until:
            self.runner.run(self.store.write(file_id, piece))
            self.written[file_id] = self.written.get(file_id, b"") + piece

    @precondition(lambda self: self.written.keys() - self.until.keys())
    @rule(data=st.data(), lifetime=st.integers(1, 5))
    def publish(self, data: st.DataObject, lifetime: int) -> None:
        file_id = data.draw(st.sampled_from(sorted(self.written.keys() - self.until.keys())))
        self.runner.run(self.store.publish(described(file_id), lifetime))
        self.until[file_id] = self.now + lifetime

    @rule(file_id=st.sampled_from(ids))
    def remove(self, file_id: str) -> None:
        self.runner.run(self.store.remove(file_id))
        self.written.pop(file_id, None)
        self.until.pop(file_id, None)

    @rule(seconds=st.integers(1, 3))
    def pass_time(self, seconds: int) -> None:
        self.runner.run(self.blobs.pass_time(seconds))
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        expired = [file_id for file_id, until in self.until.items() if until <= self.now]
        assert self.runner.run(self.store.sweep()) == len(expired)
        for file_id in expired:
            del self.until[file_id], self.written[file_id]

    @rule(file_id=st.sampled_from(ids), start=st.integers(0, 30), stop=st.integers(0, 60))
    def look(self, file_id: str, start: int, stop: int) -> None:
        seen = self._seen(file_id)
        found = self.runner.run(self.store.find(file_id))
        assert found == (None if seen is None else described(file_id))
        assert self.runner.run(read(self.store, file_id, start, stop)) == (seen or b"")[start:stop]

    @rule()
    def list_all(self) -> None:
        listed = {file.id for file in self.runner.run(self.store.files())}
        assert listed == {file_id for file_id in self.until if self._seen(file_id) is not None}


def test_any_sequence_of_commands_is_as_the_model_says(
    open_blobs: Callable[[], AbstractAsyncContextManager[Blobs]],
) -> None:
    class Machine(BlobMachine):
        def __init__(self) -> None:
            super().__init__(open_blobs)

    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=40, stateful_step_count=30, deadline=None),
    )


# ── on disk ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[DiskBlobStore]:
    """Open a store in `tmp_path`, the only one there."""
    store = DiskBlobStore(ManualClock(), str(tmp_path))
    yield store
    await store.close()


def inside(directory: Path) -> list[Path]:
    return list(directory.iterdir())


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_nobody_else_may_look_into_the_folder(disk: DiskBlobStore, tmp_path: Path) -> None:
    await put(disk)

    (folder,) = inside(tmp_path)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert CONTENT in [path.read_bytes() for path in files_below(folder)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files_below(folder)} == {0o600}


async def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = DiskBlobStore(ManualClock(), str(tmp_path))
        await put(store)
    finally:
        os.umask(before)

    (folder,) = inside(tmp_path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in [folder, *files_below(folder)]} == {0o700, 0o600}
    await store.close()


async def test_a_removed_file_is_not_on_the_disk(disk: DiskBlobStore, tmp_path: Path) -> None:
    empty = len(files_below(tmp_path))
    await put(disk)
    await write(disk, file_id="file_two")
    assert len(files_below(tmp_path)) == empty + 2

    await disk.remove("file_one")
    await disk.remove("file_two")

    assert len(files_below(tmp_path)) == empty


async def test_a_swept_file_is_not_on_the_disk(tmp_path: Path) -> None:
    clock = ManualClock()
    store = DiskBlobStore(clock, str(tmp_path))
    empty = len(files_below(tmp_path))
    await put(store, lifetime=10)
    clock.advance(10)

    await store.sweep()

    assert len(files_below(tmp_path)) == empty
    await store.close()


async def test_closing_leaves_nothing_on_the_disk(disk: DiskBlobStore, tmp_path: Path) -> None:
    await put(disk)
    await write(disk, file_id="file_two")

    await disk.close()

    assert inside(tmp_path) == []


async def test_the_directory_is_made_where_it_is_missing(tmp_path: Path) -> None:
    store = DiskBlobStore(ManualClock(), str(tmp_path / "a" / "b"))
    await put(store)

    assert await read(store) == CONTENT
    await store.close()


def test_a_directory_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(OSError, match="file"):
        DiskBlobStore(ManualClock(), str(tmp_path / "file" / "folder"))


async def test_a_cancelled_write_leaves_nothing_behind_a_removal(
    disk: DiskBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running thread cannot be cancelled: its write may create the file again after the upload was aborted."""
    empty = files_below(tmp_path)
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()
    append = DiskBlobStore._append

    def slow(path: str, piece: bytes) -> None:
        begun.set()
        go_on.wait()
        append(path, piece)
        done.set()

    monkeypatch.setattr(disk, "_append", slow)
    writing = asyncio.create_task(disk.write("file_one", b"piece"))
    await asyncio.to_thread(begun.wait)
    writing.cancel()
    removing = asyncio.create_task(give_up(writing, disk))
    for _ in range(10):
        await asyncio.sleep(0)
    go_on.set()
    await removing
    await asyncio.to_thread(done.wait)

    assert files_below(tmp_path) == empty


async def give_up(writing: asyncio.Task[None], store: BlobStore) -> None:
    """Do what an upload does when its client has disconnected."""
    with pytest.raises(asyncio.CancelledError):
        await writing
    await store.remove("file_one")


# ── other processes ───────────────────────────────────────────────────────────────────────────────

OTHER = """
import asyncio, sys
from passerby.clock import SystemClock
from passerby.files.blobs_disk import DiskBlobStore
from passerby.clock import SystemClock
store = DiskBlobStore(SystemClock(), sys.argv[1])
asyncio.run(store.write("file_other", b"theirs"))
print("written", flush=True)
sys.stdin.readline()
asyncio.run(store.write("file_other", b", and more"))
print(open(store._path("file_other")).read(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has written to its own store in `tmp_path` and keeps running."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        yield process
        process.kill()


async def test_what_a_killed_process_left_is_removed_at_the_next_start(
    other_process: subprocess.Popen[str], tmp_path: Path
) -> None:
    (left,) = inside(tmp_path)
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    assert b"theirs" in [path.read_bytes() for path in files_below(left)], "not removed yet"

    store = DiskBlobStore(ManualClock(), str(tmp_path))

    assert not left.exists()
    await put(store)
    assert await read(store) == CONTENT
    await store.close()


async def test_what_a_living_process_has_is_left_alone(other_process: subprocess.Popen[str], tmp_path: Path) -> None:
    (theirs,) = inside(tmp_path)

    store = DiskBlobStore(ManualClock(), str(tmp_path))
    await put(store)
    await store.close()

    assert inside(tmp_path) == [theirs]
    assert other_process.stdin is not None
    assert other_process.stdout is not None
    other_process.stdin.write("\n")
    other_process.stdin.flush()
    assert other_process.stdout.readline() == "theirs, and more\n"


async def test_a_store_is_left_alone_while_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process starts after every step of the first one's start."""
    lock, others = fcntl.flock, list[DiskBlobStore]()

    def meanwhile(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        others.append(DiskBlobStore(ManualClock(), str(tmp_path)))
        lock(descriptor, operation)
        others.append(DiskBlobStore(ManualClock(), str(tmp_path)))

    monkeypatch.setattr(fcntl, "flock", meanwhile)
    store = DiskBlobStore(ManualClock(), str(tmp_path))
    others.append(DiskBlobStore(ManualClock(), str(tmp_path)))
    await put(store)

    assert await read(store) == CONTENT
    assert len(others) == 3
    for own in [store, *others]:
        await own.close()


async def test_what_only_looks_like_a_folder_of_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "passerby-notes").mkdir()
    (tmp_path / "passerby-notes" / "mine.txt").write_text("mine")
    (tmp_path / "passerby-file").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "lock").write_text("mine")

    store = DiskBlobStore(ManualClock(), str(tmp_path))
    await store.close()

    assert sorted(path.name for path in files_below(tmp_path)) == [
        "lock",
        "mine.txt",
        "passerby-file",
    ]


FULL = """
import asyncio, resource, sys
from passerby.clock import SystemClock
from passerby.files.blobs_disk import DiskBlobStore
from passerby.clock import SystemClock
store = DiskBlobStore(SystemClock(), sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    asyncio.run(store.write("file_one", bytes(1500)))
except OSError:
    print("refused")
asyncio.run(store.close())
"""


def test_a_piece_that_does_not_fit_is_an_error_and_never_half_a_piece(tmp_path: Path) -> None:
    """A limit on file size simulates a full disk."""
    process = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True, timeout=30
    )

    assert process.stdout == "refused\n"


# ── files on disk that outlive the process ────────────────────────────────────────────────────────


def keeping(directory: Path, clock: ManualClock | None = None) -> DiskBlobStore:
    return DiskBlobStore(clock or ManualClock(), str(directory), keep=True)


def dies(store: DiskBlobStore) -> None:
    """Let a store's process die: the system releases its locks, and nothing else happens."""
    while store._locks:
        os.close(store._locks.pop())


async def test_published_files_are_there_for_the_next_process_and_for_so_long(tmp_path: Path) -> None:
    clock = ManualClock()
    before = keeping(tmp_path, clock)
    await put(before)
    await put(before, b"short", "file_two", lifetime=10)
    clock.advance(9)
    await before.close()

    store = keeping(tmp_path, clock)

    assert store.is_durable
    assert {file.id: file for file in await store.files()} == {
        "file_one": described(),
        "file_two": described("file_two", 5),
    }
    assert await read(store) == CONTENT
    clock.advance(1)
    assert await store.find("file_two") is None
    assert await store.sweep() == 1
    await store.remove("file_one")
    await store.close()
    assert [path.name for path in files_below(tmp_path)] == ["lock"]


@pytest.mark.parametrize("how", [dies, DiskBlobStore.close], ids=["dies", "stops"])
async def test_what_is_not_published_or_has_expired_is_gone_when_the_next_process_has_begun(
    tmp_path: Path, how: Callable[[DiskBlobStore], object]
) -> None:
    clock = ManualClock()
    before = keeping(tmp_path, clock)
    await put(before, b"kept", "file_kept")
    await put(before, lifetime=10)
    await write(before, file_id="file_begun")
    clock.advance(10)
    ending = how(before)
    if asyncio.iscoroutine(ending):
        await ending

    store = keeping(tmp_path, clock)

    kept = [path for path in files_below(tmp_path) if path.name != "lock"]
    assert sorted(path.relative_to(tmp_path).as_posix() for path in kept) == [
        "passerby-files-kept/file_kept/about.json",
        "passerby-files-kept/file_kept/content",
    ]
    assert len(inside(tmp_path)) == 2
    await store.close()


async def test_a_kept_file_is_for_nobody_elses_eyes(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = keeping(tmp_path)
        await put(store)
    finally:
        os.umask(before)

    files = files_below(tmp_path)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.parent.stat().st_mode) for path in files} == {0o700}
    await store.close()


def cut(folder: Path) -> None:
    os.truncate(folder / "content", 100)


def lengthen(folder: Path) -> None:
    with (folder / "content").open("ab") as content:
        content.write(b"x")


def empty(folder: Path) -> None:
    (folder / "about.json").write_bytes(b"")


def garble(folder: Path) -> None:
    (folder / "about.json").write_bytes(b'{"file": {"secret": "\xff"}}')


def unname(folder: Path) -> None:
    about = (folder / "about.json").read_text().replace("file_one", "file_two")
    (folder / "about.json").write_text(about)


def lose(folder: Path) -> None:
    (folder / "content").unlink()


def replace(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"no folder")


@pytest.mark.parametrize("damage", [cut, lengthen, empty, garble, unname, lose, replace])
async def test_a_kept_file_that_is_damaged_is_removed_and_hurts_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    before = keeping(tmp_path)
    await put(before)
    await put(before, b"another", "file_other")
    await before.close()
    folder = tmp_path / "passerby-files-kept" / "file_one"
    damage(folder)

    store = keeping(tmp_path)

    assert await store.files() == [described("file_other", 7)]
    assert await read(store, "file_other") == b"another"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "secret" not in caplog.text
    assert not folder.exists()
    await store.close()
    assert len([path for path in files_below(tmp_path) if path.name != "lock"]) == 2


class DiedError(BaseException):
    """Stands for the death of the process."""


def dies_before(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the process die before its next step with a file, or the ones after."""
    left = itertools.count(step, -1)

    def guarded(call: Callable[..., object]) -> Callable[..., object]:
        def guard(*arguments: object, **named: object) -> object:
            if next(left) <= 0:
                raise DiedError
            return call(*arguments, **named)

        return guard

    for name in ("mkdir", "rename", "fdatasync", "open", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))


@pytest.mark.parametrize("step", range(9))
async def test_a_process_that_dies_while_it_publishes_leaves_a_whole_file_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    before = keeping(tmp_path)
    await write(before)
    with monkeypatch.context() as patch:
        dies_before(patch, step)
        with contextlib.suppress(DiedError):
            await before.publish(described(), LIFETIME)
    dies(before)

    store = keeping(tmp_path)

    found = await store.find("file_one")
    assert found == (described() if step >= 6 else None)
    assert await read(store) == (CONTENT if step >= 6 else b"")
    kept = [path for path in files_below(tmp_path) if path.name != "lock"]
    assert len(kept) == (2 if step >= 6 else 0)
    await store.close()


@pytest.mark.parametrize("step", range(7))
async def test_a_process_that_dies_while_it_removes_leaves_a_whole_file_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    before = keeping(tmp_path)
    await put(before)
    with monkeypatch.context() as patch:
        dies_before(patch, step)
        with contextlib.suppress(DiedError):
            await before.remove("file_one")
    dies(before)

    store = keeping(tmp_path)

    content = await read(store)
    assert content in (b"", CONTENT)
    assert (content == b"") is (await store.find("file_one") is None)
    kept = [path for path in files_below(tmp_path) if path.name != "lock"]
    assert len(kept) == (2 if content else 0)
    assert content == b"" or step < 4
    await store.close()


@pytest.mark.parametrize("call", ["mkdir", "rename", "fdatasync"])
async def test_a_file_that_cannot_be_kept_is_not_published_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store = keeping(tmp_path)
    empty = files_below(tmp_path)
    await write(store)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(OSError, match="No space"):
            await store.publish(described(), LIFETIME)

    assert await store.find("file_one") is None
    await store.remove("file_one")
    assert files_below(tmp_path) == empty
    await store.close()


KEEPING = """
import asyncio, sys
from passerby.clock import SystemClock
from passerby.files.blobs_disk import DiskBlobStore
from passerby.clock import SystemClock
from tests.files.test_blobs import put, write
async def main():
    store = DiskBlobStore(SystemClock(), sys.argv[1], keep=True)
    await put(store)
    await write(store, file_id="file_begun")
asyncio.run(main())
print("written", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def keeping_process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that keeps a file in `tmp_path`, and has begun another."""
    with subprocess.Popen(
        [sys.executable, "-c", KEEPING, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        yield process
        process.kill()


async def test_a_killed_process_leaves_its_published_files_and_nothing_else(
    keeping_process: subprocess.Popen[str], tmp_path: Path
) -> None:
    keeping_process.send_signal(signal.SIGKILL)
    keeping_process.wait()

    store = DiskBlobStore(SystemClock(), str(tmp_path), keep=True)

    assert await store.files() == [described()]
    assert await read(store) == CONTENT
    assert len(inside(tmp_path)) == 2
    await store.close()


async def test_processes_that_keep_files_leave_each_others_alone(
    keeping_process: subprocess.Popen[str], tmp_path: Path
) -> None:
    for keep in (True, False):
        store = DiskBlobStore(SystemClock(), str(tmp_path), keep=keep)
        await put(store, b"mine", "file_mine")
        assert await read(store, "file_mine") == b"mine"
        await store.remove("file_mine")
        await store.close()

    contents = [path.read_bytes() for path in files_below(tmp_path)]
    assert contents.count(CONTENT) == 2


async def test_a_process_that_keeps_nothing_removes_what_an_earlier_one_has_kept(tmp_path: Path) -> None:
    before = keeping(tmp_path)
    await put(before)
    await before.close()

    store = DiskBlobStore(ManualClock(), str(tmp_path))

    assert len(inside(tmp_path)) == 1
    assert not store.is_durable
    await store.close()
    assert inside(tmp_path) == []


async def test_a_directory_that_is_removed_while_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that keeps nothing begins at the same time as one that does."""
    lock = fcntl.flock

    def meanwhile(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        shutil.rmtree(tmp_path / "passerby-files-kept")
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", meanwhile)
    before = keeping(tmp_path)
    await put(before)
    await before.close()

    store = keeping(tmp_path)
    assert await read(store) == CONTENT
    await store.close()
