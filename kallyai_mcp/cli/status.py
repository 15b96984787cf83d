"""`kallyai-mcp status`: the account, its quota, its calls in progress, and the last calls; and the audit trail."""

from typing import Any

import click

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.cli.calls import Shown, about_calls, call_rows, list_note
from kallyai_mcp.cli.output import say
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.past_calls import list_page
from kallyai_mcp.tools.results import QuotaAnswer, as_json
from kallyai_mcp.tools.text.account import quota
from kallyai_mcp.tools.text.listing import NO_LEDGER
from kallyai_mcp.tools.text.plain import one_line
from kallyai_mcp.tools.tool_errors import error_answer

_LAST_CALLS = 5
_AUDIT_ENTRIES = 100


@click.command()
@click.option("--audit", is_flag=True, help="Show which calls were asked for, who asked, and how the user agreed.")
@about_calls
async def status(app_context: AppContext, *, audit: bool) -> Shown:
    """Show who is signed in, the quota, the calls in progress, and the last calls.

    If KallyAI can't be reached, what is stored on this machine is shown.
    """
    if audit:
        return await _audit(app_context)
    lines: list[str] = []
    facts: dict[str, Any] = {"error": None}
    try:
        await _gather(app_context, lines, facts)
    except KallyAIError as error:
        facts["error"] = as_json(error_answer(error, places_calls=False)) | {"message": str(error)}
        say(f"Error: {error}", err=True)
    return Shown("\n".join(lines), facts, int(facts["error"] is not None))


async def _gather(app_context: AppContext, lines: list[str], facts: dict[str, Any]) -> None:
    """Read the facts of this machine, then those of KallyAI; what was read before an error is kept."""
    facts["api_url"] = url = app_context.api().base_url
    lines.append("KallyAI: the embedded sandbox, which calls nobody" if app_context.embedded else f"KallyAI: {url}")
    who = await app_context.sign_in.signed_in()
    facts["signed_in"] = {"who": who or None} if who is not None else None
    if who is None:
        raise NotSignedInError("Not signed in. `kallyai-mcp login` signs in through the browser.")
    lines.append(f"Signed in as {one_line(who)}" if who else "Signed in")
    statistics = await app_context.api().get_statistics()
    facts["quota"] = as_json(QuotaAnswer(**statistics.model_dump()))
    lines.append(quota(statistics, None, now=app_context.now()))
    result = await list_page(app_context, limit=_LAST_CALLS, offset=0)
    page = result.structure
    facts["calls"] = as_json(page)
    lines += ["Last calls:", *call_rows(result.views, app_context)] if result.views else ["Last calls: none"]
    if NO_LEDGER in result.text:
        lines.append(NO_LEDGER)
    if page.lists:
        lines.append(list_note(page.lists))


async def _audit(app_context: AppContext) -> Shown:
    """The account's newest entries of the audit trail, the newest first, with whole phone numbers."""
    calls = app_context.calls
    entries = await calls.ledger.read(rows.audit, await calls.account_of_request(), _AUDIT_ENTRIES)
    lines = [] if entries else ["The audit trail is empty: no call was asked for."]
    for entry in entries:
        who = f"asked by {one_line(entry.asked_by)}" if entry.asked_by else ""
        parts = (f"{entry.at:%Y-%m-%d %H:%M}Z", entry.number, one_line(entry.outcome), who, entry.how or "")
        flags = f"risk: {', '.join(entry.risk_flags)}" if entry.risk_flags else ""
        lines.append("  ".join(filter(None, (*parts, flags, entry.tracking_id))))
    as_facts = [{**vars(entry), "at": entry.at.isoformat(timespec="seconds")} for entry in entries]
    return Shown("\n".join(lines), {"audit": as_facts})
