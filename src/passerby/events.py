"""Base classes of all events. Each package defines its own in `<package>/events.py`.

`realtime.contract` lists them all. The AsyncAPI document and the client's types are generated from that list, the
gateway validates with the same Structs, and `realtime.links` encodes them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Struct, UnsetType

from passerby.errors import Code

Text = Annotated[str, Meta(description="English text for people; programs use `code`")]


class Event(Struct, rename="camel", kw_only=True, gc=False):
    """Base of all events. `event` is the Socket.IO event name, the fields are its single argument.

    Events never contain reference cycles, so the garbage collector need not track them (`gc=False`).
    """

    event: ClassVar[str]


class ErrorEvent(Event):
    """Base of the `*:error` events."""

    message: Text
    code: Code
    retry_after: Annotated[float, Meta(description="Seconds to wait before a retry")] | UnsetType = UNSET
