"""ICE servers for a guest: STUN as it is configured, TURN with credentials that last minutes.

The credentials follow the TURN REST convention (draft-uberti-behave-turn-rest), which coturn checks with
`use-auth-secret`: the user name is when they end and for whom they are, the password its HMAC.
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

if TYPE_CHECKING:
    from passerby.clock import Clock


class IceServer(Struct, rename="camel", frozen=True, omit_defaults=True):
    """RTCIceServer."""

    urls: list[str]
    username: str | UnsetType = UNSET
    credential: str | UnsetType = UNSET


class IceServers(Struct, rename="camel", frozen=True):
    """What a client makes its RTCPeerConnection with."""

    ice_servers: list[IceServer]
    ice_transport_policy: Annotated[
        Literal["all", "relay"], Meta(description="relay: the operator wants no guest's address to be told")
    ]
    ttl: Annotated[float, Meta(description="Seconds that the credentials last; ask again before a later call")]


class Ice:
    """Makes them. `ttl` is in seconds."""

    def __init__(
        self, clock: Clock, *, stun: tuple[str, ...], turn: tuple[str, ...], secret: str | None, ttl: float, relay: bool
    ) -> None:
        """Without `turn` and `secret` there is no TURN."""
        self._clock = clock
        self._stun = stun
        self._turn = turn
        self._secret = secret
        self._ttl = ttl
        self._relay = relay

    def servers(self, guest_id: str) -> IceServers:
        """Return the servers for a guest, with fresh credentials."""
        servers = [IceServer(urls=list(self._stun))] if self._stun else []
        if self._turn and self._secret is not None:
            username = f"{int(self._clock.time() + self._ttl)}:{guest_id}"
            password = base64.b64encode(hmac.digest(self._secret.encode(), username.encode(), "sha1")).decode()
            servers.append(IceServer(urls=list(self._turn), username=username, credential=password))
        return IceServers(servers, "relay" if self._relay else "all", self._ttl)
