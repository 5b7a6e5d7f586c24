"""SIGHUP: what a running server takes over of changed settings, and that it is then as if started with them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from passerby.app import Application
from passerby.background import Background
from passerby.limits import Rate
from passerby.reloading import Change, Reloading
from passerby.settings import Configuration, Settings, SettingsError, examine
from passerby.workers.parent import FIXED
from tests.support.client import PATIENCE
from tests.support.clock import ManualClock, turns
from tests.support.server import SECRET, http_client, running
from tests.support.valkey import until as support_until
from tests.support.workers import workers_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import ServerProcess

HOOK = {"hook_url": "https://check.example/", "hook_secret": "h" * 32}
AGE = {"age_url": "https://age.example/", "age_secret": "a" * 32}
BASE = Settings(jwt_secret=SECRET, turn_secret="t" * 32, age_minimum=18, max_connections=500, **HOOK, **AGE)  # type: ignore[arg-type]
OTHERS: dict[str, Any] = {
    "stun_urls": ("stun:turn.example:3478",),
    "turn_urls": ("turn:turn.example:3478",),
    "turn_secret": "u" * 32,
    "meeting_hours": ("19:00-22:00",),
    "meeting_timezone": "Europe/Berlin",
    "proof_of_work": "always",
    "hook_url": "https://other.example/",
    "hook_secret": "g" * 32,
    "hook_checks": ("text",),
    "hook_fails": "closed",
    "jwt_secret": "another secret of the tests, long enough",
    "jwt_secret_previous": "a former secret of the tests, long enough",
    "max_connections": 400,
    "age_secret": "b" * 32,
    "trusted_proxies": ("10.0.0.0/8",),
    "moderate_addresses": ("10.0.0.0/8",),
}
"""Another value of each setting that is no number and no rate."""
FILES = {"word_list": "colour\n", "picture_list": "0" * 64 + "\n"}
LOG = {"log_level", "log_format"}
NAMES = sorted(Application(BASE, ManualClock()).reloading.names - LOG)


def other(name: str, tmp_path: Path) -> object:
    """Return another value of a setting than the one in BASE."""
    if name in FILES:
        (tmp_path / name).write_text(FILES[name])
        return str(tmp_path / name)
    value = getattr(BASE, name)
    if name in OTHERS:
        return OTHERS[name]
    if isinstance(value, int | float):
        return type(value)(value * 2 or 1 << 30)
    return value.scaled(2)


def state(application: Application) -> dict[str, object]:
    """Return everything that a change may reach."""
    services = application.services
    return {
        "rates": dict(application._rates),
        "uploads": services.files.rate,
        "events": application._events._rate,
        "console": application.moderation.requests._rate,
        "networks": application.moderation.networks._networks,
        "buckets": {
            name: vars(buckets)["take_at_once"].__self__._rate for name, buckets in services.adapters.buckets.items()
        },
        "guard": (application.guard._limit, application.guard.addresses._limits),
        "text": application.gateway.text_limit,
        "limits": msgspec.to_builtins(services.limits),
        "quotas": (services.files.space.quotas, services.files.space.addresses._limits),
        "room": (services.guests.limit, services.memory.limit),
        "pressure": (services.pressure._mode, services.pressure._rates, services.pressure._house_rate),
        "hours": (services.hours._ranges, str(services.hours._zone), services.hours._is_always),
        "ice": {name: value for name, value in vars(services.ice).items() if name != "_clock"},
        "tokens": (services.tokens.secret, services.tokens._accepted),
        "links": services.links._keys,
        "hooks": [
            (type(asked.hook), asked.hook.kinds, asked._without, vars(asked.hook).get("_url"))
            for asked in services.checks._hooks.members
        ],
        "deadline": services.checks._deadline,
        "kinds": services.checks.kinds,
        "hook secret": [vars(asked.hook).get("_secret") for asked in services.checks._hooks.members],
        "age": services.newcomers.checks and services.newcomers.checks._secret,
        "proxies": application._address._trusted._networks,
        "options": application.server.engine.options,
        **{
            name: getattr(services.settings, name)
            for name in ("drain_seconds", "stop_notice", "stop_patience", "stop_away")
        },
    }


@pytest.mark.parametrize("name", NAMES)
async def test_a_change_is_the_same_as_a_start_with_it(name: str, tmp_path: Path) -> None:
    new = msgspec.structs.replace(BASE, **{name: other(name, tmp_path)})
    changed = Application(BASE, ManualClock())
    before = state(changed)
    await changed.reloading.take(Configuration(new, [], [], []))
    assert state(changed) == state(Application(new, ManualClock()))
    assert state(changed) != before
    assert changed.services.settings == new


def test_the_documents_say_what_can_change() -> None:
    text = (Path(__file__).parents[1] / "docs" / "upgrading.md").read_text(encoding="utf-8")
    one, workers = text.split("**One process** takes over")[1].split("**With workers**")
    table = one.split("\n\n")[1]
    rows = "".join(re.sub(r"; the pages of.*", "", line) for line in table.splitlines())
    said = {name.lower() for name in re.findall(r"`([A-Z_]+)`", rows)}
    rates = {name for name in Settings.__struct_fields__ if name.startswith("limit_")}
    assert said | rates == Application(BASE, ManualClock()).reloading.names
    assert {name.lower() for name in re.findall(r"`([A-Z_]+)`", workers.split("\n\n")[0])} == set(FIXED)


async def test_guests_and_addresses_that_are_here_have_the_new_rates_and_what_they_took_counts() -> None:
    application = Application(BASE, ManualClock())
    limit = application.services.adapters.buckets["sessions"]
    burst = int(BASE.limit_address_sessions.burst)
    for address in ("192.0.2.1", "2001:db8::1"):
        assert [limit.take_at_once(address) for _ in range(burst)] == [0.0] * burst
        assert limit.take_at_once(address) > 0
    rate = Rate(2 * burst, BASE.limit_address_sessions.per_second)
    doubled = msgspec.structs.replace(BASE, limit_address_sessions=rate)
    await application.reloading.take(Configuration(doubled, [], [], []))
    for address in ("192.0.2.1", "2001:db8::1"):
        taken = 0
        while not limit.take_at_once(address):
            taken += 1
        assert taken == burst


async def test_what_is_wrong_changes_nothing_and_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    application = Application(BASE, ManualClock())
    before = state(application)
    await application.reloading.take(examine({"PORT": "eighty", "TEXT_LIMIT": "7"}))
    await application.reloading.take(
        Configuration(msgspec.structs.replace(BASE, word_list=str(tmp_path / "no"), text_limit=7), [], [], [])
    )
    assert state(application) == before
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "PORT" in vars(caplog.records[0])["problem"]
    assert "WORD_LIST" in vars(caplog.records[1])["problem"]


async def test_what_needs_a_restart_is_named_each_time_and_keeps_its_value(caplog: pytest.LogCaptureFixture) -> None:
    application = Application(BASE, ManualClock())
    for _ in range(2):
        caplog.clear()
        await application.reloading.take(
            Configuration(msgspec.structs.replace(BASE, port=80, jwt_secret=None, text_limit=7), [], [], [])
        )
        assert {vars(record)["setting"] for record in caplog.records if record.levelname == "WARNING"} == {
            "PORT",
            "JWT_SECRET",
        }
        assert application.services.settings == msgspec.structs.replace(BASE, text_limit=7)


async def test_what_is_read_is_read_before_anything_changes_and_beside_the_event_loop() -> None:
    threads: list[int] = []

    def fail(_: Settings) -> Callable[[], object]:
        threads.append(threading.get_ident())
        raise SettingsError("no")

    taken: list[Settings] = []
    reloading = Reloading(
        BASE,
        [Change(frozenset({"text_limit"}), taken.append), Change(frozenset({"word_list"}), prepare=fail)],
        Background(ManualClock()),
        taken.append,
    )
    await reloading.take(Configuration(msgspec.structs.replace(BASE, text_limit=7), [], [], []))
    assert taken == []
    assert threads
    assert threading.get_ident() not in threads


async def test_many_who_ask_at_once_have_the_settings_read_twice() -> None:
    background, read, may_go = Background(ManualClock()), 0, threading.Event()

    def reread() -> Configuration:
        nonlocal read
        read += 1
        may_go.wait(PATIENCE)
        return Configuration(BASE, [], [], [])

    reloading = Reloading(BASE, [], background, lambda _: None)
    for _ in range(50):
        reloading.ask(reread)
    await turns()
    for _ in range(50):
        reloading.ask(reread)
    may_go.set()
    await background.settle()
    assert read == 2


# ── with a real process ───────────────────────────────────────────────────────────────────────────


class Configured:
    """A server with a file of settings."""

    def __init__(self, start: Callable[..., ServerProcess], path: Path, **settings: object) -> None:
        self.path = path / "passerby.toml"
        self.write(jwt_secret=SECRET, **settings)
        self.process = start("--config", str(self.path)).wait_until_ready()
        self._times = 0

    def write(self, **settings: object) -> None:
        self.settings = settings
        self.path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))

    def records(self, message: str) -> list[dict[str, Any]]:
        return [record for record in self.process.records() if message in record["message"]]

    async def reload(self, said: str = "the settings were read again", **settings: object) -> dict[str, Any]:
        """Change settings, and wait until the server says something of it."""
        self.write(**{**self.settings, **settings})
        before = len(self.records(said))
        os.kill(self.process.pid, signal.SIGHUP)
        await until(lambda: len(self.records(said)) > before)
        return self.records(said)[-1]


async def until(condition: Callable[[], bool]) -> None:
    async def holds() -> bool:
        return condition()

    await support_until(holds)


async def test_a_conversation_goes_on_while_limits_lists_and_secrets_change(
    start_process: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    words = tmp_path / "words"
    words.write_text("colour\n")
    server = Configured(start_process, tmp_path, word_list=str(words), consent=["none"])
    async with running(server.process) as guests:
        (anna, one), (_, other), _ = await guests.pair()
        await one.say("a flower")
        await other.until("chat:message")

        words.write_text("flower\n")
        assert (await server.reload())["settings"] == {}
        await one.emit("chat:message", {"type": "text", "content": "a flower"})
        assert (await one.until("chat:error"))["code"] == "message_held"
        await one.say("a colour")
        assert (await other.until("chat:message"))["content"] == "a colour"

        told = await server.reload(text_limit=5, log_level="debug")
        assert told["settings"] == {"TEXT_LIMIT": "5", "LOG_LEVEL": "debug"}
        await one.emit("chat:message", {"type": "text", "content": "too long"})
        assert (await one.until("chat:error"))["code"] == "text_too_long"
        assert (await guests.http.get("/api/limits")).json()["data"]["textLength"] == 5

        new = "a new secret of the tests, long enough too"
        told = await server.reload(jwt_secret=new, jwt_secret_previous=SECRET)
        assert told["settings"] == {"JWT_SECRET": "(set)", "JWT_SECRET_PREVIOUS": "(set)"}
        late = await guests.newcomer()
        for account in (anna, late):
            assert (await guests.http.get("/api/stats", headers=account.headers)).status_code == 200
        server.settings.pop("jwt_secret_previous")
        await server.reload(jwt_secret=new)
        answers = [await guests.http.get("/api/stats", headers=account.headers) for account in (anna, late)]
        assert [answer.status_code for answer in answers] == [401, 200]
        assert not any(secret in line for line in server.process.lines for secret in (SECRET, new))

        await one.say("still")
        assert (await other.until("chat:message"))["content"] == "still"
        wrong = await server.reload("the settings are wrong, so nothing is taken over", text_limit=-1)
        assert "text_limit" in wrong["problem"].lower()
        await one.say("here")
    assert server.process.terminate() == 0


async def test_workers_are_replaced_and_have_the_new_settings(
    start_process: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = Configured(start_process, tmp_path, workers="2", drain_seconds=0.2)
    async with running(server.process) as guests:
        assert (await guests.http.get("/api/limits")).json()["data"]["textLength"] == 1000
        await server.reload("the workers are replaced, one after the other", text_limit=5, redis_prefix="x")
        await until(lambda: any(record["message"] == "the workers are replaced" for record in server.process.records()))
        assert [record["setting"] for record in server.records("a setting needs a restart")] == ["REDIS_PREFIX"]
        for _ in range(6):  # connections of their own
            async with http_client(server.process.url) as http:
                assert (await http.get("/api/limits")).json()["data"]["textLength"] == 5
        await server.reload("the settings are wrong, so no worker is replaced", text_limit=-1)
        assert (await guests.http.get("/health")).status_code == 200
    assert server.process.terminate() == 0


async def test_settings_that_no_new_worker_can_have_do_not_stay(
    start_process: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    """A worker that dies afterwards is followed by one with the settings of before."""
    server = Configured(start_process, tmp_path, workers="2", drain_seconds=0.2)
    await server.reload("the other workers are not replaced", word_list=str(tmp_path / "nowhere"))
    (worker, *_) = workers_of(server.process.pid)
    started = len(server.records("Redis is in use"))
    os.kill(worker, signal.SIGKILL)
    await until(lambda: len(server.records("Redis is in use")) > started)
    assert len(workers_of(server.process.pid)) == 2
    async with http_client(server.process.url) as http:
        assert (await http.get("/health")).status_code == 200
    assert server.process.terminate() == 0


async def test_a_pipe_cannot_be_read_again(start_process: Callable[..., ServerProcess], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=lambda: pipe.write_text("text_limit = 7\n"))
    writing.start()
    process = start_process("--config", str(pipe)).wait_until_ready()
    writing.join()
    os.kill(process.pid, signal.SIGHUP)
    assert process.wait_for("nothing is taken over")
    async with http_client(process.url) as http:
        assert (await http.get("/api/limits")).json()["data"]["textLength"] == 7
    assert process.terminate() == 0


async def test_a_signal_that_comes_before_it_serves_ends_nothing(start_process: Callable[..., ServerProcess]) -> None:
    process = start_process()
    assert process.wait_for("starts")
    for _ in range(20):
        os.kill(process.pid, signal.SIGHUP)
        await asyncio.sleep(0.01)
    process.wait_until_ready()
    assert process.terminate() == 0
