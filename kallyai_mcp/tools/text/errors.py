"""Texts of errors: whether a call was placed, what happened, what to do next, and KallyAI's own
words.

What a code means is in `texts.json`, for agents and for people.
"""

from datetime import datetime, timedelta

from kallyai_mcp.api import errors
from kallyai_mcp.api.models import Statistics
from kallyai_mcp.calls.outcome import proves_no_call
from kallyai_mcp.calls.quota import NothingLeftError
from kallyai_mcp.cards.texts import explained
from kallyai_mcp.tools.argument_types import RefusedNumberError
from kallyai_mcp.tools.arguments import InvalidArgumentsError, wrong_arguments
from kallyai_mcp.tools.text.account import (
    MORE,
    Counted,
    allowances,
    comes_back,
    counted_by,
    quota,
    used_up,
)
from kallyai_mcp.tools.text.plain import (
    Reader,
    day,
    duration,
    moment_in_words,
    number,
    one_line,
    part,
    quoted,
    word,
)

_UP_TO_A_MINUTE = timedelta(seconds=59)
"""A time is shown in whole minutes, and must not be earlier then."""

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
    if places_calls:
        return with_service_words(f"Not called: {text}", error)
    return with_service_words(text[0].upper() + text[1:], error)


def refusal_text(error: errors.KallyAIError, since: datetime | None, reader: Reader) -> str:
    """The text about a call that was refused at the time `since`, or now; that of a limit of the
    settings says when it allows one more.
    """
    again = allowed_again(error, since, reader) if isinstance(error, errors.PolicyError) else ""
    if again:
        return f"Not called: {what_happened(error)}. It may be tried again {again}."
    return error_text(error, places_calls=True)


def allowed_again(error: errors.KallyAIError, since: datetime | None, reader: Reader) -> str:
    """When a call may be tried again that was refused at the time `since`, or now: "at 4:07 PM",
    "on Fri Nov 27, 4:07 PM", or "now"; "" if that is not known.
    """
    if error.retry_after is None:
        return ""
    refused_at = reader.now if since is None else since
    at = refused_at + timedelta(seconds=error.retry_after)
    if at > reader.now:
        return moment_in_words(at + _UP_TO_A_MINUTE, reader)
    return "now"


def what_happened(error: errors.KallyAIError) -> str:
    """What an error means, without a period; and its code, if it is KallyAI's."""
    happened = meaning(error)
    if isinstance(error, _CODES_SHOWN):
        return f"{happened} ({word(error.code)})"
    return happened


def meaning(error: errors.KallyAIError) -> str:
    """What an error means, without a period and without its code."""
    return _explain(error)[0]


def what_to_do(error: errors.KallyAIError) -> str:
    """What an agent should do after an error, without a period."""
    return _explain(error)[1]


def nothing_left(error: NothingLeftError, now: datetime) -> str:
    """Why a call is not placed or scheduled while nothing is left, and how to get more."""
    back = day(error.renews, now)
    if error.due is not None:
        due = day(error.due, now)
        return (
            f"Not scheduled: no {error.unit} are left until {back}, and this one was for {due}. "
            f"{MORE}"
        )
    return f"Not called: {all_used(error, error.plan_type)}. They come back {back}. {MORE}"


def all_used(error: NothingLeftError | Counted, plan: str | None) -> str:
    """What is used up: "all 35 calls of the personal plan are used"."""
    count = "" if error.allocated is None else f"{number(error.allocated)} "
    return f"all {count}{error.unit} {_of_plan(plan)} are used"


def used_figures(error: errors.QuotaExceededError) -> str:
    """What a refusal with 402 counts as used: "all 30 minutes of the trial plan are used", or "29
    of 30 minutes of the trial plan are used"; "" without figures.
    """
    for one in counted_by(error):
        if one.is_used_up:
            return all_used(one, error.plan_type)
        return f"{one} {_of_plan(error.plan_type)} are used"
    return ""


def _of_plan(plan: str | None) -> str:
    return f"of the {word(plan)} plan" if plan else "of the plan"


def quota_facts(
    error: errors.QuotaExceededError, usage: Statistics | None, *, now: datetime
) -> str:
    """What is used up, by the refusal's own figures or else by `usage`; when it comes back; and how
    to get more.
    """
    url = one_line(error.upgrade_url or "")
    more = part("To get more now: {}.", url) or MORE
    return f"{_used_up(error, usage or Statistics(), now)} {more}"


def _used_up(error: errors.QuotaExceededError, usage: Statistics, now: datetime) -> str:
    plan = error.plan_type or usage.plan_type
    counted = counted_by(error)
    for one in counted:
        if one.is_used_up:
            renewal = part(" They come back {}.", comes_back(usage, None, now))
            return f"{all_used(one, plan)} ({word(error.code)}).{renewal}"
    happened = f"{what_happened(error)}."
    if used_up(error, usage) is not None:
        return f"{happened} {quota(usage, None, now=now, has_tools=False)}"
    if counted:
        return f"{happened} KallyAI counts {counted[0]} {_of_plan(plan)} as used."
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
    happened = found[0].format(message=one_line(error.message))
    return happened, found[1].format(pause=pause, id=error.reason)


def with_service_words(text: str, error: errors.KallyAIError) -> str:
    """`text` about an error; if the error is from a response of KallyAI, its own words and
    correlation id below it.
    """
    if error.status is None:
        return text
    match error:
        case errors.NotSignedInError():
            code = f" ({error.code})"
        case errors.ServiceError():
            code = ""
        case _:
            return text
    said = errors.own_words(error)
    facts = []
    if said:
        facts.append(f"KallyAI: {quoted(said)}{code}.")
    if error.correlation_id:
        facts.append(f"correlation_id {word(error.correlation_id)}")
    return "\n".join(filter(None, (text, " ".join(facts))))
