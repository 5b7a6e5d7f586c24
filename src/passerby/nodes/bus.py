"""The port to the bus: frames from one node to another, in order, and each at most once.

What is lost is noticed: then everything between the two nodes is lost, as if a connection had ended. Nothing is sent
again; clients reconnect and resume.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

VERSION: Final = 1
"""Of the frames. A node understands its own version and the one before."""

Frame: TypeAlias = tuple[Any, ...]
"""Numbers, text, bytes, None, lists and dicts of them; the first is the kind, a number that one part of the program
has for itself."""

Take: TypeAlias = "Callable[[str, Frame], None]"
"""Called with the id of the sender, and the frame; as a tuple or a list."""


class Bus(Protocol):
    """One node's end of the bus. Nothing comes before `start`."""

    node: str
    """This node's id."""

    def take(self, kind: int, take: Take) -> None:
        """Have frames of `kind` handled by `take`, in the turn of the event loop in which they come, in order.

        If `take` raises, that is logged, and the next frame is handled. Frames of an unknown kind are ignored.
        """

    def on_lost(self, lost: Callable[[str], None]) -> None:
        """Call `lost(node)` when frames to or from a node are lost, or may be, or the node is gone.

        It is called on both sides, once for each loss, and before any frame that the other side sends after it. Frames
        that were sent before the loss and come after it are dropped.
        """

    def send(self, node: str, frame: Frame) -> None:
        """Queue a frame; all of one turn of the event loop are sent together. Raises nothing.

        If too much waits for that node already, or nobody listens there, the pair is lost; see `on_lost`, which is
        never called before this returns.
        """

    def gone(self, node: str) -> None:
        """Another part of the program has learned that a node is gone: the pair is lost."""

    async def close(self) -> None:
        """Send what waits, and listen no more."""
