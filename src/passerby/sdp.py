"""Addresses in session descriptions and candidates (RFC 8839), for guests who must not be found."""

from __future__ import annotations

import re
from typing import Final

_CANDIDATE: Final = re.compile(r"^a=(?:candidate|remote-candidates):.*(?:\r?\n|$)", re.MULTILINE)
_RELAY: Final = re.compile(r"(?:a=)?candidate:\S+ \d+ \S+ \d+ \S+ \d+ typ relay(?: [^\r\n]*)?(?:\r?\n)?")
"""One line, whose type stands where a type stands: more behind it, or a second line, proves nothing."""
_RELATED: Final = re.compile(r" raddr \S+(?: rport \S+)?")
_CONNECTION: Final = re.compile(r"^c=IN IP[46] \S+", re.MULTILINE)
_ORIGIN: Final = re.compile(r"^(o=\S+ \S+ \S+) IN IP[46] \S+", re.MULTILINE)
_RTCP: Final = re.compile(r"^(a=rtcp:\d+) IN IP[46] \S+", re.MULTILINE)
_NOBODY: Final = "IN IP4 0.0.0.0"


def is_relayed(candidate: str) -> bool:
    """Tell whether a candidate leads to a relay, and not to the guest. The empty one, the last, leads nowhere."""
    return not candidate or _RELAY.fullmatch(candidate) is not None


def without_base(candidate: str) -> str:
    """Return a relayed candidate without the address that the relay was asked from."""
    return _RELATED.sub(" raddr 0.0.0.0 rport 0", candidate)


def relayed_only(sdp: str) -> str:
    """Return a session description that tells no address but relays'."""
    sdp = _CANDIDATE.sub(lambda line: without_base(line[0]) if is_relayed(line[0]) else "", sdp)
    sdp = _ORIGIN.sub(rf"\1 {_NOBODY}", sdp)
    sdp = _RTCP.sub(rf"\1 {_NOBODY}", sdp)
    return _CONNECTION.sub(f"c={_NOBODY}", sdp)
