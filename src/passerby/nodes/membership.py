"""The port to the membership: which nodes are alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

LEASE: Final = 5.0
"""Seconds that a node counts as alive after its last renewal."""
RENEWAL: Final = 0.9
"""Seconds between two renewals, at each of which a node looks at the others: a dead one is noticed within 6 s."""
OWN_LEASE: Final = 4.0
"""Seconds after which a node itself takes its lease as expired: at the look after that, at the latest, the others still
take it as alive. So it lets go before they take over."""


class Membership(Protocol):
    """One node's view of all nodes, and its own lease. Nothing happens before `start`."""

    node: str
    """This node's id."""

    def start(self) -> None:
        """Begin to be alive, in the background."""

    async def is_alive(self, node: str) -> bool:
        """Return whether a node is alive. One that is not known yet is looked for; when that is impossible, it is not.

        May be up to 6 s behind a death that nobody has told.
        """

    def alive(self) -> set[str]:
        """Return the ids of the nodes that are known to be alive, always including this one."""

    def others(self) -> AbstractSet[str]:
        """Return the ids of all of them but this one: a view, so to ask whether there are any costs nothing."""

    def staying(self) -> set[str]:
        """Return the ids of the others, without those that have said that they take no guests any more."""

    def leave(self) -> None:
        """Say to the others that this node takes no guests any more; it is alive for some time."""

    def version(self, node: str) -> int:
        """Return the version of the frames of a node that is alive; 0 if it is not known."""

    def on_gone(self, gone: Callable[[str, bool], None]) -> None:
        """Call `gone(node, is_certain)` once when a node is gone: it has said so, others have told, or its lease ended.

        Only the last is not certain: the node may be cut off, and go on with what it has.
        The pair with it on the bus is lost before. A node that was gone and is alive after all comes back.
        While what holds the leases is away, nobody is gone, unless it is told.
        """

    def on_expired(self, expired: Callable[[], None]) -> None:
        """Call `expired()` once whenever this node's own lease has ended: others may take over what it has.

        So it is after a pause of the process, or of the machine, and when no renewal succeeds any more.
        """

    def holds(self) -> bool:
        """Return whether this node's lease holds. If it has ended since the last look, `expired()` is called first.

        Cheap, so that everything that must not happen without the lease can ask.
        """

    def gone(self, node: str) -> None:
        """Another part of the program knows that a node is gone: all nodes learn it at once."""

    async def close(self) -> None:
        """Say goodbye: the others learn at once that this node is gone."""
