"""Before the first session: age, rules, a little work of the browser; and the operator's pages."""

from __future__ import annotations

import hmac
import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from playwright.async_api import Page, Route, ViewportSize, expect

from tests.e2e.answering import Answering
from tests.e2e.conftest import Street
from tests.e2e.test_accessibility import (
    CUT_OFF,
    LAPTOP,
    LOW_CONTRAST,
    PHONE,
    everything_is_named,
    targets_are_large_enough,
)
from tests.e2e.visitor import BROKEN_CONNECTION, Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

ASKED = "status of 428"
"""What the console says of a newcomer who is asked something."""
REFUSED = "status of 403"
SECRET = "a secret that the provider and the server share"
RULES = """# The rules

Be kind. See [our page](https://example.com/), or [this](javascript:alert(1)).

<script>document.title = 'broken in'</script>
<img src=x onerror="document.title = 'broken in'">

| Not here | Why |
|---|---|
| Adverts | Nobody came for them |
"""


def house_files(folder: Path) -> dict[str, str]:
    """Write the operator's pages into a folder; return the settings that name them."""
    texts = {"rules": RULES, "privacy": "Nothing is kept.", "contact": "Write to [us](mailto:us@example.com)."}
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text)
    return {f"{name}_file": str(folder / f"{name}.md") for name in texts}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The operator's pages, as settings."""
    return house_files(tmp_path)


async def newcomer(street: Street, viewport: ViewportSize | None = None, *, dark: bool = False) -> Visitor:
    """Somebody whose browser is never used again: it keeps what was answered."""
    return await street.visitor(touch=True, expecting=f"{ASKED}|{REFUSED}", viewport=viewport, dark=dark)


async def is_born(visitor: Visitor, day: str, month: str, year: str) -> None:
    for name, value in (("day", day), ("month", month), ("year", year)):
        await visitor.part(f"born-{name}").fill(value)
    await visitor.part("born-answer").click()


async def is_in(visitor: Visitor) -> None:
    await visitor.sees_connection("Connected")
    await expect(visitor.part("start")).to_be_enabled()


async def comes_by(visitor: Visitor, link: str) -> None:
    """Follow a link to the page, from elsewhere."""
    address = urlsplit(visitor.page.url)
    await visitor.page.goto("about:blank")
    await visitor.page.goto(f"{address.scheme}://{address.netloc}/{link}")


# ── age ───────────────────────────────────────────────────────────────────────────────────────────


async def test_who_is_of_age_is_asked_once(street: Street) -> None:
    street.server = await street.another_server(age_minimum="18")
    anna = await newcomer(street)
    await expect(anna.part("asked")).not_to_contain_text(re.compile(r"\b18\b"))
    for name in ("day", "month", "year"):
        await expect(anna.part(f"born-{name}")).to_have_value("")
        await expect(anna.part(f"born-{name}")).to_have_attribute("autocomplete", f"bday-{name}")
    for day, month, year in (
        ("31", "2", "1990"),
        ("", "1", "1990"),
        ("1", "13", "1990"),
        ("1", "1", "2999"),
        ("x",) * 3,
    ):
        await is_born(anna, day, month, year)
        await expect(anna.words("There is no such day.")).to_be_visible()
    async with anna.page.expect_request("**/api/guest") as sent:
        await is_born(anna, "1", "2", "1990")
    assert (await sent.value).post_data_json == {"bornOn": "1990-02-01"}
    await is_in(anna)
    await anna.page.reload()
    await is_in(anna)
    assert "1990" not in await anna.page.evaluate("JSON.stringify([localStorage, sessionStorage])")


async def test_who_is_under_age_stays_out_also_after_a_reload(street: Street, files: dict[str, str]) -> None:
    street.server = await street.another_server(age_minimum="18", contact_file=files["contact_file"])
    anna = await newcomer(street)
    await is_born(anna, "1", "2", "2020")
    await expect(anna.part("under-age")).to_be_visible()
    await expect(anna.part("asked")).not_to_contain_text(re.compile(r"\d"))
    for forgotten in ("", "sessionStorage.clear()", "localStorage.removeItem('passerby.under_age')"):
        await anna.page.evaluate(forgotten)
        await anna.page.reload()
        await expect(anna.part("under-age")).to_be_visible()
        await expect(anna.part("born-day")).to_have_count(0)
    # The server knows the browser no more, and it is not asked again all the same.
    await anna.page.evaluate("localStorage.removeItem('passerby.device')")
    await anna.page.reload()
    await expect(anna.part("under-age")).to_be_visible()
    await anna.part("contact").click()
    await expect(anna.part("house-page")).to_contain_text("Write to us.")


@pytest.mark.parametrize("result", ["of_age", "under_age"])
async def test_a_provider_says_whether_somebody_is_of_age(street: Street, result: str, files: dict[str, str]) -> None:
    street.server = await street.another_server(
        age_minimum="18",
        age_url="https://age.example/check?shop=1",
        age_secret=SECRET,
        rules_file=files["rules_file"],
    )

    async def provider(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        state, back = query["state"][0], query["return"][0]
        assert back == f"{street.server.url}/"
        signature = hmac.digest(SECRET.encode(), f"{state}.{result}".encode(), "sha256").hex()
        answer = urlencode({"state": state, "result": result, "signature": signature})
        leads = f"<script>location.replace({json.dumps(f'{back}#{answer}')})</script>"
        await route.fulfill(body=leads, content_type="text/html")

    anna = await newcomer(street)
    await anna.page.route("https://age.example/**", provider)
    await anna.part("age-check").click()
    await anna.part("rules-accept").click()
    if result == "of_age":
        await is_in(anna)
    else:
        await expect(anna.part("under-age")).to_be_visible()
    assert anna.page.url == f"{street.server.url}/"
    await anna.page.reload()
    await expect(anna.part("start" if result == "of_age" else "under-age")).to_be_visible()


async def test_what_no_provider_has_signed_is_refused_and_asked_again(street: Street) -> None:
    street.server = await street.another_server(age_minimum="18", age_url="https://age.example/", age_secret=SECRET)
    anna = await newcomer(street)
    anna.expect_complaint("status of 400")
    await expect(anna.part("age-check")).to_be_visible()
    await comes_by(anna, "#state=made-up&result=of_age&signature=00")
    await expect(anna.part("asked-trouble")).to_contain_text("does not count, or came too late")
    assert anna.page.url == f"{street.server.url}/"
    await expect(anna.part("age-check")).to_be_visible()


async def test_an_answer_about_somebody_else_that_comes_with_a_link_is_none(street: Street) -> None:
    street.server = await street.another_server(age_minimum="18", age_url="https://age.example/", age_secret=SECRET)
    anna = await newcomer(street)
    await expect(anna.part("age-check")).to_be_visible()
    async with httpx.AsyncClient() as http:
        begun = await http.get(f"{street.server.url}/api/age", params={"return": f"{street.server.url}/"})
    state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
    signature = hmac.digest(SECRET.encode(), f"{state}.under_age".encode(), "sha256").hex()
    await anna.page.evaluate("localStorage.removeItem('passerby.age_check')")
    await comes_by(anna, f"#state={state}&result=under_age&signature={signature}")
    await expect(anna.part("age-check")).to_be_visible()
    assert anna.page.url == f"{street.server.url}/"
    assert not await anna.page.evaluate("localStorage.getItem('passerby.under_age')")


# ── rules, and the operator's pages ───────────────────────────────────────────────────────────────


async def test_rules_are_read_and_accepted_and_new_ones_again(
    street: Street, files: dict[str, str], tmp_path: Path
) -> None:
    street.server = await street.another_server(**files)
    anna = await newcomer(street)
    await anna.part("rules-read").click()
    page = anna.part("house-page")
    await expect(page.get_by_role("heading", name="The rules")).to_be_visible()
    await expect(page.get_by_role("link")).to_have_count(1)
    await expect(page.get_by_role("cell", name="Adverts")).to_be_visible()
    await expect(page.locator("script, img")).to_have_count(0)
    assert "broken" not in await anna.page.title()
    await anna.page.keyboard.press("Escape")
    await expect(page).to_have_count(0)
    await expect(anna.part("rules-read")).to_be_focused()
    await anna.part("rules-accept").click()
    await is_in(anna)
    await anna.page.reload()
    await is_in(anna)
    # There are new ones, and nobody's session has outlived the server.
    anna.expect_complaint(f"{BROKEN_CONNECTION}|status of (401|503)")
    await street.server.stop()
    (tmp_path / "rules.md").write_text("# Others\n\nBe kinder.")
    await street.server.start()
    await anna.part("rules-read").click()
    await expect(page).to_contain_text("Be kinder.")
    await anna.part("house-page-close").click()
    await anna.part("rules-accept").click()
    await is_in(anna)


async def test_pages_are_linked_at_the_foot_of_the_start(street: Street, files: dict[str, str]) -> None:
    street.server = await street.another_server(privacy_file=files["privacy_file"])
    anna = await newcomer(street)
    await is_in(anna)
    await expect(anna.page.locator("footer :is(a, button)")).to_have_count(1)
    await anna.part("page-privacy").click()
    await expect(anna.part("house-page")).to_contain_text("Nothing is kept.")
    await anna.page.go_back()
    await expect(anna.part("house-page")).to_have_count(0)
    await expect(anna.part("page-privacy")).to_be_focused()
    await everything_is_named(anna)


async def test_a_page_can_be_linked_to(street: Street, files: dict[str, str]) -> None:
    street.server = await street.another_server(privacy_file=files["privacy_file"], age_minimum="18")
    anna = await newcomer(street)
    await expect(anna.part("page-privacy")).to_have_attribute("href", "#privacy")
    for link in ("#privacy", "?from=elsewhere#privacy"):
        await comes_by(anna, link)
        await expect(anna.part("house-page")).to_contain_text("Nothing is kept.")
        await anna.part("house-page-close").click()
        await expect(anna.part("born-day")).to_be_visible()
        assert "#" not in anna.page.url
    await comes_by(anna, "#contact")
    await expect(anna.part("page-privacy")).to_be_visible()
    await expect(anna.part("house-page")).to_have_count(0)


async def test_a_page_that_cannot_be_had_says_so(street: Street) -> None:
    answering = Answering(pages=["contact"])
    answering.bodies["/api/pages/contact"] = {"code": "unavailable"}
    anna = await street.visitor(touch=True, before=answering.join)
    await anna.part("page-contact").click()
    await expect(anna.part("house-page")).to_contain_text("cannot do this right now")


# ── proof of work ─────────────────────────────────────────────────────────────────────────────────


async def test_the_browser_works_and_is_let_in(street: Street) -> None:
    street.server = await street.another_server(proof_of_work="always")
    anna = await newcomer(street)
    workers: list[str] = []
    anna.page.on("worker", lambda worker: workers.append(worker.url))
    await is_in(anna)
    await anna.page.evaluate("sessionStorage.clear()")
    await anna.page.reload()
    await is_in(anna)
    assert workers
    assert all(url.startswith(f"{street.server.url}/assets/pbkdf2-") for url in workers)


async def test_age_and_rules_are_asked_before_the_work(street: Street, files: dict[str, str]) -> None:
    street.server = await street.another_server(proof_of_work="always", age_minimum="16", **files)
    anna = await newcomer(street)
    await expect(anna.part("born-answer")).to_be_visible()
    asked: list[str] = []
    anna.page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/api/guest") else None)
    await is_born(anna, "29", "2", "2000")
    await anna.part("rules-accept").click()
    await is_in(anna)
    assert len(asked) == 1  # after the one that the page began with


async def test_a_name_of_choice_costs_work_too_and_may_be_left(street: Street) -> None:
    street.server = await street.another_server(proof_of_work="always")
    anna = await newcomer(street)
    await is_in(anna)
    # Never done: what works is not there.
    await anna.page.route("**/assets/pbkdf2-*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    await anna.part("name-input").fill("AmberOtter2734")
    await anna.part("start").click()
    await expect(anna.part("proof").locator("altcha-widget")).to_be_visible()
    await anna.part("proof-cancel").click()
    await is_in(anna)
    await anna.page.unroute("**/assets/pbkdf2-*.js")
    await anna.part("name-input").fill("AmberOtter2734")
    await anna.part("start").click()
    await expect(anna.part("searching")).to_be_visible()


async def test_work_that_is_stopped_goes_on_when_asked(street: Street) -> None:
    street.server = await street.another_server(proof_of_work="always")

    async def without(page: Page) -> None:
        await page.route("**/assets/pbkdf2-*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))

    anna = await street.visitor(touch=True, expecting=ASKED, before=without)
    await anna.part("proof-cancel").click()
    await expect(anna.part("proof")).to_have_count(0)
    await anna.page.unroute("**/assets/pbkdf2-*.js")
    await anna.part("proof-again").click()
    await is_in(anna)


async def test_without_a_secure_page_it_is_said_why_there_is_no_work(street: Street) -> None:
    street.server = await street.another_server(proof_of_work="always")

    async def insecure(page: Page) -> None:
        await page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")

    anna = await street.visitor(touch=True, expecting=ASKED, before=insecure)
    await expect(anna.part("proof-insecure")).to_contain_text("without https")


# ── for everybody ─────────────────────────────────────────────────────────────────────────────────


async def test_by_keyboard_alone(street: Street, files: dict[str, str]) -> None:
    street.server = await street.another_server(proof_of_work="always", age_minimum="18", **files)
    anna = await newcomer(street)
    press, write = anna.page.keyboard.press, anna.page.keyboard.type
    await expect(anna.page.get_by_role("heading", name="Before you begin")).to_be_focused()
    for part in ("1", "2", "1990"):
        await press("Tab")
        await write(part)
    await press("Enter")
    await expect(anna.page.get_by_role("heading", name="The rules of this place")).to_be_focused()
    await press("Tab")
    await press("Enter")
    await expect(anna.part("house-page-close")).to_be_focused()
    await press("Enter")
    await expect(anna.part("rules-read")).to_be_focused()
    await press("Tab")
    await press("Enter")
    await is_in(anna)


@pytest.mark.parametrize("viewport", [PHONE, LAPTOP], ids=["phone", "laptop"])
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_what_is_asked_suits_everybody(
    street: Street, files: dict[str, str], viewport: ViewportSize, large: bool, dark: bool
) -> None:
    street.server = await street.another_server(proof_of_work="always", age_minimum="18", **files)
    anna = await newcomer(street, viewport, dark=dark)
    await anna.page.route("**/assets/pbkdf2-*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    if large:
        await anna.page.add_style_tag(content="html { font-size: 200% !important }")

    async def suits() -> None:
        await everything_is_named(anna)
        await targets_are_large_enough(anna)
        assert await anna.page.evaluate(CUT_OFF) == []
        assert await anna.page.evaluate(LOW_CONTRAST) == []

    await is_born(anna, "", "", "")
    await expect(anna.words("There is no such day.")).to_be_visible()
    await suits()
    await is_born(anna, "1", "2", "1990")
    await anna.part("rules-read").click()
    await expect(anna.part("house-page")).to_contain_text("Be kind.")
    await targets_are_large_enough(anna)
    assert await anna.page.evaluate(LOW_CONTRAST) == []
    await anna.part("house-page-close").click()
    await suits()
    await anna.part("rules-accept").click()
    await expect(anna.part("proof").locator("altcha-widget")).to_be_visible()
    await suits()


async def test_in_german_too(street: Street) -> None:
    street.server = await street.another_server(proof_of_work="always")

    async def in_german(page: Page) -> None:
        await page.add_init_script("localStorage.setItem('passerby.language', 'de')")
        await page.route("**/assets/pbkdf2-*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))

    anna = await street.visitor(touch=True, expecting=ASKED, before=in_german)
    await expect(anna.part("proof")).to_contain_text("Dein Browser arbeitet")
    await expect(anna.part("asked")).to_contain_text("Damit niemand diesen Ort überflutet")
