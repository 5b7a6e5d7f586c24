"""Whether a text has a link in it, for the consent ladder: rather once too often than once too seldom."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from linkify_it import LinkifyIt  # type: ignore[import-untyped]

_SUSPECT: Final = re.compile(r"[.:@\u3002\uff0e\uff61\uff1a\uff20]\S")
"""What every link has; most texts do not."""
_SCHEME: Final = re.compile(
    r"(?<![a-z0-9])(?:[a-z][a-z0-9+.-]{1,31}://\S|(?:mailto|magnet|tel|sms|data|javascript):\S)", re.IGNORECASE
)
MOST_LABELS: Final = 8
"""Parts of a host that are looked at, at most: the last ones."""
_NAME: Final = re.compile(r"(?<![\w.-])[\w-]++(?:\.[\w-]++)++")
_HOST_AND_PATH: Final = re.compile(r"[^\W_]\.(?:xn--[a-z0-9-]+|[^\W\d_]{2,}[/:]\w)", re.IGNORECASE)
"""A host whose last part need not be a known one, because a path or port follows, or because it is in punycode."""
IGNORED: Final = re.compile(r"[\u00ad\u034f\u200b-\u200f\u2060-\u2064\u202a-\u202e\u2066-\u2069\ufeff]")
"""Characters that cannot be seen, and are left out by whoever reads a link."""
_NEWER: Final = (
    "app bet bid bio cam cash casino chat click cloud club cyou date dating dev digital email fans fit fun fyi "
    "games gdn group guru help host icu ink kim lat life link live loan lol love ltd market media men mobi mom "
    "monster news ninja ong online page party photos pics plus porn press quest racing rest review rocks run sale "
    "sbs sex sexy site skin social space store stream studio support surf tech tips today tokyo top tube vip video "
    "webcam website wiki win work world wtf xin xxx xyz zone"
)
"""Domains beside those that the library knows (all of two letters, and the old ones): where links of strangers lead."""
_LINKIFY: Final = LinkifyIt(options={"fuzzy_ip": True}).tlds(_NEWER.split(), keep_old=True)


def has_link(text: str) -> bool:
    """Return whether `text` names an address: with its scheme, or only a host whose last part is a known one."""
    if text.isascii():
        if "." not in text and ":" not in text and "@" not in text:
            return False
        plain = text
    else:
        plain = _plain(text)
    if not _SUSPECT.search(plain):
        return False
    return bool(_SCHEME.search(plain) or _HOST_AND_PATH.search(plain) or _LINKIFY.test(plain))


def hosts(text: str) -> set[str]:
    """Return everything in `text` that could be a host, in lower case, in punycode if it is not ASCII."""
    return {host for match in _NAME.finditer(_plain(text)) if (host := _host_of(match.group()))}


def _plain(text: str) -> str:
    """Return `text` as whoever reads a link takes it."""
    return IGNORED.sub("", unicodedata.normalize("NFKC", text)).replace("\u3002", ".")


def _host_of(name: str) -> str:
    name = ".".join(name.split(".")[-MOST_LABELS:])
    try:
        return name.encode("idna").decode("ascii").lower()
    except UnicodeError:  # it could not be looked up
        return ""
