"""Prints the table, and writes the same as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

HEADINGS = ("what", "passerby", "beside it", "result", "bar", "")


@dataclass(frozen=True)
class Bar:
    """The required value of a result: a minimum or a maximum."""

    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"

    def holds(self, value: float) -> bool:
        """Return whether ``value`` reaches the bar."""
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is None or value <= self.at_most

    def __str__(self) -> str:
        """Return the text for the table."""
        if self.at_least is not None:
            return f">= {self.at_least:g} {self.unit}"
        return f"<= {self.at_most:g} {self.unit}"


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    what: str
    passerby: str
    beside: str
    result: float | None = None
    """In the bar's unit; None for a row without result."""
    bar: Bar | None = None
    values: dict[str, float] = field(default_factory=dict)
    """The values behind the texts, for JSON."""
    broken: bool = False
    """The measurement itself failed: counts as a missed bar."""

    @property
    def passed(self) -> bool | None:
        """Whether the bar is reached; None without bar or result."""
        if self.broken:
            return False
        if self.bar is None or self.result is None:
            return None
        return self.bar.holds(self.result)

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the row."""
        verdict = {True: "pass", False: "MISSED", None: ""}[self.passed]
        unit = "" if self.bar is None else f" {self.bar.unit}"
        result = "" if self.result is None else f"{self.result:.2f}{unit}"
        bar = "printed" if self.bar is None else str(self.bar)
        return (self.what, self.passerby, self.beside, result, bar, verdict)


def table(rows: Sequence[Row]) -> str:
    """Format ``rows`` as a Markdown table that is also readable as plain text."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    drawn = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    drawn.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(drawn)


def write_json(path: Path, machine: str, seconds: float, rows: Sequence[Row]) -> None:
    """Write the rows with all values and results."""
    document = {
        "machine": machine,
        "seconds": round(seconds, 1),
        "rows": [{**asdict(row), "passed": row.passed} for row in rows],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
