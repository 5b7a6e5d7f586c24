"""Homes in Redis: `home:<session id>` is the id of a node.

While Redis cannot be used, this node is the home of whoever comes: nobody can say otherwise. `keep` finds out later.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from passerby.redis.answers import Answers
from passerby.redis.client import LostError, RedisError, RefusedError, Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from passerby.redis.client import Redis, Reply

LIFETIME: Final = 3600
"""Seconds that an entry lasts if it is not kept."""
_CLAIM: Final = Script(Path(__file__).with_name("home_claim.lua"))
_RELEASE: Final = Script(Path(__file__).with_name("home_release.lua"))


class RedisHomes:
    """Each step is one script, so that no two nodes are the home of one guest."""

    def __init__(self, redis: Redis, node: str) -> None:
        """Claim for `node`."""
        self._redis = redis
        self._node = node

    def _key(self, session_id: str) -> str:
        return self._redis.key(f"home:{session_id}")

    async def claim(self, session_id: str, instead_of: str | None = None) -> str:
        """See Homes."""
        try:
            return _read(await self._claim(session_id, self._node, instead_of))
        except LostError:
            return self._node

    def _claim(self, session_id: str, node: str, instead_of: str | None) -> asyncio.Future[Reply]:
        return self._redis.run(_CLAIM, (self._key(session_id),), node, instead_of or "", LIFETIME)

    async def find(self, session_id: str) -> str | None:
        """See Homes."""
        try:
            return _read(await self._redis.command("GET", self._key(session_id))) or None
        except RefusedError as error:
            if error.code != "WRONGTYPE":
                raise
            return None

    def give(self, session_id: str, node: str) -> None:
        """See Homes."""
        self._redis.run_then(_ignore, _CLAIM, (self._key(session_id),), node, self._node, LIFETIME)

    def release(self, session_id: str) -> None:
        """See Homes."""
        self._redis.run_then(_ignore, _RELEASE, (self._key(session_id),), self._node)

    async def keep(self, session_ids: Sequence[str]) -> list[str]:
        """See Homes."""
        answers = Answers()
        for session_id in session_ids:
            self._redis.run_then(answers.next(), _CLAIM, (self._key(session_id),), self._node, "", LIFETIME)
        homes = await answers.all()
        return [session_id for session_id, home in zip(session_ids, homes, strict=True) if _read(home) != self._node]


def _read(home: Reply) -> str:
    return home.decode(errors="replace") if isinstance(home, bytes) else ""


def _ignore(_: Reply | RedisError) -> None:
    """Do nothing: whoever needs the home asks for it."""
