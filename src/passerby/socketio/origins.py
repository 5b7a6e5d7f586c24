"""Checks which web origins (RFC 6454) may use the server: its own, and those on an allow-list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from passerby.socketio.handshake import Request

_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class Origins:
    """An allow-list of origins such as `https://chat.example`; `*` allows all.

    A request without Origin is allowed: it is not a cross-site request of a browser. The check protects guests from
    other web pages; it does not restrict non-browser clients.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        """Allow the origins `allowed`, in addition to the request's own host."""
        self._allowed = frozenset(normal_origin(origin) for origin in allowed)

    def allow(self, request: Request) -> bool:
        """Return whether the request's origin is allowed."""
        origin = request.header(b"origin")
        return not origin or self.has(origin, request.header(b"host"))

    def has(self, origin: str, host: str) -> bool:
        """Return whether an origin is listed, or that of `host`: the header of a request."""
        origin = origin.lower()
        return self._listed(origin) or is_same(origin, host)

    def cors_headers(self, request: Request) -> list[tuple[bytes, bytes]]:
        """Return the CORS headers for the response to an allowed cross-origin request (Fetch §3.2)."""
        origin = request.header(b"origin")
        if not origin or not self._listed(origin.lower()):
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        ]

    def _listed(self, origin: str) -> bool:
        return "*" in self._allowed or normal_origin(origin) in self._allowed


def is_same(origin: str, host: str) -> bool:
    """Return whether the header Origin, in lower case, names the server that the header Host names."""
    # Compare only the host: behind a TLS proxy the server does not know its own scheme.
    scheme, _, _ = origin.partition(":")
    try:
        own = _without_port(urlsplit(origin).netloc, scheme)
    except ValueError:
        return False
    return own != "" and own == _without_port(host.lower(), scheme)


def normal_origin(origin: str) -> str:
    """Return an origin as browsers send it: in lower case, without a slash at the end, without the default port."""
    text = origin.rstrip("/").lower()
    return _without_port(text, text.partition(":")[0])


def _without_port(host: str, scheme: str) -> str:
    """Return `host` without the default port of `scheme` (RFC 6454 §4). Some proxies and programs write it."""
    return host.removesuffix(_DEFAULT_PORTS.get(scheme, ""))
