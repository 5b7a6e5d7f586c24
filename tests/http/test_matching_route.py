"""`GET /api/matching`: how searches fare, and when guests can meet."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from passerby.hours import DAYS
from passerby.limits import Rate
from passerby.models import Wish

if TYPE_CHECKING:
    from tests.conftest import StartServer
    from tests.support.server import InsideServer

DAY = 24 * 3600


def day(later: int) -> str:
    """Return the day of the week `later` days from now."""
    return DAYS[(datetime.now(UTC) + timedelta(days=later)).weekday()]


async def matching(server: InsideServer) -> dict[str, Any]:
    answer = await server.http.get("/api/matching")
    assert answer.status_code == 200, answer.text
    assert answer.json()["success"] is True
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_an_empty_house_says_little(server: InsideServer) -> None:
    assert await matching(server) == {"waiting": {"text": 0, "audio": 0, "video": 0}, "suggestions": []}


async def test_it_says_how_many_search_with_what_and_how_long_it_takes(start_server: StartServer) -> None:
    server = await start_server(suggestion_people=2)
    pulse = server.application.services.pulse
    for guest in ("anna", "berta"):
        pulse.searched(guest, Wish(interests=("<b>tea", "jazz"), words=("<b>Tea", "Jazz")))
    pulse.searched("carla", Wish(interests=("jazz", "chess"), words=("Jazz", "Chess"), mode="audio"))
    for seconds in (1, 2, 30, 40, 50):
        pulse.met(seconds)

    assert await matching(server) == {
        "waiting": {"text": 2, "audio": 1, "video": 0},
        "suggestions": ["Jazz", "<b>Tea"],
        "usualWait": 30,
    }


async def test_it_is_limited(start_server: StartServer) -> None:
    server = await start_server(limit_address_requests=Rate(2, 0.001))

    answers = [await server.http.get("/api/matching") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].json()["code"] == "rate_limited"


async def test_a_closed_house_says_when_it_opens(start_server: StartServer) -> None:
    when = day(3)
    server = await start_server(meeting_hours=(f"{when} 10:00-11:00",))

    data = await matching(server)
    assert set(data) == {"waiting", "suggestions", "opensIn"}
    opens = datetime.fromtimestamp(time.time() + data["opensIn"] + 1, UTC)
    assert (DAYS[opens.weekday()], opens.hour, opens.minute) == (when, 10, 0)


async def test_an_open_house_says_when_it_closes(start_server: StartServer) -> None:
    server = await start_server(meeting_hours=(f"{day(-1)}-{day(2)} 00:00-24:00",), meeting_timezone="Asia/Kathmandu")

    data = await matching(server)
    assert set(data) == {"waiting", "suggestions", "closesIn"}
    assert DAY < data["closesIn"] < 4 * DAY


@pytest.mark.parametrize("is_open", [True, False])
async def test_searches_begin_only_while_it_is_open(start_server: StartServer, *, is_open: bool) -> None:
    days = f"{day(-1)}-{day(1)}" if is_open else f"{day(2)}-{day(4)}"
    server = await start_server(meeting_hours=(f"{days} 00:00-24:00",))
    _, anna = await server.visitor()

    await anna.emit("user:match", {})

    if is_open:
        await anna.until("user:match:searching")
        return
    error = await anna.until("user:match:error")
    assert error["code"] == "house_closed"
    assert 0 < error["retryAfter"] < 2 * DAY
    assert (await matching(server))["opensIn"] <= error["retryAfter"]
