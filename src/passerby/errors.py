"""Errors are data: a stable code, an HTTP status, whether a retry can help.

PasserbyError
├── InvalidInputError      400  invalid_payload, text_empty, text_too_long, text_control_characters
│                               file_missing, file_empty, duration_invalid, upload_malformed
├── UnauthorizedError      401  token_required, token_expired, token_invalid, session_not_found
├── ForbiddenError         403  not_your_room, link_invalid
├── NotFoundError          404  session_not_found, not_found, file_not_found
├── UploadTimeoutError     408  upload_timeout
├── ConflictError          409  not_in_room, already_in_room, not_searching, room_closed
├── TooLargeError          413  file_too_large, room_storage_full, guest_storage_full, picture_too_large
├── UnsupportedTypeError   415  unsupported_type, not_audio
├── RateLimitedError       429  rate_limited (retryable, with `retry_after`)
└── StorageFullError       507  storage_full (retryable, with `retry_after`)
"""

from __future__ import annotations

from typing import ClassVar, Final


class PasserbyError(Exception):
    """Base: `message` is for people, in English; `code` is for programs and never changes."""

    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, code: str, message: str, *, field: str | None = None, retry_after: float | None = None) -> None:
        """`field` names the offending field; `retry_after` is in seconds."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after = retry_after


class InvalidInputError(PasserbyError):
    """What came in can never be accepted as it is."""

    status = 400


class UnauthorizedError(PasserbyError):
    """No token, or one that opens nothing. The messages are the contract's, word for word."""

    status = 401


class ForbiddenError(PasserbyError):
    """Somebody else's."""

    status = 403


class NotFoundError(PasserbyError):
    """There is no such thing, or no longer."""

    status = 404


class UploadTimeoutError(PasserbyError):
    """The body took too long to come."""

    status = 408


class ConflictError(PasserbyError):
    """Fine in itself, but not in the state the guest is in."""

    status = 409


class TooLargeError(PasserbyError):
    """More than the limit that the code names."""

    status = 413


class UnsupportedTypeError(PasserbyError):
    """A kind of file that is not accepted here."""

    status = 415


class StorageFullError(PasserbyError):
    """The server holds as many files as it may."""

    status = 507
    retryable = True

    def __init__(self, retry_after: float) -> None:
        """Ask to come back in `retry_after` seconds."""
        super().__init__("storage_full", "There is no space for files right now", retry_after=retry_after)


class RateLimitedError(PasserbyError):
    """Too much at once."""

    status = 429
    retryable = True

    def __init__(self, retry_after: float, what: str = "requests") -> None:
        """Ask to wait `retry_after` seconds; there was too much of `what`."""
        super().__init__("rate_limited", f"Too many {what}, slow down", retry_after=round(retry_after, 3))


TOKEN_REQUIRED: Final = "Access token is required"  # noqa: S105 - a message
HANDSHAKE_TOKEN_REQUIRED: Final = "Authentication token required"  # noqa: S105 - a message
TOKEN_EXPIRED: Final = "Token has expired"  # noqa: S105 - a message
TOKEN_INVALID: Final = "Invalid token"  # noqa: S105 - a message
SESSION_NOT_FOUND: Final = "Guest session not found or expired"
