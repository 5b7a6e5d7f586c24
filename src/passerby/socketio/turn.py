"""A turn of the event loop: first everything is read that can be, then all of it is handled, then all is written.

Messages are not handled where they are read, nor answers written where they are made. Otherwise the kernel's code and
ours push each other out of the processor's caches at every message, which costs more than a fifth of everything.
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
    """What the present turn has read, and who has something to write. A failure ends the connection that it is of."""

    __slots__ = ("_due", "_unflushed", "arrived")

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self.arrived: list[tuple[WebSocket, str | bytes]] = []
        """Messages in the order in which they were read; whoever adds the first calls `take`."""
        self._unflushed: list[WebSocket] = []
        self._due = False

    def take(self) -> None:
        """Handle what has arrived, and flush, when everything that can be read now is read."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._end)

    def flush_soon(self, websocket: WebSocket) -> None:
        """Flush `websocket` when everything that can be read now is handled."""
        self._unflushed.append(websocket)
        self.take()

    def handle_arrived(self) -> None:
        """Handle what has arrived, in order."""
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
        self.handle_arrived()
        self._due = False
        unflushed, self._unflushed = self._unflushed, []
        for websocket in unflushed:
            try:
                websocket.flush()
            except Exception:
                log.exception("write failed")
                _give_up(websocket)


def _give_up(websocket: WebSocket) -> None:
    """End a connection that has lost something, so that its client comes back; cut it if that fails too."""
    try:
        websocket.close(closing.SERVER_ERROR)
    except Exception:
        log.exception("closing failed")
        websocket.abort()
