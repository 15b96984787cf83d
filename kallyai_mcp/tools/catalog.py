"""The tools, from one explicit list."""

from dataclasses import replace
from functools import cache

from kallyai_mcp.tools.account import check_quota, sign_in
from kallyai_mcp.tools.around import SHARED, call_around
from kallyai_mcp.tools.call_tool import CallTool, ToolSpec, call_tool
from kallyai_mcp.tools.calls import get_call, make_call
from kallyai_mcp.tools.history import cancel_call, get_calendar_event, get_transcript, list_calls

_PLACES_CALLS = "calls:write"
"""The scope for placing and canceling calls."""


def tools(*, read_only: bool = False) -> list[CallTool]:
    """The tools, as new copies for one server; with `read_only`, without those that place or cancel calls."""
    return [tool.model_copy() for tool in _described() if not read_only or _PLACES_CALLS not in tool.spec.scopes]


@cache
def _described() -> tuple[CallTool, ...]:
    # Cached: making their schemas takes as long as the rest of a server.
    reads_calls = frozenset({"calls:read"})
    make_call_spec = ToolSpec(
        "Make a phone call",
        frozenset({_PLACES_CALLS, "calls:read"}),  # it also reads whether the same call was placed before
        read_only=False,
        places_calls=True,
        waits=True,
        idempotent=False,
    )
    make_call_tool = call_tool(make_call, make_call_spec)
    around_tool = call_tool(call_around, replace(make_call_spec, title="Call several, one after another"))
    for name in SHARED:  # what make_call describes has only its type here
        schema = around_tool.parameters["properties"][name]
        around_tool.parameters["properties"][name] = {key: schema[key] for key in ("type", "items") if key in schema}
    return (
        make_call_tool,
        around_tool,
        call_tool(get_call, ToolSpec("Get a call's outcome", reads_calls, waits=True)),
        call_tool(
            cancel_call, ToolSpec("Cancel a scheduled call", frozenset({_PLACES_CALLS, "calls:read"}), read_only=False)
        ),
        call_tool(list_calls, ToolSpec("List calls", reads_calls)),
        call_tool(get_transcript, ToolSpec("Get a call's transcript", frozenset({"transcripts:read"}))),
        call_tool(get_calendar_event, ToolSpec("Get a call's calendar event", reads_calls)),
        call_tool(check_quota, ToolSpec("Check the quota", frozenset({"subscription:read"}))),
        call_tool(sign_in, ToolSpec("Sign in", frozenset(), read_only=False, waits=True)),
    )
