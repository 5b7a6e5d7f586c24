"""What parent and workers tell each other."""

from __future__ import annotations

import pytest

from passerby.limits import Rate
from passerby.settings import Settings
from passerby.workers.messages import Beat, Begin, Draining, Gone, Lines, Message, Ready, Refused, Roster, encode

SETTINGS = Settings(jwt_secret="s" * 32, cors_origin=("https://a.example",), limit_messages=Rate(3, 0.5), workers="2")
MESSAGES: list[Message] = [
    Begin(1, "aB", "/tmp/x", [3, 4], SETTINGS, "info", "json"),  # noqa: S108 - nothing is there
    Roster({"aB": "node_1"}),
    Gone("aB", "node_1"),
    Ready("node_1"),
    Beat(),
    Draining(),
    Refused("FILE_DIRECTORY='\n': no"),
]


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_messages_arrive_as_they_were_in_any_pieces(size: int) -> None:
    data = b"".join(map(encode, MESSAGES))
    lines = Lines()

    assert [
        message for begin in range(0, len(data), size) for message in lines.feed(data[begin : begin + size])
    ] == MESSAGES


def test_what_a_newer_version_says_is_ignored() -> None:
    lines = Lines()

    assert list(lines.feed(b'{"type":"new"}\n{"type":"gone","tag":"a","node":"b","why":1}\nnonsense\n')) == [
        Gone("a", "b")
    ]
