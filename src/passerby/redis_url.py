"""The setting `REDIS_URL`: where Redis or Valkey is, and who we are there.

    redis://[user:password@]host[:port][/database]
    rediss://…                                          the same with TLS
    unix://[user:password@]/path[?db=0]
    redis+sentinel://[user:password@]host[:port],…/name[?db=0]
    redis+cluster://[user:password@]host[:port],…

TLS: `rediss+sentinel` and `rediss+cluster` too; `?ssl_ca_certs=/path` instead of the system's authorities,
`ssl_certfile` and `ssl_keyfile` for a certificate of our own, `ssl_cert_reqs=none` for no check of the server's.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote

from msgspec import Struct

Kind = Literal["server", "sentinel", "cluster"]
Address = tuple[str, int]
"""A host and a port; or the path of a Unix socket and 0."""

PORT: Final = 6379
"""Where Redis listens if the URL does not say so."""
SENTINEL_PORT: Final = 26379
"""Where a Sentinel does."""
_HOST: Final = re.compile(r"[\w%:-]{1,63}(\.[\w%-]{1,63})*\.?")
_LARGEST_PORT: Final = 65535
_DIGITS: Final = 9
"""Maximum digits of a number."""
_KINDS: Final[dict[str, Kind]] = {
    "redis": "server",
    "rediss": "server",
    "unix": "server",
    "redis+sentinel": "sentinel",
    "rediss+sentinel": "sentinel",
    "redis+cluster": "cluster",
    "rediss+cluster": "cluster",
}
_TLS: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")


class RedisUrlError(ValueError):
    """The URL is wrong; the message is one line without any part of it, because every part may be of a password."""


class Tls(Struct, frozen=True):
    """How to encrypt. Paths are of PEM files."""

    authorities: str | None = None
    """Whose certificates are trusted; None for the system's."""
    certificate: str | None = None
    """Our own certificate."""
    key: str | None = None
    """Its key, if it is in another file."""
    is_verified: bool = True
    """Whether the server must have a valid certificate for its name."""


class RedisUrl(Struct, frozen=True):
    """A URL's meaning."""

    kind: Kind
    addresses: tuple[Address, ...]
    """Of the server, the Sentinels, or some nodes of the Cluster."""
    user: str | None = None
    password: str | None = None
    database: int = 0
    name: str = ""
    """What the Sentinels call the primary."""
    tls: Tls | None = None

    def __repr__(self) -> str:
        """Show neither user nor password."""
        places = ",".join(f"{host}:{port}" if port else host for host, port in self.addresses)
        return f"{self.kind} {places}{f' {self.name}' if self.name else ''}"


def parse(url: str) -> RedisUrl:
    """Return the meaning of a URL. Raises RedisUrlError."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _KINDS:
        raise RedisUrlError(f"must begin with {', '.join(f'{name}://' for name in _KINDS)}")
    kind, is_encrypted = _KINDS[scheme], scheme.startswith("rediss")
    before, _, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    login, _, places = authority.rpartition("@")
    if "#" in rest or "@" in query or (scheme != "unix" and "@" in path):
        raise RedisUrlError("is no URL: in user and password write / ? # @ % as %2F %3F %23 %40 %25")
    user, password = _login(login)
    options = _options(query, (*(() if kind == "cluster" else ("db",)), *(_TLS if is_encrypted else ())))
    if scheme == "unix":
        if places or not slash or not path:
            raise RedisUrlError("must name an absolute path, as in unix:///run/valkey/valkey.sock")
        return RedisUrl(kind, ((unquote(f"/{path}"), 0),), user, password, _database(options.get("db", "")))
    port = SENTINEL_PORT if kind == "sentinel" else PORT
    addresses = tuple(_address(place, port) for place in places.split(","))
    database, name = _path(kind, unquote(path), options.get("db", ""))
    if kind == "server" and len(addresses) > 1:
        raise RedisUrlError("has more than one host: use redis+sentinel:// or redis+cluster://")
    return RedisUrl(kind, addresses, user, password, _database(database), name, _tls(options) if is_encrypted else None)


def check_prefix(prefix: str) -> None:
    """Raise RedisUrlError if names of keys cannot begin with `prefix`."""
    if "{" in prefix or "}" in prefix:
        raise RedisUrlError("must not contain { or }: in a Cluster they decide where a key is")


def _login(login: str) -> tuple[str | None, str | None]:
    user, _, password = login.partition(":")
    if user and not password:
        raise RedisUrlError("has a user without a password")
    return unquote(user) or None, unquote(password) or None


def _options(query: str, known: tuple[str, ...]) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) < len(pairs):
        raise RedisUrlError("has the same parameter twice")
    if any("\0" in value for value in options.values()):
        raise RedisUrlError("has a parameter with a NUL character")
    if not set(options) <= {*known, "db"}:
        raise RedisUrlError(
            f"has an unknown parameter: it may have {', '.join(known)}" if known else "may not have parameters"
        )
    return options


def _path(kind: Kind, path: str, option: str) -> tuple[str, str]:
    """Return the database, as text, and the primary's name."""
    if kind == "cluster":
        if path or option:
            raise RedisUrlError("names a database, but a Cluster has only one: leave it out")
        return "", ""
    if kind == "sentinel":
        if not path or "/" in path:
            raise RedisUrlError("must end with the primary's name, as in redis+sentinel://host:26379/mymaster")
        return option, path
    if path and option:
        raise RedisUrlError("names the database twice")
    return path or option, ""


def _address(place: str, port: int) -> Address:
    host, _, digits = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    if not host:
        host, digits = place, ""
        if place.startswith(":"):
            raise RedisUrlError("has a port without a host")
    if host.startswith("[") and host.endswith("]"):
        host = unquote(host[1:-1])
    elif ":" in host:
        raise RedisUrlError("has an IPv6 address without [ ]")
    if not _HOST.fullmatch(host):
        raise RedisUrlError("has no valid host")
    if not digits:
        return host, port
    number = _number(digits)
    if not 1 <= number <= _LARGEST_PORT:
        raise RedisUrlError(f"has a port that is not a number from 1 to {_LARGEST_PORT}")
    return host, number


def _database(text: str) -> int:
    if not text:
        return 0
    number = _number(text)
    if number < 0:
        raise RedisUrlError("has a database that is not a number")
    return number


def _number(text: str) -> int:
    """Return a number in decimal digits; -1 if it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else -1


def _tls(options: dict[str, str]) -> Tls:
    checks = options.get("ssl_cert_reqs", "required")
    if checks not in ("required", "none"):
        raise RedisUrlError("has ssl_cert_reqs: must be required or none")
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise RedisUrlError("has ssl_keyfile without ssl_certfile")
    return Tls(
        options.get("ssl_ca_certs") or None,
        options.get("ssl_certfile") or None,
        options.get("ssl_keyfile") or None,
        checks == "required",
    )
