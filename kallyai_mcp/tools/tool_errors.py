"""Turns errors into results of a tool (`isError`), with a text for the agent and a structure for programs."""

from dataclasses import replace

from mcp.types import CallToolResult

from kallyai_mcp.api import errors
from kallyai_mcp.logs import note_failure
from kallyai_mcp.tools.call_results import error_result
from kallyai_mcp.tools.context import AppContext, SignInLink
from kallyai_mcp.tools.text.account import sign_in_needed
from kallyai_mcp.tools.text.errors import with_service_words


async def tool_error(
    error: errors.KallyAIError, app_context: AppContext, *, tool: str, places_calls: bool
) -> CallToolResult:
    """The result for an error of `tool`. If nobody is signed in, it has the sign-in link.

    With `places_calls`, the error is about a call that the tool should place, so the result says whether it was placed.
    """
    error, link = await with_sign_in_link(error, app_context)
    note_failure(error.code, error.correlation_id)
    result = await error_result(error, app_context, places_calls=places_calls)
    if link is not None:
        result.structure.link, result.structure.expires_in = link.url, link.minutes * 60
        then = f"call {tool} again with the same arguments"
        result = replace(result, text=with_service_words(sign_in_needed(link, then, places_calls=places_calls), error))
    return result.for_client()


async def with_sign_in_link(
    error: errors.KallyAIError, app_context: AppContext
) -> tuple[errors.KallyAIError, SignInLink | None]:
    """The error, and a sign-in link if nobody is signed in; or why there can't be one, such as a read-only folder."""
    if not isinstance(error, errors.NotSignedInError):
        return error, None
    try:
        return error, await app_context.sign_in.link()
    except errors.KallyAIError as no_link:
        return no_link, None
