"""Searches pictures, sound and video for markup and scripts, in every byte."""

from __future__ import annotations

import re
from typing import Final

OVERLAP: Final = 32
"""Maximum bytes of a match."""
_MARKUP: Final = re.compile(
    rb"<(?=[!?bhis])(?:!doctype\s|(?:html|head|body|script|iframe)[\s/>]"
    rb"|svg(?:[\s/]{1,16}[a-z:]{3}|>\s{0,16}<)|\?(?:php\s|xml[\s-]))",
    re.IGNORECASE,
)
"""Long enough to avoid false positives: 1 in 50,000 random files of 10 MiB."""
BEGINNINGS: Final = (b"<!doctype", b"<html", b"<head", b"<body", b"<script", b"<iframe", b"<svg", b"<?php", b"<?xml")
_DENSE: Final = 64
"""If more than one byte in 64 is "<" (random data: one in 256), the expression above would be slow."""


class Search:
    """A search through a file that is read in pieces."""

    def __init__(self) -> None:
        """Start before the first byte."""
        self._tail = b""

    def finds(self, piece: bytes) -> bool:
        """Return whether there is markup in `piece`, or across the border to the previous piece."""
        seam = self._tail + piece[:OVERLAP]
        self._tail = (piece if len(piece) >= OVERLAP else seam)[-OVERLAP:]
        return _holds_markup(seam) or _holds_markup(piece)


def _holds_markup(data: bytes) -> bool:
    if data.count(b"<") * _DENSE > len(data) > 2 * OVERLAP:
        lowered = data.lower()
        return any(beginning in lowered for beginning in BEGINNINGS)
    return _MARKUP.search(data) is not None
