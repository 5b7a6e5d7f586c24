"""Session descriptions and candidates (RFC 8866, 8829, 8839) without addresses, for guests who hide theirs.

Nothing is passed on as it was written. A line is parsed, and written anew if it is known to be safe: its attribute is
in the table below, and its value consists of numbers, words of the table, and random ids. Every other line is dropped,
and with it all free text: user names, titles, tools, canonical names, contact details.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Final
from zlib import crc32

from passerby.errors import Code, InvalidInputError

MAX_LINES: Final = 1000
"""Maximum lines of a description: browsers write some 200 for sound and picture, and 100 for another picture."""
_MAX_LINE: Final = 1024
"""Maximum characters of a line; longer ones are dropped. Browsers write at most about 300."""
_MAX_CANDIDATES: Final = 100
"""Candidates of a description; further ones are dropped."""
_MAX_FORMATS: Final = 256
"""Lines `fmtp` of a description; further ones are dropped. Browsers write some 20 for a picture."""
_NOBODY: Final = "IN IP4 0.0.0.0"
_LINE: Final = re.compile(r"([a-z])=([^\r\n\0]*)")
_END_OF_LINE: Final = re.compile(r"\r\n|\r|\n")

# ── values ────────────────────────────────────────────────────────────────────────────────────────
# Ids contain neither dot nor colon, so that no address can be one.

_UFRAG: Final = r"[A-Za-z0-9+/]{4,256}"
_MID: Final = r"[A-Za-z0-9_-]{1,32}"
_STREAM: Final = r"[A-Za-z0-9_{}+/=-]{1,64}"
_PT: Final = r"(?:[0-9]{1,2}|1[01][0-9]|12[0-7])"
_SSRC: Final = r"[0-9]{1,10}"
_CODECS: Final = (
    "opus|multiopus|red|rtx|ulpfec|flexfec|flexfec-03|PCMU|PCMA|G722|CN|telephone-event|ISAC|ILBC|L16|AMR|AMR-WB|"
    "VP8|VP9|H264|H265|AV1|AV1X"
)
_PARAMETERS: Final = frozenset(
    {
        "apt",
        "cbr",
        "channel_mapping",
        "coupled_streams",
        "L",
        "D",
        "level-asymmetry-allowed",
        "level-id",
        "level-idx",
        "max-br",
        "max-cpb",
        "max-dpb",
        "max-fps",
        "max-fr",
        "max-fs",
        "max-mbps",
        "max-smbps",
        "maxaveragebitrate",
        "maxplaybackrate",
        "maxptime",
        "minptime",
        "mode",
        "num_streams",
        "packetization-mode",
        "profile",
        "profile-id",
        "profile-level-id",
        "ptime",
        "repair-window",
        "rtx-time",
        "sprop-maxcapturerate",
        "sprop-stereo",
        "stereo",
        "tier",
        "tier-flag",
        "tx-mode",
        "usedtx",
        "useinbandfec",
        "x-google-max-bitrate",
        "x-google-min-bitrate",
        "x-google-start-bitrate",
    }
)
"""Names in `fmtp`; their values are numbers, or lists of them."""
_FEEDBACK: Final = (
    "nack|nack pli|nack sli|nack rpsi|nack ecn|ack rpsi|ack ccfb|ccm fir|ccm tmmbr|ccm tstr|ccm vbcm|goog-remb|"
    "transport-cc|rrtr|trr-int [0-9]{1,6}"
)
_EXTENSIONS: Final = frozenset(
    [
        *(
            f"urn:ietf:params:rtp-hdrext:{name}"
            for name in (
                "ssrc-audio-level",
                "csrc-audio-level",
                "toffset",
                "encrypt",
                "ntp-64",
                "framemarking",
                "sdes:mid",
                "sdes:rtp-stream-id",
                "sdes:repaired-rtp-stream-id",
                "sdes:cname",
            )
        ),
        *(
            f"http://www.webrtc.org/experiments/rtp-hdrext/{name}"
            for name in (
                "abs-send-time",
                "abs-capture-time",
                "color-space",
                "corruption-detection",
                "generic-frame-descriptor-00",
                "generic-frame-descriptor-01",
                "inband-cn",
                "playout-delay",
                "transport-wide-cc-02",
                "video-content-type",
                "video-frame-tracking-id",
                "video-layers-allocation00",
                "video-timing",
            )
        ),
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
        "urn:3gpp:video-orientation",
        "urn:3gpp:video-orientation:6",
    ]
)

# ── attributes ────────────────────────────────────────────────────────────────────────────────────

_FLAGS: Final = frozenset(
    {
        "bundle-only",
        "end-of-candidates",
        "extmap-allow-mixed",
        "ice-lite",
        "inactive",
        "recvonly",
        "rtcp-mux",
        "rtcp-mux-only",
        "rtcp-rsize",
        "sendonly",
        "sendrecv",
    }
)
"""Attributes without a value."""
_SAFE: Final = {
    name: re.compile(pattern)
    for name, pattern in {
        "fingerprint": r"(?:sha|SHA)-(?:1|224|256|384|512) [0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,63}",
        "group": rf"(?:BUNDLE|LS)(?: {_MID}){{0,64}}",
        "ice-options": r"(?:trickle|ice2|renomination)(?: (?:trickle|ice2|renomination)){0,2}",
        "ice-pacing": r"[0-9]{1,10}",
        "ice-pwd": r"[A-Za-z0-9+/]{22,256}",
        "ice-ufrag": _UFRAG,
        "max-message-size": r"[0-9]{1,19}",
        "maxptime": r"[0-9]{1,5}",
        "mid": _MID,
        "msid": rf"{_STREAM}(?: {_STREAM})?",
        "ptime": r"[0-9]{1,5}",
        "rid": rf"{_MID} (?:send|recv)(?: (?:pt={_PT}(?:,{_PT}){{0,31}}|max-[a-z]{{2,6}}=[0-9]{{1,10}})"
        rf"(?:;(?:pt={_PT}(?:,{_PT}){{0,31}}|max-[a-z]{{2,6}}=[0-9]{{1,10}})){{0,8}})?",
        "rtcp-fb": rf"(?:\*|{_PT}) (?:{_FEEDBACK})",
        "rtcp-xr": r"rcvr-rtt=(?:all|sender)(?::[0-9]{1,5})?",
        "rtpmap": rf"{_PT} (?i:{_CODECS})/[0-9]{{1,6}}(?:/[0-9]{{1,2}})?",
        "sctp-port": r"[0-9]{1,5}",
        "sctpmap": r"[0-9]{1,5} webrtc-datachannel [0-9]{1,5}",
        "setup": r"active|passive|actpass|holdconn",
        "simulcast": r"(?:send|recv) [A-Za-z0-9_~,;-]{1,128}(?: (?:send|recv) [A-Za-z0-9_~,;-]{1,128})?",
        "ssrc-group": rf"(?:FID|SIM|FEC|FEC-FR)(?: {_SSRC}){{1,32}}",
    }.items()
}
"""Attributes whose value passes if it matches."""
_CONSTANT: Final = {"msid-semantic": "WMS *", "rtcp": f"9 {_NOBODY}"}
"""Attributes that get the same value always."""
_MEDIA: Final = re.compile(
    r"(audio|video|application) ([0-9]{1,5})(?:/[0-9]{1,5})? "
    r"((?:(?:UDP|TCP)/TLS/|TCP/DTLS/)?RTP/S?AVPF?|(?:(?:UDP|TCP)/)?DTLS/SCTP)"
    rf"((?: {_PT}){{1,128}}| webrtc-datachannel| [0-9]{{1,5}})"
)
_ORIGIN: Final = re.compile(r"\S+\s+([0-9]{1,20})\s+([0-9]{1,20})(?:\s.*)?")
_SSRC_LINE: Final = re.compile(rf"({_SSRC}) (?:cname:(\S+)|(msid:{_STREAM}(?: {_STREAM})?))")
_FMTP: Final = re.compile(rf"({_PT}) (\S.*)")
_PARAMETER: Final = re.compile(r"(?:([A-Za-z][A-Za-z0-9_-]{0,30})=)?[0-9A-Fa-f]{1,16}(?:[,/-][0-9A-Fa-f]{1,16}){0,16}")
_MAX_PARAMETERS: Final = 24
_EXTMAP: Final = re.compile(r"([0-9]{1,4}(?:/(?:sendrecv|sendonly|recvonly|inactive))?) (\S+)(?: .*)?")

# ── candidates ────────────────────────────────────────────────────────────────────────────────────

_CANDIDATE: Final = re.compile(
    r"candidate:\S+\s+([0-9]{1,3})\s+(udp|tcp)\s+([0-9]{1,10})\s+([0-9A-Fa-f.:]{2,45})\s+([0-9]{1,5})\s+typ\s+relay"
    r"((?:\s+\S+){0,32})\s*",
    re.IGNORECASE | re.ASCII,
)
_EXTRAS: Final = {
    "generation": re.compile(r"[0-9]{1,5}"),
    "ufrag": re.compile(_UFRAG),
    "network-id": re.compile(r"[0-9]{1,5}"),
    "network-cost": re.compile(r"[0-9]{1,5}"),
    "tcptype": re.compile(r"active|passive|so"),
}
"""Candidate extensions that contain no address."""
_UFRAG_LINE: Final = "\na=ice-ufrag:"
_UFRAG_LENGTH: Final = 256
"""Characters, RFC 8839 §5.4."""
_MAX_UFRAGS: Final = 64
"""Usually all media share one; without BUNDLE, each has its own."""


def ufrags(sdp: str) -> frozenset[str]:
    """Return the first ICE user name fragments (RFC 8839 §5.4) of a description. New ones restart ICE (§4.4.1.1.1)."""
    found: set[str] = set()
    place = sdp.find(_UFRAG_LINE)
    while place >= 0 and len(found) < _MAX_UFRAGS:
        value = sdp[place + len(_UFRAG_LINE) : place + len(_UFRAG_LINE) + _UFRAG_LENGTH].split(maxsplit=1)
        found.update(value[:1])
        place = sdp.find(_UFRAG_LINE, place + len(_UFRAG_LINE))
    return frozenset(found)


def ufrag(candidate: str) -> str | None:
    """Return the user name fragment that a candidate line names as an extension, if it does."""
    words = candidate.split()
    return next((value for name, value in pairwise(words) if name == "ufrag"), None)


def relayed(candidate: str) -> str | None:
    """Return a relay candidate, written anew; None for candidates of other types.

    Only the relay's address remains. The foundation (RFC 8445 §5.1.1.3) is derived from that address, because an agent
    may compute it from its own. The empty candidate (end of candidates) is returned unchanged.
    """
    if not candidate:
        return candidate
    match = _CANDIDATE.fullmatch(candidate)
    if match is None or "\r" in candidate or "\n" in candidate:
        return None
    component, transport, priority, host, port, rest = match.groups()
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        return None
    words = rest.split()
    if len(words) % 2 or "typ" in words:
        return None
    transport = transport.lower()
    kept = {
        name: value
        for name, value in zip(words[::2], words[1::2], strict=True)
        if name in _EXTRAS and _EXTRAS[name].fullmatch(value)
    }
    foundation = crc32(f"{transport} {address}".encode())
    return " ".join(
        [
            f"candidate:{foundation} {component} {transport} {priority} {address} {port} typ relay",
            "raddr 0.0.0.0 rport 0",
            *(f"{name} {value}" for name, value in kept.items()),
        ]
    )


def is_mid(text: str) -> bool:
    """Return whether `text` is a media identification that may pass."""
    return _SAFE["mid"].fullmatch(text) is not None


def is_ufrag(text: str) -> bool:
    """Return whether `text` is an ICE user name fragment that may pass."""
    return _SAFE["ice-ufrag"].fullmatch(text) is not None


# ── descriptions ──────────────────────────────────────────────────────────────────────────────────


def sends_video(sdp: str) -> bool:
    """Return whether its author sends, or may send, a picture: a video section that is neither refused nor `recvonly`.

    A direction of the session counts for all sections without their own (RFC 8866 §6.7).
    """
    session, *sections = re.split(r"^m=", sdp, flags=re.MULTILINE)
    usual = _direction(session) or "sendrecv"
    videos = [section for section in sections if section[:5].lower() == "video" and not _is_refused(section)]
    return any((_direction(section) or usual).startswith("send") for section in videos)


def _is_refused(section: str) -> bool:
    """Return whether a media section has port 0, and is not in the bundle (RFC 8843 §6)."""
    return re.match(r"\w+ +0+[ /]", section) is not None and "a=bundle-only" not in section


def _direction(section: str) -> str | None:
    # Browsers read no further than to the end of the word, whatever comes after it.
    found = re.findall(r"^a=(sendrecv|sendonly|recvonly|inactive)(?![^\s:])", section, re.MULTILINE)
    return found[-1] if found else None


def relayed_only(sdp: str) -> str:
    """Return a session description, written anew, that contains no addresses except relays'.

    Raises InvalidInputError (invalid_payload) if it has more than MAX_LINES lines.
    """
    lines = _END_OF_LINE.split(sdp, MAX_LINES)
    if len(lines) > MAX_LINES and lines[-1]:
        raise InvalidInputError(
            Code.INVALID_PAYLOAD, f"A description of a hidden guest has at most {MAX_LINES} lines", field="sdp"
        )
    return _Writer().write(lines)


class _Writer:
    """Writes one description anew, line by line."""

    def __init__(self) -> None:
        self._origin = "0 0"
        self._lines: list[str] = []
        self._open = True
        """False in a media section that is left out."""
        self._media_line = -1
        """Index of the media section's first line; -1 before the first section."""
        self._unknown: set[str] = set()
        """Payload types of the media section whose codec is not known."""
        self._names: dict[str, str] = {}
        """Canonical names (RFC 7022) as written, and as they are passed on."""
        self._candidates = self._formats = 0
        self._rewritten: dict[str, Callable[[str], str | None]] = {
            "candidate": self._candidate,
            "extmap": self._extmap,
            "fmtp": self._fmtp,
            "ssrc": self._ssrc,
        }

    def write(self, lines: list[str]) -> str:
        for line in lines:
            match = _LINE.fullmatch(line) if len(line) <= _MAX_LINE else None
            if match is None:
                continue
            kind, value = match.groups()
            if kind == "m":
                self._media(value)
            elif kind == "a" and self._open:
                self._attribute(value)
            elif kind == "o" and (origin := _ORIGIN.fullmatch(value)) is not None:
                self._origin = f"{origin[1]} {origin[2]}"
        self._end_media()
        head = ["v=0", f"o=- {self._origin} {_NOBODY}", "s=-", "t=0 0"]
        return "".join(f"{line}\r\n" for line in (*head, *self._lines))

    def _media(self, value: str) -> None:
        self._end_media()
        match = _MEDIA.fullmatch(value)
        self._open = match is not None
        if match is not None:
            kind, port, protocol, formats = match.groups()
            self._media_line = len(self._lines)
            self._lines += [f"m={kind} {9 if int(port) else 0} {protocol}{formats}", f"c={_NOBODY}"]

    def _end_media(self) -> None:
        """Remove the payload types of unknown codecs from the section."""
        if self._unknown and self._media_line >= 0:
            kind, port, protocol, *formats = self._lines[self._media_line].split(" ")
            known = [one for one in formats if one not in self._unknown]
            self._lines[self._media_line] = " ".join([kind, port, protocol, *(known or formats)])
            self._lines[self._media_line + 1 :] = [
                line for line in self._lines[self._media_line + 1 :] if _payload_type(line) not in self._unknown
            ]
        self._unknown.clear()
        self._media_line = -1

    def _attribute(self, written: str) -> None:
        name, colon, value = written.partition(":")
        if not colon:
            if name in _FLAGS:
                self._lines.append(f"a={name}")
            return
        safe = _SAFE.get(name)
        if safe is not None:
            kept = value if safe.fullmatch(value) else None
        elif name in self._rewritten:
            kept = self._rewritten[name](value)
        else:
            kept = _CONSTANT.get(name)
        if kept is not None:
            self._lines.append(f"a={name}:{kept}")
        elif name == "rtpmap":
            self._unknown.add(value.partition(" ")[0])

    def _candidate(self, value: str) -> str | None:
        self._candidates += 1
        if self._candidates > _MAX_CANDIDATES:
            return None
        candidate = relayed(f"candidate:{value}")
        return None if candidate is None else candidate.removeprefix("candidate:")

    @staticmethod
    def _extmap(value: str) -> str | None:
        match = _EXTMAP.fullmatch(value)
        return f"{match[1]} {match[2]}" if match is not None and match[2] in _EXTENSIONS else None

    def _fmtp(self, value: str) -> str | None:
        self._formats += 1
        match = _FMTP.fullmatch(value)
        if match is None or self._formats > _MAX_FORMATS:
            return None
        kept = [
            part
            for part in map(str.strip, match[2].split(";", _MAX_PARAMETERS)[:_MAX_PARAMETERS])
            if (found := _PARAMETER.fullmatch(part)) is not None and (found[1] is None or found[1] in _PARAMETERS)
        ]
        return f"{match[1]} {';'.join(kept)}" if kept else None

    def _ssrc(self, value: str) -> str | None:
        match = _SSRC_LINE.fullmatch(value)
        if match is None:
            return None
        source, name, stream = match.groups()
        if name is None:
            return f"{source} {stream}"
        return f"{source} cname:{self._names.setdefault(name, f'guest{len(self._names) + 1}')}"


def _payload_type(line: str) -> str | None:
    """Return the payload type that an attribute of a codec belongs to."""
    name, _, value = line.partition(":")
    return value.partition(" ")[0] if name in ("a=fmtp", "a=rtcp-fb") else None
