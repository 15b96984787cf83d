"""Completes the argument of a prompt or a resource template while the user types it (`completion/complete`)."""

from functools import cache
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.types import CompleteRequestParams, CompleteResult, Completion, ResourceTemplateReference

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.prompts import LANGUAGES, argument_names
from kallyai_mcp.tools.resource_links import CALENDAR, CALL, TRANSCRIPT

MAX_VALUES = 100
"""How many values a result may have, by the protocol."""

_NEWEST = 200
"""How many of the newest calls are searched: as many as KallyAI returns at once."""


async def complete(ctx: ServerRequestContext[AppContext, Any], params: CompleteRequestParams) -> CompleteResult:
    """Handler of completion/complete.

    A `call_id` is completed with the account's calls, newest first; a `timezone` with the IANA names that begin with
    the typed text, or whose city does; a `language` with the languages of the prompts. On an error the list is empty.
    """
    argument = params.argument
    if isinstance(params.ref, ResourceTemplateReference):
        is_known = params.ref.uri in (CALL, TRANSCRIPT, CALENDAR) and argument.name == "call_id"
        values = await _calls(ctx.lifespan_context, params.ref.uri, argument.value) if is_known else []
    elif argument.name not in argument_names(params.ref.name):
        values = []
    elif argument.name == "language":
        values = [name for name in LANGUAGES if name.startswith(argument.value.strip().casefold())]
    elif argument.name == "timezone":
        values = _zones(argument.value, await anyio.to_thread.run_sync(_all_zones))
    else:
        values = []
    return CompleteResult(
        completion=Completion(
            values=values[:MAX_VALUES], total=len(values) if values else None, has_more=len(values) > MAX_VALUES
        )
    )


async def _calls(app_context: AppContext, template: str, typed: str) -> list[str]:
    """The ids of the newest calls that begin with `typed`; those in progress for the call's own template only."""
    try:
        unsettled = await app_context.calls.list_unsettled() if template == CALL else []
        page = await app_context.api().list_calls(limit=_NEWEST)
    except KallyAIError:
        return []
    ids = [record.tracking_id for record in unsettled] + [call.call_id for call in page.calls]
    return [id_ for id_ in ids if id_.startswith(typed)]


def _zones(typed: str, zones: tuple[str, ...]) -> list[str]:
    beginning = typed.strip().casefold().replace(" ", "_")
    by_name = [name for name in zones if name.casefold().startswith(beginning)]
    by_city = [name for name in zones if name.casefold().rpartition("/")[2].startswith(beginning)]
    return list(dict.fromkeys(by_name + by_city))


@cache
def _all_zones() -> tuple[str, ...]:
    """The IANA names that this machine knows; read from disk once."""
    from zoneinfo import available_timezones

    return tuple(sorted(available_timezones()))
