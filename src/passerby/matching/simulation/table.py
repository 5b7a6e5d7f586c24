"""The measures of several policies, side by side, as a table in Markdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from passerby.matching.simulation.measures import Measures, Waits


def seconds(value: float) -> str:
    """Return a duration for people."""
    return "-" if math.isnan(value) else f"{value:.1f} s"


def percent(value: float) -> str:
    """Return a share for people."""
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def _group(waits: Waits) -> str:
    return f"{seconds(waits.mean)}, {percent(waits.given_up)}"


_ROWS: Final[tuple[tuple[str, Callable[[Measures], str]], ...]] = (
    ("searches", lambda of: f"{of.waits.searches:,}"),
    ("given up", lambda of: percent(of.waits.given_up)),
    ("wait of a search: p50", lambda of: seconds(of.waits.median)),
    ("p95", lambda of: seconds(of.waits.p95)),
    ("mean", lambda of: seconds(of.waits.mean)),
    ("wait until somebody new: p50", lambda of: seconds(of.new.median)),
    ("p95", lambda of: seconds(of.new.p95)),
    ("mean", lambda of: seconds(of.new.mean)),
    ("meetings with a shared language", lambda of: percent(of.language)),
    ("searches that met a shared interest, of those for which there was one", lambda of: percent(of.interest)),
    ("conversations longer than a minute", lambda of: percent(of.talks)),
    ("guests who had one", lambda of: percent(of.talkers)),
    ("minutes in such conversations, a guest", lambda of: f"{of.talked:.1f}"),
    ("search for a minute in them", lambda of: seconds(of.per_minute)),
    ("the same again within 30 minutes", lambda of: f"{of.repeats:,}"),
    ("while others waited", lambda of: f"{of.needless:,}"),
    ("mean wait and given up: the most common language", lambda of: _group(of.common_language)),
    ("the rarest language alone", lambda of: _group(of.rare_language)),
    ("a common interest", lambda of: _group(of.common_interest)),
    ("rare interests alone", lambda of: _group(of.rare_interest)),
)


def table(columns: Sequence[Measures]) -> str:
    """Return a row for each measure and a column for each policy."""
    rows = [["", *(column.policy for column in columns)]]
    rows += [[title, *(show(column) for column in columns)] for title, show in _ROWS]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]

    def line(cells: Sequence[str]) -> str:
        first, *others = cells
        return " | ".join(
            [
                "| " + first.ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)),
            ]
        )

    rule = "|".join(["|" + "-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([f"{line(rows[0])} |", f"{rule}|", *(f"{line(row)} |" for row in rows[1:])])
