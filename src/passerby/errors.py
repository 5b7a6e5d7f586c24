"""Error classes: each error has a stable code, an HTTP status, and says whether a retry can help.

PasserbyError
├── InvalidInputError      400  invalid_payload, text_empty, text_too_long, text_control_characters
│                               too_many_interests, interest_too_long, interest_invalid, interest_repeated
│                               language_invalid, mode_unknown, wants_invalid, wants_disabled
│                               file_missing, file_empty, duration_invalid, upload_malformed, proof_invalid
├── UnauthorizedError      401  token_required, token_expired, token_invalid, session_not_found
│                               login_required, login_failed
├── ForbiddenError         403  not_your_room, link_invalid, under_age, csrf_invalid, role_required, own_decision
│   └── BannedError        403  banned
├── NotFoundError          404  session_not_found, not_found, file_not_found, receipt_unknown, appeal_unknown
├── UploadTimeoutError     408  upload_timeout
├── ConflictError          409  not_in_room, already_in_room, not_searching, room_closed, undo_impossible
│                               call_active, call_declined, no_call, no_offer, too_many_candidates
│                               consent_declined, consent_pending, step_closed, new_device (with `retry_after`)
│                               message_held, repeated_message (with `retry_after`)
│                               nothing_to_report, already_reported, reports_closed
│                               already_appealed, already_decided
├── TooLargeError          413  file_too_large, room_storage_full, guest_storage_full, picture_too_large
├── UnsupportedTypeError   415  unsupported_type, file_damaged, not_audio, unsupported_media_type
├── BadRangeError          416  range_not_satisfiable
├── RequiredError          428  proof_required, age_required, rules_required
├── RateLimitedError       429  rate_limited (retryable, with `retry_after`)
├── InternalError          500  internal (retryable: the cause is the server's)
├── UnavailableError       503  unavailable (retryable)
├── ClosedError            503  house_closed (retryable, with `retry_after`)
├── StoppingError          503  server_shutting_down (retryable, with `retry_after`)
└── StorageFullError       507  storage_full (retryable, with `retry_after`)
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from passerby.models import BanNotice


class Code(StrEnum):
    """Stable codes for programs and translations: of errors, refused handshakes and closed connections."""

    # Invalid input.
    INVALID_PAYLOAD = "invalid_payload"
    TEXT_EMPTY = "text_empty"
    TEXT_TOO_LONG = "text_too_long"
    TEXT_CONTROL_CHARACTERS = "text_control_characters"
    # Tokens and sessions.
    TOKEN_REQUIRED = "token_required"  # noqa: S105 - a code
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a code
    TOKEN_INVALID = "token_invalid"  # noqa: S105 - a code
    SESSION_NOT_FOUND = "session_not_found"
    # Searches and conversations.
    ALREADY_IN_ROOM = "already_in_room"
    NOT_SEARCHING = "not_searching"
    TOO_MANY_INTERESTS = "too_many_interests"
    INTEREST_TOO_LONG = "interest_too_long"
    INTEREST_INVALID = "interest_invalid"
    INTEREST_REPEATED = "interest_repeated"
    LANGUAGE_INVALID = "language_invalid"
    MODE_UNKNOWN = "mode_unknown"
    WANTS_INVALID = "wants_invalid"
    WANTS_DISABLED = "wants_disabled"
    HOUSE_CLOSED = "house_closed"
    UNDO_IMPOSSIBLE = "undo_impossible"
    NOT_IN_ROOM = "not_in_room"
    NOT_YOUR_ROOM = "not_your_room"
    ROOM_CLOSED = "room_closed"
    # Files.
    FILE_MISSING = "file_missing"
    FILE_EMPTY = "file_empty"
    FILE_TOO_LARGE = "file_too_large"
    FILE_NOT_FOUND = "file_not_found"
    LINK_INVALID = "link_invalid"
    PICTURE_TOO_LARGE = "picture_too_large"
    UNSUPPORTED_TYPE = "unsupported_type"
    FILE_DAMAGED = "file_damaged"
    NOT_AUDIO = "not_audio"
    DURATION_INVALID = "duration_invalid"
    UPLOAD_MALFORMED = "upload_malformed"
    UPLOAD_TIMEOUT = "upload_timeout"
    ROOM_STORAGE_FULL = "room_storage_full"
    GUEST_STORAGE_FULL = "guest_storage_full"
    STORAGE_FULL = "storage_full"
    # Calls.
    CALL_ACTIVE = "call_active"
    CALL_DECLINED = "call_declined"
    NO_CALL = "no_call"
    NO_OFFER = "no_offer"
    TOO_MANY_CANDIDATES = "too_many_candidates"
    # What strangers may send.
    CONSENT_DECLINED = "consent_declined"
    CONSENT_PENDING = "consent_pending"
    STEP_CLOSED = "step_closed"
    NEW_DEVICE = "new_device"
    MESSAGE_HELD = "message_held"
    REPEATED_MESSAGE = "repeated_message"
    # Reports, bans, and what is asked of a newcomer.
    NOTHING_TO_REPORT = "nothing_to_report"
    ALREADY_REPORTED = "already_reported"
    REPORTS_CLOSED = "reports_closed"
    RECEIPT_UNKNOWN = "receipt_unknown"
    APPEAL_UNKNOWN = "appeal_unknown"
    ALREADY_APPEALED = "already_appealed"
    BANNED = "banned"
    PROOF_REQUIRED = "proof_required"
    PROOF_INVALID = "proof_invalid"
    AGE_REQUIRED = "age_required"
    UNDER_AGE = "under_age"
    RULES_REQUIRED = "rules_required"
    # The console of the moderators.
    LOGIN_REQUIRED = "login_required"
    LOGIN_FAILED = "login_failed"
    CSRF_INVALID = "csrf_invalid"
    ROLE_REQUIRED = "role_required"
    OWN_DECISION = "own_decision"
    ALREADY_DECIDED = "already_decided"
    # Limits and the server itself.
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    # HTTP only.
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable"
    HTTP_ERROR = "http_error"
    # Refused Engine.IO handshakes; see `passerby.socketio.handshake`.
    TRANSPORT_UNKNOWN = "transport_unknown"
    CONNECTION_UNKNOWN = "connection_unknown"
    BAD_METHOD = "bad_method"
    BAD_REQUEST = "bad_request"
    REQUEST_TIMEOUT = "request_timeout"
    ORIGIN_FORBIDDEN = "origin_forbidden"
    PROTOCOL_UNSUPPORTED = "protocol_unsupported"
    ALREADY_UPGRADED = "already_upgraded"
    # Close reasons; see `passerby.realtime.closings`.
    REPLACED = "replaced"
    SESSION_ENDED = "session_ended"
    SERVER_ERROR = "server_error"
    SERVER_DISCONNECT = "server_disconnect"
    SERVER_SHUTTING_DOWN = "server_shutting_down"
    CLIENT_DISCONNECT = "client_disconnect"
    TRANSPORT_CLOSE = "transport_close"
    TRANSPORT_ERROR = "transport_error"
    PING_TIMEOUT = "ping_timeout"
    CONNECT_TIMEOUT = "connect_timeout"
    STALLED = "stalled"
    OUTBOX_OVERFLOW = "outbox_overflow"
    BACKLOG_OVERFLOW = "backlog_overflow"
    TOO_MANY_PACKETS = "too_many_packets"
    MESSAGE_TOO_BIG = "message_too_big"
    PARSE_ERROR = "parse_error"
    TEXT_NOT_UTF8 = "text_not_utf8"
    FRAGMENTS_OUT_OF_ORDER = "fragments_out_of_order"
    EXTENSION_NOT_AGREED = "extension_not_agreed"
    DUPLICATE_POLL = "duplicate_poll"
    UPGRADE_NOT_COMPLETED = "upgrade_not_completed"


class PasserbyError(Exception):
    """Base class. `message` is English text for people; `code` is for programs and never changes."""

    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, code: Code, message: str, *, field: str | None = None, retry_after: float | None = None) -> None:
        """`field` names the invalid field; `retry_after` is in seconds, and rounded up to milliseconds."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after = None if retry_after is None else math.ceil(retry_after * 1000) / 1000


class InvalidInputError(PasserbyError):
    """The input is invalid; the same request will always fail."""

    status = 400


class UnauthorizedError(PasserbyError):
    """The token is missing or invalid, or its session does not exist. The messages are part of the contract."""

    status = 401


class ForbiddenError(PasserbyError):
    """The resource belongs to another guest or room."""

    status = 403


class BannedError(ForbiddenError):
    """The guest, the browser or the address is kept out."""

    def __init__(self, notice: BanNotice) -> None:
        """`notice` says why, how long, and how to appeal."""
        super().__init__(Code.BANNED, "You are banned")
        self.notice = notice


class RequiredError(PasserbyError):
    """Something is asked for first: the same request with it will succeed."""

    status = 428

    def __init__(self, code: Code, message: str, *, challenge: dict[str, Any] | None = None) -> None:
        """`challenge` is the work to be done (proof_required)."""
        super().__init__(code, message)
        self.challenge = challenge


class NotFoundError(PasserbyError):
    """The resource does not exist, or no longer exists."""

    status = 404


class UploadTimeoutError(PasserbyError):
    """The body did not arrive in time, or came too slowly."""

    status = 408


class ConflictError(PasserbyError):
    """The request is not possible now, for example without a conversation."""

    status = 409


class TooLargeError(PasserbyError):
    """The limit that the code names is exceeded."""

    status = 413


class UnsupportedTypeError(PasserbyError):
    """The type of the file, or of the body, is not accepted."""

    status = 415


class BadRangeError(PasserbyError):
    """The range begins behind the end of the file."""

    status = 416

    def __init__(self) -> None:
        """The answer's Content-Range has the size of the file."""
        super().__init__(Code.RANGE_NOT_SATISFIABLE, "The range begins behind the end of the file")


class StorageFullError(PasserbyError):
    """The server's storage for files, or the address's share of it, is full."""

    status = 507
    retryable = True

    def __init__(self, retry_after: float = 60, message: str = "There is no space for files right now") -> None:
        """`retry_after` is in seconds."""
        super().__init__(Code.STORAGE_FULL, message, retry_after=retry_after)


class InternalError(PasserbyError):
    """An internal failure. The log contains the cause."""

    status = 500
    retryable = True

    def __init__(self) -> None:
        """The message does not contain the cause, which may hold other guests' data."""
        super().__init__(Code.INTERNAL, "Internal server error")


class UnavailableError(PasserbyError):
    """Something behind the server cannot serve now, or the server has as much of it as it may."""

    status = 503
    retryable = True

    def __init__(self, what: list[str], *, retry_after: float | None = None) -> None:
        """`what` lists what is unavailable; `retry_after` is in seconds."""
        super().__init__(Code.UNAVAILABLE, f"Not available now: {', '.join(what)}", retry_after=retry_after)


class ClosedError(PasserbyError):
    """Searches are possible at some hours only."""

    status = 503
    retryable = True

    def __init__(self, retry_after: float) -> None:
        """`retry_after` is in seconds: then it opens."""
        super().__init__(Code.HOUSE_CLOSED, "Nobody can be met at this hour", retry_after=retry_after)


class StoppingError(PasserbyError):
    """The server is about to stop, so nothing begins any more."""

    status = 503
    retryable = True

    def __init__(self, retry_after: float) -> None:
        """`retry_after` is in seconds: then it is there again, if it was started again."""
        super().__init__(Code.SERVER_SHUTTING_DOWN, "The server stops or starts again", retry_after=retry_after)


class RateLimitedError(PasserbyError):
    """The rate limit is exceeded."""

    status = 429
    retryable = True
    limit = "other"
    """The name of the limit, for counts; that of another node is not known."""

    def __init__(self, retry_after: float, what: str = "requests", *, limit: str = "other") -> None:
        """`retry_after` is in seconds; `what` names the limited action, `limit` the limit, for counts."""
        self.limit = limit
        super().__init__(Code.RATE_LIMITED, f"Too many {what}, slow down", retry_after=retry_after)


TOKEN_REQUIRED: Final = "Access token is required"  # noqa: S105 - a message
HANDSHAKE_TOKEN_REQUIRED: Final = "Authentication token required"  # noqa: S105 - a message
TOKEN_EXPIRED: Final = "Token has expired"  # noqa: S105 - a message
TOKEN_INVALID: Final = "Invalid token"  # noqa: S105 - a message
SESSION_NOT_FOUND: Final = "Guest session not found or expired"
