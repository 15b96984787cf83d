"""Turns errors into results of a tool (`isError`), with a text for the agent and a structure for
programs.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from kallyai_mcp.api import errors
from kallyai_mcp.api.models import Statistics
from kallyai_mcp.calls.outcome import proves_no_call
from kallyai_mcp.calls.quota import NothingLeftError
from kallyai_mcp.tools.argument_types import RefusedNumberError
from kallyai_mcp.tools.arguments import MAX_NAMED, InvalidArgumentsError
from kallyai_mcp.tools.context import AppContext, SignInLink
from kallyai_mcp.tools.structure.models import ErrorAnswer, ToolResult, WrongArgument
from kallyai_mcp.tools.text.account import Allowance, sign_in_needed, used_up
from kallyai_mcp.tools.text.errors import (
    error_text,
    nothing_left,
    quota_facts,
    refusal_text,
    with_service_words,
)

if TYPE_CHECKING:
    from mcp.types import CallToolResult

_PASSING = frozenset(
    {
        "call_in_progress",
        "consent_outdated",
        "earlier_call_unclear",
        "ledger_unavailable",
        "not_sent",
        "outcome_unknown",
        "too_late",
    }
)
_PASSING_KINDS = (
    errors.NotConnectedError,
    errors.NotSignedInError,
    errors.UnauthorizedError,
    errors.RateLimitedError,
    errors.ResponseLostError,
    errors.UnavailableError,
)
"""Codes of this program, and errors of KallyAI, for conditions that end."""


async def tool_error(
    error: errors.KallyAIError, app_context: AppContext, *, tool: str, places_calls: bool
) -> "CallToolResult":
    """The result for an error of `tool`: with a sign-in link if nobody is signed in, and the quota
    if it is used up.

    With `places_calls`, the error is about a call that the tool should place, so the result says
    whether it was placed.
    """
    error, link = await with_sign_in_link(error, app_context)
    text, structure = await error_result(error, app_context, places_calls=places_calls)
    if link is not None:
        structure.link = link.url
        structure.expires_in = link.minutes * 60
        then = f"call {tool} again with the same arguments"
        text = with_service_words(sign_in_needed(link, then, places_calls=places_calls), error)
    return ToolResult(text, structure, is_error=True).for_client()


async def error_result(
    error: errors.KallyAIError,
    app_context: AppContext,
    *,
    places_calls: bool,
    since: datetime | None = None,
) -> tuple[str, ErrorAnswer]:
    """The text and the structure for an error, without a sign-in link; with the quota if that
    refuses the call. `since`: when a call was refused that is not refused now.
    """
    if places_calls:
        text = refusal_text(error, since, app_context.reader())
    else:
        text = error_text(error, places_calls=False)
    structure = error_answer(error, places_calls=places_calls)
    if isinstance(error, NothingLeftError):
        structure.used_up = Allowance(error.unit, 0, error.allocated, error.renews)
        text = nothing_left(error, app_context.now())
    if places_calls and isinstance(error, errors.QuotaExceededError):
        usage = await app_context.usage()
        structure.used_up = used_up(error, usage or Statistics())
        text = with_service_words(
            f"Not called: {quota_facts(error, usage, now=app_context.now())}", error
        )
    return text, structure


async def with_sign_in_link(
    error: errors.KallyAIError, app_context: AppContext
) -> tuple[errors.KallyAIError, SignInLink | None]:
    """The error, and a sign-in link if nobody is signed in; or why there can't be one, such as a
    read-only folder.
    """
    if not isinstance(error, errors.NotSignedInError):
        return error, None
    try:
        return error, await app_context.sign_in.link()
    except errors.KallyAIError as no_link:
        return no_link, None


def error_answer(error: errors.KallyAIError, *, places_calls: bool) -> ErrorAnswer:
    """The structure for an error.

    With `places_calls`, it is about a call that should have been placed.
    """
    answer = _what_became_of_the_call(error, places_calls=places_calls)
    answer.code = error.code
    answer.retry_after = error.retry_after
    answer.correlation_id = error.correlation_id
    if isinstance(error, errors.QuotaExceededError):
        answer.upgrade_url = error.upgrade_url
    if isinstance(error, RefusedNumberError):
        answer.dial = error.dial
    if isinstance(error, InvalidArgumentsError):
        answer.arguments = _wrong_arguments(error) or None
    return answer


def _what_became_of_the_call(error: errors.KallyAIError, *, places_calls: bool) -> ErrorAnswer:
    """Whether a call was placed, and whether the same request may be sent again."""
    if not places_calls:
        return ErrorAnswer(status="error", retryable=_is_passing(error))
    if proves_no_call(error):
        retryable = _is_passing(error)
        return ErrorAnswer(status="refused", retryable=retryable, placed="no", placed_now=False)
    # The same request could place a second call.
    return ErrorAnswer(status="unknown", retryable=False, placed="maybe")


def _is_passing(error: errors.KallyAIError) -> bool:
    """Whether the condition that made the error ends."""
    is_timed = error.retry_after is not None
    return is_timed or error.code in _PASSING or isinstance(error, _PASSING_KINDS)


def _wrong_arguments(error: InvalidArgumentsError) -> list[WrongArgument]:
    return [
        WrongArgument(
            argument=problem.argument,
            problem=problem.text,
            kind=problem.kind,
            suggestions=list(problem.meant) or None,
        )
        for problem in error.problems[:MAX_NAMED]
    ]
