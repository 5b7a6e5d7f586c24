"""Documents error responses in OpenAPI: the same envelope for every status."""

from __future__ import annotations

from inspect import getdoc
from typing import TYPE_CHECKING

from litestar.openapi.datastructures import ResponseSpec

from passerby.errors import PasserbyError, RateLimitedError
from passerby.http.models import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence


def refusals(
    *errors: type[PasserbyError], limited: bool = True, others: Sequence[tuple[int, str]] = ()
) -> dict[int, ResponseSpec]:
    """Return the error responses of a route: those of `errors`, and of the rate limit if `limited`.

    `others` are pairs of status and description, for responses without a body.
    """
    refused = {
        error.status: ResponseSpec(
            Failure, generate_examples=False, description=(getdoc(error) or "").partition(".")[0]
        )
        for error in (*errors, *((RateLimitedError,) if limited else ()))
    }
    return refused | {status: ResponseSpec(None, description=meaning) for status, meaning in others}
