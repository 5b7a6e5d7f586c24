"""Checks of REDIS_URL: a server, the primary that Sentinels know, or all primaries of a Cluster, and who uses it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Final

from passerby import redis_url
from passerby.doctor import nodes
from passerby.doctor.findings import Check, Finding, Found, ok, problem, warning
from passerby.doctor.redis_client import RefusedError, Session, log_in, place, refused, session
from passerby.doctor.redis_facts import Facts, judge, mode
from passerby.redis_url import Address, RedisUrl
from passerby.settings import Settings
from passerby.workers import valkey

_PINGS: Final = 5
_KEY: Final = "passerby:doctor"
"""Written to see whether that is possible."""
_KEPT: Final = 10
"""Seconds until the key is gone."""
_SLOTS: Final = 16384
"""Slots of a Cluster."""


def checks(settings: Settings) -> Iterator[Check]:
    """Yield the check."""
    yield Check("REDIS_URL", lambda: look_at(settings))


async def look_at(settings: Settings) -> Sequence[Finding]:
    """Return the findings about what REDIS_URL names."""
    if settings.redis_url is None:
        if settings.embeds_redis:
            return await _embedded(settings)
        return [ok("REDIS_URL is not set: everything is kept in memory, and a restart ends all conversations")]
    url = redis_url.parse(settings.redis_url)
    if url.kind == "sentinel":
        return await _sentinels(url, settings)
    if url.kind == "cluster":
        return await _cluster(url, settings)
    (address,) = url.addresses
    return await _server(address, url, settings, "standalone")


async def _embedded(settings: Settings) -> list[Finding]:
    """Return the findings about the workers of this machine that share a Valkey which was started with them."""
    findings: list[Finding] = []
    for path in valkey.sockets():
        url = redis_url.parse(f"unix://{path}")
        try:
            async with session(place(url.addresses[0]), url.addresses[0], url) as asked:
                findings += await nodes.findings([asked], settings.redis_prefix)
        except Found:
            continue  # it has ended with its workers
    return findings


async def _server(address: Address, url: RedisUrl, settings: Settings, expected: str) -> list[Finding]:
    """Return the findings about one server of the mode `expected`. Raises Found."""
    name = f"Redis at {place(address)}"
    async with session(name, address, url) as asked:
        await log_in(asked, url)
        try:
            facts = await _facts(asked, settings.redis_prefix, expected)
        except RefusedError as error:
            raise refused(name, error) from None
        return [
            *judge(facts, settings),
            *(await nodes.findings([asked], settings.redis_prefix) if expected == "standalone" else ()),
        ]


async def _facts(asked: Session, prefix: str, expected: str) -> Facts:
    """Ask a server for all that is judged. Raises Found and RefusedError."""
    lines = (line.partition(":") for line in (await asked.text("INFO")).splitlines())
    info = {field: value for field, separator, value in lines if separator}
    wrong = mode(asked.name, info, expected)
    if wrong is not None:
        raise Found(wrong)  # it would not know the other commands
    latency, skew = await _times(asked)
    return Facts(asked.name, info, await _saves(asked), skew, latency, await _writes(asked, f"{prefix}{_KEY}"))


async def _times(asked: Session) -> tuple[float, float]:
    """Return the seconds for an answer, and how far the server's clock is ahead."""
    best, skew = float("inf"), 0.0
    for _ in range(_PINGS):
        begun, now = time.monotonic(), time.time()
        answer = await asked.ask("TIME")
        took = time.monotonic() - begun
        if took < best and isinstance(answer, list):
            seconds, microseconds = (float(part) for part in answer if isinstance(part, bytes))
            best, skew = took, seconds + microseconds / 1e6 - now - took / 2
    return best, skew


async def _saves(asked: Session) -> str | None:
    try:
        answer = await asked.ask("CONFIG", "GET", "save")
    except RefusedError:
        return None  # a hosted Redis often refuses it
    if isinstance(answer, list) and len(answer) > 1 and isinstance(answer[1], bytes):
        return answer[1].decode(errors="replace")
    return None


async def _writes(asked: Session, key: str) -> str:
    """Return the code of the error when writing a key, or nothing."""
    try:
        await asked.ask("SET", key, "1", "EX", _KEPT)
    except RefusedError as error:
        return "" if error.code in ("MOVED", "ASK") else error.code  # another node of the Cluster has it
    return ""


# ── Sentinel ──────────────────────────────────────────────────────────────────────────────────────


async def _sentinels(url: RedisUrl, settings: Settings) -> list[Finding]:
    """Ask each Sentinel for the primary, then look at that."""
    answers = await asyncio.gather(*(_sentinel(address, url) for address in url.addresses), return_exceptions=True)
    findings: list[Finding] = []
    primaries: list[Address] = []
    for answer in answers:
        if isinstance(answer, Found):
            findings.append(answer.finding)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            primary, finding = answer
            primaries.append(primary)
            findings.append(finding)
    if not primaries:
        return findings
    # One Sentinel that answers is enough to serve.
    findings = [warning(one.text) if one.level.value == "problem" else one for one in findings]
    if len(set(primaries)) > 1:
        findings.append(
            warning(f"the Sentinels do not agree on the primary of {url.name}. Wait for the end of a failover")
        )
    return [*findings, *await _server(primaries[0], url, settings, "standalone")]


async def _sentinel(address: Address, url: RedisUrl) -> tuple[Address, Finding]:
    """Return the primary's address as a Sentinel tells it. Raises Found."""
    name = f"Sentinel at {place(address)}"
    async with session(name, address, url) as asked:
        try:
            answer = await _ask_sentinel(asked, url)
            if not isinstance(answer, list):
                text = f"{name} knows no primary called {url.name}. Check the name at the end of REDIS_URL"
                raise Found(problem(text))
            host, port = (part.decode() if isinstance(part, bytes) else "" for part in answer)
            primary = (host, int(port))
            try:
                await asked.ask("SENTINEL", "CKQUORUM", url.name)
            except RefusedError:
                text = f"{name} would find no majority for a failover of {url.name}. Start more Sentinels"
                return primary, warning(text)
        except RefusedError as error:
            if "unknown command" in str(error):
                text = f"{name} is no Sentinel. Begin REDIS_URL with redis://, or name the Sentinels' port"
                raise Found(problem(text)) from None
            raise refused(name, error) from None
    return primary, ok(f"{name} names {place(primary)} as primary of {url.name}, and could fail over")


async def _ask_sentinel(asked: Session, url: RedisUrl) -> object:
    """Ask without a password first: Sentinels often have none although their servers have one."""
    question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", url.name)
    try:
        return await asked.ask(*question)
    except RefusedError as error:
        if error.code != "NOAUTH" or url.password is None:
            raise
    await asked.ask("AUTH", url.user or "default", url.password)
    return await asked.ask(*question)


# ── Cluster ───────────────────────────────────────────────────────────────────────────────────────


async def _cluster(url: RedisUrl, settings: Settings) -> list[Finding]:
    """Ask one node for all primaries, then look at each of them."""
    findings: list[Finding] = []
    for address in url.addresses:
        try:
            finding, primaries = await _nodes(address, url)
        except Found as found:
            findings.append(found.finding)
            continue
        findings = [warning(one.text) for one in findings]  # another node answers
        looks = [_server(primary, url, settings, "cluster") for primary in primaries]
        found_out = await asyncio.gather(*looks, return_exceptions=True)
        findings.append(finding)
        for answer in found_out:
            if isinstance(answer, Found):
                findings.append(answer.finding)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                findings += answer
        return [*findings, *await _nodes_of_cluster(primaries, url, settings)]
    return findings


async def _nodes_of_cluster(primaries: Sequence[Address], url: RedisUrl, settings: Settings) -> list[Finding]:
    """Return the findings about the nodes that share a Cluster; nothing if a primary cannot be asked."""
    async with AsyncExitStack() as stack:
        try:
            asked = [await stack.enter_async_context(session(place(primary), primary, url)) for primary in primaries]
            for server in asked:
                await log_in(server, url)
        except Found:
            return []
        return await nodes.findings(asked, settings.redis_prefix, is_cluster=True)


async def _nodes(address: Address, url: RedisUrl) -> tuple[Finding, list[Address]]:
    """Return the state of a Cluster as a node tells it, and its primaries. Raises Found."""
    name = f"Redis at {place(address)}"
    async with session(name, address, url) as asked:
        await log_in(asked, url)
        try:
            state = await asked.text("CLUSTER", "INFO")
            slots = await asked.ask("CLUSTER", "SLOTS")
        except RefusedError as error:
            if "cluster support disabled" in str(error):
                raise Found(problem(f"{name} is no node of a Cluster. Begin REDIS_URL with redis://")) from None
            raise refused(name, error) from None
    primaries = list(dict.fromkeys(_primaries(slots, address[0])))
    if "cluster_state:ok" not in state or f"cluster_slots_ok:{_SLOTS}" not in state:
        text = f"the Cluster of {place(address)} is not whole: some keys have no node. Do `valkey-cli --cluster check`"
        return problem(text), primaries
    count = f"{len(primaries)} {'primary' if len(primaries) == 1 else 'primaries'}"
    return ok(f"the Cluster of {place(address)} is whole, with {count}"), primaries


def _primaries(slots: object, host: str) -> Iterator[Address]:
    """Yield the primary of each range of CLUSTER SLOTS; a node that does not tell its host is at `host`."""
    for part in slots if isinstance(slots, list) else []:
        primary = part[2] if isinstance(part, list) and len(part) > 2 else None  # noqa: PLR2004 - first, last, primary
        if isinstance(primary, list) and isinstance(primary[1], int):
            named = primary[0].decode() if isinstance(primary[0], bytes) else ""
            yield named or host, primary[1]
