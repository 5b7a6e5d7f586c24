"""Cleans file names so that they are safe to display and to save."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from passerby.models import INVISIBLE

_NAME_LENGTH: Final = 120
_UNSEEN: Final = re.compile(f"[{INVISIBLE}\\ud800-\\udfff]")
_UNSAFE: Final = re.compile(r'[<>:"|?*]')
_EDGES: Final = "." + "".join(filter(str.isspace, map(chr, range(0x3001))))
"""Dots and all Unicode spaces."""


def clean_name(name: str) -> str:
    """Return the name without directories, control and bidi characters, at most 120 characters long."""
    name = unicodedata.normalize("NFC", _UNSEEN.sub("", name.replace("\\", "/").rpartition("/")[2]))
    name = _UNSAFE.sub("_", name).strip(_EDGES)
    stem, dot, extension = name.rpartition(".")
    if dot and len(extension) < _NAME_LENGTH // 4:
        name = f"{stem[: _NAME_LENGTH - len(extension) - 1].rstrip()}.{extension}"
    return name[:_NAME_LENGTH].rstrip(_EDGES) or "file"
