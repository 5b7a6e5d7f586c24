"""A house where people meet at certain hours only."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Street

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

DAY = datetime.now(UTC) + timedelta(days=2)
HOURS = f"{DAY:%a} 10:00-11:00".lower()


@pytest.mark.parametrize("settings", [{"meeting_hours": HOURS}])
async def test_a_closed_house_says_when_it_opens_and_opens_by_itself(street: Street) -> None:
    anna = await street.visitor(still=True)
    opening = anna.part("opening")
    await expect(opening).to_have_text(
        re.compile(r"^People meet here at certain hours\. Next time: \w+day.* \d\d:\d\d\.$")
    )
    await expect(anna.part("start")).to_be_disabled()
    await expect(anna.part("start")).to_have_text(re.compile(r"^Opens in \d\d:\d\d:\d\d$"))
    first = await anna.part("start").inner_text()
    await anna.page.clock.run_for(2000)
    await expect(anna.part("start")).not_to_have_text(first)

    # The page's clock goes on, and the server's does not: only the page's own opening is looked at.
    status = json.dumps({"success": True, "data": {"waiting": {"text": 0, "audio": 0, "video": 0}, "suggestions": []}})
    await anna.page.route("**/api/matching", lambda route: route.fulfill(body=status, content_type="application/json"))
    await anna.page.clock.fast_forward(3 * 24 * 3600 * 1000)
    await expect(opening).to_have_text("It has opened. You can start now.")
    await expect(anna.part("start")).to_be_enabled()
    await expect(anna.part("start")).to_have_text("Start")
    # The connection takes the days for a silence of the server, and comes back.
    await anna.page.clock.resume()

    await anna.part("start").click()
    await expect(anna.part("start")).to_have_text(re.compile(r"^Opens in \d\d:\d\d:\d\d$"))
    await expect(anna.part("start")).to_be_disabled()
    await anna.page.unroute_all()
