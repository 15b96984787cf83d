"""Everything that can go wrong between this program and KallyAI, as one tree.

* KallyAIError
  x NotConnectedError          nothing was sent
  x ResponseLostError            sent, but no complete answer came: it may have been acted on
  x NotSignedInError           there is no token that could be sent
  x UnreadableResponseError      a success whose body is not what the reference says: it was acted on
  x PolicyError          a setting of this server forbids the call, so nothing was sent
  x ServiceError          the service answered with an error
    - BadRequestError          400, 409, 422 and other 4xx
    - Unauthorized        401
    - QuotaExceededError       402
    - BudgetError       402: budget_exceeded, budget_approval_required, soft_cap_reached
    - Forbidden           403
    - BotCheckError            403 or 503 with a web page in place of data
    - NumberRefusedError       missing_phone_number, emergency_number, toll_number, blocked_number,
                          suppression_violation, phone_not_provisioned
    - CountryRefusedError        country_restriction, unsupported_country
    - ContentRefusedError      safety_violation, scheduling_violation, consent_denied, unsupported_language
    - NotFoundError            404: call_not_found, transcript_not_found, recording_not_found
    - RateLimitedError         429
    - Unavailable         5xx

The service's `code` chooses the class before its status does (`error_class`). The codes are those of the reference's
"Error Code Reference" and the further ones seen in the wild.
"""

# The names are the design's: each says what happened, and `raise NotSignedInError(...)` reads as a sentence.

import re
import unicodedata
from http import HTTPStatus
from typing import ClassVar

TEXT_LIMIT = 300
"""The most characters of somebody else's text that an error carries in one field."""

_TOKENS = re.compile(r"(?i:\bbearer\s+)[A-Za-z0-9._~+/=\-]{16,}|\beyJ[A-Za-z0-9_\-]{5,}(?:\.[A-Za-z0-9_\-]*)*")


def sanitize(text: str) -> str:
    """Makes somebody else's text fit for one line of an error.

    Args:
        text: Any text, such as the message of an error body.

    Returns:
        The text with control, formatting and unpaired surrogate characters as spaces, runs of white space as one
        space, what looks like a token as `[token]`, and cut to `TEXT_LIMIT` characters.
    """
    visible = "".join(" " if unicodedata.category(char).startswith("C") else char for char in text)
    line = _TOKENS.sub("[token]", " ".join(visible.split()))
    return line if len(line) <= TEXT_LIMIT else f"{line[: TEXT_LIMIT - 1].rstrip()}…"


class KallyAIError(Exception):
    """Anything that went wrong between this program and KallyAI.

    Attributes:
        message: One line for a person; also `str(error)`. Never holds a token.
        code: The service's own code word for word ("Error Codes"), else one of this program's.
        status: The HTTP status, or None when there was no answer.
        reason: The service's additional context (`details.reason`), or None.
        correlation_id: What the service's support asks for, or None.
        retry_after: Seconds after which it is worth trying again, or None when the service did not say.
    """

    default_code: ClassVar[str] = "kallyai_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        reason: str | None = None,
        correlation_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = sanitize(message)
        super().__init__(self.message)
        self.code = (sanitize(code) if code else "") or self.default_code
        self.status = status
        self.reason = (sanitize(reason) if reason else "") or None
        self.correlation_id = (sanitize(correlation_id) if correlation_id else "") or None
        self.retry_after = retry_after

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, code={self.code!r}, status={self.status!r})"


class NotConnectedError(KallyAIError):
    """Nothing was sent: no name, no connection, no TLS, no free connection, or no way to renew the sign-in."""

    default_code = "connection_failed"


class ResponseLostError(KallyAIError):
    """The request left, but no complete answer came back; the service may have acted on it."""

    default_code = "answer_lost"


class NotSignedInError(KallyAIError):
    """There is no usable sign-in, so nothing was sent (or what was sent was turned away with 401)."""

    default_code = "not_signed_in"


class UnreadableResponseError(KallyAIError):
    """The service answered with a success whose body is not what the reference says; it did act on the request."""

    default_code = "unreadable_answer"


class PolicyError(KallyAIError):
    """A setting of this server forbids the call, so nothing was sent.

    Attributes:
        setting: The setting's name, such as `KALLYAI_CALLS_PER_HOUR`.
        retry_after: Seconds until it allows the call, or None when that is not known.
    """

    default_code = "guard_rail"

    def __init__(
        self,
        message: str,
        *,
        setting: str,
        code: str | None = None,
        status: int | None = None,
        reason: str | None = None,
        correlation_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(
            message, code=code, status=status, reason=reason, correlation_id=correlation_id, retry_after=retry_after
        )
        self.setting = setting


class ServiceError(KallyAIError):
    """The service answered, and not with a success."""

    default_code = "service_error"


class BadRequestError(ServiceError):
    """The request is not acceptable as it is (400, 409, 422 and 4xx without a class of their own)."""

    default_code = "bad_request"


class UnauthorizedError(ServiceError):
    """The token is missing, expired or not accepted (401: `missing_token`, `token_expired`)."""

    default_code = "unauthorized"


class QuotaExceededError(ServiceError):
    """The plan's minutes, calls or credits are used up (402; the reference's "QuotaExceededResponse").

    Attributes:
        plan_type: Such as `trial`; None when the service did not say, as are the others.
        minutes_allocated: Minutes of the plan in this period.
        minutes_used: Minutes used of them.
        credits_allocated: Credits of the plan, where the service counts in credits.
        credits_used: Credits used of them.
        upgrade_url: Where the user can get more; an http or https URL.
    """

    default_code = "quota_exceeded"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        reason: str | None = None,
        correlation_id: str | None = None,
        retry_after: float | None = None,
        plan_type: str | None = None,
        minutes_allocated: float | None = None,
        minutes_used: float | None = None,
        credits_allocated: float | None = None,
        credits_used: float | None = None,
        upgrade_url: str | None = None,
    ) -> None:
        super().__init__(
            message, code=code, status=status, reason=reason, correlation_id=correlation_id, retry_after=retry_after
        )
        self.plan_type = (sanitize(plan_type) if plan_type else "") or None
        self.minutes_allocated = minutes_allocated
        self.minutes_used = minutes_used
        self.credits_allocated = credits_allocated
        self.credits_used = credits_used
        self.upgrade_url = upgrade_url


class BudgetError(ServiceError):
    """A budget set for the account forbids the call, or wants an approval first."""

    default_code = "budget_exceeded"


class ForbiddenError(ServiceError):
    """The sign-in lacks a permission, such as the scope `transcripts:read` (403)."""

    default_code = "forbidden"


class BotCheckError(ServiceError):
    """A check for bots in front of the service answered with a web page; the service itself saw nothing."""

    default_code = "bot_check"


class NumberRefusedError(ServiceError):
    """The service will not dial this number."""

    default_code = "number_refused"


class CountryRefusedError(ServiceError):
    """The service does not dial this country, or not from the account's region."""

    default_code = "unsupported_country"


class ContentRefusedError(ServiceError):
    """The service will not make a call of this content, date, consent or language."""

    default_code = "content_refused"


class NotFoundError(ServiceError):
    """The call, transcript, recording or address does not exist (404)."""

    default_code = "not_found"


class RateLimitedError(ServiceError):
    """Too many requests; see `retry_after` (429)."""

    default_code = "rate_limited"


class UnavailableError(ServiceError):
    """The service failed or is out of order (5xx); whether it acted on the request is not known."""

    default_code = "unavailable"


CODES: dict[str, type[ServiceError]] = {
    "quota_exceeded": QuotaExceededError,
    "missing_phone_number": NumberRefusedError,
    "emergency_number": NumberRefusedError,
    "toll_number": NumberRefusedError,
    "blocked_number": NumberRefusedError,
    "suppression_violation": NumberRefusedError,
    "safety_violation": ContentRefusedError,
    "scheduling_violation": ContentRefusedError,
    "consent_denied": ContentRefusedError,
    "country_restriction": CountryRefusedError,
    "unsupported_country": CountryRefusedError,
    "unsupported_language": ContentRefusedError,
    "missing_token": UnauthorizedError,
    "forbidden": ForbiddenError,
    "call_not_found": NotFoundError,
    "transcript_not_found": NotFoundError,
    # Beyond the reference, seen in the wild:
    "rate_limited": RateLimitedError,
    "token_expired": UnauthorizedError,
    "recording_not_found": NotFoundError,
    "phone_not_provisioned": NumberRefusedError,
    "budget_exceeded": BudgetError,
    "budget_approval_required": BudgetError,
    "soft_cap_reached": BudgetError,
}
"""Which class a code of the service belongs to, whatever its status."""

ERROR_CLASSES: dict[str, type[KallyAIError]] = {
    cls.__name__: cls
    for cls in (
        KallyAIError,
        NotConnectedError,
        ResponseLostError,
        NotSignedInError,
        UnreadableResponseError,
        PolicyError,
        ServiceError,
        BadRequestError,
        UnauthorizedError,
        QuotaExceededError,
        BudgetError,
        ForbiddenError,
        BotCheckError,
        NumberRefusedError,
        CountryRefusedError,
        ContentRefusedError,
        NotFoundError,
        RateLimitedError,
        UnavailableError,
    )
}
"""Every error class of this module by its name: what the ledger stores of an error, and restores it from."""

_STATUSES: dict[int, type[ServiceError]] = {
    HTTPStatus.UNAUTHORIZED: UnauthorizedError,
    HTTPStatus.PAYMENT_REQUIRED: QuotaExceededError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitedError,
}


def error_class(code: str | None, status: int) -> type[ServiceError]:
    """Chooses the class of an error answer: by its code when that is known, else by its status.

    Args:
        code: The code of the error body, or None when it has none.
        status: The HTTP status.

    Returns:
        The class to raise; `ServiceError` itself for a status that is neither 4xx nor 5xx.
    """
    if code in CODES:
        return CODES[code]
    if status in _STATUSES:
        return _STATUSES[status]
    if 400 <= status < 500:
        return BadRequestError
    return UnavailableError if 500 <= status < 600 else ServiceError
