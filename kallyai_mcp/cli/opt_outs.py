"""`kallyai-mcp opt-outs`: who asked not to be called again, and how that is removed."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from kallyai_mcp.calls.numbers import for_people, normalize
from kallyai_mcp.calls.opt_outs import OptOut
from kallyai_mcp.cli.call_commands import Shown, about_calls
from kallyai_mcp.cli.id_completion import complete_number
from kallyai_mcp.cli.output import CommandError
from kallyai_mcp.cli.screen import terminal_of
from kallyai_mcp.cli.short_id import short_id
from kallyai_mcp.cli.tables import Column, rendered_table
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.text.plain import one_line

_COLUMNS = (
    Column("Day"),
    Column("Number"),
    Column("What they said", shrinks=True),
    Column("Call"),
)

_NONE = "Nobody has asked not to be called again."
_ON_A_LIST = "KallyAI has it on its do-not-call list"


@click.command("opt-outs")
@click.argument("action", metavar="[remove", type=click.Choice(["remove"]), required=False)
@click.argument("number", metavar="NUMBER]", required=False, shell_complete=complete_number)
@about_calls
async def opt_outs(app_context: AppContext, *, action: str | None, number: str | None) -> Shown:
    """List the numbers that asked not to be called again: the day, what they said, and the call.

    They are not called without your yes for each call. `remove` lets NUMBER be called again.
    """
    if action is None:
        return _listed(await app_context.calls.opt_outs())
    if number is None:
        raise click.UsageError("Missing argument 'NUMBER'.")
    return await _removed(app_context, number)


def _listed(found: Sequence[OptOut]) -> Shown:
    structure = {"opt_outs": [_as_json(one) for one in found]}
    if not found:
        return Shown(_NONE, structure)
    rows = [_cells(one) for one in found]
    if sys.stdout.isatty():
        return Shown(rendered_table(_COLUMNS, rows, terminal_of(err=False)), structure)
    return Shown("\n".join("\t".join(row) for row in rows), structure)


def _cells(opt_out: OptOut) -> Sequence[str]:
    said = one_line(opt_out.quote or "") if opt_out.was_said else _ON_A_LIST
    return (opt_out.day, for_people(opt_out.number), said, short_id(opt_out.call_id or ""))


async def _removed(app_context: AppContext, number: str) -> Shown:
    known = normalize(number)
    asked = known if isinstance(known, str) else number
    removed = await app_context.calls.remove_opt_out(asked)
    if removed is None:
        shown = for_people(asked) if isinstance(known, str) else one_line(number, 40)
        raise CommandError(f"{shown} is not among them. `kallyai-mcp opt-outs` lists the numbers.")
    text = f"{for_people(removed.number)} may be called again."
    return Shown(text, {"removed": _as_json(removed)})


def _as_json(opt_out: OptOut) -> dict[str, Any]:
    return {name: value for name, value in vars(opt_out).items() if value is not None}
