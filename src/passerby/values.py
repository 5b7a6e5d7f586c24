"""The values of settings: from a text, as a text, and in words for who gave a wrong one."""

from __future__ import annotations

import math
from types import UnionType
from typing import Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from passerby.limits import Rate
from passerby.sources import is_no_text

_BYTES: Final = (
    *("embedded_memory", "memory_limit", "report_memory", "redis_files_limit", "room_log_bytes", "outbox_limit"),
    *("file_limit", "room_files_limit", "guest_files_limit", "address_files_limit", "files_limit", "max_payload"),
)
_UNITS: Final = {
    **dict.fromkeys(_BYTES, "bytes"),
    "upload_pace": "bytes a second",
    "packet_rate": "packets a second",
    "limits_scale": "",
    "picture_pixels": "pixels",
    "age_minimum": "years",
    "case_hours": "hours",
    "text_limit": "characters",
    "interest_length": "characters",
    "stats_frames": "frames a second",
}
"""Units, where they are not seconds or days."""


def unit_of(name: str, kind: Any) -> str:  # noqa: ANN401 - a type from the hints
    """Return the unit of a setting; empty if it has none. Every other number with a fraction is a time."""
    if name in _UNITS:
        return _UNITS[name]
    if name.endswith("_days"):
        return "days"
    return "seconds" if bare(kind) is float else ""


def is_list(kind: Any) -> bool:  # noqa: ANN401 - a type from the hints
    """Return whether a setting may have several values."""
    return get_origin(bare(kind)) is tuple


def show(value: object) -> str:
    """Return a value as one writes it."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value)
    if isinstance(value, Rate):
        return f"{value.burst:g}/{value.per_second:g}"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def notes(kind: Any) -> list[Meta]:  # noqa: ANN401 - a type from the hints
    """Return what stands beside a type: its bounds and its description."""
    return [note for note in get_args(kind)[1:] if isinstance(note, Meta)]


def bare(kind: Any) -> Any:  # noqa: ANN401 - as above
    """Return a type without what stands beside it, and without None."""
    plain = get_args(kind)[0]
    parts = [part for part in get_args(plain) if part is not type(None)]
    return parts[0] if isinstance(plain, UnionType) else plain


def parse(text: str, kind: Any, unit: str) -> Any:  # noqa: ANN401 - as above, and a value of it
    """Return the value of a text. Raises ValueError that says what is allowed."""
    plain = bare(kind)
    value: object = text
    if is_no_text(text):
        raise ValueError(_allowed(kind, unit) if plain is not str else "must be one line of text (UTF-8)")
    if plain is Rate:
        burst, _, per_second = text.partition("/")
        value = {"burst": burst, "per_second": per_second}
    elif get_origin(plain) is tuple:
        value = [item.strip() for item in text.split(",") if item.strip()]
    try:
        converted = msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        raise ValueError(_allowed(kind, unit)) from None
    numbers = [converted.burst, converted.per_second] if isinstance(converted, Rate) else [converted]
    if not all(math.isfinite(number) for number in numbers if isinstance(number, float)):
        raise ValueError(_allowed(kind, unit))
    return converted


def _allowed(kind: Any, unit: str) -> str:  # noqa: ANN401 - as above
    """Return what a value must be, in people's words."""
    plain, of = bare(kind), f" of {unit}" if unit else ""
    words = {
        Rate: "must be BURST/PER_SECOND, such as 30/5: at least 1 at once, then more than 0 a second",
        bool: "must be true or false",
        int: f"must be a whole number{of}{_bounds(kind)}",
        float: f"must be a number{of}{_bounds(kind)}",
        str: "must not be empty",
    }
    if get_origin(plain) is Literal:
        return f"must be one of {', '.join(get_args(plain))}"
    if get_origin(plain) is tuple:
        item = get_args(plain)[0]
        if item is float:
            return f"must be numbers{of}, separated by commas"
        return f"each of them, separated by commas, must be one of {', '.join(get_args(item))}"
    return words[plain]


def _bounds(kind: Any) -> str:  # noqa: ANN401 - as above
    note = notes(kind)[0]
    if note.gt is not None:
        return f", more than {note.gt}" + (f", at most {note.le}" if note.le is not None else "")
    if note.ge is not None and note.le is not None:
        return f" from {note.ge} to {note.le}"
    return f", {note.ge} or more" if note.ge is not None else ""


def possible(kind: Any) -> str:  # noqa: ANN401 - as above
    """Return what a value may be, for a table."""
    plain, note = bare(kind), notes(kind)[0]
    if get_origin(plain) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(plain))
    if get_origin(plain) is tuple:
        words = get_args(get_args(plain)[0])
        return f"some of {', '.join(f'`{word}`' for word in words)}" if words else "a list"
    if plain in (int, float) and note.ge is None and note.gt is None:
        return "a number"
    if plain in (int, float):
        least = f"more than {note.gt}" if note.gt is not None else note.ge
        return (
            f"{least} to {note.le}" if note.le is not None else f"{least}" if note.gt is not None else f"from {least}"
        )
    return {bool: "`true`, `false`", Rate: "`BURST/PER_SECOND`", str: "text"}[plain]
