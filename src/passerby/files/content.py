"""Validates the client's extra fields in the content of a message about a file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from passerby.errors import (
    Code,
    InvalidInputError,
)
from passerby.models import FileInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


_EXTRAS_LIMIT: Final = 2048
"""Maximum bytes of JSON of the extra fields."""
_READ_LIMIT: Final = 4 * _EXTRAS_LIMIT
"""The same, with the fields that are dropped."""
_FIELDS_LIMIT: Final = 1000
"""Maximum number of extra fields: more would not fit into _EXTRAS_LIMIT."""
_EXTRAS_DEPTH: Final = 16
"""Maximum nesting depth of lists and objects: far below the limit of any JSON parser."""
_ADDRESS: Final = re.compile(r"[/\\][\t\n\r]*[/\\]|(?:https?|wss?|ftp|javascript):", re.IGNORECASE)
"""What browsers parse as a URL (URL Standard §4.4). It could make the partner's client request an address that the
sender controls."""
_decode: Final = msgspec.json.Decoder().decode
_KNOWN: Final = frozenset(FileInfo.__struct_encode_fields__)


def named_file(written: Mapping[str, msgspec.Raw]) -> str:
    """Return the id of the file that a client names: by id, or by URL as old clients may."""
    for name in ("fileId", "fileUrl", "tempUrl", "downloadUrl"):
        try:
            value = msgspec.json.decode(written.get(name, b"null"), type=str)
        except (msgspec.DecodeError, UnicodeError):
            continue
        return value.partition("?")[0].rpartition("/")[2]
    raise InvalidInputError(Code.INVALID_PAYLOAD, "content names no file", field="fileId")


def extras_of(written: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    """Return the fields that the server does not know, except those with a URL. Raises InvalidInputError."""
    unknown = {name: raw for name, raw in written.items() if name not in _KNOWN}
    _check_size(unknown, _READ_LIMIT)
    extras: dict[str, Any] = {}
    for name, raw in unknown.items():
        try:
            value = _decode(raw)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            # Legal JSON such as 1e999, but the log could not be replayed.
            raise InvalidInputError(
                Code.INVALID_PAYLOAD, "A field of content cannot be read", field="content"
            ) from None
        if not _holds_address([name, value]):
            extras[name] = value
    _check_size({name: unknown[name] for name in extras}, _EXTRAS_LIMIT)
    return extras


def text_of(content: Mapping[str, Any]) -> str:
    """Return all that the client has written into the extra fields of a content, and how it calls them, in lines."""
    return "\n".join(_strings({name: value for name, value in content.items() if name not in _KNOWN}))


def _strings(value: object) -> Iterator[str]:
    """Yield the strings within `value`, of which `extras_of` has bounded the depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


def _check_size(fields: Mapping[str, msgspec.Raw], limit: int) -> None:
    """Raise InvalidInputError for too many fields, or fields of more than `limit` bytes; does not read further."""
    size = 0
    for number, (name, raw) in enumerate(fields.items()):
        size += len(name.encode()) + memoryview(raw).nbytes
        if size > limit or number == _FIELDS_LIMIT:
            raise InvalidInputError(Code.INVALID_PAYLOAD, "content is too large", field="content")


def _holds_address(value: object, depth: int = 0) -> bool:
    """Return whether a string within `value` contains a URL. Raises InvalidInputError."""
    if isinstance(value, str):
        return _ADDRESS.search(value) is not None
    if isinstance(value, list | dict):
        if depth > _EXTRAS_DEPTH:
            raise InvalidInputError(Code.INVALID_PAYLOAD, "content is nested too deeply", field="content")
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return any(_holds_address(part, depth + 1) for part in parts)
    return False
