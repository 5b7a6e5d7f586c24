"""What all events have in common. Each package has its own in `<package>/events.py`.

`realtime.contract` lists them all: the AsyncAPI document and the client's types are made from that list, the gateway
validates with the same Structs, and `realtime.links` encodes them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType

from passerby.errors import Code

Text = Annotated[str, Meta(description="For people, in English; programs read `code`")]


class Event(Struct, rename="camel", kw_only=True, gc=False):
    """Base of all events: `event` is the Socket.IO event name, the fields are its one argument.

    Nothing in an event can refer back to it, so the garbage collector need not look (`gc=False`).
    """

    event: ClassVar[str]


class ErrorEvent(Event):
    """Base of the `*:error` events."""

    message: Text
    code: Code
    retry_after: Annotated[float, Meta(description="Seconds to wait")] | UnsetType = UNSET
