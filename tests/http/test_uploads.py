from __future__ import annotations

import asyncio
import gc
import itertools
import json
import logging
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from passerby import app
from passerby.files.blobs_disk import DiskBlobStore
from passerby.files.blobs_memory import MemoryBlobStore
from passerby.files.space import STEP
from passerby.files.upload import Upload
from passerby.http.files import _Pace
from passerby.limits import Rate
from tests.media import recordings
from tests.support.client import PATIENCE
from tests.support.conversation import (
    BOUNDARY,
    FORM_TYPE,
    PNG,
    TEXT,
    JumpingClock,
    Two,
    Wire,
    chunk,
    form,
    noise,
    part,
    png,
    wav,
)
from tests.support.folders import entries
from tests.support.server import InsideServer, RunningServer, http_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.conftest import StartServer
    from tests.support.server import ServerProcess

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
LIMIT = 64 * 1024
MIB = 1 << 20


@pytest.fixture(autouse=True)
def no_errors(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail if the server logs an error: clients must not cause any."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    if "shared_process" in request.fixturenames:
        process: ServerProcess = request.getfixturevalue("shared_process")
        assert [record for record in process.records() if record["level"] in ("error", "critical")] == []


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check an error's status and envelope, and return it."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert (body["success"], body["code"]) == (False, code)
    assert body["message"]
    assert set(body) <= {"success", "message", "code", "errors", "retryAfter"}
    return body


def stored(server: InsideServer) -> dict[str, list[bytes]]:
    """Return the contents of the store in memory, including unfinished uploads."""
    store = server.application.services.files._store
    assert isinstance(store, MemoryBlobStore)
    return store._pieces


async def until(condition: Callable[[], bool]) -> None:
    """Run the event loop until `condition` is true."""
    async with asyncio.timeout(2 * PATIENCE):
        while not condition():  # noqa: ASYNC110 - the server's state has no event to wait for
            await asyncio.sleep(0.005)


async def emptied(server: InsideServer) -> None:
    """Wait until nothing is stored or reserved, and no files are known."""
    await until(lambda: not stored(server) and server.application.services.files.space.used == 0)
    assert server.application.services.files._store._index._files == {}  # type: ignore[attr-defined]  # the store in memory


async def test_an_upload_is_freed_without_the_garbage_collector(server: InsideServer) -> None:
    two = await Two.meet(server)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            assert (await two.put(PNG, "a.png")).status_code == 201
        await until(lambda: not [kept for kept in gc.get_objects() if isinstance(kept, _Pace)])
    finally:
        gc.enable()


# ── responses to uploads ──────────────────────────────────────────────────────────────────────────


async def test_a_raw_upload_answers_with_what_the_bytes_say(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)

    answer = await two.put(PNG, "bär 家.html", claimed="text/html")

    assert answer.status_code == 201
    body = answer.json()
    assert body["success"] is True
    info = body["data"]
    assert TIMESTAMP.fullmatch(info.pop("expiresAt"))
    file_id = info.pop("fileId")
    links = [info.pop(name) for name in ("fileUrl", "tempUrl", "downloadUrl")]
    assert links[0] == links[1]
    assert re.fullmatch(rf"/api/temp-files/temp/{file_id}\?expires=\d+&signature=[\w-]{{32}}", links[0])
    assert links[2] == links[0].replace("/temp/", "/download/")
    assert info == {
        "filename": "bär 家.html",
        "fileType": "image",
        "mimeType": "image/png",
        "fileSize": len(PNG),
        "isImage": True,
        "fileTypeCategory": "image",
        "width": 3,
        "height": 2,
    }
    assert await two.read({"fileUrl": links[0]}) == PNG


@pytest.mark.parametrize("room_first", [True, False])
async def test_a_form_may_bring_its_fields_in_any_order(shared_server: RunningServer, room_first: bool) -> None:
    two = await Two.meet(shared_server)
    parts = [part("roomId", two.room_id.encode()), part("file", TEXT, "notes.txt", "text/plain")]

    answer = await two.post(form(*(parts if room_first else reversed(parts))))

    assert answer.status_code == 201, answer.text
    info = answer.json()["data"]
    assert (info["filename"], info["mimeType"], info["fileSize"]) == ("notes.txt", "text/plain", len(TEXT))
    assert (info["isImage"], info["fileType"], "duration" in info) == (False, "document", False)
    assert await two.read(info) == TEXT


@pytest.mark.parametrize("way", ["form", "raw"])
async def test_a_voice_note_lasts_as_long_as_it_plays_whatever_its_sender_says(
    shared_server: RunningServer, way: str
) -> None:
    two = await Two.meet(shared_server)
    body = wav(2.5)
    parts = (part("duration", b"7"), part("file", body, "v.wav", "audio/wav"), part("roomId", two.room_id.encode()))

    answer = await (two.post(form(*parts), voice=True) if way == "form" else two.put(body, "v.wav", duration="7"))

    assert answer.status_code == 201, answer.text
    info = answer.json()["data"]
    assert (info["duration"], info["fileType"], info["mimeType"]) == (2.5, "audio", "audio/wav")
    assert await two.read(info) == body


@pytest.mark.parametrize("duration", ["", "x", "0", "-1", "nan", "inf", "-inf", "1e999", "300.5", "1e-9999", "0x10"])
@pytest.mark.parametrize("way", ["form", "raw"])
async def test_a_voice_note_needs_a_duration_within_the_limit(
    shared_server: RunningServer, way: str, duration: str
) -> None:
    two = await Two.meet(shared_server)
    parts = (part("duration", duration.encode()), part("file", wav(1), "v"), part("roomId", two.room_id.encode()))

    answer = await (two.post(form(*parts), voice=True) if way == "form" else two.put(wav(1), duration=duration))

    body = refused(answer, 400, "duration_invalid")
    assert body["errors"][0]["field"] == "duration"


async def test_a_voice_form_without_duration_is_refused(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)

    answer = await two.post(form(part("file", wav(1), "v"), part("roomId", two.room_id.encode())), voice=True)

    refused(answer, 400, "duration_invalid")


async def test_a_note_that_plays_longer_than_the_limit_is_refused_whatever_its_sender_says(
    start_server: StartServer,
) -> None:
    server = await start_server(voice_limit=3.0)
    two = await Two.meet(server)

    assert (await two.put(wav(3), duration="3")).status_code == 201
    refused(await two.put(wav(5), duration="3"), 400, "duration_invalid")


@pytest.mark.parametrize("body", [PNG, TEXT, b"%PDF-1.7\n", noise(5000)], ids=["png", "text", "pdf", "noise"])
async def test_only_sound_is_a_voice_note(shared_server: RunningServer, body: bytes) -> None:
    two = await Two.meet(shared_server)

    refused(await two.put(body, claimed="audio/webm", duration="2"), 415, "not_audio")


@pytest.mark.parametrize("claimed", ["audio/webm", "video/webm", "application/octet-stream", "text/html"])
async def test_a_voice_note_is_what_its_bytes_say(shared_server: RunningServer, claimed: str) -> None:
    two = await Two.meet(shared_server)
    for recording, kind in ((recordings.WEBM_RECORDED, "audio/webm"), (recordings.MP4_FRAGMENTED, "audio/mp4")):
        answer = await two.put(recording, claimed=claimed, duration="2")
        assert (answer.status_code, answer.json()["data"]["mimeType"]) == (201, kind)

    film = recordings.WEBM_RECORDED.replace(b"A_OPUS", b"V_VP8\0")
    refused(await two.put(film, claimed="audio/webm", duration="2"), 415, "not_audio")
    info = (await two.put(film, claimed="audio/webm")).json()["data"]
    assert (info["mimeType"], info["fileType"]) == ("video/webm", "video")


OGG_WITHOUT_SOUND = b"OggS\0\2" + bytes(20) + b"\1\x13OpusHead\1\1" + bytes(9)


async def test_a_duration_is_never_nothing(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    head = b"\0\0\0\x18ftypisom\0\0\0\0isommp42"
    short = struct.pack(">I4sIIII", 24, b"mvhd", 0, 0, 0, 1_000_000) + struct.pack(">I", 1)
    video = head + struct.pack(">I4s", 8 + len(short) + 4, b"moov") + struct.pack(">I", len(short) + 4) + short[4:]

    for info in (
        await two.upload(OGG_WITHOUT_SOUND, duration="0.0001"),
        await two.upload(video + bytes(4), claimed="video/mp4"),
    ):
        assert info.get("duration", 1) > 0


async def test_ids_are_long_random_and_safe_in_a_path(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    ids = [(await two.upload(b"x"))["fileId"] for _ in range(20)]

    assert len(set(ids)) == 20
    assert all(re.fullmatch(r"file_[A-Za-z0-9_-]{24}", file_id) for file_id in ids), "144 bits"
    for place in range(5, 29):
        assert len({file_id[place] for file_id in ids}) > 5, "no part of it is constant"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/etc/shadow", "shadow"),
        ("a.png\r\nX: y", "a.pngX_ y"),
        ("a\0.png", "a.png"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("..", "file"),
        ("", "file"),
        ("n" * 5000 + ".jpeg", "n" * 115 + ".jpeg"),
        ("дом 家 🏠.png", "дом 家 🏠.png"),
        ('"quoted"; x=%41.txt', "_quoted_; x=%41.txt"),
    ],
    ids=lambda name: ascii(name)[:20],
)
@pytest.mark.parametrize("way", ["form", "raw"])
async def test_a_name_is_only_ever_a_name(shared_server: RunningServer, way: str, name: str, kept: str) -> None:
    two = await Two.meet(shared_server)
    inside = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")  # as browsers do
    parts = (part("roomId", two.room_id.encode()), part("file", b"x", inside))

    answer = await (two.post(form(*parts)) if way == "form" else two.put(b"x", name))

    assert answer.status_code == 201, answer.text
    info = answer.json()["data"]
    assert info["filename"] == kept
    fetched = await two.http.get(info["downloadUrl"])
    assert (fetched.status_code, fetched.content, "x" in fetched.headers) == (200, b"x", False)


async def test_a_line_end_within_a_forms_file_name_ends_the_header(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)

    answer = await two.post(form(part("roomId", two.room_id.encode()), part("file", b"x", "a.png\r\nX: y")))

    refused(answer, 400, "file_missing")  # no file name remains, so the part is a plain field


async def test_what_is_dropped_from_a_picture_counts_for_nothing(server: InsideServer) -> None:
    two = await Two.meet(server)
    picture = png(chunk(b"tEXt", b"Location\0" + b"here" * 5000))

    info = await two.upload(picture + b"and behind its end, a secret")

    assert info["fileSize"] == len(PNG)
    assert await two.read(info) == PNG
    assert server.application.services.files.space.used == len(PNG)


# ── accepted forms ────────────────────────────────────────────────────────────────────────────────


async def asked(server: InsideServer, two: Two, pieces: list[bytes]) -> tuple[int, Any]:
    """Pass a form to the application in exactly these chunks (impossible over a socket); return status, JSON."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Any] = []

    async def receive() -> Any:  # noqa: ANN401 - an ASGI message
        return messages.pop(0) if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:  # noqa: ANN401 - an ASGI message
        sent.append(message)

    await server.application(
        {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/api/files/upload",
            "raw_path": b"/api/files/upload",
            "root_path": "",
            "query_string": b"",
            "headers": [
                (name.lower().encode(), value.encode()) for name, value in {**two.anna.headers, **FORM_TYPE}.items()
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        },
        receive,
        send,
    )
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]))


async def test_a_form_may_arrive_cut_anywhere(start_server: StartServer) -> None:
    server = await start_server(limits_scale=1000.0)
    two = await Two.meet(server)
    content = b"\r\n--\r\n\r" + f"--{BOUNDARY[:-1]}".encode() + b"\r"
    whole = form(part("file", content, "a"), part("roomId", two.room_id.encode()))

    for at in range(1, len(whole)):
        status, body = await asked(server, two, [whole[:at], whole[at:]])
        assert status == 201, (whole[:at], body)
        assert body["data"]["fileSize"] == len(content)
    status, body = await asked(server, two, [bytes([byte]) for byte in whole])
    assert status == 201, body
    assert await two.read(body["data"]) == content
    status, body = await asked(server, two, [whole.removesuffix(b"\r\n")])
    assert status == 201, "the final line end is optional"


# ── refused uploads ───────────────────────────────────────────────────────────────────────────────


def field(name: str, value: bytes | str = b"x") -> bytes:
    return part(name, value if isinstance(value, bytes) else value.encode())


FILE = part("file", b"x", "a")
BAD_FORMS: dict[str, tuple[bytes, int, str]] = {
    "no file": (form(field("roomId")), 400, "file_missing"),
    "the file is a mere field": (form(field("file"), field("roomId")), 400, "file_missing"),
    "empty file": (form(part("file", b"", "a"), field("roomId", "<room>")), 400, "file_empty"),
    "no file chosen": (form(part("file", b"", ""), field("roomId", "<room>")), 400, "file_empty"),
    "two files": (form(FILE, part("other", b"y", "b")), 400, "upload_malformed"),
    "no room": (form(FILE), 403, "not_your_room"),
    "another room": (form(FILE, field("roomId", "guest_a_guest_b")), 403, "not_your_room"),
    "no parts at all": (form(), 400, "file_missing"),
    "nothing": (b"", 400, "upload_malformed"),
    "not ended": (form(FILE)[:-4], 400, "upload_malformed"),
    "ends within the file": (FILE[:-3], 400, "upload_malformed"),
    "another boundary": (form(FILE).replace(BOUNDARY.encode(), b"another"), 400, "upload_malformed"),
    "garbage": (noise(3000), 400, "upload_malformed"),
    "nine parts": (form(*[field("f")] * 9), 400, "upload_malformed"),
    "a long field": (form(FILE, field("roomId", "r" * 257)), 400, "upload_malformed"),
    "a part header of 1 MB": (part("file", b"x", "a" * 1_000_000), 400, "upload_malformed"),
    "1 MB of part headers": (part("file", b"x", "a", "x\r\nX-Y: z" * 100_000), 400, "upload_malformed"),
    "a part without a name": (form(f"--{BOUNDARY}\r\nX: y\r\n\r\nx\r\n".encode()), 400, "upload_malformed"),
    "bare line feeds": (form(FILE).replace(b"\r\n", b"\n"), 400, "upload_malformed"),
    "a name that is no UTF-8": (form(FILE.replace(b'"a"', b'"\xff\xfe"')), 400, "upload_malformed"),
    "a part's length is a lie": (form(part("file", b"x", "a", "x\r\nContent-Length: 7")), 400, "upload_malformed"),
}


@pytest.mark.parametrize(("body", "status", "code"), BAD_FORMS.values(), ids=BAD_FORMS.keys())
async def test_a_bad_form_is_refused(shared_server: RunningServer, body: bytes, status: int, code: str) -> None:
    two = await Two.meet(shared_server)

    answer = await two.post(body.replace(b"<room>", two.room_id.encode()))

    refused(answer, status, code)
    assert len(answer.content) < 500, "the refusal does not repeat what was sent"


async def test_no_refused_upload_leaves_anything_behind(start_server: StartServer) -> None:
    server = await start_server(limits_scale=1000.0)
    two = await Two.meet(server)
    for body, status, _ in BAD_FORMS.values():
        assert (await two.post(body.replace(b"<room>", two.room_id.encode()))).status_code == status
        await emptied(server)
    bad = png(chunk(b"IDAT", noise(200_000)) + b"\0\0\0\1!!!!")
    for body, code in (
        (PNG[:40], "file_damaged"),
        (b"II*\0" + noise(200_000), "unsupported_type"),
        (bad, "file_damaged"),
    ):
        refused(await two.put(body), 415, code)
        await emptied(server)
    refused(await two.put(wav(200), duration="0"), 400, "duration_invalid")
    refused(await two.put(noise(200_000), duration="1"), 415, "not_audio")
    await emptied(server)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 2000,
        "multipart/mixed; boundary=x",
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=\xff",
    ],
    ids=lambda value: ascii(value)[:48],
)
async def test_a_form_that_is_none_is_refused(shared_server: RunningServer, content_type: str | None) -> None:
    two = await Two.meet(shared_server)
    headers = [(name, value.encode("latin-1")) for name, value in two.anna.headers.items()]
    if content_type is not None:
        headers.append(("Content-Type", content_type.encode("latin-1")))

    answer = await two.http.post(
        "/api/files/upload",
        content=form(FILE, field("roomId", two.room_id)),
        headers=[(name.encode(), value) for name, value in headers],
    )

    refused(answer, 400, "upload_malformed")


async def test_an_empty_body_is_no_file(server: InsideServer) -> None:
    two = await Two.meet(server)

    refused(await two.put(b""), 400, "file_empty")
    wire = await Wire.open(server)
    await wire.send(
        f"PUT /api/files/{two.room_id} HTTP/1.1", bearer(two), "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    )
    answer = await wire.answer()
    await wire.abort()
    assert (answer.status, answer.json()["code"]) == (400, "file_empty")
    await emptied(server)


async def test_a_file_may_be_as_large_as_the_limit_and_not_a_byte_larger(start_server: StartServer) -> None:
    server = await start_server(file_limit=LIMIT)
    two = await Two.meet(server)
    room = field("roomId", two.room_id)

    for body in (noise(LIMIT, 1), noise(LIMIT, 2)):
        for answer in (await two.put(body), await two.post(form(part("file", body, "a"), room))):
            assert answer.status_code == 201, answer.text
            assert await two.read(answer.json()["data"]) == body
    for answer in (await two.put(noise(LIMIT + 1)), await two.post(form(part("file", noise(LIMIT + 1), "a"), room))):
        body_of = refused(answer, 413, "file_too_large")
        assert body_of["errors"][0]["field"] == "file"
    assert server.application.services.files.space.used == 4 * LIMIT


async def test_the_limit_holds_for_a_body_without_announced_length(start_server: StartServer) -> None:
    server = await start_server(file_limit=LIMIT)
    two = await Two.meet(server)
    for size, status, word in ((LIMIT, 201, b'"fileId"'), (LIMIT + 1, 413, b'"file_too_large"')):
        body = noise(size)
        wire = await Wire.open(server)
        await wire.send(f"PUT /api/files/{two.room_id} HTTP/1.1", bearer(two), "Transfer-Encoding: chunked")
        answer = await wire.trickle([*(in_chunk(body[at : at + 5000]) for at in range(0, size, 5000)), b"0\r\n\r\n"])
        await wire.abort()
        assert answer.status == status, answer.body
        assert word in answer.body
    assert server.application.services.files.space.used == LIMIT, "reserved but unneeded space is released"


@pytest.mark.parametrize("length", ["x", "-1", "1x", "0x10", "", "9" * 40, "1, 2", "+5"])
@pytest.mark.parametrize("path", ["/api/files/{room}", "/api/files/upload"])
async def test_a_length_that_is_none_ends_the_request(shared_server: RunningServer, path: str, length: str) -> None:
    two = await Two.meet(shared_server)
    wire = await Wire.open(shared_server)
    method = "POST" if path.endswith("upload") else "PUT"
    content_type = f"Content-Type: {FORM_TYPE['Content-Type']}"

    await wire.send(
        f"{method} {path.format(room=two.room_id)} HTTP/1.1",
        bearer(two),
        content_type,
        f"Content-Length: {length}",
        body=b"x" * 5,
    )

    assert (await wire.answer()).status == 400
    await wire.abort()


async def test_a_length_and_chunks_at_once_are_refused(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    wire = await Wire.open(shared_server)

    await wire.send(
        f"PUT /api/files/{two.room_id} HTTP/1.1", bearer(two), "Content-Length: 5", "Transfer-Encoding: chunked"
    )

    assert (await wire.answer()).status == 400
    await wire.abort()


async def test_a_body_shorter_than_announced_leaves_nothing_behind(server: InsideServer) -> None:
    two = await Two.meet(server)
    whole = form(part("file", noise(200_000), "a"), field("roomId", two.room_id))
    content_type = f"Content-Type: {FORM_TYPE['Content-Type']}"
    for head, body in (
        ((f"PUT /api/files/{two.room_id} HTTP/1.1", "Content-Length: 300000"), noise(200_000)),
        ((f"PUT /api/files/{two.room_id} HTTP/1.1", "Content-Length: 300000"), png(chunk(b"tEXt", bytes(90_000)))),
        ((f"PUT /api/files/{two.room_id} HTTP/1.1", "Transfer-Encoding: chunked"), in_chunk(noise(200_000))),
        (("POST /api/files/upload HTTP/1.1", "Content-Length: 300000", content_type), whole[:-5]),
        (("POST /api/files/upload HTTP/1.1", "Content-Length: 300000", content_type), whole[:80]),
    ):
        wire = await Wire.open(server)
        await wire.send(*head, bearer(two), body=body)
        if len(body) > 80:
            await until(lambda: server.application.services.files.space.used > 0)
        await wire.abort()
        await emptied(server)


async def test_bytes_beyond_the_announced_length_are_a_request_of_their_own(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    wire = await Wire.open(shared_server)
    second = f"GET /api/guest/me HTTP/1.1\r\nHost: passerby\r\n{bearer(two)}\r\n\r\n"

    await wire.send(
        f"PUT /api/files/{two.room_id} HTTP/1.1", bearer(two), "Content-Length: 3", body=b"abc" + second.encode()
    )

    answer = await wire.answer()
    assert answer.status == 201
    assert answer.json()["data"]["fileSize"] == 3
    assert (await wire.answer()).json()["data"]["user"]["id"] == two.anna.id
    await wire.push(b"and no request\r\n\r\n")
    assert (await wire.answer()).status == 400
    await wire.abort()
    assert await two.read(answer.json()["data"]) == b"abc"


async def test_a_body_without_end_is_answered_in_time(start_server: StartServer) -> None:
    server = await start_server(upload_timeout=0.3)
    two = await Two.meet(server)
    content_type = f"Content-Type: {FORM_TYPE['Content-Type']}"
    beginning = part("file", b"", "a").removesuffix(b"\r\n")
    for head, first in (
        ((f"PUT /api/files/{two.room_id} HTTP/1.1",), b""),
        (("POST /api/files/upload HTTP/1.1", content_type), in_chunk(beginning)),
    ):
        wire = await Wire.open(server)
        await wire.send(*head, bearer(two), "Transfer-Encoding: chunked", body=first)
        answer = await wire.trickle(itertools.repeat(in_chunk(b"x" * 10)))
        await wire.abort()
        assert (answer.status, answer.json()["code"]) == (408, "upload_timeout")
        await emptied(server)


@pytest.fixture
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.http.files.PACE_GRACE", 0.2)
    monkeypatch.setattr("passerby.http.files.PACE_WINDOW", 0.2)


@pytest.mark.usefixtures("short_windows")
async def test_an_upload_that_is_too_slow_loses_its_place(start_server: StartServer) -> None:
    server = await start_server(upload_pace=10_000)
    two = await Two.meet(server)
    content_type = f"Content-Type: {FORM_TYPE['Content-Type']}"
    beginning = part("file", b"", "a").removesuffix(b"\r\n")
    for head, first in (
        ((f"PUT /api/files/{two.room_id} HTTP/1.1",), noise(10_000)),  # a fast beginning buys little time
        (("POST /api/files/upload HTTP/1.1", content_type), beginning),
    ):
        wire = await Wire.open(server)
        await wire.send(*head, bearer(two), "Content-Length: 1000000", body=first)
        answer = await wire.trickle(itertools.repeat(b"x"))
        await wire.abort()
        assert (answer.status, answer.json()["code"]) == (408, "upload_timeout")
        assert answer.json()["message"] == "The upload is too slow"
        await emptied(server)


@pytest.mark.usefixtures("short_windows")
async def test_an_upload_may_pause_after_it_was_fast(start_server: StartServer) -> None:
    server = await start_server(upload_pace=10_000)
    two = await Two.meet(server)
    wire = await Wire.open(server)
    body = noise(10_000)
    await wire.send(f"PUT /api/files/{two.room_id} HTTP/1.1", bearer(two), f"Content-Length: {len(body)}")
    await wire.push(body[:-1])
    await asyncio.sleep(0.6)  # until after the first two looks
    await wire.push(body[-1:])
    answer = await wire.answer()
    await wire.abort()
    assert answer.status == 201


@pytest.mark.usefixtures("short_windows")
@pytest.mark.parametrize("pace", [10_000, 0])
async def test_an_upload_that_keeps_its_pace_ends_well(start_server: StartServer, pace: int) -> None:
    server = await start_server(upload_pace=pace)
    two = await Two.meet(server)
    wire = await Wire.open(server)
    body, size = noise(60_000), 4_000 if pace else 1_000
    body = body[: 15 * size]
    await wire.send(f"PUT /api/files/{two.room_id} HTTP/1.1", bearer(two), f"Content-Length: {len(body)}")
    for start in range(0, len(body), size):
        await wire.push(body[start : start + size])
        await asyncio.sleep(0.08)
    answer = await wire.answer()
    await wire.abort()
    assert answer.status == 201
    assert await two.read(answer.json()["data"]) == body


async def test_uploads_that_trickle_deny_nobody_an_upload(start_server: StartServer) -> None:
    server = await start_server(files_limit=16 * MIB)
    one, other = await Two.meet(server), await Two.meet(server)
    wires = [await Wire.open(server) for _ in range(12)]
    for wire in wires:
        await wire.send(f"PUT /api/files/{one.room_id} HTTP/1.1", bearer(one), f"Content-Length: {10 * MIB}", body=b"x")
    await until(lambda: server.application.services.files.space.used == 12 * STEP)

    assert (await other.put(noise(10 * MIB))).status_code == 201
    await asyncio.gather(*(wire.abort() for wire in wires))


async def test_an_address_has_a_share_of_the_space(start_server: StartServer) -> None:
    server = await start_server(address_files_limit=1000, trusted_proxies=("127.0.0.0/8",))
    two = await Two.meet(server)

    for address, status in (("192.0.2.1", 201), ("192.0.2.1", 507), ("192.0.2.2", 201)):
        answer = await two.put(noise(900), headers={"X-Forwarded-For": address})
        assert answer.status_code == status


async def test_a_body_that_stops_is_answered_in_time(start_server: StartServer) -> None:
    server = await start_server(upload_timeout=0.2)
    two = await Two.meet(server)
    wire = await Wire.open(server)

    await wire.send(f"PUT /api/files/{two.room_id} HTTP/1.1", bearer(two), "Content-Length: 1000", body=b"x")

    answer = await wire.answer()
    await wire.abort()
    assert (answer.status, answer.json()["code"]) == (408, "upload_timeout")
    await emptied(server)


def bearer(two: Two) -> str:
    return f"Authorization: Bearer {two.anna.token}"


def in_chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def test_a_picture_of_too_many_pixels_is_refused_before_it_is_whole(start_server: StartServer) -> None:
    server = await start_server(picture_pixels=5)
    two = await Two.meet(server)

    refused(await two.put(PNG), 413, "picture_too_large")
    refused(await two.put(PNG[:-3]), 413, "picture_too_large")
    await emptied(server)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (PNG[:40], "file_damaged"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "file_damaged"),
        (b"GIF89a" + bytes(9), "file_damaged"),
        (b"RIFF\0\0\0\0WAVE", "file_damaged"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "unsupported_type"),
        (b"II*\0" + bytes(50), "unsupported_type"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(50), "unsupported_type"),
    ],
    ids=["a bit of a PNG", "a bit of a JPEG", "an empty GIF", "an empty WAV", "HEIC", "TIFF", "WMA"],
)
async def test_a_damaged_or_unsafe_file_is_refused(shared_server: RunningServer, body: bytes, code: str) -> None:
    two = await Two.meet(shared_server)

    refused(await two.put(body), 415, code)


async def test_a_picture_without_its_end_is_completed(start_server: StartServer, tmp_path: Path) -> None:
    for store in ("memory", "disk"):
        server = await start_server(file_store=store, file_directory=str(tmp_path))
        two = await Two.meet(server)

        assert await two.read(await two.upload(PNG[:-12])) == PNG


@pytest.mark.parametrize("store", ["memory", "disk"])
async def test_what_is_known_only_at_the_end_is_written_before_anybody_reads_it(
    start_server: StartServer, tmp_path: Path, store: str
) -> None:
    server = await start_server(file_store=store, file_directory=str(tmp_path))
    two = await Two.meet(server)
    sound = wav(100)
    unknown = sound[:4] + b"\xff" * 4 + sound[8:40] + b"\xff" * 4 + sound[44:]

    info = await two.upload(unknown)

    assert await two.read(info) == sound
    assert info["duration"] == pytest.approx(100)


# ── access ────────────────────────────────────────────────────────────────────────────────────────


async def test_an_upload_needs_a_token(shared_server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for headers, code in (
        ({}, "token_required"),
        ({"Authorization": "Basic eDp5"}, "token_required"),
        ({"Authorization": "Bearer x"}, "token_invalid"),
    ):
        refused(await shared_server.http.put("/api/files/guest_a_guest_b", content=b"x", headers=headers), 401, code)
        refused(
            await shared_server.http.post("/api/files/upload", content=b"x", headers={**FORM_TYPE, **headers}),
            401,
            code,
        )


async def test_an_expired_token_is_refused(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock()
    monkeypatch.setattr(app, "PatientClock", lambda _watch: clock)
    two = await Two.meet(await start_server())
    clock.ahead += 7201

    answer = await two.put(b"x")

    assert refused(answer, 401, "token_expired")["message"] == "Token has expired"


async def test_the_token_of_an_ended_session_is_refused(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    await two.http.delete("/api/guest/me", headers=two.anna.headers)

    refused(await two.put(b"x"), 401, "session_not_found")


async def test_only_who_is_in_a_room_uploads(server: InsideServer) -> None:
    two = await Two.meet(server)
    carla, _ = await server.visitor()
    dora = await server.newcomer()

    for stranger in (carla, dora):
        refused(await two.put(b"x", by=stranger), 409, "not_in_room")
    await emptied(server)


async def test_nobody_uploads_into_anothers_room(server: InsideServer) -> None:
    two, others = await Two.meet(server), await Two.meet(server)

    refused(await two.put(noise(100_000), room=others.room_id), 403, "not_your_room")
    refused(await two.put(b"x", room="x"), 403, "not_your_room")
    await emptied(server)


async def test_a_room_that_has_closed_takes_nothing(server: InsideServer) -> None:
    two = await Two.meet(server)
    await two.part_ways()

    refused(await two.put(b"x"), 409, "not_in_room")
    refused(await two.post(form(FILE, field("roomId", two.room_id))), 409, "not_in_room")
    await emptied(server)


@pytest.mark.parametrize("way", ["raw", "form"])
async def test_a_room_that_closes_during_the_upload_takes_nothing(server: InsideServer, way: str) -> None:
    two = await Two.meet(server)
    wire = await Wire.open(server)
    if way == "raw":
        await wire.send(f"PUT /api/files/{two.room_id} HTTP/1.1", bearer(two), "Content-Length: 300000")
    else:
        kind = f"Content-Type: {FORM_TYPE['Content-Type']}"
        await wire.send("POST /api/files/upload HTTP/1.1", bearer(two), kind, "Content-Length: 300000")
        await wire.push(field("roomId", two.room_id) + part("file", b"", "a").removesuffix(b"\r\n"))
    await wire.push(noise(200_000))
    await until(lambda: bool(stored(server)))

    await two.part_ways()
    assert server.application.services.files.space.used == 0
    await wire.push(noise(50_000))

    answer = await wire.answer()
    await wire.abort()
    assert (answer.status, answer.json()["code"]) == (409, "room_closed")
    await emptied(server)


async def test_a_room_that_closes_and_opens_again_during_the_upload_takes_nothing(server: InsideServer) -> None:
    two = await Two.meet(server)
    wire = await Wire.open(server)
    await wire.send(
        f"PUT /api/files/{two.room_id} HTTP/1.1", bearer(two), "Content-Length: 200001", body=noise(200_000)
    )
    await until(lambda: bool(stored(server)))
    await two.part_ways()
    await two.other.until("chat:cleared")
    again = await server.match(two.one, two.other)
    assert again["roomId"] == two.room_id

    await wire.push(b"x")

    answer = await wire.answer()
    await wire.abort()
    assert (answer.status, answer.json()["code"]) == (409, "room_closed")
    await emptied(server)


# ── quotas ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_room_holds_so_much(start_server: StartServer) -> None:
    server = await start_server(file_limit=LIMIT, room_files_limit=3 * LIMIT, guest_files_limit=2 * LIMIT)
    two, others = await Two.meet(server), await Two.meet(server)
    for by in (two.anna, two.anna, two.berta):
        await two.upload(noise(LIMIT), by=by)

    refused(await two.put(b"x", by=two.berta), 413, "room_storage_full")
    assert (await others.put(b"x")).status_code == 201, "another room has its own quota"


async def test_a_guest_brings_so_much(start_server: StartServer) -> None:
    server = await start_server(file_limit=LIMIT, room_files_limit=9 * LIMIT, guest_files_limit=2 * LIMIT)
    two = await Two.meet(server)
    await two.upload(noise(LIMIT))
    await two.upload(noise(LIMIT - 1))

    refused(await two.put(b"xy"), 413, "guest_storage_full")
    await two.upload(b"x")
    refused(await two.put(b"x"), 413, "guest_storage_full")
    assert (await two.put(b"x", by=two.berta)).status_code == 201


async def test_the_process_holds_so_much_and_tells_when_to_come_back(start_server: StartServer) -> None:
    server = await start_server(file_limit=LIMIT, files_limit=2 * LIMIT)
    two, others = await Two.meet(server), await Two.meet(server)
    await two.upload(noise(LIMIT))
    await two.upload(noise(LIMIT))

    answer = await others.put(b"x")
    body = refused(answer, 507, "storage_full")
    assert body["retryAfter"] > 0
    assert answer.headers["retry-after"] == str(body["retryAfter"])[:2]

    await two.part_ways()
    assert (await others.put(noise(LIMIT))).status_code == 201


async def test_a_guest_uploads_so_often(start_server: StartServer) -> None:
    server = await start_server(limit_uploads=Rate(2, 0.01))
    two = await Two.meet(server)
    await two.upload(b"1")
    assert (await two.post(form(FILE, field("roomId", two.room_id)))).status_code == 201

    answer = await two.put(b"3")

    body = refused(answer, 429, "rate_limited")
    assert 0 < body["retryAfter"] <= 100
    assert int(answer.headers["retry-after"]) >= body["retryAfter"]
    assert (await two.put(b"x", by=two.berta)).status_code == 201, "the partner has their own quota"
    refused(await two.post(form(FILE, field("roomId", two.room_id))), 429, "rate_limited")


async def test_an_address_uploads_so_often(start_server: StartServer) -> None:
    server = await start_server(limit_address_uploads=Rate(3, 0.01), trusted_proxies=("127.0.0.1",))
    two, others = await Two.meet(server), await Two.meet(server)
    for by in (two.anna, two.berta):
        await two.upload(b"x", by=by)
    await others.upload(b"x")

    answer = await others.put(b"x", by=others.berta)

    assert 0 < refused(answer, 429, "rate_limited")["retryAfter"] <= 100
    elsewhere = {"X-Forwarded-For": "203.0.113.9"}
    assert (await others.put(b"x", by=others.berta, headers=elsewhere)).status_code == 201
    assert (await two.http.get("/api/guest/me", headers=two.anna.headers)).status_code == 200


async def test_a_refused_upload_costs_no_space(start_server: StartServer) -> None:
    server = await start_server(file_limit=LIMIT, room_files_limit=LIMIT, guest_files_limit=LIMIT)
    two = await Two.meet(server)
    for _ in range(5):
        refused(await two.put(b"\xff\xd8\xff\xe0\0\4JF" + bytes(50_000)), 415, "file_damaged")
        refused(await two.put(noise(LIMIT), room="another"), 403, "not_your_room")

    assert (await two.put(noise(LIMIT))).status_code == 201


# ── concurrent and aborted uploads ────────────────────────────────────────────────────────────────


async def test_of_200_uploads_at_once_those_that_fit_are_stored_whole(start_server: StartServer) -> None:
    size, fitting = 20_000, 50
    server = await start_server(
        limits_scale=1000.0,
        file_limit=size,
        files_limit=size * fitting,
        room_files_limit=size * 200,
        guest_files_limit=size * 200,
    )
    rooms = [await Two.meet(server) for _ in range(4)]

    answers = await asyncio.gather(*(rooms[seed % 4].put(noise(size, seed)) for seed in range(200)))

    accepted = {seed: answer.json()["data"] for seed, answer in enumerate(answers) if answer.status_code == 201}
    assert len(accepted) >= fitting
    for answer in answers:
        if answer.status_code != 201:
            assert refused(answer, 507, "storage_full")["retryAfter"] > 0
    assert len(accepted) == fitting
    assert server.application.services.files.space.used == size * fitting
    for seed, info in accepted.items():
        assert await rooms[0].read(info) == noise(size, seed)
    for two in rooms:
        await two.part_ways()
    await emptied(server)
    assert server.application.services.files._by_room == {}


async def test_uploads_that_are_given_up_leave_nothing_behind(server: InsideServer) -> None:
    two = await Two.meet(server)
    wires = [await Wire.open(server) for _ in range(4)]
    for wire in wires:
        await wire.send(f"PUT /api/files/{two.room_id} HTTP/1.1", bearer(two), "Content-Length: 1000000")
        await wire.push(noise(500_000))
    await until(lambda: len(stored(server)) == 4)
    assert 4 * 256 * 1024 <= server.application.services.files.space.used <= 4 * 512 * 1024, "in steps, as bytes come"

    await asyncio.gather(*(wire.abort() for wire in wires))

    await emptied(server)
    assert (
        server.application.services.files._by_room[next(iter(server.application.services.files._by_room))].files == {}
    )


@pytest.mark.parametrize("way", ["raw", "form"])
async def test_an_upload_that_is_given_up_behind_its_last_byte_leaves_nothing_behind(
    server: InsideServer, way: str
) -> None:
    two = await Two.meet(server)
    body = noise(50_000)
    if way == "form":
        body = form(field("roomId", two.room_id), part("file", body, "a"))
    path = f"PUT /api/files/{two.room_id}" if way == "raw" else "POST /api/files/upload"
    kind = "application/octet-stream" if way == "raw" else f"multipart/form-data; boundary={BOUNDARY}"
    for _ in range(5):
        wire = await Wire.open(server)
        await wire.send(f"{path} HTTP/1.1", bearer(two), f"Content-Type: {kind}", f"Content-Length: {len(body)}")
        await wire.push(body)
        await wire.abort()
        await asyncio.sleep(0.05)

    await emptied(server)
    assert (await two.put(noise(500))).status_code == 201, "the next upload is accepted"


async def test_a_server_that_stops_during_an_upload_removes_it(
    start_process: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    process = start_process("--file-store", "disk", "--file-directory", str(tmp_path)).wait_until_ready()
    async with http_client(process.url) as http:
        server = RunningServer(process.url, http)
        two = await Two.meet(server)
        wire = await Wire.open(server)
        await wire.send(f"PUT /api/files/{two.room_id} HTTP/1.1", bearer(two), "Content-Length: 1000000")
        await wire.push(noise(500_000))
        await until(lambda: bool(entries(tmp_path, "*/*.bin")))
        stopping = asyncio.ensure_future(asyncio.to_thread(process.terminate))
        await asyncio.gather(two.one.gone(), two.other.gone())
        await wire.abort()
        assert await stopping == 0
        await server.close()

    assert entries(tmp_path) == []
    assert [record for record in process.records() if record["level"] in ("error", "critical")] == []


# ── messages ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_message_tells_what_the_server_knows_whatever_its_sender_writes(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(TEXT, "notes.txt")
    lies: dict[str, object] = {name: "a lie" for name in info if name != "fileId"}
    lies |= {"width": 99_999, "height": 1, "duration": 7, "isImage": True, "fileSize": 1e300}

    ack = await two.tell({**info, **lies}, client_id="c")

    assert ack["status"] == "sent"
    message = await two.other.next("chat:message")
    assert message["content"] == info
    assert (message["type"], message["seq"], message["clientId"]) == ("file", ack["seq"], "c")
    assert (message["senderId"], message["senderUsername"]) == (two.anna.id, "Anna")
    assert (await two.other.next("chat:message:delivered"))["messageId"] == message["id"] == ack["messageId"]
    assert (await two.one.until("chat:message:sent"))["messageId"] == ack["messageId"]
    answer = await two.http.get(message["content"]["fileUrl"])
    assert answer.content == TEXT


@pytest.mark.parametrize("name", ["fileId", "fileUrl", "tempUrl", "downloadUrl"])
async def test_any_name_of_a_file_is_enough(shared_server: RunningServer, name: str) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)

    for value in (info[name], shared_server.url + info[name] if "/" in info[name] else info[name]):
        assert (await two.tell({name: value}))["status"] == "sent"
        assert (await two.other.until("chat:message"))["content"] == info


async def test_an_old_client_sends_the_uploads_whole_answer(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG, "🏠" * 120)  # 12 bytes each, as Python clients escape them
    voice = await two.upload(wav(1), duration="1")

    for content, kind in ((info, "file"), (voice, "voice")):
        assert (await two.tell({**content, "success": True}, kind=kind))["status"] == "sent"
        message = await two.other.until("chat:message")
        assert (message["type"], message["content"]) == (kind, {**content, "success": True})


async def test_nobody_sends_a_file_that_is_not_theirs(shared_server: RunningServer) -> None:
    two, others = await Two.meet(shared_server), await Two.meet(shared_server)
    mine, theirs = await two.upload(PNG), await others.upload(PNG)
    partners = await two.upload(PNG, by=two.berta)
    voice = await two.upload(wav(1), duration="1")
    sound = await two.upload(wav(1))

    for content, kind in (
        (partners, "file"),
        (theirs, "file"),
        (voice, "file"),
        (sound, "voice"),
        (mine, "voice"),
        ({"fileId": "file_" + "x" * 24}, "file"),
        ({"fileId": ""}, "file"),
        ({"fileId": "../" + mine["fileId"] + "/.."}, "file"),
        ({"fileUrl": "x"}, "file"),
    ):
        refusal = await two.tell(content, kind=kind, client_id="c")
        assert (refusal["code"], refusal["clientId"]) == ("file_not_found", "c")
    assert await heard_nothing(two)


async def heard_nothing(two: Two) -> bool:
    """Return whether the partner has got no message; they get one now."""
    await two.one.say("and now", "the end")
    return bool((await two.other.until("chat:message"))["clientId"] == "the end")


@pytest.mark.parametrize(
    "content",
    [
        "text",
        None,
        7,
        [],
        {},
        {"fileId": 7},
        {"fileId": None, "name": "x"},
        {"fileId": ["x"]},
        {"filename": "a.png"},
    ],
    ids=ascii,
)
@pytest.mark.parametrize("kind", ["file", "voice"])
async def test_a_message_that_names_no_file_is_malformed(
    shared_server: RunningServer, kind: str, content: object
) -> None:
    two = await Two.meet(shared_server)

    assert (await two.tell(content, kind=kind))["code"] == "invalid_payload"
    assert await heard_nothing(two)


async def test_a_text_is_no_object(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)

    assert (await two.tell(info, kind="text"))["code"] == "invalid_payload"


EXTRAS: dict[str, Any] = {
    "waveform": [0.25, 1, 9],
    "caption": "Häuser / дома 🏠",
    "deep": {"a": [None, True, {"b": ""}]},
}


async def test_what_the_server_does_not_know_passes(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)

    await two.tell({**EXTRAS, **info})

    assert (await two.other.until("chat:message"))["content"] == {**EXTRAS, **info}


@pytest.mark.parametrize(
    "value",
    [
        '"//evil.example/x"',
        '"https://evil.example"',
        r'"https:\/\/evil.example"',
        r'"\u002f\u002fevil.example"',
        r'"\/\u002Fevil.example"',
        r'"\\\\evil.example"',
        r'"/\\evil.example"',
        r'"/\t/evil.example"',
        r'"/\n\r/evil.example"',
        '"https:evil.example"',
        '"WSS:/evil.example"',
        '"javascript:alert(1)"',
        '["a",{"b":["x //y"]}]',
        '{"a":{"http://evil.example":1}}',
        '{"a":"b","a":"//evil.example"}',
    ],
)
async def test_what_may_be_an_address_does_not_pass(shared_server: RunningServer, value: str) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)

    await two.one.send(f'42["chat:message",{{"type":"file","content":{{"fileId":"{info["fileId"]}","x":{value}}}}}]')

    assert (await two.other.until("chat:message"))["content"] == info


async def test_nor_does_a_name_that_is_an_address(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)

    await two.tell({**info, "//evil.example": 1})

    assert (await two.other.until("chat:message"))["content"] == info


async def test_what_passes_is_bounded(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)

    fits, large = {"caption": "x" * 2000}, {"caption": "x" * 2050}
    assert (await two.tell({**info, **fits}))["status"] == "sent"
    assert (await two.other.until("chat:message"))["content"] == {**info, **fits}
    assert (await two.tell({**info, **large}))["code"] == "invalid_payload"
    assert (await two.tell({**info, **{"x" * number: "" for number in range(90)}}))["code"] == "invalid_payload"
    assert (await two.tell({**info, "thumbnail": "//" + "x" * 5000}))["status"] == "sent", "dropped fields do not count"
    assert (await two.other.until("chat:message"))["content"] == info


@pytest.mark.parametrize(
    "value",
    ["1e999", "[" * 500 + "]" * 500, '{"a":' * 40 + "1" + "}" * 40, r'"\ud800"', "1" * 5000],
    ids=lambda v: v[:9],
)
async def test_what_could_not_be_replayed_is_refused(shared_server: RunningServer, value: str) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)

    await two.one.send(f'42["chat:message",{{"type":"file","content":{{"fileId":"{info["fileId"]}","x":{value}}}}}]')

    assert (await two.one.until("chat:error"))["code"] == "invalid_payload"
    await two.one.say("goes on")
    back = await shared_server.connect(two.berta, {**two.room, "seq": 0})
    await back.until("room:resumed")
    assert (await back.until("chat:message"))["content"] == "goes on"


async def test_the_same_message_again_is_delivered_once(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info, another = await two.upload(PNG), await two.upload(TEXT)

    first = await two.tell(info, client_id="c")
    again = await two.tell(info, client_id="c")
    different = await two.tell(another, client_id="c")

    assert first == again == different
    assert (await two.other.until("chat:message"))["content"] == info
    assert await heard_nothing(two)


async def test_files_and_texts_keep_their_order_now_and_on_resume(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)
    voice = await two.upload(wav(1), duration="1")
    await two.one.say("before")
    wanted = [("text", "before")]
    for number in range(10):
        kind, content = [("file", info), ("text", str(number)), ("voice", voice)][number % 3]
        wanted.append((kind, content))  # type: ignore[arg-type]  # a file's content is a dict
        await two.one.emit("chat:message", {"type": kind, "content": content, "clientId": f"c{number}"})
    live = [await two.other.until("chat:message") for _ in wanted]
    assert [(message["type"], message["content"]) for message in live] == wanted
    assert [message["seq"] for message in live] == list(range(1, 12))

    back = await shared_server.connect(two.berta, {**two.room, "seq": 3})
    assert (await back.until("room:resumed"))["seq"] == 11
    assert [await back.next("chat:message") for _ in range(8)] == live[3:]


async def test_a_file_sent_while_the_partner_is_away_waits_for_them(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    await two.other.cut()
    await two.one.until("room:partner_away")
    info = await two.upload(PNG)
    assert (await two.tell(info, client_id="c"))["status"] == "sent"

    back = await shared_server.connect(two.berta, {**two.room, "seq": 0})

    await back.until("room:resumed")
    message = await back.next("chat:message")
    assert message["content"] == info
    await back.emit("chat:message:delivered", {"messageId": message["id"]})
    assert (await two.one.until("chat:message:delivered"))["messageId"] == message["id"]
    assert await two.read(message["content"]) == PNG


async def test_a_guest_whose_line_is_lost_still_uploads_and_sends(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    await two.one.cut()
    await two.other.until("room:partner_away")
    info = await two.upload(PNG)

    two.one = await shared_server.connect(two.anna, {**two.room, "seq": 0})
    await two.one.until("room:resumed")

    assert (await two.tell(info))["seq"] == 1
    assert (await two.other.until("chat:message"))["content"] == info


async def test_a_message_after_the_room_has_closed_is_refused(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)
    await two.part_ways()

    assert (await two.tell(info))["code"] == "not_in_room"
    await two.one.until("chat:error")
    await two.other.until("chat:cleared")
    await shared_server.match(two.one, two.other)
    assert (await two.tell(info))["code"] == "file_not_found", "the file belongs to the previous room"


# ── the log ───────────────────────────────────────────────────────────────────────────────────────


async def test_the_log_of_a_real_process_holds_no_names_links_or_tokens(
    start_process: Callable[..., ServerProcess],
) -> None:
    process = start_process("--log-level", "debug", "--file-store", "disk").wait_until_ready()
    async with http_client(process.url) as http:
        server = RunningServer(process.url, http)
        two = await Two.meet(server)
        info = await two.upload(PNG, "a-very-private-name.png")
        await two.tell(info, client_id="c")
        await two.read(info)
        refused(await two.http.get(info["fileUrl"] + "x"), 403, "link_invalid")
        refused(await two.put(PNG[:40], "a-very-private-name.png"), 415, "file_damaged")
        refused(await two.post(b"a-very-private-name"), 400, "upload_malformed")
        wire = await Wire.open(server)
        await wire.send(f"PUT /api/files/{two.room_id} HTTP/1.1", bearer(two), "Content-Length: 99", body=b"x")
        await wire.abort()
        await two.part_ways()
        await server.close()
    assert process.terminate() == 0

    text = "\n".join(process.lines)
    assert "serving on" in text
    for secret in ("a-very-private", info["fileId"], info["fileUrl"][-20:], two.anna.token, two.room_id, two.anna.id):
        assert secret not in text
    assert [record for record in process.records() if record["level"] in ("error", "critical")] == []


# ── memory ────────────────────────────────────────────────────────────────────────────────────────


async def test_the_bytes_that_wait_for_the_store_are_few(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = await start_server(file_store="disk", file_directory=str(tmp_path))
    two = await Two.meet(server)
    waiting: list[int] = []
    write = DiskBlobStore.write

    async def note(store: DiskBlobStore, file_id: str, piece: bytes) -> None:
        waiting.append(len(piece))
        await write(store, file_id, piece)

    monkeypatch.setattr(DiskBlobStore, "write", note)
    sizes: list[int] = []
    take = Upload.write

    async def note_size(upload: Upload, data: bytes) -> None:
        sizes.append(len(data))
        await take(upload, data)

    monkeypatch.setattr(Upload, "write", note_size)
    body = noise(10 * MIB)

    info = await two.upload(body)

    assert sum(waiting) == len(body)
    assert max(waiting) <= 64 * 1024
    assert max(sizes) <= 512 * 1024, "the maximum that uvicorn reads before it pauses the socket"
    assert await two.read(info) == body


def own_memory(process: ServerProcess) -> int:
    """Return the bytes that a process has allocated; mapped files vary and are not counted."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return 1024 * int(status.partition("RssAnon:")[2].split()[0])


async def test_an_upload_in_flight_to_the_disk_takes_next_to_no_memory_of_a_real_process(
    start_process: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    process = start_process(
        "--file-store",
        "disk",
        "--file-directory",
        str(tmp_path),
        MALLOC_MMAP_THRESHOLD_="16384",  # freed memory returns to the system at once
    ).wait_until_ready()
    flying = 10 * MIB - 100_000
    sizes: list[int] = []

    async def begin(two: Two) -> Wire:
        wire = await Wire.open(two.server)
        await wire.send(f"PUT /api/files/{two.room_id} HTTP/1.1", bearer(two), f"Content-Length: {10 * MIB}")
        await wire.push(noise(flying))
        return wire

    async def all_there(count: int) -> None:
        def are_there() -> bool:
            sizes.append(own_memory(process))
            return sum(path.stat().st_size > flying - 65_536 for path in entries(tmp_path, "*/*.bin")) == count

        await until(are_there)

    async with http_client(process.url) as http:
        server = RunningServer(process.url, http)
        rooms = [await Two.meet(server) for _ in range(8)]
        wires = [await begin(rooms[0])]
        await all_there(1)  # one-time allocations of the first upload stay
        before, sizes = own_memory(process), []

        beginning = asyncio.gather(*map(begin, rooms[1:]))
        await all_there(len(rooms))
        assert max(sizes) - before < 256 * 1024 * (len(rooms) - 1)

        for wire in [*wires, *await beginning]:
            await wire.push(noise(10 * MIB - flying))
            assert (await wire.answer()).status == 201
            await wire.abort()
        await server.close()
