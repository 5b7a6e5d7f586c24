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
from passerby.sources import shorten, without_password

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
        ("port = 1\nport = 2\n", "A setting is there twice (at line 2, column 9)"),
        ("port = " + "[" * 20_000, "has lists or tables in each other, too many to be settings"),
        ("port = " + "9" * 5000, "has a number that is too long"),
        ("port = [80]", "port='80': must be one value, not a list"),
        ("word_list = ['one', 'other']", "word_list='one,other': must be one value, not a list"),
        ("jwt_secret = ['hunter2']", "jwt_secret: must be one value, not a list"),
        ("jwt_secret = 7", "jwt_secret: must have at least 32 characters, and has 1"),
        ("port = true", "port='true': must be a whole number from 0 to 65535"),
        ('file_directory = "a\\u0000b"', "file_directory='a\\x00b': must be one line of text (UTF-8)"),
        ('"a\\nb\\u001b[31m" = 1', "'a\\nb\\x1b[31m': is not a setting"),
        ("a.b = 1", "a: is a table. All settings are at the top of the file, without tables"),
        (
            "[jwt_secret]\nport = 1",
            "jwt_secret: must be a text, a number, true or false, or a list of texts or numbers",
        ),
        ("[[port]]", "port: must be a text, a number, true or false, or a list of texts or numbers"),
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
        ("port = ", "Invalid value (at end of document). A text needs quotes, such as host = '127.0.0.1'"),
        (
            "log_level = debug",
            "Invalid value (at line 1, column 13). A text needs quotes, such as host = '127.0.0.1'",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_the_file(tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "passerby.toml"
    file.write_text(content)

    assert settings.examine({}, {"config": str(file)}).problems == [f"{file}: {problem}"]


def test_a_file_that_cannot_be_read_is_named_as_it_was_given(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    reason = f"={shorten(str(missing))}: the file cannot be read: No such file or directory"

    assert settings.examine({"PASSERBY_CONFIG": str(missing)}).problems == [f"PASSERBY_CONFIG{reason}"]
    assert settings.examine({"PASSERBY_CONFIG": "/other"}, {"config": str(missing)}).problems == [f"--config{reason}"]
    missing.write_bytes(b"port = '\xff'")
    assert settings.examine({}, {"config": str(missing)}).problems == [
        f"--config={shorten(str(missing))}: the file is not text (UTF-8)"
    ]


@pytest.mark.parametrize("size", [1 << 20, 10 << 20])
def test_a_file_that_is_too_long_is_not_read(tmp_path: Path, size: int) -> None:
    file = tmp_path / "passerby.toml"
    file.write_bytes(b"port = 1\n" + b"#" * size)

    assert settings.examine({}, {"config": str(file)}).problems == [
        f"--config={shorten(str(file))}: the file is too long"
    ]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    for environment in ({"PASSERBY_CONFIG": str(tmp_path)}, {"TURN_SECRET_FILE": str(tmp_path)}):
        (problem,) = settings.examine(environment).problems
        assert problem.endswith(": the file cannot be read: Is a directory")


def test_a_file_may_begin_with_the_mark_of_some_editors(tmp_path: Path) -> None:
    config, secret = tmp_path / "passerby.toml", tmp_path / "secret"
    config.write_text("port = 8080", encoding="utf-8-sig")
    secret.write_text(SECRET, encoding="utf-8-sig")

    chosen = settings.load({"PASSERBY_CONFIG": str(config), "JWT_SECRET_FILE": str(secret)})

    assert (chosen.port, chosen.jwt_secret) == (8080, SECRET)


# ── the environment ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["box", "box.example", "my-laptop.local", "host, other", "127.0.0.1,box", "x1.2"])
def test_the_name_of_the_machine_in_a_shells_host_harms_nobody(name: str) -> None:
    found = settings.examine({"HOST": name, "HOSTNAME": name})

    assert found.settings == Settings()
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith(f"HOST={name!r} is not used")
    assert found.warnings[0].endswith("call it PASSERBY_HOST")
    named = settings.examine({"HOST": name, "PASSERBY_HOST": "app.internal"})
    assert named.settings == Settings(host="app.internal")
    assert named.warnings == []


@pytest.mark.parametrize(
    "host",
    [
        *("0.0.0.0", "::", "localhost", "127.0.0.1,::1", "unix:/run/passerby.sock", "[::1]", "fe80::1%eth0"),  # noqa: S104
        "[::1], 127.0.0.1",
    ],
)
def test_an_address_in_host_is_taken(host: str) -> None:
    assert settings.load({"HOST": host}).host == host


@pytest.mark.parametrize("variable", ["HOST", "PASSERBY_HOST"])
@pytest.mark.parametrize(
    "host", ["127.0.0.1:80", "[::1]:80", "::1::2", "256.1.1.1", "1.2.3.4.5", "0", "http://box", "::ffff:127.0.0.1"]
)
def test_what_is_no_address_is_an_error_before_the_start(variable: str, host: str) -> None:
    reason = "must be IP addresses, names or unix:/path, separated by commas; the port is PORT"
    assert settings.examine({variable: host}).problems == [f"{variable}={host!r}: {reason}"]


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "-a", "a-", "*", "a b", ".".join(["x" * 50] * 6), "box:80"])
def test_what_can_be_no_name_is_an_error(host: str) -> None:
    (problem,) = settings.examine({}, {"host": host}).problems
    assert problem.startswith("--host=")


@pytest.mark.parametrize("host", ["unix:/run/m.sock", "127.0.0.1:9464", ",", "10.0.0.5,:::"])
def test_metrics_are_at_addresses(host: str) -> None:
    (problem,) = settings.examine({"METRICS_HOST": host}).problems
    assert problem.endswith("must be IP addresses or names, separated by commas; the port is METRICS_PORT")


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
        (b"x" * 40 + b"\n" + b"y" * 40, "the file must have one line of text, and nothing else"),
        (b"\0" * 40, "the file must have one line of text, and nothing else"),
    ],
)
def test_a_file_that_has_no_secret_is_an_error(tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        settings.load({"TURN_SECRET_FILE": str(file)})

    assert str(caught.value) == f"TURN_SECRET_FILE={shorten(str(file))}: {reason}"


def test_a_secret_from_a_file_is_checked_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2")

    assert settings.examine({"JWT_SECRET_FILE": str(file)}).problems == [
        "JWT_SECRET_FILE: must have at least 32 characters, and has 7"
    ]


@pytest.mark.parametrize("given", ["hunter2" * 5, "redis://:hunter2@db.example", "hunter2/hunter2="])
def test_a_secret_in_the_place_of_its_file_is_not_shown(given: str) -> None:
    for name in _BY_FILE:
        (problem,) = settings.examine({f"{name.upper()}_FILE": given}).problems
        assert problem == f"{name.upper()}_FILE: the file cannot be read: No such file or directory"


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
        ("chat:hunter2@db", "chat:(secret)@db"),
        ("//chat:hunter2@db", "//chat:(secret)@db"),
        ("hunter2@db", "(secret)@db"),
        ("chat:hunter2\n@db", "chat:(secret)@db"),
    ],
)
def test_passwords_within_urls_are_hidden(url: str, shown: str) -> None:
    assert without_password(url) == shown


_URLS = (
    *(
        "redis://a:hunter2@[x",
        "redis://a:hunter2@h:abc/0",
        "redis://a:hunter2@h/0?password=hunter2",
        "a:hunter2@h",
        "hunter2@h",
    ),
    *(
        "postgresql://a:hunter2@[x/db",
        "postgresql://a:hunter2@h:abc/db",
        "postgresql://a:hunter2@h",
        "//a:hunter2@h/db",
    ),
    *("https://a:hunter2@h/", "turn:a:hunter2@h", "https://a:hun\nter2@h/?token=hunter2", "mysql://a:hunter2@h/x"),
)


@pytest.mark.parametrize("url", _URLS)
def test_no_error_and_no_line_of_show_has_a_password(
    alone: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    for row in settings.describe():
        if "\n" not in url:
            alone.setenv(row.variable, url)
    variables = {row.variable: url for row in settings.describe()}

    found = settings.examine(variables)
    main(["config", "show"])

    output = capsys.readouterr()
    assert len(found.problems) > 60
    # What may be any text is shown as it is: nobody writes a password there.
    free = ("JWT_ISSUER", "JWT_AUDIENCE", "REDIS_PREFIX", "WORD_LIST", "PICTURE_LIST", "FILE_DIRECTORY", "_FILE=")
    lines = [*found.problems, *output.out.splitlines(), *output.err.splitlines()]
    assert not [line for line in lines if "hunter2" in line and not any(name in line for name in free)]


def test_the_log_of_the_start_has_no_password() -> None:
    urls = {"hook_url": "https://check.example/?token=hunter2", "hook_secret": SECRET, "turn_secret": "hunter2"}

    assert settings.changed(settings.load({}, urls)) == {
        "HOOK_URL": "https://check.example/?token=(secret)",
        "HOOK_SECRET": "(set)",
        "TURN_SECRET": "(set)",
    }


@pytest.mark.parametrize(
    ("url", "is_right"),
    [
        ("postgresql://a:p[w@host/db", True),
        ("postgresql://[::1]:5432/db?sslmode=require", True),
        ("postgresql://a@/db", True),
        ("postgresql://host:65535/db", True),
        ("postgresql://host:65536/db", False),
        ("postgresql://host:0/db", False),
        ("postgresql://host:http/db", False),
        ("postgresql://[::1/db", False),
        ("postgresql://::1/db", False),
    ],
)
def test_a_database_has_a_host_and_a_port_that_can_be(url: str, is_right: bool) -> None:
    assert (settings.examine({"DATABASE_URL": url}).problems == []) is is_right


@pytest.mark.parametrize("name", ["JWT_SECRET", "JWT_ISSUER", "REDIS_PREFIX", "FILE_DIRECTORY", "TURN_SECRET"])
@pytest.mark.parametrize("text", ["\udcff" * 40, "x" * 40 + "\r", "\0" * 40])
def test_what_is_no_text_is_an_error_before_the_start(name: str, text: str) -> None:
    (problem,) = settings.examine({name: text}).problems
    assert problem.endswith("must be one line of text (UTF-8)")


@pytest.mark.parametrize("row", settings.describe(), ids=lambda row: row.variable)
def test_no_error_speaks_of_types_or_expressions(row: settings.Description) -> None:
    for text in ("\x00", "[", "-1", "1e999", "nan", "{}", "x" * 5000):
        for problem in settings.examine({row.variable: text}).problems:
            line = problem.replace(repr(text), "")
            assert not any(
                word in line for word in ("regex", "pattern", "`int`", "`str`", "`float`", "Expected", "None")
            )
            assert len(problem) < 260
