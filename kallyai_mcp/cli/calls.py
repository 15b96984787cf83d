"""The commands about calls: call, calls, show, cancel, transcript, calendar. They print the tools' own texts.

Those that only read import no MCP SDK.
"""

import math
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from itertools import chain
from typing import Any, NamedTuple

import anyio
import click

from kallyai_mcp.api import errors
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.numbers import for_people
from kallyai_mcp.calls.records import CallRecord, CallRequest, CallState
from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.cli.output import CommandError, json_option, run, sandbox_option, say, say_json, say_result
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools import telling
from kallyai_mcp.tools.call_page import ListedCalls, list_page
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.lookup import find, find_booking
from kallyai_mcp.tools.structure.calls import event_answer
from kallyai_mcp.tools.structure.models import Answer
from kallyai_mcp.tools.structure.models import as_json as structure_of
from kallyai_mcp.tools.text.calendar import rebuilt
from kallyai_mcp.tools.text.errors import error_text
from kallyai_mcp.tools.text.listing import NO_LEDGER
from kallyai_mcp.tools.text.plain import duration, one_line, when
from kallyai_mcp.tools.tool_errors import error_answer

_ASKED_BY = "kallyai-mcp call"

_STEP_SECONDS = 60.0
"""How long one wait for a call lasts; it is shorter than the pause before another attempt, which is not waited for."""

_SETTLE_SECONDS = 3.0
"""How long `show` waits for a call to end: another process may be settling it."""

_SEARCHED = 200
"""How many of the newest calls are searched for the beginning of an id."""

_ID_LENGTH = len("00000000-0000-0000-0000-000000000000")
"""The length of a whole id."""

_EXIT_CODES = {"not_reached": 3, "failed": 3, "canceled": 3, "unknown": 4, "in_progress": 4}
"""The exit code for an outcome; 0 for the others, which say that the phone conversation took place."""


class _InterruptedError(CommandError):
    """The user pressed Ctrl-C at a question."""

    exit_code = 130


class Shown(NamedTuple):
    """What a command prints: the tool's text, its structure for --json, and the exit code."""

    text: str
    structure: Answer | dict[str, Any]
    exit_code: int = 0


def about_calls(work: Callable[..., Awaitable[Shown]]) -> Callable[..., Any]:
    """Make a function a command with the options --sandbox and --json, which prints what the function returns.

    An error is printed as the tool says it; with --json, its structure, with the text as `message`.
    """

    @wraps(work)
    def command(settings: Settings, /, *, as_json: bool, **arguments: Any) -> None:
        places_calls = work.__name__ == "call"

        async def opened() -> Shown:
            async with open_app_context(Connection(settings)) as app_context:
                try:
                    return await work(app_context, **arguments)
                except errors.KallyAIError as error:
                    facts = structure_of(error_answer(error, places_calls=places_calls))
                    raise CommandError(error_text(error, places_calls=places_calls), facts) from None

        try:
            text, structure, code = run(opened)
        except CommandError as error:
            if not as_json:
                raise
            text, structure, code = "", error.facts | {"message": error.message}, error.exit_code
        if as_json:
            say_json(structure if isinstance(structure, dict) else structure_of(structure))
        elif text:
            say_result(text)
        if code:
            raise SystemExit(code)

    return sandbox_option(json_option(click.pass_obj(command)))


@click.command()
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, metavar="N", help="How many.")
@click.option("--offset", type=click.IntRange(0), default=0, metavar="N", help="How many of the newest to skip.")
@about_calls
async def calls(app_context: AppContext, *, limit: int, offset: int) -> Shown:
    """List your calls, newest first: when, how it ended, who, and the beginning of its id."""
    result = await list_page(app_context, limit=limit, offset=offset)
    page, notes = result.structure, notes_of(result)
    if not page.calls:
        notes.append("No calls yet. `kallyai-mcp call` places one." if offset == 0 else "No more calls.")
    if page.next_offset is not None:
        notes.append(f"More: kallyai-mcp calls --offset {page.next_offset}{_sandbox_flag(app_context)}")
    for note in notes:
        say(note, err=True)
    return Shown("\n".join(call_rows(result.views, app_context)), page)


def _sandbox_flag(app_context: AppContext) -> str:
    return " --sandbox" if app_context.embedded else ""


def notes_of(page: ListedCalls) -> list[str]:
    """What is said of a page of calls as a whole: that the ledger can't be read, and which lists go on or wait."""
    notes = [NO_LEDGER] if NO_LEDGER in page.text else []
    if lists := page.structure.lists:
        shown = ", ".join(f"{one.tracking_id} ({(one.status or '').replace('_', ' ')})" for one in lists)
        notes.append(f"Lists: {shown}; `kallyai-mcp show ID` shows one")
    return notes


def call_rows(found: Sequence[CallView], app_context: AppContext) -> list[str]:
    """A row of at most 80 columns for each call; without a terminal, columns with tabs between them and whole ids."""
    rows = []
    reader = app_context.reader()
    for one in found:
        record, asked = one.record, one.submission
        is_placed = record is None or record.is_active or one.outcome is not None
        moment = one.placed_at if is_placed or record is None else record.schedule.not_before
        at = when(moment, reader) if moment is not None else ""
        number = for_people(asked.respondent_phone) if asked.respondent_phone else ""
        name = one_line(asked.business_name or "")
        ended = (one.outcome or one.status).replace("_", " ")
        id_ = one_line(one.call_id or (record.tracking_id if record is not None else ""))
        if sys.stdout.isatty():
            who = f"{name} {number}".strip()
            rows.append(f"{at:<16.16} {ended:<17.17} {who:<33.33} {id_[:10]}")
        else:
            rows.append(f"{at}\t{ended}\t{name}\t{number}\t{id_}")
    return rows


@click.command()
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--follow", is_flag=True, help="Wait until it has ended.")
@about_calls
async def show(app_context: AppContext, *, id_: str | None, follow: bool) -> Shown:
    """Show how the call or the list with this ID ended, or how far it is; without ID, the last call.

    The beginning of an ID is enough if no other call has it.
    """
    found = await find(app_context, await whole_id(app_context, id_))
    if isinstance(found, CallRecord):
        found = await (_followed(app_context, found) if follow else app_context.calls.wait(found, _SETTLE_SECONDS))
    elif isinstance(found, CallList):
        found = await app_context.calls.wait_for_list(found, math.inf if follow else _SETTLE_SECONDS)
    result = await telling.call_result(app_context, found, placed_now=None)
    return Shown(result.text, result.structure)


@click.command()
@click.argument("id_", metavar="ID")
@about_calls
async def cancel(app_context: AppContext, *, id_: str) -> Shown:
    """Cancel the scheduled call, the retry, or the list with this ID for good.

    A call in progress can't be hung up; after it, no further call is placed. The exit code is 1 if nothing was
    canceled.
    """
    result = await telling.cancel(app_context, await whole_id(app_context, id_))
    return Shown(result.text, result.structure, 0 if result.structure.status == "canceled" else 1)


@click.command()
@click.argument("id_", metavar="[ID]", required=False)
@about_calls
async def transcript(app_context: AppContext, *, id_: str | None) -> Shown:
    """Show who said what in the call with this ID; without ID, in the last call."""
    result = await telling.transcript(app_context, await whole_id(app_context, id_))
    return Shown(result.text, result.structure)


@click.command()
@click.argument("id_", metavar="[ID]", required=False)
@about_calls
async def calendar(app_context: AppContext, *, id_: str | None) -> Shown:
    """Print the appointment that the call with this ID made, as an .ics file; without ID, that of the last call.

    To keep it: kallyai-mcp calendar > appointment.ics
    """
    view = await find_booking(app_context, await whole_id(app_context, id_))
    ics, answer = rebuilt(view), event_answer(view)
    lines = ics if os.linesep == "\n" else ics.replace("\r\n", "\n")  # on Windows, Python writes the ends of lines
    return Shown(lines.removesuffix("\n"), answer)


async def whole_id(app_context: AppContext, beginning: str | None) -> str:
    """The id of the call whose `call_id` or `tracking_id` begins so; that of the last call for None."""
    if beginning is None:
        return await _last_id(app_context)
    if len(beginning) >= _ID_LENGTH:
        return beginning
    known = await _known_ids(app_context, _SEARCHED)
    found = sorted({id_ for id_ in known if id_.startswith(beginning)})
    if len(found) > 1:
        raise CommandError(f"Several calls have an id that begins with {beginning}: {', '.join(found)}")
    return found[0] if found else beginning


async def _last_id(app_context: AppContext) -> str:
    known = await _known_ids(app_context, 1)
    if not known:
        raise CommandError("No calls yet. `kallyai-mcp call` places one.")
    return known[0]


async def _known_ids(app_context: AppContext, limit: int) -> list[str]:
    """Every id of the newest calls, newest first, and then those of the lists beside them."""
    page = (await list_page(app_context, limit=limit, offset=0)).structure
    of_calls = chain.from_iterable((one.call_id, one.tracking_id) for one in page.calls)
    of_lists = (one.tracking_id for one in page.lists or ())
    return list(filter(None, chain(of_calls, of_lists)))


@click.command()
@click.argument("respondent_phone", metavar="NUMBER")
@click.argument("task_description", metavar="TASK")
@click.option("--business", "business_name", metavar="NAME", help="Who is called.")
@click.option("--name", "user_name", metavar="NAME", help="Who the booking is for.")
@click.option("--phone", "user_phone", metavar="NUMBER", help="Your callback number.")
@click.option("--date", "appointment_date", metavar="YYYY-MM-DD", help="The day of the appointment.")
@click.option("--time", "appointment_time", metavar="HH:MM", help="Its time, 24 hours, by the callee's clock.")
@click.option("--leeway", "time_preference_text", metavar="WORDS", help='The time in words, such as "after 5pm".')
@click.option("--party", "party_size", type=int, metavar="N", help="How many people, 1 to 50.")
@click.option("--lang", "language", type=click.Choice(["en", "es"]), help="The language of the call and its summary.")
@click.option(
    "--category",
    "task_category",
    type=click.Choice(["restaurant", "clinic", "hotel", "general"]),
    metavar="KIND",
    show_default="restaurant with --party, else general",
    help="restaurant, clinic, hotel, or general.",
)
@click.option("--also", "additional_instructions", multiple=True, metavar="WISH", help="A wish or limit; repeatable.")
@click.option("--urgent", "is_urgent", is_flag=True, help="Say that it is urgent.")
@click.option("--accept-other-time", is_flag=True, help="Let KallyAI agree to another day or time.")
@click.option("--timezone", metavar="ZONE", help="The IANA zone where you are, if not that of this machine.")
@click.option(
    "--not-before",
    metavar="TIME",
    help="Call at this time: ISO 8601; without an offset, in --timezone if given, else the callee's.",
)
@click.option("--retries", type=int, default=0, metavar="N", help="Call again up to N times if busy or no answer.")
@click.option("--redial", is_flag=True, help="Call again although the same call was just made.")
@click.option("--yes", "-y", is_flag=True, help="Place the call without a question.")
@about_calls
async def call(app_context: AppContext, *, yes: bool, **arguments: Any) -> Shown:
    """Have KallyAI call NUMBER and do TASK, and print what was agreed.

    NUMBER begins with + and the country code. TASK says what the call should achieve; it may be read aloud.

    You see the call and are asked whether to place it. It is a real call to another person. The exit code is 0 if the
    phone conversation took place or the call is scheduled, 1 if nobody was called, 3 if nobody was reached or the call
    broke off, and 4 if the outcome is not known.

    A call with --not-before, or another attempt, is placed by any kallyai-mcp server of yours that runs then.

    Example: kallyai-mcp call +14155551234 "Reserve a table" --party 4 --date 2027-03-05 --time 19:00 --name Ada
    """
    arguments["task_category"] = arguments["task_category"] or ("restaurant" if arguments["party_size"] else "general")
    arguments["call_language"] = arguments["language"]
    app_context = app_context.for_user_in(arguments["timezone"])
    request = _read(arguments, app_context)
    placed = await app_context.calls.place(request, consent=await _ask(app_context, request, yes=yes))
    record = await _followed(app_context, placed)
    result = await telling.call_result(app_context, record, placed_now=placed.is_new)
    text, answer = result.text, result.structure
    is_refused = result.is_error or (
        not placed.is_new and request.schedule.not_before is not None and not record.is_open
    )
    if not placed.is_new:
        text = text.replace("accept_other_time", "--accept-other-time", 1).replace("redial=true", "--redial", 1)
    code = 1 if is_refused else _EXIT_CODES.get(answer.outcome or answer.status or "unknown", 0)
    return Shown(text, answer, code)


def _read(options: Mapping[str, Any], app_context: AppContext) -> CallRequest:
    """The request that the command's options make."""
    from kallyai_mcp.tools.arguments import InvalidArgumentsError, validate, without_blanks
    from kallyai_mcp.tools.call_arguments import CallArguments
    from kallyai_mcp.tools.submissions import request_of

    arrived = Stopwatch(app_context.calls.clock)
    try:
        arguments = validate(CallArguments, "make_call", without_blanks(options), app_context.now())
        return request_of(arguments, arrived, app_context)
    except InvalidArgumentsError as error:
        lines = [f"{_as_typed(one.argument)}: {one.text}" for one in error.problems]
        raise click.UsageError("\n".join(["Not called.", *lines])) from None


def _as_typed(argument: str) -> str:
    """The name of an argument as the user of the command knows it, such as --party; itself, if it has no other."""
    for parameter in click.get_current_context().command.params:
        if parameter.name == argument:
            is_option = isinstance(parameter, click.Option)
            return parameter.opts[0] if is_option else parameter.human_readable_name
    return argument


async def _ask(app_context: AppContext, request: CallRequest, *, yes: bool) -> Any:
    """Show the call to the user, and ask for consent, unless the option `--yes` gave it."""
    from kallyai_mcp.calls.policy import Consent, risk_flags
    from kallyai_mcp.tools.text.consent import Words, preview

    found = await app_context.calls.precheck(request, asked_by=_ASKED_BY)
    if not found.is_new:
        return Consent(_ASKED_BY, "not_needed", joins=True)
    usage, due = None if yes else await app_context.usage(), request.schedule.not_before or app_context.now()
    flags = risk_flags(request.submission, usage, now=due, last_call=found.last_call)
    if yes:
        return Consent(_ASKED_BY, "never_asks", flags, last_calls=(found.last_call,))
    say(preview(request.submission, flags, usage, request.schedule, app_context.reader(), Words()), err=True)
    if not sys.stdin.isatty():
        raise CommandError("Not called: --yes is needed where there is no terminal to ask on.")
    question = "Place this call?" if request.schedule.not_before is None else "Schedule this call?"
    # On the main thread, with Python's own handler of Ctrl-C: asyncio's would wait for the reply. And not by `input`,
    # which prints the question so late that a Ctrl-C right after it would have no effect.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        click.echo(f"{question} [y/N]: ", err=True, nl=False)
        agreed = sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        say(err=True)
        raise _InterruptedError("Not called.") from None
    finally:
        signal.signal(signal.SIGINT, before)
    if not agreed:
        raise CommandError("Not called.")
    return Consent(_ASKED_BY, "form", flags, last_calls=(found.last_call,))


async def _followed(app_context: AppContext, record: Any) -> Any:
    """Wait until a call has ended, and show how long it has lasted. A later attempt is not waited for.

    On Ctrl-C, a call whose request was not sent yet is canceled. Any other call goes on, and the command that follows
    it is printed.
    """
    followed = record
    if record.is_active:
        callee = one_line(record.submission.business_name or record.submission.respondent_phone)
        say(f"Calling {callee} …", err=True)
    try:
        while followed.is_active:
            followed = await app_context.calls.wait(followed, _STEP_SECONDS)
            if followed.is_active:
                say(f"  {duration(followed.elapsed(app_context.now()))} so far", err=True)
    finally:
        if followed.is_active:
            with anyio.CancelScope(shield=True):
                if (await app_context.calls.cancel(record)).state is CallState.CANCELED:
                    say("Canceled. Nobody was called.", err=True)
                else:
                    command = f"kallyai-mcp show {record.tracking_id} --follow{_sandbox_flag(app_context)}"
                    say(f"The call goes on. To follow it: {command}", err=True)
    return followed
