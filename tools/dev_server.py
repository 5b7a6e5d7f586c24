"""The server of `make dev` (`python -m tools.dev_server PORT`): `passerby serve`, which ends with its parent."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from passerby import cli


def main() -> int:
    """Serve on the port that is the one argument; return the exit code of `passerby serve`."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # `make dev` prints one URL, and it is not this server's.
    logging.getLogger(cli.__name__).addFilter(lambda record: not record.getMessage().startswith("serving on"))
    return cli.main(["serve", "--host", "127.0.0.1", "--port", sys.argv[1]])


def _end_with_parent() -> None:
    """Wait for the end of standard input: the parent holds the other end of it, whatever happens to the parent."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
