"""The measures of several policies as a picture (SVG): how long guests wait, whom they meet, who pays for it."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Final

from passerby.matching.simulation.measures import CURVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from passerby.matching.simulation.measures import Measures

_COLOURS: Final = ("#999999", "#e69f00", "#56b4e9", "#0b6e4f", "#cc79a7", "#d55e00", "#3d348b", "#000000")
"""Told apart also by those who see colours differently (after Okabe and Ito)."""
_WIDTH: Final = 960
_LEFT, _RIGHT = 56, 24
_HEIGHT: Final = 210
"""Of one panel's drawing."""
_PANEL: Final = _HEIGHT + 90
_TOP: Final = 64
_INK: Final = "#222222"
_GRID: Final = "#dddddd"


def plot(title: str, columns: Sequence[Measures]) -> str:
    """Return the picture of the policies in `columns`."""
    panels = [
        _curves("Searches that have found somebody, after seconds", columns),
        _bars(
            "Whom they meet",
            columns,
            [
                ("a shared language", [column.language for column in columns]),
                ("a shared interest, if there was one", [column.interest for column in columns]),
                ("longer than a minute", [column.talks for column in columns]),
            ],
            "%",
        ),
        _bars(
            "How long they wait, the mean in seconds",
            columns,
            [
                ("the most common language", [column.common_language.mean for column in columns]),
                ("the rarest language alone", [column.rare_language.mean for column in columns]),
                ("a common interest", [column.common_interest.mean for column in columns]),
                ("rare interests alone", [column.rare_interest.mean for column in columns]),
            ],
            "",
        ),
    ]
    height = _TOP + _PANEL * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"',
        f'font-family="system-ui, sans-serif" font-size="13" fill="{_INK}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="26" font-size="17" font-weight="600">{escape(title)}</text>',
        *_legend(columns),
    ]
    for number, panel in enumerate(panels):
        parts += [f'<g transform="translate({_LEFT} {_TOP + _PANEL * number + 44})">', *panel, "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _colour(place: int) -> str:
    return _COLOURS[place % len(_COLOURS)]


def _legend(columns: Sequence[Measures]) -> list[str]:
    parts = []
    step = (_WIDTH - _LEFT - _RIGHT) / max(5, len(columns))
    for place, column in enumerate(columns):
        x = _LEFT + place * step
        parts.append(f'<rect x="{x:.1f}" y="42" width="12" height="12" fill="{_colour(place)}"/>')
        parts.append(f'<text x="{x + 18:.1f}" y="53">{escape(column.policy)}</text>')
    return parts


def _frame(title: str, most: float, unit: str) -> list[str]:
    """Return a panel's title and its lines from 0 to `most`, of which there are four."""
    width = _WIDTH - _LEFT - _RIGHT
    parts = [f'<text y="-14" font-weight="600">{escape(title)}</text>']
    for quarter in range(5):
        y = _HEIGHT - _HEIGHT * quarter / 4
        parts.append(f'<path d="M0 {y:.1f}H{width}" stroke="{_GRID}"/>')
        parts.append(f'<text x="-8" y="{y + 4:.1f}" text-anchor="end">{most * quarter / 4:g}{unit}</text>')
    return parts


def _curves(title: str, columns: Sequence[Measures]) -> list[str]:
    right = _WIDTH - _LEFT - _RIGHT
    parts = _frame(title, 100, "%")
    for second in range(0, CURVE[-1] + 1, 10):
        x = right * second / CURVE[-1]
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT + 20}" text-anchor="middle">{second}</text>')
    for place, column in enumerate(columns):
        points = " ".join(
            f"{right * second / CURVE[-1]:.1f},{_HEIGHT * (1 - share):.1f}"
            for second, share in zip(CURVE, column.curve, strict=True)
            if not math.isnan(share)
        )
        width = 2.5 + 1.5 * (len(columns) - 1 - place)  # so that equal ones are seen, too
        parts.append(f'<polyline points="{points}" fill="none" stroke="{_colour(place)}" stroke-width="{width:g}"/>')
    return parts


def _bars(title: str, columns: Sequence[Measures], groups: Sequence[tuple[str, list[float]]], unit: str) -> list[str]:
    scale = 100 if unit == "%" else 1
    known = [scale * value for _, values in groups for value in values if not math.isnan(value)]
    most = 100.0 if unit == "%" else _round_up(max(known, default=1.0))
    parts = _frame(title, most, unit)
    step = (_WIDTH - _LEFT - _RIGHT) / len(groups)
    bar = min(40.0, step * 0.8 / len(columns))
    for group, (label, values) in enumerate(groups):
        middle = step * (group + 0.5)
        parts.append(f'<text x="{middle:.1f}" y="{_HEIGHT + 20}" text-anchor="middle">{escape(label)}</text>')
        for place, value in enumerate(values):
            if math.isnan(value):
                continue
            height = _HEIGHT * scale * value / most
            x = middle + (place - len(values) / 2) * bar
            parts.append(
                f'<rect x="{x:.1f}" y="{_HEIGHT - height:.1f}" width="{bar - 2:.1f}" height="{height:.1f}" '
                f'fill="{_colour(place)}"/>'
            )
            parts.append(
                f'<text x="{x + bar / 2 - 1:.1f}" y="{_HEIGHT - height - 4:.1f}" text-anchor="middle" font-size="11">'
                f"{scale * value:.1f}</text>"
            )
    return parts


def _round_up(value: float) -> float:
    """Return a number of one or two digits, at least `value` (> 0), a quarter of which is easy to read."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(step * power for step in (1, 2, 4, 8, 10) if step * power >= value)
