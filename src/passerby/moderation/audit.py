"""The port to the audit: what moderators have done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.chain import Entry


class Journal(Protocol):
    """Where the audit is kept. Only the other ports write to it. Raises OSError when the database cannot be used."""

    def entries(self, after: int = 0) -> AsyncIterator[Entry]:
        """Yield all entries with a greater number, the oldest first."""

    async def append(self, actor: str, action: str, object: str, details: dict[str, Any]) -> None:  # noqa: A002 - as in Entry
        """Note something that no other port notes."""
