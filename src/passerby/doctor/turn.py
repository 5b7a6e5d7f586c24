"""Checks of STUN_URLS and TURN_URLS: each server is asked as a browser would ask it, with credentials of a guest."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator, Sequence
from typing import Final

from passerby.calls.ice import Ice
from passerby.clock import SystemClock
from passerby.doctor.connections import reason
from passerby.doctor.findings import Check, Finding, Found, ok, problem, warning
from passerby.doctor.turn_client import Allocation, RefusedError, Server, allocation, bind, parse
from passerby.settings import Settings

GUEST: Final = "guest_doctor"
"""Whom the credentials are for."""
INSIDE: Final = ("10.255.255.254", "172.31.255.254", "192.168.255.254", "169.254.169.254")
"""Addresses of private networks, and of the clouds' metadata service. A relay to them opens them to guests."""
_REFUSED: Final = {
    401: "does not accept the credentials. TURN_SECRET must be its `static-auth-secret`, and both clocks must be right",
    403: "forbids this. See its configuration",
    437: "has a conflict with an older allocation. Try again in a minute",
    441: "does not accept the credentials. TURN_SECRET must be its `static-auth-secret`",
    442: "does not relay over UDP. See its configuration",
    486: "has no allocation left for this guest. See its `user-quota` and `total-quota`",
    508: "has no relay ports left. See its `min-port` and `max-port`",
}


def checks(settings: Settings) -> Iterator[Check]:
    """Yield a check for each URL, or one for calls without any."""
    if not settings.stun_urls and not settings.turn_urls:
        yield Check("calls", _without_servers)
    for url in settings.stun_urls:
        yield Check(url, lambda url=url: stun_server(url))  # type: ignore[misc]  # bound now, not at the call
    for url in settings.turn_urls:
        yield Check(url, lambda url=url: turn_server(settings, url))  # type: ignore[misc]  # as above


async def _without_servers() -> Sequence[Finding]:
    text = (
        "STUN_URLS and TURN_URLS are not set: calls connect only within one network. "
        "Set up a TURN server, see deploy/README.md"
    )
    return [warning(text)]


async def stun_server(url: str) -> Sequence[Finding]:
    """Ask for our own address."""
    server = _asked(url)
    begun = time.monotonic()
    try:
        host, _ = await bind(server)
    except RefusedError as refused:
        raise Found(problem(f"{url} refused the question with code {refused.code}")) from None
    except (OSError, ValueError) as error:
        raise Found(_unreachable(server, error)) from None
    return [ok(f"{url} answers in {_milliseconds(begun)} ms and sees this machine as {host}")]


async def turn_server(settings: Settings, url: str) -> Sequence[Finding]:
    """Make credentials as for a guest, and allocate a relay with them."""
    server = _asked(url)
    username, password = credentials(settings, url)
    begun = time.monotonic()
    try:
        async with allocation(server, username, password) as relay:
            took = _milliseconds(begun)
            return [*_address(server, relay, took), *await _networks(server, relay)]
    except RefusedError as refused:
        raise Found(problem(f"{url} {_REFUSED.get(refused.code, f'refused with code {refused.code}')}")) from None
    except (OSError, ValueError) as error:
        raise Found(_unreachable(server, error)) from None


def credentials(settings: Settings, url: str) -> tuple[str, str]:
    """Return user name and password for a TURN server, as a guest would get them."""
    ice = Ice(
        SystemClock(),
        stun=(),
        turn=(url,),
        secret=settings.turn_secret,
        ttl=settings.turn_ttl,
        relay=settings.relay_only,
    )
    (server,) = ice.servers(GUEST).ice_servers
    return str(server.username), str(server.credential)


def _asked(url: str) -> Server:
    """Return the server of a URL. Raises Found if it cannot be asked."""
    server = parse(url)
    if server.transport == "dtls":
        raise Found(warning(f"{url} was not checked: DTLS is not supported here, and hardly by browsers. Use TCP"))
    return server


def _address(server: Server, relay: Allocation, took: int) -> Sequence[Finding]:
    host, _ = relay.relayed
    try:
        is_public = ipaddress.ip_address(server.host).is_global
    except ValueError:
        is_public = "." in server.host and server.host != "localhost"
    if is_public and not ipaddress.ip_address(host).is_global:
        text = (
            f"{server.url} relays through {host}, which guests on the internet cannot reach. "
            "Set `external-ip` in the TURN server's configuration"
        )
        return [warning(text)]
    return [ok(f"{server.url} relays through {host} with the credentials of a guest; it took {took} ms")]


async def _networks(server: Server, relay: Allocation) -> Sequence[Finding]:
    """Ask for permissions that must be refused. Nothing is sent to these addresses."""
    opened = []
    for peer in INSIDE:
        try:
            await relay.permit(peer)
        except RefusedError:
            continue
        opened.append(peer)
    if not opened:
        return []
    text = (
        f"{server.url} would relay to {opened[0]}: guests could reach your internal network through it. "
        "Deny private networks as deploy/coturn/turnserver.conf does"
    )
    return [warning(text)]


def _unreachable(server: Server, error: OSError | ValueError) -> Finding:
    what = reason(error) if isinstance(error, OSError) else "the answer is not STUN"
    return problem(f"{server.url} cannot be used: {what}. Check host, port, firewall and that the server runs")


def _milliseconds(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
