"""Descriptions of guests who hide their address are written anew: only what is known to be safe remains."""

from __future__ import annotations

import re

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from passerby.calls.sdp import MAX_LINES, relayed, relayed_only, sends_video
from passerby.errors import InvalidInputError

CHROMIUM = """\
v=0
o=- 1125492288027989079 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS 2e7f9135-aeaf-4856-a651-3c443d1e810a
m=audio 40043 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 203.0.113.9
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:2021443766 1 udp 2113937151 d6ea3ebe-f4be-44b1-9a98-bf4cdf7a3ba7.local 40043 typ host generation 0
a=candidate:1 1 udp 41885439 198.51.100.3 60000 typ relay raddr 203.0.113.9 rport 50001 generation 0 network-cost 999
a=ice-ufrag:Yk1p
a=ice-pwd:Rw5+2S2cPpWzb1VpgyOLuA/a
a=ice-options:trickle
a=fingerprint:sha-256 0F:1E:2D:3C:4B:5A:69:78:87:96:A5:B4:C3:D2:E1:F0:0F:1E:2D:3C:4B:5A:69:78:87:96:A5:B4:C3:D2:E1:F0
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:2e7f9135-aeaf-4856-a651-3c443d1e810a 6a1b0b9e-4c8e-4c0d-9d1c-0a8d7a6a3f10
a=rtcp-mux
a=rtcp-rsize
a=rtcp-xr:rcvr-rtt=all
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:126 telephone-event/8000
a=ssrc:1708839194 cname:OhTuI547DW5scoSt
a=ssrc:1708839194 msid:2e7f9135-aeaf-4856-a651-3c443d1e810a 6a1b0b9e-4c8e-4c0d-9d1c-0a8d7a6a3f10
m=video 0 UDP/TLS/RTP/SAVPF 96 97 103 104
c=IN IP4 0.0.0.0
a=bundle-only
a=mid:1
a=extmap:14 urn:ietf:params:rtp-hdrext:toffset
a=extmap:12/sendonly urn:3gpp:video-orientation
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 goog-remb
a=rtcp-fb:96 ccm fir
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:103 H264/90000
a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:104 rtx/90000
a=fmtp:104 apt=103
a=rid:q send
a=rid:f send pt=96;max-width=640
a=simulcast:send q;~f
a=ssrc-group:FID 3288321817 3615123217
a=ssrc:3288321817 cname:OhTuI547DW5scoSt
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:2
a=sctp-port:5000
a=max-message-size:262144
""".replace("\n", "\r\n")
CHANGED = {
    "o=- 1125492288027989079 2 IN IP4 127.0.0.1": "o=- 1125492288027989079 2 IN IP4 0.0.0.0",
    "a=msid-semantic: WMS 2e7f9135-aeaf-4856-a651-3c443d1e810a": "a=msid-semantic:WMS *",
    "m=audio 40043 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126": "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126",
    "c=IN IP4 203.0.113.9": "c=IN IP4 0.0.0.0",
    "a=ssrc:1708839194 cname:OhTuI547DW5scoSt": "a=ssrc:1708839194 cname:guest1",
    "a=ssrc:3288321817 cname:OhTuI547DW5scoSt": "a=ssrc:3288321817 cname:guest1",
}
"""All lines of the description that change, other than candidates."""

FREE = "alice-laptop.example"
"""What must not pass, wherever it stands."""
TELLING = [
    f"o={FREE} 1 2 IN IP4 203.0.113.9",
    f"o=- {FREE} 2 IN IP4 203.0.113.9",
    f"s={FREE}",
    f"i={FREE}",
    f"u=http://{FREE}/",
    f"e=me@{FREE}",
    f"p={FREE}",
    f"b={FREE}:64",
    f"k=clear:{FREE}",
    f"z={FREE}",
    f"t=0 0 {FREE}",
    f"a=tool:{FREE}",
    f"a={FREE}",
    f"a={FREE}:1",
    f"a=ssrc:1 cname:{FREE}",
    "a=ssrc:1 cname:me@203.0.113.9",
    f"a=ssrc:1 {FREE}:1",
    f"a=ssrc:1 label:{FREE}",
    f"a=msid:{FREE} {FREE}",
    f"a=msid-semantic: WMS {FREE}",
    f"a=mid:{FREE}",
    "a=mid:203.0.113.9",
    f"a=group:BUNDLE {FREE}",
    f"a=ice-ufrag:{FREE}",
    f"a=ice-pwd:{FREE}1234567890",
    f"a=ice-options:{FREE}",
    f"a=fingerprint:{FREE} AB:CD",
    f"a=fingerprint:sha-256 {FREE}",
    f"a=setup:{FREE}",
    f"a=rtpmap:96 {FREE}/90000",
    "a=rtpmap:96 alice/90000",
    f"a=fmtp:111 minptime=10;{FREE}=1",
    f"a=fmtp:111 {FREE}",
    "a=fmtp:111 sprop-parameter-sets=YWxpY2U=",
    f"a=rtcp-fb:111 {FREE}",
    f"a=rtcp:9 IN IP4 {FREE}",
    f"a=extmap:1 urn:{FREE}",
    f"a=extmap:1 urn:ietf:params:rtp-hdrext:toffset {FREE}",
    f"a=rid:{FREE} send",
    f"a=rid:q send {FREE}=1",
    f"a=simulcast:send {FREE}",
    f"a=ssrc-group:FID {FREE}",
    f"a=sctp-port:{FREE}",
    f"a=identity:{FREE}",
    f"a=candidate:{FREE} 1 udp 1 198.51.100.3 6 typ relay",
    f"a=candidate:1 1 udp 1 {FREE} 6 typ relay",
    f"a=candidate:1 1 udp 1 198.51.100.3 6 typ relay {FREE} 1",
    f"a=candidate:1 1 udp 1 198.51.100.3 6 typ relay ufrag {FREE}",
    f"a=candidate:1 1 udp 1 fe80::1%{FREE} 6 typ relay",
    f"m={FREE} 9 UDP/TLS/RTP/SAVPF 111",
    f"m=audio 9 {FREE} 111",
    f"m=audio 9 UDP/TLS/RTP/SAVPF {FREE}",
]


GRAMMAR = re.compile(
    r"v=0\r\no=- [0-9]+ [0-9]+ IN IP4 0\.0\.0\.0\r\ns=-\r\nt=0 0\r\n(?:a=[ -~]+\r\n)*"
    r"(?:m=(?:audio|video|application) [09] [A-Z/]+(?: [0-9]+| webrtc-datachannel)+\r\n"
    r"c=IN IP4 0\.0\.0\.0\r\n(?:a=[ -~]+\r\n)*)*"
)
"""RFC 8866 §9, as far as it is used."""


def test_what_a_browser_writes_stays_but_for_what_tells_of_the_guest() -> None:
    expected = []
    for line in CHROMIUM.removesuffix("\r\n").split("\r\n"):
        if line.startswith("a=candidate:"):
            hidden = relayed(line.removeprefix("a="))
            expected += [] if hidden is None else [f"a={hidden}"]
        else:
            expected.append(CHANGED.get(line, line))

    hidden = relayed_only(CHROMIUM)
    assert hidden.split("\r\n")[:-1] == expected
    assert len(SessionDescription.parse(hidden).media) == 3


@pytest.mark.parametrize("line", TELLING)
def test_no_free_text_passes(line: str) -> None:
    for sdp in (f"v=0\r\n{line}\r\n", f"{CHROMIUM}{line}\r\n", CHROMIUM.replace("a=mid:0\r\n", f"{line}\r\n")):
        hidden = relayed_only(sdp)
        assert not re.search("alice|203\\.0\\.113|YWxp", hidden)
        assert GRAMMAR.fullmatch(hidden)


def test_a_codec_that_is_not_known_is_left_out_with_its_payload_type() -> None:
    hidden = relayed_only(CHROMIUM.replace("H264/90000", "alice/90000"))

    assert "m=video 0 UDP/TLS/RTP/SAVPF 96 97 104\r\n" in hidden
    assert "a=fmtp:103" not in hidden
    assert "a=fmtp:97 apt=96\r\n" in hidden


def test_a_name_is_replaced_by_the_same_wherever_it_stands() -> None:
    hidden = relayed_only("v=0\r\na=ssrc:1 cname:anna\r\na=ssrc:2 cname:otto\r\na=ssrc:3 cname:anna\r\n")

    assert re.findall("cname:.*", hidden.replace("\r", "")) == ["cname:guest1", "cname:guest2", "cname:guest1"]


def test_a_section_of_another_kind_is_left_out_whole() -> None:
    hidden = relayed_only(f"{CHROMIUM}m=image 9 udptl t38\r\na=mid:9\r\na=sendrecv\r\n")

    assert hidden == relayed_only(CHROMIUM)


def test_a_description_of_too_many_lines_is_refused() -> None:
    fits = "v=0\r\n" + "a=sendrecv\r\n" * (MAX_LINES - 1)
    assert relayed_only(fits)
    with pytest.raises(InvalidInputError):
        relayed_only(fits + "a=sendrecv\r\n")


_LINES = CHROMIUM.removesuffix("\r\n").split("\r\n")
some_line = st.sampled_from(_LINES) | st.sampled_from(TELLING)
mutated = st.tuples(some_line, st.integers(0, 60), st.text(st.characters(exclude_characters="\r\n\0"), max_size=8)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
)
attribute = st.tuples(
    st.sampled_from([line.partition(":")[0] for line in _LINES if line.startswith("a=")]),
    st.text(
        st.sampled_from("0129afzAZ .:;,=/+-_~@%*é\t\u0661") | st.characters(exclude_characters="\r\n\0"), max_size=40
    ),
).map(":".join)
description = st.lists(some_line | mutated | attribute, max_size=30).map(lambda lines: "v=0\r\n" + "\r\n".join(lines))


@given(description)
def test_whatever_is_written_what_passes_is_safe_and_stays(sdp: str) -> None:
    hidden = relayed_only(sdp)

    assert relayed_only(hidden) == hidden
    assert GRAMMAR.fullmatch(hidden)
    for line in hidden.split("\r\n")[:-1]:
        assert "@" not in line
        if not line.startswith("a=candidate:"):
            assert set(re.findall(r"[0-9]+(?:\.[0-9]+){3}", line)) <= {"0.0.0.0"}  # noqa: S104 - the unspecified address


@given(st.text(st.characters(exclude_characters="\r\n"), min_size=6))
def test_a_secret_never_passes_wherever_it_stands(secret: str) -> None:
    marked = f"!{secret}!"  # no id of a browser contains it
    for line in TELLING:
        hidden = relayed_only(f"{CHROMIUM}{line.replace(FREE, marked)}\r\n")
        assert marked not in hidden


AUDIO_SECTION = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=sendrecv\r\n"


@pytest.mark.parametrize(
    ("section", "sends"),
    [
        ("", False),
        ("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", True),
        ("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=sendonly\r\n", True),
        ("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=recvonly\r\n", False),
        ("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\n", False),
        ("m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=sendrecv\r\n", False),
        ("m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=bundle-only\r\na=sendrecv\r\n", True),
        ("m=VIDEO 9 UDP/TLS/RTP/SAVPF 96\r\na=sendrecv\r\n", True),
        ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n", False),
    ],
)
@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_whether_a_picture_is_sent(section: str, newline: str, *, sends: bool) -> None:
    sdp = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n" + AUDIO_SECTION + section
    assert sends_video(sdp.replace("\r\n", newline)) is sends


def test_the_direction_of_the_session_counts_where_a_section_has_none() -> None:
    sdp = "v=0\r\ns=-\r\na=recvonly\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
    assert not sends_video(sdp)
    assert sends_video(sdp + "a=sendonly\r\n")
