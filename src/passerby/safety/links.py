"""Whether a text has a link in it, for the consent ladder: rather once too often than once too seldom."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote

import regex
from linkify_it import LinkifyIt  # type: ignore[import-untyped]

_SUSPECT: Final = re.compile(r"[.:@\u3002\uff0e\uff61\uff1a\uff20]\S")
"""What every link has; most texts do not."""
_ADDRESS: Final = re.compile(r"[a-z0-9+.-]://\S", re.IGNORECASE)
"""Whatever stands before it: the page makes a link of `1https://…` too, see web/src/text/links.ts."""
_OWN: Final = "/api/temp-files/"
"""Of the link of a file here, which opens it before its message was allowed: its author has it from the upload."""
_SCHEME: Final = re.compile(r"(?<![a-z0-9])(?:mailto|magnet|tel|sms|data|javascript):\S", re.IGNORECASE)
MOST_LABELS: Final = 8
"""Parts of a host that are looked at, at most: the last ones."""
_LONGEST_LABEL: Final = 63
"""Characters of one of them (RFC 1035 §2.3.4). Longer ones lead nowhere, and their punycode takes long."""
_NAME: Final = re.compile(r"(?<![\w-])[\w-]++(?:\.[\w-]++)++")
_AROUND: Final = "_-."
"""What may stand around a host and looks like a part of it, such as the marks of Markdown."""
_HOST_AND_PATH: Final = re.compile(r"[^\W_]\.(?:xn--[a-z0-9-]+|[^\W\d_]{2,}[/:]\w)", re.IGNORECASE)
"""A host whose last part need not be a known one, because a path or port follows, or because it is in punycode."""
IGNORED: Final = regex.compile(r"\p{Default_Ignorable_Code_Point}")
"""Characters that cannot be seen, and are left out by whoever reads a link (UTS 46 §4)."""
_ENDS: Final = regex.compile(r"[\p{C}\u3002]")
"""Where the page ends a link, and nothing that is read as a host does: see web/src/text/links.ts."""
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
    if _OWN in text:
        return True
    if text.isascii():
        if "." not in text and ":" not in text and "@" not in text:
            return False
        plain = text
    else:
        if _ADDRESS.search(text):
            return True
        plain = _plain(text)
    if not _SUSPECT.search(plain):
        return False
    return bool(_ADDRESS.search(plain) or _SCHEME.search(plain) or _HOST_AND_PATH.search(plain) or _LINKIFY.test(plain))


def hosts(text: str) -> set[str]:
    """Return everything in `text` that could be a host, in lower case, in punycode if it is not ASCII.

    Also with its percent-encoding decoded, as browsers do, and as if links ended at what cannot be seen.
    """
    written = {text, unquote(text, errors="ignore")}
    read = {_plain(one) for each in written for one in (each, _ENDS.sub(" ", each))}
    names = {match.group().strip(_AROUND) for one in read for match in _NAME.finditer(one)}
    return {_host_of(name) for name in names if "." in name}


def _plain(text: str) -> str:
    """Return `text` as whoever reads a link takes it."""
    return IGNORED.sub("", unicodedata.normalize("NFKC", text)).replace("\u3002", ".")


def _host_of(name: str) -> str:
    labels = name.split(".")[-MOST_LABELS:]
    return ".".join(map(_folded, labels))


def _folded(label: str) -> str:
    """Do as browsers do (UTS 46): Python's codec `idna` knows no letter that is newer than Unicode 3.2, and is slow."""
    if len(label) > _LONGEST_LABEL:
        return ""
    if not label.isascii():
        label = unicodedata.normalize("NFKC", label.casefold())
    return label.lower() if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")
