"""What has become of a report; what a banned guest can do; what is asked of newcomers, and the operator's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter, RequestBody
from litestar.response import Redirect
from msgspec import UNSET
from msgspec.structs import replace

from passerby.errors import (
    Code,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
    UnsupportedTypeError,
)
from passerby.http.models import (
    AppealQuestion,
    AppealStatus,
    HousePage,
    NewAppeal,
    ReceiptQuestion,
    ReportStatus,
    Success,
)
from passerby.http.refusals import refusals
from passerby.http.services import Services
from passerby.models import House
from passerby.safety.banlist import Match
from passerby.safety.pages import NAMES

_PAGE: Final = r'^https?://[!"$-.0->A-~]+(/[A-Za-z0-9_.~-]+)*/$(?!\n)'
"""The page of an origin: ASCII without spaces, `?`, `#` and `@`. Dialects differ about what else is a space."""

if TYPE_CHECKING:
    from passerby.safety.cases import Sanction
    from passerby.safety.sanctions import Appeal


class HouseController(Controller):
    """What is asked of newcomers, and what they may read."""

    tags = ("safety",)

    @get("/api/house", operation_id="getHouse", summary="Get what is asked of newcomers", responses=refusals())
    async def house(self, services: NamedDependency[Services]) -> Success[House]:
        """Return what POST /api/guest needs here, and which pages there are."""
        return Success(success=True, data=services.newcomers.house())

    @get(
        "/api/pages/{name:str}",
        operation_id="getHousePage",
        summary="Get a page of the operator's",
        responses=refusals(InvalidInputError, NotFoundError),
    )
    async def page(self, services: NamedDependency[Services], name: FromPath[str]) -> Success[HousePage]:
        """Return `rules`, `privacy` or `contact` as HTML; 404 if there is none."""
        found = services.newcomers.pages.find(name) if name in NAMES else None
        if found is None:
            raise NotFoundError(Code.NOT_FOUND, "There is no such page")
        return Success(success=True, data=HousePage(found.html, found.version))

    @get(
        "/api/age",
        status_code=302,
        operation_id="beginAgeCheck",
        summary="Begin an age check at the provider",
        responses=refusals(InvalidInputError, NotFoundError),
    )
    async def age(
        self,
        request: Request[Any, Any, Any],
        services: NamedDependency[Services],
        back: Annotated[str, QueryParameter(name="return", max_length=500, pattern=_PAGE)],
    ) -> Redirect:
        """Redirect to the provider, which brings the browser back to the page `return`: this server's, or a listed one.

        So nobody is led elsewhere, with a result that somebody else could use.
        """
        checks = services.newcomers.checks
        if checks is None or services.age_url is None:
            raise NotFoundError(Code.NOT_FOUND, "There is no age check")
        origin, path = "/".join(back.split("/")[:3]), back.split("/", 3)[3]
        is_ours = f"/{path}" in ("/", f"{services.moderation.root_path}/")
        if not is_ours or not services.origins.has(origin, request.headers.get("host", "")):
            raise InvalidInputError(Code.INVALID_PAYLOAD, "Not a page of this place", field="return")
        query = urlencode({"state": checks.begin(), "return": back})
        return Redirect(f"{services.age_url}{'&' if '?' in services.age_url else '?'}{query}", status_code=302)


class ReportController(Controller):
    """Look at what has become of a report. Reports are made with the event `safety:report`."""

    path = "/api/reports"
    tags = ("safety",)

    @post(
        "/status",
        status_code=200,
        opt={"limit": "codes"},
        operation_id="getReportStatus",
        summary="Look at what has become of a report",
        responses=refusals(InvalidInputError, NotFoundError, TooLargeError, UnsupportedTypeError, UnavailableError),
    )
    async def status(
        self, services: NamedDependency[Services], data: RequestBody[ReceiptQuestion]
    ) -> Success[ReportStatus]:
        """Return what has become of the report with a receipt."""
        outcome = await services.reports.status(data.receipt)
        return Success(
            success=True,
            data=ReportStatus(
                state=outcome.state,
                rule=outcome.rule,
                action=outcome.action,
                reported_at=services.timestamps.at(outcome.reported_at),
                decided_at=UNSET if outcome.decided_at is None else services.timestamps.at(outcome.decided_at),
            ),
        )


class AppealController(Controller):
    """Look at a ban with its code, and appeal against it."""

    path = "/api/appeals"
    tags = ("safety",)

    @post(
        "/status",
        status_code=200,
        opt={"limit": "codes"},
        operation_id="getAppealStatus",
        summary="Look at a ban, and at the appeal against it",
        responses=refusals(InvalidInputError, NotFoundError, TooLargeError, UnsupportedTypeError, UnavailableError),
    )
    async def status(
        self, services: NamedDependency[Services], data: RequestBody[AppealQuestion]
    ) -> Success[AppealStatus]:
        """Return the ban with an appeal code, and what has become of the appeal."""
        return Success(success=True, data=_status(services, *await services.appeals.find(data.code)))

    @post(
        opt={"limit": "codes"},
        operation_id="makeAppeal",
        summary="Appeal against a ban",
        responses=refusals(
            InvalidInputError, NotFoundError, ConflictError, TooLargeError, UnsupportedTypeError, UnavailableError
        ),
    )
    async def make(self, services: NamedDependency[Services], data: RequestBody[NewAppeal]) -> Success[AppealStatus]:
        """Keep an appeal, once for each ban. Somebody else than who decided the ban answers it."""
        return Success(success=True, data=_status(services, *await services.appeals.make(data.code, data.words)))


def _status(services: Services, sanction: Sanction, appeal: Appeal | None) -> AppealStatus:
    return AppealStatus(
        ban=replace(services.bans.notice(Match(sanction)), appeal_code=UNSET),
        ended=not services.bans.is_in_force(sanction),
        state="none" if appeal is None else appeal.verdict,
        words="" if appeal is None else appeal.words,
        answer="" if appeal is None else appeal.answer,
    )
