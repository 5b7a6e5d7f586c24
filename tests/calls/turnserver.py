"""Runs coturn, the TURN server; installs it if it is missing.

    python -m tests.calls.turnserver

prints the path of `turnserver`, after installing it if necessary (as root, with apt-get), or one line that says
what to install.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support import packages
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


SECRET: Final = "a secret that Passerby and coturn share"
CONFIGURATION: Final = Path(__file__).parents[2] / "deploy" / "coturn" / "turnserver.conf"
REALM: Final = "passerby.test"
HOST: Final = "127.0.0.1"
_START_SECONDS = 20
_ASK_EVERY = 0.05
_BINDING_REQUEST: Final = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + b"passerby's q"
"""RFC 8489 §5: method, length, magic cookie, transaction id."""


class NoTurnServerError(Exception):
    """coturn is missing; the message is one line that says what to do."""

    def __init__(self) -> None:
        super().__init__("no coturn for the tests of calls: install the package `coturn` (apt-get install coturn)")


def ensure() -> str:
    """Return the path of `turnserver`; install it if necessary, which may take minutes. Raises NoTurnServerError."""
    found = packages.ensure("turnserver", "coturn")
    if found is None:
        raise NoTurnServerError
    return found


class TurnServer:
    """A coturn process on 127.0.0.1."""

    def __init__(self, port: int, tls_port: int) -> None:
        self.port = port
        self.tls_port = tls_port
        self.settings = {
            "stun_urls": f"stun:{HOST}:{port}",
            "turn_urls": f"turn:{HOST}:{port}?transport=udp",
            "turn_secret": SECRET,
        }
        """Passerby's settings for using it."""


@contextmanager
def running(
    program: str, folder: Path, *arguments: str, secret: str | None = SECRET, pair: tuple[Path, Path] | None = None
) -> Iterator[TurnServer]:
    """Run coturn with `arguments`, on a free port of 127.0.0.1, with the tests' realm and with `secret`.

    With `pair`, the files of a certificate and of its key, it has TLS on another port, `tls_port`.
    """
    port, tls_port = free_port(HOST), free_port(HOST)
    encryption = ["--no-tls"] if pair is None else [f"--tls-listening-port={tls_port}"]
    if pair is not None:
        encryption += [f"--cert={pair[0]}", f"--pkey={pair[1]}"]
    log = folder / "turnserver.log"
    command = [
        program,
        *arguments,
        f"--listening-ip={HOST}",
        f"--relay-ip={HOST}",
        f"--listening-port={port}",
        "--use-auth-secret",
        *(() if secret is None else (f"--static-auth-secret={secret}",)),
        f"--realm={REALM}",
        "--no-cli",
        *encryption,
        "--no-dtls",
        "--no-rfc5780",
        f"--userdb={folder / 'turn.db'}",
        f"--pidfile={folder / 'turnserver.pid'}",
        "--log-file=stdout",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_it_answers(process, port, log)
        yield TurnServer(port, tls_port)
    finally:
        process.kill()  # SIGTERM would take seconds
        process.wait(_START_SECONDS)


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Send binding requests until one is answered: coturn logs no line that says it is ready."""
    deadline = time.monotonic() + _START_SECONDS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_ASK_EVERY)
        asking.connect((HOST, port))
        while time.monotonic() < deadline and process.poll() is None:
            try:
                asking.send(_BINDING_REQUEST)
                asking.recv(1500)
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                time.sleep(_ASK_EVERY)
                continue
            return
    raise AssertionError(f"coturn did not start: {log.read_text(errors='replace')[-3000:]}")


def main() -> int:
    """Print the path of coturn and return 0, or print what to install and return 1."""
    try:
        print(ensure())
    except NoTurnServerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
