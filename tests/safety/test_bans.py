"""Bans, warnings, ended sessions, and appeals: over the wire, and against a model."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from passerby.background import Background
from passerby.errors import BannedError
from passerby.safety.appeals import new_code, normal
from passerby.safety.banlist import BanList
from passerby.safety.cases import Mark, Sanction
from passerby.safety.devices import digest_of
from passerby.safety.marks import Marks, _networks, device_mark, session_mark
from tests.database.conftest import KEY, opened
from tests.nodes.test_moving import until
from tests.support.client import Client, RefusedError
from tests.support.clock import ManualClock, turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from passerby.live import LiveGuest
    from passerby.safety.cases import SanctionKind
    from tests.conftest import StartServer
    from tests.support.server import InsideServer


async def start(start_server: StartServer, **changes: object) -> InsideServer:
    return await start_server(database_url="sqlite:///", evidence_key=KEY, **changes)


async def decide(
    server: InsideServer,
    marks: tuple[Mark, ...],
    kind: SanctionKind = "banned",
    seconds: float | None = None,
    code: str | None = None,
) -> Sanction:
    """Sanction a guest, and let the server look now instead of within a second."""
    services = server.application.services
    now = services.clock.time()
    sanction = await services.adapters.kept.sanctions.add(
        Sanction(
            id=0,
            kind=kind,
            case_id=None,
            marks=marks,
            rule="hate",
            words="You <b>know</b> why",
            begins_at=now,
            ends_at=None if seconds is None else now + seconds,
            moderator="max",
            appeal_code=(code or new_code()) if kind == "banned" else "",
        )
    )
    await services.bans.look()
    return sanction


async def newcomer(server: InsideServer, device: str | None = None, address: str | None = None) -> Any:  # noqa: ANN401 - JSON
    headers = {"Device": device} if device else {}
    if address:
        headers["X-Forwarded-For"] = address
    answer = await server.http.post("/api/guest", headers=headers)
    return answer.json()


async def guest_of(server: InsideServer, token: str) -> Any:  # noqa: ANN401 - a Guest
    guest, _ = await server.application.services.guests.authenticate(token)
    return guest


async def test_a_banned_guest_is_told_and_kept_out(start_server: StartServer) -> None:
    server = await start(start_server)
    one, other, room = await server.pair()
    made = await newcomer(server)
    anna, client = one
    guest = await guest_of(server, anna.token)
    ban = await decide(server, (session_mark(guest.session_id), device_mark(guest.device)), seconds=3600)

    told = await client.until("safety:told")
    assert (told["kind"], told["rule"], told["words"]) == ("banned", "hate", "You <b>know</b> why")
    assert told["appealCode"] == ban.appeal_code
    assert (await client.until("connection:closing"))["code"] == "banned"
    assert (await other[1].until("chat:cleared"))["reason"] == "session_ended"
    assert made["success"]
    assert room


async def test_a_banned_device_is_refused_whatever_session_it_asks_for(start_server: StartServer) -> None:
    server = await start(start_server)
    made = (await newcomer(server))["data"]
    guest = await guest_of(server, made["token"])
    ban = await decide(server, (device_mark(guest.device),))

    refused = await newcomer(server, made["device"])
    assert (refused["code"], refused["ban"]["appealCode"]) == ("banned", ban.appeal_code)
    assert "until" not in refused["ban"]
    with pytest.raises(RefusedError) as caught:
        await Client.connect(server.url, {"token": made["token"]})
    assert caught.value.data["code"] == "banned"
    assert caught.value.data["ban"]["rule"] == "hate"
    answer = await server.http.get("/api/guest/me", headers={"Authorization": f"Bearer {made['token']}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "banned")
    assert (await newcomer(server))["success"]


async def test_a_banned_address_is_refused_and_its_neighbours_are_not(start_server: StartServer) -> None:
    server = await start(start_server, trusted_proxies=("127.0.0.0/8",))
    marks = server.application.services.marks
    await marks.renew()
    address, _network = marks.of_address("203.0.113.7")
    await decide(server, (address,))
    assert (await newcomer(server, address="203.0.113.7"))["code"] == "banned"
    assert (await newcomer(server, address="::ffff:203.0.113.7"))["code"] == "banned"
    assert (await newcomer(server, address="203.0.113.8"))["success"]
    _, network = marks.of_address("2001:db8:1:2::1")
    await decide(server, (network,))
    assert (await newcomer(server, address="2001:db8:1:ffff::9"))["code"] == "banned"
    assert (await newcomer(server, address="2001:db8:2::9"))["success"]


async def test_a_neighbour_learns_neither_the_reason_nor_the_code(start_server: StartServer) -> None:
    server = await start(start_server, trusted_proxies=("127.0.0.0/8",))
    marks = server.application.services.marks
    await marks.renew()
    theirs, neighbour = [(await newcomer(server, address=f"203.0.113.{place}"))["data"] for place in (7, 8)]
    client = await Client.connect(server.url, {"token": neighbour["token"]}, headers={"X-Forwarded-For": "203.0.113.8"})
    await client.until("connection:established")
    guest = await guest_of(server, theirs["token"])
    ban = await decide(server, (session_mark(guest.session_id), *marks.of_address("203.0.113.7")), seconds=3600)

    told = await client.until("safety:told")
    await client.close()
    assert (told["kind"], told["rule"], told["words"], told["shared"]) == ("banned", "hate", "", True)
    assert "until" in told
    assert "appealCode" not in told
    refused = (await newcomer(server, address="203.0.113.9"))["ban"]
    assert (refused["rule"], refused["words"], refused["shared"]) == ("hate", "", True)
    assert "appealCode" not in refused
    headers = {"Authorization": f"Bearer {theirs['token']}", "X-Forwarded-For": "203.0.113.7"}
    for _ in range(2):  # the answer is kept: not for the wrong one
        meant = (await server.http.post("/api/guest", headers=headers)).json()["ban"]
        assert (meant["words"], meant["appealCode"]) == (ban.words, ban.appeal_code)
        assert "shared" not in meant
        assert (await newcomer(server, address="203.0.113.9"))["ban"] == refused


async def test_who_was_away_when_the_session_was_ended_is_told_on_the_way_back(start_server: StartServer) -> None:
    server = await start(start_server)
    account = await server.newcomer()
    guest = await guest_of(server, account.token)
    await decide(server, (session_mark(guest.session_id),), "session_ended")

    answer = await server.http.post("/api/guest", headers={"Authorization": f"Bearer {account.token}"})
    ended = answer.json()["data"]["ended"]
    assert (answer.status_code, ended["rule"], ended["words"]) == (201, "hate", "You <b>know</b> why")
    assert "appealCode" not in ended
    assert "ended" not in (await newcomer(server))["data"]


async def test_address_keys_are_forgotten_though_nobody_is_marked_any_more() -> None:
    clock = ManualClock()
    async with opened("sqlite:///", clock=clock) as store:
        await Marks(store.sanctions, b"pepper", clock, lifetime=100).renew()
        later = Marks(store.sanctions, b"pepper", clock, lifetime=100)  # of the process after a restart
        keeping = asyncio.create_task(later.keep())
        clock.advance(200)
        while await store.sanctions.forget_keys(clock.time(), 10_000):
            await turns()
        keeping.cancel()


async def test_a_warning_is_told_once(start_server: StartServer) -> None:
    server = await start(start_server)
    account = await server.newcomer()
    guest = await guest_of(server, account.token)
    await decide(server, (session_mark(guest.session_id),), "warning")
    client = await server.connect(account)
    assert (await client.until("safety:told"))["kind"] == "warning"
    again = await server.connect(account)
    await again.until("connection:established")
    await decide(server, (session_mark(guest.session_id),), "warning")
    told = await again.until("safety:told")
    assert "appealCode" not in told
    assert [name for name, _ in again.heard].count("safety:told") == 1


async def test_an_ended_session_is_over_and_its_guest_may_begin_anew(start_server: StartServer) -> None:
    server = await start(start_server)
    account = await server.newcomer()
    guest = await guest_of(server, account.token)
    client = await server.connect(account)
    await client.until("connection:established")
    await decide(server, (session_mark(guest.session_id),), "session_ended")
    assert (await client.until("safety:told"))["kind"] == "session_ended"
    assert (await client.until("connection:closing"))["code"] == "session_ended"
    assert (await newcomer(server))["success"]


async def test_an_appeal_is_made_with_the_code_and_its_answer_can_be_seen(start_server: StartServer) -> None:
    server = await start(start_server)
    made = (await newcomer(server))["data"]
    guest = await guest_of(server, made["token"])
    ban = await decide(server, (device_mark(guest.device),))
    written = ban.appeal_code.lower().replace("-", " ")

    async def ask(path: str, **body: str) -> Any:  # noqa: ANN401 - JSON
        answer = await server.http.post(f"/api/appeals{path}", json=body)
        return answer.json()

    assert (await ask("/status", code=written))["data"]["state"] == "none"
    assert (await ask("", code=written, words="It <i>was</i> my brother"))["data"]["state"] == "waiting"
    assert (await ask("", code=written, words="again"))["code"] == "already_appealed"
    assert (await ask("/status", code=new_code()))["code"] == "appeal_unknown"
    assert (await ask("", code=written, words=""))["code"] == "invalid_payload"
    assert (await ask("", code=written, words="x" * 2001))["code"] == "invalid_payload"
    store = server.application.services.adapters.kept.sanctions
    ((appeal, _),) = await store.appeals()
    assert appeal.words == "It <i>was</i> my brother"
    await store.answer(appeal.id, server.application.services.clock.time(), "eva", "upheld", "Sorry")
    status = (await ask("/status", code=written))["data"]
    assert (status["state"], status["answer"], status["ended"]) == ("upheld", "Sorry", True)
    assert "appealCode" not in status["ban"]
    await server.application.services.bans.look()
    assert (await newcomer(server, made["device"]))["success"]


async def test_guessing_codes_is_slow(start_server: StartServer) -> None:
    server = await start(start_server)
    codes = [
        (await server.http.post("/api/appeals/status", json={"code": new_code()})).json()["code"] for _ in range(30)
    ]
    assert codes[0] == "appeal_unknown"
    assert codes[-1] == "rate_limited"


async def test_while_the_database_is_away_bans_stay(start_server: StartServer) -> None:
    server = await start(start_server)
    made = (await newcomer(server))["data"]
    guest = await guest_of(server, made["token"])
    ban = await decide(server, (device_mark(guest.device),))
    services = server.application.services

    async def fail(*_: object) -> Any:  # noqa: ANN401 - as there
        raise OSError("away")

    for name in ("changed", "by_code"):
        setattr(services.adapters.kept.sanctions, name, fail)
    with pytest.raises(OSError, match="away"):
        await services.bans.look()
    assert (await newcomer(server, made["device"]))["code"] == "banned"
    answer = await server.http.post("/api/appeals/status", json={"code": ban.appeal_code})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_addresses_leave_no_marks_without_a_key_and_are_forgotten_with_it() -> None:
    clock = ManualClock()
    async with opened("sqlite:///", clock=clock) as store:
        without = Marks(store.sanctions, None, clock, lifetime=100)
        await without.renew()
        assert without.of_address("203.0.113.7") == []
        marks = Marks(store.sanctions, b"pepper", clock, lifetime=100)
        await marks.renew()
        first = marks.of_address("203.0.113.7")
        clock.advance(100)
        await marks.renew()
        assert marks.of_address("203.0.113.7")[2:] == first
        clock.advance(100)
        await marks.renew()
        assert not {mark.value for mark in first} & {mark.value for mark in marks.of_address("203.0.113.7")}
        assert marks.of_address("not an address") == []


def test_codes_are_read_however_they_are_written() -> None:
    code = new_code()
    assert normal(f"  {code.lower().replace('-', '')} ") == code
    assert normal(normal(code)) == code
    assert len({new_code() for _ in range(100)}) == 100


# ── a session that is over, and who moves ─────────────────────────────────────────────────────────


async def test_a_banned_session_stays_out_when_it_is_over(start_server: StartServer) -> None:
    server = await start(start_server)
    account = await server.newcomer()
    guest = await guest_of(server, account.token)
    client = await server.connect(account)
    await client.until("connection:established")
    ban = await decide(server, (session_mark(guest.session_id),))
    assert (await client.until("connection:closing"))["code"] == "banned"
    await until(lambda: server.application.services.guests.live_count == 0)

    headers = {"Authorization": f"Bearer {account.token}"}
    answer = await server.http.get("/api/guest/me", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "banned")
    answer = await server.http.post("/api/guest", headers=headers)
    assert (answer.status_code, answer.json()["ban"]["appealCode"]) == (403, ban.appeal_code)
    with pytest.raises(RefusedError) as caught:
        await server.connect(account)
    assert caught.value.data["code"] == "banned"
    wrong = await server.http.post("/api/guest", headers={"Authorization": f"Bearer {account.token[:-2]}xx"})
    assert wrong.status_code == 201  # a token that is none says nothing about whose session it was


async def test_who_is_banned_can_still_read_and_appeal(start_server: StartServer) -> None:
    server = await start(start_server, trusted_proxies=("127.0.0.0/8",))
    marks = server.application.services.marks
    await marks.renew()
    address, _ = marks.of_address("203.0.113.7")
    ban = await decide(server, (address,))
    headers = {"X-Forwarded-For": "203.0.113.7"}
    assert (await newcomer(server, address="203.0.113.7"))["code"] == "banned"
    for path in ("/", "/api/house", "/api/limits"):
        assert (await server.http.get(path, headers=headers)).status_code == 200, path
    for path, body in (("/status", {}), ("", {"words": "why"}), ("/status", {})):
        answer = await server.http.post(f"/api/appeals{path}", json={"code": ban.appeal_code, **body}, headers=headers)
        assert answer.json()["success"], answer.text


async def test_who_is_banned_more_than_once_is_told_of_the_longest(start_server: StartServer) -> None:
    server = await start(start_server)
    made = (await newcomer(server))["data"]
    guest = await guest_of(server, made["token"])
    await decide(server, (device_mark(guest.device),), seconds=60)
    longest = await decide(server, (device_mark(guest.device),))
    await decide(server, (session_mark(guest.session_id),), seconds=3600)
    assert (await newcomer(server, made["device"]))["ban"]["appealCode"] == longest.appeal_code
    headers = {"Device": made["device"], "Authorization": f"Bearer {made['token']}"}
    answer = await server.http.post("/api/guest", headers=headers)
    assert answer.json()["ban"]["appealCode"] == longest.appeal_code


async def test_what_was_told_is_kept_with_the_session(start_server: StartServer) -> None:
    server = await start(start_server)
    account = await server.newcomer()
    guest = await guest_of(server, account.token)
    client = await server.connect(account)
    await client.until("connection:established")
    services = server.application.services
    await services.writer.flush()
    warning = await decide(server, (session_mark(guest.session_id),), "warning")
    await client.until("safety:told")
    await services.writer.flush()
    kept = await services.adapters.store.load(guest.session_id)
    assert kept is not None
    assert kept.told == warning.id


class _Store:
    """The port, in a list."""

    def __init__(self) -> None:
        self.kept: dict[int, Sanction] = {}
        self.version = 0

    async def changed(self, after: int) -> list[Sanction]:
        return sorted((one for one in self.kept.values() if one.version > after), key=lambda one: one.version)


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ban"), st.integers(0, 3), st.one_of(st.none(), st.integers(1, 50))),
        st.tuples(st.just("lift"), st.integers(0, 9), st.none()),
        st.tuples(st.just("pass"), st.integers(1, 30), st.none()),
        st.tuples(st.just("set"), st.integers(-1000, 1000), st.none()),
        st.tuples(st.just("look"), st.just(0), st.none()),
    ),
    max_size=25,
)


@given(_STEPS)
@settings(max_examples=60)
async def test_who_is_kept_out_is_who_was_banned_and_not_lifted(steps: list[tuple[str, int, int | None]]) -> None:
    clock = ManualClock()
    store = _Store()
    background: Any = None

    async def end(live: LiveGuest, is_banned: bool) -> None:
        raise AssertionError

    marks = Marks(store, None, clock, lifetime=1)  # type: ignore[arg-type]
    bans = BanList(store, marks, clock, background, lives=lambda: (), end=end, told=lambda _: None)  # type: ignore[arg-type]
    begun = clock.time() - clock.monotonic()
    seen: dict[int, Sanction] = {}
    for step, number, seconds in steps:
        now = begun + clock.monotonic()
        if step == "ban":
            store.version += 1
            made = len(store.kept) + 1
            store.kept[made] = Sanction(
                id=made,
                version=store.version,
                kind="banned",
                case_id=None,
                marks=(device_mark(str(number)),),
                rule="hate",
                words="",
                begins_at=now,
                ends_at=None if seconds is None else now + seconds,
                moderator="max",
                appeal_code="",
            )
        elif step == "lift" and number in store.kept:
            store.version += 1
            store.kept[number] = replace(store.kept[number], lifted_at=now, version=store.version)
        elif step == "pass":
            clock.advance(number)
        elif step == "set":
            clock.set_wall(number)
        elif step == "look":
            await bans.look()
            seen = dict(store.kept)
        now = begun + clock.monotonic()
        for device in range(4):
            expected = any(
                one.lifted_at is None and (one.ends_at is None or one.ends_at > now)
                for one in seen.values()
                if one.marks == (device_mark(str(device)),)
            )
            if expected:
                with pytest.raises(BannedError):
                    bans.check(device=str(device))
            else:
                bans.check(device=str(device))


# ── the database, and keys ────────────────────────────────────────────────────────────────────────


def _ban(number: int, *marks: Mark, begins_at: float = 0.0) -> Sanction:
    return Sanction(
        id=number,
        version=number,
        kind="banned",
        case_id=None,
        marks=marks,
        rule="hate",
        words="",
        begins_at=begins_at,
        ends_at=None,
        moderator="max",
        appeal_code="",
    )


def _bans(store: Any, marks: Marks, clock: ManualClock) -> BanList:  # noqa: ANN401 - a part of the port
    async def end(live: LiveGuest, is_banned: bool) -> None:
        raise AssertionError

    background = Background(clock)
    return BanList(store, marks, clock, background, lives=lambda: (), end=end, told=lambda _: None)


async def test_a_ban_is_known_a_second_after_the_database_is_back() -> None:
    clock, store = ManualClock(), _Store()
    bans = _bans(store, Marks(store, None, clock, lifetime=1), clock)  # type: ignore[arg-type]  # what it needs
    changed, is_away = store.changed, True

    async def at_times(after: int) -> list[Sanction]:
        if is_away:
            raise OSError("away")
        return await changed(after)

    store.changed = at_times  # type: ignore[method-assign]
    background = Background(clock)
    background.repeat("look at sanctions", bans.keep)
    store.kept[1] = _ban(1, device_mark("device"))
    await clock.run(120)
    bans.check(device="device")
    is_away = False
    await clock.run(1)
    with pytest.raises(BannedError):
        bans.check(device="device")
    await background.stop(1)


async def test_bans_of_browsers_hold_while_no_keys_of_addresses_can_be_had() -> None:
    clock, store = ManualClock(), _Store()
    is_away = True

    async def keys(_at: float, _lifetime: float) -> list[tuple[int, bytes]]:
        if is_away:
            raise OSError("disk full")
        return [(1, b"k" * 32)]

    store.keys = keys  # type: ignore[attr-defined]
    marks = Marks(store, b"pepper", clock, lifetime=100)  # type: ignore[arg-type]
    is_away = False
    await marks.renew()
    address, _ = marks.of_address("203.0.113.7")
    marks = Marks(store, b"pepper", clock, lifetime=100)  # type: ignore[arg-type]  # of another process
    bans = _bans(store, marks, clock)
    is_away = True
    store.kept[1] = _ban(1, device_mark("device"), address)
    with pytest.raises(OSError, match="disk full"):
        await bans.look()
    with pytest.raises(BannedError):
        bans.check(device="device")
    bans.check(address="203.0.113.7")
    is_away = False
    await bans.look()
    with pytest.raises(BannedError):
        bans.check(address="203.0.113.7")


async def test_a_ban_by_address_ends_with_its_key() -> None:
    clock = ManualClock()
    async with opened("sqlite:///", clock=clock) as store:
        marks = Marks(store.sanctions, b"pepper", clock, lifetime=100)
        await marks.renew()
        address, _ = marks.of_address("203.0.113.7")
        bans = _bans(store.sanctions, marks, clock)
        await store.sanctions.add(_ban(0, address, begins_at=clock.time()))
        await bans.look()
        for _ in range(2):
            with pytest.raises(BannedError):
                bans.check(address="203.0.113.7")
            clock.advance(100)
            await marks.renew()
        bans.check(address="203.0.113.7")


async def test_two_processes_on_one_database_know_within_two_seconds(
    tmp_path: Path,
    start_process: Callable[..., Any],
) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    processes = [start_process(DATABASE_URL=url, EVIDENCE_KEY=KEY, JWT_SECRET="s" * 40) for _ in range(2)]
    for process in processes:
        process.wait_until_ready()
    async with httpx.AsyncClient() as http, opened(url) as store:
        made = (await http.post(f"{processes[0].url}/api/guest")).json()["data"]
        digest = digest_of(made["device"])
        assert digest is not None
        await store.sanctions.add(
            Sanction(
                id=0,
                kind="banned",
                case_id=None,
                marks=(device_mark(digest),),
                rule="spam",
                words="",
                begins_at=time.time(),
                ends_at=None,
                moderator="max",
                appeal_code=new_code(),
            )
        )
        async with asyncio.timeout(10):  # a busy machine; on an idle one it takes a second
            for process in processes:
                while True:
                    answer = await http.post(f"{process.url}/api/guest", headers={"Device": made["device"]})
                    if answer.status_code == 403:
                        break
                    await asyncio.sleep(0.1)


async def test_addresses_of_one_ipv6_line_are_one() -> None:
    assert _networks("2001:db8:1:2:aaaa::1")[0] == _networks("2001:db8:1:2:bbbb::2")[0]
