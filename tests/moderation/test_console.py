"""The console's server side, over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING, Any

import httpx
import pyotp
import pytest

from passerby.http.moderation_models import LONGEST_BAN
from passerby.limits import Rate
from tests.database.conftest import KEY
from tests.database.test_kept import sanction
from tests.moderation.conftest import PASSWORD, Browser, Office
from tests.support.client import RefusedError
from tests.support.conversation import Two

if TYPE_CHECKING:
    from pathlib import Path

    from passerby.moderation.staff import Role
    from tests.conftest import StartServer
    from tests.support.server import InsideServer


# ── whether it is there ───────────────────────────────────────────────────────────────────────────


async def test_without_a_moderator_there_is_no_console(server: InsideServer) -> None:
    for path in ("/api/moderate/session", "/api/moderate/cases", "/moderate", "/moderate.html", "/moderate/"):
        answer = await server.http.get(path)
        other = await server.http.get("/nothing-here")
        assert (answer.status_code, answer.json()) == (404, other.json())
    answer = await server.http.post("/api/moderate/session", json={"name": "a", "password": "b", "code": "c"})
    assert answer.status_code == 404


async def test_only_listed_networks_see_it(start_server: StartServer) -> None:
    server = await start_server(database_url="sqlite:///", moderate_addresses=("10.0.0.0/8",))
    await server.application.services.logins.invite("max", "admin", "test")
    assert (await server.http.get("/api/moderate/session")).status_code == 404
    server = await start_server(database_url="sqlite:///", moderate_addresses=("127.0.0.0/8", "::1/128"))
    await server.application.services.logins.invite("max", "admin", "test")
    assert (await server.http.get("/api/moderate/session")).json()["code"] == "login_required"


# ── log in ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_is_a_strict_cookie(office: Office) -> None:
    browser = await office.moderator()
    answer = await browser.log_in()
    cookie = answer.headers["set-cookie"].lower()
    for part in ("httponly", "samesite=strict", "path=/api/moderate"):
        assert part in cookie
    assert "secure" not in cookie
    assert (await browser.get("/session"))["data"]["name"] == "max"


async def test_behind_tls_the_cookie_is_secure(start_server: StartServer) -> None:
    server = await start_server(database_url="sqlite:///", trusted_proxies=("127.0.0.0/8",))
    browser = await Office(server).moderator()
    browser.http.headers["X-Forwarded-Proto"] = "https"
    assert "secure" in (await browser.log_in()).headers["set-cookie"].lower()
    await browser.http.aclose()


@pytest.mark.parametrize("host", ["x:99999", "x:abc", ""])
async def test_whatever_the_host_is_called_a_moderator_logs_in(office: Office, host: str) -> None:
    browser = await office.moderator()
    browser.http.headers["Host"] = host
    assert (await browser.log_in()).status_code == 200


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"code": "000000"}, {"name": "eva"}, {"code": "x"}])
async def test_what_was_wrong_is_not_said(office: Office, wrong: dict[str, str]) -> None:
    browser = await office.moderator()
    answer = await browser.log_in(**wrong)
    assert (answer.status_code, answer.json()["code"]) == (401, "login_failed")
    assert answer.json()["message"] == "Name, password or code is wrong"


async def test_a_code_is_used_once(office: Office) -> None:
    browser = await office.moderator()
    assert (await browser.log_in(code=browser.used)).status_code == 401
    answers = await asyncio.gather(*(_log_in_anew(browser) for _ in range(4)))
    assert sorted(answers).count(200) <= 1


async def _log_in_anew(browser: Browser) -> int:
    body = {"name": browser.name, "password": PASSWORD, "code": browser.totp.now()}
    return (await browser.http.post("/api/moderate/session", json=body)).status_code


async def test_guessing_is_slow(office: Office) -> None:
    browser = await office.moderator()
    codes = [(await browser.log_in(password="wrong", code="123456")).json()["code"] for _ in range(7)]
    assert codes[:5] == ["login_failed"] * 5
    assert codes[5:] == ["rate_limited"] * 2


async def test_a_link_works_once_and_wants_a_good_password(office: Office) -> None:
    browser = Browser(office.server, "max")
    office.browsers.append(browser)
    token = await office.server.application.services.logins.invite("max", "moderator", "test")
    path = f"/setup/{token}"
    about = (await browser.get(path))["data"]
    assert about["picture"].startswith("data:image/svg+xml")
    code = pyotp.TOTP(about["secret"]).now()
    assert (await browser.post(path, password="max is my name", code=code))["code"] == "invalid_payload"
    assert (await browser.post(path, password="short", code=code))["code"] == "invalid_payload"
    assert (await browser.post(path, password=PASSWORD, code="000000"))["code"] == "invalid_payload"
    assert (await browser.post(path, password=PASSWORD, code=code))["success"]
    assert (await browser.post(path, password=PASSWORD, code=code))["code"] == "not_found"
    assert (await browser.get("/setup/guessed"))["code"] == "not_found"


async def test_who_is_disabled_is_out_at_once(office: Office) -> None:
    browser = await office.moderator()
    await office.moderator("eva")
    await office.server.application.services.logins.disable("max", "test")
    assert (await browser.get("/session"))["code"] == "login_required"
    assert (await browser.log_in()).status_code == 401


async def test_who_logs_out_is_out(office: Office) -> None:
    browser = await office.moderator()
    cookies = dict(browser.http.cookies)
    answer = await browser.http.delete("/api/moderate/session", headers={"X-CSRF-Token": browser.csrf})
    assert answer.status_code == 200
    browser.http.cookies.update(cookies)
    assert (await browser.get("/session"))["code"] == "login_required"


async def test_a_cookie_alone_changes_nothing(office: Office) -> None:
    browser = await office.moderator()
    _, case = await office.reported()
    body = {"action": "dismiss", "rule": "hate"}
    path = f"/api/moderate/cases/{case}/decisions"
    for headers in ({}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": browser.csrf, "Sec-Fetch-Site": "cross-site"}):
        answer = await browser.http.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf_invalid")
    assert (await browser.get(f"/cases/{case}"))["data"]["case"]["state"] == "open"


_ELSEWHERE: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "nonsense"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": "https://listed.example"},
    {"Origin": "https://listed.example", "Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", _ELSEWHERE)
async def test_another_page_with_cookie_and_token_changes_and_reads_nothing(
    start_server: StartServer, headers: dict[str, str]
) -> None:
    server = await start_server(
        database_url="sqlite:///", evidence_key=KEY, limits_scale=100, cors_origin=("https://listed.example",)
    )
    office = Office(server)
    browser = await office.moderator(role="admin")
    _, case = await office.reported()
    token = {"X-CSRF-Token": browser.csrf}
    path = f"/api/moderate/cases/{case}"
    for answer in (
        await browser.http.get(path, headers=headers),
        await browser.http.get("/api/moderate/session", headers=headers),
        await browser.http.get(f"{path}/export", headers=headers),
        await browser.http.post(f"{path}/viewing", headers=headers | token),
        await browser.http.post(f"{path}/decisions", headers=headers | token, json={"action": "ban", "rule": "hate"}),
        await browser.http.delete("/api/moderate/session", headers=headers | token),
        await browser.http.post(
            "/api/moderate/session", headers=headers, json={"name": "", "password": "", "code": ""}
        ),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf_invalid")
    view = (await browser.get(f"/cases/{case}"))["data"]
    assert (view["case"]["state"], view["case"]["viewers"]) == ("open", [])
    await browser.http.aclose()


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin", "Origin": "https://chat.example"}, {"Origin": ""}]
)
async def test_the_own_page_is_let_in_behind_every_proxy(office: Office, headers: dict[str, str]) -> None:
    browser = await office.moderator()
    headers = {**headers, "X-CSRF-Token": browser.csrf}
    if not headers["Origin"]:
        headers["Origin"] = office.server.url
    answer = await browser.http.delete("/api/moderate/session", headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/cases/..%2f..%2fsession", "/cases/%2e%2e/files/1", "/cases/%00", "/cases/%00/export", "/cases/%ff"),
        *("/cases/' OR 1=1--/export", "/cases/x/files/-1", "/cases/x/files/9223372036854775808", "/cases/x/files/1e9"),
        *("/cases/" + "a" * 5000, "/setup/%00", "/setup/..%2f..%2fsession", "/setup/" + "a" * 5000, "/nothing"),
    ],
)
async def test_tricks_with_paths_find_nothing(office: Office, path: str) -> None:
    browser = await office.moderator()
    answer = await browser.http.get(f"/api/moderate{path}")
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["success"] is False
    assert (await browser.get("/session"))["success"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sanctions/9223372036854775808/lift", {"words": "why"}),
        ("/sanctions/-1/lift", {"words": "why"}),
        ("/sanctions/1/lift", {"words": " "}),
        ("/appeals/9223372036854775808", {"verdict": "upheld"}),
        ("/appeals/1", {"verdict": "waiting"}),
        ("/cases/%00/decisions", {"action": "ban", "rule": "hate"}),
        ("/cases/%00/viewing", {}),
    ],
)
async def test_what_is_not_there_is_not_changed(office: Office, path: str, body: dict[str, str]) -> None:
    browser = await office.moderator()
    assert (await browser.post(path, **body))["code"] in ("not_found", "invalid_payload")


@pytest.mark.parametrize("path", ["/audit?after=9223372036854775808", "/audit?after=-1", "/audit?after=x"])
async def test_a_place_in_the_audit_is_a_number(office: Office, path: str) -> None:
    browser = await office.moderator(role="admin")
    answer = await browser.http.get(f"/api/moderate{path}")
    assert answer.status_code in (200, 400), answer.text


async def test_an_export_has_files_under_safe_names_and_names_the_real_ones(office: Office) -> None:
    browser = await office.moderator()
    two = Two(office.server, *await office.server.pair())
    info = await two.upload(b"something", "what is this?.bin", by=two.berta)
    await two.other.emit("chat:message", {"type": "file", "content": info})
    message = await two.one.until("chat:message")
    await two.one.ask("safety:report", {"reason": "other", "messages": [message["id"]]})
    case = (await browser.get("/cases"))["data"]["cases"][0]["id"]
    answer = await browser.http.get(f"/api/moderate/cases/{case}/export")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        (file,) = json.loads(archive.read("case.json"))["files"]
        assert file["path"].startswith("files/")
        assert not set(file["path"].removeprefix("files/")) & set("/\\:?* ")
        assert archive.read(file["path"]) == b"something"
        assert file["name"] == info["filename"]


async def test_the_longest_ban_can_be_shown(office: Office) -> None:
    browser = await office.moderator()
    _, case = await office.reported()
    await browser.post(f"/cases/{case}/decisions", action="ban", rule="hate", seconds=LONGEST_BAN)
    assert (await browser.get("/sanctions"))["data"]["sanctions"][0]["endsAt"] > "2100"


async def test_sanctions_come_in_parts(office: Office) -> None:
    browser = await office.moderator(role="triage")
    store = office.server.application.services.adapters.kept.sanctions
    bans = [await store.add(sanction(code=str(number))) for number in range(60)]
    first = (await browser.get("/sanctions"))["data"]
    assert [one["id"] for one in first["sanctions"]] == [one.id for one in reversed(bans[10:])]
    rest = (await browser.get(f"/sanctions?after={first['next']}"))["data"]
    assert [one["id"] for one in rest["sanctions"]] == [one.id for one in reversed(bans[:10])]
    assert rest["next"] is None
    assert (await browser.get("/sanctions?after=nonsense"))["code"] == "invalid_payload"


# ── cases ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_case_shows_what_was_relayed(office: Office) -> None:
    browser = await office.moderator()
    _two, case = await office.reported(words="<script>help</script>")
    page = (await browser.get("/cases"))["data"]
    assert [one["id"] for one in page["cases"]] == [case]
    view = (await browser.get(f"/cases/{case}"))["data"]
    (line,) = view["evidence"]
    assert (line["by"], line["text"], line["marked"]) == ("reported", "something <b>bad</b>", True)
    assert view["words"] == "<script>help</script>"
    assert view["marks"] == ["address", "device", "network", "session"]
    assert (await browser.get("/cases/nothing"))["code"] == "not_found"
    assert (await browser.get("/cases?after=nonsense"))["code"] == "invalid_payload"
    assert (await browser.get("/cases?state=nonsense"))["code"] == "invalid_payload"


async def test_a_ban_is_decided_told_and_appealed(office: Office) -> None:
    browser, eva = await office.moderator(), await office.moderator("eva")
    two, case = await office.reported(leave=False)
    view = (await browser.post(f"/cases/{case}/decisions", action="ban", rule="hate", seconds=3600))["data"]
    assert view["case"]["state"] == "closed"
    assert view["decisions"][0]["sanctionId"]
    await office.server.application.services.bans.look()
    told = await two.other.until("safety:told")
    assert told["kind"] == "banned"
    assert told["words"].startswith("You have insulted")
    answer = await browser.post(f"/cases/{case}/decisions", action="dismiss", rule="hate")
    assert answer["code"] == "already_decided"
    await two.http.post("/api/appeals", json={"code": told["appealCode"], "words": "It <b>was</b> a joke"})
    ((appeal),) = (await browser.get("/appeals"))["data"]
    assert (appeal["words"], appeal["isOwn"]) == ("It <b>was</b> a joke", True)
    own = await browser.post(f"/appeals/{appeal['id']}", verdict="upheld", words="")
    assert own["code"] == "own_decision"
    assert (await eva.post(f"/appeals/{appeal['id']}", verdict="waiting"))["code"] == "invalid_payload"
    assert (await eva.post(f"/appeals/{appeal['id']}", verdict="upheld", words="Right"))["success"]
    assert (await eva.post(f"/appeals/{appeal['id']}", verdict="rejected"))["code"] == "not_found"
    status = (await two.http.post("/api/appeals/status", json={"code": told["appealCode"]})).json()["data"]
    assert (status["state"], status["answer"], status["ended"]) == ("upheld", "Right", True)


async def test_two_who_decide_at_once_decide_once(office: Office) -> None:
    browser, eva = await office.moderator(), await office.moderator("eva")
    _, case = await office.reported()
    answers = await asyncio.gather(
        *(one.post(f"/cases/{case}/decisions", action="ban", rule="hate") for one in (browser, eva))
    )
    assert sorted(answer.get("code", "") for answer in answers) == ["", "already_decided"]
    assert len(await office.server.application.services.adapters.kept.sanctions.changed(0)) == 1


async def test_two_on_one_case_see_each_other(office: Office) -> None:
    browser, eva = await office.moderator(), await office.moderator("eva")
    _, case = await office.reported()
    assert (await browser.post(f"/cases/{case}/viewing"))["data"] == []
    assert (await eva.post(f"/cases/{case}/viewing"))["data"] == ["max"]
    assert (await browser.get("/cases"))["data"]["cases"][0]["viewers"] == ["eva"]


_MAY: dict[str, set[str]] = {
    "triage": {"dismiss", "note", "escalate", "hold"},
    "moderator": {"dismiss", "note", "escalate", "hold", "release", "warn", "end_session", "ban"},
    "admin": {"dismiss", "note", "escalate", "hold", "release", "warn", "end_session", "ban"},
}


@pytest.mark.parametrize("role", ["triage", "moderator", "admin"])
async def test_a_role_may_do_what_it_may(office: Office, role: Role) -> None:
    browser = await office.moderator(role=role)
    for action in ("note", "hold", "release", "escalate", "dismiss", "warn", "end_session", "ban"):
        _, case = await office.reported()
        answer = await browser.post(f"/cases/{case}/decisions", action=action, rule="hate", words="why")
        assert (answer["success"], answer.get("code")) == (
            (True, None) if action in _MAY[role] else (False, "role_required")
        )
    for path, needs in (
        ("/moderators", "admin"),
        ("/audit", "admin"),
        ("/sanctions", "triage"),
        ("/figures", "triage"),
    ):
        may = role == "admin" or needs == "triage"
        assert (await browser.get(path))["success"] == may
    _, case = await office.reported()
    exported = await browser.http.get(f"/api/moderate/cases/{case}/export")
    assert exported.status_code == (403 if role == "triage" else 200)
    assert (await browser.post("/sanctions/99/lift", words="why")).get("code") == (
        "role_required" if role == "triage" else "not_found"
    )


@pytest.mark.parametrize(
    "body",
    [
        {"action": "explode", "rule": "hate"},
        {"action": "ban", "rule": "nonsense"},
        {"action": "ban", "rule": "hate", "seconds": -1},
        {"action": "ban", "rule": "hate", "seconds": 3e11},
        {"action": "ban", "rule": "hate", "seconds": 1e300},
        {"action": "ban", "rule": "hate", "by": ["name"]},
        {"action": "hold", "rule": "hate"},
        {"action": "note", "rule": "hate", "words": " "},
        {"action": "warn", "rule": "hate", "words": "x" * 2001},
        {},
    ],
)
async def test_bad_input_decides_nothing(office: Office, body: dict[str, Any]) -> None:
    browser = await office.moderator()
    _, case = await office.reported()
    assert (await browser.post(f"/cases/{case}/decisions", **body))["code"] == "invalid_payload"
    view = (await browser.get(f"/cases/{case}"))["data"]
    assert (view["case"]["state"], view["decisions"]) == ("open", [])


async def test_a_file_is_only_downloaded(office: Office) -> None:
    browser = await office.moderator()
    two = Two(office.server, *await office.server.pair())
    body = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    info = await two.upload(body, "a.svg", by=two.berta)
    await two.other.emit("chat:message", {"type": "file", "content": info})
    message = await two.one.until("chat:message")
    await two.one.ask("safety:report", {"reason": "other", "messages": [message["id"]]})
    case = (await browser.get("/cases"))["data"]["cases"][0]["id"]
    (file,) = (await browser.get(f"/cases/{case}"))["data"]["files"]
    answer = await browser.http.get(f"/api/moderate/cases/{case}/files/{file['number']}")
    assert answer.content == body
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await browser.get(f"/cases/{case}/files/0"))["code"] == "file_not_found"
    assert (await browser.get(f"/cases/{case}/files/99"))["code"] == "file_not_found"


async def test_an_export_can_be_verified_and_a_changed_one_not(office: Office, tmp_path: Path) -> None:
    browser = await office.moderator()
    _, case = await office.reported()
    answer = await browser.http.get(f"/api/moderate/cases/{case}/export")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(contents["manifest.json"])
    assert {name: hashlib.sha256(contents[name]).hexdigest() for name in manifest} == manifest
    assert set(contents) - set(manifest) == {"manifest.json", "manifest.sig"}
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - beside its use
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - beside its use
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - beside its use

    key = load_pem_public_key(contents["key.pem"])
    assert isinstance(key, Ed25519PublicKey)
    key.verify(contents["manifest.sig"], contents["manifest.json"])
    with pytest.raises(InvalidSignature):
        key.verify(contents["manifest.sig"], contents["manifest.json"] + b" ")
    if shutil.which("openssl"):
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        signed, hashed = (line for line in contents["README.txt"].decode().splitlines() if "openssl" in line)

        def run(command: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(command.split(), cwd=tmp_path, check=False, capture_output=True, text=True)

        assert run(signed).returncode == 0
        assert run(hashed).stdout.split()[-1] == manifest["case.json"]
        (tmp_path / "case.json").write_bytes(contents["case.json"].replace(b"hate", b"spam"))
        assert run(hashed).stdout.split()[-1] != manifest["case.json"]
        (tmp_path / "manifest.json").write_bytes(contents["manifest.json"].replace(b"0", b"1"))
        assert run(signed).returncode != 0
    entries = [entry.action async for entry in office.server.application.services.adapters.kept.journal.entries()]
    assert entries[-1] == "case.export"


async def test_the_audit_names_what_was_done_and_no_words_of_guests(office: Office) -> None:
    browser = await office.moderator(role="admin")
    _, case = await office.reported()
    await browser.post(f"/cases/{case}/decisions", action="warn", rule="hate", words="do not say that")
    lines = (await browser.get("/audit"))["data"]
    actions = [line["action"] for line in lines]
    assert actions == ["moderator.add", "moderator.setup", "login", "sanction.warning", "case.warn"]
    assert "bad" not in json.dumps(lines)
    assert [line["number"] for line in (await browser.get("/audit?after=3"))["data"]] == [4, 5]


async def test_figures_count(office: Office) -> None:
    browser = await office.moderator()
    _, case = await office.reported()
    await office.reported()
    await browser.post(f"/cases/{case}/decisions", action="dismiss", rule="hate")
    figures = (await browser.get("/figures"))["data"]
    assert (figures["open"], figures["decided"], figures["withinTarget"]) == (1, 1, 1)
    assert figures["openBySeverity"] == [0, 1, 0]
    assert figures["sources"] == {"report": 2}
    assert (await browser.get("/figures?from=nonsense"))["code"] == "invalid_payload"
    assert (await browser.get("/figures?from=2020-01-01&to=2020-02-01"))["data"]["decided"] == 0


async def test_templates_are_in_the_language_of_the_guest(office: Office) -> None:
    browser = await office.moderator()
    texts = (await browser.get("/templates?language=de-AT"))["data"]
    assert any(one["words"].startswith("Du hast jemanden bedroht") for one in texts)
    assert (await browser.get("/templates?language=xx"))["data"][0]["words"].startswith("You have")


async def test_while_the_database_is_away_the_console_says_so_and_the_chat_goes_on(office: Office) -> None:
    browser = await office.moderator()
    two, case = await office.reported(leave=False)
    kept = office.server.application.services.adapters.kept

    async def fail(*_arguments: object, **_named: object) -> Any:  # noqa: ANN401 - as there
        raise OSError("away")

    for store, name in ((kept.cases, "load"), (kept.cases, "page"), (kept.staff, "is_any")):
        setattr(store, name, fail)
    assert (await browser.get(f"/cases/{case}"))["code"] == "unavailable"
    assert (await browser.get("/cases"))["code"] == "unavailable"
    assert (await two.one.say("we talk on"))["messageId"]


async def test_a_moderator_is_limited_too(start_server: StartServer) -> None:
    server = await start_server(database_url="sqlite:///", limit_moderation=Rate(3, 0.1))
    office = Office(server)
    browser = await office.moderator()
    codes = [(await browser.get("/session")).get("code") for _ in range(5)]
    assert codes[-1] == "rate_limited"
    await browser.http.aclose()


async def test_an_address_tries_only_so_often(start_server: StartServer) -> None:
    server = await start_server(database_url="sqlite:///", limit_address_logins=Rate(3, 0.001))
    await server.application.services.logins.invite("max", "admin", "test")
    answers = [
        await server.http.post("/api/moderate/session", json={"name": f"n{number}", "password": "x", "code": "x"})
        for number in range(3)
    ]
    assert [answer.json()["code"] for answer in answers] == ["login_failed"] * 3
    refused = await server.http.get("/api/moderate/setup/guessed")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert "retry-after" in refused.headers


async def test_who_is_meant_is_told_on_the_way_back(office: Office) -> None:
    two, case = await office.reported(leave=False)
    moderator = await office.moderator()
    await two.other.cut()
    await two.one.until("room:partner_away")
    told = await moderator.post(f"/cases/{case}/decisions", action="ban", rule="hate", by=["address"])
    assert told["success"]
    bans = office.server.application.services.bans
    await bans.look()
    with pytest.raises(RefusedError) as refused:
        await office.server.connect(two.berta)
    assert "appealCode" in refused.value.data["ban"]


async def test_against_a_ban_that_is_over_nobody_appeals(office: Office) -> None:
    moderator = await office.moderator()
    two, case = await office.reported(leave=False)
    await moderator.post(f"/cases/{case}/decisions", action="ban", rule="hate", by=["session"])
    code = (await two.other.until("safety:told"))["appealCode"]
    (ban,) = (await moderator.get("/sanctions"))["data"]["sanctions"]
    await moderator.post(f"/sanctions/{ban['id']}/lift", words="a mistake")
    answered = await office.server.http.post("/api/appeals", json={"code": code, "words": "why?"})
    assert answered.status_code == 409


async def test_others_cannot_lock_a_moderator_out(start_server: StartServer) -> None:
    office = Office(await start_server(database_url="sqlite:///", trusted_proxies=("127.0.0.0/8",), limits_scale=100))
    await office.server.application.services.adapters.kept.database.open()
    browser = await office.moderator()
    wrong = {"name": browser.name, "password": "wrong", "code": "123456"}
    async with httpx.AsyncClient(base_url=office.server.url, headers={"X-Forwarded-For": "203.0.113.9"}) as stranger:
        answers = [await stranger.post("/api/moderate/session", json=wrong) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert (await browser.log_in()).status_code == 200
    await browser.http.aclose()


async def test_what_comes_after_a_report_can_be_reported(office: Office) -> None:
    two, _ = await office.reported(leave=False)
    await two.other.emit("chat:message", {"type": "text", "content": "a threat"})
    await two.one.until("chat:message", content="a threat")
    assert "receipt" in await two.one.ask("safety:report", {"reason": "threats", "leave": False})
    assert (await two.one.ask("safety:report", {"reason": "threats"}))["code"] == "already_reported"
    found = await office.server.application.services.adapters.kept.cases.page("open")
    assert sorted(case.rule for case in found.cases) == ["hate", "threats"]
