"""Checks of the nodes that share a Redis: whether each is well, and whether its clock is right.

A node renews its lease every 0.9 s, and listens on a channel of its own. One that listens and does not renew is
frozen: its connections are open, because the system holds them, and nothing comes. One that has died listens no more,
and the others know it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from passerby.doctor.findings import Finding, Found, ok, problem
from passerby.doctor.redis_client import RefusedError, Reply, Session

_WAIT: Final = 2.0
"""Seconds between two looks, more than two renewals of a lease."""
_SKEW: Final = 1000
"""Milliseconds that a clock may be off: leases and times of messages are shared by all machines."""
_SPECIAL: Final = re.compile(r"([*?\[\]\\^])")
"""What has a meaning in a pattern of Redis."""
_ELSEWHERE: Final = ("MOVED", "ASK")


class Look(NamedTuple):
    """What there is at one moment."""

    leases: Mapping[str, tuple[str, bytes]]
    """Of each node that is alive: the version of its frames, and when its lease ends."""
    listeners: frozenset[str]
    """Nodes that listen on their channel."""


class Nodes:
    """The nodes that share some servers: one, or the primaries of a Cluster."""

    def __init__(self, servers: Sequence[Session], prefix: str, *, is_cluster: bool) -> None:
        """The servers are connected and logged in."""
        self._servers = servers
        self._prefix = prefix
        self._command, self._form = ("SHARDCHANNELS", "bus:{%s}") if is_cluster else ("CHANNELS", "bus:%s")

    async def findings(self) -> list[Finding]:
        """Look twice; nothing is found if there is no node. Raises Found and RefusedError."""
        first = await self.look()
        if not first.leases and not first.listeners:
            return []
        await asyncio.sleep(_WAIT)
        second = await self.look()
        found = [problem(text) for text in [*await self._silent(first, second), *await self._clocks(second)]]
        found += _versions(second)
        count = len(second.leases.keys() & second.listeners)
        if found or not count:
            return found
        return [ok(f"{count} {'node uses' if count == 1 else 'nodes use'} this Redis; all answer, with the right time")]

    async def look(self) -> Look:
        """Return what there is now. Raises Found and RefusedError."""
        now = await self._servers[0].ask("TIME")
        seconds, microseconds = (
            (int(part) for part in now if isinstance(part, bytes)) if isinstance(now, list) else (0, 0)
        )
        listed = await self._wherever(
            "ZRANGE",
            f"{self._prefix}alive",
            f"({seconds * 1000 + microseconds // 1000}",
            "+inf",
            "BYSCORE",
            "WITHSCORES",
        )
        leases = {}
        members = iter(listed if isinstance(listed, list) else [])
        for member, until in zip(members, members, strict=False):
            if isinstance(member, bytes) and isinstance(until, bytes):
                node, version, *_ = f"{member.decode(errors='replace')}  ".split(" ")
                leases[node] = version, until
        before, after = self._form.split("%s")
        before = self._prefix + before
        pattern = _SPECIAL.sub(r"\\\1", before) + "*" + after
        channels = [await server.ask("PUBSUB", self._command, pattern) for server in self._servers]
        return Look(
            leases,
            frozenset(
                channel.decode(errors="replace").removeprefix(before).removesuffix(after)
                for answer in channels
                for channel in (answer if isinstance(answer, list) else [])
                if isinstance(channel, bytes)
            ),
        )

    async def _silent(self, first: Look, second: Look) -> list[str]:
        """Return what is wrong with nodes that do not answer."""
        found = []
        for node in sorted(first.listeners & second.listeners):
            old, new = first.leases.get(node), second.leases.get(node)
            if old is None and new is None:
                what = "has no lease any more"
            elif old == new:
                what = f"has not renewed its lease for {_WAIT:g} seconds"
            else:
                continue
            found.append(
                f"{await self._name(node)} {what}: it is frozen, or cut off from Redis, or its machine is "
                "gone. Others take over its guests. See its log, or end it"
            )
        renewed = {node for node, lease in second.leases.items() if first.leases.get(node) not in (None, lease)}
        found += [
            f"{await self._name(node)} is alive and does not listen to the others: its guests meet only each other. "
            "See its log, and let its user in Redis have the channels (ACL: `&*`)"
            for node in sorted(renewed - first.listeners - second.listeners)
        ]
        return found

    async def _clocks(self, look: Look) -> list[str]:
        """Return which clocks are off."""
        found = []
        for node in sorted(look.leases):
            about = await self._about(node)
            try:
                skew = int(about["clock"]) - int(about["heard"])
            except (KeyError, ValueError):
                continue  # it has just started, or is of a version without it
            if abs(skew) > _SKEW:
                where = "ahead of" if skew > 0 else "behind"
                found.append(
                    f"the clock of {await self._name(node)} is {abs(skew) / 1000:.1f} seconds {where} that of Redis. "
                    "Set both by NTP"
                )
        return found

    async def _name(self, node: str) -> str:
        about = await self._about(node)
        if "host" not in about:
            return f"the node {node}"
        return f"the node {node} (process {about.get('pid', '?')} on {about['host']})"

    async def _about(self, node: str) -> dict[str, str]:
        answer = await self._wherever("HGETALL", f"{self._prefix}about:{node}")
        parts = (
            [part.decode(errors="replace") for part in answer if isinstance(part, bytes)]
            if isinstance(answer, list)
            else []
        )
        return dict(zip(parts[::2], parts[1::2], strict=False))

    async def _wherever(self, *parts: str) -> Reply:
        """Ask the server that has a key; nothing if none has."""
        for server in self._servers:
            try:
                return await server.ask(*parts)
            except RefusedError as error:
                if error.code not in _ELSEWHERE:
                    raise
        return None


def _versions(look: Look) -> list[Finding]:
    """Return whether all nodes understand each other: a version understands the one before."""
    numbers = sorted({int(version) for version, _ in look.leases.values() if version.isdecimal()})
    if not numbers or numbers[-1] - numbers[0] <= 1:
        return []
    text = f"nodes with the frames {numbers[0]} and {numbers[-1]} share this Redis and do not understand each other"
    return [problem(f"{text}. Stop the older ones")]


async def findings(servers: Sequence[Session], prefix: str, *, is_cluster: bool = False) -> list[Finding]:
    """Return the findings about the nodes. What is wrong with Redis itself is found elsewhere."""
    try:
        return await Nodes(servers, prefix, is_cluster=is_cluster).findings()
    except (Found, RefusedError):
        return []
