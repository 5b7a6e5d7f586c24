"""A WebSocket without a network connection."""

from __future__ import annotations

from collections.abc import Callable

from passerby.socketio.frames import CloseCode


class FakeWebSocket:
    """A fake `passerby.socketio.websocket.WebSocket`: counts written bytes, records how it was closed."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.written = 0
        self.paused = False
        self.closed: tuple[str, CloseCode] | None = None
        self._on_closed: Callable[[str], None] = lambda reason: None

    def bind(
        self,
        on_text: Callable[[str], None],
        on_binary: Callable[[bytes], None],
        on_closed: Callable[[str], None],
        _on_drained: Callable[[], None],
    ) -> None:
        self.on_text, self.on_binary, self._on_closed = on_text, on_binary, on_closed

    def flush(self) -> None:
        if self.closed is None:
            self.written += len(b"".join(self.frames))
        self.frames.clear()

    def write(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.flush()

    def close(self, reason: str, code: CloseCode = CloseCode.NORMAL) -> None:
        if self.closed is None:
            self.closed = reason, code
            self._on_closed(reason)
