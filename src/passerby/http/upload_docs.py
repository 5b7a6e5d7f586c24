"""Documents upload bodies in OpenAPI: they are streamed, so no handler parameter describes them."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.openapi.spec import (
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)

_STRING = Schema(type=OpenAPIType.STRING)
_BINARY = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
_SECONDS = Schema(type=OpenAPIType.NUMBER, description="Duration of the voice note in seconds")


@dataclass
class RawUpload(Operation):
    """The body is the file."""

    def __post_init__(self) -> None:
        """Add the body and the headers that describe it."""
        self.request_body = RequestBody(content={"*/*": OpenAPIMediaType(schema=_BINARY)}, required=True)
        self.parameters = [
            *(self.parameters or []),
            Parameter(name="X-File-Name", param_in="header", schema=_STRING, description="Percent-encoded UTF-8"),
            Parameter(
                name="X-Duration", param_in="header", schema=_SECONDS, description="Marks the file as a voice note"
            ),
        ]


@dataclass
class FormUpload(Operation):
    """The body is a form."""

    def __post_init__(self) -> None:
        """Add the body."""
        self.request_body = _form({"file": _BINARY, "roomId": _STRING})


@dataclass
class VoiceUpload(Operation):
    """The body is a form with a duration."""

    def __post_init__(self) -> None:
        """Add the body."""
        self.request_body = _form({"file": _BINARY, "roomId": _STRING, "duration": _SECONDS})


def _form(fields: dict[str, Schema]) -> RequestBody:
    schema = Schema(type=OpenAPIType.OBJECT, properties=dict(fields), required=list(fields))
    return RequestBody(content={"multipart/form-data": OpenAPIMediaType(schema=schema)}, required=True)
