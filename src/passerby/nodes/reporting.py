"""Reports of conversations that have ended on another node: guests may have moved on since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from passerby.nodes.requests import ask_living
from passerby.safety.events import Report, Reported

if TYPE_CHECKING:
    from passerby.nodes.membership import Membership
    from passerby.nodes.requests import Requests
    from passerby.safety.reports import Reports

_WHAT: Final = "reports"


class _Question(Struct):
    session_id: str
    report: Report


_encode: Final = msgspec.json.Encoder().encode
_read_question: Final = msgspec.json.Decoder(_Question).decode
_read_answer: Final = msgspec.json.Decoder(Reported).decode


class Reporting:
    """Asks the node where a conversation has ended to take its report, and takes those of others."""

    def __init__(self, requests: Requests, membership: Membership, reports: Reports) -> None:
        """Serve the other nodes from now on."""
        self._requests = requests
        self._membership = membership
        self._reports = reports
        requests.serve("report.take", self._take)

    async def ask(self, node: str, session_id: str, report: Report) -> Reported | None:
        """See `Reports.ask`. What a node knew that is gone is lost. Raises ConflictError, UnavailableError."""
        question = _encode(_Question(session_id, report))
        answer = await ask_living(self._requests, self._membership, node, "report.take", question, of=_WHAT)
        return _read_answer(answer) if answer else None

    async def _take(self, argument: bytes) -> bytes:
        question = _read_question(argument)
        return _encode(await self._reports.report_here(question.session_id, question.report))
