"""How errors read: what happened, whether a call was placed, what to do next, and what KallyAI says."""

from kallyai_mcp.api import errors
from kallyai_mcp.tools.text.plain import duration, link, number, one_line, quoted, word

_MAX_LENGTH = 600
"""Characters of KallyAI's own words in an error."""

_BILLING = "get_billing_link has the page to upgrade"

_EXPLANATIONS: dict[str, tuple[str, str]] = {
    "missing_phone_number": ("the call has no phone number", "Give respondent_phone in E.164, as +14155551234"),
    "emergency_number": ("it is an emergency number", "Tell the user to call it themselves, now"),
    "toll_number": ("it is a premium-rate number", "Don't try it again; ask the user for an ordinary number"),
    "blocked_number": ("the number is flagged as fraud", "Don't try it again; tell the user"),
    "suppression_violation": (
        "the number is on the do-not-call list",
        "Don't try it again; ask the user for another way to reach them",
    ),
    "phone_not_provisioned": ("this account has no line to call from yet", "The user sets one up at KallyAI"),
    "safety_violation": (
        "KallyAI's guidelines don't allow what was to be said",
        "Don't try it in other words; tell the user",
    ),
    "scheduling_violation": ("the date or time can't be right", "Ask the user for another date or time"),
    "not_agreed": (
        "the user was asked and did not agree to this call",
        "Don't place it again unless the user asks for it",
    ),
    "details_not_given": (
        "the user was asked for the missing details and did not give them",
        "Ask them in words, or leave it",
    ),
    "consent_denied": ("consent to the call was declined", "Don't try it again unless the user agrees to the call"),
    "country_restriction": ("this account may not call that country", "Tell the user; a number there won't work"),
    "unsupported_country": ("KallyAI does not call that country", "Tell the user; a number there won't work"),
    "unsupported_language": ("KallyAI does not speak that language", 'Use call_language "en" or "es"'),
    "budget_exceeded": ("the budget set for this account is spent", "The user can raise it at KallyAI"),
    "budget_approval_required": ("somebody must approve this spending at KallyAI", "Ask the user to approve it there"),
    "soft_cap_reached": ("the spending cap of this account is reached", "The user can raise it at KallyAI"),
    "call_not_found": ("KallyAI knows no call by that id", "list_calls shows the ids"),
    "transcript_not_found": ("there is no transcript of that call", "get_call has its outcome"),
    "recording_not_found": ("there is no recording of that call", "get_call has its outcome"),
    "call_in_progress": ("that call is still in progress", "get_call follows it to its end"),
    "no_calendar_event": ("that call made no appointment, so it has no calendar event", "get_call has its outcome"),
    "outcome_unknown": ("what became of that call is unknown", "get_call looks once more"),
    "forbidden": ("the sign-in lacks the permission for this", "Ask the user to sign in again and allow it"),
    "idempotency_key_reused": ("KallyAI has seen this request's key with another content", "Call make_call again"),
}
"""For each code, of the reference or of this program: what happened, and what to do."""


def error_text(error: errors.KallyAIError, *, places_calls: bool) -> str:
    """The text of a tool error.

    Args:
        error: What went wrong.
        places_calls: Whether the tool places calls, so that the text must say whether one was placed.
    """
    if places_calls and may_have_been_placed(error):
        return _maybe(error)
    if isinstance(error, errors.NotSignedInError):  # its message says what to do
        first = f"Not called: {error.message}" if places_calls else error.message
        return "\n".join(filter(None, (first, service_says(error))))
    happened, todo = _explain(error)
    first = f"Not called: {happened}" if places_calls else f"{happened[0].upper()}{happened[1:]}"
    if isinstance(error, errors.ServiceError):
        first += f" ({word(error.code)})"
    lines = [f"{first}. {todo}."]
    if service := service_says(error):
        lines.append(service)
    return "\n".join(lines)


def may_have_been_placed(error: errors.KallyAIError) -> bool:
    """Whether a call may have been placed when a request for one raised `error`."""
    return isinstance(error, errors.ResponseLostError | errors.UnavailableError | errors.UnreadableResponseError)


def _maybe(error: errors.KallyAIError) -> str:
    lines = [
        f"Unknown: no usable answer came after the request was sent ({error.code}), so the number may have been "
        "called. Don't call again before you have looked: list_calls shows what the service knows."
    ]
    if service := service_says(error):
        lines.append(service)
    return "\n".join(lines)


def _explain(error: errors.KallyAIError) -> tuple[str, str]:
    if isinstance(error, errors.QuotaExceededError):
        return _quota(error)
    if error.code in _EXPLANATIONS:
        return _EXPLANATIONS[error.code]
    if isinstance(error, errors.PolicyError):
        return one_line(error.message), "Tell the user" if error.retry_after is None else "Tell the user, or wait"
    if isinstance(error, errors.NotConnectedError):
        return (
            "KallyAI can't be reached and nothing was sent (connection_failed)",
            "It is safe to try again in a minute",
        )
    if isinstance(error, errors.ResponseLostError):
        return f"the connection to KallyAI broke before the answer came ({error.code})", "It is safe to try again"
    if isinstance(error, errors.UnreadableResponseError):
        return f"KallyAI's answer can't be read ({error.code})", "Try again once; if it stays so, tell the user"
    if isinstance(error, errors.NotFoundError):
        return "KallyAI finds nothing there", "list_calls shows the ids"
    if isinstance(error, errors.BotCheckError):
        return (
            "KallyAI's bot check answered with a web page instead of the API",
            "The user can set KALLYAI_USER_AGENT to a name that KallyAI lets in, or ask KallyAI's support",
        )
    if isinstance(error, errors.RateLimitedError):
        pause = f"in {duration(error.retry_after)}" if error.retry_after else "in a minute"
        return "KallyAI is getting too many requests", f"Try again {pause}"
    if isinstance(error, errors.UnavailableError):
        return f"KallyAI has trouble of its own, HTTP {error.status}", "Try again in a minute"
    if isinstance(error, errors.UnauthorizedError):
        return "KallyAI does not accept the sign-in", "sign_in gives the link that signs in"
    if isinstance(error, errors.ServiceError):
        return "KallyAI refused", "Its own words follow; change the arguments accordingly or tell the user"
    return one_line(str(error)).rstrip("."), "Tell the user"


def _quota(error: errors.QuotaExceededError) -> tuple[str, str]:
    used = ""
    if error.minutes_used is not None and error.minutes_allocated is not None:
        used = f": {number(error.minutes_used)} of {number(error.minutes_allocated)} minutes used"
    plan = f" of the {word(error.plan_type)} plan" if error.plan_type else ""
    todo = f"Tell the user; they can upgrade at {link(error.upgrade_url)}" if error.upgrade_url else _BILLING
    return f"the quota{plan} is spent{used}", todo


def service_says(error: errors.KallyAIError) -> str:
    """KallyAI's own words and the correlation id; empty when the error is not a response of KallyAI's."""
    own: tuple[str | None, ...] = ()
    code = ""
    if isinstance(error, errors.ServiceError):
        own = (error.message, error.reason)
    elif isinstance(error, errors.NotSignedInError) and error.status is not None:  # its message is ours
        own, code = (error.reason,), f" ({error.code})"
    if not own:
        return ""
    texts = " – ".join(dict.fromkeys(one_line(text, _MAX_LENGTH) for text in own if text))  # noqa: RUF001
    parts = [f"KallyAI says: {quoted(texts, _MAX_LENGTH)}{code}."] if texts else []
    if error.correlation_id:
        parts.append(f"correlation_id {word(error.correlation_id)}")
    return " ".join(parts)
