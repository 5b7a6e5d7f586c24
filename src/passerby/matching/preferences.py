"""What a client asks of a search, checked and folded into a wish."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

import msgspec

from passerby.chat.events import Shared
from passerby.errors import Code, InvalidInputError
from passerby.matching.events import MatchRequest
from passerby.matching.folding import fold
from passerby.models import INVISIBLE, MOST_INTERESTS, MOST_LANGUAGES, Wish

if TYPE_CHECKING:
    from collections.abc import Iterable

    from passerby.models import Guest, MatchingLimits

_FORBIDDEN: Final = re.compile(rf"[{INVISIBLE}<>]")
"""Characters of no word: those that are not seen, and those of markup."""
_PLACE: Final = re.compile(r" - at `\$\.(\w+)(?:\[.*\])?(?:\.(\w+))?`$")
"""The end of a message of msgspec: where the value is that it does not accept."""
_EXPANSION: Final = 4
"""How many times longer a word may become by folding."""
_CODES: Final = {
    "interests": Code.INTEREST_INVALID,
    "languages": Code.LANGUAGE_INVALID,
    "wants": Code.WANTS_INVALID,
    "mode": Code.MODE_UNKNOWN,
}
_decode = msgspec.json.Decoder(MatchRequest).decode
_decode_any = msgspec.json.Decoder(dict[str, Any]).decode


class Preferences:
    """Reads what guests ask for."""

    def __init__(self, limits: MatchingLimits) -> None:
        """`limits` are those of the operator."""
        self._limits = limits

    def read(self, payload: bytes | msgspec.Raw, guest: Guest) -> Wish:
        """Return the wish of a guest whose client has sent `payload`: JSON, of which only an object says something.

        Raises InvalidInputError with the field.
        """
        try:
            asked = self._asked(payload)
        except RecursionError:
            raise InvalidInputError(Code.INVALID_PAYLOAD, "nested too deeply") from None
        words = self._interests(asked.interests)
        return Wish(
            mode=asked.mode,
            interests=tuple(words),
            words=tuple(words.values()),
            languages=_primary(asked.languages or ((guest.language,) if guest.language else ())),
            gender=fold(guest.gender or ""),
            location=fold(guest.location or ""),
            wants_gender=self._wanted("gender", asked.wants.gender),
            wants_location=self._wanted("location", asked.wants.location),
            only=asked.only and self._limits.only,
            patient=bool(words or asked.languages or asked.wants.gender or asked.wants.location),
        )

    @staticmethod
    def _asked(payload: bytes | msgspec.Raw) -> MatchRequest:
        """Return the request; an empty one if the client asks for nothing."""
        try:
            return _decode(payload)
        except msgspec.ValidationError as error:
            try:
                _decode_any(payload)
            except msgspec.MsgspecError:  # no object
                return MatchRequest()
            raise _refusal(str(error)) from None
        except msgspec.DecodeError:
            return MatchRequest()

    def _interests(self, asked: list[str]) -> dict[str, str]:
        """Return the words by what is compared of them."""
        if len(asked) > self._limits.interests:
            raise _too_many(self._limits.interests)
        words: dict[str, str] = {}
        for word in map(str.strip, asked):
            if len(word) > self._limits.interest_length:
                message = f"An interest has at most {self._limits.interest_length} characters"
                raise InvalidInputError(Code.INTEREST_TOO_LONG, message, field="interests")
            folded = fold(word)
            longest = _EXPANSION * self._limits.interest_length
            if _FORBIDDEN.search(word) or not _says_something(folded) or len(folded) > longest:
                message = "An interest is a word without control characters, < and >"
                raise InvalidInputError(Code.INTEREST_INVALID, message, field="interests")
            if folded in words:
                message = f"The interest {word!r} is there twice"
                raise InvalidInputError(Code.INTEREST_REPEATED, message, field="interests")
            words[folded] = word
        return words

    def _wanted(self, kind: str, wanted: str | None) -> str:
        if not wanted:
            return ""
        if kind not in self._limits.wants:
            message = f"Here nobody can ask for the partner's {kind}"
            raise InvalidInputError(Code.WANTS_DISABLED, message, field=f"wants.{kind}")
        return fold(wanted)


def shared(one: Wish, other: Wish) -> tuple[Shared, Shared]:
    """Return what two wishes have in common: for each guest, in their own words."""
    language = next((language for language in one.languages if language in other.languages), None)
    common = frozenset(one.interests) & frozenset(other.interests)
    if not common:
        both = Shared(interests=[], language=language)
        return both, both
    first, second = (
        Shared([word for folded, word in zip(wish.interests, wish.words, strict=True) if folded in common], language)
        for wish in (one, other)
    )
    return first, second


def _says_something(word: str) -> bool:
    """Return whether there is a letter, a number, or a symbol such as an emoji in it."""
    return any(unicodedata.category(character)[0] in "LNS" for character in word)


def _primary(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the primary subtags of language tags, each once. Regions and scripts make no difference."""
    return tuple(dict.fromkeys(tag.partition("-")[0].lower() for tag in tags))[:MOST_LANGUAGES]


def _too_many(most: int) -> InvalidInputError:
    return InvalidInputError(Code.TOO_MANY_INTERESTS, f"At most {most} interests", field="interests")


def _refusal(message: str) -> InvalidInputError:
    """Return the error for a payload that msgspec does not accept, with this message."""
    found = _PLACE.search(message)
    if found is None:
        return InvalidInputError(Code.INVALID_PAYLOAD, message)
    field, inner = found.groups()
    if (field, inner) == ("interests", None) and "of length" in message:
        return _too_many(MOST_INTERESTS)
    code = _CODES.get(field, Code.INVALID_PAYLOAD)
    return InvalidInputError(code, message, field=f"{field}.{inner}" if inner else field)
