"""`kallyai-mcp status`: the account, its quota, its calls in progress, and the last calls; and the audit trail."""

from datetime import UTC, datetime
from typing import Any

import click

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.calls import call_rows, list_note
from kallyai_mcp.cli.connection import Connection, connect
from kallyai_mcp.cli.output import CommandError, errors_as_json, json_option, run, sandbox_option, say, say_json
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.results import QuotaAnswer, error_answer
from kallyai_mcp.tools.results import as_json as structure_of
from kallyai_mcp.tools.text.plain import one_line

_LAST_CALLS = 5
_AUDIT_ENTRIES = 100

Facts = dict[str, Any]


@click.command(short_help="Show account, quota, and last calls.")
@click.option("--audit", is_flag=True, help="Show which calls were asked for, who asked, and how the user agreed.")
@sandbox_option
@json_option
@click.pass_obj
def status(settings: Settings, *, audit: bool, as_json: bool) -> None:
    """Show who is signed in, the quota, the calls in progress, and the last calls.

    If KallyAI can't be reached, what is stored on this machine is shown.
    """
    if audit:
        _show_audit(settings, as_json=as_json)
        return
    lines: list[str] = []
    facts: Facts = {"error": None}

    async def work() -> None:
        connection = connect(settings)
        async with open_app_context(connection, links=False) as app_context:
            try:
                await _gather(connection, app_context, lines, facts)
            except KallyAIError as error:
                facts["error"] = structure_of(error_answer(error, places_calls=False)) | {"message": str(error)}

    with errors_as_json(as_json):
        run(work)
    if as_json:
        say_json(facts)
    else:
        for line in lines:
            say(line)
        if facts["error"] is not None:
            raise CommandError(facts["error"]["message"])
    if facts["error"] is not None:
        raise SystemExit(1)


async def _gather(connection: Connection, app_context: AppContext, lines: list[str], facts: Facts) -> None:
    """Read the facts of this machine, then those of KallyAI; what was read before an error is kept."""
    from kallyai_mcp.tools.past_calls import list_page
    from kallyai_mcp.tools.text.account import quota
    from kallyai_mcp.tools.text.listing import NO_LEDGER

    embedded = connection.sandbox is not None
    facts["api_url"] = connection.settings.api_url if connection.sandbox is None else connection.sandbox.URL
    lines.append("KallyAI: the embedded sandbox, which calls nobody" if embedded else f"KallyAI: {facts['api_url']}")
    tokens = await connection.credentials.tokens.current()
    facts["signed_in"] = tokens and {"who": tokens.who, "renews": tokens.refresh_token is not None}
    if tokens is None:
        raise NotSignedInError("Not signed in. `kallyai-mcp login` signs in through the browser.")
    place = "" if embedded else f"; kept in {connection.credentials.describe_store()}"
    lines.append(f"Signed in{f' as {one_line(tokens.who)}' if tokens.who else ''}{place}")
    statistics = await app_context.api().get_statistics()
    facts["quota"] = structure_of(QuotaAnswer(**statistics.model_dump()))
    lines.append(quota(statistics, None, now=app_context.now()))
    text, page = await list_page(app_context, limit=_LAST_CALLS, offset=0)
    facts["calls"] = structure_of(page)
    lines += ["Last calls:", *call_rows(page.calls, app_context)] if page.calls else ["Last calls: none"]
    if NO_LEDGER in text:
        lines.append(NO_LEDGER)
    if page.lists:
        lines.append(list_note(page.lists))


def _show_audit(settings: Settings, *, as_json: bool) -> None:
    """Print the account's newest entries of the audit trail, the newest first, with whole phone numbers."""

    async def read() -> list[Facts]:
        async with connect(settings) as connection:
            entries = await connection.ledger().audit(await connection.account_key(), _AUDIT_ENTRIES)
        return [{**vars(entry), "at": entry.at.isoformat(timespec="seconds")} for entry in entries]

    with errors_as_json(as_json):
        entries = run(read)
    if as_json:
        say_json({"audit": entries})
        return
    if not entries:
        say("The audit trail is empty: no call was asked for.")
    for entry in entries:
        at = datetime.fromisoformat(entry["at"]).astimezone(UTC)
        who = f"asked by {one_line(entry['asked_by'])}" if entry["asked_by"] else ""
        parts = (f"{at:%Y-%m-%d %H:%M}Z", entry["number"], one_line(entry["outcome"]), who, entry["how"] or "")
        flags = f"risk: {', '.join(entry['risk_flags'])}" if entry["risk_flags"] else ""
        say("  ".join(filter(None, (*parts, flags, entry["tracking_id"]))))
