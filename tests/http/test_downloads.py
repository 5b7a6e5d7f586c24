from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from passerby import app
from passerby.files.blobs_disk import DiskBlobStore
from passerby.files.blobs_memory import MemoryBlobStore
from tests.support.client import PATIENCE
from tests.support.conversation import PNG, TEXT, JumpingClock, Two, Wire, noise, wav
from tests.support.folders import entries
from tests.support.server import InsideServer, RunningServer, http_client

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    import httpx

    from tests.conftest import StartServer
    from tests.support.server import ServerProcess

MIB = 1 << 20


@pytest.fixture(autouse=True)
def no_errors(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail if the server logs an error: clients must not cause any."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    if "shared_process" in request.fixturenames:
        process: ServerProcess = request.getfixturevalue("shared_process")
        assert [record for record in process.records() if record["level"] in ("error", "critical")] == []


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert (body["success"], body["code"]) == (False, code)
    assert body["message"]
    assert "etag" not in answer.headers


def places(info: dict[str, Any]) -> list[str]:
    """Return the three links of a file."""
    return [info["fileUrl"], info["downloadUrl"], info["fileUrl"].replace("/temp/", "/info/")]


# ── access ────────────────────────────────────────────────────────────────────────────────────────


async def test_the_link_is_all_that_is_needed(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)

    temp, download, about = [await two.http.get(place) for place in places(info)]

    assert temp.content == download.content == PNG
    assert about.json() == {"success": True, "data": info}


async def test_a_member_needs_no_link(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)

    for account in (two.anna, two.berta):
        temp, download, about = [
            await two.http.get(place.partition("?")[0], headers=account.headers) for place in places(info)
        ]
        assert temp.content == download.content == PNG
        assert about.json()["data"] == info


async def test_nobody_else_learns_even_that_there_is_a_file(shared_server: RunningServer) -> None:
    two, others = await Two.meet(shared_server), await Two.meet(shared_server)
    info = await two.upload(PNG)
    carla, _ = await shared_server.visitor()
    dora = await shared_server.newcomer()

    for stranger in (others.anna, others.berta, carla, dora):
        for place in places(info):
            answer = await two.http.get(place.partition("?")[0], headers=stranger.headers)
            refused(answer, 404, "file_not_found")


async def test_a_bad_token_opens_nothing(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)

    for place in places(info):
        answer = await two.http.get(place.partition("?")[0], headers={"Authorization": f"Bearer {two.anna.token}x"})
        refused(answer, 401, "token_invalid")


async def test_a_link_without_its_signature_or_with_another_is_refused(shared_server: RunningServer) -> None:
    two, others = await Two.meet(shared_server), await Two.meet(shared_server)
    info, second, theirs = await two.upload(PNG), await two.upload(TEXT), await others.upload(PNG)
    expires, signature = re.findall(r"=([^&]+)", info["fileUrl"])
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    later = str(int(expires) + 3600)
    signatures = [re.findall(r"=([^&]+)", file["fileUrl"])[1] for file in (second, theirs)]

    for query in (
        "",
        "?",
        "?signature=",
        f"?expires={expires}",
        f"?signature={signature}",
        f"?expires={expires}&signature=",
        f"?expires={expires}&signature={flipped}",
        f"?expires={expires}&signature={signature[:-1]}",
        f"?expires={expires}&signature={signature}A",
        f"?expires={expires}&signature={signature}%00",
        f"?expires={expires}&signature=%ff%fe",
        f"?expires={expires}&signature=%ED%A0%80",
        f"?expires={later}&signature={signature}",
        f"?expires=0{expires}&signature={signature}",
        f"?expires={expires}%20&signature={signature}",
        f"?expires={expires}&signature={signatures[0]}",
        f"?expires={expires}&signature={signatures[1]}",
    ):
        for kind in ("temp", "download", "info"):
            refused(await two.http.get(f"/api/temp-files/{kind}/{info['fileId']}{query}"), 403, "link_invalid")


async def test_what_is_not_there_is_not_found(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)
    query = info["fileUrl"].partition("?")[2]

    for file_id in (
        "file_" + "x" * 24,
        "x",
        "%00",
        "..%2fx",
        info["fileId"][:-1],
        info["fileId"] + "x",
        "ü",
        "x" * 5000,
    ):
        for kind in ("temp", "download", "info"):
            for headers in ({}, two.anna.headers):
                answer = await two.http.get(f"/api/temp-files/{kind}/{file_id}?{query}", headers=headers)
                assert answer.status_code == 404, (file_id, answer.text)
                assert answer.json()["code"] in ("file_not_found", "not_found")


async def test_a_link_of_another_server_is_refused(start_server: StartServer) -> None:
    here = await Two.meet(await start_server())
    info = await here.upload(PNG)
    there = await start_server(jwt_secret="another secret of the tests, long enough too")

    refused(await there.http.get(info["fileUrl"]), 404, "file_not_found")


# ── lifetime ──────────────────────────────────────────────────────────────────────────────────────


async def leave(two: Two) -> None:
    await two.one.emit("leave-room")
    await two.one.until("chat:clear:confirmed")


async def close(two: Two) -> None:
    await two.other.emit("close-room")
    await two.other.until("chat:clear:confirmed")


async def clear(two: Two) -> None:
    await two.one.emit("chat:clear")
    await two.other.until("chat:cleared")


async def end_the_session(two: Two) -> None:
    assert (await two.http.delete("/api/guest/me", headers=two.anna.headers)).status_code == 200


async def stay_away(two: Two) -> None:
    await two.one.cut()
    assert (await two.other.until("room:closed"))["reason"] == "user_disconnected"


@pytest.mark.parametrize("ending", [leave, close, clear, end_the_session, stay_away], ids=lambda e: e.__name__)
@pytest.mark.parametrize("store", ["memory", "disk"])
async def test_files_go_with_their_room(
    start_server: StartServer, tmp_path: Path, store: str, ending: Callable[[Two], Awaitable[None]]
) -> None:
    server = await start_server(grace=0.05, file_store=store, file_directory=str(tmp_path))
    two = await Two.meet(server)
    infos = [await two.upload(PNG), await two.upload(wav(1), duration="1", by=two.berta)]

    await ending(two)

    for info in infos:
        for place in places(info):
            refused(await two.http.get(place), 404, "file_not_found")
            refused(await two.http.get(place.partition("?")[0], headers=two.berta.headers), 404, "file_not_found")
    files = server.application.services.files
    await server.application.services.background.settle()
    assert (files.space.used, files._by_room) == (0, {})
    if isinstance(files._store, MemoryBlobStore):
        assert files._store._pieces == {}
    else:
        assert isinstance(files._store, DiskBlobStore)
        assert entries(tmp_path, "*/*.bin") == []
    assert files._store._index._files == {}


async def test_a_room_of_the_same_two_opens_no_file_of_the_one_before(server: InsideServer) -> None:
    two = await Two.meet(server)
    info = await two.upload(PNG)
    await two.part_ways()
    await two.other.until("chat:cleared")
    again = await server.match(two.one, two.other)
    assert again["roomId"] == two.room_id

    refused(await two.http.get(info["fileUrl"]), 404, "file_not_found")
    about = info["fileUrl"].replace("/temp/", "/info/").partition("?")[0]
    refused(await two.http.get(about, headers=two.anna.headers), 404, "file_not_found")


async def test_a_file_expires(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = JumpingClock()
    monkeypatch.setattr(app, "PatientClock", lambda _watch: clock)
    server = await start_server(file_ttl=600.0)
    two = await Two.meet(server)
    info = await two.upload(PNG)
    clock.ahead += 590
    assert await two.read(info) == PNG
    clock.ahead += 11

    for place in places(info):
        refused(await two.http.get(place), 404, "file_not_found")
        refused(await two.http.get(place.partition("?")[0], headers=two.anna.headers), 404, "file_not_found")
    assert (await two.tell(info))["code"] == "file_not_found"
    await server.application.services.files.sweep()
    assert server.application.services.files.space.used == 0


async def test_files_stay_while_a_member_is_away(server: InsideServer) -> None:
    two = await Two.meet(server)
    info = await two.upload(PNG)
    await two.one.cut()
    await two.other.until("room:partner_away")

    assert await two.read(info) == PNG


# ── headers ───────────────────────────────────────────────────────────────────────────────────────


async def test_the_headers_of_a_picture(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG, "a.png", claimed="text/html")

    for url, disposition in ((info["fileUrl"], "inline"), (info["downloadUrl"], "attachment")):
        answer = await two.http.get(url)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["content-length"] == str(len(PNG))
        assert answer.headers["content-disposition"] == f"{disposition}; filename=\"a.png\"; filename*=UTF-8''a.png"
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["etag"] == f'"{info["fileId"]}"'
        assert answer.headers["cache-control"] == "private, no-store"
        assert "transfer-encoding" not in answer.headers


async def test_sound_may_be_loaded_by_the_page_that_plays_it_and_nothing_else(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(wav(1))

    shown, saved = [await two.http.get(place) for place in places(info)[:2]]

    allowed = "sandbox allow-same-origin; default-src 'none'; media-src 'self'"
    assert shown.headers.get_list("content-security-policy") == [allowed]
    assert saved.headers.get_list("content-security-policy") == ["sandbox; default-src 'none'"]


@pytest.mark.parametrize("changes", [{}, {"Range": "bytes=0-3"}, {"Range": "bytes=999-"}, {"If-None-Match": "etag"}])
@pytest.mark.parametrize("kind", ["temp", "download"])
async def test_every_answer_guards_the_browser(
    shared_server: RunningServer, kind: str, changes: dict[str, str]
) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)
    headers = {name: value.replace("etag", f'"{info["fileId"]}"') for name, value in changes.items()}

    answer = await two.http.get(info["fileUrl"].replace("/temp/", f"/{kind}/"), headers=headers)

    assert answer.headers.get_list("content-security-policy") == ["sandbox; default-src 'none'"]
    for name, value in (
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ):
        assert answer.headers.get_list(name) == [value]
    assert len(answer.headers.get_list("content-disposition")) == 1
    assert "server" not in answer.headers


async def test_a_refusal_guards_the_browser_too(shared_server: RunningServer) -> None:
    answer = await shared_server.http.get("/api/temp-files/temp/x")

    assert len(answer.headers.get_list("content-security-policy")) == 1
    assert answer.headers["x-content-type-options"] == "nosniff"


ACTIVE = {
    "pdf": b"%PDF-1.7\n1 0 obj",
    "html": b"<!DOCTYPE html><script>alert(1)</script>",
    "html behind text": b"a harmless beginning\n" * 50 + b"<script>alert(1)</script>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "xml": b'<?xml version="1.0"?><x/>',
    "xhtml": b'\xef\xbb\xbf<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>',
    "utf-16 html": "\ufeff<html><script>".encode("utf-16"),
    "script": b"alert(document.domain)",
    "module": b"export default 1",
    "css": b"@import url(//evil.example)",
    "php": b"<?php phpinfo();",
    "shell": b"#!/bin/sh\nrm -rf /\n",
    "windows": b"MZ\x90\0\3" + bytes(60),
    "elf": b"\x7fELF" + bytes(60),
    "a GIF that is a script": b"GIF89a/*" + bytes(5) + b";*/=1;alert(1)",
    "a GIF with HTML": b"GIF89a\1\0\1\0\0\0\0;<script>alert(1)</script>",
    "a sound with HTML far behind": b"RIFF\xff\xff\0\0WAVEdata\xff\xff\0\0"
    + bytes(80_000)
    + b"<html><script>x</script>",
    "json": b'{"a":1}',
    "text": TEXT,
}


@pytest.mark.parametrize("claimed", ["text/html", "image/png", "image/svg+xml", "application/javascript"])
async def test_what_a_browser_might_run_is_always_an_attachment(shared_server: RunningServer, claimed: str) -> None:
    two = await Two.meet(shared_server)
    shown = []
    for name, body in ACTIVE.items():
        answer = await two.put(body, "x.html", claimed=claimed)
        if answer.status_code == 415:
            continue
        info = answer.json()["data"]
        assert not info["isImage"] or "GIF" in name, name
        fetched = await two.http.get(info["fileUrl"])
        kind = fetched.headers["content-type"].partition(";")[0]
        assert kind in ("application/octet-stream", "application/pdf", "text/plain", "image/gif"), (name, kind)
        assert fetched.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in fetched.headers["content-security-policy"]
        if not fetched.headers["content-disposition"].startswith("attachment;"):
            shown.append(name)
            assert b"script" not in fetched.content
    assert shown in ([], ["a GIF with HTML"]), "a GIF of one pixel, without the bytes after its end"


@pytest.mark.parametrize(
    ("body", "claimed", "kind", "disposition"),
    [
        (wav(0.1), "", "audio/wav", "inline"),
        (TEXT, "text/plain", "text/plain; charset=utf-8", "attachment"),
        (b"%PDF-1.7\n", "application/pdf", "application/pdf", "attachment"),
        (noise(100), "image/png", "application/octet-stream", "attachment"),
    ],
    ids=["wav", "text", "pdf", "noise"],
)
async def test_the_type_is_what_the_bytes_say(
    shared_server: RunningServer, body: bytes, claimed: str, kind: str, disposition: str
) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(body, claimed=claimed)

    answer = await two.http.get(info["fileUrl"])

    assert answer.headers["content-type"] == kind
    assert answer.headers["content-disposition"].startswith(disposition)
    assert answer.content == body


@pytest.mark.parametrize(
    "name",
    [
        "plain.txt",
        "with space.txt",
        "Über-Größe.txt",
        "дом.txt",
        "家.txt",
        "بيت.txt",
        "בית.txt",
        "🏠👩‍👩‍👧.txt",
        "100%41.txt",
        "it's (one), [two]; three=3.txt",
        "comma,semi;.txt",
        "ก่อน.txt",
    ],
)
async def test_a_name_of_any_script_comes_out_as_it_went_in(shared_server: RunningServer, name: str) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(b"x", name)
    assert info["filename"] == name.replace("\u200d", "") or info["filename"] == name

    header = (await two.http.get(info["fileUrl"])).headers["content-disposition"]

    match = re.fullmatch(
        r"attachment; filename=\"([\x20\x21\x23-\x5b\x5d-\x7e]*)\"; filename\*=UTF-8''([\w!#$&+.^`|~%-]+)", header
    )
    assert match is not None, "the grammar of RFC 6266 and RFC 8187"
    assert unquote(match[2]) == info["filename"]
    assert len(match[1]) == len(info["filename"])


# ── parts of a file ───────────────────────────────────────────────────────────────────────────────

SIZE = 200_000
RANGES: dict[str, tuple[int, int]] = {
    "bytes=0-0": (0, 1),
    "bytes=0-99": (0, 100),
    "bytes=65535-65536": (65535, 65537),
    "bytes=65536-131071": (65536, 131072),
    "bytes=100-199999": (100, SIZE),
    "bytes=199999-": (SIZE - 1, SIZE),
    "bytes=0-": (0, SIZE),
    "bytes=150000-999999999": (150_000, SIZE),
    "bytes=-1": (SIZE - 1, SIZE),
    "bytes=-70000": (SIZE - 70_000, SIZE),
    "bytes=-999999999": (0, SIZE),
}


@pytest.mark.parametrize("store", ["memory", "disk"])
async def test_a_range_is_answered_with_its_bytes(start_server: StartServer, tmp_path: Path, store: str) -> None:
    two = await Two.meet(await start_server(file_store=store, file_directory=str(tmp_path)))
    body = noise(SIZE)
    info = await two.upload(body)

    for asked, (start, stop) in RANGES.items():
        answer = await two.http.get(info["fileUrl"], headers={"Range": asked})
        assert answer.status_code == 206, asked
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"
        assert answer.headers["content-length"] == str(stop - start)
        assert answer.content == body[start:stop]


async def test_a_range_behind_the_end_cannot_be_satisfied(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(noise(100))

    for asked in ("bytes=100-", "bytes=100-200", "bytes=999999999999999-", "bytes=-0"):
        for method in ("GET", "HEAD"):
            answer = await two.http.request(method, info["fileUrl"], headers={"Range": asked})
            assert answer.status_code == 416, asked
            assert answer.headers["content-range"] == "bytes */100"
            if method == "GET":
                assert answer.headers["content-type"] == "application/json"
                assert (answer.json()["success"], answer.json()["code"]) == (False, "range_not_satisfiable")
            else:
                assert answer.content == b""


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-6",
        "bytes=5-2",
        "bytes=",
        "bytes=-",
        "bytes=x-y",
        "bytes=1",
        "bytes=-1-2",
        "bytes = 0-1",
        "items=0-1",
        "0-1",
        "",
        "bytes=0x1-0x2",
        "bytes=\u0661-\u0662",
        "bytes=" + "9" * 5000 + "-",
        "bytes=" + "0-1," * 1000,
    ],
    ids=lambda asked: ascii(asked)[:20],
)
async def test_what_is_no_single_range_is_answered_with_everything(shared_server: RunningServer, asked: str) -> None:
    two = await Two.meet(shared_server)
    body = noise(100)
    info = await two.upload(body)

    answer = await two.http.get(info["fileUrl"], headers=[(b"Range", asked.encode())])

    assert (answer.status_code, answer.content) == (200, body)
    assert "content-range" not in answer.headers


async def test_a_range_of_another_version_is_answered_with_everything(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(noise(100))
    tag = f'"{info["fileId"]}"'

    for condition, status in (
        (tag, 206),
        ('"another"', 200),
        (f"W/{tag}", 200),
        ("Sun, 22 Nov 2026 20:00:00 GMT", 200),
    ):
        answer = await two.http.get(info["fileUrl"], headers={"Range": "bytes=0-9", "If-Range": condition})
        assert (answer.status_code, len(answer.content)) == (status, 10 if status == 206 else 100), condition


async def test_what_the_client_has_is_not_sent_again(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)
    tag = f'"{info["fileId"]}"'

    for condition in (tag, f"W/{tag}", f'"another", {tag}', "*"):
        answer = await two.http.get(info["fileUrl"], headers={"If-None-Match": condition, "Range": "bytes=0-1"})
        assert (answer.status_code, answer.content) == (304, b""), condition
        assert answer.headers["etag"] == tag
    answer = await two.http.get(info["fileUrl"], headers={"If-None-Match": '"another"'})
    assert (answer.status_code, answer.content) == (200, PNG)


async def test_head_tells_the_same_without_the_body(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(noise(100_000))
    for url in (info["fileUrl"], info["downloadUrl"]):
        for headers in ({}, {"Range": "bytes=5-9"}):
            whole, head = [await two.http.request(method, url, headers=headers) for method in ("GET", "HEAD")]
            assert (head.status_code, head.content) == (whole.status_code, b"")
            del whole.headers["date"], head.headers["date"]
            assert head.headers.multi_items() == whole.headers.multi_items()
            assert head.headers["content-length"] == str(len(whole.content))


async def test_nothing_follows_the_head_on_the_wire(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)
    wire = await Wire.open(shared_server)

    await wire.send(f"HEAD {info['fileUrl']} HTTP/1.1")
    head = await wire.reader.readuntil(b"\r\n\r\n")
    await wire.send("HEAD /health HTTP/1.1")
    after = await wire.reader.readexactly(12)
    await wire.abort()

    assert f"content-length: {len(PNG)}".encode() in head
    assert after == b"HTTP/1.1 200"


async def test_a_file_is_only_fetched(shared_server: RunningServer) -> None:
    two = await Two.meet(shared_server)
    info = await two.upload(PNG)

    for method in ("PUT", "POST", "DELETE", "PATCH"):
        answer = await two.http.request(method, info["fileUrl"], headers=two.anna.headers)
        assert answer.status_code == 405
    assert await two.read(info) == PNG


# ── running downloads ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("store", ["memory", "disk"])
async def test_a_download_stops_when_the_room_closes(start_server: StartServer, tmp_path: Path, store: str) -> None:
    server = await start_server(file_store=store, file_directory=str(tmp_path))
    two = await Two.meet(server)
    info = await two.upload(noise(10 * MIB))
    wire = await Wire.open(server, 1024)
    await wire.send(f"GET {info['fileUrl']} HTTP/1.1")
    head = await wire.reader.readuntil(b"\r\n\r\n")
    assert f"content-length: {10 * MIB}".encode() in head

    await two.part_ways()

    received = await rest(wire)
    await wire.abort()
    assert received < 10 * MIB, "only what the kernel has buffered may arrive: less than announced"


async def rest(wire: Wire) -> int:
    """Read until the connection ends; return the number of bytes."""
    received = 0
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while data := await wire.reader.read(65_536):
                received += len(data)
    return received


async def test_a_download_that_is_not_read_holds_no_file(server: InsideServer) -> None:
    two = await Two.meet(server)
    info = await two.upload(noise(10 * MIB))
    store = server.application.services.files._store
    assert isinstance(store, MemoryBlobStore)
    wire = await Wire.open(server, 1024)
    await wire.send(f"GET {info['fileUrl']} HTTP/1.1")
    await wire.reader.readuntil(b"\r\n\r\n")
    pieces = dict(enumerate(store._pieces[info["fileId"]]))
    assert len(held(pieces)) == len(pieces) >= 160

    await two.part_ways()
    await server.application.services.background.settle()

    assert len(held(pieces)) <= 2, "only the piece being sent"
    await wire.abort()


def held(pieces: dict[int, bytes]) -> list[int]:
    """Return the pieces that are referenced elsewhere; bytes do not support weak references."""
    return [number for number in pieces if sys.getrefcount(pieces[number]) > 2]


async def test_a_client_that_goes_ends_its_download(server: InsideServer) -> None:
    two = await Two.meet(server)
    info = await two.upload(noise(10 * MIB))
    wire = await Wire.open(server, 1024)
    await wire.send(f"GET {info['fileUrl']} HTTP/1.1")
    await wire.reader.readuntil(b"\r\n\r\n")

    await wire.abort()

    assert await two.read(info) == noise(10 * MIB)


async def test_two_read_the_same_file_at_once(server: InsideServer) -> None:
    two = await Two.meet(server)
    body = noise(MIB)
    info = await two.upload(body)

    assert await asyncio.gather(*(two.read(info) for _ in range(8))) == [body] * 8


# ── on disk, in a real process ────────────────────────────────────────────────────────────────────


async def test_files_on_disk_go_with_a_server_that_stops_and_with_one_that_was_killed(
    start_process: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    flags = ("--file-store", "disk", "--file-directory", str(tmp_path))
    process = start_process(*flags).wait_until_ready()
    async with http_client(process.url) as http:
        server = RunningServer(process.url, http)
        two = await Two.meet(server)
        info = await two.upload(PNG)
        assert await two.read(info) == PNG
        (folder,) = entries(tmp_path)
        assert folder.stat().st_mode & 0o777 == 0o700, "not readable by other users"
        (file,) = folder.glob("*.bin")
        assert (file.read_bytes(), file.stat().st_mode & 0o777) == (PNG, 0o600)
        await server.close()
    await asyncio.to_thread(process.stop)
    assert entries(tmp_path) == [folder], "a server that is killed removes nothing"

    second = start_process(*flags).wait_until_ready()
    (new,) = entries(tmp_path)
    assert new != folder, "the next process removes them"
    third = start_process(*flags).wait_until_ready()
    assert len(entries(tmp_path)) == 2, "several processes may run at the same time"
    for running in (second, third):
        assert await asyncio.to_thread(running.terminate) == 0
        assert [record for record in running.records() if record["level"] in ("error", "critical")] == []
    assert entries(tmp_path) == []
