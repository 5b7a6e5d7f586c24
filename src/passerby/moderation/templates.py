"""What a guest is told of a decision, unless the moderator writes something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from passerby.models import Rule
    from passerby.safety.cases import Action

LANGUAGES: Final = ("en", "de")
TOLD: Final[tuple[Action, ...]] = ("warn", "end_session", "ban")
"""The decisions that a guest is told of."""

_REASONS: Final[dict[str, dict[Rule, str]]] = {
    "en": {
        "sexual": "You have sent sexual content that the other one did not want, or that is not allowed here.",
        "threats": "You have threatened somebody.",
        "hate": "You have insulted somebody, or a group of people.",
        "spam": "You have sent advertising, or tried to cheat somebody.",
        "private_data": "You have sent or asked for somebody's private data.",
        "under_age": "This place is for people who are older.",
        "other": "You have broken the rules of this place.",
    },
    "de": {
        "sexual": "Du hast sexuelle Inhalte geschickt, die unerwünscht oder hier nicht erlaubt sind.",
        "threats": "Du hast jemanden bedroht.",
        "hate": "Du hast jemanden oder eine Gruppe von Menschen beleidigt.",
        "spam": "Du hast Werbung geschickt oder versucht, jemanden zu betrügen.",
        "private_data": "Du hast private Daten von jemandem geschickt oder danach gefragt.",
        "under_age": "Dieser Ort ist für ältere Menschen.",
        "other": "Du hast gegen die Regeln dieses Ortes verstoßen.",
    },
}
_ENDS: Final[dict[str, dict[Action, str]]] = {
    "en": {
        "warn": "Please do not do it again.",
        "end_session": "Your session was ended.",
        "ban": "You cannot use this place for now. You can appeal.",
    },
    "de": {
        "warn": "Bitte tu das nicht wieder.",
        "end_session": "Deine Sitzung wurde beendet.",
        "ban": "Du kannst diesen Ort vorerst nicht benutzen. Du kannst Einspruch einlegen.",
    },
}


def words(language: str, rule: Rule, action: Action) -> str:
    """Return the text in a guest's language, as far as we have it; empty for what a guest is not told."""
    primary = language.partition("-")[0].lower()
    known = primary if primary in LANGUAGES else LANGUAGES[0]
    if action not in TOLD:
        return ""
    return f"{_REASONS[known][rule]} {_ENDS[known][action]}"
