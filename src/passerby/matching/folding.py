"""When two words are the same, whoever has written them, and however."""

from __future__ import annotations

import unicodedata
from typing import Final

_VARIANTS: Final = str.maketrans(
    {
        **dict.fromkeys("\u0307\ufe0e\ufe0f\u00ad\u180e"),
        **dict.fromkeys("\u115f\u1160\u2800", " "),
        "\u0131": "i",
    }
)
"""What makes no difference: the dot of an i, which only Turkish and its relatives write or leave out; whether an emoji
is to be shown in colour; marks that are not seen, such as a soft hyphen; and letters that look like a space."""


def fold(text: str) -> str:
    """Return what is compared of a word: without case, width, and spaces around; inner spaces become one each.

    So "Música", "música " and "MÚSICA" are the same. Accents are kept: in "año" and "ano" they are a letter of their
    own, and nothing says in which language a word is. The plural is left alone for the same reason.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    decomposed = unicodedata.normalize("NFD", folded).replace("i\u0307", "i")
    return " ".join(unicodedata.normalize("NFC", decomposed).translate(_VARIANTS).split())
