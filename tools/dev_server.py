"""The server of `make dev` (`python -m tools.dev_server PORT`): `passerby serve` that ends with its parent."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from passerby import cli


def main() -> int:
    """Serve on the port given as argument; return the exit code of `passerby serve`."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # `make dev` prints only its own URL.
    logging.getLogger(cli.__name__).addFilter(lambda record: not record.getMessage().startswith("serving on"))
    # Who changes the code does not wait for the guests of a browser beside.
    hurry = ("--stop-notice", "0", "--stop-patience", "0")
    return cli.main(["serve", "--host", "127.0.0.1", "--port", sys.argv[1], *hurry])


def _end_with_parent() -> None:
    """Wait until standard input closes: the parent holds the other end, so it closes when the parent ends."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
