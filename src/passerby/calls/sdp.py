"""Removes addresses from session descriptions and candidates (RFC 8839), for guests who hide their address.

Only recognised lines and candidates pass: they are parsed and rebuilt.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

_LINE: Final = re.compile(r"([a-z])=(.*)")
_END_OF_LINE: Final = re.compile(r"\r\n|\r|\n")
_ADDRESS: Final = re.compile(r"\d+(?:\.\d+){3}|[0-9a-f]*:[0-9a-f:]*:[0-9a-f.]*|\S+\.local", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"[\s/=;,\[\]]+")
_KEPT: Final = frozenset({"generation", "ufrag", "network-id", "network-cost", "tcptype"})
"""Candidate extensions that contain no address."""
_NOBODY: Final = "IN IP4 0.0.0.0"
_UFRAG: Final = "\na=ice-ufrag:"
_UFRAG_LENGTH: Final = 256
"""Characters, RFC 8839 §5.4."""
_MAX_UFRAGS: Final = 64
"""Usually all media share one; without BUNDLE, each has its own."""


def ufrags(sdp: str) -> frozenset[str]:
    """Return the first ICE user name fragments (RFC 8839 §5.4) of a description. New ones restart ICE (§4.4.1.1.1)."""
    found: set[str] = set()
    place = sdp.find(_UFRAG)
    while place >= 0 and len(found) < _MAX_UFRAGS:
        value = sdp[place + len(_UFRAG) : place + len(_UFRAG) + _UFRAG_LENGTH].split(maxsplit=1)
        found.update(value[:1])
        place = sdp.find(_UFRAG, place + len(_UFRAG))
    return frozenset(found)


def ufrag(candidate: str) -> str | None:
    """Return the user name fragment that a candidate line names as an extension, if it does."""
    words = candidate.split()
    return next((value for name, value in pairwise(words) if name == "ufrag"), None)


def relayed(candidate: str) -> str | None:
    """Return a relay candidate without the related address (raddr); None for candidates of other types.

    The empty candidate (end of candidates) is returned unchanged.
    """
    if not candidate:
        return candidate
    if "\r" in candidate or "\n" in candidate:
        return None
    match candidate.split():
        case [head, component, transport, priority, address, port, typ, kind, *rest] if (
            (typ.lower(), kind.lower()) == ("typ", "relay")
            and head.lower().startswith("candidate:")
            and all(number.isdecimal() for number in (component, priority, port))
            and len(rest) % 2 == 0
            and "typ" not in rest
        ):
            kept = [word for pair in zip(rest[::2], rest[1::2], strict=True) if pair[0] in _KEPT for word in pair]
            reached = [head, component, transport, priority, address, port]
            return " ".join([*reached, "typ relay raddr 0.0.0.0 rport 0", *kept])
    return None


def relayed_only(sdp: str) -> str:
    """Return a session description that contains no addresses except relays'."""
    kept = (_without_address(line) for line in _END_OF_LINE.split(sdp))
    return "".join(f"{line}\r\n" for line in kept if line is not None)


def _without_address(line: str) -> str | None:
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    kind, value = found.groups()
    name, _, content = value.partition(":")
    kept: str | None = line
    match kind, name.lower() if kind == "a" else "":
        case "c", _:
            kept = f"c={_NOBODY}"
        case "o", _:
            kept = f"o={' '.join(value.split()[:3])} {_NOBODY}"
        case "a", "candidate":
            candidate = relayed(value)
            kept = None if candidate is None else f"a={candidate}"
        case "a", "rtcp":
            kept = f"a=rtcp:{content.partition(' ')[0]} {_NOBODY}"
        case "a", "fingerprint":
            pass  # its colons do not belong to an address
        case _ if any(map(_ADDRESS.fullmatch, _BETWEEN.split(value))):
            kept = None
    return kept
