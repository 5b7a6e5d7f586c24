"""The Litestar application: routes, error responses, rate limits, headers."""

from __future__ import annotations

import math
import secrets
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from litestar import Litestar, Request, Response, Router
from litestar.config.cors import CORSConfig
from litestar.connection import ASGIConnection
from litestar.datastructures import URL
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Server
from litestar.types import Message, Scope
from msgspec import UNSET
from msgspec.json import encode

from passerby import __version__
from passerby.errors import Code, InternalError, PasserbyError, RateLimitedError, UnsupportedTypeError
from passerby.http.assets import Assets, Headers
from passerby.http.calls import CallController
from passerby.http.files import FileController, TemporaryFileController, allowed
from passerby.http.guests import GuestController, authenticated
from passerby.http.models import Failure, FieldError
from passerby.http.moderation import COOKIE, ModerationController
from passerby.http.openapi import Documents
from passerby.http.safety import AppealController, HouseController, ReportController
from passerby.http.services import Services
from passerby.http.status import StatusController
from passerby.socketio.handshake import join_headers
from passerby.socketio.origins import normal_origin

STATIC: Final = Path(__file__).parents[1] / "static"
_SCHEMA: Final = "/schema"
_LIMITED: Final = {
    "requests": "requests",
    "sessions": "sessions",
    "uploads": "files",
    "codes": "questions with codes",
    "logins": "attempts to log in",
}
"""Text of the rate-limit error, by the limit's name."""
MAX_JSON_BODY: Final = 64 * 1024
"""Maximum bytes of a request body; a guest's traits need a few hundred."""

_SECURITY_HEADERS: Final[Headers] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"; ".join(
            (
                b"default-src 'self'",
                b"connect-src 'self' ws: wss:",
                b"img-src 'self' data: blob:",
                b"media-src 'self' blob:",
                b"style-src 'self' 'unsafe-inline'",
                b"frame-ancestors 'none'",
                b"base-uri 'none'",
                b"form-action 'none'",
                b"object-src 'none'",
            )
        ),
    ),
]
REQUEST_ID: Final = "request-id"
"""Header of the answer to a request that has failed on the server: its line in the log has the same."""
_Handle: TypeAlias = Callable[[Request[Any, Any, Any], Any], Response[Failure]]
_HEADERS: Final[Headers] = [(b"cache-control", b"no-store"), *_SECURITY_HEADERS]
"""Of every answer that has none of its own: what a route says is true now, and many say it with a token."""


def _cors(origins: list[str]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(
        allow_origins=origins, allow_credentials=True, expose_headers=["Retry-After", "Device", "Request-Id"]
    )


class Answer:
    """An error response that needs no framework: for what it does not do, or too slowly, or without a code."""

    def __init__(self, status: int, failure: Failure, *headers: tuple[bytes, bytes]) -> None:
        """Make the response, with `headers` of its own."""
        self.code = failure.code
        body = encode(failure)
        described = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        self._start = {"type": "http.response.start", "status": status, "headers": [*described, *headers, *_HEADERS]}
        self._body = {"type": "http.response.body", "body": body}

    @classmethod
    def of(cls, error: PasserbyError) -> Answer:
        """Return the same response as a route that raises `error`."""
        headers = [(name.encode(), value.encode()) for name, value in _retry(error).items()]
        return cls(error.status, Failure.of(error), *headers)

    async def send(self, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """Answer one HTTP request (ASGI)."""
        await send(self._start)
        await send(self._body)


class _Request(Request[Any, Any, Any]):
    """A request whose `url` cannot fail: the framework's own is made of Host, which may be anything."""

    @property
    def url(self) -> URL:
        """Return path and query, at `localhost`."""
        query = self.scope["query_string"].decode("latin-1")
        return URL.from_components(
            scheme=self.scope["scheme"], netloc="localhost", path=self.scope["path"], query=query
        )


def _device(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Return what a browser is to keep that was refused."""
    device = request.state.get("device")
    return {} if device is None else {"device": device}


def _retry(error: PasserbyError) -> dict[str, str]:
    return {} if error.retry_after is None else {"retry-after": str(math.ceil(error.retry_after))}


STOPPED: Final = Answer(
    503,
    Failure(success=False, message="The server is stopping", code=Code.UNAVAILABLE),
    (b"connection", b"close"),
)
ORIGIN_FORBIDDEN: Final = Answer(
    400, Failure(success=False, message="Disallowed CORS Origin", code=Code.ORIGIN_FORBIDDEN)
)


def new_request_id() -> str:
    """Return what an answer to a failed request has in common with its line in the log."""
    return secrets.token_hex(8)


def failure(request_id: str) -> Answer:
    """Return the answer to a request that has failed outside the framework."""
    return Answer(InternalError.status, Failure.of(InternalError()), (REQUEST_ID.encode(), request_id.encode()))


async def redirect(
    path: str, scope: MutableMapping[str, Any], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Lead one HTTP request (ASGI) to another path of this server, with its query."""
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    headers = [(b"location", path.encode() + query), (b"content-length", b"0"), *_HEADERS]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def is_forbidden_preflight(application: Litestar, scope: MutableMapping[str, Any]) -> bool:
    """Return whether the framework would refuse a CORS preflight (Fetch §3.2.2): it does so without a code."""
    cors = application.cors_config
    if cors is None or scope["method"] != "OPTIONS":
        return False
    origin = join_headers(scope["headers"]).get(b"origin", b"").decode("latin-1")
    return origin != "" and not cors.is_origin_allowed(origin)


def client_files(refused: Callable[[Code], object]) -> Assets:
    """Read the built web client; there are no files if it is not built. `refused` is told the code of each refusal."""
    return Assets(STATIC, _SECURITY_HEADERS, refused)


def console_headers() -> Headers:
    """Return the headers of the console's page: as strict as those of the guests' page, without sockets."""
    return [
        (name, value.replace(b" ws: wss:", b"") if name == b"content-security-policy" else value)
        for name, value in _SECURITY_HEADERS
    ]


def create(services: Services, *, cors_origin: tuple[str, ...], root_path: str = "") -> Litestar:
    """Return the ASGI application for all paths except Socket.IO's and those of the web client's files."""

    async def limited(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        limit = handler.opt.get("limit", "requests")
        if limit is not None:
            wait = await services.rates[limit].take(services.address_of(connection))
            if wait:
                what = f"{_LIMITED[limit]} from your address"
                raise RateLimitedError(wait, what, limit=f"address_{limit}")

    async def typed(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Refuse a body whose type a page of another site could send without a preflight (Fetch §2.2.2)."""
        if "data" in handler.parsed_fn_signature.parameters and await _is_not_json(connection):
            raise UnsupportedTypeError(Code.UNSUPPORTED_MEDIA_TYPE, "Send JSON, with Content-Type: application/json")

    def failed(request: Request[Any, Any, Any], error: Exception) -> Response[Failure]:
        number = new_request_id()
        services.background.failed("request", error, request_id=number)
        response = _refused(request, InternalError())
        response.headers[REQUEST_ID] = number
        return response

    def counted(handle: _Handle) -> _Handle:
        def refuse(request: Request[Any, Any, Any], error: Any) -> Response[Failure]:  # noqa: ANN401 - as registered
            response = handle(request, error)
            services.refusals.request(response.content.code, error, services.address_of(request))
            return response

        return refuse

    return Litestar(
        [
            GuestController,
            FileController,
            TemporaryFileController,
            CallController,
            ReportController,
            AppealController,
            ModerationController,
            HouseController,
            StatusController,
        ],
        dependencies={
            "services": Provide(lambda: services, sync_to_thread=False),
            "guest": Provide(authenticated),
            "file": Provide(allowed),
        },
        guards=[limited, typed],
        cors_config=_cors([normal_origin(origin) for origin in cors_origin]),
        exception_handlers={
            PasserbyError: counted(_refused),
            ValidationException: counted(_invalid),
            HTTPException: counted(_http_error),
            RecursionError: counted(_malformed),
            UnicodeDecodeError: counted(_malformed),
            Exception: counted(failed),
        },
        before_send=[_add_headers],
        request_max_body_size=MAX_JSON_BODY,
        openapi_config=OpenAPIConfig(
            title="Passerby",
            version=__version__,
            description=(
                "Every refusal has the body Failure with a code. Besides those of its own, each route may answer "
                "500 `internal`; 503 `unavailable` when the server stops, has too many connections (429 `rate_limited` "
                "for too many of one address), or cannot read sessions now; and 400 `origin_forbidden` to a CORS "
                "preflight of a page whose origin is not listed."
            ),
            servers=[Server(url=root_path or "/")],
            path=_SCHEMA,
            render_plugins=[JsonRenderPlugin()],
            openapi_router=Router(_SCHEMA, route_handlers=[], include_in_schema=False, before_request=Documents()),
            components=Components(
                security_schemes={
                    "token": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT"),
                    "moderator": SecurityScheme(type="apiKey", name=COOKIE, security_scheme_in="cookie"),
                    "csrf": SecurityScheme(type="apiKey", name="X-CSRF-Token", security_scheme_in="header"),
                }
            ),
        ),
        request_class=_Request,
        logging_config=None,
        debug=False,
    )


async def _add_headers(message: Message, scope: Scope) -> None:
    if message["type"] == "http.response.start":
        own = {name.lower() for name, _ in message["headers"]}
        message["headers"] = [
            *(
                (name, _allowed(value, scope) if name.lower() == b"allow" else value)
                for name, value in message["headers"]
            ),
            *(header for header in _HEADERS if header[0] not in own),
        ]


def _allowed(value: bytes, scope: Scope) -> bytes:
    """Return the value of Allow with what the framework leaves out: HEAD, and some methods in answer to OPTIONS."""
    methods = {*value.decode().split(", ")}
    if scope.get("method") == "OPTIONS":
        methods.update(
            *(route.methods for route in scope["litestar_app"].routes if route.path_format == scope["path_template"])
        )
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods)).encode()


async def _is_not_json(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Return whether there is a body, and its Content-Type is neither application/json nor one of `+json`."""
    headers = connection.headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return False
    if "transfer-encoding" in headers:  # only the body itself says whether there is one
        return not isinstance(connection, Request) or await connection.body() != b""
    return headers.get("content-length", "0") != "0"


def _refused(request: Request[Any, Any, Any], error: PasserbyError) -> Response[Failure]:
    return Response(Failure.of(error), status_code=error.status, headers=_retry(error) | _device(request))


def _malformed(_request: Request[Any, Any, Any], _error: Exception) -> Response[Failure]:
    """Answer a body that is nested too deeply or not UTF-8; the framework raises these errors unhandled."""
    return Response(Failure(success=False, message="Malformed body", code=Code.INVALID_PAYLOAD), status_code=400)


_RULES: Final = {
    "username": "Use 3-20 of the characters A-Z a-z 0-9 _",
    "language": "Use a language tag such as en or pt-BR",
    "return": "Use the page of an origin, such as https://chat.example/",
}
_NAMES: Final = {"back": "return", "begins": "from", "ends": "to", "case_state": "state"}
"""Names on the wire of parameters that Python calls otherwise."""


def _name(parameter: str) -> str:
    return _NAMES.get(parameter, parameter)


def _let_go(error: ValidationException) -> None:
    """Break a cycle of the framework: it keeps errors in the frames that they refer to, and those have the request."""
    cause = error.__cause__
    if cause is None:
        return
    for frame, _ in traceback.walk_tb(cause.__traceback__):
        for kept in list(frame.f_locals.values()):
            if isinstance(kept, Exception):
                kept.__traceback__ = None
    cause.__traceback__ = None


def _invalid(_request: Request[Any, Any, Any], error: ValidationException) -> Response[Failure]:
    _let_go(error)
    details = error.extra if isinstance(error.extra, list) else []
    if any(isinstance(detail, dict) and detail.get("message") == "'data'" for detail in details):
        return Response(Failure(success=False, message="A body is missing", code=Code.INVALID_PAYLOAD), status_code=400)
    fields = [
        FieldError(key := _name(str(detail.get("key", ""))), _RULES.get(key) or str(detail.get("message", "")))
        for detail in details
        if isinstance(detail, dict)
    ]
    message = "; ".join(f"{field.field}: {field.message}" for field in fields) or "Malformed body"
    return Response(
        Failure(success=False, message=message, code=Code.INVALID_PAYLOAD, errors=fields or UNSET),
        status_code=400,
    )


_CODES: Final = {
    400: Code.INVALID_PAYLOAD,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.TOO_LARGE,
    415: Code.UNSUPPORTED_MEDIA_TYPE,
}


def _http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[Failure]:
    code = _CODES.get(error.status_code, Code.HTTP_ERROR)
    message = "Not Found" if code is Code.NOT_FOUND else error.detail  # the framework's text repeats the path
    return Response(
        Failure(success=False, message=message, code=code), status_code=error.status_code, headers=error.headers
    )
