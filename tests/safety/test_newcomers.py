"""Age, rules, and the operator's pages."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.background import Background
from passerby.clock import SystemClock
from passerby.errors import InvalidInputError
from passerby.limits import Rate
from passerby.nodes.buckets_memory import MemoryBuckets
from passerby.safety.ages import AgeChecks, is_of_age
from passerby.safety.pages import Page, Pages, html_of
from passerby.settings import SettingsError
from tests.support.clock import ManualClock
from tests.support.house import House

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import StartServer
    from tests.support.server import InsideServer

SECRET = "a secret that the provider and the server share"


async def ask(server: InsideServer, body: dict[str, Any] | None = None, **headers: str) -> tuple[Any, str | None]:
    """Ask for a session; return the answer, and the device that the browser is to keep."""
    answer = await server.http.post("/api/guest", json=body or {}, headers=headers)
    found = answer.json()
    return found, answer.headers.get("device") or found.get("data", {}).get("device")


def proof_of(state: str, result: str = "of_age", secret: str = SECRET) -> str:
    """Return what a provider brings back."""
    said = f"{state}.{result}"
    return f"{said}.{hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()}"


async def never(_name: str) -> float:
    """Say that everything has been used."""
    return 1.0


# ── age ───────────────────────────────────────────────────────────────────────────────────────────


def at(day: date) -> float:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()


@given(st.dates(date(1930, 1, 1), date(2020, 1, 1)), st.integers(1, 99))
def test_somebody_is_of_age_from_the_birthday_on(born: date, minimum: int) -> None:
    try:
        birthday = born.replace(year=born.year + minimum)
    except ValueError:  # 29 February
        birthday = date(born.year + minimum, 3, 1)
    if minimum < 130:
        assert is_of_age(born.isoformat(), minimum, at(birthday))
        assert not is_of_age(born.isoformat(), minimum, at(birthday) - 86_400)


@pytest.mark.parametrize(
    "text",
    [
        *("2999-01-01", "2026-06-02", "1800-01-01", "1876-06-01", "2000-02-30", "2000-13-01", "2001-02-29", "x"),
        *("", "20000101", "0000-00-00", "2000-1-1", "2000-01-01 ", "2000-W01-1", "-200-01-01"),
        "\u0662\u0660\u0660\u0660-01-01",
    ],
)
def test_what_is_no_date_of_birth_is_said(text: str) -> None:
    with pytest.raises(InvalidInputError):
        is_of_age(text, 18, at(date(2026, 6, 1)))


async def test_nobody_is_asked_by_default(server: InsideServer) -> None:
    house = (await server.http.get("/api/house")).json()["data"]
    assert house == {"reports": True, "reportWindow": 60.0}
    assert (await ask(server))[0]["success"]


async def test_who_is_too_young_is_refused_and_so_is_the_next_answer_in_that_browser(
    start_server: StartServer,
) -> None:
    server = await start_server(age_minimum=18)
    assert (await server.http.get("/api/house")).json()["data"]["ageMinimum"] == 18
    assert (await ask(server))[0]["code"] == "age_required"
    assert (await ask(server, {"bornOn": "nonsense"}))[0]["code"] == "invalid_payload"
    assert (await ask(server, {"bornOn": "2999-01-01"}))[0]["code"] == "invalid_payload"
    refused, device = await ask(server, {"bornOn": "2020-01-01"})
    assert refused["code"] == "under_age"
    assert "18" not in refused["message"]
    assert device is not None
    again, device = await ask(server, {"bornOn": "1980-01-01"}, Device=device)
    assert again["code"] == "under_age"
    assert (await ask(server, {"bornOn": "1980-01-01"}))[0]["success"]


async def test_only_the_result_stays_and_it_holds_for_the_next_session(start_server: StartServer) -> None:
    server = await start_server(age_minimum=18)
    made = (await ask(server, {"bornOn": "1980-02-03"}))[0]["data"]
    guest, _ = await server.application.services.guests.authenticate(made["token"])
    assert guest.is_of_age is True
    assert "1980" not in repr(guest)
    assert (await ask(server, Authorization=f"Bearer {made['token']}"))[0]["success"]


async def test_a_provider_says_who_is_of_age(start_server: StartServer) -> None:
    server = await start_server(age_minimum=18, age_url="https://age.example/check?shop=1", age_secret=SECRET)
    assert (await server.http.get("/api/house")).json()["data"]["ageCheck"]
    assert (await ask(server, {"bornOn": "1980-01-01"}))[0]["code"] == "age_required"

    async def state() -> str:
        back = f"https://{server.http.base_url.netloc.decode()}/"  # behind a proxy that speaks HTTPS
        answer = await server.http.get("/api/age", params={"return": back})
        assert answer.status_code == 302
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        assert (query["shop"], query["return"]) == (["1"], [back])
        return query["state"][0]

    first, second = await state(), await state()
    elsewhere = AgeChecks(SystemClock(), lambda _purpose: [b"another key"], SECRET, never).begin()
    forged = (proof_of(first, "of_age", "x" * 40), proof_of(first, "under_age").replace("under_age", "of_age"))
    malformed = (proof_of("made up", "of_age"), proof_of("", "of_age"), proof_of(first, "old"), first, "", "é.é.é")
    for bad in (*forged, *malformed, proof_of(elsewhere, "of_age"), proof_of(first[:-1], "of_age")):
        answer = await server.http.post("/api/guest", headers={b"age-proof": bad.encode("latin-1")})
        assert answer.json()["code"] == "proof_invalid"
    assert (await ask(server, None, **{"Age-Proof": proof_of(first, "of_age")}))[0]["success"]
    assert (await ask(server, None, **{"Age-Proof": proof_of(first, "of_age")}))[0]["code"] == "proof_invalid"
    refused, device = await ask(server, None, **{"Age-Proof": proof_of(second, "under_age")})
    assert refused["code"] == "under_age"
    assert device is not None


async def test_who_is_checked_elsewhere_comes_back_here_or_to_a_listed_page(start_server: StartServer) -> None:
    server = await start_server(
        age_minimum=18, age_url="https://age.example/", age_secret=SECRET, cors_origin=("https://listed.example",)
    )
    here = str(server.http.base_url).rstrip("/")
    for good in (f"{here}/", "https://listed.example/"):
        answer = await server.http.get("/api/age", params={"return": good})
        assert answer.status_code == 302
        assert parse_qs(urlsplit(answer.headers["location"]).query)["return"] == [good]
    for bad in (
        *("javascript:alert(1)", f"{here}/elsewhere", here, "//chat.example/", "https://else.example/", ""),
        *(f"{here}.else.example/", f"{here}@else.example/", "https://else.example#.listed.example/", "https://[/"),
    ):
        answer = await server.http.get("/api/age", params={"return": bad})
        assert answer.json()["code"] == "invalid_payload"
    assert (await server.http.get("/api/age")).json()["code"] == "invalid_payload"


async def test_without_a_provider_there_is_no_check(server: InsideServer) -> None:
    answer = await server.http.get("/api/age", params={"return": f"{str(server.http.base_url).rstrip('/')}/"})
    assert answer.json()["code"] == "not_found"


async def test_what_a_provider_says_is_not_used_up_while_the_rules_are_missing(
    start_server: StartServer, tmp_path: Path
) -> None:
    path = tmp_path / "rules.md"
    path.write_text("Be kind.")
    server = await start_server(age_minimum=18, age_url="https://age.example/", age_secret=SECRET, rules_file=str(path))
    version = (await server.http.get("/api/house")).json()["data"]["rules"]
    checks = server.application.services.newcomers.checks
    assert checks is not None
    proof = {"Age-Proof": proof_of(checks.begin())}
    assert (await ask(server, None, **proof))[0]["code"] == "rules_required"
    assert (await ask(server, {"rules": version}, **proof))[0]["success"]
    assert (await ask(server, {"rules": version}, **proof))[0]["code"] == "proof_invalid"


async def test_who_is_too_young_need_not_accept_rules_to_hear_it(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "rules.md"
    path.write_text("Be kind.")
    server = await start_server(age_minimum=18, rules_file=str(path))
    assert (await ask(server, {"bornOn": "2020-01-01"}))[0]["code"] == "under_age"
    assert (await ask(server, {"bornOn": "1990-01-01"}))[0]["code"] == "rules_required"


async def test_a_check_at_a_provider_does_not_take_for_ever() -> None:
    clock = ManualClock()
    checks = AgeChecks(clock, lambda _purpose: [b"key"], SECRET, MemoryBuckets(Rate(1, 0.0005), clock).take)
    first, second = proof_of(checks.begin()), proof_of(checks.begin())
    clock.set_wall(1e6)  # an operator sets the clock of the machine: that is no time that has passed
    clock.advance(899)
    assert await checks.result(first)
    clock.advance(2)
    for late in (first, second):
        with pytest.raises(InvalidInputError):
            await checks.result(late)


# ── rules and pages ───────────────────────────────────────────────────────────────────────────────

MARKDOWN = """# Rules <script>alert(1)</script>

Be kind. [Here](https://example.com) and [not here](javascript:alert(1)).

<img src="https://tracker.example/x.png" onerror="alert(1)">
![x](https://tracker.example/x.png)
"""


async def test_rules_are_accepted_in_their_present_version(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "rules.md"
    path.write_text(MARKDOWN)
    server = await start_server(rules_file=str(path))
    version = (await server.http.get("/api/house")).json()["data"]["rules"]
    page = (await server.http.get("/api/pages/rules")).json()["data"]
    assert page["version"] == version
    for harm in ("<script", "<img", 'href="javascript'):
        assert harm not in page["html"]
    assert 'href="https://example.com"' in page["html"]
    assert "noopener" in page["html"]
    assert (await server.http.get("/api/pages/privacy")).json()["code"] == "not_found"
    assert (await server.http.get("/api/pages/..%2Frules")).status_code == 404
    assert (await ask(server))[0]["code"] == "rules_required"
    assert (await ask(server, {"rules": "old"}))[0]["code"] == "rules_required"
    made = (await ask(server, {"rules": version}))[0]["data"]
    guest, _ = await server.application.services.guests.authenticate(made["token"])
    assert guest.rules == version
    assert (await ask(server, Authorization=f"Bearer {made['token']}"))[0]["success"]


async def test_a_page_that_changes_has_a_new_version_and_one_that_breaks_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    background = Background(clock)
    path = tmp_path / "rules.md"
    path.write_text("one")
    pages = Pages(clock, background, {"rules": str(path), "privacy": None})

    async def looked(seconds: float = 11) -> Page | None:
        clock.advance(seconds)
        pages.find("rules")
        await background.settle()
        return pages.find("rules")

    first = pages.find("rules")
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert await looked(9) == first
    second = await looked(2)
    assert second is not None
    assert second.html == "<p>two</p>\n"
    assert second.version == hashlib.sha256(b"two").hexdigest()[:16]
    for broken in (b"\xff\xfe", b"", b" \n", b"x" * 300_000):
        path.write_bytes(broken)
        assert await looked() == second
        assert await looked() == second
    path.unlink()
    assert await looked() == second
    reasons = [record.__dict__["reason"] for record in caplog.records if "cannot be read" in record.message]
    assert reasons == ["is not UTF-8", "is empty", "has more than 262144 bytes", "No such file or directory"]
    path.write_text("three")
    third = await looked()
    assert third is not None
    assert third.html == "<p>three</p>\n"
    assert pages.names == ["rules"]
    assert pages.find("privacy") is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "is empty"), (b"\xff", "is not UTF-8"), (b"x" * 300_000, "has more than 262144 bytes")],
)
def test_a_page_that_cannot_be_shown_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "rules.md"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"^RULES_FILE='{path}': {reason}$"):
        House(rules_file=str(path))
    with pytest.raises(SettingsError, match=f"^CONTACT_FILE='{tmp_path}': Is a directory$"):
        House(contact_file=str(tmp_path))


@given(st.text(st.sampled_from("<>&\"'/=()[]!`#*_-|: \n\tascriptonload:.vx9é"), max_size=200))
def test_nothing_in_a_page_can_do_harm(markdown: str) -> None:
    class Look(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "style", "img", "iframe", "object", "form", "svg")
            assert {name for name, _ in attrs} <= {"href", "rel"}
            for name, value in attrs:
                if name == "href":
                    assert ":" not in (value or "") or re.match("(https?|mailto):", value or "")

    look = Look()
    look.feed(html_of(markdown))
    look.close()


def test_a_page_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match="PRIVACY_FILE='/nowhere': No such file"):
        House(privacy_file="/nowhere")
