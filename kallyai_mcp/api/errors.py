"""All errors between this program and KallyAI, each with whether KallyAI has acted on the request.

Rename no attribute: the ledger stores them.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import responses
from typing import ClassVar

TEXT_LIMIT = 300
"""The most characters of text from outside in one field of an error."""

_TOKENS = re.compile(
    r"(?i:\bbearer\s+)[A-Za-z0-9._~+/=\-]{16,}|\beyJ[A-Za-z0-9_\-]{5,}(?:\.[A-Za-z0-9_\-]*)*"
)


def sanitize(text: str) -> str:
    """A text from outside as one line of at most `TEXT_LIMIT` characters, without control
    characters and tokens.
    """
    visible = "".join(" " if unicodedata.category(char).startswith("C") else char for char in text)
    line = _TOKENS.sub("[token]", " ".join(visible.split()))
    return line if len(line) <= TEXT_LIMIT else f"{line[: TEXT_LIMIT - 1].rstrip()}…"


def _sanitized(text: str | None) -> str | None:
    return sanitize(text or "") or None


@dataclass(eq=False, repr=False, kw_only=True)
class KallyAIError(Exception):
    """Any error between this program and KallyAI.

    Attributes:
        message: One line for the user; also `str(error)`. It never contains a token.
        code: The service's own code ("Error Codes"), unchanged; without one, a code of this
            program.
        status: The HTTP status; None if there was no response.
        reason: The service's additional context (`details.reason`); None without one.
        correlation_id: The service's id of the request, which its support asks for; None without
            one.
        retry_after: The seconds until a retry makes sense; None if that is not known.
    """

    default_code: ClassVar[str] = "kallyai_error"

    message: str = field(kw_only=False)
    code: str = ""
    status: int | None = None
    reason: str | None = None
    correlation_id: str | None = None
    retry_after: float | None = None

    def __init_subclass__(cls, code: str = default_code) -> None:
        cls.default_code = code

    def __post_init__(self) -> None:
        self.message = sanitize(self.message)
        super().__init__(self.message)
        self.code = sanitize(self.code) or self.default_code
        self.reason = _sanitized(self.reason)
        self.correlation_id = _sanitized(self.correlation_id)


class NotConnectedError(KallyAIError, code="connection_failed"):
    """Nothing was sent: name resolution, connection, TLS, or the renewal of the token failed."""


class ResponseLostError(KallyAIError, code="answer_lost"):
    """The request was sent, but there was no complete response.

    The service may have acted on it.
    """


class NotSignedInError(KallyAIError, code="not_signed_in"):
    """There is no usable sign-in.

    Nothing was sent, or the response was 401: `reason` has the service's own words.
    """


def not_signed_in(refusal: KallyAIError, message: str) -> NotSignedInError:
    """The error after a refusal of the service, with a message of this program."""
    return NotSignedInError(
        message,
        code=refusal.code,
        status=refusal.status,
        reason=own_words(refusal),
        correlation_id=refusal.correlation_id,
    )


def status_line(status: int) -> str:
    """The message of this program for a response whose body has none: "HTTP 404 Not Found"."""
    return f"HTTP {status} {responses.get(status, '')}".rstrip()


WITH_PAGE = ", with a web page in place of data"
"""What follows the `status_line` when the body is a web page."""


def own_words(error: KallyAIError) -> str:
    """The service's own words in an error of a response; "" without any."""
    if isinstance(error, NotSignedInError):  # its message is ours
        return error.reason or ""
    message = "" if _is_status_line(error) else error.message
    return " – ".join(dict.fromkeys(filter(None, (message, error.reason))))  # noqa: RUF001


def _is_status_line(error: KallyAIError) -> bool:
    """Whether the message is of this program, because the body had none."""
    if error.status is None:
        return False
    return error.message.removesuffix(WITH_PAGE) == status_line(error.status)


class UnreadableResponseError(KallyAIError, code="unreadable_answer"):
    """The service acted on the request, but the body of its response is not what the reference
    says.
    """


@dataclass(eq=False, repr=False, kw_only=True)
class PolicyError(KallyAIError, code="call_policy"):
    """A setting of this server, such as `KALLYAI_CALLS_PER_HOUR`, forbids the call; nothing was
    sent.
    """

    setting: str


class ServiceError(KallyAIError, code="service_error"):
    """The response is not a success.

    Whether the service acted on the request, its code and status decide.
    """


class BadRequestError(ServiceError, code="bad_request"):
    """The request is not valid, or a rule of the service refuses it (400, 409, 422, and every 4xx
    without a class).
    """


class UnauthorizedError(ServiceError, code="unauthorized"):
    """The token is missing, expired, or not accepted (401: `missing_token`, `token_expired`)."""


def needs_sign_in(error: KallyAIError) -> bool:
    """Whether nothing was sent, or acted on, because the right account is not signed in."""
    is_signed_out = isinstance(error, NotSignedInError | UnauthorizedError)
    return is_signed_out or error.code == "account_changed"


@dataclass(eq=False, repr=False, kw_only=True)
class QuotaExceededError(ServiceError, code="quota_exceeded"):
    """The plan's minutes, calls or credits are used up (402; the reference's
    "QuotaExceededResponse").
    """

    plan_type: str | None = None
    minutes_allocated: float | None = None
    minutes_used: float | None = None
    credits_allocated: float | None = None
    credits_used: float | None = None
    upgrade_url: str | None = None


class ForbiddenError(ServiceError, code="forbidden"):
    """The token lacks a permission, such as the scope `transcripts:read` (403)."""


class NumberRefusedError(ServiceError, code="number_refused"):
    """The service does not call this number, its country, or its country from the account's
    region.
    """


class NotFoundError(ServiceError, code="not_found"):
    """The call, transcript, recording, or endpoint does not exist (404)."""


class UnusableCallIdError(NotFoundError, code="call_id_not_usable"):
    """KallyAI was not asked about a call: its id can't be sent."""


class RateLimitedError(ServiceError, code="rate_limited"):
    """Too many requests; see `retry_after` (429)."""


class UnavailableError(ServiceError, code="unavailable"):
    """The service failed (5xx). Whether it acted on the request is unknown."""


_CALL_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~:=@+,-]{1,500}")
"""An id without characters that need encoding in the path of a URL (RFC 3986, section 3.3), and not
`.` or `..`.

A service that decodes `%2F` would take `ID%2Ftranscript` for the path of a transcript, which needs
another scope.
"""


def is_usable(id_: str) -> bool:
    """Whether an id can be in the path of a URL. The reference's ids are UUIDs."""
    return _CALL_ID.fullmatch(id_) is not None


def check_call_id(id_: str) -> str:
    """Check a `call_id` or `tracking_id`, and return it; raises `UnusableCallIdError`."""
    if not is_usable(id_):
        raise UnusableCallIdError(
            "That id can't be sent to KallyAI, because of its characters or its length"
        )
    return id_


CODES: dict[str, type[ServiceError]] = {
    "missing_phone_number": NumberRefusedError,
    "emergency_number": NumberRefusedError,
    "toll_number": NumberRefusedError,
    "blocked_number": NumberRefusedError,
    "suppression_violation": NumberRefusedError,
    "country_restriction": NumberRefusedError,
    "unsupported_country": NumberRefusedError,
    # Not in the reference; sent by the live service:
    "phone_not_provisioned": NumberRefusedError,
    "budget_exceeded": BadRequestError,
    "budget_approval_required": BadRequestError,
    "soft_cap_reached": BadRequestError,
    # Of this program: a bot check in front of the service answered with a web page.
    "bot_check": BadRequestError,
}
"""The class for each code of the service that is not that of its status."""

_STATUSES: dict[int, type[ServiceError]] = {
    HTTPStatus.UNAUTHORIZED: UnauthorizedError,
    HTTPStatus.PAYMENT_REQUIRED: QuotaExceededError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitedError,
}


def error_class(code: str | None, status: int) -> type[ServiceError]:
    """The class for an error response, by its code or its status."""
    if 400 <= status < 500:
        return CODES.get(code or "") or _STATUSES.get(status, BadRequestError)
    return UnavailableError if 500 <= status < 600 else ServiceError
