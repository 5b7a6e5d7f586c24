"""Counts of the database."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from passerby.models import RULES
from passerby.moderation.figures import Figures, RuleFigures

if TYPE_CHECKING:
    from passerby.clock import Clock
    from passerby.database.engine import Database, Session

_CLOSING = ("dismiss", "warn", "end_session", "ban")


class SqlFigureStore:
    """See FigureStore."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Read with `database`."""
        self._database = database
        self._clock = clock

    async def figures(self, begins_at: float, ends_at: float, hours: tuple[float, float, float]) -> Figures:
        """See FigureStore."""
        if self._database.is_empty:
            return _figures(begins_at, ends_at)
        targets = {3 - place: one * 3600 for place, one in enumerate(hours)}
        async with self._database.read() as session:
            sql, cases, decisions = session.sql, session.tables.cases, session.tables.decisions
            opened = sql.and_(cases.c.opened_at >= begins_at, cases.c.opened_at < ends_at)
            by_rule = dict(
                await _pairs(session, sql.select(cases.c.rule, sql.func.count()).where(opened), cases.c.rule)
            )
            by_source = dict(
                await _pairs(session, sql.select(cases.c.source, sql.func.count()).where(opened), cases.c.source)
            )
            made = sql.and_(decisions.c.at >= begins_at, decisions.c.at < ends_at, decisions.c.action.in_(_CLOSING))
            counted = sql.select(decisions.c.rule, decisions.c.action, sql.func.count()).where(made)
            decided = (await session.execute(counted.group_by(decisions.c.rule, decisions.c.action))).all()
            closed = sql.select(cases.c.opened_at, cases.c.closed_at, cases.c.severity).where(
                cases.c.closed_at >= begins_at, cases.c.closed_at < ends_at
            )
            times = [(row.closed_at - row.opened_at, targets[row.severity]) for row in await session.execute(closed)]
            waiting = sql.select(cases.c.severity, cases.c.opened_at).where(cases.c.state != "closed")
            now = self._clock.time()
            open_cases = [(row.severity, row.opened_at) for row in await session.execute(waiting)]
            appeals = session.tables.appeals
            told = sql.select(appeals.c.verdict, sql.func.count()).where(
                appeals.c.made_at >= begins_at, appeals.c.made_at < ends_at
            )
            verdicts = dict(await _pairs(session, told, appeals.c.verdict))
        return Figures(
            begins_at=begins_at,
            ends_at=ends_at,
            rules=[
                RuleFigures(
                    rule=rule,
                    cases=by_rule.get(rule, 0),
                    decisions={action: count for of, action, count in decided if of == rule},
                )
                for rule in RULES
            ],
            sources=by_source,
            median_decision_seconds=statistics.median(took for took, _ in times) if times else None,
            within_target=sum(took <= target for took, target in times),
            decided=len(times),
            open=len(open_cases),
            open_by_severity=[sum(of == severity for of, _ in open_cases) for severity in (3, 2, 1)],
            overdue=sum(now > opened_at + targets[severity] for severity, opened_at in open_cases),
            appeals=sum(verdicts.values()),
            appeals_upheld=verdicts.get("upheld", 0),
            appeals_rejected=verdicts.get("rejected", 0),
            appeals_open=verdicts.get("waiting", 0),
        )


async def _pairs(session: Session, statement: Any, column: Any) -> list[tuple[Any, int]]:  # noqa: ANN401 - of SQLAlchemy
    return [(name, count) for name, count in await session.execute(statement.group_by(column))]


def _figures(begins_at: float, ends_at: float) -> Figures:
    """Return the figures of a database that was never used."""
    return Figures(
        begins_at=begins_at,
        ends_at=ends_at,
        rules=[RuleFigures(rule=rule, cases=0, decisions={}) for rule in RULES],
        sources={},
        median_decision_seconds=None,
        within_target=0,
        decided=0,
        open=0,
        open_by_severity=[0, 0, 0],
        overdue=0,
        appeals=0,
        appeals_upheld=0,
        appeals_rejected=0,
        appeals_open=0,
    )
