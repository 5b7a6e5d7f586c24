"""The files of the web client, served from memory in the forms that the build has made: plain, gzip and brotli.

All of it is read once, before the server listens: less than 1 MB, and a build that replaces the files while the server
runs cannot leave a page whose parts are of two builds. decisions/0021 says why no library does this.
"""

from __future__ import annotations

import hashlib
import re
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.json import encode

from passerby.errors import Code
from passerby.http.models import Failure
from passerby.socketio.handshake import join_headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping
    from pathlib import Path

    Message = MutableMapping[str, Any]

Headers = list[tuple[bytes, bytes]]

TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mp3": "audio/mpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""Content types by suffix. Python's own table depends on the machine."""
CODINGS: Final = {".br": b"br", ".gz": b"gzip"}
"""Content codings (RFC 9110 §8.4.1) by the suffix that the build adds, the best first."""
_HASHED: Final = re.compile(r"/assets/.+-[\w-]{8}\.\w+")
"""Vite writes a hash of the content into the names of these files, so a name never gets another content.

Nothing else may be there: `web/public/` must have no folder `assets`.
"""
IMMUTABLE: Final = b"public, max-age=31536000, immutable"
"""For a year, without asking: the most that RFC 2616 §14.21 allowed, and what is usual."""
REVALIDATED: Final = b"no-cache"
"""May be kept, but the server is asked before each use whether it has changed."""
_LONGEST: Final = 512
"""Characters of Accept-Encoding that are read: browsers send about 30."""
_REFUSED: Final = re.compile(rb"q=0(\.0{0,3})?")


class _Form(Struct, frozen=True):
    """A file in one coding (`b""` for none)."""

    coding: bytes
    body: bytes
    etag: bytes
    validators: Headers
    """What a 304 says too: how long this may be kept, and how to ask for it again."""
    described: Headers
    """What only a 200 says: type, length, coding."""


class Asset(Struct, frozen=True):
    """One file in all its forms, the best first, the plain one last."""

    forms: list[_Form]
    last_modified: bytes

    def answer(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, Headers, bytes]:
        """Return status (200 or 304), headers and body for a GET with `headers`."""
        asked = join_headers(headers)
        form = self._form(asked.get(b"accept-encoding", b""))
        if self._is_known(form, asked):
            return 304, form.validators, b""
        return 200, [*form.described, *form.validators], form.body

    def _form(self, accepted: bytes) -> _Form:
        """Choose by Accept-Encoding (RFC 9110 §12.5.3). Weights only refuse: the server knows what is smallest."""
        if len(accepted) > _LONGEST:
            return self.forms[-1]
        wanted = {}
        for part in accepted.lower().split(b","):
            coding, _, weight = part.partition(b";")
            wanted[coding.strip()] = _REFUSED.fullmatch(weight.replace(b" ", b"")) is None
        others = wanted.get(b"*", False)
        return next((form for form in self.forms[:-1] if wanted.get(form.coding, others)), self.forms[-1])

    def _is_known(self, form: _Form, asked: dict[bytes, bytes]) -> bool:
        """Return whether the client has this form already (RFC 9110 §13.2.2).

        Tags are compared weakly, because proxies make strong tags weak. The date must be exactly ours: an older build
        that is put back has an older date than the one that it replaces.
        """
        known = asked.get(b"if-none-match")
        if known is not None:
            return form.etag in known or known.strip() == b"*"
        return asked.get(b"if-modified-since") == self.last_modified


class Assets:
    """The files of one directory and those below it. There are none if there is no directory."""

    def __init__(self, directory: Path, headers: Headers, refused: Callable[[Code], object] | None = None) -> None:
        """Read all files. Every answer gets `headers`. `refused` is called with the code of each refusal."""
        self._headers = headers
        self._refused = refused
        self._assets: dict[str, Asset] = {}
        for path in sorted(directory.rglob("[!.]*")):  # what begins with a dot is of the build, and served to nobody
            if path.is_file() and not (path.suffix in CODINGS and path.with_suffix("").is_file()):
                name = f"/{path.relative_to(directory).as_posix()}"
                self._assets[name] = _read(path, IMMUTABLE if _HASHED.fullmatch(name) else REVALIDATED)
        if "/index.html" in self._assets:
            self._assets["/"] = self._assets["/index.html"]

    def paths(self) -> list[str]:
        """Return the paths of all files; `/` is `index.html`."""
        return list(self._assets)

    def find(self, path: str) -> Asset | None:
        """Return the file at the path of a URL, percent-decoded; None if there is none."""
        return self._assets.get(path)

    async def send(
        self,
        asset: Asset,
        scope: Message,
        send: Callable[[Message], Awaitable[None]],
        more: Headers | None = None,
    ) -> None:
        """Answer one HTTP request (ASGI); 405 for any method but GET, HEAD and OPTIONS.

        `more` are instead of our headers.
        """
        if scope["method"] in ("GET", "HEAD"):
            status, headers, body = asset.answer(scope["headers"])
        elif scope["method"] == "OPTIONS":
            status, headers, body = 204, [_ALLOW], b""
        else:
            if self._refused is not None:
                self._refused(Code.METHOD_NOT_ALLOWED)
            status, headers, body = 405, _REFUSAL_HEADERS, _REFUSAL
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*headers, *(self._headers if more is None else more)],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


_REFUSAL: Final = encode(Failure(success=False, message="Method Not Allowed", code=Code.METHOD_NOT_ALLOWED))
_ALLOW: Final = (b"allow", b"GET, HEAD, OPTIONS")
_REFUSAL_HEADERS: Final[Headers] = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(_REFUSAL)),
    _ALLOW,
    (b"cache-control", b"no-store"),
]


def _read(path: Path, cached: bytes) -> Asset:
    """Read a file and what the build has made of it. `cached` is its Cache-Control."""
    plain = path.read_bytes()
    others = [(coding, path.with_name(path.name + suffix)) for suffix, coding in CODINGS.items()]
    bodies = [(coding, other.read_bytes()) for coding, other in others if other.is_file()]
    content_type = TYPES.get(path.suffix, "application/octet-stream").encode()
    last_modified = formatdate(path.stat().st_mtime, usegmt=True).encode()
    # The usual tag is of date and size. But in a reproducible build all files have one date, and index.html, which
    # names the other files by hashes of a fixed length, has the same size in the next version.
    digest = hashlib.sha256(plain).hexdigest()[:32].encode()
    vary = [(b"vary", b"accept-encoding")] if bodies else []

    def form(coding: bytes, body: bytes) -> _Form:
        etag = b'"%b%b"' % (digest, b"-" + coding if coding else b"")
        validators = [(b"cache-control", cached), (b"etag", etag), (b"last-modified", last_modified), *vary]
        described = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
        return _Form(coding, body, etag, validators, described + ([(b"content-encoding", coding)] if coding else []))

    return Asset([*(form(*made) for made in bodies), form(b"", plain)], last_modified)
