"""`/api/guest`: sessions."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, RequestBody
from msgspec import UNSET

from passerby import ids
from passerby.errors import (
    TOKEN_REQUIRED,
    BannedError,
    Code,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    PasserbyError,
    RequiredError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedTypeError,
)
from passerby.guests.tokens import bearer
from passerby.http.models import (
    GuestCreated,
    GuestData,
    GuestUser,
    LegacyLocation,
    NewGuest,
    PublicGuestData,
    Success,
    TraitsUpdate,
    UsernameData,
)
from passerby.http.operations import NewSession
from passerby.http.refusals import TOKEN, refusals
from passerby.http.services import Services
from passerby.models import TRAIT_LENGTH, BanNotice, Guest, OnlineUser
from passerby.safety.devices import under_age
from passerby.safety.links import has_link
from passerby.safety.newcomers import UnderAgeError


async def authenticated(request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Guest:
    """Provide the guest whose bearer token the request contains. Raises UnauthorizedError."""
    token = _token_of(request)
    if token is None:
        raise UnauthorizedError(Code.TOKEN_REQUIRED, TOKEN_REQUIRED)
    guest, _ = await services.guests.authenticate(token)
    services.bans.check(device=guest.device, address=services.address_of(request))
    return guest


def _token_of(request: Request[Any, Any, Any]) -> str | None:
    return bearer(request.headers.get("authorization", ""))


def _ended(request: Request[Any, Any, Any], services: Services) -> BanNotice | None:
    """Return why moderators ended the session in whose place a new one is made."""
    token = _token_of(request)
    session_id = None if token is None else services.guests.session_of(token)
    return None if session_id is None else services.bans.ended(session_id)


async def _former(request: Request[Any, Any, Any], services: Services) -> Guest | None:
    """Return the guest of another session in whose place a new one is made; None if that cannot be said."""
    if "authorization" not in request.headers:
        return None
    try:
        return await authenticated(request, services)
    except BannedError:
        raise
    except PasserbyError:
        return None


class GuestController(Controller):
    """Create, read, change and end sessions."""

    path = "/api/guest"
    tags = ("guests",)

    @post(
        opt={"limit": "sessions"},
        operation_id="createSession",
        operation_class=NewSession,
        security=[{}, {"token": []}],
        summary="Create a session",
        responses=refusals(
            InvalidInputError, ForbiddenError, TooLargeError, UnsupportedTypeError, RequiredError, UnavailableError
        ),
    )
    async def create(
        self,
        request: Request[Any, Any, Any],
        services: NamedDependency[Services],
        data: RequestBody[NewGuest | None] = None,
    ) -> Success[GuestCreated]:
        """Return a token and its guest. If no username is given, a random one is used.

        With the token of another session, the new one takes over whom that guest has met, and must not meet again;
        `ended` says so if moderators have ended that session.
        If the house asks for it (GET /api/house), `bornOn` or the header `Age-Proof`, and `rules`, are needed.
        The header `Device` is what the browser is known by: `device` of an earlier answer.
        Under suspicion, the answer is 428 proof_required with a challenge; the header `Proof` has its solution then.
        """
        address = services.address_of(request)
        device = services.devices.read(request.headers.get("device"))
        services.bans.check(device=device.digest, address=address)
        services.proofs.check(address, request.headers.get("proof"))
        wish = data or NewGuest()
        former = await _former(request, services)
        try:
            admission = await services.newcomers.admit(
                device,
                former,
                born_on=wish.born_on,
                rules=wish.rules,
                age_proof=request.headers.get("age-proof"),
            )
        except UnderAgeError:
            request.state.device = services.devices.text(under_age(device))  # the browser is not asked again
            raise
        guest, token = await services.guests.create(
            wish.username,
            _no_link(_one_string(wish.location), "location"),
            _no_link(wish.gender, "gender"),
            wish.language,
            former=former,
            device=(device.digest, device.since),
            is_of_age=admission.is_of_age,
            rules=admission.rules,
        )
        services.stats.changed()
        return Success(
            success=True,
            message="Guest session created",
            data=GuestCreated(
                token, _own_view(guest), services.devices.text(device), _ended(request, services) or UNSET
            ),
        )

    @get("/username", operation_id="getRandomUsername", summary="Get a random username", responses=refusals())
    async def username(self) -> Success[UsernameData]:
        """Return a username in the AdjectiveNounNumber pattern."""
        return Success(success=True, data=UsernameData(ids.random_username()))

    @get(
        "/me",
        operation_id="getOwnSession",
        summary="Get the authenticated guest",
        security=[{"token": []}],
        responses=refusals(*TOKEN),
    )
    async def me(self, guest: NamedDependency[Guest]) -> Success[GuestData]:
        """Return the session of the token."""
        return Success(success=True, data=GuestData(_own_view(guest)))

    @get(
        "/{session_id:str}",
        operation_id="getPublicSession",
        summary="Get a session's public view",
        responses=refusals(InvalidInputError, NotFoundError, UnavailableError),
    )
    async def public(self, services: NamedDependency[Services], session_id: FromPath[str]) -> Success[PublicGuestData]:
        """Return the public view of a session; 404 if it has expired or ended."""
        guest = await services.guests.public(session_id)
        return Success(success=True, data=PublicGuestData(OnlineUser.of(guest)))

    @post(
        "/location",
        status_code=200,
        operation_id="updateSession",
        summary="Change location, gender, language",
        security=[{"token": []}],
        responses=refusals(InvalidInputError, *TOKEN, TooLargeError, UnsupportedTypeError),
    )
    async def update(
        self,
        services: NamedDependency[Services],
        guest: NamedDependency[Guest],
        data: RequestBody[TraitsUpdate],
    ) -> Success[GuestData]:
        """Change the given fields; null clears a field."""
        traits: dict[str, str | None] = {}
        if data.location is not UNSET:
            traits["location"] = _no_link(_one_string(data.location), "location")
        if data.gender is not UNSET:
            traits["gender"] = _no_link(data.gender, "gender")
        if data.language is not UNSET:
            traits["language"] = data.language
        updated = await services.guests.update(guest, **traits)
        return Success(success=True, message="Updated", data=GuestData(_own_view(updated)))

    @delete(
        "/me",
        status_code=200,
        operation_id="endSession",
        summary="End the session now",
        security=[{"token": []}],
        responses=refusals(*TOKEN),
    )
    async def end(self, services: NamedDependency[Services], guest: NamedDependency[Guest]) -> Success[None]:
        """Close the room, delete the session's data, and revoke the token."""
        await services.presence.end(guest)
        return Success(success=True, message="Session ended", data=None)


def _own_view(guest: Guest) -> GuestUser:
    return GuestUser(
        id=guest.id,
        username=guest.username,
        is_guest=True,
        session_id=guest.session_id,
        location=guest.location,
        gender=guest.gender,
        language=guest.language,
    )


def _no_link(trait: str | None, field: str) -> str | None:
    """Return what a stranger is shown before they have allowed anything. Raises InvalidInputError if it has a link."""
    if trait is not None and has_link(trait):
        raise InvalidInputError(Code.INVALID_PAYLOAD, "Links are not possible here", field=field)
    return trait


def _one_string(location: str | LegacyLocation | None) -> str | None:
    if not isinstance(location, LegacyLocation):
        return location
    joined = ", ".join(part for part in (location.city, location.country) if part)
    return joined[:TRAIT_LENGTH] or None
