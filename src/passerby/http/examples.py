"""Examples of bodies, for the OpenAPI document: values of their own types, like those of the events."""

from __future__ import annotations

from typing import Final

from passerby import __version__
from passerby.calls.ice import IceServer, IceServers
from passerby.errors import Code
from passerby.http.models import (
    AppealQuestion,
    AppealStatus,
    Failure,
    GuestCreated,
    GuestData,
    GuestUser,
    Health,
    HousePage,
    MatchingStatus,
    NewAppeal,
    NewGuest,
    OnlineUsersData,
    PublicGuestData,
    Readiness,
    ReceiptQuestion,
    ReportStatus,
    SchemaPaths,
    Searching,
    SocketStats,
    StatsData,
    TraitsUpdate,
    UsernameData,
    Version,
)
from passerby.models import BanNotice, House
from passerby.realtime.examples import COUNTS, FILE_INFO, LATER, LIMITS, ME, MY_NAME, NOW, ONLINE, SESSION, TOKEN

_CODE: Final = "GEZDG-NBVGY-3TQOJ-QGEZD-GNBVG-Y"
_USER: Final = GuestUser(
    id=ME, username=MY_NAME, is_guest=True, session_id=SESSION, location=None, gender=None, language="en"
)
_BAN: Final = BanNotice(
    rule="hate",
    words="You have insulted somebody.",
    since="2026-02-01T10:00:00.000Z",
    until="2026-03-01T10:00:00.000Z",
    appeal_code=_CODE,
)
_EXAMPLES: Final = (
    NewGuest(username=MY_NAME, location="Delft, NL", language="en"),
    TraitsUpdate(location="Delft, NL", gender=None),
    GuestCreated(token=TOKEN, user=_USER, device="eyJpZCI6IuKApiJ9.c2lnbmF0dXJl"),
    GuestData(_USER),
    PublicGuestData(ONLINE),
    UsernameData(MY_NAME),
    StatsData(COUNTS, [ONLINE], NOW),
    OnlineUsersData([ONLINE], 9, NOW),
    MatchingStatus(
        waiting=Searching(text=7, audio=0, video=2), suggestions=["Música", "jazz"], usual_wait=41.5, closes_in=5400.0
    ),
    SocketStats(connections=9, websocket=8, polling=1, guests=9, rooms=3, waiting=3),
    Health(status="ok", version=__version__, uptime=86400.5, redis="off"),
    Version(
        version=__version__,
        frames=1,
        database="0001",
        schema=SchemaPaths(openapi="/schema/openapi.json", asyncapi="/schema/asyncapi.json"),
    ),
    Readiness(status="ready", redis="off"),
    LIMITS,
    FILE_INFO,
    IceServers(
        ice_servers=[
            IceServer(urls=["stun:turn.example:3478"]),
            IceServer(urls=["turn:turn.example:3478"], username=f"1701945000:{ME}", credential="c2lnbmF0dXJl"),
        ],
        ice_transport_policy="all",
        ttl=3600.0,
    ),
    Failure(success=False, message="Too many requests, slow down", code=Code.RATE_LIMITED, retry_after=0.198),
    ReceiptQuestion(_CODE),
    ReportStatus(state="decided", rule="threats", action="ban", reported_at=NOW, decided_at=LATER),
    AppealQuestion(_CODE),
    NewAppeal(_CODE, "I was quoting a song"),
    AppealStatus(ban=_BAN, state="rejected", words="I was quoting a song", answer="We have read all of it."),
    House(age_minimum=18, rules="3f1c9a0b77de4c21", pages=["rules", "privacy"], reports=True, report_window=60.0),
    HousePage("<h1>Rules</h1>", "3f1c9a0b77de4c21"),
    _BAN,
)
EXAMPLES: Final = {type(example): example for example in _EXAMPLES}
"""By the type of the body."""
