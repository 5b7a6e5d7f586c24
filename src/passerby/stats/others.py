"""What the statistics know of the other nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from passerby.models import OnlineUser, Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable


class Shown(Struct, array_like=True):
    """A guest in the online list."""

    since: Timestamp
    """When they connected."""
    user: OnlineUser


def newest(shown: Iterable[Shown], sample: int) -> list[OnlineUser]:
    """Return those who connected last, at most `sample`, each once."""
    users: dict[str, OnlineUser] = {}
    for each in sorted(shown, key=lambda each: each.since, reverse=True):
        if len(users) >= sample:
            break
        users.setdefault(each.user.id, each.user)
    return list(users.values())


class Others(Protocol):
    """The other nodes. One of all nodes is the first: it makes the broadcasts of all."""

    @property
    def nodes(self) -> set[str]:
        """The ids of the nodes that have broadcasts together, with this one."""

    @property
    def is_first(self) -> bool:
        """Whether this node is the first, as far as it knows."""

    @property
    def count(self) -> int:
        """How many nodes are alive, with this one; ≥ 1."""

    async def announce(self) -> bool:
        """Let the first node know that a broadcast is due; return whether it does."""

    async def gather(self) -> list[bytes]:
        """Return what `Statistics.share` returns on each other node. One that does not answer gives what it had."""

    def tell(self, event: bytes) -> None:
        """Have `Statistics.told(event)` called on each other node."""
