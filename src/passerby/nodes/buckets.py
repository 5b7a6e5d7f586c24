"""The port to the buckets of client addresses: one rate limit, which all nodes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from passerby.limits import Rate


class Buckets(Protocol):
    """The token buckets of all addresses for one limit. An IPv6 address is in three, see `limits.AddressLimit`."""

    def change(self, rate: Rate) -> None:
        """Allow another rate for each address from now on."""

    async def take(self, address: str) -> float:
        """Take one token for `address`. Return 0.0, or if there is none, the seconds until the next one.

        The token is taken from all networks of the address, or from none. Exact: of all takes of all nodes, no more
        succeed than one bucket has tokens. While what the nodes share cannot be used, each has buckets of its own.
        """

    def take_at_once(self, address: str) -> float:
        """Do the same for a caller that cannot wait: what this node knows decides, and the others learn of it later.

        A take that succeeds counts for all nodes, and afterwards this node knows what the others had taken until then.
        So too many succeed only before that: a burst for each node more than one, if all are asked at the same time,
        and then one for each node. For as many as a burst of these, everybody waits longer afterwards.
        """
