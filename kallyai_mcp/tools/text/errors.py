"""Texts of errors: whether a call was placed, what happened, what to do next, and KallyAI's own
words.

What a code means is in `texts.json`, for agents and for people.
"""

from datetime import datetime

from kallyai_mcp.api import errors
from kallyai_mcp.api.models import Statistics
from kallyai_mcp.calls.outcome import proves_no_call
from kallyai_mcp.cards.texts import explained
from kallyai_mcp.tools.argument_types import RefusedNumberError
from kallyai_mcp.tools.arguments import InvalidArgumentsError, wrong_arguments
from kallyai_mcp.tools.text.account import MORE, allowances, comes_back, counted_by, quota, used_up
from kallyai_mcp.tools.text.plain import duration, number, one_line, quoted, word

_CODES_SHOWN = (
    errors.ServiceError,
    errors.NotConnectedError,
    errors.ResponseLostError,
    errors.UnreadableResponseError,
)


def error_text(error: errors.KallyAIError, *, places_calls: bool) -> str:
    """The text of a tool's error; with `places_calls`, it says whether a call was placed."""
    if isinstance(error, InvalidArgumentsError):
        return wrong_arguments(error.problems, places_calls=places_calls)
    if places_calls and not proves_no_call(error):
        text = (
            f"Unknown: no usable answer came after the request was sent ({word(error.code)}), so "
            "the number may have "
            "been called. Check with list_calls before anything else; do not place the call again."
        )
        return with_service_words(text, error)
    if isinstance(error, errors.NotSignedInError | RefusedNumberError):
        text = error.message  # says what to do
    else:
        text = f"{what_happened(error)}. {what_to_do(error)}."
    return with_service_words(
        f"Not called: {text}" if places_calls else text[0].upper() + text[1:], error
    )


def what_happened(error: errors.KallyAIError) -> str:
    """What an error means, without a period; and its code, if it is KallyAI's."""
    code = f" ({word(error.code)})" if isinstance(error, _CODES_SHOWN) else ""
    return f"{_explain(error)[0]}{code}"


def what_to_do(error: errors.KallyAIError) -> str:
    """What an agent should do after an error, without a period."""
    return _explain(error)[1]


def quota_facts(
    error: errors.QuotaExceededError, usage: Statistics | None, *, now: datetime
) -> str:
    """What is used up, by the refusal's own figures or else by `usage`; when it comes back; and how
    to get more.
    """
    more = f"To get more now: {one_line(error.upgrade_url)}." if error.upgrade_url else MORE
    return f"{_used_up(error, usage or Statistics(), now)} {more}"


def _used_up(error: errors.QuotaExceededError, usage: Statistics, now: datetime) -> str:
    plan = error.plan_type or usage.plan_type
    of_plan = f"of the {word(plan)} plan" if plan else "of the plan"
    counted = next(iter(counted_by(error)), None)
    if counted is not None and counted.is_used_up:
        back = comes_back(usage, None, now)
        renewal = f" They come back {back}." if back else ""
        return (
            f"all {number(counted.allocated)} {counted.unit} {of_plan} are used "
            f"({word(error.code)}).{renewal}"
        )
    happened = f"{what_happened(error)}."
    if used_up(error, usage) is not None:
        return f"{happened} {quota(usage, None, now=now, has_tools=False)}"
    if counted is not None:
        return f"{happened} KallyAI counts {counted} {of_plan} as used."
    if allowances(usage):
        return f"{happened} KallyAI's statistics do not show it yet."
    return f"{happened} KallyAI gives no figures."


def _explain(error: errors.KallyAIError) -> tuple[str, str]:
    """What happened, and what to do, without periods."""
    kinds = (kind for kind in type(error).__mro__ if issubclass(kind, errors.KallyAIError))
    # One that is not explained is as its class says.
    codes = [error.code, *(kind.default_code for kind in kinds)]
    found = next(filter(None, map(explained, codes)), None)
    if found is None:
        todo = "Tell the user"
        if error.retry_after is not None:
            todo = f"It may be tried again in {duration(max(60.0, error.retry_after))}"
        return one_line(error.message).rstrip("."), todo
    pause = f"in {duration(error.retry_after)}" if error.retry_after else "in a minute"
    return found[0], found[1].format(pause=pause, id=error.reason)


def with_service_words(text: str, error: errors.KallyAIError) -> str:
    """`text` about an error; if the error is from a response of KallyAI, its own words and
    correlation id below it.
    """
    is_sign_in = isinstance(error, errors.NotSignedInError)
    if error.status is None or not isinstance(error, errors.ServiceError | errors.NotSignedInError):
        return text
    code = f" ({error.code})" if is_sign_in else ""
    said = errors.own_words(error)
    parts = [f"KallyAI: {quoted(said)}{code}."] if said else []
    if error.correlation_id:
        parts.append(f"correlation_id {word(error.correlation_id)}")
    return f"{text}\n{' '.join(parts)}" if parts else text
