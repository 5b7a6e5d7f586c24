"""Checks of HOST and PORT: free, or in use by a Passerby that is serving."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import MsgspecError, Struct, json

from passerby import __version__
from passerby.doctor.connections import CONNECT, Answer, connected, exchange, request_head
from passerby.doctor.findings import Check, Finding, Found, in_thread, ok, problem, warning
from passerby.listening import is_live
from passerby.settings import Settings
from passerby.sources import UNIX, addresses_of

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - where the server listens
"""Where to ask a server that listens on all interfaces."""
_PRIVILEGED: Final = 1024


class _Health(Struct):
    status: str
    version: str


class _Envelope(Struct):
    data: _Health


def checks(settings: Settings) -> Iterator[Check]:
    """Yield the check."""
    yield Check(f"PORT={settings.port}", lambda: port(settings))


async def port(settings: Settings) -> Sequence[Finding]:
    """Try to listen; if the port is in use, ask who uses it."""
    found = [await _address(address, settings.port) for address in addresses_of(settings.host)]
    if not settings.port and not all(address.startswith(UNIX) for address in addresses_of(settings.host)):
        return [*found, ok("PORT is 0: the server takes a port that is free")]
    return found


async def _address(host: str, number: int) -> Finding:
    """Try to listen at one address."""
    if host.startswith(UNIX):
        return await in_thread(lambda: _unix(host))
    name = f"port {number} of {host}"
    try:
        await in_thread(lambda: _listen(host, number))
    except socket.gaierror:
        raise Found(problem(f"HOST={host} has no address. Use an address of this machine, or 127.0.0.1")) from None
    except PermissionError:
        text = f"{name} needs more rights than this user has"
        if number < _PRIVILEGED:
            text += f". Use a port of {_PRIVILEGED} or more behind a proxy, or give the program CAP_NET_BIND_SERVICE"
        raise Found(problem(text)) from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise Found(problem(f"HOST={host} is no address of this machine. Use one that is, or 0.0.0.0")) from None
        if error.errno != errno.EADDRINUSE:
            raise Found(problem(f"{name} cannot be opened: {error.strerror}")) from None
        return await _user(_EVERYWHERE.get(host, host), number, name)
    return ok(f"{name} is free" if number else f"{host} is an address of this machine")


def _unix(place: str) -> Finding:
    """Try to listen at a Unix socket, unless a server does."""
    path = place.removeprefix(UNIX)
    if is_live(path):
        return ok(f"at {place} a server listens already")
    folder = Path(path).parent
    if not os.access(folder, os.W_OK | os.X_OK):
        return problem(f"HOST={place}: this user cannot write to {folder}. Make it, or give it to the server's user")
    return ok(f"{place} is free")


def _listen(host: str, number: int) -> None:
    """Bind and listen at every address of the host, as the server would. Raises OSError."""
    places = socket.getaddrinfo(host or None, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in dict.fromkeys(places):
        try:
            probe = socket.socket(family, kind, protocol)
        except OSError:
            continue  # a family that this system lacks: the server leaves it out, too
        with probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
            probe.listen(1)


async def _user(host: str, number: int, name: str) -> Finding:
    with contextlib.suppress(OSError, Found):
        async with asyncio.timeout(CONNECT), connected(name, host, number) as streams:
            answer = await exchange(
                streams, request_head("GET", "/health", f"{host}:{number}", {"Connection": "close"})
            )
            version = version_of(answer)
            if version is not None:
                return serving(f"{name} is in use by a Passerby", version)
    return problem(f"{name} is in use by another program. Stop it, or choose another PORT")


def version_of(answer: Answer) -> str | None:
    """Return the version of the Passerby that gave this answer to GET /health; None if it is none."""
    try:
        health = json.decode(answer.body, type=_Envelope).data
    except MsgspecError:
        return None
    return health.version if answer.status == 200 and health.status == "ok" else None  # noqa: PLR2004 - HTTP's OK


def serving(what: str, version: str) -> Finding:
    """Return the finding about a running server."""
    if version != __version__:
        return warning(f"{what} of version {version}, and this is {__version__}. Restart it after an update")
    return ok(f"{what} that is already serving (version {version})")
