"""The port to the list of homes: on which node each live guest lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Homes(Protocol):
    """The homes of guests, by session id, as one node sees and changes them. An entry lasts until it is not kept."""

    async def claim(self, session_id: str, instead_of: str | None = None) -> str:
        """Make this node the home of a guest who has none, or whose home is `instead_of`. Return the home there is now.

        Atomic: of any number of nodes, one gets it. Raises OSError.
        """

    async def find(self, session_id: str) -> str | None:
        """Return the home of a guest, perhaps a node that is gone; None if the guest has none. Raises OSError."""

    def give(self, session_id: str, node: str) -> None:
        """Make `node` the home of a guest of this node, before anything that is sent to it later."""

    def release(self, session_id: str) -> None:
        """The guest is gone; no effect if this node is not the home any more."""

    async def keep(self, session_ids: Sequence[str]) -> list[str]:
        """Go on being the home of these guests, at most 200. Return those whose home is another node.

        Guests whose entry is lost get it again. Called at least once in LIFETIME / 2. Raises OSError.
        """
