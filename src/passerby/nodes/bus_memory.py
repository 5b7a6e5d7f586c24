"""The bus within one process: for tests, and for a Passerby of one node."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from passerby.nodes.pairs import OUTBOX_LIMIT, Pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.background import Background


class MemoryHub:
    """Connects the buses of one process. Messages come in a later turn of the event loop, in order."""

    def __init__(self) -> None:
        """Connect none yet."""
        self._listeners: dict[str, Callable[[bytes], None]] = {}
        self._on_the_way: dict[str, deque[bytes]] = {}
        """Messages for each node that have not come yet."""
        self._held: set[str] = set()
        """Nodes whose messages wait until `release`."""

    def listen(self, node: str, receive: Callable[[bytes], None]) -> None:
        """Call `receive` with each message for `node`."""
        self._listeners[node] = receive

    def leave(self, node: str) -> None:
        """Messages for `node` come no more, also those on the way."""
        self._listeners.pop(node, None)
        self._on_the_way.pop(node, None)

    def publish(self, node: str, message: bytes, done: Callable[[object], None]) -> None:
        """Send a message to `node`; `done` gets later how many listen."""
        loop = asyncio.get_running_loop()
        listens = node in self._listeners
        if listens:
            self._on_the_way.setdefault(node, deque()).append(message)
            loop.call_soon(self._arrive, node)
        loop.call_soon(done, int(listens))

    def _arrive(self, node: str) -> None:
        waiting = self._on_the_way.get(node)
        if waiting and node not in self._held:
            self._listeners[node](waiting.popleft())

    # ── what networks do ──────────────────────────────────────────────────────────────────────────

    def hold(self, node: str) -> None:
        """Let no message come to `node` until `release`."""
        self._held.add(node)

    def release(self, node: str) -> None:
        """Let all messages for `node` come, soon."""
        self._held.discard(node)
        for _ in self._on_the_way.get(node, ()):
            asyncio.get_running_loop().call_soon(self._arrive, node)

    def lose(self, node: str, count: int = 1) -> int:
        """Lose the next `count` messages on the way to `node`; return how many there were."""
        waiting = self._on_the_way.get(node, deque())
        lost = min(count, len(waiting))
        for _ in range(lost):
            waiting.popleft()
        return lost


class MemoryBus:
    """See Bus."""

    def __init__(self, hub: MemoryHub, node: str, background: Background, outbox_limit: int = OUTBOX_LIMIT) -> None:
        """`hub` connects it with others."""
        self.node = node
        self._hub = hub
        self.pairs = pairs = Pairs(node, background, hub.publish, outbox_limit)
        """Its counts."""
        self.take = pairs.take
        self.on_lost = pairs.on_lost
        self.send = pairs.send
        self.gone = pairs.gone

    def start(self) -> None:
        """Begin to listen; also after `cut`."""
        self._hub.listen(self.node, self.pairs.receive)
        self.pairs.up()

    def cut(self) -> None:
        """Lose the connection to the hub, as to Redis, until `start`."""
        self._hub.leave(self.node)
        self.pairs.down()

    async def close(self) -> None:
        """See Bus."""
        self.pairs.close()
        self._hub.leave(self.node)
