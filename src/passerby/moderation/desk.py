"""What moderators see and decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from passerby.errors import Code, ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from passerby.moderation import templates
from passerby.safety.appeals import new_code
from passerby.safety.cases import Decision, Sanction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from passerby.clock import Clock
    from passerby.models import Rule
    from passerby.moderation.audit import Journal
    from passerby.moderation.staff import Moderator, Role
    from passerby.safety.cases import Action, Case, CaseStore, Mark, MarkKind, SanctionKind
    from passerby.safety.sanctions import SanctionStore, Verdict

_NEEDS: Final[dict[Action, Role]] = {
    "dismiss": "triage",
    "note": "triage",
    "escalate": "triage",
    "hold": "triage",
    "release": "moderator",
    "warn": "moderator",
    "end_session": "moderator",
    "ban": "moderator",
}
_RANK: Final[dict[Role, int]] = {"triage": 0, "moderator": 1, "admin": 2}
_KINDS: Final[dict[Action, SanctionKind]] = {"warn": "warning", "end_session": "session_ended", "ban": "banned"}
_USUAL: Final[tuple[MarkKind, ...]] = ("session", "device")
_NEED_WORDS: Final = ("hold", "note")


class Desk:
    """The queue, the cases, and what is decided. All methods raise OSError when the database cannot be used now."""

    def __init__(self, cases: CaseStore, sanctions: SanctionStore, journal: Journal, clock: Clock) -> None:
        """Read and decide in these stores."""
        self.cases = cases
        self.sanctions = sanctions
        self._journal = journal
        self._clock = clock

    async def case(self, case_id: str) -> Case:
        """Return a case. Raises NotFoundError."""
        case = await self.cases.load(case_id)
        if case is None:
            raise NotFoundError(Code.NOT_FOUND, "There is no such case")
        return case

    # ── decisions ─────────────────────────────────────────────────────────────────────────────────

    async def decide(
        self,
        moderator: Moderator,
        case_id: str,
        action: Action,
        rule: Rule,
        *,
        words: str = "",
        by: Sequence[MarkKind] = (),
        seconds: float | None = None,
    ) -> None:
        """Decide something of a case. `by` and `seconds` are of a ban; no `by`: session and device.

        Raises NotFoundError, ForbiddenError (role_required), ConflictError (already_decided), InvalidInputError.
        """
        require(moderator, _NEEDS[action])
        if action in _NEED_WORDS and not words.strip():
            raise InvalidInputError(Code.INVALID_PAYLOAD, "A reason is needed", field="words")
        case = await self.case(case_id)
        now = self._clock.time()
        sanction = None
        if action in _KINDS:
            if case.overview.state == "closed":
                raise ConflictError(Code.ALREADY_DECIDED, "The case is decided already")
            words = words.strip() or templates.words(case.subject.language, rule, action)
            sanction = Sanction(
                id=0,
                kind=_KINDS[action],
                case_id=case_id,
                marks=_chosen(case.subject.marks, by if action == "ban" else ("session",)),
                rule=rule,
                words=words,
                begins_at=now,
                ends_at=now + seconds if action == "ban" and seconds is not None else None,
                moderator=moderator.name,
                appeal_code=new_code() if action == "ban" else "",
            )
        decision = Decision(case_id=case_id, at=now, moderator=moderator.name, action=action, rule=rule, words=words)
        if not await self.cases.decide(decision, sanction):
            raise NotFoundError(Code.NOT_FOUND, "There is no such case")

    async def lift(self, moderator: Moderator, sanction_id: int, words: str) -> None:
        """End a ban now. Raises NotFoundError, ForbiddenError (role_required), InvalidInputError."""
        require(moderator, "moderator")
        if not words.strip():
            raise InvalidInputError(Code.INVALID_PAYLOAD, "A reason is needed", field="words")
        if not await self.sanctions.lift(sanction_id, self._clock.time(), moderator.name, words):
            raise NotFoundError(Code.NOT_FOUND, "There is no such ban, or it was lifted before")

    async def answer(self, moderator: Moderator, appeal_id: int, verdict: Verdict, words: str) -> None:
        """Decide an appeal. Raises NotFoundError, ForbiddenError (role_required, own_decision), InvalidInputError."""
        require(moderator, "moderator")
        if verdict == "waiting":
            raise InvalidInputError(Code.INVALID_PAYLOAD, "Uphold or reject it", field="verdict")
        if not await self.sanctions.answer(appeal_id, self._clock.time(), moderator.name, verdict, words):
            raise NotFoundError(Code.NOT_FOUND, "There is no such appeal that waits")

    async def note_export(self, moderator: Moderator, case_id: str) -> None:
        """Note that a case leaves the house. Raises ForbiddenError (role_required)."""
        require(moderator, "moderator")
        await self._journal.append(moderator.name, "case.export", case_id, {})


def require(moderator: Moderator, role: Role) -> None:
    """Raise ForbiddenError (role_required) unless a moderator has a role, or more."""
    if _RANK[moderator.role] < _RANK[role]:
        raise ForbiddenError(Code.ROLE_REQUIRED, f"This is for the role {role}")


def _chosen(marks: Sequence[Mark], by: Sequence[MarkKind]) -> tuple[Mark, ...]:
    """Return the marks of these kinds. Raises InvalidInputError if there are none."""
    wanted = by or _USUAL
    if not any(mark.kind in wanted for mark in marks):
        raise InvalidInputError(Code.INVALID_PAYLOAD, "The guest has left no such mark", field="by")
    # The session always: who is meant is told more than a neighbour is.
    return tuple(mark for mark in marks if mark.kind in wanted or mark.kind == "session")
