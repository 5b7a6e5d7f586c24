from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pyotp
import pytest

from passerby.moderation.staff import Moderator
from tests.database.conftest import KEY
from tests.support.conversation import Two

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.moderation.staff import Role
    from tests.conftest import StartServer
    from tests.support.server import InsideServer

PASSWORD = "correct horse battery"


class Browser:
    """The browser of a moderator."""

    def __init__(self, server: InsideServer, name: str, root: str = "") -> None:
        """`root` is the ROOT_PATH of the server."""
        self.server = server
        self.name = name
        self.http = httpx.AsyncClient(base_url=f"{server.url}{root}")
        self.csrf = ""
        self.used = ""
        """The code of the setup, which counts no more."""

    async def set_up(self, role: Role) -> None:
        """Make the moderator, and follow the link."""
        token = await self.server.application.services.logins.invite(self.name, role, "test")
        about = (await self.http.get(f"/api/moderate/setup/{token}")).json()["data"]
        self.totp = pyotp.TOTP(about["secret"])
        self.used = self.totp.now()
        answer = await self.http.post(f"/api/moderate/setup/{token}", json={"password": PASSWORD, "code": self.used})
        assert answer.status_code == 200, answer.text

    async def log_in(self, **changes: str) -> httpx.Response:
        """Log in, with a code that was not used yet."""
        staff = self.server.application.services.adapters.kept.staff
        found = await staff.by_name(self.name)
        if found is not None and "code" not in changes:
            await self._forget_step(found)
        body = {"name": self.name, "password": PASSWORD, "code": self.totp.now(), **changes}
        answer = await self.http.post("/api/moderate/session", json=body)
        if answer.status_code == 200:
            self.csrf = answer.json()["data"]["csrf"]
        return answer

    async def _forget_step(self, moderator: Moderator) -> None:
        """Let the present code count once more: a new one comes in half a minute only."""
        database = self.server.application.services.adapters.kept.database
        async with database.write() as session:
            table = session.tables.moderators
            await session.execute(table.update().where(table.c.id == moderator.id).values(totp_step=0))

    async def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """GET something of the console; return the answer's body."""
        return (await self.http.get(f"/api/moderate{path}")).json()

    async def post(self, path: str, **body: object) -> Any:  # noqa: ANN401 - JSON
        """POST something to the console; return the answer's body."""
        answer = await self.http.post(f"/api/moderate{path}", json=body, headers={"X-CSRF-Token": self.csrf})
        return answer.json()


class Office:
    """A server with a database, and its moderators."""

    def __init__(self, server: InsideServer) -> None:
        self.server = server
        self.browsers: list[Browser] = []

    async def moderator(self, name: str = "max", role: Role = "moderator") -> Browser:
        """Return the browser of a new moderator, who has logged in."""
        browser = Browser(self.server, name)
        self.browsers.append(browser)
        await browser.set_up(role)
        answer = await browser.log_in()
        assert answer.status_code == 200, answer.text
        return browser

    async def reported(self, text: str = "something <b>bad</b>", **report: object) -> tuple[Two, str]:
        """Let Anna report Berta; return the two, and the id of the case."""
        two = Two(self.server, *await self.server.pair())
        await two.other.emit("chat:message", {"type": "text", "content": text})
        message = await two.one.until("chat:message")
        await two.one.ask("safety:report", {"reason": "hate", "messages": [message["id"]], **report})
        cases = await self.server.application.services.adapters.kept.cases.page("open")
        return two, max(cases.cases, key=lambda case: case.opened_at).id


@pytest.fixture
async def office(start_server: StartServer) -> AsyncIterator[Office]:
    """Run a server whose console can be opened."""
    one = Office(await start_server(database_url="sqlite:///", evidence_key=KEY, limits_scale=100))
    await one.server.application.services.adapters.kept.database.open()
    yield one
    for browser in one.browsers:
        await browser.http.aclose()
