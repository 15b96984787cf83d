"""`kallyai-mcp status`: the account, its quota, its calls in progress, and the last calls; and the
audit trail.
"""

from collections.abc import Mapping
from typing import Any

import click

from kallyai_mcp.cli.account_screen import account_screen
from kallyai_mcp.cli.admin_tables import decision_in_words
from kallyai_mcp.cli.call_commands import Shown, about_calls
from kallyai_mcp.cli.calls import call_rows, notes_of
from kallyai_mcp.cli.screen import rendered, terminal_of
from kallyai_mcp.cli.service import Service
from kallyai_mcp.tools.call_page import list_page
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.structure.models import QuotaAnswer, as_json
from kallyai_mcp.tools.text.plain import one_line

_DISCLOSED = {True: "said that it is an AI", False: "did not say that it is an AI"}
"""What the transcript has of KallyAI, by `disclosed` of an entry."""


@click.command()
@click.option(
    "--audit",
    is_flag=True,
    help="Show which calls were asked for, who asked, and how the user agreed.",
)
@about_calls
async def status(app_context: AppContext, *, audit: bool) -> Shown:
    """Show who is signed in, the quota, the calls in progress, and the last calls."""
    if audit:
        return await _audit(app_context)
    api = app_context.api()
    who = await app_context.sign_in.signed_in()
    statistics = await api.get_statistics()
    last = await list_page(app_context, limit=5, offset=0)
    service = Service.of(app_context.settings)
    screen = account_screen(one_line(who or ""), statistics, app_context.now(), service)
    lines = [
        rendered(screen, terminal_of(err=False)),
        "",
        "Last calls" if last.views else "Last calls: none",
        *call_rows(last.views, app_context),
        *notes_of(last),
    ]
    facts = {
        "api_url": api.base_url,
        "signed_in": {"who": who or None},
        "quota": as_json(QuotaAnswer(**statistics.model_dump())),
        "calls": as_json(last.structure),
    }
    return Shown("\n".join(lines), facts)


async def _audit(app_context: AppContext) -> Shown:
    """The account's 100 newest entries of the audit trail, the newest first, with whole phone
    numbers.
    """
    calls = app_context.calls
    entries = await calls.audit_trail(100)
    lines = [_line_of(entry) for entry in entries] or [
        "The audit trail is empty: no call was asked for."
    ]
    as_facts = [entry | {"at": entry["at"].isoformat(timespec="seconds")} for entry in entries]
    return Shown("\n".join(lines), {"audit": as_facts})


def _line_of(entry: Mapping[str, Any]) -> str:
    """An entry of the audit trail: when, the number, the end, who asked, how the user agreed."""
    at, decision = f"{entry['at']:%Y-%m-%d %H:%M}Z", decision_in_words(entry["outcome"])
    parts = [at, entry["number"], decision]
    if entry["asked_by"]:
        parts.append(f"asked by {one_line(entry['asked_by'])}")
    parts.append(entry["how"])
    if entry["risk_flags"]:
        parts.append(f"risk: {', '.join(entry['risk_flags'])}")
    if entry["disclosed"] is not None:
        parts.append(_DISCLOSED[entry["disclosed"]])
    parts.append(entry["tracking_id"])
    return "  ".join(filter(None, parts))
