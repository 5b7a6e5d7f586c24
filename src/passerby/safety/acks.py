"""What the author of a message that waits is told: for each time that the message was sent, the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Ack = Callable[..., None]

MOST: Final = 16
"""Acknowledgements of one message, at most: then the oldest, whose connection is gone by then, are not sent."""


class Acks:
    """The acknowledgements of one message: a client that sends it again, with the same id, waits for each."""

    def __init__(self, ack: Ack | None) -> None:
        """`ack` is None if the client has not asked for it."""
        self._acks = [] if ack is None else [ack]

    def __call__(self, answer: object) -> None:
        """Acknowledge the message, as often as it was sent."""
        for ack in self._acks:
            ack(answer)

    def join(self, earlier: Acks) -> None:
        """Take those of the same message that was sent before."""
        self._acks = [*earlier._acks, *self._acks][-MOST:]
