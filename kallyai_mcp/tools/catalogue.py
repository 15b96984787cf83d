"""The tools, from one explicit list."""

from functools import cache

from kallyai_mcp.tools.account import check_quota, get_billing_link, sign_in
from kallyai_mcp.tools.calling import get_call, make_call
from kallyai_mcp.tools.details import completed
from kallyai_mcp.tools.history import get_calendar_event, get_transcript, list_calls
from kallyai_mcp.tools.tool import Hints, TelephoneTool, telephone_tool


def tools() -> list[TelephoneTool]:
    """The eight tools of the contract; each server keeps copies of its own."""
    return [tool.model_copy() for tool in _described()]


@cache
def _described() -> tuple[TelephoneTool, ...]:
    # Their schemas take as long to make as all the rest of a server.
    return (
        telephone_tool(
            make_call, Hints("Make a phone call", reads_only=False, dials=True, idempotent=False), completed
        ),
        telephone_tool(get_call, Hints("Get a call's outcome")),
        telephone_tool(list_calls, Hints("List calls")),
        telephone_tool(get_transcript, Hints("Get a call's transcript")),
        telephone_tool(get_calendar_event, Hints("Get a call's calendar event")),
        telephone_tool(check_quota, Hints("Check the quota")),
        telephone_tool(get_billing_link, Hints("Get the billing link")),
        telephone_tool(sign_in, Hints("Sign in", reads_only=False)),
    )
