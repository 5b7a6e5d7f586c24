"""Generates wire data that is almost valid."""

from __future__ import annotations

import random
from collections.abc import Sequence

LARGE = 100_000

PACKETS = (
    "0",
    '0{"token":"abc","resume":{"roomId":"a_b","epoch":"e","seq":7}}',
    "0/custom,",
    '0/custom?a=b,{"token":"x"}',
    "1",
    "1/custom,",
    '2["message",1,"2",{"3":[true,false,null]}]',
    '212["message",{"a":[1.5,-0.0,1e300,"\\u00e9\\ud83d\\ude00"]}]',
    '2["note",{"text":"hello","number":7,"tags":["a","b"]}]',
    '2/custom,999999999999999["note",{"text":"é😀"}]',
    "312[true]",
    "3/custom,0[]",
    '51-["note",{"text":"a","blob":{"_placeholder":true,"num":0}}]',
    '52-/custom,7["message",{"_placeholder":true,"num":1},[{"_placeholder":true,"num":0}]]',
    '61-456[{"_placeholder":true,"num":0}]',
)
ENGINE = ("2", "2probe", "3", "3probe", "5", "6", "1", "bAQIDBA==", "b", "4")
TOKENS = (
    *'[]{},:"\\/-0123456789btne. \x00\x1e\x7f\ufeff\u0661é😀',
    *ENGINE,
    "\\ud800",
    "\\udfff",
    "\\ud83d\\ude00",
    "\\u0000",
    "NaN",
    "Infinity",
    "-0",
    "1e999",
    "0" * 20,
    "9" * 30,
    "null",
    "true",
    '{"_placeholder":true,"num":0}',
    '"_placeholder":true',
    '"num":-1',
    '["message",',
    '"disconnect"',
    "/custom,",
    "/nobody,",
    "42",
    "451-",
    "510-",
)
UNITS = (
    "[",
    "{",
    '{"a":',
    "[],",
    "{},",
    "0,",
    '"",',
    '"a",',
    '"a":1,',
    "\\ud800",
    "x",
    "é",
    "😀",
    "\x1e",
    "6\x1e",
    "41\x1e",
)
AROUND = (
    ("", ""),
    ('["note",[', "0]]"),
    ('["note",', "0]"),
    ('["note",{"text":"', '"}]'),
    ('["note",{"text":"a","more":[', "0]}]"),
    ('["note",["\\ud800",', "0]]"),
    ('["nobody",[', "0]]"),
    ("[", "]"),
)


class Mutator:
    """Generates inputs for each target. `shape` describes how the last large one was made."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.shape = ""

    def small(self, target: str) -> str:
        data = self._seed(target)
        for _ in range(self._chance.choice((0, 1, 1, 2, 3, 6))):
            data = self._mutated(data)
        return data

    def large(self, target: str) -> str:
        chance = self._chance
        head, tail = chance.choice(AROUND)
        unit = chance.choice(UNITS)
        front = {
            "payload": ("", "4", "42", "b"),
            "posted": ("", "42", "40", "b"),
            "text": ("42", "4212", "40", "430", "40/", "41/"),
            "event text": ("2", "212", "0", "30", "0/custom,"),
            "attachments": ("2", "51-", "61-0", "52-"),
            "packet": ("2", "212", "0", "30", "0/", "51-"),
        }.get(target, ("",))
        start = chance.choice(front)
        self.shape = f"{start}{head}{unit!r}…{tail}"
        data = start + head + unit * (LARGE // len(unit)) + tail
        return self._mutated(data) if chance.random() < 0.3 else data

    def _seed(self, target: str) -> str:
        chance = self._chance
        packet = chance.choice(PACKETS)
        if target in ("packet", "event text", "attachments"):
            return packet
        if target in ("event", "python objects"):
            start = min((packet.find(mark) for mark in "[{" if mark in packet), default=0)
            return packet[start:]
        if target == "text":
            return chance.choice(ENGINE) if chance.random() < 0.1 else "4" + packet
        parts = ["4" + packet, *(self._one_of(ENGINE, PACKETS) for _ in range(chance.randrange(4)))]
        chance.shuffle(parts)
        return "\x1e".join(parts)

    def _one_of(self, engine: Sequence[str], packets: Sequence[str]) -> str:
        chance = self._chance
        return chance.choice(engine) if chance.random() < 0.4 else "4" + chance.choice(packets)

    def _mutated(self, data: str) -> str:
        chance = self._chance
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((1, 1, 2, 5, 20)))
        what = chance.randrange(8)
        if what == 0:
            return data[:start] + data[end:]
        if what == 1:
            times: int = chance.choice((2, 3, 50))
            return data[:start] + data[start:end] * times + data[end:]
        if what == 2:
            return data[:start]
        if what == 3:
            other = chance.choice(PACKETS)
            return data[:start] + other[chance.randrange(len(other)) :]
        if what == 4:
            return data[:start] + chr(self._code_point()) + data[end:]
        token: str = chance.choice(TOKENS)
        return data[:start] + token + data[start if what < 7 else end :]

    def _code_point(self) -> int:
        chance = self._chance
        code = chance.choice((chance.randrange(0x80), chance.randrange(0x800), chance.randrange(0x110000)))
        return code if not 0xD800 <= code < 0xE000 else 0xFFFD  # the transports accept only valid UTF-8
