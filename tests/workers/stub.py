"""A worker that serves nothing: it says that it is ready, and writes down what the parent says."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

from passerby.workers.messages import BEAT, Beat, Begin, Draining, Gone, Lines, Ready, Roster, encode

if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    line = socket.socket(fileno=int(sys.argv[1]))
    line.settimeout(BEAT)

    def drain(_number: int, _frame: FrameType | None) -> None:
        line.sendall(encode(Draining()))
        sys.exit(0)

    signal.signal(signal.SIGTERM, drain)
    lines = Lines()
    while True:
        try:
            data = line.recv(1 << 16)
        except TimeoutError:
            line.sendall(encode(Beat()))
            continue
        if not data:
            return
        for message in lines.feed(data):
            if isinstance(message, Begin):
                if os.environ["STUB"] == "crash":
                    sys.exit(3)
                note(tag=message.tag, pid=os.getpid(), number=message.number)
                line.sendall(encode(Ready(f"node_{message.tag}")))
            elif isinstance(message, Gone):
                note(pid=os.getpid(), gone=message.node)
            elif isinstance(message, Roster):
                note(pid=os.getpid(), roster=sorted(message.workers))


def note(**what: object) -> None:
    """Write a line; all stubs of a test write to one file."""
    with open(os.environ["STUB_LOG"], "ab", buffering=0) as log:  # noqa: PTH123 - quick to start
        log.write(json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
