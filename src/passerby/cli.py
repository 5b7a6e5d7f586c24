"""The command line: `passerby serve`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence

from passerby import __version__, app, logs, settings

log = logging.getLogger(__name__)

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code: 2 for an invalid setting, 1 when the port cannot be opened."""
    parser = argparse.ArgumentParser(prog="passerby", description="Anonymous one-to-one chat with a passer-by")
    parser.add_argument("--version", action="version", version=__version__)
    serve = parser.add_subparsers(dest="command", required=True).add_parser(
        "serve", help="serve the chat and its web client"
    )
    for setting in settings.describe():
        default = f" (default {setting.default})" if setting.default else ""
        flag = setting.variable.lower().replace("_", "-")
        serve.add_argument(f"--{flag}", metavar="VALUE", help=f"{setting.meaning}{default}".replace("%", "%%"))
    flags = vars(parser.parse_args(arguments))
    flags.pop("command")
    try:
        chosen = settings.load(os.environ, flags)
    except settings.SettingsError as error:
        sys.stderr.write(f"passerby: {error}\n")
        return USAGE_ERROR
    logs.configure(chosen.log_level, chosen.log_format)
    if chosen.limits_scale != 1:
        log.warning("LIMITS_SCALE multiplies every rate limit", extra={"factor": chosen.limits_scale})

    def ready(port: int) -> None:
        host = "localhost" if chosen.host in ("127.0.0.1", "0.0.0.0", "::", "::1") else chosen.host  # noqa: S104 - only displayed
        log.info(f"serving on http://{host}:{port}")  # noqa: G004 - the line that new users look for

    try:
        with asyncio.Runner(loop_factory=_new_event_loop()) as runner:
            runner.run(app.serve(chosen, ready=ready))
    except settings.SettingsError as error:
        sys.stderr.write(f"passerby: {error}\n")
        return USAGE_ERROR
    except KeyboardInterrupt:
        return 0
    except SystemExit as error:  # uvicorn logs why it cannot bind, then exits
        return 1 if error.code else 0
    return 0


def _new_event_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's event loop factory, or None (Python's own event loop) if uvloop is not installed."""
    try:
        import uvloop  # noqa: PLC0415 - not available on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main())
