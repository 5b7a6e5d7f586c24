"""Ports for programs that cannot choose a free port themselves."""

from __future__ import annotations

import random
import socket

_FROM, _BELOW = 10_000, 32_768
"""Below the ephemeral ports, which start at 32768 (Linux) or 49152 (macOS)."""


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free for TCP and UDP, and that the system does not assign to others."""
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
