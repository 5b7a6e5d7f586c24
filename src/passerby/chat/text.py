"""Validates text messages: bounded in grapheme clusters, visible, without control characters."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

import regex

from passerby.errors import Code, InvalidInputError

_GRAPHEME: Final = regex.compile(r"\X")
_FLAG: Final = re.compile("[\U0001f1e6-\U0001f1ff]{1,2}")
"""Two regional indicators are one character (UAX #29, GB12 and GB13). `\\X` counts a row of them in quadratic time."""
# C0 and C1 controls except newline and tab, and surrogates, which JSON can escape but Unicode text must not contain.
_FORBIDDEN: Final = regex.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# A visible character: not white space, not a format character, not default-ignorable. One for private use is visible:
# systems have pictures there, as Apple's logo at U+F8FF.
_VISIBLE: Final = regex.compile(r"[^\p{Z}\p{Cc}\p{Cf}\p{Cn}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]")
_CODE_POINTS_PER_CHARACTER: Final = 16
"""The longest emoji (families, flags) have about a dozen; more would only flood the recipient's screen."""


def clean_text(text: str, limit: int) -> str:
    """Return `text` with CRLF replaced by newline.

    `limit` is in characters as users perceive them (extended grapheme clusters, UAX #29).
    Raises InvalidInputError: text_empty, text_too_long, text_control_characters.
    """
    if len(text) <= limit and text.isascii() and text.isprintable() and text.strip():
        return text  # the common case, without a regular expression
    if "\r" in text:
        if len(text) > 2 * limit * _CODE_POINTS_PER_CHARACTER:
            raise _too_long(limit)
        text = text.replace("\r\n", "\n")
    if len(text) > limit:
        _check_length(text, limit)
    if not text.isprintable() and _FORBIDDEN.search(text):
        raise InvalidInputError(Code.TEXT_CONTROL_CHARACTERS, "Control characters are not allowed", field="content")
    if not _VISIBLE.search(text):
        raise InvalidInputError(Code.TEXT_EMPTY, "The message is empty", field="content")
    return text


def _check_length(text: str, limit: int) -> None:
    # A character has at least one code point, so only texts with more code points than `limit` are checked here.
    if len(text) > limit * _CODE_POINTS_PER_CHARACTER:
        raise _too_long(limit)
    # A flag counts like any letter: as one character that joins with what may follow it.
    characters = _GRAPHEME.finditer(text if text.isascii() else _FLAG.sub("x", text))
    if next(islice(characters, limit, None), None) is not None:
        raise _too_long(limit)


def _too_long(limit: int) -> InvalidInputError:
    return InvalidInputError(Code.TEXT_TOO_LONG, f"A message has at most {limit} characters", field="content")
