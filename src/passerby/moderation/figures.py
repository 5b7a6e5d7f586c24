"""What is counted about reports and decisions, for the console's first page and for transparency reports."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from passerby.models import Rule
from passerby.safety.cases import Action, Source


class RuleFigures(Struct, frozen=True, kw_only=True, rename="camel"):
    """Of one rule."""

    rule: Rule
    cases: int
    decisions: dict[Action, int]
    """Those that close a case."""


class Figures(Struct, frozen=True, kw_only=True, rename="camel"):
    """Of the cases that were opened, and the decisions and appeals that were made, from `begins_at` to `ends_at`."""

    begins_at: float
    """Seconds since the Unix epoch."""
    ends_at: float
    rules: list[RuleFigures]
    sources: dict[Source, int]
    median_decision_seconds: float | None
    """From the opening of a case to the decision that closes it."""
    within_target: int
    """Cases that were decided in time."""
    decided: int
    open: int
    """Cases that wait now."""
    open_by_severity: list[int]
    """The same, the most urgent (3) first."""
    overdue: int
    appeals: int
    appeals_upheld: int
    appeals_rejected: int
    appeals_open: int


class FigureStore(Protocol):
    """Counts. All methods raise OSError when the database cannot be used now."""

    async def figures(self, begins_at: float, ends_at: float, hours: tuple[float, float, float]) -> Figures:
        """Return the figures of a time; `hours` are the targets by severity, the most urgent (3) first."""
