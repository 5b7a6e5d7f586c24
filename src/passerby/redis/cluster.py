"""A link to a Cluster: one connection to each primary, and a map from slots to them.

`MOVED` and `ASK` say that a command was not applied, and where it belongs: it is sent there (Redis Cluster
specification, "MOVED Redirection" and "ASK Redirection"). `TRYAGAIN` says that its keys are on their way. If any node
is lost, the link is: a failover may have lost data of that node, so everything is written again.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any, Final, cast

from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS
from redis.crc import key_slot

from passerby.redis.errors import LostError, RedisError, RefusedError, UnfitError
from passerby.redis.marker import MARKER, Marker
from passerby.redis.opening import Hooks
from passerby.redis.subscription import moved_to

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from passerby.redis.connection import Connection, Done, Part, Reply
    from passerby.redis.links import Watcher
    from passerby.redis.opening import Opener
    from passerby.redis.script import Script
    from passerby.redis_url import Address

    Ranges = list[tuple[int, int, Address]]

_REDIRECTIONS: Final = 5
"""How often one command follows MOVED or ASK: a slot moves rarely, and each time only once."""
_TRIES: Final = 20
"""How often one command is tried again while its keys are on their way."""
_TRY_EVERY: Final = 0.1
"""Seconds between these."""
_SCRIPTS: Final = ("EVAL", "EVALSHA")


class _Errand:
    """A command on its way; called with the reply, it follows redirections."""

    __slots__ = ("_done", "_left", "_link", "_tries", "again", "asked", "slot")

    def __init__(
        self, link: ClusterLink, done: Done, slot: int, again: Callable[[Connection, Done], None], asked: Sequence[Part]
    ) -> None:
        """`again` sends it; `asked` is the command to send after ASKING."""
        self._link = link
        self._done = done
        self._left = _REDIRECTIONS
        self._tries = _TRIES
        self.slot = slot
        self.again = again
        self.asked = asked

    def __call__(self, reply: Reply | RedisError) -> None:
        if isinstance(reply, RefusedError) and reply.code in ("MOVED", "ASK") and self._left:
            self._left -= 1
            self._link.redirect(self, reply)
        elif isinstance(reply, RefusedError) and reply.code == "TRYAGAIN" and self._tries:
            self._tries -= 1
            self._left = _REDIRECTIONS
            self._link.try_later(self)
        else:
            self._done(reply)

    def fail(self, error: RedisError) -> None:
        """Give up."""
        self._link.later(self._done, error)


class ClusterLink:
    """A link to a Cluster."""

    def __init__(self, opener: Opener, prefix: str, watcher: Watcher) -> None:
        """Nothing is open before `open`."""
        self._opener = opener
        self._background = opener.background
        self._prefix = prefix
        self._watcher = watcher
        self._nodes: dict[Address, Connection] = {}
        """All open connections: to primaries, and to nodes that slots are moving to."""
        self._primaries: set[Address] = set()
        self._slots: list[Connection] = []
        """The connection for each slot."""
        self._hooks = Hooks(self._lose, lambda _, error: watcher.refused(error))
        self._parked: list[_Errand] = []
        """Commands that wait for a new map."""
        self._markers: dict[Address, int] = {}
        """The slot of each primary's marker."""
        self._is_mapping = False
        self._is_closed = False

    # ── commands ──────────────────────────────────────────────────────────────────────────────────

    def send(self, done: Done, parts: Sequence[Part]) -> None:
        """See Link. The key is the second part; of a script it is the fourth."""
        slot = _slot_of(parts)
        errand = _Errand(self, done, slot, lambda connection, answered: connection.send(answered, parts), parts)
        self._slots[slot].send(errand, parts)

    def run(self, done: Done, script: Script, keys: Sequence[str], arguments: Sequence[Part]) -> None:
        """See Link."""
        slot = key_slot(keys[0].encode())
        errand = _Errand(
            self,
            done,
            slot,
            lambda connection, answered: connection.run(answered, script, keys, arguments),
            ("EVAL", script.source, len(keys), *keys, *arguments),
        )
        self._slots[slot].run(errand, script, keys, arguments)

    def redirect(self, errand: _Errand, error: RefusedError) -> None:
        """Send a command where the server says that it belongs: it was not applied."""
        address = moved_to(error, self._opener.url.addresses[0])
        if error.code == "ASK":
            self._background.start("ASK of the Cluster", self._ask(errand, address))
            return
        if self._is_closed:
            errand.fail(LostError("closed"))
            return
        self._parked.append(errand)
        self._map_again(address)

    def try_later(self, errand: _Errand) -> None:
        """Send a command once more, after a while: it was not applied."""
        self._background.call_later("command to the Cluster", _TRY_EVERY, lambda: self._again(errand))

    def _again(self, errand: _Errand) -> None:
        errand.again(self._slots[errand.slot], errand)

    def later(self, done: Done, error: RedisError) -> None:
        """Call `done` soon, as a connection would."""
        asyncio.get_running_loop().call_soon(self._background.attempt, "reply of Redis", done, error)

    async def _ask(self, errand: _Errand, address: Address) -> None:
        try:
            connection = await self._node(address)
        except RedisError as error:
            errand.fail(error)
            return
        connection.send(_ignore, ("ASKING",))
        connection.send(errand, errand.asked)

    # ── the map ───────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Connect to all primaries. Raises RedisError; then nothing is open."""
        try:
            await self._adopt(await self._first_map())
        except BaseException:
            self._is_closed = True  # nobody is told: the caller knows
            self.close()
            raise

    async def _first_map(self) -> Ranges:
        error: RedisError = UnfitError("no node of the Cluster can be reached")
        for seed in self._opener.url.addresses:
            try:
                connection = await self._opener.open(seed, Hooks(_ignore_both, _ignore_both), is_replica_fit=True)
            except RedisError as one:
                error = one
                continue
            try:
                return _ranges(await connection.command("CLUSTER", "SLOTS"), seed)
            except RedisError as one:
                error = one
            finally:
                connection.close()
        raise error

    def _map_again(self, address: Address) -> None:
        """Ask the node at `address` for the map, soon."""
        if not self._is_mapping and not self._is_closed:
            self._is_mapping = True
            self._background.start("map of the Cluster", self._remap(address))

    async def _remap(self, address: Address) -> None:
        before = self._primaries
        try:
            connection = await self._node(address)
            await self._adopt(_ranges(await connection.command("CLUSTER", "SLOTS"), address))
        except RedisError as error:
            self._lose(None, LostError(f"its map cannot be read: {error}"))
        finally:
            self._is_mapping = False
        if self._is_closed:
            return
        parked, self._parked = self._parked, []
        for errand in parked:
            self._again(errand)
        moved = [slot for address, slot in self._markers.items() if self._slots[slot] is not self._nodes.get(address)]
        if self._primaries != before or moved:
            self._watcher.missed("its Cluster has changed")

    async def _adopt(self, ranges: Ranges) -> None:
        """Connect to the primaries of a map, and use it. Raises RedisError."""
        primaries = {address for _, _, address in ranges}
        await asyncio.gather(*(self._node(address) for address in primaries))
        slots: list[Connection | None] = [None] * SLOTS
        for first, last, address in ranges:
            slots[first : last + 1] = [self._nodes[address]] * (last + 1 - first)
        full = [connection for connection in slots if connection is not None]
        if len(full) < SLOTS:
            raise UnfitError("its Cluster lacks a node for some keys")
        self._slots = full
        self._primaries = primaries
        for address in set(self._nodes) - primaries:
            _retire(self._nodes.pop(address))

    async def _node(self, address: Address) -> Connection:
        """Return the connection to a node; open it if there is none. Raises RedisError."""
        found = self._nodes.get(address)
        if found is not None:
            return found
        opened = await self._opener.open(address, self._hooks)
        if self._is_closed:
            opened.close()
            raise LostError("closed")
        other = self._nodes.setdefault(address, opened)
        if other is not opened:  # somebody else was faster
            _retire(opened)
        return other

    def place(self, key: str) -> Address:
        """See Link."""
        connection = self._slots[key_slot(key.encode())]
        return next(address for address, node in self._nodes.items() if node is connection)

    # ── the link ──────────────────────────────────────────────────────────────────────────────────

    async def claim(self) -> None:
        """See Link. Each primary has a marker of its own."""
        self._markers.clear()
        await asyncio.gather(*(self._claim(address) for address in self._primaries))

    async def _claim(self, address: Address) -> None:
        connection = self._nodes[address]
        keys = (f"{self._prefix}{MARKER}:{{{number}}}" for number in count())
        key = next(key for key in keys if self._slots[key_slot(key.encode())] is connection)
        marker = Marker(
            connection,
            key,
            lambda: self._watcher.missed("the data of a node is gone"),
            lambda error: self._misplaced(error, address),
        )
        try:
            await marker.claim()
        except RefusedError as error:
            if error.code in ("MOVED", "ASK"):
                self._lose(None, LostError("its Cluster has changed"))
            raise
        self._markers[address] = key_slot(key.encode())

    def _misplaced(self, error: RefusedError, address: Address) -> None:
        if error.code == "MOVED":
            self._map_again(address)

    def _lose(self, connection: Connection | None, error: LostError) -> None:
        """End the link: one connection is lost, or the map."""
        if self._is_closed or (connection is not None and connection not in self._nodes.values()):
            return
        self._is_closed = True
        self._watcher.lost(error)
        self.close()

    async def drain(self) -> None:
        """See Link."""
        await asyncio.gather(*(connection.command("PING") for connection in self._nodes.values()))

    def close(self) -> None:
        """See Link."""
        self._is_closed = True
        for connection in self._nodes.values():
            connection.close()
        parked, self._parked = self._parked, []
        for errand in parked:
            errand.fail(LostError("closed"))


async def open_cluster(opener: Opener, prefix: str, watcher: Watcher) -> ClusterLink:
    """Open a link to the Cluster of the URL. Raises RedisError."""
    link = ClusterLink(opener, prefix, watcher)
    await link.open()
    return link


def _slot_of(parts: Sequence[Part]) -> int:
    """Return the slot of a command's key; any if it has none, because any node answers then."""
    place = 3 if parts[0] in _SCRIPTS else 1
    if len(parts) <= place:
        return 0
    key = parts[place]
    return int(key_slot(key if isinstance(key, bytes) else str(key).encode()))


def _ranges(reply: Reply, asked: Address) -> Ranges:
    """Return the slots (first, last) of each primary, from the answer to CLUSTER SLOTS. Raises UnfitError."""
    ranges: Ranges = []
    try:
        for first, last, (host, port, *_), *_ in cast("Any", reply):
            # Without a host it is the one that was asked; `?` is a host name that the node does not know.
            known = host.decode() if host and host != b"?" else asked[0]
            ranges.append((int(first), int(last), (known, int(port))))
    except (TypeError, ValueError, AttributeError):
        raise UnfitError("its map of slots cannot be read") from None
    return ranges


def _retire(connection: Connection) -> None:
    """Close a connection after it has answered what was sent."""
    connection.send(lambda _: connection.close(), ("PING",))


def _ignore(_: object) -> None:
    """Do nothing: for an answer that nobody needs."""


def _ignore_both(_: object, __: object) -> None:
    """Do nothing."""
