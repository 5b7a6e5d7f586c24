"""Where the server listens: IP addresses with one port, and Unix sockets, as `HOST` and `PORT` name them."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from passerby.sources import UNIX, addresses_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BACKLOG: Final = 2048
"""Connections that wait to be accepted, at most: as many as uvicorn has."""
_MODE: Final = 0o660
"""Who may connect to a Unix socket: its user and its group, which may be the proxy's."""
_ATTEMPTS: Final = 20
"""How often a free port is looked for that is free at all addresses."""
_UNPRIVILEGED: Final = 1024
"""The first port that anybody may take, unless the system says otherwise."""
_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - for comparison
_LOCAL: Final = ("127.0.0.1", "0.0.0.0", "::", "::1")  # noqa: S104 - for comparison


class ListenError(OSError):
    """It cannot be listened at an address. The message is one line for people, and names the address."""


class Listeners:
    """Sockets that listen, and where."""

    def __init__(self) -> None:
        """There are none yet."""
        self.sockets: list[socket.socket] = []
        self.port = 0
        """The same of all; 0 if there are only Unix sockets."""
        self.places: list[str] = []
        """Where the server is found, for people: URLs, and `unix:` with a path."""
        self._files: dict[str, int] = {}
        """The inodes of Unix sockets, by path."""

    def add(self, listener: socket.socket, path: str | None = None) -> None:
        """Take a socket, which is a Unix socket if it has a path."""
        self.sockets.append(listener)
        if path is not None:
            self._files[path] = Path(path).lstat().st_ino
            place = f"{UNIX}{path}"
        else:
            host, self.port = listener.getsockname()[:2]
            shown = "localhost" if host in _LOCAL else f"[{host}]" if ":" in host else host
            place = f"http://{shown}:{self.port}"
        if place not in self.places:
            self.places.append(place)

    def close(self) -> None:
        """Listen no more. Unix sockets are removed, unless another server has replaced them."""
        for listener in self.sockets:
            listener.close()
        for path, inode in self._files.items():
            with contextlib.suppress(OSError), _turn(path):
                if Path(path).lstat().st_ino == inode:
                    Path(path).unlink()
        self._files.clear()


def listen(host: str, port: int) -> Listeners:
    """Listen at all addresses of `host`. Raises ListenError, and then listens at none.

    `port` 0 is a free one, the same at each address. `::` takes IPv4, too, unless `host` names IPv4 addresses.
    """
    addresses, listeners = addresses_of(host), Listeners()
    places = resolve("HOST", [address for address in addresses if not address.startswith(UNIX)])
    try:
        for _, listener in take(places, port, backlog=_BACKLOG):
            listeners.add(listener)
        for address in addresses:
            if address.startswith(UNIX):
                path = address.removeprefix(UNIX)
                listeners.add(_listen_unix(path), path)
    except TakenError as error:
        reason = (error.strerror or str(error)).lower()
        if port and error.errno in (errno.EACCES, errno.EPERM):
            reason += f". Below {_UNPRIVILEGED} that needs more rights: use another PORT behind a proxy"
        raise ListenError(error.errno, f"cannot listen at {error.place.shown}:{error.port}: {reason}") from None
    except ListenError:
        listeners.close()
        raise
    return listeners


class Place(NamedTuple):
    """An IP address at which it can be listened."""

    family: int
    address: tuple[str, ...]
    """As the system has it: the address, a port that means nothing, and of IPv6 its flow and its zone."""
    is_both: bool = False
    """Whether `::` takes IPv4, too."""
    is_one_of_several: bool = False
    """Whether a name has this address and others."""

    @property
    def shown(self) -> str:
        """Return it as in a URL."""
        return f"[{self.address[0]}]" if self.family == socket.AF_INET6 else self.address[0]


def resolve(setting: str, addresses: Sequence[str]) -> list[Place]:
    """Return where to listen for IP addresses and names, each place once. Raises ListenError, which names `setting`.

    What `0.0.0.0` or `::` take anyway is left out. `::` takes IPv4, too, unless IPv4 addresses are there.
    """
    found: dict[tuple[int, tuple[str, ...]], Place] = {}
    for address in addresses:
        try:
            all_of_it = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError):  # UnicodeError: a name that no DNS could have
            reason = f"{setting}={address!r}: has no address. Use an address of this machine"
            raise ListenError(errno.EADDRNOTAVAIL, reason) from None
        places = list(dict.fromkeys((family, place) for family, _, _, _, place in all_of_it))
        for family, place in places:
            found.setdefault((family, place), Place(family, place, is_one_of_several=len(places) > 1))  # type: ignore[arg-type]  # of IP
    everywhere = {place.family for place in found.values() if place.address[0] in _EVERYWHERE}
    has_ipv4 = any(place.family == socket.AF_INET for place in found.values())
    return [
        place._replace(is_both=place.address[0] == "::" and not has_ipv4)
        for place in found.values()
        if place.family not in everywhere or place.address[0] in _EVERYWHERE
    ]


def bind(place: Place, port: int, *, is_shared: bool = False) -> socket.socket:
    """Take an address; `is_shared`: others may take it, too. It is not listened yet. Raises OSError."""
    listener = socket.socket(place.family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if place.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not place.is_both)
        listener.bind((place.address[0], port, *place.address[2:]))
        listener.settimeout(0)
    except OSError:
        listener.close()
        raise
    return listener


class TakenError(OSError):
    """An address cannot be taken."""

    def __init__(self, error: OSError, place: Place, port: int) -> None:
        """`error` is the system's."""
        super().__init__(error.errno, error.strerror or str(error))
        self.place = place
        self.port = port


def take(
    places: Sequence[Place], port: int, *, backlog: int | None, is_shared: bool = False
) -> list[tuple[Place, socket.socket]]:
    """Take all places, or none; `port` 0 is one that is free at each. Raises TakenError.

    Without a `backlog` it is not listened yet.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return _take(places, port, backlog, is_shared=is_shared)
        except TakenError as error:
            if port or error.errno != errno.EADDRINUSE:
                raise
            # The port that is free at one address is not at another.
    return _take(places, port, backlog, is_shared=is_shared)


def _take(
    places: Sequence[Place], port: int, backlog: int | None, *, is_shared: bool
) -> list[tuple[Place, socket.socket]]:
    taken: list[tuple[Place, socket.socket]] = []
    for place in places:
        try:
            listener = bind(place, port, is_shared=is_shared)
            taken.append((place, listener))
            if backlog is not None:
                listener.listen(backlog)
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT and place.is_one_of_several:
                continue  # a family that this system lacks
            for _, listener in taken:
                listener.close()
            raise TakenError(error, place, port) from None
        port = listener.getsockname()[1]
    return taken


# ── Unix sockets ──────────────────────────────────────────────────────────────────────────────────


def _listen_unix(path: str) -> socket.socket:
    """Listen at a path. What a server that has crashed has left there is replaced; one that lives is not.

    The socket appears complete, with its mode, under its name: nobody finds it half made.
    """
    if sys.platform == "win32":
        raise ListenError(errno.EAFNOSUPPORT, "HOST: this system has no Unix sockets")
    draft = f"{path}.{secrets.token_hex(4)}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _turn(path):
            _check_free(path)
            listener.bind(draft)
            try:
                Path(draft).chmod(_MODE)
                listener.listen(_BACKLOG)
                listener.settimeout(0)
                Path(draft).rename(path)
            except OSError:
                Path(draft).unlink()
                raise
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        if isinstance(error, FileNotFoundError):
            reason = f"there is no folder {Path(path).parent}"
        raise ListenError(error.errno, f"cannot listen at {UNIX}{path}: {reason[:1].lower()}{reason[1:]}") from None
    return listener


def _check_free(path: str) -> None:
    """Raise OSError unless there is nothing, or a socket at which nobody listens."""
    if is_live(path):
        raise OSError(errno.EADDRINUSE, "another server listens there")
    if os.path.lexists(path) and not stat.S_ISSOCK(Path(path).lstat().st_mode):
        raise OSError(errno.EEXIST, "there is something that is no socket, and stays")


@contextlib.contextmanager
def _turn(path: str) -> Iterator[None]:
    """Wait for others that are about to listen in the same folder, so that only one finds a stale socket."""
    import fcntl  # noqa: PLC0415 - not on every system

    folder = os.open(Path(path).parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def is_live(path: str) -> bool:
    """Return whether a server listens there. One whose backlog is full does, too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError as error:
            if error.errno == errno.ENOTSOCK:
                return False
            raise
    return True
