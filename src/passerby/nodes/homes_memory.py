"""Homes in memory, for nodes that are in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class MemoryHomes:
    """One node's view of `homes`, which all nodes share."""

    def __init__(self, node: str, homes: dict[str, str]) -> None:
        """Claim for `node`."""
        self._node = node
        self._homes = homes

    async def claim(self, session_id: str, instead_of: str | None = None) -> str:
        """See Homes."""
        if self._homes.get(session_id) in (None, instead_of):
            self._homes[session_id] = self._node
        return self._homes[session_id]

    async def find(self, session_id: str) -> str | None:
        """See Homes."""
        return self._homes.get(session_id)

    def give(self, session_id: str, node: str) -> None:
        """See Homes."""
        if self._homes.get(session_id) in (None, self._node):
            self._homes[session_id] = node

    def release(self, session_id: str) -> None:
        """See Homes."""
        if self._homes.get(session_id) == self._node:
            del self._homes[session_id]

    async def keep(self, session_ids: Sequence[str]) -> list[str]:
        """See Homes."""
        return [session_id for session_id in session_ids if await self.claim(session_id) != self._node]
