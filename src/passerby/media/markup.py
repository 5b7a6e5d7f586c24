"""Markup and scripts within what should be a picture, a sound or a video: searched for in every byte of it."""

from __future__ import annotations

import re
from typing import Final

OVERLAP: Final = 32
"""Bytes that a match may take, at most."""
_MARKUP: Final = re.compile(
    rb"<(?=[!?bhis])(?:!doctype\s|(?:html|head|body|script|iframe)[\s/>]"
    rb"|svg(?:[\s/]{1,16}[a-z:]{3}|>\s{0,16}<)|\?(?:php\s|xml[\s-]))",
    re.IGNORECASE,
)
"""So long that chance does not write it: 10 MiB of noise hold one of these in 1 of 50,000 files."""
BEGINNINGS: Final = (b"<!doctype", b"<html", b"<head", b"<body", b"<script", b"<iframe", b"<svg", b"<?php", b"<?xml")
_DENSE: Final = 64
"""More than one "<" in so many bytes: noise has one in 256. The expression above would take its time there."""


class Search:
    """A search through a file that comes in pieces."""

    def __init__(self) -> None:
        """Begin before the first byte."""
        self._tail = b""

    def finds(self, piece: bytes) -> bool:
        """Tell whether there is markup in a piece, or where it meets the one before."""
        seam = self._tail + piece[:OVERLAP]
        self._tail = (piece if len(piece) >= OVERLAP else seam)[-OVERLAP:]
        return _holds_markup(seam) or _holds_markup(piece)


def _holds_markup(data: bytes) -> bool:
    if data.count(b"<") * _DENSE > len(data) > 2 * OVERLAP:
        lowered = data.lower()
        return any(beginning in lowered for beginning in BEGINNINGS)
    return _MARKUP.search(data) is not None
