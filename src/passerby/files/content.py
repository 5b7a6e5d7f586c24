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
    from collections.abc import Mapping


_EXTRAS_LIMIT: Final = 2048
"""Maximum bytes of JSON of the extra fields."""
_EXTRAS_DEPTH: Final = 16
"""Maximum nesting depth of lists and objects: far below the limit of any JSON parser."""
_ADDRESS: Final = re.compile(r"[/\\][\t\n\r]*[/\\]|(?:https?|wss?|ftp|javascript):", re.IGNORECASE)
"""What browsers parse as a URL (URL Standard §4.4). It could make the partner's client request an address that the
sender controls."""
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
    extras: dict[str, Any] = {}
    size = 0
    for name, raw in written.items():
        if name in _KNOWN:
            continue
        try:
            value = msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            # Legal JSON such as 1e999, but the log could not be replayed.
            raise InvalidInputError(
                Code.INVALID_PAYLOAD, "A field of content cannot be read", field="content"
            ) from None
        if not _holds_address([name, value]):
            extras[name] = value
            size += len(name.encode()) + len(bytes(raw))
    if size > _EXTRAS_LIMIT:
        raise InvalidInputError(Code.INVALID_PAYLOAD, "content is too large", field="content")
    return extras


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
