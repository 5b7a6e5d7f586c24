"""The port to what looks at texts, pictures and files before they are delivered."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, Protocol

from msgspec import Struct

from passerby.models import Rule

ItemKind = Literal["text", "picture", "file"]
"""`file` is also a video, a sound, or a voice note."""


class Item(Struct, frozen=True, kw_only=True):
    """What a guest wants to send."""

    kind: ItemKind
    content: bytes
    """The text as UTF-8, or the bytes of the file, as the server keeps it: without metadata."""
    mime_type: str = "text/plain; charset=utf-8"
    name: str = ""
    """Of a file."""
    author: str
    """The guest's public id."""
    beside: str = ""
    """What the author's client has written beside a file. Hooks get it as a text of its own."""
    languages: tuple[str, ...] = ()
    """What the two guests may speak: primary language subtags in lower case; none: unknown."""


class Verdict(Struct, frozen=True, kw_only=True):
    """Whether an item is delivered."""

    holds: bool
    rule: Rule = "other"
    """Why it is held."""
    words: str = ""
    """What its author is told; empty: a text of ours."""
    checked: bool = True
    """False: it is held because it cannot be checked. Nobody looks at its author for that."""


ALLOW: Final = Verdict(holds=False)


class Hook(Protocol):
    """Something that looks at items. Of several, one that holds an item is enough."""

    @property
    def name(self) -> str:
        """For the log."""

    @property
    def kinds(self) -> Collection[ItemKind]:
        """What it looks at; others are not given to it."""

    async def check(self, item: Item) -> Verdict:
        """Return whether `item` is delivered. Raises anything if it cannot say: `HOOK_FAILS` decides then.

        What is wrong with one item, such as a picture that cannot be decoded, is a verdict about it, and no failure: a
        hook that has failed for some items is not asked about those of others. The caller has a deadline. The work must
        not hold up the event loop.
        """

    async def close(self) -> None:
        """Release all resources; the hook is not used afterwards."""
