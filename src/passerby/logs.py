"""Logging through structlog: one line per event, as text for people or as JSON.

Nothing here removes secrets from log lines: message bodies, tokens, session ids and addresses are never passed to a
logger. tests/test_logs.py checks the log of a busy server.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import structlog

SAMPLE: Final = 60.0
"""Minimum seconds between two lines about the same thing, if clients can cause it as often as they like."""


def configure(level: str, style: str, worker: int | None = None) -> None:
    """Send all logs, ours and the libraries', to standard error. `style` is `console` or `json`.

    `worker` is the number of this process among several, which each line has then.
    """
    shared: list[structlog.typing.Processor] = [
        *(() if worker is None else (_numbered(worker),)),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=_in_order)
        if style == "json"
        # The default formatter prints local variables of every frame; they contain message bodies and tokens.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info if style == "json" else _keep,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))


_TALKATIVE: Final = ("uvicorn", "alembic", "aiosqlite", "sqlalchemy", "asyncpg", "httpx", "httpcore")
"""Libraries that log at INFO and DEBUG what no log may have: addresses of clients, values of statements, whole URLs.

Alembic tells what it is made of, at each start.
"""


class Sampled:
    """Logs something that clients can cause as often as they like: the first time at once, then once a minute."""

    def __init__(
        self, log: Callable[..., object], message: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Each line is `log(message, extra={"count": …})`, with how often it has happened since the last line."""
        self._log = log
        self._message = message
        self._monotonic = monotonic
        self._count = 0
        self._next = float("-inf")

    def note(self) -> None:
        """It has happened once more."""
        self._count += 1
        now = self._monotonic()
        if now >= self._next:
            count, self._count, self._next = self._count, 0, now + SAMPLE
            self._log(self._message, extra={"count": count})


def _numbered(worker: int) -> structlog.typing.Processor:
    def add(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.setdefault("worker", worker)
        return event

    return add


_FIRST: Final = ("timestamp", "level", "logger", "message")
"""The keys that collectors of logs expect, before all others."""


def _in_order(event: structlog.typing.EventDict, **options: Any) -> str:  # noqa: ANN401 - of structlog, for json.dumps
    event["message"] = event.pop("event")
    return json.dumps({**{key: event[key] for key in _FIRST if key in event}, **event}, **options)


def _keep(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event
