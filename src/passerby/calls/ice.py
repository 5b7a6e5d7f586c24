"""ICE servers for a guest: STUN as configured, TURN with short-lived credentials.

The credentials follow the TURN REST convention (draft-uberti-behave-turn-rest), which coturn implements as
`use-auth-secret`: the username contains expiry and guest id, the password is its HMAC.
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
    """Configuration for a client's RTCPeerConnection."""

    ice_servers: list[IceServer]
    ice_transport_policy: Annotated[
        Literal["all", "relay"],
        Meta(description="relay: the operator requires TURN relays, so that no guest learns another's address"),
    ]
    ttl: Annotated[
        float, Meta(description="Seconds until the credentials expire; request new ones before a later call")
    ]


class Ice:
    """Creates ICE server lists. `ttl` is in seconds."""

    def __init__(
        self, clock: Clock, *, stun: tuple[str, ...], turn: tuple[str, ...], secret: str | None, ttl: float, relay: bool
    ) -> None:
        """TURN is used only if `turn` and `secret` are set."""
        self._clock = clock
        self._relay = relay
        self.change(stun=stun, turn=turn, secret=secret, ttl=ttl)

    def change(self, *, stun: tuple[str, ...], turn: tuple[str, ...], secret: str | None, ttl: float) -> None:
        """Use other servers from now on."""
        self._stun = stun
        self._turn = turn
        self._secret = secret
        self._ttl = ttl

    def servers(self, guest_id: str) -> IceServers:
        """Return the servers for a guest, with new credentials."""
        servers = [IceServer(urls=list(self._stun))] if self._stun else []
        if self._turn and self._secret is not None:
            username = f"{int(self._clock.time() + self._ttl)}:{guest_id}"
            password = base64.b64encode(hmac.digest(self._secret.encode(), username.encode(), "sha1")).decode()
            servers.append(IceServer(urls=list(self._turn), username=username, credential=password))
        return IceServers(servers, "relay" if self._relay else "all", self._ttl)
