"""Waits for the end of a call or of a list, and returns the result; make_call, call_around, and get_call use it."""

from typing import Any

from mcp.server.apps import client_supports_apps
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS

from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.tools import progress
from kallyai_mcp.tools.call_results import call_result
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.list_results import list_result
from kallyai_mcp.tools.tasks import seconds_to_wait
from kallyai_mcp.tools.text.call_lists import calling
from kallyai_mcp.tools.text.calls import so_far


async def follow_call(
    app_context: AppContext,
    record: CallRecord,
    wait_seconds: float | None,
    ctx: Context[AppContext, Any],
    *,
    placed_now: bool | None,
) -> CallToolResult:
    """Wait for the end of `record`, and return the result."""
    seconds = seconds_to_wait(wait_seconds, ctx.request_context, placed_now=placed_now)
    progress.say(lambda: so_far(record, app_context.now()))
    followed = await app_context.calls.wait(record, seconds)
    return await call_result(
        app_context,
        followed,
        placed_now=placed_now,
        was_active=record.is_active,
        client_is_there=_client_is_there(record, ctx),
        with_links=client_supports_apps(ctx),
    )


def _client_is_there(record: CallRecord, ctx: Context[AppContext, Any]) -> bool:
    """Whether it is certain that the client still waits, because this worker would know if it had given up.

    It is not certain for a client of the 2025 versions over `/mcp` that waited for a call in progress. If such a client
    gives up, it leaves its request open. It cancels by another request, which may reach another worker, because there
    are no sessions (`stateless_http`). A client of 2026-07-28 closes its request.
    """
    request = ctx.request_context
    is_old = request.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS
    is_stateless = request.request is not None and request.request.url.path.endswith("/mcp")
    return not (record.is_active and is_old and is_stateless)


async def follow_list(
    app_context: AppContext,
    found: CallList,
    wait_seconds: float | None,
    ctx: Context[AppContext, Any],
    *,
    placed_now: bool | None,
) -> CallToolResult:
    """Wait for a list and return its result; the outcomes in it count as delivered.

    While it waits, progress messages say which candidate is being called. The arguments are those of `seconds_to_wait`.
    """
    latest = found
    seconds = seconds_to_wait(wait_seconds, ctx.request_context, placed_now=placed_now)
    progress.say(lambda: calling(latest))

    def changed(newer: CallList) -> None:
        nonlocal latest
        latest = newer

    found = await app_context.calls.wait_for_list(found, seconds, changed)
    return await list_result(app_context, found, placed_now=placed_now)
