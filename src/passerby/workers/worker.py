"""A worker: `python -m passerby.workers.worker DESCRIPTOR PARENT`, started by the parent only."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import TYPE_CHECKING, Final

from passerby import app, logs
from passerby.settings import SettingsError
from passerby.workers.children import die_with
from passerby.workers.crew import Crew
from passerby.workers.loops import new_event_loop
from passerby.workers.messages import Begin, Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE_ERROR: Final = 2


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM, or until the parent has ended; return the exit code.

    The arguments are the descriptor of the line to the parent, and the process id of the parent.
    """
    descriptor, parent = (int(argument) for argument in arguments)
    die_with(parent)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # to restart is the parent's work
    line = socket.socket(fileno=descriptor)
    lines = Lines()
    begin = _first(line, lines)
    if begin is None:
        return 1
    logs.configure(begin.log_level, begin.log_format, begin.number)
    listeners = [socket.socket(fileno=listener) for listener in begin.listeners]
    crew = Crew(line, begin, lines)
    try:
        with asyncio.Runner(loop_factory=new_event_loop()) as runner:
            runner.run(app.serve(begin.settings, sockets=listeners, crew=crew))
    except SettingsError as error:
        crew.refuse(str(error))
        return USAGE_ERROR
    except KeyboardInterrupt:
        return 0
    return 0


def _first(line: socket.socket, lines: Lines) -> Begin | None:
    """Return the first message of the parent, which sends no other before this worker is ready; None if it ends."""
    while data := line.recv(1 << 16):
        for message in lines.feed(data):
            if isinstance(message, Begin):
                return message
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
