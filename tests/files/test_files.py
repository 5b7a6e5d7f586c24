"""Uploads and files at the level of the services: timing, quotas, names and memory, without sockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from passerby.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    PasserbyError,
    RateLimitedError,
    StorageFullError,
    TooLargeError,
    UnsupportedTypeError,
)
from passerby.files.blobs_disk import DiskBlobStore
from passerby.files.blobs_memory import MemoryBlobStore
from passerby.files.blobs_redis import RedisBlobStore
from passerby.files.space import STEP
from passerby.files.upload import Upload
from passerby.limits import Rate
from passerby.models import StoredFile
from tests.support.clock import ManualClock
from tests.support.conversation import PNG, TEXT, chunk, noise, png, wav
from tests.support.fakes import Gate
from tests.support.folders import entries
from tests.support.house import GRACE, House, Person
from tests.support.valkey import connected, valkey
from tests.support.weighed import Weighed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from passerby.files.blobs import BlobStore

KIB, MIB = 1 << 10, 1 << 20
TTL = 3600.0


class FileHouse(House):
    """A House for file tests. Pass a blob store to use it instead of the one in memory."""

    def __init__(self, blobs: BlobStore | None = None, **settings: object) -> None:
        stand_ins = {} if blobs is None else {"blobs": blobs}
        settings.setdefault("limit_uploads", Rate(1000, 1))
        super().__init__(clock=None, stand_ins=stand_ins, **settings)

    @property
    def blobs(self) -> BlobStore:
        return self.adapters.blobs

    def begin(self, person: Person, size: int | None = None, *, name: str = "a", voice: bool = False) -> Upload:
        return self.files.begin(person.live, name=name, claimed="", size=size, voice=voice)

    async def bring(self, person: Person, body: bytes, **options: Any) -> StoredFile:  # noqa: ANN401 - as `begin`
        upload = self.begin(person, len(body), **options)
        await upload.write(body)
        return await upload.finish(upload.room.id, 1.0 if upload.voice else None)

    async def content(self, file: StoredFile) -> bytes:
        return b"".join([part async for part in self.files.read(file, 0, file.size)])

    async def forgotten(self) -> None:
        """Wait for background removals, then check that nothing is left."""
        await self.background.settle()
        assert self.files.space.used == 0
        assert isinstance(self.blobs, MemoryBlobStore)
        assert self.blobs._pieces == {}
        assert self.blobs._index._files == {}


@pytest.fixture
def house() -> FileHouse:
    return FileHouse()


# ── uploading ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_file_is_known_with_all_that_its_bytes_say(house: FileHouse) -> None:
    anna, _ = await house.pair()
    room = anna.live.member.room  # type: ignore[union-attr]  # she is in one

    file = await house.bring(anna, PNG, name="a.png")

    assert msgspec.structs.asdict(file) == {
        "id": file.id,
        "room_id": room.id,
        "epoch": room.epoch,
        "owner": anna.id,
        "voice": False,
        "filename": "a.png",
        "mime_type": "image/png",
        "category": "image",
        "inline": True,
        "size": len(PNG),
        "expires_at": house.clock.time() + TTL,
        "seconds": None,
        "width": 3,
        "height": 2,
    }
    assert await house.content(file) == PNG


@pytest.mark.parametrize("size", [1, 7, 4096, 65_536, 100_000])
@pytest.mark.parametrize(
    "body",
    [
        b"x",
        TEXT,
        noise(4095),
        noise(4096),
        noise(4097),
        noise(65_537),
        noise(200_000),
        png(chunk(b"tEXt", bytes(9000))),
    ],
    ids=["1", "text", "4095", "4096", "4097", "65537", "200000", "png"],
)
async def test_how_a_body_is_cut_makes_no_difference(house: FileHouse, body: bytes, size: int) -> None:
    anna, _ = await house.pair()
    whole = await house.bring(anna, body)
    upload = house.begin(anna)
    for start in range(0, len(body), size):
        await upload.write(body[start : start + size])

    file = await upload.finish(upload.room.id)

    assert await house.content(file) == await house.content(whole)
    assert msgspec.structs.replace(file, id="") == msgspec.structs.replace(whole, id="")
    assert house.files.space.used == file.size + whole.size


async def test_nobody_finds_a_file_before_it_is_whole(house: FileHouse) -> None:
    anna, _ = await house.pair()
    upload = house.begin(anna)
    await upload.write(noise(200_000))

    with pytest.raises(NotFoundError):
        await house.files.of_member(upload.id, anna.live)


async def test_space_is_taken_in_steps_as_bytes_come(house: FileHouse) -> None:
    anna, _ = await house.pair()
    announced, unannounced = house.begin(anna, 1000), house.begin(anna)
    assert house.files.space.used == 0, "what is announced takes no space"

    await announced.write(b"x")
    assert house.files.space.used == 1000, "a step is no larger than the file"
    await unannounced.write(b"x")
    assert house.files.space.used == 1000 + STEP
    await unannounced.write(b"x" * STEP)
    assert house.files.space.used == 1000 + 2 * STEP
    await announced.finish(announced.room.id)
    assert house.files.space.used == 1 + 2 * STEP, "unneeded space is released"
    await unannounced.abort()
    assert house.files.space.used == 1


async def test_uploads_that_trickle_deny_nobody_an_upload() -> None:
    house = FileHouse(None, files_limit=20 * MIB, address_files_limit=100 * MIB)
    anna, berta = await house.pair()
    trickled = [house.begin(anna, 10 * MIB) for _ in range(4)]
    for upload in trickled:
        await upload.write(b"x")

    await house.bring(berta, noise(10 * MIB))
    assert house.files.space.used == 10 * MIB + len(trickled) * STEP


@pytest.mark.parametrize(
    ("quotas", "kind", "code"),
    [
        ({"room_files_limit": 3 * MIB}, TooLargeError, "room_storage_full"),
        ({"guest_files_limit": 3 * MIB}, TooLargeError, "guest_storage_full"),
        ({"address_files_limit": 3 * MIB}, StorageFullError, "storage_full"),
        ({"files_limit": 3 * MIB}, StorageFullError, "storage_full"),
    ],
)
async def test_an_upload_that_no_longer_fits_ends_and_leaves_its_place(
    quotas: dict[str, int], kind: type[PasserbyError], code: str
) -> None:
    house = FileHouse(None, **quotas)
    anna, _ = await house.pair()
    first, second = house.begin(anna, 2 * MIB), house.begin(anna, 2 * MIB)
    await first.write(noise(MIB))
    await second.write(noise(3 * MIB // 2))

    with pytest.raises(kind) as caught:
        await first.write(noise(MIB))
    assert caught.value.code == code
    await first.abort()
    await second.write(noise(MIB // 2))
    await second.finish(second.room.id)
    assert house.files.space.used == 2 * MIB


@pytest.mark.parametrize("end", ["room", "expiry", "abort"])
async def test_an_address_has_its_share_again_when_its_files_go(end: str) -> None:
    house = FileHouse(None, address_files_limit=MIB)
    anna, berta = await house.pair()
    upload = house.files.begin(anna.live, name="a", claimed="", size=MIB, voice=False, address="2001:db8::1")
    await upload.write(noise(MIB))
    if end != "abort":
        await upload.finish(upload.room.id)
    with pytest.raises(StorageFullError):
        house.files.begin(berta.live, name="a", claimed="", size=1, voice=False, address="2001:db8::2")
    house.files.begin(berta.live, name="a", claimed="", size=MIB, voice=False, address="192.0.2.1")

    if end == "abort":
        await upload.abort()
    elif end == "expiry":
        house.clock.advance(TTL + 1)
        await house.files.sweep()
    else:
        house.rooms.leave(anna.live, "user_left")
    await house.background.settle()
    assert house.files.space.addresses._counts == {}
    assert house.files.space.used == 0


async def test_an_upload_takes_no_more_than_it_announced(house: FileHouse) -> None:
    anna, _ = await house.pair()
    upload = house.begin(anna, 10)
    await upload.write(b"0123456789")

    with pytest.raises(TooLargeError) as caught:
        await upload.write(b"x")

    assert caught.value.code == "file_too_large"


@pytest.mark.parametrize(
    ("quotas", "kind", "code"),
    [
        ({"file_limit": 99}, TooLargeError, "file_too_large"),
        ({"room_files_limit": 99}, TooLargeError, "room_storage_full"),
        ({"guest_files_limit": 99}, TooLargeError, "guest_storage_full"),
        ({"address_files_limit": 99}, StorageFullError, "storage_full"),
        ({"files_limit": 99}, StorageFullError, "storage_full"),
    ],
)
async def test_every_quota_holds_to_the_byte(quotas: dict[str, int], kind: type[PasserbyError], code: str) -> None:
    house = FileHouse(None, **quotas)
    anna, _ = await house.pair()

    with pytest.raises(kind) as caught:
        house.begin(anna, 100)
    assert caught.value.code == code
    assert house.files.space.used == 0
    await house.bring(anna, noise(99))
    assert house.files.space.used == 99


CUT = png(chunk(b"IDAT", noise(200)))[:-30]
"""A picture that ends too early: 16 bytes complete it."""


async def test_what_is_stored_is_counted_also_where_a_picture_is_completed(house: FileHouse) -> None:
    anna, _ = await house.pair()

    file = await house.bring(anna, CUT)

    assert file.size == len(await house.content(file)) > len(CUT)
    assert house.files.space.used == file.size


@pytest.mark.parametrize("limit", ["file_limit", "room_files_limit", "guest_files_limit", "files_limit"])
async def test_what_completes_a_picture_keeps_to_the_quotas(limit: str) -> None:
    house = FileHouse(None, **{limit: len(CUT)})
    anna, _ = await house.pair()
    upload = house.begin(anna, len(CUT))
    await upload.write(CUT)

    with pytest.raises((TooLargeError, StorageFullError)):
        await upload.finish(upload.room.id)
    await upload.abort()

    await house.forgotten()


async def test_a_sound_does_not_become_a_multiple_of_what_came(house: FileHouse) -> None:
    anna, _ = await house.pair()
    first = b"OggS\0\2" + bytes(8) + b"%b" + bytes(8) + b"\2\x08\0Speex   "
    link = b"".join(first % number.to_bytes(4) for number in range(16)) + b"OggS\0\0" + bytes(20) + b"\1\0"
    upload = house.begin(anna)

    with pytest.raises(UnsupportedTypeError) as caught:
        await upload.write(link * (4 * MIB // len(link)))

    assert caught.value.code == "file_damaged"
    assert upload._stored <= 192 * KIB


async def test_a_guest_brings_so_many_and_then_waits(house: FileHouse) -> None:
    house = FileHouse(limit_uploads=Rate(3, 0.5))
    anna, _ = await house.pair()
    for _ in range(3):
        await house.bring(anna, b"x")

    with pytest.raises(RateLimitedError) as caught:
        house.begin(anna, 1)
    assert caught.value.retry_after == pytest.approx(2.0, abs=0.01)
    assert house.files.space.used == 3

    await house.pass_time(2.1)
    await house.bring(anna, b"x")


async def test_what_is_refused_at_once_is_no_upload_of_the_guests(house: FileHouse) -> None:
    house = FileHouse(limit_uploads=Rate(1, 0.001))
    anna, _ = await house.pair()
    for size in (0, 10 * MIB + 1):
        with pytest.raises((InvalidInputError, TooLargeError)):
            house.begin(anna, size)

    await house.bring(anna, b"x")


async def test_without_a_room_nothing_begins(house: FileHouse) -> None:
    anna = await house.visitor()

    for live in (anna.live, None):
        with pytest.raises(ConflictError) as caught:
            house.files.begin(live, name="a", claimed="", size=1, voice=False)
        assert caught.value.code == "not_in_room"


# ── failures during an upload ─────────────────────────────────────────────────────────────────────


async def test_an_aborted_upload_leaves_nothing_behind(house: FileHouse) -> None:
    anna, _ = await house.pair()
    for size in (0, 10, 5000, 200_000):
        upload = house.begin(anna)
        await upload.write(noise(size))
        await upload.abort()
        await house.forgotten()


@pytest.mark.parametrize(
    ("body", "voice", "kind"),
    [
        (b"", False, InvalidInputError),
        (PNG[:40], False, UnsupportedTypeError),
        (noise(9000), True, UnsupportedTypeError),
        (wav(302), True, InvalidInputError),
    ],
    ids=["empty", "half a picture", "no sound", "too long"],
)
async def test_an_upload_that_cannot_be_finished_leaves_nothing_behind(
    house: FileHouse, body: bytes, voice: bool, kind: type[PasserbyError]
) -> None:
    anna, _ = await house.pair()
    upload = house.begin(anna, voice=voice)

    async def go() -> None:
        await upload.write(body)
        await upload.finish(upload.room.id, 1.0)

    with pytest.raises(kind):
        await go()
    await upload.abort()
    await house.forgotten()


async def test_an_upload_is_for_the_room_it_began_in(house: FileHouse) -> None:
    anna, _ = await house.pair()
    upload = house.begin(anna)
    await upload.write(b"x")

    with pytest.raises(ForbiddenError) as caught:
        await upload.finish("another")

    assert caught.value.code == "not_your_room"


async def test_a_room_that_closes_ends_its_uploads(house: FileHouse) -> None:
    anna, berta = await house.pair()
    first, second = house.begin(anna), house.begin(berta)
    await first.write(noise(200_000))
    await second.write(b"x")
    house.rooms.leave(anna.live, "user_left")
    assert house.files.space.used == 0, "released at once"

    with pytest.raises(ConflictError) as caught:
        await first.write(b"x")
    assert caught.value.code == "room_closed"
    with pytest.raises(ConflictError) as caught:
        await second.finish(second.room.id)
    assert caught.value.code == "room_closed"
    for upload in (first, second):
        await upload.abort()
    await house.forgotten()


class SlowBlobStore(MemoryBlobStore):
    """Publishing a file waits for the gate `asked`."""

    asked: Gate

    async def publish(self, file: StoredFile, lifetime: float) -> None:
        await self.asked.passing()
        await super().publish(file, lifetime)


async def test_a_room_that_closes_while_a_file_is_published_does_not_keep_it() -> None:
    store = SlowBlobStore(ManualClock())
    house = FileHouse(store)
    store.asked = Gate()
    anna, _ = await house.pair()
    upload = house.begin(anna)
    await upload.write(b"x")
    store.asked.shut()
    finishing = asyncio.ensure_future(upload.finish(upload.room.id))
    await store.asked.arrival()
    house.rooms.leave(anna.live, "user_left")
    store.asked.open()

    with pytest.raises(ConflictError) as caught:
        await finishing
    await upload.abort()

    assert caught.value.code == "room_closed"
    await house.forgotten()


# ── lifetime ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_file_goes_when_its_time_is_over(house: FileHouse) -> None:
    anna, berta = await house.pair()
    old = await house.bring(anna, noise(1000))
    await house.pass_time(TTL / 2)
    young = await house.bring(berta, noise(500))
    await house.pass_time(TTL / 2)

    with pytest.raises(NotFoundError):
        await house.files.of_member(old.id, anna.live)
    await house.files.sweep()

    assert house.files.space.used == 500
    assert await house.files.of_member(young.id, anna.live) == young
    await house.pass_time(TTL)
    await house.files.sweep()
    await house.forgotten()


async def test_the_sweep_comes_by_itself(house: FileHouse) -> None:
    anna, _ = await house.pair()
    await house.bring(anna, b"x")
    house.start()

    await house.pass_time(TTL + 300)

    await house.forgotten()
    await house.stop()


async def test_a_file_that_has_expired_makes_room_only_once(house: FileHouse) -> None:
    anna, _ = await house.pair()
    await house.bring(anna, noise(1000))
    await house.pass_time(TTL)
    await house.files.sweep()
    await house.files.sweep()
    house.rooms.leave(anna.live, "user_left")

    await house.forgotten()


async def test_files_outlive_a_lost_connection_and_go_when_the_grace_is_over(house: FileHouse) -> None:
    anna, berta = await house.pair()
    file = await house.bring(anna, PNG)
    anna.drop()
    await house.pass_time(GRACE - 1)
    assert await house.files.of_member(file.id, berta.live) == file

    await house.pass_time(1)

    with pytest.raises(NotFoundError):
        await house.files.of_member(file.id, berta.live)
    await house.forgotten()


async def test_what_is_being_read_ends_when_the_room_closes(house: FileHouse) -> None:
    anna, _ = await house.pair()
    file = await house.bring(anna, noise(MIB))
    parts = house.files.read(file, 0, file.size)
    first = await anext(aiter(parts))

    house.rooms.leave(anna.live, "user_left")

    assert [part async for part in parts] == []
    assert first == noise(MIB)[: len(first)]


async def test_what_is_being_read_ends_when_the_file_expires(house: FileHouse) -> None:
    anna, _ = await house.pair()
    file = await house.bring(anna, noise(MIB))
    parts = house.files.read(file, 0, file.size)
    await anext(aiter(parts))

    await house.pass_time(TTL)

    assert [part async for part in parts] == []


async def test_a_part_of_a_file_is_not_taken_for_all_of_it(house: FileHouse) -> None:
    anna, _ = await house.pair()
    file = await house.bring(anna, noise(MIB))
    assert await house.files.whole(file) == noise(MIB)

    reading = house.files.read

    async def cut(file: StoredFile, start: int, stop: int) -> AsyncIterator[bytes]:
        yield await anext(aiter(reading(file, start, stop)))

    house.files.read = cut  # type: ignore[method-assign]
    with pytest.raises(NotFoundError):
        await house.files.whole(file)


async def test_a_room_is_forgotten_even_if_it_had_no_files(house: FileHouse) -> None:
    for _ in range(10):
        anna, _ = await house.pair()
        await house.begin(anna, 1).abort()
        house.rooms.leave(anna.live, "user_left")

    assert house.files._by_room == {}
    assert house.files.space.used == 0


# ── links ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_signature_is_of_one_file_in_one_room_until_one_time(house: FileHouse) -> None:
    anna, berta = await house.pair()
    carla, _ = await house.pair("Carla", "Dora")
    files = [await house.bring(anna, b"x"), await house.bring(berta, b"x"), await house.bring(carla, b"x")]
    links = house.files._links
    signatures = {links._sign(file, str(int(file.expires_at))) for file in files}
    assert len(signatures) == 3
    (first, *_) = files
    expires = str(int(first.expires_at))

    assert await house.files.signed(first.id, expires, links._sign(first, expires).decode()) == first
    moved = msgspec.structs.replace(first, epoch=first.epoch + 1)
    for query in (
        (None, None),
        (expires, None),
        (expires, ""),
        (expires, links._sign(moved, expires).decode()),
        (str(int(expires) + 1), links._sign(first, expires).decode()),
        (expires, "ü"),
    ):
        with pytest.raises(ForbiddenError) as caught:
            await house.files.signed(first.id, *query)
        assert caught.value.code == "link_invalid"


# ── stores that outlive the process ───────────────────────────────────────────────────────────────


async def test_a_store_that_outlives_the_process_keeps_the_files_of_open_rooms(tmp_path: Path) -> None:
    house = FileHouse(DiskBlobStore(ManualClock(), str(tmp_path), keep=True))
    anna, _ = await house.pair()
    carla, _ = await house.pair()
    kept = await house.bring(anna, PNG)
    await house.bring(carla, TEXT)
    begun = house.begin(anna)
    await begun.write(noise(100_000))
    cuts: list[str] = []
    house.rooms.leave(carla.live, "user_left")
    await house.background.settle()

    with house.files.serving(kept, lambda: cuts.append("cut")):
        await house.stop()

    assert cuts == ["cut"]
    with pytest.raises(ConflictError):
        await begun.write(b"more")
    later = DiskBlobStore(ManualClock(), str(tmp_path), keep=True)
    assert await later.files() == [kept]
    assert b"".join([part async for part in later.read(kept.id, 0, kept.size)]) == PNG
    await later.remove(kept.id)
    await later.close()
    assert [path.name for path in entries(tmp_path, "*/*")] == ["lock"]


# ── memory ────────────────────────────────────────────────────────────────────────────────────────


async def bring_in_pieces(house: FileHouse, size: int, total: int) -> StoredFile:
    """Upload in newly allocated pieces, as from a socket."""
    anna, _ = await house.pair()
    upload = house.begin(anna, total)
    for _ in range(total // size):
        await upload.write(noise(size))
    return await upload.finish(upload.room.id)


@pytest.mark.parametrize("size", [1000, 16 * KIB, 64 * KIB, 256 * KIB])
async def test_an_upload_to_memory_takes_little_more_than_its_bytes(house: FileHouse, size: int) -> None:
    total = 4 * MIB // size * size

    with Weighed() as weighed:
        file = await bring_in_pieces(house, size, total)

    assert file.size == total
    assert weighed.kept <= total + 128 * KIB
    assert weighed.most <= total + 256 * KIB + 4 * size


async def test_an_upload_in_single_bytes_takes_little_more_than_its_bytes(house: FileHouse) -> None:
    anna, _ = await house.pair()
    body = noise(20_000)

    with Weighed() as weighed:
        upload = house.begin(anna, len(body))
        for byte in body:
            await upload.write(bytes((byte,)))
        await upload.finish(upload.room.id)

    assert weighed.most <= len(body) + 256 * KIB


@pytest.mark.parametrize("size", [16 * KIB, 64 * KIB, 256 * KIB])
async def test_an_upload_to_disk_takes_next_to_no_memory(tmp_path: Path, size: int) -> None:
    house = FileHouse(DiskBlobStore(ManualClock(), str(tmp_path)))

    with Weighed() as weighed:
        file = await bring_in_pieces(house, size, 10 * MIB)

    assert weighed.kept <= 128 * KIB
    assert weighed.most <= 256 * KIB + 4 * size
    assert await house.content(file) == noise(size) * (10 * MIB // size)
    await house.stop()
    assert entries(tmp_path) == []


@pytest.mark.parametrize("size", [16 * KIB, 64 * KIB, 256 * KIB])
async def test_an_upload_to_redis_takes_next_to_no_memory(size: int) -> None:
    async with valkey() as server, connected(server.url) as redis:
        house = FileHouse(RedisBlobStore(redis, limit=20 * MIB, upload_timeout=600))

        with Weighed() as weighed:
            file = await bring_in_pieces(house, size, 10 * MIB)

        assert weighed.kept <= 128 * KIB
        assert weighed.most <= 512 * KIB + 4 * size
        assert await house.content(file) == noise(size) * (10 * MIB // size)
        await house.stop()


async def test_what_is_dropped_from_a_picture_takes_no_memory(house: FileHouse) -> None:
    anna, _ = await house.pair()
    body = png(chunk(b"tEXt", bytes(8 * MIB)))

    with Weighed() as weighed:
        upload = house.begin(anna, len(body))
        for start in range(0, len(body), 64 * KIB):
            await upload.write(body[start : start + 64 * KIB])
        await upload.finish(upload.room.id)

    assert weighed.most <= 512 * KIB
    assert house.files.space.used == len(PNG)


async def test_memory_comes_back_when_the_rooms_close(house: FileHouse) -> None:
    with Weighed() as weighed:
        for number in range(8):
            anna, berta = await house.pair()
            for person in (anna, berta):
                await house.bring(person, noise(512 * KIB, number))
            house.rooms.leave(anna.live, "user_left")
            await house.forgotten()

    assert weighed.kept <= 256 * KIB, "of 8 MiB"


async def test_uploads_that_are_given_up_hold_nothing(house: FileHouse) -> None:
    anna, _ = await house.pair()

    with Weighed() as weighed:
        for number in range(16):
            upload = house.begin(anna)
            await upload.write(noise(512 * KIB, number))
            await upload.abort()

    assert weighed.kept <= 256 * KIB, "of 8 MiB"


async def test_reading_takes_a_piece_at_a_time(house: FileHouse) -> None:
    anna, _ = await house.pair()
    file = await house.bring(anna, noise(4 * MIB))

    with Weighed() as weighed:
        async for part in house.files.read(file, 1, file.size):
            assert len(part) <= 64 * KIB

    assert weighed.most <= 512 * KIB
