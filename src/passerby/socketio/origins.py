"""Which web origins may talk to the server (RFC 6454): its own, and those on the list."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from passerby.socketio.handshake import Request


class Origins:
    """An allow-list of origins such as `https://chat.example`; `*` allows every one.

    A request without Origin is no browser's cross-site request and passes: this guards guests against
    other web pages, not the server against programs.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        """Allow `allowed` beside the request's own host."""
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)

    def allow(self, request: Request) -> bool:
        """Tell whether a page of the request's origin may make it."""
        origin = request.header(b"origin").lower()
        return not origin or self._listed(origin) or self._same(origin, request)

    def cors_headers(self, request: Request) -> list[tuple[bytes, bytes]]:
        """Return the CORS headers of an answer to an allowed request from another origin (Fetch §3.2)."""
        origin = request.header(b"origin")
        if not origin or not self._listed(origin.lower()):
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        ]

    def _listed(self, origin: str) -> bool:
        return "*" in self._allowed or origin in self._allowed

    @staticmethod
    def _same(origin: str, request: Request) -> bool:
        # Only the host: behind a proxy that ends TLS, this server does not know its own scheme.
        try:
            host = urlsplit(origin).netloc
            return host != "" and host == request.header(b"host").lower()
        except ValueError:
            return False
