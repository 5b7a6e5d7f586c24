"""Finds the primary that Sentinels know, by redis-py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError as SentinelError

from passerby.redis.errors import UnfitError

if TYPE_CHECKING:
    from passerby.redis_url import Address, RedisUrl

_PATIENCE: Final = 0.5
"""Seconds for one Sentinel to answer, before the next one is asked."""


async def primary(url: RedisUrl) -> Address:
    """Return the primary's address. Raises UnfitError if no Sentinel knows one.

    Sentinels often have no password although their servers have one; those that require one get the servers'.
    """
    logins: list[dict[str, Any]] = [{}]
    if url.password is not None:
        logins.append({"username": url.user, "password": url.password})
    for login in logins:
        try:
            return await _ask(url, login)
        except SentinelError:  # of a refused login too
            continue
    raise UnfitError("no Sentinel answers that knows a primary of this name")


async def _ask(url: RedisUrl, login: dict[str, Any]) -> Address:
    options: dict[str, Any] = {
        "socket_timeout": _PATIENCE,
        "socket_connect_timeout": _PATIENCE,
        "retry": Retry(NoBackoff(), 0),
        **login,
    }
    tls = url.tls
    if tls is not None:
        options |= {
            "ssl": True,
            "ssl_ca_certs": tls.authorities,
            "ssl_certfile": tls.certificate,
            "ssl_keyfile": tls.key,
            "ssl_cert_reqs": "required" if tls.is_verified else "none",
            "ssl_check_hostname": tls.is_verified,
        }
    sentinel = Sentinel(url.addresses, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
    try:
        host, port = await sentinel.discover_master(url.name)
    finally:
        await sentinel.aclose()
    return str(host), int(port)
