"""Batches each event loop iteration ("turn"): read everything, then handle everything, then write everything.

Messages are not handled where they are read, and responses are not written where they are created. Alternating between
kernel code and this code evicts each from the CPU caches, which costs more than a fifth of the total time.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from passerby.socketio import closing

if TYPE_CHECKING:
    from passerby.socketio.websocket import WebSocket

log = logging.getLogger(__name__)


class Turn:
    """The messages read and the WebSockets to flush in this iteration. A failure closes only its own connection."""

    __slots__ = ("_due", "_unflushed", "arrived")

    def __init__(self) -> None:
        """Start with empty queues."""
        self.arrived: list[tuple[WebSocket, str | bytes]] = []
        """Messages in the order of reading. Code that adds the first message must call `take`."""
        self._unflushed: list[WebSocket] = []
        self._due = False

    def take(self) -> None:
        """Handle the messages and flush soon: after everything that can be read now has been read."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._end)

    def flush_soon(self, websocket: WebSocket) -> None:
        """Flush `websocket` soon: after all messages that have arrived are handled."""
        self._unflushed.append(websocket)
        if not self._due:  # `take` asks this too: it is the hot path
            self.take()

    def handle_arrived(self) -> None:
        """Handle the arrived messages, in order."""
        arrived, self.arrived = self.arrived, []
        for websocket, data in arrived:
            if websocket.closed:
                continue
            try:
                if isinstance(data, str):
                    websocket.on_text(data)
                else:
                    websocket.on_binary(data)
            except Exception:
                log.exception("packet handler failed")
                _give_up(websocket)

    def _end(self) -> None:
        try:
            self.handle_arrived()
        finally:
            self._due = False
        unflushed, self._unflushed = self._unflushed, []
        for websocket in unflushed:
            try:
                websocket.flush()
            except Exception:
                log.exception("write failed")
                _give_up(websocket)


def _give_up(websocket: WebSocket) -> None:
    """Close a connection that has lost data, so that its client reconnects; abort it if closing fails."""
    try:
        websocket.close(closing.SERVER_ERROR)
    except Exception:
        log.exception("closing failed")
        try:
            websocket.abort()
        except Exception:
            log.exception("aborting failed")
