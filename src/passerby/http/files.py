"""`/api/files` and `/api/temp-files`: streamed uploads, and downloads for the members of the room."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final
from urllib.parse import quote, unquote

from litestar import Controller, Request, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Stream
from msgspec.json import encode
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from passerby.clock import Timer
from passerby.errors import (
    BadRangeError,
    Code,
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    StorageFullError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedTypeError,
    UploadTimeoutError,
)
from passerby.files.upload import Upload
from passerby.http.guests import authenticated
from passerby.http.models import Failure, Success
from passerby.http.operations import Download, FormUpload, RawUpload, VoiceUpload
from passerby.http.refusals import refusals
from passerby.http.services import Services
from passerby.models import FileInfo, Guest, StoredFile

_OVERHEAD: Final = 64 * 1024
"""Maximum bytes of a multipart body besides the file."""
_FIELD_LIMIT: Final = 256
"""Maximum bytes of a form field that is not the file."""
_NAME_HEADER: Final = 8 * 1024
"""Maximum characters of `X-File-Name`; the rest is cut. A name of 120 characters has at most 1440, percent-encoded."""
_RANGE: Final = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")
PACE_GRACE: Final = 10.0
"""Seconds before the first window in which an upload must keep its pace: a connection begins slowly."""
PACE_WINDOW: Final = 10.0
"""Seconds between two looks at the pace."""
PACE_AHEAD: Final = 2
"""Windows for which bytes that came earlier count too: mobile networks pause, and then are fast again."""
_PART_HEADER: Final = 16 * 1024
_UPLOAD_REFUSALS: Final = refusals(
    InvalidInputError,
    UnauthorizedError,
    ForbiddenError,
    UploadTimeoutError,
    ConflictError,
    TooLargeError,
    UnsupportedTypeError,
    UnavailableError,
    StorageFullError,
)
_FETCH_REFUSALS: Final = (InvalidInputError, UnauthorizedError, ForbiddenError, NotFoundError, UnavailableError)
_FETCH_MEANINGS: Final = {
    UnauthorizedError: "The request has a token and no signature, and the token is invalid or its session has ended",
    ForbiddenError: "The signature is not of this file and this conversation, or there is no signature and no token",
}
_BYTES: Final = refusals(
    *_FETCH_REFUSALS,
    BadRangeError,
    meanings=_FETCH_MEANINGS,
)


_SANDBOX: Final = "sandbox; default-src 'none'"
_PLAYED: Final = "sandbox allow-same-origin; default-src 'none'; media-src 'self'"
"""For sound and video: the page that a browser makes to play a link loads the link again, from its own origin."""
_ACCESS: Final[list[dict[str, list[str]]]] = [{}, {"token": []}]
"""For OpenAPI: the signature in the link, or a member's token."""


class FileController(Controller):
    """Upload a file to the guest's room."""

    path = "/api/files"
    tags = ("files",)
    opt = {"limit": "uploads"}  # noqa: RUF012 - required by the framework
    request_max_body_size = None  # checked in the handlers: they count only the file's bytes

    @put(
        "/{room_id:str}",
        status_code=201,
        operation_id="uploadRaw",
        summary="Upload a raw body",
        security=[{"token": []}],
        operation_class=RawUpload,
        responses=_UPLOAD_REFUSALS,
    )
    async def raw(
        self,
        request: Request[Any, Any, Any],
        services: NamedDependency[Services],
        guest: NamedDependency[Guest],
        room_id: FromPath[str],
    ) -> Success[FileInfo]:
        """Upload the body as a file. `X-File-Name` (percent-encoded) is its name, `Content-Type` its claimed type.

        With `X-Duration` (seconds) the file is a voice note.
        """
        duration = request.headers.get("x-duration")
        upload = await _begin(
            services,
            guest,
            name=unquote(request.headers.get("x-file-name", "")[:_NAME_HEADER]),
            claimed=request.headers.get("content-type", ""),
            size=_announced(request),
            voice=duration is not None,
            address=services.address_of(request),
            room_id=room_id,
        )
        async with _receiving(request, services, upload) as pace:
            async for chunk in pace.received(request.stream()):
                await upload.write(chunk)
            await _check_connected(request)
            file = await upload.finish(room_id, _seconds(duration))
        return Success(success=True, data=services.files.info(file))

    @post(
        "/upload",
        operation_id="uploadForm",
        summary="Upload a file as a form",
        security=[{"token": []}],
        operation_class=FormUpload,
        responses=_UPLOAD_REFUSALS,
    )
    async def upload(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services], guest: NamedDependency[Guest]
    ) -> Success[FileInfo]:
        """Upload `file` to the room `roomId`, as multipart/form-data."""
        return await self._form(request, services, guest, voice=False)

    @post(
        "/voice",
        operation_id="uploadVoiceForm",
        summary="Upload a voice note as a form",
        security=[{"token": []}],
        operation_class=VoiceUpload,
        responses=_UPLOAD_REFUSALS,
    )
    async def voice(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services], guest: NamedDependency[Guest]
    ) -> Success[FileInfo]:
        """Upload `file` with its `duration` (seconds) to the room `roomId`, as multipart/form-data."""
        return await self._form(request, services, guest, voice=True)

    @staticmethod
    async def _form(
        request: Request[Any, Any, Any], services: Services, guest: Guest, *, voice: bool
    ) -> Success[FileInfo]:
        form = _Form(request, services, guest, voice=voice)
        async with form.receiving() as upload:
            await _check_connected(request)
            file = await upload.finish(form.fields.get("roomId", ""), _seconds(form.fields.get("duration")))
        return Success(success=True, data=services.files.info(file))


async def _begin(
    services: Services,
    guest: Guest,
    *,
    name: str,
    claimed: str,
    size: int | None,
    voice: bool,
    address: str,
    room_id: str | None = None,
) -> Upload:
    """Begin an upload to the guest's room, wherever it is."""
    files, live = services.files, services.guests.live(guest.session_id)
    if live is not None:
        return files.begin(live, name=name, claimed=claimed, size=size, voice=voice, address=address, room_id=room_id)
    return await files.begin_elsewhere(
        guest, name=name, claimed=claimed, size=size, voice=voice, address=address, room_id=room_id
    )


class _Form:
    """A multipart body, parsed as a stream: the file is written to an upload, the other fields are kept."""

    def __init__(self, request: Request[Any, Any, Any], services: Services, guest: Guest, *, voice: bool) -> None:
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        if kind != "multipart/form-data" or not options.get("boundary"):
            raise _malformed("Expected multipart/form-data with a boundary")
        announced = _announced(request)
        if announced is not None and announced > services.files.space.quotas.file + _OVERHEAD:
            raise services.files.space.quotas.too_large()
        self._announced = announced
        self._request = request
        self._stream = request.stream()
        self._services = services
        self._guest = guest
        self._voice = voice
        try:
            self._parser = PushMultipartParser(
                options["boundary"], max_header_size=_PART_HEADER, max_segment_count=8, strict=True
            )
        except MultipartError as error:
            raise _malformed("The boundary is malformed") from error
        self._upload: Upload | None = None
        self.fields: dict[str, str] = {}

    @contextlib.asynccontextmanager
    async def receiving(self) -> AsyncIterator[Upload]:
        """Read the whole body, then yield the upload. If anything fails, the upload is aborted."""
        async with _receiving(self._request, self._services, self) as pace:
            try:
                await self._read(pace)
            except MultipartError as error:
                raise _malformed("The form is malformed") from error
            if self._upload is None:
                raise InvalidInputError(Code.FILE_MISSING, "The form holds no file", field="file")
            yield self._upload

    async def abort(self) -> None:
        """Remove what is already stored."""
        if self._upload is not None:
            await self._upload.abort()

    async def _read(self, pace: _Pace) -> None:
        segment: MultipartSegment | None = None
        value = bytearray()
        async for chunk in self._body(pace):
            for event in self._parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    segment, value = event, bytearray()
                    if segment.filename is not None:
                        await self._begin(segment)
                elif segment is None:
                    continue
                elif event is None:
                    if segment.filename is None:
                        self.fields[segment.name] = value.decode(errors="replace")
                elif segment.filename is not None and self._upload is not None:
                    await self._upload.write(bytes(event))
                else:
                    value += event
                    if len(value) > _FIELD_LIMIT:
                        raise _malformed("A field is too long")
        self._parser.close()

    async def _body(self, pace: _Pace) -> AsyncIterator[bytes]:
        """Yield the body without its final line end, which the parser rejects when it arrives in a separate chunk."""
        held = b""
        async for received in pace.received(self._stream):
            chunk = held + received
            end = len(chunk) - (2 if chunk.endswith(b"\r\n") else chunk.endswith(b"\r"))
            held = chunk[end:]
            if end:
                yield chunk[:end]

    async def _begin(self, segment: MultipartSegment) -> None:
        if self._upload is not None:
            raise _malformed("One file at a time")
        files = self._services.files
        self._upload = await _begin(
            self._services,
            self._guest,
            name=segment.filename or "",
            claimed=segment.content_type or "",
            size=None if self._announced is None else min(self._announced, files.space.quotas.file),
            voice=self._voice,
            address=self._services.address_of(self._request),
        )


@contextlib.asynccontextmanager
async def _receiving(
    request: Request[Any, Any, Any], services: Services, upload: Upload | _Form
) -> AsyncIterator[_Pace]:
    """Limit duration and pace of an upload; abort it on failure."""
    own_pace = request.scope.get("passerby.own_pace")  # see GuardedHttpProtocol
    if callable(own_pace):
        own_pace()
    pace = _Pace(services)
    try:
        async with asyncio.timeout(None) as limit:
            with pace.limiting(limit):
                yield pace
    except TimeoutError as error:
        await upload.abort()
        raise UploadTimeoutError(Code.UPLOAD_TIMEOUT, pace.reason) from error
    except BaseException:
        await asyncio.shield(upload.abort())
        raise


class _Pace:
    """Ends an upload that takes too long, or that comes too slowly."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._bytes = 0.0
        """Bytes that count for the present window."""
        self._waits = False
        self._timers: dict[str, Timer] = {}
        self.reason = ""
        """Why the upload was ended."""

    @contextlib.contextmanager
    def limiting(self, limit: asyncio.Timeout) -> Iterator[None]:
        """Expire `limit` in time, while in the block."""
        self._limit = limit
        self._call("whole", self._services.upload_timeout, lambda: self._expire("The upload took too long"))
        if self._services.upload_pace:
            self._call("window", PACE_GRACE + PACE_WINDOW, self._look)
        try:
            yield
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()  # no reference cycles: they would wait for the garbage collector
            del self._limit

    async def received(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the parts of `body`. While the caller handles one, the client is not waited for."""
        self._waits = True
        async for part in body:
            self._bytes += len(part)
            self._waits = False
            yield part
            self._waits = True
        self._waits = False

    def _look(self) -> None:
        due = self._services.upload_pace * PACE_WINDOW
        if self._bytes >= due:
            self._bytes = min(self._bytes - due, PACE_AHEAD * due)
        elif self._waits:
            self._expire("The upload is too slow")
            return
        self._call("window", PACE_WINDOW, self._look)

    def _expire(self, reason: str) -> None:
        self.reason = reason
        self._limit.reschedule(asyncio.get_running_loop().time())

    def _call(self, name: str, delay: float, callback: Callable[[], None]) -> None:
        self._timers[name] = self._services.background.clock.call_later(delay, callback)


async def _check_connected(request: Request[Any, Any, Any]) -> None:
    """Raise if the client has disconnected after the last byte: it would never learn that the file is stored."""
    receiving = asyncio.ensure_future(request.receive())  # ends only when the connection is closed
    try:
        for _ in range(5):  # enough iterations for a closed socket to be detected and reported to the task
            await asyncio.sleep(0)
        if receiving.done() and receiving.result()["type"] == "http.disconnect":
            raise _malformed("The client has gone")
    finally:
        receiving.cancel()


def _announced(request: Request[Any, Any, Any]) -> int | None:
    length = request.headers.get("content-length")
    return int(length) if length is not None else None  # the HTTP parser has checked that it is a number


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _malformed(message: str) -> InvalidInputError:
    return InvalidInputError(Code.UPLOAD_MALFORMED, message)


# ── downloads ─────────────────────────────────────────────────────────────────────────────────────


async def allowed(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    file_id: FromPath[str],
    expires: FromQuery[str | None] = None,
    signature: FromQuery[str | None] = None,
) -> StoredFile:
    """Provide the file to a client with its link or in its room. Raises NotFoundError, ForbiddenError."""
    if signature is None and "authorization" in request.headers:
        guest = await authenticated(request, services)
        live = services.guests.live(guest.session_id)
        if live is None:
            return await services.files.of_guest(file_id, guest.id)
        return await services.files.of_member(file_id, live)
    return await services.files.signed(file_id, expires, signature)


class TemporaryFileController(Controller):
    """Download a file while its room is open."""

    path = "/api/temp-files"
    tags = ("files",)

    @get(
        "/temp/{file_id:str}",
        operation_id="showFile",
        operation_class=Download,
        summary="Get a file, inline if its type is safe",
        security=_ACCESS,
        responses=_BYTES,
    )
    async def temp(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services], file: NamedDependency[StoredFile]
    ) -> Stream:
        """Return the bytes, or the requested range. Types that are not safe to display are sent as attachment."""
        return _answer(request, services, file, inline=file.inline)

    @get(
        "/download/{file_id:str}",
        operation_id="downloadFile",
        operation_class=Download,
        summary="Get a file as an attachment",
        security=_ACCESS,
        responses=_BYTES,
    )
    async def download(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services], file: NamedDependency[StoredFile]
    ) -> Stream:
        """Return the bytes, or the requested range, as an attachment."""
        return _answer(request, services, file, inline=False)

    @get(
        "/info/{file_id:str}",
        operation_id="getFileInfo",
        summary="Get a file's metadata",
        security=_ACCESS,
        responses=refusals(*_FETCH_REFUSALS, meanings=_FETCH_MEANINGS),
    )
    async def info(self, services: NamedDependency[Services], file: NamedDependency[StoredFile]) -> Success[FileInfo]:
        """Return the same data as the response of the upload."""
        return Success(success=True, data=services.files.info(file))


def _answer(request: Request[Any, Any, Any], services: Services, file: StoredFile, *, inline: bool) -> Stream:
    tag = f'"{file.id}"'
    headers = {
        "etag": tag,
        "accept-ranges": "bytes",
        "cache-control": "private, no-store",
        "content-disposition": _disposition(file.filename, inline=inline),
        "content-security-policy": _PLAYED if inline and file.category in {"audio", "video"} else _SANDBOX,
        "cross-origin-resource-policy": "cross-origin",  # the signed link grants access, from any page
    }
    known = request.headers.get("if-none-match", "")
    if tag in known or known.strip() == "*":
        return Stream(_nothing(), status_code=304, headers=headers)
    status, start, stop = 200, 0, file.size
    asked = request.headers.get("range")
    if asked is not None and request.headers.get("if-range", tag) == tag:
        status, start, stop = _range(asked, file.size)
    if status == BadRangeError.status:
        refused = BadRangeError()
        services.refusals.request(refused.code)
        told = encode(Failure.of(refused))
        headers |= {"content-range": f"bytes */{file.size}", "content-length": str(len(told))}
        return Stream(iter((told,)), status_code=status, headers=headers, media_type="application/json")
    if status == 206:  # noqa: PLR2004 - Partial Content
        headers["content-range"] = f"bytes {start}-{stop - 1}/{file.size}"
    headers["content-length"] = str(stop - start)
    body = _nothing() if request.scope.get("passerby.head") else _sent(request, services, file, start, stop)
    return Stream(
        body, status_code=status, headers=headers, media_type=file.mime_type
    )  # Stream adds the charset for text


def _range(asked: str, size: int) -> tuple[int, int, int]:
    """Return status, start and stop for a Range header (RFC 9110 §14); the whole file for several or invalid ranges."""
    match = _RANGE.fullmatch(asked.strip())
    if match is None or not (match[1] or match[2]):
        return 200, 0, size
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return 200, 0, size
    return (206, start, stop) if start < stop else (416, 0, 0)


def _disposition(name: str, *, inline: bool) -> str:
    """Return Content-Disposition (RFC 6266) for a name in any script."""
    plain = re.sub(r'[^\x20-\x7e]|["\\%]', "_", name)
    return f"{'inline' if inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def _sent(
    request: Request[Any, Any, Any], services: Services, file: StoredFile, start: int, stop: int
) -> AsyncIterator[bytes]:
    """Return the bytes. If they end early, abort the connection, so that what came is not taken for the whole file.

    They do so because the room has closed, or because the store has lost them or cannot be reached.
    """
    cut: Callable[[], None] = request.scope["passerby.cut"]  # type: ignore[typeddict-item]  # see GuardedHttpProtocol
    with services.files.serving(file, cut):
        try:
            async for part in services.files.read(file, start, stop):
                start += len(part)
                services.files.sent_bytes += len(part)
                yield part
        except ConnectionError:
            pass  # the store is away, and says so itself
        except Exception as error:  # noqa: BLE001 - the status has been sent: only a cut tells the client
            services.background.failed("download", error)
    if start < stop:
        cut()
        await asyncio.Event().wait()  # until the framework detects the disconnect and cancels this


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for part in nothing:
        yield part
