"""The web client's files: forms, caches, conditional requests."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from passerby.http.app import STATIC
from passerby.http.assets import CODINGS, TYPES, Assets
from tests.support.sio_client import Line, read_answer, request_head

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from passerby.http.assets import Headers
    from tests.conftest import StartServer
    from tests.support.server import InsideServer, RunningServer

SCRIPT = "/assets/index-Ab_-1234.js"
GUARD = (b"x-guard", b"yes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return what a build leaves, with contents that say which form they are."""
    (tmp_path / "assets").mkdir()
    for name in ("index.html", SCRIPT[1:]):
        (tmp_path / name).write_bytes(b"plain")
        (tmp_path / f"{name}.br").write_bytes(b"of brotli")
        (tmp_path / f"{name}.gz").write_bytes(b"of gzip")
    (tmp_path / "icon.png").write_bytes(b"picture")
    (tmp_path / "assets" / "readme.js").write_bytes(b"not hashed")
    (tmp_path / "alone.gz").write_bytes(b"an archive")
    return tmp_path


def ask(folder: Path, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of a GET."""
    asset = Assets(folder, [GUARD]).find(path)
    assert asset is not None
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    status, answered, body = asset.answer(fields)
    return status, named(answered), body


def named(headers: Headers) -> dict[str, str]:
    names = [name for name, _ in headers]
    assert len(names) == len(set(names))
    return {name.decode(): value.decode() for name, value in headers}


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("br;q=0.5, gzip;q=1.0", "br"),
        ("gzip, deflate", "gzip"),
        ("GZip", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("br; q=0.000,gzip", "gzip"),
        ("*", "br"),
        ("*, br;q=0", "gzip"),
        ("gzip;q=0, *", "br"),
        ("identity", ""),
        ("", ""),
        ("gzip;q=0, br;q=0", ""),
        ("*;q=0", ""),
        ("brotli, x-gzip", ""),
        (";;,,=, ;q", ""),
        ("gzip" + " " * 600, ""),
    ],
)
def test_the_best_form_that_a_client_takes(folder: Path, accepted: str, coding: str) -> None:
    status, headers, body = ask(folder, SCRIPT, accept_encoding=accepted)

    assert (status, headers.get("content-encoding", "")) == (200, coding)
    assert body == {"br": b"of brotli", "gzip": b"of gzip", "": b"plain"}[coding]
    assert headers["content-length"] == str(len(body))
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    assert headers["vary"] == "accept-encoding"


def test_a_client_that_says_nothing_gets_the_plain_form(folder: Path) -> None:
    assert ask(folder, SCRIPT)[2] == b"plain"


def test_a_file_without_other_forms_does_not_vary(folder: Path) -> None:
    _, headers, body = ask(folder, "/icon.png", accept_encoding="gzip, br")

    assert body == b"picture"
    assert {"vary", "content-encoding"}.isdisjoint(headers)


@pytest.mark.parametrize(
    ("path", "cached"),
    [
        (SCRIPT, "public, max-age=31536000, immutable"),
        ("/", "no-cache"),
        ("/index.html", "no-cache"),
        ("/icon.png", "no-cache"),
        ("/assets/readme.js", "no-cache"),
    ],
)
def test_only_a_name_with_a_hash_is_kept_without_asking(folder: Path, path: str, cached: str) -> None:
    status, headers, _ = ask(folder, path)
    assert headers["cache-control"] == cached

    status, again, body = ask(folder, path, if_none_match=headers["etag"])
    assert (status, body, again["cache-control"]) == (304, b"", cached)


@pytest.mark.parametrize("accepted", ["br", "gzip", "identity"])
def test_what_a_client_has_already_is_not_sent_again(folder: Path, accepted: str) -> None:
    _, first, _ = ask(folder, SCRIPT, accept_encoding=accepted)
    tag, date = first["etag"], first["last-modified"]

    for known in (tag, f"W/{tag}", f'"other", {tag}', "*", f"{tag},W/{tag}"):
        status, headers, body = ask(folder, SCRIPT, accept_encoding=accepted, if_none_match=known)
        assert (status, body) == (304, b"")
        assert {name: headers[name] for name in ("etag", "last-modified", "vary", "cache-control")} == {
            "etag": tag,
            "last-modified": date,
            "vary": "accept-encoding",
            "cache-control": first["cache-control"],
        }
        assert {"content-length", "content-encoding", "content-type"}.isdisjoint(headers)
    assert ask(folder, SCRIPT, accept_encoding=accepted, if_modified_since=date)[0] == 304


@pytest.mark.parametrize(
    "headers",
    [
        {"if_none_match": '"other"'},
        {"if_none_match": ""},
        {"if_none_match": "nonsense" * 1000},
        {"if_modified_since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"if_modified_since": "Fri, 31 Dec 2100 23:59:59 GMT"},
        {"if_modified_since": "nonsense"},
        {"range": "bytes=0-1"},
    ],
)
def test_all_other_conditions_get_the_file(folder: Path, headers: dict[str, str]) -> None:
    assert ask(folder, SCRIPT, **headers)[::2] == (200, b"plain")


def test_a_tag_counts_more_than_a_date(folder: Path) -> None:
    date = ask(folder, SCRIPT)[1]["last-modified"]

    assert ask(folder, SCRIPT, if_modified_since=date, if_none_match='"other"')[0] == 200


def test_each_form_has_its_own_tag(folder: Path) -> None:
    tags = {ask(folder, SCRIPT, accept_encoding=accepted)[1]["etag"] for accepted in ("br", "gzip", "identity")}
    assert len(tags) == 3

    brotli = ask(folder, SCRIPT, accept_encoding="br")[1]["etag"]
    assert ask(folder, SCRIPT, accept_encoding="gzip", if_none_match=brotli)[0] == 200


def test_a_new_version_of_the_same_size_and_date_has_another_tag(folder: Path) -> None:
    index = folder / "index.html"
    os.utime(index, (1, 1))
    before = ask(folder, "/")[1]
    index.write_bytes(b"PLAIN")
    os.utime(index, (1, 1))
    after = ask(folder, "/")[1]

    assert before["last-modified"] == after["last-modified"]
    assert before["etag"] != after["etag"]


def test_forms_have_no_path_of_their_own(folder: Path) -> None:
    assert sorted(Assets(folder, []).paths()) == [
        "/",
        "/alone.gz",
        "/assets/index-Ab_-1234.js",
        "/assets/readme.js",
        "/icon.png",
        "/index.html",
    ]


def test_the_directory_is_read_once_so_a_new_build_leaves_the_old_page_whole(folder: Path) -> None:
    assets = Assets(folder, [])
    shutil.rmtree(folder)

    assert all(asset is not None and asset.answer([])[2] for asset in map(assets.find, assets.paths()))


def test_without_a_build_there_are_no_files(tmp_path: Path) -> None:
    assert Assets(tmp_path / "none", []).paths() == []


# ── what is built ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def built() -> Iterable[str]:
    paths = Assets(STATIC, []).paths()
    assert "/" in paths, "the web client is not built: make setup"
    return paths


def test_the_record_of_the_build_is_served_to_nobody(tmp_path: Path) -> None:
    for name in ("index.html", ".sources"):
        (tmp_path / name).write_text("text")
    assert sorted(Assets(tmp_path, []).paths()) == ["/", "/index.html"]


TINY = 200
"""Bytes of a text that compression may make larger."""


def test_every_text_is_compressed_and_every_form_holds_the_same(built: Iterable[str]) -> None:
    texts = [path for path in STATIC.rglob("*") if path.suffix in (".js", ".css", ".html", ".svg")]
    assert len(texts) > 4
    for text in texts:
        plain = text.read_bytes()
        forms = {suffix: form for suffix in CODINGS if (form := text.with_name(text.name + suffix)).is_file()}
        assert len(forms) == len(CODINGS) or len(plain) < TINY
        assert all(form.stat().st_size < len(plain) for form in forms.values())
        if ".gz" in forms:
            assert gzip.decompress(forms[".gz"].read_bytes()) == plain
        if ".br" in forms:
            program = "process.stdout.write(require('zlib').brotliDecompressSync(require('fs').readFileSync(0)))"
            packed = forms[".br"].read_bytes()
            node = subprocess.run(["node", "-e", program], input=packed, capture_output=True, check=True)
            assert node.stdout == plain


def test_every_file_has_a_known_type_and_every_hashed_one_is_immutable(built: Iterable[str]) -> None:
    files = [path for path in built if path != "/"]
    assert not (STATIC.parents[2] / "web" / "public" / "assets").exists(), "these would count as hashed by their names"
    assert {path[path.rfind(".") :] for path in files} <= set(TYPES)
    for path in files:
        cached = ask(STATIC, path)[1]["cache-control"]
        assert cached.endswith("immutable") == path.startswith("/assets/")


async def test_the_page_comes_compressed_and_guarded_and_can_be_asked_for_again(shared_server: RunningServer) -> None:
    page = await shared_server.http.get("/", headers={"Accept-Encoding": "gzip"})

    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-encoding"] == "gzip"
    assert page.headers["cache-control"] == "no-cache"
    for name in ("x-content-type-options", "x-frame-options", "referrer-policy", "content-security-policy"):
        assert page.headers[name] == (await shared_server.http.get("/health")).headers[name]
    scripts = re.findall(r'"\.(/assets/[^"]+)"', page.text)
    assert len(scripts) > 1
    for path in scripts:
        script = await shared_server.http.get(path)
        assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert script.headers["x-content-type-options"] == "nosniff"
        again = await shared_server.http.get(path, headers={"If-None-Match": script.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["x-content-type-options"] == "nosniff"


async def test_head_says_the_same_without_the_file(shared_server: RunningServer) -> None:
    for path in Assets(STATIC, []).paths():
        got = await shared_server.http.get(path)
        head = await shared_server.http.head(path)
        assert (head.status_code, head.content) == (404 if path == "/moderate.html" else 200, b""), path  # no moderator
        assert {**head.headers, "date": ""} == {**got.headers, "date": ""}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_file_can_only_be_read(shared_server: RunningServer, method: str) -> None:
    answer = await shared_server.http.request(method, "/")

    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert answer.headers["x-frame-options"] == "DENY"


async def test_a_client_that_leaves_early_leaves_nothing_open(server: InsideServer) -> None:
    port = int(server.url.rpartition(":")[2])
    largest = max(STATIC.rglob("*.js"), key=lambda path: path.stat().st_size)
    head = request_head("GET", f"/{largest.relative_to(STATIC).as_posix()}", [("Host", "h")])
    for _ in range(20):
        async with Line.open(port, receive_buffer=4096) as line:
            line.write(head)
            await line.reader.readexactly(1)
    async with Line.open(port) as line:
        line.write(head)
        assert (await read_answer(line.reader)).status == 200
    # pytest's collection at the end of the session fails for files that are left to the collector


# ── what is never kept ────────────────────────────────────────────────────────────────────────────


async def test_an_answer_with_a_token_or_a_credential_is_stored_nowhere(server: InsideServer) -> None:
    created = await server.http.post("/api/guest", json={})
    (anna, _), _, matched = await server.pair()
    answers = [
        created,
        await server.http.get("/api/guest/me", headers=anna.headers),
        await server.http.post("/api/guest/location", json={"location": "Bern"}, headers=anna.headers),
        await server.http.get("/api/ice-servers", headers=anna.headers),
        await server.http.put(f"/api/files/{matched['roomId']}", content=b"a", headers=anna.headers),
        await server.http.get("/socket.io/?EIO=4&transport=polling"),
        await server.http.delete("/api/guest/me", headers=anna.headers),
        await server.http.get("/api/guest/me", headers=anna.headers),
        await server.http.get("/nothing"),
    ]

    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 201, 200, 200, 401, 404]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


async def test_no_route_is_kept_unless_it_says_so(shared_server: RunningServer) -> None:
    for path in (
        "/health",
        "/health/ready",
        "/api/limits",
        "/api/matching",
        "/api/guest/username",
        "/schema/openapi.json",
    ):
        assert (await shared_server.http.get(path)).headers["cache-control"] == "no-store"


# ── paths that are no file ────────────────────────────────────────────────────────────────────────

LONG = "a" * 300


@pytest.mark.parametrize("segment", [LONG, "%C3%A9" * 300, "%00", ".." + "%2f" * 200, "a%0d%0ab", "%7F" * 300])
@pytest.mark.parametrize(
    "path",
    [
        "/{}",
        "/assets/{}",
        "/assets/{}/index.js",
        "/api/{}",
        "/api/guest/{}",
        "/api/guest/me/{}",
        "/api/temp-files/temp/{}",
        "/api/temp-files/download/{}",
        "/api/temp-files/info/{}",
        "/health/{}",
        "/schema/{}",
        "/socket.io/{}",
        "/{}/socket.io/",
    ],
)
async def test_a_component_that_nothing_can_have_is_not_found_on_every_route(
    shared_server: RunningServer, path: str, segment: str
) -> None:
    answer = await shared_server.http.get(path.format(segment))

    assert answer.status_code == 404, answer.text
    assert answer.json()["code"] in ("not_found", "session_not_found", "file_not_found")


async def test_a_file_on_disk_with_such_a_name_is_not_found_either(start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server(file_store="disk", file_directory=str(tmp_path))
    (anna, _), _, _ = await server.pair()

    for route in ("temp", "download", "info"):
        for query, headers in (("?expires=1&signature=a", {}), ("", anna.headers)):
            answer = await server.http.get(f"/api/temp-files/{route}/{LONG}{query}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")


async def test_a_long_room_is_no_other_than_a_short_one_that_is_not_the_guests(server: InsideServer) -> None:
    (anna, _), _, _ = await server.pair()

    refused = [await server.http.put(f"/api/files/{room}", content=b"a", headers=anna.headers) for room in ("a", LONG)]

    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(403, "not_your_room")] * 2
