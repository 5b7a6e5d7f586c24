"""Documents in OpenAPI what no handler's parameters and result tell: streamed bodies, headers, what is optional."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from litestar.openapi.spec import (
    OpenAPIFormat,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)

_STRING: Final = Schema(type=OpenAPIType.STRING)
_BINARY: Final = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
_ROOM: Final = Schema(type=OpenAPIType.STRING, max_length=256)
_SECONDS: Final = Schema(
    type=OpenAPIType.NUMBER,
    exclusive_minimum=0,
    description="Duration of the voice note in seconds, at most `voiceDuration` of the limits",
    examples=[4.2],
)
_ANY: Final = "*/*"
_BYTES: Final = "application/octet-stream"


def _header(name: str, description: str, schema: Schema = _STRING) -> Parameter:
    return Parameter(name=name, param_in="header", schema=schema, description=description)


def _told(description: str) -> OpenAPIHeader:
    return OpenAPIHeader(schema=_STRING, description=description)


class _Documented(Operation):
    """An operation with additions."""

    def add(self, *parameters: Parameter) -> None:
        """Add parameters."""
        self.parameters = [*(self.parameters or []), *parameters]

    def answer(self, status: int) -> OpenAPIResponse:
        """Return the response with a status, to be completed."""
        responses = self.responses = self.responses or {}
        response = responses.setdefault(str(status), OpenAPIResponse(description=""))
        assert isinstance(response, OpenAPIResponse)  # noqa: S101 - the framework makes no references here
        return response


@dataclass
class NewSession(_Documented):
    """All of the body is optional, and what was asked for first is told in headers."""

    def __post_init__(self) -> None:
        """Add the headers."""
        assert isinstance(self.request_body, RequestBody)  # noqa: S101 - the handler has a body
        self.request_body.required = False
        self.add(
            _header("Device", "`device` of an earlier answer"),
            _header("Proof", "The solution of the challenge of a 428 `proof_required`"),
            _header("Age-Proof", "What the provider of the age check has told: `<state>.<result>.<signature>`"),
        )
        self.answer(403).headers = {"Device": _told("Of `under_age`: to be kept in place of the one before")}


@dataclass
class RawUpload(_Documented):
    """The body is the file."""

    def __post_init__(self) -> None:
        """Add the body and the headers that describe it."""
        body = OpenAPIMediaType(schema=_BINARY)
        self.request_body = RequestBody(
            content={_BYTES: body, _ANY: body},
            required=True,
            description="The bytes of the file. Content-Type is what the sender takes it for",
        )
        self.add(
            _header(
                "X-File-Name",
                "Percent-encoded UTF-8",
                Schema(type=OpenAPIType.STRING, max_length=8192, examples=["caf%C3%A9.jpg"]),
            ),
            _header("X-Duration", "Marks the file as a voice note", _SECONDS),
        )


@dataclass
class FormUpload(Operation):
    """The body is a form."""

    def __post_init__(self) -> None:
        """Add the body."""
        self.request_body = _form({"file": _BINARY, "roomId": _ROOM})


@dataclass
class VoiceUpload(Operation):
    """The body is a form with a duration."""

    def __post_init__(self) -> None:
        """Add the body."""
        self.request_body = _form({"file": _BINARY, "roomId": _ROOM, "duration": _SECONDS})


@dataclass
class Download(_Documented):
    """The answer is the file, or a part of it, with the type that the server has found in its bytes."""

    def __post_init__(self) -> None:
        """Add the types, and the headers of RFC 9110 §13 and §14."""
        tag = {"ETag": _told("Of the file")}
        about = tag | {"Content-Disposition": _told("The name of the file"), "Accept-Ranges": _told("`bytes`")}
        whole, part, known, behind = self.answer(200), self.answer(206), self.answer(304), self.answer(416)
        whole.description, whole.headers, whole.content = "The file", {**about}, _content()
        part.description, part.content = "The requested range", _content()
        part.headers = {**about, "Content-Range": _told("Which bytes, of how many")}
        known.description, known.headers = "Not modified (If-None-Match)", {**tag}
        behind.headers = {"Content-Range": _told("How many bytes the file has: `bytes */<size>`")}
        self.add(
            _header("Range", "`bytes=<first>-<last>`; several ranges are answered with the whole file"),
            _header("If-Range", "The ETag that the range is of"),
            _header("If-None-Match", "ETags that the client has"),
        )


@dataclass
class EvidenceBytes(_Documented):
    """The answer is a file of the evidence. What the console's page may not show is application/octet-stream."""

    def __post_init__(self) -> None:
        """Add the types."""
        self.answer(200).content = _content()


@dataclass
class Archive(_Documented):
    """The answer is a ZIP."""

    def __post_init__(self) -> None:
        """Add the type."""
        self.answer(200).content = {"application/zip": OpenAPIMediaType(schema=_BINARY)}


@dataclass
class LoggingIn(_Documented):
    """The answer sets the cookie."""

    def __post_init__(self) -> None:
        """Add the header."""
        self.answer(200).headers = {"Set-Cookie": _told("The session of the console")}


def _content() -> dict[str, OpenAPIMediaType]:
    return {_BYTES: OpenAPIMediaType(schema=_BINARY), _ANY: OpenAPIMediaType(schema=_BINARY)}


def _form(fields: dict[str, Schema]) -> RequestBody:
    schema = Schema(type=OpenAPIType.OBJECT, properties=dict(fields), required=list(fields))
    return RequestBody(content={"multipart/form-data": OpenAPIMediaType(schema=schema)}, required=True)
