"""Ports for programs that cannot be told to take any that is free."""

from __future__ import annotations

import random
import socket

_FROM, _BELOW = 10_000, 32_768
"""Connections and listeners that take any port get one from 32768 on (Linux) or from 49152 on (macOS)."""


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free for TCP and for UDP, and that nobody is given by chance before it is taken."""
    while True:
        port = random.randrange(_FROM, _BELOW)
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        ):
            try:
                stream.bind((host, port))
                datagrams.bind((host, port))
            except OSError:
                continue
        return port
