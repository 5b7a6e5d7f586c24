"""A subscription to one channel, on a connection of its own that watches itself.

RESP2: on such a connection the server sends `["message", channel, payload]` when it likes, and answers PING with
`["pong", ""]`. In a Cluster the channel is a sharded one; it is on the node that has its slot.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from hiredis import ProtocolError

from passerby.redis.connection import NOTHING, REPLY, Connection
from passerby.redis.errors import LostError, RefusedError, UnfitError
from passerby.redis.opening import Hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.background import Background
    from passerby.redis.errors import RedisError
    from passerby.redis.opening import Opener
    from passerby.redis_url import Address

_REDIRECTIONS: Final = 5
"""How often MOVED is followed."""


class Subscription(Connection):
    """A connection that receives messages, once `subscribe` is called."""

    def __init__(
        self, background: Background, lost: Callable[[LostError], None], refused: Callable[[RefusedError], None]
    ) -> None:
        """See Connection."""
        super().__init__(background, lost, refused)
        self._receive: Callable[[bytes], None] | None = None
        self.address: Address = ("", 0)
        """Of the server."""

    async def subscribe(self, command: str, channel: str, receive: Callable[[bytes], None]) -> None:
        """Call `receive` with each message, in order. Nothing else can be sent then. Raises RedisError."""
        self._receive = receive
        await self.command(command, channel)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        receive = self._receive
        if receive is None:
            super().data_received(data)
            return
        self._is_silent = False
        next_reply = self._reader.gets
        try:
            self._reader.feed(data)
            while self._error is None and (reply := next_reply()) is not NOTHING:
                kind = reply[0] if reply.__class__ is list and reply else None
                try:
                    if kind in (b"message", b"smessage"):
                        receive(reply[2])
                    elif kind in (b"unsubscribe", b"sunsubscribe"):
                        self._end(LostError("the channel is on another node now"))
                    elif self._waiting:
                        self._waiting.popleft()(reply)  # type: ignore[operator]  # no script is sent here
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the next must be received
                    self._background.failed(REPLY, error)
        except ProtocolError as error:
            self._end(LostError(f"it does not speak Redis' protocol: {error}"))


async def subscribe(
    opener: Opener, address: Address, channel: str, receive: Callable[[bytes], None], lost: Callable[[], None]
) -> Subscription:
    """Subscribe at the server at `address`, or in a Cluster at the node to which it leads. Raises RedisError.

    `lost` is called once when it ends, also by `close`.
    """
    command = "SSUBSCRIBE" if opener.url.kind == "cluster" else "SUBSCRIBE"
    returned: list[Connection] = []
    hooks = Hooks(lambda connection, _: lost() if connection in returned else None, lambda _, __: None)
    for _ in range(_REDIRECTIONS):
        subscription = await opener.open_as(Subscription, address, hooks)
        subscription.address = address
        try:
            work = subscription.subscribe(command, channel, receive)
            await opener.within_limit(work, "subscription")
        except RefusedError as error:
            subscription.close()
            if error.code != "MOVED":
                raise
            address = moved_to(error, address)
            continue
        except BaseException:
            subscription.close()
            raise
        if not subscription.is_open:
            raise LostError("it has ended at once")
        returned.append(subscription)
        return subscription
    raise UnfitError("its Cluster is changing")


def moved_to(error: RedisError, asked: Address) -> Address:
    """Return the address in MOVED or ASK; without a host it is that of the node that was asked."""
    _, _, place = str(error).split(" ")
    host, _, port = place.rpartition(":")
    return host or asked[0], int(port)
