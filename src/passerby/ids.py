"""Identifiers and random names."""

from __future__ import annotations

import itertools
import random
import secrets
from typing import Final

_ADJECTIVES: Final = """
Amber Bold Brave Breezy Bright Calm Candid Clever Cosmic Cozy Crisp Curious Dapper Daring Dreamy Eager Early
Earnest Fancy Fearless Fond Free Gentle Glad Golden Happy Hidden Honest Humble Jolly Keen Kind Lively Lucky
Lunar Mellow Merry Mild Misty Noble Patient Playful Polite Proud Quick Quiet Rapid Rustic Silent Silver Sleepy
Smart Snowy Solar Steady Sunny Swift Tidy Velvet Warm Wild Windy Wise Witty
""".split()  # noqa: SIM905 - words, not a list of quoted words
_NOUNS: Final = """
Badger Bear Beaver Bison Breeze Brook Canyon Cedar Cloud Comet Coral Crane Cricket Dolphin Eagle Falcon Fern
Finch Fjord Forest Fox Gecko Glacier Harbor Hawk Heron Island Jaguar Juniper Koala Lagoon Lake Lark Lynx Maple
Meadow Moose Moon Ocean Orchid Otter Owl Panda Pebble Pine Planet Puffin Quail Raven Reef River Robin Sparrow
Spruce Star Stream Swan Tiger Valley Walrus Whale Willow Wolf Wren
""".split()  # noqa: SIM905 - words, not a list of quoted words

_random = random.SystemRandom()
# Search ids need to be unique, not secret: random once for the process, then counted.
_ticket_prefix = f"ticket_{secrets.token_hex(8)}_"
_ticket_numbers = itertools.count(1)


def guest_id() -> str:
    """Return a public guest id with 80 random bits; the session id cannot be derived from it."""
    return f"guest_{secrets.token_hex(10)}"


def session_id() -> str:
    """Return a session id with 192 random bits."""
    return secrets.token_urlsafe(24)


def members(room_id: str) -> tuple[str, str]:
    """Return the ids of the two guests of a room's id."""
    first, _, second = room_id.removeprefix("guest_").partition("_guest_")
    return f"guest_{first}", f"guest_{second}"


def room_id(first: str, second: str) -> str:
    """Return the two guest ids, sorted, joined by `_`."""
    return f"{first}_{second}" if first < second else f"{second}_{first}"


def random_username() -> str:
    """Return a random name (AdjectiveNounNumber), e.g. `CoolPanda1234`, at most 19 characters."""
    return f"{_random.choice(_ADJECTIVES)}{_random.choice(_NOUNS)}{_random.randrange(1000, 10000)}"


def ticket_id() -> str:
    """Return a unique id for a search."""
    return f"{_ticket_prefix}{next(_ticket_numbers):x}"


def node_id() -> str:
    """Return an id for this process."""
    return f"node_{secrets.token_hex(6)}"
