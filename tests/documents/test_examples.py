"""Every code block of the documents is run, or is in the list of those that cannot be; no other is there.

A test takes a block by words of it (`with_text`). What is an operator's own is replaced, see each test: paths, names,
secrets, addresses and ports. What needs root, a container engine or the network is replaced by a program that notes
how it was called (`Shell.stand_in`), and the rest of the commands around it is run.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import tomllib
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock
from urllib.parse import parse_qsl, urlencode, urlsplit

import altcha
import msgspec
import pytest
import requests

from benchmarks import __main__ as benchmarks
from passerby import __version__, cli
from passerby.http.models import AppealStatus, Failure, GuestCreated, MatchingStatus, SocketStats, Success
from passerby.models import BanNotice, FileInfo, House
from passerby.realtime.contract import INBOUND, OUTBOUND
from passerby.redis.watch import State
from passerby.safety.hook_http import _About, sign
from passerby.safety.hook_words import WordList
from passerby.settings import Settings, describe, load
from tests.documents.examples import DOCUMENTS, EXAMPLES, FENCE, ROOT, Example, Shell, claims, replaced, that, with_text
from tests.documents.sentences import logged, printed
from tests.metrics import prometheus
from tests.proxies import proxy
from tests.support import backends
from tests.support.client import PATIENCE
from tests.support.ports import free_port
from tests.support.server import SECRET, RunningServer, http_client
from tests.support.valkey import until, valkey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import StartServer
    from tests.support.server import ServerProcess

SHELLS: Final = {"sh", "console"}
SETTINGS: Final = {setting.variable for setting in describe()} | {
    f"{name.upper()}_FILE" for name in Settings.__struct_fields__
}
PARSER: Final = cli._parser()
OTHER_VARIABLES: Final = {"CHAT_HOST", "TURN_HOST", "ROOM", "TOKEN"}
"""Of Compose, and of the reader's own."""

ONLY_CHECKED: Final = {
    "pip wheel --no-deps .": "pipx asks the network; tests/test_install.py makes the wheel, installs it and serves",
    "podman build": "needs a container engine; tools/container.py carries out the same file without one",
    "pre-commit install": "pre-commit is no dependency; tests/test_contributing.py looks at what the hook runs",
    "turnutils_uclient -y": "needs a public address; tests/calls/test_deployment.py asks a TURN server as it does",
    "make run     # sets": "tests/test_install.py and all tests that start a server do what it does",
    "make dev     # installs": "tests/system/test_dev.py runs the command",
    "make bench  ": "takes an hour",
    "git worktree add ../before": "takes an hour",
}
"""Commands that are not run, by words of theirs, and why. See `test_commands_are_sound` for what is checked of all."""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


async def nothing(_url: str) -> None:
    """Be content that it serves."""


def builtin(value: object) -> Any:  # noqa: ANN401 - JSON
    return msgspec.json.decode(msgspec.json.encode(value))


def has(whole: Any, part: Any) -> bool:  # noqa: ANN401 - JSON
    """Return whether `whole` has everything of `part`."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            name in whole and has(whole[name], value) for name, value in part.items()
        )
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(has, whole, part))
    return bool(whole == part)


def shape(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return keys and types: what an example and a real answer have in common."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


# ── all of them ───────────────────────────────────────────────────────────────────────────────────


def test_every_example_is_taken_by_one_test() -> None:
    taken = Counter(example for _, found in claims for example in found)
    assert [f"{example}: no test knows it" for example in EXAMPLES if example not in taken] == []
    assert [f"{example}: several tests take it" for example, count in taken.items() if count > 1] == []
    assert [f"{text!r} is in {len(found)} examples" for text, found in claims if len(found) != 1] == []


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example.language in SHELLS], ids=str)
def test_commands_are_sound(example: Example) -> None:
    """The syntax, the flags of `passerby`, the targets of make, the names of settings: also of what is not run."""
    text = "\n".join(
        line.removeprefix("$ ") for line in example.text.splitlines() if example.language == "sh" or line[:2] == "$ "
    )
    subprocess.run(("sh", "-n", "-c", text), check=True, timeout=PATIENCE)
    for command in commands(text):
        check_command(command)
    variables = set(re.findall(r"^(?:export )?([A-Z][A-Z_]+)=", text, re.MULTILINE))
    assert variables - SETTINGS - OTHER_VARIABLES == set()


@with_text(*ONLY_CHECKED)
def test_what_is_not_run_names_only_what_there_is(example: Example, coturn: str) -> None:
    assert example.language in SHELLS | {""}
    text = example.text
    assert set(re.findall(r"passerby-(\d[\d.]*\d)-py3", text)) <= {__version__}
    for option in re.findall(r"(?:-f|--file) (\S+)", text):
        assert (ROOT / option).is_file()
    if "turnutils_uclient" in text:
        client = Path(coturn).with_name("turnutils_uclient")
        said = subprocess.run((client,), capture_output=True, text=True, timeout=PATIENCE, check=False)
        known = re.findall(r"^\t(-\w)\b", said.stdout + said.stderr, re.MULTILINE)
        assert set(re.findall(r" (-\w)\b", text)) <= set(known)


def commands(text: str) -> list[str]:
    """Return the commands `passerby …`, `make …` and `python -m …` of a script, without variables before them."""
    joined = re.sub(r"\\\n\s*", " ", text)
    parts = [part for line in joined.splitlines() for part in re.split(r" && | # | \| ", line)]
    begin = r"^(?:.*?[ /])??(passerby [a-z-]+.*|make\b.*|(?:python3?) -m \S+.*)$"
    found = [re.match(begin, part.strip()) for part in parts if not part.strip().startswith(("#", "docker", "podman"))]
    return [match[1].strip().removesuffix("'") for match in found if match and not match[0].startswith(("pip", "git"))]


def check_command(command: str) -> None:
    """Let argparse, make or Python look at a command. It is not run."""
    words = shlex.split(command.replace("…", "1"), comments=True)
    if words[0] == "passerby":
        parse_passerby(words[1:])
    elif words[0] == "make":
        check_make(words[1:])
    else:
        module = words[2].replace(".", "/")
        places = [ROOT / base / f"{module}{end}" for base in ("src", ".") for end in (".py", "/__main__.py")]
        assert words[2] in ("venv", "hatchling", "pytest", "pip") or any(place.is_file() for place in places), command


def parse_passerby(words: list[str]) -> None:
    code: object = 0
    try:
        PARSER.parse_args(words)
    except SystemExit as left:
        code = left.code
    assert not code, f"passerby {shlex.join(words)}"


def check_make(words: list[str]) -> None:
    """`make -n` knows the target; what is in ARGS is understood by the program that gets it."""
    done = subprocess.run(
        ("make", "-n", *words), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    arguments = [shlex.split(word.removeprefix("ARGS=")) for word in words if word.startswith("ARGS=")]
    for given in arguments:
        if "bench" in words:
            with mock.patch.object(sys, "argv", ["benchmarks", *given]):
                benchmarks.read_arguments()
        elif "run" in words:
            parse_passerby(["serve", *given])
        else:
            assert given[0] == "-k"


_COMMAND: Final = re.compile(r"`((?:\.venv/bin/)?(?:passerby|make|python -m) [^`]+)`")
INLINE: Final = sorted(
    {
        " ".join(span.split())
        for document in DOCUMENTS
        for span in _COMMAND.findall(FENCE.sub("", document.read_text(encoding="utf-8")))
    }
)


@pytest.mark.parametrize("span", [span for span in INLINE if not logged().have(span)])
def test_commands_in_the_text_are_sound(span: str) -> None:
    """In prose and tables, a value may be left out."""
    text = span.removeprefix(".venv/bin/")
    text = re.sub(r"(--[a-z-]+)$", r"\1 1", text)
    if re.fullmatch(r"passerby [a-z]+( [a-z]+)?", text):
        text += " --help"  # a command is named, without what it needs
    check_command(text)


# ── drawings, templates, what is printed ──────────────────────────────────────────────────────────

DRAWINGS: Final = ("browser ─▶", "PUT body ─▶", "report ──▶", "caller  ", "(no call) ─")
"""Words of drawings that are made of characters."""


@that("mermaid", lambda example: example.language == "mermaid")
def test_a_diagram_has_a_known_kind_and_names_states_that_there_are(example: Example) -> None:
    assert example.text.split()[0] in ("flowchart", "stateDiagram-v2", "sequenceDiagram")
    assert set(re.findall(r"\b[A-Z]{6,}\b", example.text)) <= {*(state.name for state in State), "CONNECT", "DELETE"}
    assert set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", example.text)) <= SETTINGS
    check_events(example.text)


@with_text(*DRAWINGS)
def test_a_drawing_names_events_and_settings_that_there_are(example: Example) -> None:
    assert example.language == ""
    assert set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", example.text)) <= SETTINGS
    check_events(example.text)


def check_events(text: str) -> None:
    named = set(re.findall(r"\b(?:chat|room|user|webrtc|safety|connection|session):[a-z_:-]*[a-z]", text))
    assert named <= {event.event for event in (*INBOUND, *OUTBOUND)}


@with_text("# 0. What was decided")
def test_the_template_of_a_record_is_what_records_are(example: Example) -> None:
    record = next((ROOT / "docs" / "decisions").glob("0001-*.md")).read_text(encoding="utf-8")
    assert example.language == "markdown"
    assert re.findall(r"^## .+$", example.text, re.MULTILINE) == re.findall(r"^## .+$", record, re.MULTILINE)


@with_text("maxmemory-policy allkeys-lru: when")
def test_the_doctor_says_these_lines(example: Example) -> None:
    for line in example.text.splitlines():
        level, _, said = line.partition(" ")
        assert level in ("ok", "warning", "problem")
        assert printed().have(said.strip()), line


@with_text("[passerby.redis.watch] reason='no answer")
def test_the_log_has_these_lines_of_redis(example: Example) -> None:
    for line in example.text.splitlines():
        found = re.fullmatch(r"\[(?:warning|info) +\] (.+?) +\[passerby\.redis\.watch\]( \w+='[^']+')+", line)
        assert found is not None, line
        assert logged().have(found[1])


@with_text('"message": "passerby 0.1.0 starts"')
def test_a_line_of_the_log_is_like_this(example: Example, start_process: Callable[..., ServerProcess]) -> None:
    line = json.loads(example.text)
    process = start_process(METRICS_PORT=str(free_port()), JWT_SECRET=SECRET).wait_until_ready()
    real = next(record for record in process.records() if record["message"] == f"passerby {__version__} starts")
    assert list(real) == list(line)
    assert line["settings"].items() - {("METRICS_PORT", "9464")} <= real["settings"].items()


# ── README.md: to serve ───────────────────────────────────────────────────────────────────────────


@with_text("export TRUSTED_PROXIES=127.0.0.1\n.venv")
async def test_it_serves_behind_a_proxy(example: Example, shell: Shell) -> None:
    async def then(url: str) -> None:
        async with http_client(url) as http:
            assert (await http.get("/health/ready")).status_code == 200

    await shell.serve(replaced(example.text, {"JWT_SECRET=…": f"JWT_SECRET={'s' * 32}"}), then)


@with_text("reverse_proxy 127.0.0.1:3001\n", "proxy_pass http://127.0.0.1:3001;")
async def test_the_proxy_leads_to_the_server(example: Example, tmp_path: Path, start_server: StartServer) -> None:
    name = "caddy" if example.language == "caddyfile" else "nginx"
    assert example.text == proxy.example(example.language)
    server = await start_server(trusted_proxies=proxy.trusted_proxies())
    await leads(name, tmp_path, server.url)


@with_text("server 10.0.0.11:3001 max_fails", "server one 10.0.0.11:3001", "reverse_proxy 10.0.0.11:3001")
async def test_the_balancer_leads_to_the_servers(example: Example, tmp_path: Path, start_server: StartServer) -> None:
    name = {"caddyfile": "caddy"}.get(example.language, example.language)
    assert example.text == proxy.example(example.language, proxy.MACHINES)
    one, other = await start_server(trusted_proxies=("127.0.0.1",)), await start_server(trusted_proxies=("127.0.0.1",))
    await leads(name, tmp_path, one.url, other.url)


async def leads(name: str, folder: Path, *urls: str) -> None:
    """Ask for /health through a proxy, until it knows that its servers are well."""
    ports = [int(url.rpartition(":")[2]) for url in urls]
    with proxy.running(name, proxy.ensure(name), folder, *ports) as through:

        async def is_healthy() -> bool:
            asking = await asyncio.create_subprocess_exec(
                *("curl", "--silent", "--fail", "--cacert", through.certificate, f"{through.url}/health"),
                *("--resolve", f"{proxy.HOST}:{through.port}:127.0.0.1", "--output", os.devnull),
            )
            return await asking.wait() == 0

        await until(is_healthy)


@with_text("export REDIS_URL=redis://127.0.0.1:6379/0")
async def test_it_serves_with_redis(example: Example, shell: Shell) -> None:
    async def then(url: str) -> None:
        async with http_client(url) as http:

            async def is_normal() -> bool:
                return bool((await http.get("/health")).json()["data"]["redis"] == "normal")

            await until(is_normal)

    async with valkey() as store:
        await shell.serve(replaced(example.text, {"redis://127.0.0.1:6379/0": store.url}), then)


@with_text("export EVIDENCE_KEY_FILE=~/passerby-evidence.key")
async def test_a_moderator_is_made_and_the_console_is_there(example: Example, shell: Shell) -> None:
    output = await shell.serve(example.text, console)
    assert re.search(r"http://localhost:\d+/moderate#/setup/", output)


async def console(url: str) -> None:
    async with http_client(url) as http:
        assert (await http.get("/moderate")).status_code == 200


@with_text("export EVIDENCE_KEY_FILE=/srv")
async def test_it_asks_newcomers(example: Example, shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "srv" / "passerby"
    folder.mkdir(parents=True)
    for name in ("rules", "privacy", "contact"):
        (folder / f"{name}.md").write_text(f"# {name}\n\nBe kind.\n")

    async def then(url: str) -> None:
        await console(url)
        async with http_client(url) as http:
            house = (await http.get("/api/house")).json()["data"]
            assert (house["ageMinimum"], house["pages"]) == (18, ["rules", "privacy", "contact"])

    output = await shell.serve(replaced(example.text, {"/srv/": f"{tmp_path}/srv/"}), then)
    assert "https://chat.example/moderate#/setup/" in output


@with_text("passerby moderator add eva --role moderator")
async def test_a_link_for_a_moderator_is_printed(example: Example, shell: Shell) -> None:
    assert "https://chat.example/moderate#/setup/" in await shell.run(example.text)


@with_text("passerby serve --workers auto")
async def test_several_workers_serve(example: Example, shell: Shell) -> None:
    await shell.serve(replaced(example.text, {"auto": "2"}), nothing)


@with_text("export WORKERS=auto")
async def test_one_of_several_machines_serves(example: Example, shell: Shell) -> None:
    async with valkey() as store:
        changes = {
            "redis://:…@10.0.0.20:6379/0": store.url,
            "JWT_SECRET=…": f"JWT_SECRET={'s' * 32}",
            "WORKERS=auto": "WORKERS=2",
        }

        async def then(_url: str) -> None:
            assert await store.command("ZCARD", "alive") == 2

        await shell.serve(replaced(example.text, changes), then)


@with_text(".venv/bin/passerby doctor --url", "# whether the settings are right")
async def test_the_doctor_looks_at_the_site(example: Example, shell: Shell, start_server: StartServer) -> None:
    server = await start_server()
    printed_lines = await shell.run(replaced(example.text, {"https://chat.example": server.url}), JWT_SECRET=SECRET)
    assert f"{server.url} passes WebSockets on" in printed_lines


@with_text("passerby config check     #")
async def test_the_settings_are_shown(example: Example, shell: Shell) -> None:
    output = await shell.run(example.text, GRACE="30")
    assert re.search(r"^GRACE=30 +# environment GRACE$", output, re.MULTILINE), output


@with_text("# /etc/passerby/passerby.toml", 'redis_url_file = "/etc/passerby/redis.url"')
async def test_a_file_of_settings_is_right(example: Example, shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "passerby"
    folder.mkdir(parents=True)
    (folder / "jwt.secret").write_text("s" * 32)
    (folder / "redis.url").write_text("redis://127.0.0.1:6379/0\n")
    (folder / "passerby.toml").write_text(replaced(example.text, {"/etc/": f"{tmp_path}/etc/"}))
    output = await shell.run(f"unset PORT\npasserby config show --config {folder}/passerby.toml")
    taken = re.findall(r"^(\w+)=.*  # .*passerby\.toml", output, re.MULTILINE)
    assert {name.lower() for name in taken} == {name.removesuffix("_file") for name in tomllib.loads(example.text)}


@with_text("MEETING_HOURS='19:00-22:00")
async def test_a_house_has_hours(example: Example, shell: Shell) -> None:
    async def then(url: str) -> None:
        async with http_client(url) as http:
            status = (await http.get("/api/matching")).json()["data"]
            assert status.keys() & {"opensIn", "closesIn"}

    await shell.serve(example.text, then)


@with_text("METRICS_PORT=9464 passerby serve")
async def test_metrics_are_served(example: Example, shell: Shell) -> None:
    port = free_port()

    async def then(_url: str) -> None:
        async with http_client(f"http://127.0.0.1:{port}") as http:
            assert "passerby_guests" in (await http.get("/metrics")).text

    await shell.serve(replaced(example.text, {"9464": str(port)}), then)


@with_text("scrape_configs:")
def test_prometheus_takes_the_job_and_the_rules(example: Example, tmp_path: Path) -> None:
    (rules,) = [other.text for other in EXAMPLES if other.text.startswith("rule_files:")]
    shutil.copy(ROOT / "deploy" / "prometheus" / "passerby.rules.yaml", tmp_path)
    (tmp_path / "prometheus.yml").write_text(example.text + rules)
    prometheus.promtool("check", "config", str(tmp_path / "prometheus.yml"))


@with_text("rule_files:")
def test_the_rules_that_are_named_are_there(example: Example) -> None:
    assert example.text.split()[-1] == "passerby.rules.yaml"
    assert (ROOT / "deploy" / "prometheus" / "passerby.rules.yaml").is_file()


@with_text("passerby.matching.simulate small --ours")
async def test_the_simulator_compares_times(example: Example, shell: Shell) -> None:
    output = await shell.run(replaced(example.text, {"simulate small": "simulate tiny --hours 1"}))
    assert "4/6/10/30" in output
    assert "8/12/15/30" in output


# ── installation ──────────────────────────────────────────────────────────────────────────────────


@with_text("adduser --system")
async def test_it_is_installed_on_debian(example: Example, shell: Shell, tmp_path: Path) -> None:
    """The file of the environment that this makes starts a server; users and packages are not touched."""
    etc, venv = tmp_path / "etc", tmp_path / "opt" / "passerby" / "bin"
    (etc / "systemd" / "system").mkdir(parents=True)
    venv.mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "passerby.service", shell.folder)
    shell.stand_in("apt-get", "adduser", "python3", "pip", "systemctl")
    (venv / "pip").symlink_to(tmp_path / "bin" / "pip")
    changes = {"/etc/": f"{etc}/", "/opt/": f"{tmp_path}/opt/", " -g passerby": ""}
    await shell.run(replaced(example.text, changes))
    assert f"pip install ./passerby-{__version__}-py3-none-any.whl[workers]" in shell.noted
    assert shell.noted[-1] == "systemctl enable --now passerby"
    unit = (etc / "systemd" / "system" / "passerby.service").read_text()
    assert "EnvironmentFile=/etc/passerby/passerby.env" in unit
    environment = dict(line.split("=", 1) for line in (etc / "passerby" / "passerby.env").read_text().splitlines())
    for name, path in re.findall(r"^LoadCredential=(\w+):/etc/(\S+)$", unit, re.MULTILINE):
        (setting,) = re.findall(rf"^Environment=(\w+)=%d/{name}$", unit, re.MULTILINE)
        environment[setting] = str(etc / path)
        assert (etc / path).stat().st_mode & 0o077 == 0
    chosen = load(environment)
    assert chosen.jwt_secret is not None
    assert chosen.evidence_key_file == f"{etc}/passerby/evidence_key"
    await shell.run("passerby doctor | grep -q 'key of evidence is set'", **environment | {"WORKERS": "1"})


@with_text("LoadCredential=turn_secret:")
def test_another_credential_is_given_as_those_of_the_unit(example: Example) -> None:
    unit = (ROOT / "deploy" / "passerby.service").read_text(encoding="utf-8")
    for line in example.text.splitlines()[1:]:
        assert line.replace("turn", "jwt").replace("TURN", "JWT") in unit.splitlines()


@with_text("passerby.env \\\n    /opt/passerby/bin/passerby moderator")
async def test_a_moderator_is_made_as_the_service(example: Example, shell: Shell) -> None:
    shell.stand_in("systemd-run")
    await shell.run(example.text)
    (called,) = shell.noted
    unit = (ROOT / "deploy" / "passerby.service").read_text(encoding="utf-8")
    for wanted in re.findall(r"-p (\S+)", called):
        assert f"\n{wanted}\n" in unit
    program, _, command = called.rpartition(" moderator ")
    assert f"ExecStart={program.split()[-1]} " in unit
    parse_passerby(["moderator", *command.split()])


@with_text("sh -c 'exec /opt/passerby/bin/passerby doctor")
async def test_the_doctor_has_the_secrets_of_the_service(example: Example, shell: Shell, tmp_path: Path) -> None:
    """The part behind `sh -c` runs, with files where systemd puts credentials; `--url` is nobody."""
    shell.stand_in("systemd-run")
    await shell.run(example.text)
    called = "\n".join(shell.noted)
    unit = (ROOT / "deploy" / "passerby.service").read_text(encoding="utf-8")
    for wanted in re.findall(r"-p (\S+)", called):
        assert f"\n{wanted}\n" in unit
    (tmp_path / "jwt_secret").write_text(SECRET)
    (tmp_path / "evidence_key").write_text(base64.b64encode(bytes(32)).decode())
    (inner,) = re.findall(r"sh -c '(.*)'", example.text, re.DOTALL)
    changes = {"exec /opt/passerby/bin/passerby": "passerby", "https://chat.example": f"http://127.0.0.1:{free_port()}"}
    output = await shell.run(f"{replaced(inner, changes)} || test $? = 1", CREDENTIALS_DIRECTORY=str(tmp_path))
    assert "key of evidence is set" in output
    assert "JWT_SECRET is not set" not in output


@with_text("pip install --upgrade passerby\nkill -HUP")
async def test_the_parent_is_told_to_replace_its_workers(example: Example, shell: Shell) -> None:
    """A process that only waits stands for the parent."""
    default = partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
    parent = await asyncio.create_subprocess_exec("sleep", "600", preexec_fn=default)
    shell.stand_in("pip")
    shell.stand_in("systemctl", says=str(parent.pid))
    await shell.run(example.text)
    assert await asyncio.wait_for(parent.wait(), PATIENCE) == -1  # SIGHUP
    assert shell.noted == ["pip install --upgrade passerby", "systemctl show --property MainPID --value passerby"]


@with_text("bin/passerby config check\nsystemctl restart")
async def test_one_process_is_upgraded(example: Example, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "opt" / "passerby" / "bin").mkdir(parents=True)
    shell.stand_in("pip", "systemctl")
    for name in ("pip", "passerby"):
        (tmp_path / "opt" / "passerby" / "bin" / name).symlink_to(tmp_path / "bin" / name)
    output = await shell.run(replaced(example.text, {"/opt/": f"{tmp_path}/opt/"}))
    assert "the settings are right" in output
    assert shell.noted == [
        f"pip install --upgrade ./passerby-{__version__}-py3-none-any.whl[workers]",
        "systemctl restart passerby",
    ]


@with_text("docker compose up --detach --build --wait")
async def test_compose_gets_its_secrets(example: Example, shell: Shell) -> None:
    shutil.copytree(ROOT / "deploy", shell.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("secrets", ".env"))
    shell.stand_in("docker")
    await shell.run(example.text)
    secrets = shell.folder / "secrets"
    relay = (secrets / "turnserver.conf").read_text()
    assert f"\nstatic-auth-secret={(secrets / 'turn_secret').read_text().strip()}\n" in relay
    assert "\nrealm=turn.example\n" in relay
    compose = msgspec.yaml.decode((ROOT / "deploy" / "compose.yaml").read_bytes())
    named = set(re.findall(r"\$\{(\w+)", (ROOT / "deploy" / "compose.yaml").read_text()))
    assert named <= {line.split("=")[0] for line in (shell.folder / ".env").read_text().splitlines()}
    files = {secret["file"] for secret in compose.get("secrets", {}).values()}
    assert all((shell.folder / name).is_file() for name in files)
    given = {name: text for name, text in compose["services"]["passerby"]["environment"].items() if name in SETTINGS}
    given |= {
        name: str(shell.folder / compose["secrets"][text.rpartition("/")[2]]["file"])
        for name, text in given.items()
        if text.startswith("/run/secrets/")
    }
    chosen = load({name: text for name, text in given.items() if "$" not in text})
    assert chosen.jwt_secret is not None
    assert chosen.turn_secret == (secrets / "turn_secret").read_text().strip()
    up, add = shell.noted
    assert up == "docker compose up --detach --build --wait"
    service, *command = add.removeprefix("docker compose exec ").split()
    assert service in compose["services"]
    parse_passerby(command[1:])


@with_text("apt-get install coturn")
async def test_coturn_gets_its_secret(example: Example, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    shutil.copytree(ROOT / "deploy" / "coturn", shell.folder / "coturn")
    shell.stand_in("apt-get", "systemctl")
    await shell.run(replaced(example.text, {"/etc/": f"{tmp_path}/etc/", " -g turnserver": ""}))
    written = (tmp_path / "etc" / "turnserver.conf").read_text()
    assert re.search(r"^static-auth-secret=[0-9a-f]{64}$", written, re.MULTILINE)
    assert "\nrealm=turn.example\n" in written
    assert shell.noted == ["apt-get install coturn", "systemctl restart coturn"]


@with_text("STUN_URLS=stun:turn.example:3478")
async def test_the_settings_for_calls_are_right(example: Example, shell: Shell) -> None:
    given = replaced(example.text, {"TURN_SECRET=…": f"TURN_SECRET={'s' * 32}"})
    await shell.run(f"set -a\n{given}\npasserby config check")


@with_text("external-ip=203.0.113.7/10.0.0.7")
def test_coturn_knows_the_options_behind_nat(example: Example, coturn: str) -> None:
    said = subprocess.run((coturn, "--help"), capture_output=True, text=True, timeout=PATIENCE, check=False)
    for line in example.text.splitlines():
        assert f"--{line.split('=')[0]}" in said.stdout + said.stderr


# ── what operators write and read ─────────────────────────────────────────────────────────────────


@with_text("$ valkey-cli GET active_user_count")
async def test_what_is_in_redis_can_be_read(example: Example, shell: Shell, start_server: StartServer) -> None:
    async with valkey() as store:
        server = await start_server(redis_url=store.url)
        (account, _), _, _ = await server.pair()

        async def is_there() -> bool:
            return await store.command("GET", "active_user_count") == b"2" and bool(
                await store.command("ZCARD", "rooms")
            )

        await until(is_there)
        (node,) = await store.command("ZRANGE", "rooms", 0, -1)
        await until(lambda: store.command("ZCARD", b"rooms:" + node))
        shell.program("valkey-cli", f'exec {sys.executable} -m tests.documents.valkey_cli {store.path} "$@"')
        session = re.search(r"guest:(\w+)", example.text)
        assert session is not None
        text = replaced(example.text, {session[1]: account.session_id, "node_9f2c0a4be117": node.decode()})
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            real = await shell.run(command)
            assert re.fullmatch(like(expected), real), (command, real)


def like(printed_before: str) -> str:
    """Return a pattern of what is printed now: other numbers, ids and names, and anything for an ellipsis."""
    pattern = re.escape(printed_before).replace("\\ …", ".+")
    pattern = re.sub(r'("(?:id|username)":)"\w+"', r'\1"\\w+"', pattern)
    return re.sub(r"(?<![\w\\])\d+(?!\w)", r"\\d+", pattern)


@with_text('{"redis": {"state": "normal", "degraded": 1')
async def test_the_counts_of_redis_are_these(example: Example, start_server: StartServer) -> None:
    example_of = json.loads(example.text)
    async with valkey() as store:
        server = await start_server(redis_url=store.url)
        answer = await server.http.get("/api/socket/stats")
        real = answer.json()
        real = real.get("data", real)
        assert shape(example_of["redis"]) == shape(real["redis"])
        msgspec.convert(real | example_of, SocketStats)


@with_text("buy followers")
def test_a_list_of_words_is_read(example: Example) -> None:
    words = WordList(example.text)
    assert words.look("Please BUY  followers").rule == "other"
    assert words.look("see https://www.spam.example/x").holds
    assert words.look("someword", ("en",)).rule == "hate"
    assert not words.look("someword", ("de",)).holds
    assert not words.look("somewords", ("en",)).holds


@with_text('{"kind": "picture", "author"')
def test_the_header_about_an_item_is_this(example: Example) -> None:
    assert has(builtin(msgspec.json.decode(example.text, type=_About, strict=True)), json.loads(example.text))


@with_text("def is_ours(")
def test_a_service_knows_that_a_question_is_ours(example: Example) -> None:
    names: dict[str, Any] = {}
    exec(example.text, names)  # noqa: S102 - the document's own
    signature = sign(SECRET.encode(), 1764250000, '{"kind": "text"}', b"hello")
    assert names["is_ours"](SECRET, signature, '{"kind": "text"}', b"hello")
    assert not names["is_ours"](SECRET, signature, '{"kind": "text"}', b"hullo")


@with_text('[project.entry-points."passerby.hooks"]')
async def test_a_package_brings_a_hook(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_server: StartServer
) -> None:
    ((name, place),) = tomllib.loads(example.text)["project"]["entry-points"]["passerby.hooks"].items()
    module, made = place.split(":")
    (tmp_path / f"{module}.py").write_text(
        f"from passerby.safety.hook import ALLOW, Verdict\n\n\nclass {made}:\n    name = '{name}'\n"
        "    kinds = {'text'}\n\n    async def check(self, item):\n"
        "        return Verdict(holds=True) if item.content.isupper() else ALLOW\n\n"
        "    async def close(self):\n        pass\n"
    )
    about = tmp_path / f"{module}-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[passerby.hooks]\n{name} = {place}\n")
    monkeypatch.syspath_prepend(tmp_path)
    server = await start_server()
    (_, one), (_, other), _ = await server.pair()
    await one.emit("chat:message", {"type": "text", "content": "BUY NOW"})
    await one.until("chat:error", code="message_held")
    await one.say("hello")
    await other.until("chat:message")


# ── docs/protocol.md ──────────────────────────────────────────────────────────────────────────────

EVENTS: Final = {"From the client": INBOUND, "From the server": OUTBOUND}


def side(example: Example) -> str:
    """Return who sends the event of an example in the section about events; "" for all others."""
    if example.document != "docs/protocol.md" or example.language != "json" or not example.heading.startswith("`"):
        return ""
    before = (ROOT / example.document).read_text(encoding="utf-8").splitlines()[: example.line]
    return str(re.findall(r"^### (.+)$", "\n".join(before), re.MULTILINE)[-1])


@that("an event", lambda example: side(example) in EVENTS)
def test_an_example_of_an_event_is_one(example: Example) -> None:
    events = {event.event: event for event in EVENTS[side(example)]}
    named = [name for name in re.findall(r"`([^`]+)`", example.heading) if name in events]
    beside = [other for other in EXAMPLES if other.document == example.document and other.heading == example.heading]
    beside = [other for other in beside if side(other) == side(example)]
    if len(beside) == len(named):  # one for each
        named = [named[beside.index(example)]]
    text = example.text.replace('"v=0…"', '"v=0\\r\\n"')  # the rest of a description is left out
    given = json.loads(text)
    decoded = [builtin(msgspec.json.decode(text, type=events[name], strict=True)) for name in named]
    assert decoded
    known: set[str] = set().union(*(event.__struct_encode_fields__ for event in map(events.__getitem__, named)))
    assert set(given) <= known
    assert any(has(one, given) for one in decoded) or len(named) > 1


@with_text(
    '"appealCode": "GEZDG-NBVGY',
    '"answer": "We have read the whole',
    '"usualWait": 41.5, "closesIn"',
    '"fileId": "file_Zt3Vn0hGqk5wXo2RrJdE9sLb", "filename"',
)
def test_an_example_of_an_answer_is_one(example: Example) -> None:
    given = json.loads(example.text)
    types: dict[str, Any] = {"since": BanNotice, "state": AppealStatus, "waiting": MatchingStatus, "fileId": FileInfo}
    (kind,) = [kind for name, kind in types.items() if name in given]
    decoded = builtin(msgspec.convert(given, kind, strict=True))
    assert has(decoded, {name: value for name, value in given.items() if value is not False})  # false is left out


@with_text('{"username": "CoolPanda", "bornOn"')
async def test_a_newcomer_who_says_this_may_come(example: Example, tmp_path: Path, start_server: StartServer) -> None:
    files = {}
    for name in ("rules", "privacy", "contact"):
        (tmp_path / f"{name}.md").write_text(f"# {name}\n\nBe kind.\n")
        files[f"{name}_file"] = str(tmp_path / f"{name}.md")
    server = await start_server(age_minimum=18, **files)
    house = (await server.http.get("/api/house")).json()["data"]
    (shown,) = [json.loads(other.text) for other in EXAMPLES if other.text.startswith('{"ageMinimum"')]
    assert shape({"ageCheck": False, **house}) == shape(shown)
    refused = await server.http.post("/api/guest", json=json.loads(example.text))
    assert refused.json()["code"] == "rules_required"
    answer = await server.http.post("/api/guest", json=json.loads(example.text) | {"rules": house["rules"]})
    assert answer.status_code == 201, answer.text


@with_text('{"ageMinimum": 18, "ageCheck"')
def test_what_a_house_asks_is_told_like_this(example: Example) -> None:
    assert set(json.loads(example.text)) == set(House.__struct_encode_fields__)
    msgspec.json.decode(example.text, type=House, strict=True)


@with_text('location = f"{back}#')
async def test_a_provider_answers_like_this(example: Example, start_server: StartServer) -> None:
    server = await start_server(age_minimum=18, age_url="https://age.example/check", age_secret=SECRET)
    asked = await server.http.get("/api/age", params={"return": f"{server.url}/"})
    question = dict(parse_qsl(urlsplit(asked.headers["Location"]).query))
    names: dict[str, Any] = {
        "hmac": hmac,
        "urlencode": urlencode,
        "AGE_SECRET": SECRET,
        "result": "of_age",
        "state": question["state"],
        "back": question["return"],
    }
    exec(example.text, names)  # noqa: S102 - the document's own
    back = dict(parse_qsl(urlsplit(names["location"]).fragment))
    proof = f"{back['state']}.{back['result']}.{back['signature']}"
    answer = await server.http.post("/api/guest", json={}, headers={"Age-Proof": proof})
    assert answer.status_code == 201, answer.text


@with_text('"keyPrefix": "88d11ce5')
async def test_a_challenge_is_like_this(example: Example, start_server: StartServer) -> None:
    server = await start_server(proof_of_work="always")
    answer = await server.http.post("/api/guest", json={})
    assert answer.status_code == 428
    assert shape(answer.json()) == shape(json.loads(example.text))
    msgspec.json.decode(example.text, type=Failure, strict=True)


@with_text("altcha.solve_challenge(challenge)")
async def test_a_challenge_is_solved_like_this(example: Example, start_server: StartServer) -> None:
    url = (await start_server(proof_of_work="always")).url
    told: list[int] = []

    class Noting(requests.Session):
        def post(self, *arguments: Any, **named: Any) -> requests.Response:  # noqa: ANN401 - as in requests
            answer = super().post(*arguments, **named)
            told.append(answer.status_code)
            return answer

    def ask() -> None:
        with Noting() as session:
            answer = session.post(f"{url}/api/guest", json={}).json()
            exec(example.text, {"altcha": altcha, "requests": session, "answer": answer, "url": url})  # noqa: S102 - ours

    await asyncio.to_thread(ask)
    assert told == [428, 201]


@with_text('-d \'{"username": "CoolPanda"}\'')
async def test_curl_makes_a_session(example: Example, shell: Shell, start_server: StartServer) -> None:
    server = await start_server()
    answer = json.loads(await shell.run(replaced(example.text, {"http://localhost:3001": server.url})))
    (shown,) = [json.loads(other.text) for other in EXAMPLES if '"message": "Guest session created"' in other.text]
    assert has(shape(answer), shape(shown))
    assert answer["message"] == shown["message"]
    assert answer["data"]["user"]["username"] == "CoolPanda"


@with_text('"message": "Guest session created"')
def test_a_new_session_is_told_like_this(example: Example) -> None:
    given = json.loads(example.text)
    given["data"].setdefault("device", "")
    msgspec.convert(given, Success[GuestCreated], strict=True)


@with_text("/api/reports/status")
async def test_curl_asks_about_a_report(example: Example, shell: Shell, start_server: StartServer) -> None:
    server = await start_server()
    (_, one), _, _ = await server.pair()
    await one.emit("safety:report", {"reason": "spam"})
    receipt = (await one.until("safety:reported"))["receipt"]
    changes = {"http://localhost:3001": server.url, "GEZDG-NBVGY-…": receipt}
    answer = json.loads(await shell.run(replaced(example.text, changes)))
    assert answer["data"]["state"] == "waiting"


@with_text("https://chat.example/api/version")
async def test_curl_asks_for_the_version(example: Example, shell: Shell, start_server: StartServer) -> None:
    server = await start_server()
    command, answer = example.text.removeprefix("$ ").split("\n", 1)
    output = await shell.run(replaced(command, {"https://chat.example": server.url}))
    assert builtin(msgspec.json.decode(output)) == msgspec.json.decode(answer)


@with_text("curl -X PUT")
async def test_curl_sends_a_file(example: Example, shell: Shell, start_server: StartServer) -> None:
    server = await start_server()
    (account, _), _, room = await server.pair()
    (shell.folder / "cafe.jpg").write_bytes(
        bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb004300")
        + b"\x01" * 64
        + bytes.fromhex(
            "ffc0000b080001000101011100ffc40014000100000000000000000000000000000009ffda0008010100003f0054ffd9"
        )
    )
    sent = await shell.run(
        replaced(example.text, {"http://localhost:3001": server.url}), ROOM=str(room["roomId"]), TOKEN=account.token
    )
    assert json.loads(sent)["data"]["filename"] == "café.jpg"


@with_text("import { io } from 'socket.io-client'")
async def test_the_clients_meet_and_talk(example: Example, tmp_path: Path, start_server: StartServer) -> None:
    """The one in JavaScript and the one in Python."""
    (python,) = [other.text for other in EXAMPLES if "sio = socketio.AsyncClient()" in other.text]
    server = await start_server()
    (tmp_path / "client.mjs").write_text(example.text)
    (tmp_path / "client.py").write_text(python)
    (tmp_path / "node_modules").symlink_to(ROOT / "web" / "node_modules")
    clients = [
        await asyncio.create_subprocess_exec(
            *command,
            server.url,
            cwd=tmp_path,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=asyncio.subprocess.PIPE,
        )
        for command in (("node", "client.mjs"), (sys.executable, "client.py"))
    ]
    try:
        async with asyncio.timeout(2 * PATIENCE):
            for client in clients:
                assert client.stdout is not None
                said = ""
                while ": Hello " not in said:
                    line = (await client.stdout.readline()).decode()
                    assert line, said
                    said += line
                assert "connected as" in said
                assert "met " in said
            clients[0].send_signal(2)
            assert clients[1].stdout is not None
            while (line := (await clients[1].stdout.readline()).decode()) != "ended: the partner left\n":
                assert line
    finally:
        for client in clients:
            if client.returncode is None:
                client.kill()
            await client.communicate()


@with_text("sio = socketio.AsyncClient()")
def test_the_client_in_python_is_valid(example: Example) -> None:
    compile(example.text, "client.py", "exec")  # the test above runs it


# ── CONTRIBUTING.md ───────────────────────────────────────────────────────────────────────────────


@with_text("pytest tests/chat/test_rooms.py -k away")
def test_commands_for_one_test_select_some(example: Example) -> None:
    """They are not run: all tests are, by other commands."""
    for line in example.text.splitlines():
        command = shlex.split(line, comments=True)
        files = [word for word in command if word.endswith((".py", ".ts"))]
        folder = ROOT / "web" if command[0] == "cd" else ROOT
        texts = [(folder / file).read_text(encoding="utf-8") for file in files]
        if "make" in command:
            check_command(line)
            command = shlex.split(command[-1].removeprefix("ARGS="))
            texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "e2e").glob("test_*.py")]
        assert texts
        for flag in {"-k", "-t"} & set(command):
            chosen = command[command.index(flag) + 1]
            assert any(chosen in text for text in texts) or chosen in backends.BACKENDS, line


WAVE: Final = (
    "class Wave(Event):",
    "chat.Waved(**_PARTNER_IS)",
    "def wave(self, guest",
    "on(chat_events.Wave,",
    "def _wave(self, live",
    "wave_limit: Annotated",
)
"""Words of the steps of one change."""


@with_text(WAVE[0])
async def test_an_event_is_added_as_the_guide_says(
    example: Example, tmp_path: Path, start_process: Callable[..., ServerProcess]
) -> None:
    """And a setting, in a copy of the server: a guest waves, and the partner sees it."""
    define, shown, serve, register, handle, setting = (
        next(other.text for other in EXAMPLES if text in other.text) for text in WAVE
    )
    package = tmp_path / "passerby"
    shutil.copytree(ROOT / "src" / "passerby", package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    (package / "static").symlink_to(ROOT / "src" / "passerby" / "static")

    def put(path: str, *changes: tuple[str, str]) -> None:
        text = (package / path).read_text(encoding="utf-8")
        for before, new in changes:
            assert text.count(before) == 1, before
            text = text.replace(before, new + before)
        (package / path).write_text(text, encoding="utf-8")

    put(
        "chat/events.py",
        ("INBOUND: tuple", f"{define}\n\n"),
        ("    SendMessage,\n    ConfirmDelivery,\n", "    Wave,\n"),
        ("    TypingStarted,\n    TypingStopped,\n)", "    Waved,\n"),
    )
    put(
        "chat/rooms.py",
        ("    # ── away and back", textwrap.indent(serve, "    ") + "\n"),
        ("class Rooms", "from passerby.chat.events import Waved\n\n\n"),
    )
    put("realtime/examples.py", ("    chat.TypingStart(),\n", textwrap.indent(shown.replace("\n", ",\n"), "    ")))
    put(
        "realtime/gateway.py",
        ("        on(chat_events.TypingStop,", textwrap.indent(register, "        ")),
        ("    def _typing_start(", textwrap.indent(handle, "    ") + "\n"),
    )
    put("settings.py", ("    grace: ", textwrap.indent(setting, "    ")))
    process = start_process(PYTHONPATH=str(tmp_path), WAVE_LIMIT="7").wait_until_ready()
    started = next(record for record in process.records() if "settings" in record)
    assert started["settings"]["WAVE_LIMIT"] == "7"
    async with http_client(process.url) as http:
        server = RunningServer(process.url, http)
        (anna, one), (_, other), _ = await server.pair()
        await one.emit("chat:wave", {})
        waved = await other.until("chat:waved")
        assert waved == {"userId": anna.id, "username": anna.username}
        await server.close()


@with_text(*WAVE[1:])
def test_parts_of_the_guide_are_valid(example: Example) -> None:
    compile(example.text, "part.py", "exec")  # the test above runs them


@with_text('BLOBS = {"memory": memory_blobs', "class RedisQueueBackend(MemoryBackend)")
def test_an_adapter_is_tested_like_this(example: Example) -> None:
    names = vars(backends) | {"object_blobs": None, "RedisMatchQueue": None}
    names.setdefault("MatchQueue", None)
    exec(example.text, names)  # noqa: S102 - the document's own
    assert set(backends.BLOBS) >= {"memory", "disk"}
    if "RedisQueueBackend" in names:
        assert hasattr(backends.MemoryBackend, "match_queue")


@with_text("const french = ", "fr: { name: 'Français'")
async def test_a_language_is_added_like_this(example: Example, shell: Shell) -> None:
    """TypeScript finds no mistake in the syntax, and a language of now has the same keys."""
    text = f"export const l = {{ {example.text} }};" if example.text.startswith("fr:") else example.text
    script = (
        "const ts = require('typescript'); const read = ts.transpileModule(process.argv[1], {reportDiagnostics: true});"
        "for (const { messageText } of read.diagnostics) { console.error(messageText); process.exitCode = 1; }"
    )
    await shell.run(f"exec node -e {shlex.quote(script)} {shlex.quote(text)}", NODE_PATH=str(ROOT / "web/node_modules"))
    words = ROOT / "web" / "src" / "words"
    like_it = words / ("languages.ts" if example.text.startswith("fr:") else "de.ts")
    for key in re.findall(r"(\w+): (?:'|\(\) =>)", example.text):
        assert re.search(rf"\b{key}: ", like_it.read_text(encoding="utf-8")), key
