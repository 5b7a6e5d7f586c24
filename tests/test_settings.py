from __future__ import annotations

import os

import msgspec
import pytest

from passerby import app, logs, settings
from passerby.cli import main
from passerby.limits import Rate
from passerby.settings import Settings, SettingsError

SECRET = "x" * 32
KEY = "A" * 43 + "="

GOOD: dict[str, tuple[str, object]] = {
    "HOST": ("0.0.0.0", "0.0.0.0"),  # noqa: S104 - a value
    "PORT": ("8080", 8080),
    "ROOT_PATH": ("/chat", "/chat"),
    "WORKERS": ("4", "4"),
    "DRAIN_SECONDS": ("0", 0.0),
    "STOP_NOTICE": ("0", 0.0),
    "STOP_PATIENCE": ("60", 60.0),
    "STOP_AWAY": ("0.5", 0.5),
    "MATCH_PATIENCE": ("0", 0.0),
    "MATCH_INTERESTS": ("0", 0.0),
    "MATCH_LANGUAGE": ("2.5", 2.5),
    "MATCH_AGAIN": ("0", 0.0),
    "MATCH_FAIR": ("60", 60.0),
    "MATCH_ONLY": ("true", True),
    "MATCH_WANTS": ("location", ("location",)),
    "INTERESTS_LIMIT": ("0", 0),
    "INTEREST_LENGTH": ("20", 20),
    "CONSENT": ("links,video", ("links", "video")),
    "CONSENT_CLOSED": ("files", ("files",)),
    "NEW_DEVICE_SECONDS": ("0", 0.0),
    "NEW_DEVICE_CLOSED": ("video", ("video",)),
    "DATABASE_URL": ("postgresql://chat:secret@db.example/chat", "postgresql://chat:secret@db.example/chat"),
    "EVIDENCE_KEY": (KEY, KEY),
    "EVIDENCE_KEY_FILE": ("/srv/passerby.key", "/srv/passerby.key"),
    "EVIDENCE_DAYS": ("14", 14.0),
    "RECORD_DAYS": ("180", 180.0),
    "REPORT_WINDOW": ("0", 0.0),
    "REPORT_MEMORY": ("0", 0),
    "ADDRESS_KEY_DAYS": ("1", 1.0),
    "PROOF_OF_WORK": ("always", "always"),
    "CALM_ADDRESS_SESSIONS": ("5/0.1", Rate(5, 0.1)),
    "CALM_SESSIONS": ("50/1", Rate(50, 1)),
    "REPEAT_PARTNERS": ("0", 0),
    "SKIP_PARTNERS": ("0", 0),
    "HOOK_URL": ("https://check.example/", "https://check.example/"),
    "HOOK_SECRET": (SECRET, SECRET),
    "HOOK_CHECKS": ("text", ("text",)),
    "HOOK_TIMEOUT": ("1", 1.0),
    "HOOK_FAILS": ("closed", "closed"),
    "WORD_LIST": ("/srv/words.txt", "/srv/words.txt"),
    "PICTURE_LIST": ("/srv/pictures.txt", "/srv/pictures.txt"),
    "AGE_MINIMUM": ("18", 18),
    "AGE_URL": ("https://age.example/check", "https://age.example/check"),
    "AGE_SECRET": (SECRET, SECRET),
    "RULES_FILE": ("/srv/rules.md", "/srv/rules.md"),
    "PRIVACY_FILE": ("/srv/privacy.md", "/srv/privacy.md"),
    "CONTACT_FILE": ("/srv/contact.md", "/srv/contact.md"),
    "MODERATE_ADDRESSES": ("10.0.0.0/8", ("10.0.0.0/8",)),
    "CASE_HOURS": ("1,12,48", (1.0, 12.0, 48.0)),
    "MET_LIMIT": ("0", 0),
    "MET_SECONDS": ("60", 60.0),
    "UNDO_SECONDS": ("0", 0.0),
    "SUGGESTION_PEOPLE": ("2", 2),
    "MEETING_HOURS": ("19:00-22:00,sat 15:00-17:00", ("19:00-22:00", "sat 15:00-17:00")),
    "MEETING_TIMEZONE": ("Europe/Berlin", "Europe/Berlin"),
    "EMBEDDED_MEMORY": ("67108864", 67_108_864),
    "METRICS_PORT": ("9464", 9464),
    "METRICS_HOST": ("10.0.0.5", "10.0.0.5"),
    "LOG_LEVEL": ("debug", "debug"),
    "LOG_FORMAT": ("json", "json"),
    "CORS_ORIGIN": ("https://a.example, http://b.example:8080", ("https://a.example", "http://b.example:8080")),
    "TRUSTED_PROXIES": ("10.0.0.0/8,::1", ("10.0.0.0/8", "::1")),
    "REDIS_URL": ("rediss://chat:secret@db.example:6380/1", "rediss://chat:secret@db.example:6380/1"),
    "REDIS_PREFIX": ("chat:", "chat:"),
    "JWT_SECRET": (SECRET, SECRET),
    "JWT_SECRET_PREVIOUS": (SECRET, SECRET),
    "JWT_ISSUER": ("me", "me"),
    "JWT_AUDIENCE": ("you", "you"),
    "SESSION_TTL": ("3600.5", 3600.5),
    "SESSIONS_LIMIT": ("500", 500),
    "RENEW_BEFORE": ("900", 900.0),
    "GRACE": ("0", 0.0),
    "SESSION_SWEEP": ("60", 60.0),
    "REFRESH_INTERVAL": ("30", 30.0),
    "ROOM_LOG_MESSAGES": ("10", 10),
    "ROOM_LOG_BYTES": ("4096", 4096),
    "TEXT_LIMIT": ("500", 500),
    "ONLINE_SAMPLE": ("0", 0),
    "FILES_PER_MESSAGE": ("5", 5),
    "STATS_INTERVAL": ("0.5", 0.5),
    "STATS_FRAMES": ("100", 100),
    "PING_INTERVAL": ("5", 5.0),
    "PING_TIMEOUT": ("4", 4.0),
    "CONNECT_TIMEOUT": ("3", 3.0),
    "MAX_PAYLOAD": ("65536", 65536),
    "OUTBOX_LIMIT": ("65536", 65536),
    "STALL_TIMEOUT": ("2", 2.0),
    "MAX_CONNECTIONS": ("500", 500),
    "MEMORY_LIMIT": ("2147483648", 2_147_483_648),
    "MAX_ADDRESS_CONNECTIONS": ("50", 50),
    "FILE_LIMIT": ("1024", 1024),
    "ROOM_FILES_LIMIT": ("4096", 4096),
    "GUEST_FILES_LIMIT": ("2048", 2048),
    "ADDRESS_FILES_LIMIT": ("4096", 4096),
    "FILES_LIMIT": ("8192", 8192),
    "FILE_TTL": ("60", 60.0),
    "FILE_SWEEP": ("5", 5.0),
    "FILE_STORE": ("disk", "disk"),
    "FILE_DIRECTORY": ("/srv/passerby", "/srv/passerby"),
    "REDIS_FILES_LIMIT": ("8192", 8192),
    "PICTURE_PIXELS": ("1000000", 1_000_000),
    "VOICE_LIMIT": ("60", 60.0),
    "UPLOAD_TIMEOUT": ("30", 30.0),
    "UPLOAD_PACE": ("0", 0),
    "LIMIT_UPLOADS": ("2/1", Rate(2, 1)),
    "LIMIT_ADDRESS_UPLOADS": ("2/1", Rate(2, 1)),
    "RING_TIMEOUT": ("10", 10.0),
    "CALL_RETURN": ("2.5", 2.5),
    "STUN_URLS": ("stun:a.example, stuns:b.example:5349", ("stun:a.example", "stuns:b.example:5349")),
    "TURN_URLS": ("turn:a.example:3478?transport=tcp", ("turn:a.example:3478?transport=tcp",)),
    "TURN_SECRET": ("shared", "shared"),
    "TURN_TTL": ("120", 120.0),
    "RELAY_ONLY": ("true", True),
    "LIMITS_SCALE": ("2.5", 2.5),
    "PACKET_RATE": ("500", 500.0),
    "LIMIT_CONNECTS": ("10/1", Rate(10, 1)),
    "LIMIT_MESSAGES": ("60/10", Rate(60, 10)),
    "LIMIT_TYPING": ("1/0.5", Rate(1, 0.5)),
    "LIMIT_MATCHING": ("2/1", Rate(2, 1)),
    "LIMIT_EVENTS": ("2/1", Rate(2, 1)),
    "LIMIT_REFUSALS": ("2/1", Rate(2, 1)),
    "LIMIT_ADDRESS_EVENTS": ("2/1", Rate(2, 1)),
    "LIMIT_ADDRESS_CONNECTS": ("2/1", Rate(2, 1)),
    "LIMIT_ADDRESS_SESSIONS": ("2/1", Rate(2, 1)),
    "LIMIT_REPORTS": ("2/1", Rate(2, 1)),
    "LIMIT_ADDRESS_REPORTS": ("2/1", Rate(2, 1)),
    "LIMIT_ADDRESS_CODES": ("2/1", Rate(2, 1)),
    "LIMIT_ADDRESS_LOGINS": ("2/1", Rate(2, 1)),
    "LIMIT_MODERATION": ("2/1", Rate(2, 1)),
    "LIMIT_ADDRESS_REQUESTS": ("2/1", Rate(2, 1)),
}

_TIMES = ("SESSION_TTL", "RENEW_BEFORE", "SESSION_SWEEP", "REFRESH_INTERVAL", "STATS_INTERVAL", "PING_INTERVAL")
_TIMES_TOO = (
    "PING_TIMEOUT",
    "CONNECT_TIMEOUT",
    "STALL_TIMEOUT",
    "FILE_TTL",
    "FILE_SWEEP",
    "VOICE_LIMIT",
    "UPLOAD_TIMEOUT",
)
_COUNTS = ("ROOM_LOG_MESSAGES", "ROOM_LOG_BYTES", "TEXT_LIMIT", "STATS_FRAMES", "MAX_PAYLOAD", "OUTBOX_LIMIT")
_CONNECTIONS = ("SESSIONS_LIMIT", "MAX_CONNECTIONS", "MAX_ADDRESS_CONNECTIONS")
_SIZES = (
    "FILE_LIMIT",
    "ROOM_FILES_LIMIT",
    "GUEST_FILES_LIMIT",
    "ADDRESS_FILES_LIMIT",
    "FILES_LIMIT",
    "REDIS_FILES_LIMIT",
    "PICTURE_PIXELS",
)
_DAYS = ("EVIDENCE_DAYS", "RECORD_DAYS", "ADDRESS_KEY_DAYS")
_RATES = tuple(name for name in GOOD if name.startswith("LIMIT_"))
_CALM = ("CALM_ADDRESS_SESSIONS", "CALM_SESSIONS")

BAD: list[tuple[str, str]] = [
    *(("HOST", text) for text in ("unix:passerby.sock", "unix:/" + "x" * 100, "::1,unix:")),
    *(("ROOT_PATH", text) for text in ("chat", "/chat/", "/", "/a//b", "/a b", "/api", "/socket.io/x", "/..")),
    *(("PORT", text) for text in ("-1", "65536", "http", "80.5", "0x50", "1e9")),
    *(("WORKERS", text) for text in ("0", "-1", "257", "1e1", "all", "2.0", "٣")),
    *(("DRAIN_SECONDS", text) for text in ("-1", "soon", "inf")),
    *((name, text) for name in ("STOP_NOTICE", "STOP_PATIENCE", "STOP_AWAY") for text in ("-1", "soon", "3601")),
    *(("MATCH_PATIENCE", text) for text in ("-0.1", "long", "6")),
    *((name, text) for name in ("MATCH_INTERESTS", "MATCH_LANGUAGE", "MATCH_AGAIN") for text in ("-1", "soon", "601")),
    *(("MATCH_FAIR", text) for text in ("-1", "soon", "inf")),
    *(("MATCH_ONLY", text) for text in ("maybe", "2")),
    *(("MATCH_WANTS", text) for text in ("age", "gender;location")),
    *(("INTERESTS_LIMIT", text) for text in ("-1", "6", "many")),
    *(("INTEREST_LENGTH", text) for text in ("0", "201", "long")),
    *(("CONSENT", text) for text in ("texts", "links;files")),
    *(("CONSENT_CLOSED", text) for text in ("all", "link")),
    *(("NEW_DEVICE_SECONDS", text) for text in ("-1", "long", "inf")),
    *(("NEW_DEVICE_CLOSED", text) for text in ("all", "link")),
    *(("DATABASE_URL", text) for text in ("mysql://a/b", "passerby.db", "sqlite://a", "postgresql://host")),
    *(("EVIDENCE_KEY", text) for text in ("short", "x" * 44, "A" * 44)),
    *((name, text) for name in _DAYS for text in ("0", "-1", "soon", "inf")),
    *(("REPORT_WINDOW", text) for text in ("-1", "601", "long")),
    *(("REPORT_MEMORY", text) for text in ("-1", "1g")),
    *(("PROOF_OF_WORK", text) for text in ("maybe", "on")),
    *((name, text) for name in ("REPEAT_PARTNERS", "SKIP_PARTNERS") for text in ("-1", "few")),
    *(("HOOK_URL", text) for text in ("check.example", "ftp://check.example", "https://check.example/")),
    *((name, text) for name in ("HOOK_SECRET", "AGE_SECRET") for text in ("short", "x" * 31)),
    *(("HOOK_CHECKS", text) for text in ("voice", "texts")),
    *(("HOOK_TIMEOUT", text) for text in ("0", "31", "soon")),
    *(("HOOK_FAILS", text) for text in ("half", "Open ")),
    *(("AGE_MINIMUM", text) for text in ("-1", "121", "adult")),
    *(("AGE_URL", text) for text in ("age.example", "https://age.example/")),
    *(("MODERATE_ADDRESSES", text) for text in ("10.0.0.0/33", "office")),
    *(("CASE_HOURS", text) for text in ("1", "1,2", "1,2,3,4", "0,1,2", "soon")),
    *(("MET_LIMIT", text) for text in ("-1", "101", "all")),
    *(("MET_SECONDS", text) for text in ("-1", "long")),
    *(("UNDO_SECONDS", text) for text in ("-1", "61", "long")),
    *(("SUGGESTION_PEOPLE", text) for text in ("1", "101", "few")),
    *(("MEETING_HOURS", text) for text in ("19-22", "evening", "sat", "19:00-22:00,25:00-26:00", "10:00-10:00")),
    *(("MEETING_TIMEZONE", text) for text in ("Berlin", "Europe", "+01:00", "/etc/localtime")),
    *(("MEMORY_LIMIT", text) for text in ("-1", "2g", "1048576")),
    *(("EMBEDDED_MEMORY", text) for text in ("0", "1g", "1048576")),
    *(("METRICS_PORT", text) for text in ("-1", "65536", "http", "9464.5", "3001")),  # the last one is PORT
    *(("LOG_LEVEL", text) for text in ("loud", "DEBUG ", "0")),
    *(("LOG_FORMAT", text) for text in ("xml", "JSON!")),
    *(("CORS_ORIGIN", text) for text in ("chat.example", "ftp://chat.example", "https://a.example,b.example")),
    *(("TRUSTED_PROXIES", text) for text in ("10.0.0.0/33", "proxy.example", "10.0.0.0/8,nonsense", "10")),
    *(
        ("REDIS_URL", text)
        for text in ("db.example", "http://db.example", "redis://db.example:x", "unix://valkey.sock")
    ),
    *(("REDIS_PREFIX", text) for text in ("{chat}", "a}")),
    *((name, text) for name in ("JWT_SECRET", "JWT_SECRET_PREVIOUS") for text in ("short", "x" * 31)),
    *((name, text) for name in (*_TIMES, *_TIMES_TOO) for text in ("0", "-1", "soon", "nan", "1h", "inf")),
    *(("GRACE", text) for text in ("-0.1", "soon", "nan", "inf")),
    *(("STUN_URLS", text) for text in ("turn:a.example", "stun:", "https://a.example")),
    *(("TURN_URLS", text) for text in ("stun:a.example", "turn:a.example?transport=sctp", "turn:user@a.example")),
    ("TURN_URLS", "turn:a.example"),  # without TURN_SECRET
    *(("RELAY_ONLY", text) for text in ("maybe", "2", "true")),  # without TURN_URLS
    *((name, text) for name in ("RING_TIMEOUT", "CALL_RETURN", "TURN_TTL") for text in ("0", "-1", "soon")),
    *(("FILE_STORE", text) for text in ("tape", "Disk ", "redis")),  # the last one without REDIS_URL
    *((name, text) for name in (*_COUNTS, *_CONNECTIONS, *_SIZES) for text in ("0", "-5", "many", "1.5")),
    *(("PACKET_RATE", text) for text in ("0", "-1", "fast", "inf")),
    *(("UPLOAD_PACE", text) for text in ("-1", "slow", "1.5")),
    *(("ONLINE_SAMPLE", text) for text in ("-1", "all")),
    *(("FILES_PER_MESSAGE", text) for text in ("0", "many")),
    *(("LIMITS_SCALE", text) for text in ("0", "-1", "off", "nan")),
    *(
        (name, text)
        for name in (*_RATES, *_CALM)
        for text in ("5", "5/", "/5", "0/1", "1/0", "-1/1", "a/b", "1/2/3", "nan/1", "0.5/1")
    ),
]


def test_the_defaults_are_those_of_the_contract() -> None:
    chosen = settings.load({})

    assert chosen == Settings()
    assert (chosen.session_ttl, chosen.grace, chosen.renew_before) == (7200, 20, 1800)
    assert (chosen.ping_interval, chosen.ping_timeout) == (25, 20)
    assert (chosen.room_log_messages, chosen.room_log_bytes) == (200, 256 * 1024)
    assert (chosen.session_sweep, chosen.refresh_interval) == (600, 60)
    assert (chosen.stats_interval, chosen.online_sample) == (1, 50)
    assert chosen.stats_frames <= 2000
    assert (chosen.outbox_limit, chosen.text_limit, chosen.limits_scale) == (256 * 1024, 1000, 1)
    assert (chosen.file_limit, chosen.room_files_limit, chosen.files_limit) == (10 << 20, 50 << 20, 512 << 20)
    assert (chosen.file_ttl, chosen.file_sweep, chosen.voice_limit) == (3600, 300, 300)
    assert chosen.files_in == "memory"
    assert chosen.jwt_secret is None


@pytest.mark.parametrize(
    ("store", "redis_url", "directory", "where"),
    [
        ("", "", "", "memory"),
        ("", "", "/srv/files", "memory"),
        ("", "redis://db.example", "", "redis"),
        ("", "redis://db.example", "/srv/files", "disk"),
        ("auto", "redis://db.example", "", "redis"),
        ("redis", "redis://db.example", "/srv/files", "redis"),
        ("memory", "redis://db.example", "/srv/files", "memory"),
        ("disk", "redis://db.example", "", "disk"),
        ("disk", "", "", "disk"),
    ],
)
def test_files_are_where_they_can_outlive_the_process(store: str, redis_url: str, directory: str, where: str) -> None:
    chosen = settings.load({"FILE_STORE": store, "REDIS_URL": redis_url, "FILE_DIRECTORY": directory})

    assert chosen.files_in == where


@pytest.mark.parametrize(
    ("workers", "redis_url", "embeds", "where"),
    [
        ("1", "", False, "memory"),
        ("2", "", True, "redis"),
        ("2", "redis://db.example", False, "redis"),
    ],
)
def test_several_workers_share_a_redis(workers: str, redis_url: str, embeds: bool, where: str) -> None:
    chosen = settings.load({"WORKERS": workers, "REDIS_URL": redis_url})

    assert (chosen.worker_count, chosen.embeds_redis, chosen.files_in) == (int(workers), embeds, where)


def test_several_workers_keep_files_where_all_find_them() -> None:
    for store in ("memory", "disk"):
        with pytest.raises(SettingsError, match=f"FILE_STORE='{store}': several WORKERS need FILE_STORE=redis"):
            settings.load({"WORKERS": "2", "FILE_STORE": store})
    with pytest.raises(SettingsError, match="FILE_DIRECTORY='/srv/files': several WORKERS need FILE_STORE=redis"):
        settings.load({"WORKERS": "2", "FILE_DIRECTORY": "/srv/files"})
    settings.load({"WORKERS": "2", "FILE_STORE": "redis", "FILE_DIRECTORY": "/srv/files"})


def test_workers_have_ports_for_their_metrics_that_are_not_the_guests() -> None:
    settings.load({"METRICS_PORT": "3002", "WORKERS": "4"})
    settings.load({"METRICS_PORT": "0", "PORT": "0", "WORKERS": "4"})
    with pytest.raises(SettingsError, match="METRICS_PORT='2999': takes PORT 3001, where the guests are"):
        settings.load({"METRICS_PORT": "2999", "WORKERS": "4"})
    with pytest.raises(SettingsError, match="METRICS_PORT='65535': there are fewer ports behind it than WORKERS"):
        settings.load({"METRICS_PORT": "65535", "WORKERS": "2"})


def test_what_differs_from_the_defaults_can_be_told_without_secrets() -> None:
    chosen = settings.load(
        {"JWT_SECRET": SECRET, "REDIS_URL": "redis://:hush@db.example", "GRACE": "5", "PORT": "3001"}
    )

    assert settings.changed(chosen) == {"REDIS_URL": "(set)", "JWT_SECRET": "(set)", "GRACE": "5"}
    secret = {name for name in Settings.__struct_fields__ if name.endswith(("_secret", "_key", "_previous", "_url"))}
    assert secret - settings.SECRETS == {"hook_url", "age_url"}


def test_auto_is_at_least_one_worker() -> None:
    assert settings.load({"WORKERS": "auto"}).worker_count >= 1


def test_every_setting_is_described_and_tried_here() -> None:
    rows = settings.describe()

    assert [row.variable for row in rows] == [field.name.upper() for field in msgspec.structs.fields(Settings)]
    assert all(row.meaning for row in rows)
    assert set(GOOD) == {row.variable for row in rows}
    assert {name for name, _ in BAD} >= set(GOOD) - {
        "METRICS_HOST",
        "FILE_DIRECTORY",
        "TURN_SECRET",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        *("EVIDENCE_KEY_FILE", "WORD_LIST", "PICTURE_LIST", "RULES_FILE", "PRIVACY_FILE", "CONTACT_FILE"),
    }


_TURN = {"TURN_URLS": "turn:a.example", "TURN_SECRET": "shared"}
_NEEDS = {
    "TURN_URLS": _TURN,
    "RELAY_ONLY": _TURN,
    "HOOK_URL": {"HOOK_SECRET": SECRET},
    "AGE_URL": {"AGE_SECRET": SECRET},
}
"""Other settings that each setting requires."""


@pytest.mark.parametrize("name", GOOD)
def test_a_setting_comes_from_the_environment(name: str) -> None:
    text, value = GOOD[name]

    assert getattr(settings.load(_NEEDS.get(name, {}) | {name: text}), name.lower()) == value


@pytest.mark.parametrize("name", GOOD)
def test_a_flag_beats_the_environment(name: str) -> None:
    text, value = GOOD[name]
    wrong = "not looked at"

    environment = _NEEDS.get(name, {}) | {name: wrong}
    assert getattr(settings.load(environment, {name.lower(): text}), name.lower()) == value


def test_an_empty_variable_counts_as_unset() -> None:
    assert settings.load(dict.fromkeys(GOOD, "")) == Settings()


def test_other_variables_are_left_alone() -> None:
    assert settings.load({"PATH": "/bin", "PORTS": "x", "LIMITS": "none"}) == Settings()


@pytest.mark.parametrize(("name", "text"), BAD, ids=[f"{name}={text}" for name, text in BAD])
def test_a_bad_value_is_one_clear_line_that_names_it(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load({name: text})

    line = str(caught.value)
    assert line.startswith(name)
    assert "\n" not in line
    assert len(line) < 200


@pytest.mark.parametrize(("name", "text"), [("GRACE", "soon"), ("LIMIT_TYPING", "x"), ("LOG_LEVEL", "loud")])
def test_a_bad_flag_is_named_as_it_was_given(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load({}, {name.lower(): text})

    assert str(caught.value).startswith(f"--{name.lower().replace('_', '-')}")


def test_a_bad_secret_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load({"JWT_SECRET": "hunter2"})

    assert "hunter2" not in str(caught.value)


def test_a_bad_url_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load({"REDIS_URL": "redis://chat:hunter2/or/3@db.example"})

    assert "hunter2" not in str(caught.value)


def test_a_token_must_outlive_the_time_of_its_renewal() -> None:
    with pytest.raises(SettingsError, match="RENEW_BEFORE"):
        settings.load({"SESSION_TTL": "100", "RENEW_BEFORE": "100"})
    assert settings.load({"SESSION_TTL": "100", "RENEW_BEFORE": "99", "REFRESH_INTERVAL": "1"}).renew_before == 99


def test_renewals_must_be_looked_for_more_often_than_they_are_due() -> None:
    """Otherwise a connected guest's token could expire between two refreshes, although their session must not end."""
    with pytest.raises(SettingsError, match="REFRESH_INTERVAL"):
        settings.load({"SESSION_TTL": "100", "RENEW_BEFORE": "10", "REFRESH_INTERVAL": "60"})


def test_a_scale_multiplies_every_rate() -> None:
    chosen = settings.load({"LIMITS_SCALE": "10", "LIMIT_MESSAGES": "30/5", "LIMIT_ADDRESS_CONNECTS": "20/1"})

    assert chosen.rate("messages") == Rate(300, 50)
    assert chosen.rate("address_connects") == Rate(200, 10)


@pytest.mark.parametrize("scale", ["0.5", "0.001"])
def test_however_small_the_scale_something_gets_through(scale: str) -> None:
    chosen = settings.load({"LIMITS_SCALE": scale})

    assert min(chosen.rate(name.removeprefix("LIMIT_").lower()).burst for name in _RATES) >= 1


# ── the command line ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Record the settings that `passerby serve` would use."""
    chosen: list[Settings] = []

    async def serve(with_settings: Settings, **_options: object) -> None:
        chosen.append(with_settings)

    monkeypatch.setattr(app, "serve", serve)
    monkeypatch.setattr(logs, "configure", lambda *_arguments: None)
    for name in GOOD:
        monkeypatch.delenv(name, raising=False)
    return chosen


def test_serve_takes_flags_over_the_environment(served: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1111")
    monkeypatch.setenv("GRACE", "7")

    assert main(["serve", "--port", "2222", "--limit-messages", "7/3"]) == 0

    assert (served[0].port, served[0].grace, served[0].limit_messages) == (2222, 7.0, Rate(7, 3))


@pytest.mark.parametrize(
    ("arguments", "environment", "name"),
    [
        (["serve", "--port", "99999"], {}, "--port"),
        (["serve"], {"PORT": "http"}, "PORT"),
        (["serve"], {"JWT_SECRET": "short"}, "JWT_SECRET"),
        (["serve", "--limit-typing", "1"], {}, "--limit-typing"),
        (["serve"], {"REDIS_URL": "redis+cluster://a.example/1"}, "REDIS_URL"),
        (["serve", "--redis-prefix", "{x}"], {}, "--redis-prefix"),
    ],
)
def test_serve_with_a_bad_setting_says_so_in_one_line_and_exits_with_2(
    *,
    served: list[Settings],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    environment: dict[str, str],
    name: str,
) -> None:
    for variable, text in environment.items():
        monkeypatch.setitem(os.environ, variable, text)

    assert main(arguments) == 2

    output = capsys.readouterr()
    assert output.err.count("\n") == 1
    assert output.err.startswith(f"passerby: {name}")
    assert output.out == ""
    assert served == []


def test_an_unknown_flag_exits_with_2(served: list[Settings], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--nonsense", "1"])

    assert caught.value.code == 2
    assert "--nonsense" in capsys.readouterr().err
    assert served == []


def test_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--help"])

    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert all(f"--{name.lower().replace('_', '-')} " in text for name in GOOD)
