"""Documents error responses in OpenAPI: the same envelope for every status."""

from __future__ import annotations

from inspect import getdoc
from typing import TYPE_CHECKING, Final

from litestar.openapi.datastructures import ResponseSpec

from passerby.errors import ForbiddenError, PasserbyError, RateLimitedError, UnauthorizedError, UnavailableError
from passerby.http.models import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOKEN: Final = (UnauthorizedError, ForbiddenError, UnavailableError)
"""Of each route that needs a guest's token: who is banned is refused too, and the session may not be readable now."""


def refusals(
    *errors: type[PasserbyError],
    limited: bool = True,
    meanings: Mapping[type[PasserbyError], str] | None = None,
    others: Sequence[tuple[int, str]] = (),
) -> dict[int, ResponseSpec]:
    """Return the error responses of a route: those of `errors`, and of the rate limit if `limited`.

    `meanings` are descriptions of errors that mean something special on this route; the others have the first sentence
    of their class. `others` are pairs of status and description, for responses without a body.
    """
    special = meanings or {}
    refused = {
        error.status: ResponseSpec(
            Failure,
            generate_examples=False,
            description=special.get(error) or (getdoc(error) or "").partition(".")[0],
        )
        for error in (*errors, *((RateLimitedError,) if limited else ()))
    }
    return refused | {status: ResponseSpec(None, description=meaning) for status, meaning in others}
