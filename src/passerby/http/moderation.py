"""`/api/moderate`: the console of the moderators. Off unless there is a moderator."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Controller, Request, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, PathParameter, QueryParameter, RequestBody
from msgspec import UNSET

from passerby.errors import (
    Code,
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    RateLimitedError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedTypeError,
)
from passerby.http.models import Success
from passerby.http.moderation_models import (
    AnswerAppeal,
    AppealLine,
    AuditLine,
    CaseLine,
    CaseList,
    CaseView,
    Console,
    Decide,
    DecisionLine,
    EvidenceFile,
    EvidenceLine,
    FinishSetUp,
    LiftBan,
    LogIn,
    ModeratorLine,
    SanctionLine,
    SanctionList,
    SetUp,
    Template,
)
from passerby.http.moderation_parts import Moderation
from passerby.http.operations import Archive, EvidenceBytes, LoggingIn
from passerby.http.refusals import refusals
from passerby.http.services import Services
from passerby.models import RULES
from passerby.moderation import export, templates
from passerby.moderation.desk import require
from passerby.moderation.figures import Figures
from passerby.moderation.logins import LONGEST, Session, uri
from passerby.safety.cases import Case, CaseOverview, CaseState, Sanction
from passerby.safety.reports import Evidence
from passerby.socketio.origins import is_same

COOKIE: Final = "passerby_moderator"
PATH: Final = "/api/moderate"
PAGE: Final = "/moderate"
_OWN: Final = ("same-origin", "none")
"""Values of Sec-Fetch-Site for the console's page, and for what somebody opens in a browser."""
_MONTH: Final = 30 * 86_400.0
_GREATEST: Final = 2**63 - 1
"""What a column with an id can hold."""
_MOST_FILES: Final = 2**31 - 1
"""What a column with the number of a file can hold."""
_ENTRIES: Final = 200
"""Entries of the audit in an answer."""
_SHOWN: Final = frozenset(
    (
        *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"),
        *("audio/ogg", "audio/webm", "audio/mp4", "audio/mpeg", "audio/wav", "video/mp4", "video/webm"),
    )
)
"""Types of evidence that the console's page may show; all others are only downloaded."""
_FILE_HEADERS: Final = {"content-security-policy": "sandbox; default-src 'none'", "cache-control": "no-store"}
_read_evidence: Final = msgspec.json.Decoder(Evidence).decode


async def _open(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Moderation:
    """Provide what the routes need. Raises NotFoundException if there is no console for this client."""
    try:
        is_open = await services.moderation.is_open(services.address_of(request))
    except OSError as error:
        raise UnavailableError(["the console"], retry_after=5) from error
    if not is_open:
        raise NotFoundException
    return services.moderation


async def _session(request: Request[Any, Any, Any], moderation: NamedDependency[Moderation]) -> Session:
    """Provide who is logged in.

    Raises UnauthorizedError (login_required), ForbiddenError (csrf_invalid), RateLimitedError, UnavailableError.
    """
    try:
        session = await moderation.logins.session(request.cookies.get(COOKIE, ""))
    except OSError as error:
        raise UnavailableError(["the console"], retry_after=5) from error
    _check_origin(request)
    if request.method not in ("GET", "HEAD"):
        session.check_csrf(request.headers.get("x-csrf-token", ""))
    wait = moderation.requests.take(session.moderator.name)
    if wait:
        raise RateLimitedError(wait, limit="moderation")
    return session


def _check_origin(request: Request[Any, Any, Any]) -> None:
    """Raise ForbiddenError (csrf_invalid) for a request that another page makes, be it of the same site.

    Pages of `CORS_ORIGIN` may use the chat, and no more. Browsers send Sec-Fetch-Site only where there is HTTPS, and it
    is right behind every proxy; without it there is Origin.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "").lower()
    is_own = not origin or is_same(origin, request.headers.get("host", "")) if site is None else site in _OWN
    if not is_own:
        raise ForbiddenError(Code.CSRF_INVALID, "The request does not come from the console")


_READS: Final[list[dict[str, list[str]]]] = [{"moderator": []}]
_CHANGES: Final[list[dict[str, list[str]]]] = [{"moderator": [], "csrf": []}]
"""For OpenAPI: whoever changes something also sends the token that `GET /session` tells, so no other page can."""
_REFUSALS: Final = (InvalidInputError, UnauthorizedError, ForbiddenError, NotFoundError, UnavailableError)


class ModerationController(Controller):
    """Log in, set up; the queue, cases, appeals, sanctions, people, audit."""

    path = PATH
    tags = ("moderation",)
    dependencies = {"moderation": Provide(_open), "session": Provide(_session)}  # noqa: RUF012 - of the framework

    @post(
        "/session",
        status_code=200,
        opt={"limit": "logins"},
        operation_id="logIn",
        operation_class=LoggingIn,
        summary="Log in",
        responses=refusals(*_REFUSALS, TooLargeError, UnsupportedTypeError),
    )
    async def log_in(
        self,
        request: Request[Any, Any, Any],
        services: NamedDependency[Services],
        moderation: NamedDependency[Moderation],
        data: RequestBody[LogIn],
    ) -> Response[Success[Console]]:
        """Begin a session, which is kept in a cookie."""
        _check_origin(request)
        session = await _answered(
            moderation.logins.log_in(data.name, data.password, data.code, services.address_of(request))
        )
        cookie = Cookie(
            COOKIE,
            path=moderation.root_path + PATH,
            value=session.token,
            max_age=int(LONGEST),
            httponly=True,
            secure=services.is_secure(request),
            samesite="strict",
        )
        return Response(Success(success=True, data=_console(moderation, session)), cookies=[cookie])

    @get(
        "/setup/{token:str}",
        opt={"limit": "logins"},
        operation_id="getSetUp",
        summary="See what to set up",
        responses=refusals(*_REFUSALS),
    )
    async def invited(self, moderation: NamedDependency[Moderation], token: FromPath[str]) -> Success[SetUp]:
        """Return what an authenticator app needs."""
        import segno  # noqa: PLC0415 - only for the console

        moderator = await _answered(moderation.logins.invited(token))
        address = uri(moderator, moderation.house)
        picture = segno.make(address, error="m").svg_data_uri(scale=5, border=2)
        return Success(success=True, data=SetUp(moderator.name, moderator.totp_secret, address, picture))

    @post(
        "/setup/{token:str}",
        status_code=200,
        opt={"limit": "logins"},
        operation_id="finishSetUp",
        summary="Set up",
        responses=refusals(*_REFUSALS, TooLargeError, UnsupportedTypeError),
    )
    async def set_up(
        self, moderation: NamedDependency[Moderation], token: FromPath[str], data: RequestBody[FinishSetUp]
    ) -> Success[None]:
        """Set a password; the link works no more."""
        await _answered(moderation.logins.set_up(token, data.password, data.code))
        return Success(success=True, message="You can log in now", data=None)

    @get(
        "/session",
        operation_id="getConsole",
        security=_READS,
        summary="See who is logged in",
        responses=refusals(*_REFUSALS),
    )
    async def session(
        self, moderation: NamedDependency[Moderation], session: NamedDependency[Session]
    ) -> Success[Console]:
        """Return the moderator of the cookie."""
        return Success(success=True, data=_console(moderation, session))

    @delete(
        "/session",
        status_code=200,
        operation_id="logOut",
        security=_CHANGES,
        summary="Log out",
        responses=refusals(*_REFUSALS),
    )
    async def log_out(
        self, moderation: NamedDependency[Moderation], session: NamedDependency[Session]
    ) -> Response[Success[None]]:
        """End the session."""
        await _answered(moderation.logins.log_out(session))
        response = Response(Success(success=True, message="You are logged out", data=None))
        response.delete_cookie(COOKIE, path=moderation.root_path + PATH)
        return response

    @get(
        "/figures",
        operation_id="getFigures",
        security=_READS,
        summary="Get the figures of a time",
        responses=refusals(*_REFUSALS),
    )
    async def figures(
        self,
        services: NamedDependency[Services],
        moderation: NamedDependency[Moderation],
        session: NamedDependency[Session],
        begins: Annotated[str | None, QueryParameter(name="from")] = None,
        ends: Annotated[str | None, QueryParameter(name="to")] = None,
    ) -> Success[Figures]:
        """Return counts; without `from` and `to` (dates, or timestamps) those of the last 30 days."""
        require(session.moderator, "triage")
        now = services.clock.time()
        until = now if ends is None else _seconds(ends, "to")
        since = until - _MONTH if begins is None else _seconds(begins, "from")
        return Success(success=True, data=await _answered(moderation.figures.figures(since, until, moderation.hours)))

    @get(
        "/cases",
        operation_id="getCases",
        security=_READS,
        summary="Get a part of the queue",
        responses=refusals(*_REFUSALS),
    )
    async def cases(
        self,
        moderation: NamedDependency[Moderation],
        session: NamedDependency[Session],
        case_state: Annotated[Literal["open", "escalated", "closed"], QueryParameter(name="state")] = "open",
        after: FromQuery[str | None] = None,
    ) -> Success[CaseList]:
        """Return cases: the most severe first, then the oldest. `after` is `next` of the part before."""
        state: CaseState = case_state
        try:
            page = await _answered(moderation.desk.cases.page(state, after=after))
        except ValueError as error:
            raise InvalidInputError(Code.INVALID_PAYLOAD, "Not a place in the queue", field="after") from error
        lines = await _lines(moderation, session, page.cases)
        return Success(success=True, data=CaseList(cases=lines, next=page.next, total=page.total))

    @get(
        "/cases/{case_id:str}",
        operation_id="getCase",
        security=_READS,
        summary="Get a case",
        responses=refusals(*_REFUSALS),
    )
    async def case(
        self, moderation: NamedDependency[Moderation], session: NamedDependency[Session], case_id: FromPath[str]
    ) -> Success[CaseView]:
        """Return a case with its evidence."""
        return Success(success=True, data=await _view(moderation, session, case_id))

    @post(
        "/cases/{case_id:str}/viewing",
        status_code=200,
        operation_id="markViewing",
        security=_CHANGES,
        summary="Say that you look",
        responses=refusals(*_REFUSALS),
    )
    async def viewing(
        self, moderation: NamedDependency[Moderation], session: NamedDependency[Session], case_id: FromPath[str]
    ) -> Success[list[str]]:
        """Return who else looks at the case now. To be said again every ten seconds."""
        await _answered(moderation.desk.case(case_id))
        await _answered(moderation.logins.look(session, case_id))
        viewers = await _answered(moderation.logins.viewers([case_id], session))
        return Success(success=True, data=viewers.get(case_id, []))

    @post(
        "/cases/{case_id:str}/decisions",
        status_code=200,
        operation_id="decideCase",
        security=_CHANGES,
        summary="Decide",
        responses=refusals(*_REFUSALS, ConflictError, TooLargeError, UnsupportedTypeError),
    )
    async def decide(
        self,
        moderation: NamedDependency[Moderation],
        session: NamedDependency[Session],
        case_id: FromPath[str],
        data: RequestBody[Decide],
    ) -> Success[CaseView]:
        """Decide something of a case; return it."""
        await _answered(
            moderation.desk.decide(
                session.moderator,
                case_id,
                data.action,
                data.rule,
                words=data.words,
                by=data.by,
                seconds=data.seconds,
            )
        )
        return Success(success=True, data=await _view(moderation, session, case_id))

    @get(
        "/cases/{case_id:str}/files/{number:int}",
        operation_id="getEvidenceFile",
        security=_READS,
        summary="Get a file of the evidence",
        media_type="application/octet-stream",
        operation_class=EvidenceBytes,
        responses=refusals(*_REFUSALS),
    )
    async def file(
        self,
        moderation: NamedDependency[Moderation],
        session: NamedDependency[Session],
        case_id: FromPath[str],
        number: Annotated[int, PathParameter(ge=0, le=_MOST_FILES)],
    ) -> Response[bytes]:
        """Return the bytes, as an attachment."""
        require(session.moderator, "triage")
        piece = await _answered(moderation.desk.cases.file(case_id, number))
        if piece is None or piece.kind != "file":
            raise NotFoundError(Code.FILE_NOT_FOUND, "There is no such file")
        kind = piece.mime_type if piece.mime_type in _SHOWN else "application/octet-stream"
        headers = {**_FILE_HEADERS, "content-disposition": f'attachment; filename="evidence-{number}"'}
        return Response(piece.content, media_type=kind, headers=headers)

    @get(
        "/cases/{case_id:str}/export",
        operation_id="exportCase",
        security=_READS,
        summary="Get a case as a signed archive",
        media_type="application/zip",
        operation_class=Archive,
        responses=refusals(*_REFUSALS),
    )
    async def export(
        self, moderation: NamedDependency[Moderation], session: NamedDependency[Session], case_id: FromPath[str]
    ) -> Response[bytes]:
        """Return a ZIP. That it was taken is noted in the audit."""
        case = await _answered(moderation.desk.case(case_id))
        await _answered(moderation.desk.note_export(session.moderator, case_id))
        files = []
        for number, *_ in case.files:
            piece = await _answered(moderation.desk.cases.file(case_id, number))
            if piece is not None:
                files.append((number, piece))
        content = await asyncio.to_thread(
            export.archive, case, files, moderation.signing_key(), moderation.timestamps, session.moderator.name
        )
        headers = {**_FILE_HEADERS, "content-disposition": f'attachment; filename="case-{case.overview.id}.zip"'}
        return Response(content, media_type="application/zip", headers=headers)

    @get(
        "/appeals",
        operation_id="getAppeals",
        security=_READS,
        summary="Get the appeals that wait",
        responses=refusals(*_REFUSALS),
    )
    async def appeals(
        self, moderation: NamedDependency[Moderation], session: NamedDependency[Session]
    ) -> Success[list[AppealLine]]:
        """Return appeals, the oldest first."""
        at = moderation.timestamps.at
        lines = [
            AppealLine(
                id=appeal.id,
                made_at=at(appeal.made_at),
                words=appeal.words,
                ban=_sanction(moderation, ban),
                is_own=ban.moderator == session.moderator.name,
            )
            for appeal, ban in await _answered(moderation.desk.sanctions.appeals())
        ]
        return Success(success=True, data=lines)

    @post(
        "/appeals/{appeal_id:int}",
        status_code=200,
        operation_id="answerAppeal",
        security=_CHANGES,
        summary="Answer an appeal",
        responses=refusals(*_REFUSALS, TooLargeError, UnsupportedTypeError),
    )
    async def answer(
        self,
        moderation: NamedDependency[Moderation],
        session: NamedDependency[Session],
        appeal_id: Annotated[int, PathParameter(ge=0, le=_GREATEST)],
        data: RequestBody[AnswerAppeal],
    ) -> Success[None]:
        """Uphold an appeal, which ends the ban, or reject it. Nobody answers one against an own decision."""
        await _answered(moderation.desk.answer(session.moderator, appeal_id, data.verdict, data.words))
        return Success(success=True, data=None)

    @get(
        "/sanctions",
        operation_id="getSanctions",
        security=_READS,
        summary="Get a part of the sanctions in force",
        responses=refusals(*_REFUSALS),
    )
    async def sanctions(
        self,
        moderation: NamedDependency[Moderation],
        session: NamedDependency[Session],
        after: FromQuery[str | None] = None,
    ) -> Success[SanctionList]:
        """Return bans and ended sessions that are in force, and those that ended since yesterday.

        The last changed come first. `after` is `next` of the part before.
        """
        require(session.moderator, "triage")
        try:
            page = await _answered(moderation.desk.sanctions.page(after=after))
        except ValueError as error:
            raise InvalidInputError(Code.INVALID_PAYLOAD, "Not a place among the sanctions", field="after") from error
        lines = [_sanction(moderation, one) for one in page.sanctions]
        return Success(success=True, data=SanctionList(sanctions=lines, next=page.next))

    @post(
        "/sanctions/{sanction_id:int}/lift",
        status_code=200,
        operation_id="liftBan",
        security=_CHANGES,
        summary="Lift a ban",
        responses=refusals(*_REFUSALS, TooLargeError, UnsupportedTypeError),
    )
    async def lift(
        self,
        moderation: NamedDependency[Moderation],
        session: NamedDependency[Session],
        sanction_id: Annotated[int, PathParameter(ge=0, le=_GREATEST)],
        data: RequestBody[LiftBan],
    ) -> Success[None]:
        """End a ban now."""
        await _answered(moderation.desk.lift(session.moderator, sanction_id, data.words))
        return Success(success=True, data=None)

    @get(
        "/moderators",
        operation_id="getModerators",
        security=_READS,
        summary="Get the moderators",
        responses=refusals(*_REFUSALS),
    )
    async def moderators(
        self, moderation: NamedDependency[Moderation], session: NamedDependency[Session]
    ) -> Success[list[ModeratorLine]]:
        """Return all moderators. For admins."""
        require(session.moderator, "admin")
        lines = [
            ModeratorLine(
                name=one.name,
                role=one.role,
                is_set_up=bool(one.password_hash),
                disabled=one.disabled_at is not None,
                created_at=moderation.timestamps.at(one.created_at),
            )
            for one in await _answered(moderation.staff.all())
        ]
        return Success(success=True, data=lines)

    @get(
        "/audit",
        operation_id="getAudit",
        security=_READS,
        summary="Get entries of the audit",
        responses=refusals(*_REFUSALS),
    )
    async def audit(
        self,
        moderation: NamedDependency[Moderation],
        session: NamedDependency[Session],
        after: Annotated[int, QueryParameter(ge=0, le=_GREATEST)] = 0,
    ) -> Success[list[AuditLine]]:
        """Return entries with a greater number than `after`, the oldest first. For admins."""
        require(session.moderator, "admin")
        lines: list[AuditLine] = []
        try:
            async for entry in moderation.journal.entries(after):
                lines.append(
                    AuditLine(
                        number=entry.number,
                        at=moderation.timestamps.at(entry.at),
                        actor=entry.actor,
                        action=entry.action,
                        object=entry.object,
                        details=entry.details,
                    )
                )
                if len(lines) == _ENTRIES:
                    break
        except OSError as error:
            raise UnavailableError(["the console"], retry_after=5) from error
        return Success(success=True, data=lines)

    @get(
        "/templates",
        operation_id="getTemplates",
        security=_READS,
        summary="Get what guests are told",
        responses=refusals(*_REFUSALS),
    )
    async def templates(
        self,
        session: NamedDependency[Session],
        language: FromQuery[str] = "en",
    ) -> Success[list[Template]]:
        """Return the texts in a guest's language, as far as we have it."""
        require(session.moderator, "triage")
        texts = [
            Template(language=language, rule=rule, action=action, words=templates.words(language, rule, action))
            for rule in RULES
            for action in templates.TOLD
        ]
        return Success(success=True, data=texts)


async def _answered(work: Any) -> Any:  # noqa: ANN401 - whatever it returns
    """Await `work` with a store. Raises UnavailableError when the database cannot be used."""
    try:
        return await work
    except OSError as error:
        raise UnavailableError(["the console"], retry_after=5) from error


def _console(moderation: Moderation, session: Session) -> Console:
    return Console(
        name=session.moderator.name,
        role=session.moderator.role,
        csrf=session.csrf,
        targets=[hours * 3600 for hours in moderation.hours],
        can_ban_addresses=moderation.can_mark_addresses,
        rules=list(RULES),
    )


async def _lines(moderation: Moderation, session: Session, cases: list[CaseOverview]) -> list[CaseLine]:
    viewers = await _answered(moderation.logins.viewers([case.id for case in cases], session))
    return [_line(moderation, case, viewers.get(case.id, [])) for case in cases]


def _line(moderation: Moderation, case: CaseOverview, viewers: list[str]) -> CaseLine:
    at = moderation.timestamps.at
    return CaseLine(
        id=case.id,
        source=case.source,
        rule=case.rule,
        severity=case.severity,
        state=case.state,
        opened_at=at(case.opened_at),
        due_at=at(case.due_at),
        username=case.username,
        has_evidence=case.has_evidence,
        on_hold=case.on_hold,
        earlier=case.earlier,
        viewers=viewers,
    )


async def _view(moderation: Moderation, session: Session, case_id: str) -> CaseView:
    case: Case = await _answered(moderation.desk.case(case_id))
    at = moderation.timestamps.at
    own, *earlier = await _lines(moderation, session, [case.overview, *case.earlier])
    return CaseView(
        case=own,
        language=case.subject.language,
        words=case.words,
        evidence=_evidence(case),
        files=[EvidenceFile(number=n, name=name, mime_type=kind, size=size) for n, name, kind, size in case.files],
        evidence_until=None if case.evidence_until is None else at(case.evidence_until),
        hold_reason=case.hold_reason,
        decisions=[
            DecisionLine(
                at=at(one.at),
                moderator=one.moderator,
                action=one.action,
                rule=one.rule,
                words=one.words,
                sanction_id=UNSET if one.sanction_id is None else one.sanction_id,
            )
            for one in case.decisions
        ],
        earlier=earlier,
        marks=sorted({mark.kind for mark in case.subject.marks}),
    )


def _evidence(case: Case) -> list[EvidenceLine]:
    if case.log is None:
        return []
    evidence = _read_evidence(case.log)
    marked = set(evidence.marked)
    return [
        EvidenceLine(
            id=message.id,
            at=message.timestamp,
            by="reported" if message.sender_id == evidence.reported else "reporter",
            username=message.sender_username,
            type="file" if message.type == "file" else "voice" if message.type == "voice" else "text",
            text=message.content if isinstance(message.content, str) else str(message.content.get("filename", "")),
            marked=message.id in marked,
            file=evidence.files.get(message.id, UNSET),
        )
        for message in evidence.messages
    ]


def _sanction(moderation: Moderation, sanction: Sanction) -> SanctionLine:
    at = moderation.timestamps.at
    return SanctionLine(
        id=sanction.id,
        kind=sanction.kind,
        case_id=sanction.case_id,
        rule=sanction.rule,
        words=sanction.words,
        begins_at=at(sanction.begins_at),
        ends_at=None if sanction.ends_at is None else at(sanction.ends_at),
        lifted_at=None if sanction.lifted_at is None else at(sanction.lifted_at),
        moderator=sanction.moderator,
        marks=sorted({mark.kind for mark in sanction.marks}),
    )


def _seconds(text: str, field: str) -> float:
    try:
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(Code.INVALID_PAYLOAD, "Not a date", field=field) from error
