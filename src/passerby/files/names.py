"""Cleans file names so that they are safe to display and to save."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from passerby.models import INVISIBLE

_NAME_LENGTH: Final = 120
_EXTENSION_LENGTH: Final = _NAME_LENGTH // 4
"""An extension is shorter than this; a longer one is part of the stem."""
_DECOMPOSED: Final = 4
"""Code points that NFC may compose to one, at most (Unicode's stability policy for NFC and NFD)."""
_UNSEEN: Final = re.compile(f"[{INVISIBLE}\\ud800-\\udfff]")
_UNSAFE: Final = re.compile(r'[<>:"|?*]')
_EDGES: Final = "." + "".join(filter(str.isspace, map(chr, range(0x3001))))
"""Dots and all Unicode spaces."""


def clean_name(name: str) -> str:
    """Return the name without directories, control and bidi characters, at most 120 characters long."""
    name = _UNSEEN.sub("", name.replace("\\", "/").rpartition("/")[2]).strip(_EDGES)
    name = unicodedata.normalize("NFC", _shortened(name))
    name = _UNSAFE.sub("_", name).strip(_EDGES)
    stem, dot, extension = name.rpartition(".")
    if dot and len(extension) < _EXTENSION_LENGTH:
        name = f"{stem[: _NAME_LENGTH - len(extension) - 1].rstrip()}.{extension}"
    return name[:_NAME_LENGTH].rstrip(_EDGES) or "file"


def _shortened(name: str) -> str:
    """Return a beginning and an end that are long enough for the result: NFC takes quadratic time in a row of marks."""
    head, tail = _NAME_LENGTH * _DECOMPOSED, _EXTENSION_LENGTH * _DECOMPOSED
    return name if len(name) <= head + tail else name[:head] + name[-tail:]
