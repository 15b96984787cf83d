"""The commands about calls that were placed: calls, show, cancel, transcript, calendar.

Those that only read import no MCP SDK.
"""

import math
import os
import sys
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import click

from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.numbers import for_people
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.cli.calendar_file import save
from kallyai_mcp.cli.call_commands import Shown, about_calls, followed
from kallyai_mcp.cli.call_screens import call_screen, end_screen
from kallyai_mcp.cli.conversation_screen import conversation_screen
from kallyai_mcp.cli.id_completion import complete_id
from kallyai_mcp.cli.list_screen import list_screen
from kallyai_mcp.cli.output import CommandError, say
from kallyai_mcp.cli.screen import Screen, sandbox_line, terminal_of
from kallyai_mcp.cli.service import Service
from kallyai_mcp.cli.short_id import short_id
from kallyai_mcp.cli.tables import Column, rendered_table
from kallyai_mcp.tools import telling
from kallyai_mcp.tools.call_page import ListedCalls, list_page
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.lookup import Found, find, find_event
from kallyai_mcp.tools.structure.calls import event_answer
from kallyai_mcp.tools.structure.models import CallAnswer
from kallyai_mcp.tools.text.calendar import rebuilt
from kallyai_mcp.tools.text.listing import NO_LEDGER, detail
from kallyai_mcp.tools.text.plain import Reader, one_line, when

_SETTLE_SECONDS = 3.0
"""How long `show` waits for a call to end: another process may be settling it."""

_SEARCHED = 200
"""How many of the newest calls are searched for the beginning of an id."""

_NO_CALLS = "No calls yet. `kallyai-mcp call` places one."

_ID_LENGTH = len("00000000-0000-0000-0000-000000000000")
"""The length of a whole id."""


@click.command()
@click.option(
    "--limit",
    type=click.IntRange(1, 200),
    default=20,
    show_default=True,
    metavar="N",
    help="How many.",
)
@click.option(
    "--offset",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="How many of the newest to skip.",
)
@about_calls
async def calls(app_context: AppContext, *, limit: int, offset: int) -> Shown:
    """List your calls, newest first: when, how it ended, who, and the beginning of its id."""
    result = await list_page(app_context, limit=limit, offset=offset)
    page = result.structure
    notes = notes_of(result)
    if not page.calls:
        notes.append(_NO_CALLS if offset == 0 else "No more calls.")
    if page.next_offset is not None:
        notes.append(
            "More: "
            + Service.of(app_context.settings).command("calls", "--offset", f"{page.next_offset}")
        )
    for note in notes:
        say(note, err=True)
    rows = call_rows(result.views, app_context)
    if rows and sys.stdout.isatty() and Service.of(app_context.settings).is_simulated:
        rows.insert(0, sandbox_line(terminal_of(err=False)))
    return Shown("\n".join(rows), page)


def notes_of(page: ListedCalls) -> list[str]:
    """What is said of a page of calls as a whole: that the ledger can't be read, and which lists go
    on or wait.
    """
    notes = []
    if NO_LEDGER in page.text:
        notes.append(NO_LEDGER)
    if page.structure.lists:
        shown = ", ".join(map(_list_in_words, page.structure.lists))
        notes.append(f"Lists: {shown}; `kallyai-mcp show ID` shows one")
    return notes


def _list_in_words(one: CallAnswer) -> str:
    return f"{one.tracking_id} ({(one.status or '').replace('_', ' ')})"


_COLUMNS = (
    Column("When"),
    Column("How it ended"),
    Column("Who", shrinks=True),
    Column("What was answered", shrinks=True),
    Column("Id"),
)


class _Row(NamedTuple):
    """What a row says of a call."""

    at: str
    ended: str
    name: str
    number: str
    answer: str
    id_: str


def call_rows(found: Sequence[CallView], app_context: AppContext) -> list[str]:
    """The calls as a table that fits the terminal; without one, a row for each, with tabs between
    its columns, without what was answered, and with the whole id.
    """
    reader = app_context.reader()
    rows = [_row_of(view, reader) for view in found]
    if not rows:
        return []
    if sys.stdout.isatty():
        return [rendered_table(_COLUMNS, list(map(_cells, rows)), terminal_of(err=False))]
    return [f"{row.at}\t{row.ended}\t{row.name}\t{row.number}\t{row.id_}" for row in rows]


def _cells(row: _Row) -> Sequence[str]:
    return (row.at, row.ended, row.name or row.number, row.answer, short_id(row.id_))


def _row_of(view: CallView, reader: Reader) -> _Row:
    asked = view.submission
    return _Row(
        _time_of(view, reader),
        (view.outcome or view.status).replace("_", " "),
        one_line(asked.business_name or ""),
        for_people(asked.respondent_phone or ""),
        detail(view, reader),
        one_line(view.id),
    )


def _time_of(view: CallView, reader: Reader) -> str:
    """When a call was placed, or is or was due; "" if that is not known."""
    moment = view.placed_at
    if view.record is not None and _was_not_placed(view.record):
        moment = view.record.schedule.not_before
    return when(moment, reader) if moment is not None else ""


def _was_not_placed(record: CallRecord) -> bool:
    return not record.is_active and record.outcome is None


@click.command()
@click.argument("id_", metavar="[ID]", required=False, shell_complete=complete_id)
@click.option("--follow", is_flag=True, help="Wait until it has ended.")
@about_calls
async def show(app_context: AppContext, *, id_: str | None, follow: bool) -> Shown:
    """Show how the call or the list with this ID ended, or how far it is; without ID, the last
    call.

    The beginning of an ID is enough if no other call has it.
    """
    found = await find(app_context, await whole_id(app_context, id_))
    seconds = math.inf if follow else _SETTLE_SECONDS
    match found:
        case CallRecord() if follow:
            found = await followed(app_context, found)
        case CallRecord():
            found = await app_context.calls.wait(found, seconds)
        case CallList():
            found = await app_context.calls.wait_for_list(found, seconds)
    result = await telling.call_result(app_context, found, placed_now=None)
    return Shown(screen_of(app_context, found, result), result.structure)


def screen_of(app_context: AppContext, found: Found, result: telling.CallResult) -> Screen:
    """What a person is shown of a call or a list."""
    reader = app_context.reader()
    service = Service.of(app_context.settings)
    if isinstance(found, CallList):
        return list_screen(found, result.views, reader, service)
    is_duplicate = result.structure.placed_now is False
    return call_screen(result.views[0], reader, service, is_duplicate=is_duplicate)


@click.command()
@click.argument("id_", metavar="ID", shell_complete=complete_id)
@about_calls
async def cancel(app_context: AppContext, *, id_: str) -> Shown:
    """Cancel the scheduled call, the retry, or the list with this ID for good.

    KallyAI's API has no way to hang up a call in progress; after it, no further call is placed. The
    exit code is 1 if nothing was canceled.
    """
    result = await telling.cancel(app_context, await whole_id(app_context, id_))
    is_canceled = result.structure.status == "canceled"
    reader = app_context.reader()
    screen = end_screen(
        result.view, reader, Service.of(app_context.settings), status=result.structure.status
    )
    return Shown(screen, result.structure, int(not is_canceled))


@click.command()
@click.argument("id_", metavar="[ID]", required=False, shell_complete=complete_id)
@about_calls
async def transcript(app_context: AppContext, *, id_: str | None) -> Shown:
    """Show who said what in the call with this ID; without ID, in the last call."""
    result = await telling.transcript(app_context, await whole_id(app_context, id_))
    service = Service.of(app_context.settings)
    spoken = conversation_screen(result.call, result.transcript, app_context.reader(), service)
    return Shown(spoken, result.structure)


@click.command()
@click.argument("id_", metavar="[ID]", required=False, shell_complete=complete_id)
@click.option("--save", "is_saved", is_flag=True, help="Save it as a file in this folder.")
@about_calls
async def calendar(app_context: AppContext, *, id_: str | None, is_saved: bool) -> Shown:
    """Print the appointment that the call with this ID made, as an .ics file; without ID, that of
    the last call. If a later call has moved it, that is the new appointment.
    """
    event = await find_event(app_context, await whole_id(app_context, id_))
    ics = rebuilt(event.view, event.history)
    if is_saved:
        path = save(ics, event.view)
        return Shown(f"Saved as {path}. Open it to add it to your calendar.", event_answer(event))
    if os.linesep != "\n":  # On Windows, Python writes the ends of lines.
        ics = ics.replace("\r\n", "\n")
    return Shown(ics.removesuffix("\n"), event_answer(event))


async def whole_id(app_context: AppContext, beginning: str | None) -> str:
    """The id of the call whose `call_id` or `tracking_id` begins so; that of the last call for
    None.
    """
    if beginning is None:
        return await _last_id(app_context)
    if len(beginning) >= _ID_LENGTH:
        return beginning
    known = await _known_ids(app_context, _SEARCHED)
    found = sorted({id_ for id_ in known if id_.startswith(beginning)})
    if len(found) > 1:
        raise CommandError(
            f"Several calls have an id that begins with {beginning}: {', '.join(found)}"
        )
    return next(iter(found), beginning)


async def _last_id(app_context: AppContext) -> str:
    known = await _known_ids(app_context, 1)
    if not known:
        raise CommandError(_NO_CALLS)
    return known[0]


async def _known_ids(app_context: AppContext, limit: int) -> list[str]:
    """Every id of the newest calls, newest first, and then those of the lists beside them."""
    page = (await list_page(app_context, limit=limit, offset=0)).structure
    of_calls = chain.from_iterable((one.call_id, one.tracking_id) for one in page.calls)
    of_lists = (one.tracking_id for one in page.lists or ())
    return list(filter(None, chain(of_calls, of_lists)))
