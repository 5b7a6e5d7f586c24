"""Where settings come from: the strongest source wins, slips are named, secrets come from files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from passerby import settings
from passerby.cli import main
from passerby.limits import Rate
from passerby.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s" * 32
OTHER = "o" * 32

SOURCES = ("flag", "prefixed", "plain", "file")
"""From the strongest to the weakest."""
NUMBERS = ("port", "grace", "text_limit", "limit_messages")


@given(st.dictionaries(st.sampled_from(NUMBERS), st.sets(st.sampled_from(SOURCES))))
@profile(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mixture_of_sources_gives_the_value_of_the_strongest(tmp_path: Path, mixture: dict[str, set[str]]) -> None:
    def text(name: str, source: str) -> str:
        number = SOURCES.index(source) + 11
        return f"{number}/2" if name == "limit_messages" else str(number)

    def where(source: str) -> dict[str, str]:
        return {name: text(name, source) for name, sources in mixture.items() if source in sources}

    file = tmp_path / "passerby.toml"
    file.write_text("".join(f'{name} = "{value}"\n' for name, value in where("file").items()))
    environment = {name.upper(): value for name, value in where("plain").items()}
    environment |= {f"PASSERBY_{name.upper()}": value for name, value in where("prefixed").items()}

    found = settings.examine(environment, {**where("flag"), "config": str(file)})

    assert found.problems == []
    for entry in found.entries:
        name = entry.variable.lower()
        strongest = next((source for source in SOURCES if source in mixture.get(name, ())), None)
        if strongest is None:
            assert entry.origin == "default"
        else:
            origins = {
                "flag": f"flag --{name.replace('_', '-')}",
                "prefixed": f"environment PASSERBY_{entry.variable}",
                "plain": f"environment {entry.variable}",
                "file": str(file),
            }
            assert (entry.value, entry.origin) == (text(name, strongest), origins[strongest])


def test_a_file_has_every_kind_of_value(tmp_path: Path) -> None:
    file = tmp_path / "passerby.toml"
    file.write_text(
        'port = 8080\ngrace = 2.5\nmatch_only = true\nlog_level = "debug"\nlimit_messages = "7/3"\n'
        'cors_origin = ["https://a.example", "https://b.example"]\ncase_hours = [1, 2.5, 3]\nredis_url = ""\n'
    )

    chosen = settings.load({"PASSERBY_CONFIG": str(file)})

    assert (chosen.port, chosen.grace, chosen.log_level) == (8080, 2.5, "debug")
    assert chosen.match_only is True
    assert chosen.limit_messages == Rate(7, 3)
    assert chosen.cors_origin == ("https://a.example", "https://b.example")
    assert list(chosen.case_hours) == [1, 2.5, 3]
    assert chosen.redis_url is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("prot = 1", "prot: is not a setting; did you mean port?"),
        ("log-level = 'debug'", "log-level: is not a setting; did you mean log_level?"),
        ("GRACE = 1", "GRACE: is not a setting; did you mean grace?"),
        ("zzz = 1", "zzz: is not a setting"),
        ("[server]\nport = 1", "server: is a table. All settings are at the top of the file, without tables"),
        ("port = 2026-01-01", "port: must be a text, a number, true or false, or a list of texts or numbers"),
        (
            "cors_origin = [['x']]",
            "cors_origin: must be a text, a number, true or false, or a list of texts or numbers",
        ),
        ("port = 'http'", "port='http': must be a whole number from 0 to 65535"),
        ("port = 80.5", "port='80.5': must be a whole number from 0 to 65535"),
        ("grace = inf", "grace='inf': must be a number of seconds, 0 or more"),
        ("port = ", "Invalid value (at end of document)"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_the_file(tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "passerby.toml"
    file.write_text(content)

    assert settings.examine({}, {"config": str(file)}).problems == [f"{file}: {problem}"]


def test_a_file_that_cannot_be_read_is_named_as_it_was_given(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    reason = f"={str(missing)!r}: the file cannot be read: No such file or directory"

    assert settings.examine({"PASSERBY_CONFIG": str(missing)}).problems == [f"PASSERBY_CONFIG{reason}"]
    assert settings.examine({"PASSERBY_CONFIG": "/other"}, {"config": str(missing)}).problems == [f"--config{reason}"]
    missing.write_bytes(b"port = '\xff'")
    assert settings.examine({}, {"config": str(missing)}).problems == [
        f"--config={str(missing)!r}: the file is not text (UTF-8)"
    ]


# ── the environment ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["box", "box.example", "my-laptop.local", "host, other", "127.0.0.1,box", "::1]"])
def test_the_name_of_the_machine_in_a_shells_host_harms_nobody(name: str) -> None:
    found = settings.examine({"HOST": name, "HOSTNAME": name})

    assert found.settings == Settings()
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith(f"HOST={name!r} is not used")
    assert found.warnings[0].endswith("call it PASSERBY_HOST")
    named = settings.examine({"HOST": name, "PASSERBY_HOST": "app.internal"})
    assert named.settings == Settings(host="app.internal")
    assert named.warnings == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost", "127.0.0.1,::1", "unix:/run/passerby.sock"])  # noqa: S104
def test_an_address_in_host_is_taken(host: str) -> None:
    assert settings.load({"HOST": host}).host == host


def test_a_slip_in_a_variable_with_our_prefix_is_a_warning() -> None:
    found = settings.examine({"PASSERBY_GRCE": "1", "PASSERBY_BROWSER": "/usr/bin/x", "PASSERBY_SERVER": "x"})

    assert found.settings == Settings()
    assert found.warnings == ["PASSERBY_GRCE is not a setting; did you mean PASSERBY_GRACE?"]


def test_what_kubernetes_calls_passerby_port_is_none() -> None:
    assert settings.load({"PASSERBY_PORT": "tcp://10.0.0.7:3001", "PORT": "8080"}).port == 8080


# ── files of secrets ──────────────────────────────────────────────────────────────────────────────

_BY_FILE = sorted(settings.SECRETS - {"evidence_key"})


def secret_for(name: str) -> str:
    return {"redis_url": "redis://:pw@db.example", "database_url": "postgresql://a:pw@db.example/c"}.get(name, SECRET)


@pytest.mark.parametrize("name", _BY_FILE)
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_every_secret_can_be_in_a_file(tmp_path: Path, name: str, ending: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes((secret_for(name) + ending).encode())

    found = settings.examine({f"{name.upper()}_FILE": str(file)})

    assert found.settings is not None
    assert getattr(found.settings, name) == secret_for(name)
    entry = next(entry for entry in found.entries if entry.variable == name.upper())
    assert entry.origin == f"environment {name.upper()}_FILE, {file}"
    assert secret_for(name) not in entry.value


def test_a_file_of_a_secret_can_be_named_by_every_source(tmp_path: Path) -> None:
    config, file = tmp_path / "passerby.toml", tmp_path / "secret"
    file.write_text(SECRET)
    config.write_text(f"jwt_secret_file = '{file}'")

    assert settings.load({}, {"jwt_secret_file": str(file)}).jwt_secret == SECRET
    assert settings.load({"PASSERBY_JWT_SECRET_FILE": str(file)}).jwt_secret == SECRET
    assert settings.load({"PASSERBY_CONFIG": str(config)}).jwt_secret == SECRET
    assert settings.load({"PASSERBY_CONFIG": str(config), "JWT_SECRET": OTHER}).jwt_secret == OTHER


@pytest.mark.parametrize("name", sorted(settings.SECRETS))
def test_a_secret_and_its_file_together_are_an_error(name: str) -> None:
    variable = name.upper()

    assert settings.examine({variable: secret_for(name), f"{variable}_FILE": "/x"}).problems == [
        f"{variable}_FILE: cannot be set together with {variable}"
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "the file cannot be read: No such file or directory"),
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b"\xff" * 40, "the file is not text (UTF-8)"),
        (b"x" * 70_000, "the file is too long"),
    ],
)
def test_a_file_that_has_no_secret_is_an_error(tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        settings.load({"TURN_SECRET_FILE": str(file)})

    assert str(caught.value) == f"TURN_SECRET_FILE={str(file)!r}: {reason}"


def test_a_secret_from_a_file_is_checked_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2")

    assert settings.examine({"JWT_SECRET_FILE": str(file)}).problems == [
        "JWT_SECRET_FILE: must have at least 32 characters, and has 7"
    ]


def test_the_file_of_the_key_of_evidence_is_left_to_who_makes_it(tmp_path: Path) -> None:
    file = tmp_path / "evidence.key"

    assert settings.load({"EVIDENCE_KEY_FILE": str(file)}).evidence_key_file == str(file)
    assert not file.exists()
    key = "A" * 43 + "="
    stronger = settings.load({"EVIDENCE_KEY_FILE": str(file), "PASSERBY_EVIDENCE_KEY": key})
    assert (stronger.evidence_key, stronger.evidence_key_file) == (key, None)


# ── passerby config ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Remove the settings of who runs the tests."""
    for row in settings.describe():
        monkeypatch.delenv(row.variable, raising=False)
    return monkeypatch


def test_config_check_says_everything_that_is_wrong(
    alone: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "passerby.toml"
    config.write_text("prot = 1\nworkers = 300\nsession_ttl = 100")
    alone.setenv("PORT", "http")
    alone.setenv("JWT_SECRET", "short")
    alone.setenv("TRUSTED_PROXIES", "box")

    assert main(["config", "check", "--config", str(config), "--log-level", "loud", "--turn-urls", "turn:a"]) == 2

    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        f"passerby: {config}: prot: is not a setting; did you mean port?",
        "passerby: PORT='http': must be a whole number from 0 to 65535",
        "passerby: --log-level='loud': must be one of debug, info, warning, error",
        "passerby: JWT_SECRET: must have at least 32 characters, and has 5",
        f"passerby: {config}: workers='300': must be a number from 1 to 256, or auto",
        "passerby: TRUSTED_PROXIES='box': is not a network such as 10.0.0.0/8, or an address",
        "passerby: RENEW_BEFORE='1800': must be shorter than SESSION_TTL, which is 100",
        "passerby: --turn-urls: needs TURN_SECRET",
    ]


@pytest.mark.usefixtures("alone")
def test_config_check_of_right_settings_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--port", "8080"]) == 0

    assert capsys.readouterr() == ("the settings are right; `passerby doctor` looks at what they need\n", "")


def test_config_show_has_everything_but_secrets(
    alone: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "passerby.toml"
    config.write_text("grace = 5")
    alone.setenv("PASSERBY_CONFIG", str(config))
    alone.setenv("JWT_SECRET", "hunter2" * 5)
    alone.setenv("REDIS_URL", "redis://chat:hunter2@db.example:6379/0")
    alone.setenv("DATABASE_URL", "postgresql://db.example/chat?password=hunter2&sslmode=require")
    alone.setenv("HOOK_SECRET", "hunter2" * 5)
    alone.setenv("HOOK_URL", "https://check.example/?token=hunter2")

    assert main(["config", "show", "--port", "8080"]) == 0

    output = capsys.readouterr()
    lines = dict(line.split("  # ") for line in output.out.splitlines())
    shown = {text.strip(): origin for text, origin in lines.items()}
    assert len(shown) == len(Settings.__struct_fields__)
    assert shown["PORT=8080"] == "flag --port"
    assert shown["GRACE=5"] == str(config)
    assert shown["JWT_SECRET=(secret)"] == "environment JWT_SECRET"
    assert shown["REDIS_URL=redis://chat:(secret)@db.example:6379/0"] == "environment REDIS_URL"
    assert "DATABASE_URL=postgresql://db.example/chat?password=(secret)&sslmode=require" in shown
    assert "HOOK_URL=https://check.example/?token=(secret)" in shown
    assert shown["TURN_SECRET="] == "default"
    assert "hunter2" not in output.out + output.err


def test_config_show_says_what_is_wrong_and_shows_the_rest(
    alone: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone.setenv("GRACE", "soon")

    assert main(["config", "show", "--text-limit", "77"]) == 2

    output = capsys.readouterr()
    assert output.err == "passerby: GRACE='soon': must be a number of seconds, 0 or more\n"
    shown = {line.split("  ")[0] for line in output.out.splitlines()}
    assert {"GRACE=(wrong)", "TEXT_LIMIT=77"} <= shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://chat:hunter2/or/3@db", "redis://chat:(secret)@db"),
        ("redis://:hunter2@db", "redis://(secret)@db"),
        ("redis://hunter2@db", "redis://(secret)@db"),
        ("redis://a:hunter2@hunter2@db/1", "redis://a:(secret)@db/1"),
        ("redis+sentinel://a:hunter2@x:1,y:2/name?db=1", "redis+sentinel://a:(secret)@x:1,y:2/name?db=1"),
        ("unix:///run/valkey.sock?db=1", "unix:///run/valkey.sock?db=1"),
        ("none", "none"),
    ],
)
def test_passwords_within_urls_are_hidden(url: str, shown: str) -> None:
    assert settings.without_password(url) == shown


@pytest.mark.parametrize("row", settings.describe(), ids=lambda row: row.variable)
def test_no_error_speaks_of_types_or_expressions(row: settings.Description) -> None:
    for text in ("\x00", "[", "-1", "1e999", "nan", "{}", "x" * 5000):
        for problem in settings.examine({row.variable: text}).problems:
            line = problem.replace(repr(text), "")
            assert not any(
                word in line for word in ("regex", "pattern", "`int`", "`str`", "`float`", "Expected", "None")
            )
            assert len(problem) < 260
