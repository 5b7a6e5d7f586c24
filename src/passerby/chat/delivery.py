"""One room: its two members, and each one's place in the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType

if TYPE_CHECKING:
    pass


class Pending(Struct, rename="camel", frozen=True):
    """Of a message on its way, written or waiting to be, not yet confirmed: what is needed once it is."""

    id: str
    seq: int
    client_id: str | UnsetType = UNSET


read_pending = msgspec.json.Decoder(Pending).decode
