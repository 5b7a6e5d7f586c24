"""The tables of settings in README.md: `python -m tools.settings_table` writes them (`make settings`).

Names, defaults, values and meanings come from the settings themselves. When to touch one is only of use to who reads
the tables, so it stands here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from passerby import settings

if TYPE_CHECKING:
    from collections.abc import Iterable

README: Final = Path(__file__).parents[1] / "README.md"

SET: Final = {
    "HOST": "the proxy is on another machine, or in another container",
    "PORT": "it is taken, or you run several",
    "ROOT_PATH": "other things are on the same site",
    "WORKERS": "one core is busy all the time",
    "DATABASE_URL": "several machines serve together, or the file belongs elsewhere",
    "EVIDENCE_KEY_FILE": "always, if guests can report each other",
    "LOG_FORMAT": "a collector reads the log",
    "TRUSTED_PROXIES": "always behind a proxy",
    "REDIS_URL": "conversations must survive a restart, or several machines serve together",
    "JWT_SECRET": "always, without a Redis",
    "STUN_URLS": "guests may call each other",
    "TURN_URLS": "guests may call each other: without it, one call in five or so does not connect",
    "TURN_SECRET": "with `TURN_URLS`",
}
"""What most operators set, and when."""

_LOADED: Final = "honest guests meet it (the log and the metrics say so), or an attack is stopped too late"
TUNED: Final = {
    "DRAIN_SECONDS": "with several workers: longer if many guests return at once, shorter for quick restarts",
    "STOP_NOTICE": "guests need longer for a goodbye (whoever stops the server has to wait), or it must be quick",
    "STOP_PATIENCE": "with `STOP_NOTICE`",
    "STOP_AWAY": "your restarts take longer",
    "MATCH_PATIENCE": "with several workers: `0` if guests are few",
    "MATCH_INTERESTS": "searches give up their interests too early, or take too long",
    "MATCH_LANGUAGE": "guests meet somebody whom they do not understand, or wait too long",
    "MATCH_AGAIN": "guests meet the same people again",
    "MATCH_FAIR": "some wait much longer than most",
    "MATCH_ONLY": "there are many guests, and they would rather wait than compromise",
    "MATCH_WANTS": "what guests may choose harms some of them",
    "INTERESTS_LIMIT": "`0` for a house without interests",
    "INTEREST_LENGTH": "hardly ever",
    "CONSENT": "your guests know each other, or must see less at first",
    "CONSENT_CLOSED": "clients of others cannot ask, and your guests are harmed through them",
    "NEW_DEVICE_SECONDS": "who has just come sends what hurts, or guests complain of the wait",
    "NEW_DEVICE_CLOSED": "with `NEW_DEVICE_SECONDS`",
    "EVIDENCE_KEY": "you cannot use a file",
    "EVIDENCE_DAYS": "law, or the pace of your moderators, asks for another time",
    "RECORD_DAYS": "law asks for another time",
    "REPORT_WINDOW": "guests report later",
    "REPORT_MEMORY": "memory is short, or the log says that reports were dropped",
    "ADDRESS_KEY_DAYS": "bans by address must last longer, or addresses be forgotten earlier",
    "PROOF_OF_WORK": "bots come (`always`), or guests have very slow devices (`off`)",
    "CALM_ADDRESS_SESSIONS": "many guests share an address, such as a school's",
    "CALM_SESSIONS": "your house is much smaller or larger than hundreds of guests",
    "REPEAT_PARTNERS": "guests are slowed for greetings, or advertising is not",
    "SKIP_PARTNERS": "cases of those who are left at once are too many, or too few",
    "HOOK_URL": "a service of yours checks messages or files",
    "HOOK_SECRET": "with `HOOK_URL`",
    "HOOK_CHECKS": "your service checks only some of it",
    "HOOK_TIMEOUT": "your service needs longer",
    "HOOK_FAILS": "nothing unchecked may reach guests (`closed`)",
    "WORD_LIST": "you know words and links that harm",
    "PICTURE_LIST": "you have a list of known pictures",
    "AGE_MINIMUM": "the law or your rules ask for an age",
    "AGE_URL": "a provider assures the age",
    "AGE_SECRET": "with `AGE_URL`",
    "RULES_FILE": "guests must accept rules",
    "PRIVACY_FILE": "the law asks for a notice, as in the EU",
    "CONTACT_FILE": "the law asks who you are, as in the EU",
    "MODERATE_ADDRESSES": "moderators work from known networks",
    "CASE_HOURS": "you have promised, or must keep, other times",
    "MET_LIMIT": "few guests are there, and find nobody",
    "MET_SECONDS": "as `MET_LIMIT`",
    "UNDO_SECONDS": "guests take back too much, or too little",
    "SUGGESTION_PEOPLE": "suggestions tell who is there, or none are made",
    "MEETING_HOURS": "few guests are there, and would miss each other",
    "MEETING_TIMEZONE": "with `MEETING_HOURS`",
    "EMBEDDED_MEMORY": "with several workers: the log says that the Valkey is full",
    "METRICS_PORT": "Prometheus watches",
    "METRICS_HOST": "Prometheus is on another machine",
    "LOG_LEVEL": "you look for a fault (`debug`), or the log is too long",
    "CORS_ORIGIN": "a page of another origin uses the server, or it has several names and the proxy changes `Host`",
    "REDIS_PREFIX": "several Passerbys share a Redis",
    "JWT_SECRET_PREVIOUS": "the secret changes: the former one, until `SESSION_TTL` has passed",
    "JWT_ISSUER": "other services read the tokens",
    "JWT_AUDIENCE": "other services read the tokens",
    "SESSION_TTL": "guests come back later, or must be forgotten earlier",
    "SESSIONS_LIMIT": "there are more guests, and memory for them",
    "RENEW_BEFORE": "with `SESSION_TTL`",
    "GRACE": "guests are on poor networks, or partners wait too long for those who are gone",
    "SESSION_SWEEP": "hardly ever",
    "REFRESH_INTERVAL": "with `RENEW_BEFORE`",
    "ROOM_LOG_MESSAGES": "guests who return miss messages",
    "ROOM_LOG_BYTES": "as `ROOM_LOG_MESSAGES`",
    "TEXT_LIMIT": "guests write longer texts, or should not",
    "ONLINE_SAMPLE": "`0` if nobody may see who is there",
    "STATS_INTERVAL": "tens of thousands of guests are there",
    "STATS_FRAMES": "tens of thousands of guests are there",
    "PING_INTERVAL": "a proxy ends silent connections sooner",
    "PING_TIMEOUT": "networks are very slow",
    "CONNECT_TIMEOUT": "networks are very slow",
    "MAX_PAYLOAD": "with `TEXT_LIMIT`",
    "OUTBOX_LIMIT": "slow readers are disconnected",
    "STALL_TIMEOUT": "slow readers are disconnected",
    "MAX_CONNECTIONS": "there are more guests, and descriptors for them",
    "MEMORY_LIMIT": "others need the machine's memory, too",
    "MAX_ADDRESS_CONNECTIONS": _LOADED,
    "FILE_LIMIT": "guests send larger files, or should not",
    "ROOM_FILES_LIMIT": "with `FILE_LIMIT`",
    "GUEST_FILES_LIMIT": "with `FILE_LIMIT`",
    "ADDRESS_FILES_LIMIT": "many guests share an address",
    "FILES_LIMIT": "memory or disk has more room, or less",
    "FILES_PER_MESSAGE": "hardly ever",
    "FILE_TTL": "files must be gone earlier",
    "FILE_SWEEP": "hardly ever",
    "FILE_STORE": "memory is short (`disk`)",
    "FILE_DIRECTORY": "the temporary directory is small, or in memory",
    "REDIS_FILES_LIMIT": "Redis has more room, or less",
    "PICTURE_PIXELS": "cameras have more pixels",
    "VOICE_LIMIT": "guests talk longer",
    "UPLOAD_TIMEOUT": "with `FILE_LIMIT`, for slow networks",
    "UPLOAD_PACE": "networks are very slow",
    "RING_TIMEOUT": "calls end before guests can answer",
    "CALL_RETURN": "calls end when a slow page is loaded again",
    "TURN_TTL": "hardly ever",
    "RELAY_ONLY": "guests must not learn each other's address",
    "LIMITS_SCALE": "only for load tests",
    "PACKET_RATE": "clients of others send more",
}
"""All others, and when it pays to touch them."""
_RATES: Final = re.compile(r"LIMIT_\w+")


def advice(variable: str) -> str:
    """Return when to touch a setting. Raises KeyError for one of which nothing is said."""
    return _LOADED if _RATES.fullmatch(variable) else {**SET, **TUNED}[variable]


def tables() -> tuple[str, str]:
    """Return the table of what one sets, and that of what one tunes."""
    described = settings.describe()
    return (
        _table("when to set it", [row for row in described if row.variable in SET]),
        _table("when to touch it", [row for row in described if row.variable not in SET]),
    )


def _table(when: str, rows: Iterable[settings.Description]) -> str:
    lines = [f"| setting | default | values | meaning | {when} |", "|---|---|---|---|---|"]
    for row in rows:
        default = f"`{row.default}`" if row.default else ""
        values = f"{row.values}, {row.unit}" if row.unit else row.values
        lines.append(f"| `{row.variable}` | {default} | {values} | {row.meaning} | {advice(row.variable)} |")
    return "\n".join(lines)


def written(readme: str) -> str:
    """Return README.md with the tables as they are now: the two that begin with `| setting | default |`."""
    new = iter(tables())
    return re.sub(r"^\| setting \| default \|.*\n(\|.*\n)+", lambda _: next(new) + "\n", readme, flags=re.MULTILINE)


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
