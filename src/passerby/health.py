"""`python -m passerby.health`: asks the server with the same settings whether it is well. Containers ask so.

It starts every few seconds, so it loads nothing but the settings.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Final

from passerby import settings
from passerby.sources import UNIX, addresses_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = 4.0
"""For the answer: less than the health check of the image may take."""
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where the server listens
"""Where to ask a server that listens on all interfaces."""
_OK: Final = b"200"


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Return 0 if the server is well, else 1, and say why. Flags of `serve` are not known here."""
    found = settings.examine(environment)
    problem = "\n".join(found.problems) if found.settings is None else _ask(found.settings)
    if problem:
        sys.stderr.write(f"{problem}\n")
    return int(bool(problem))


def _ask(chosen: settings.Settings) -> str:
    """Return what is wrong; empty if the server answers as it should."""
    addresses = addresses_of(chosen.host)
    host = next((address for address in addresses if address.startswith(UNIX)), addresses[0])
    place = host if host.startswith(UNIX) else f"port {chosen.port} of {host}"
    if not chosen.port and place != host:
        return "PORT is 0: nobody else knows which port the server has taken"
    try:
        with _connected(host, chosen.port) as connection:
            request = f"GET {chosen.root_path}/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            connection.sendall(request.encode())
            with connection.makefile("rb") as answer:
                status = answer.readline(1024).split()[1:2]
    except OSError as error:
        return f"nothing answers at {place}: {error.strerror or error}"
    return "" if status == [_OK] else f"{place} answers, but not as a Passerby that is well"


def _connected(host: str, port: int) -> socket.socket:
    if not host.startswith(UNIX):
        return socket.create_connection((_EVERYWHERE.get(host, host), port), _SECONDS)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_SECONDS)
    try:
        connection.connect(host.removeprefix(UNIX))
    except OSError:
        connection.close()
        raise
    return connection


if __name__ == "__main__":
    sys.exit(main())
