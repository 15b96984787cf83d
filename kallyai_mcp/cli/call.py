"""The command call: it places a call, and prints what was agreed."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from kallyai_mcp.calls.records import CallRecord, CallRequest
from kallyai_mcp.cli.call_commands import Shown, about_calls, followed
from kallyai_mcp.cli.calls import screen_of, whole_id
from kallyai_mcp.cli.output import CommandError
from kallyai_mcp.cli.preview_screen import preview_screen, question_of
from kallyai_mcp.cli.questions import answer_to, is_yes
from kallyai_mcp.cli.screen import show_screen
from kallyai_mcp.cli.service import Service
from kallyai_mcp.clock import Stopwatch
from kallyai_mcp.tools import telling
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.structure.models import CallAnswer

if TYPE_CHECKING:
    from kallyai_mcp.calls.policy import RiskFlag
    from kallyai_mcp.tools.booking_changes import Prepared

_ASKED_BY = "kallyai-mcp call"

_EXIT_CODES = {"not_reached": 3, "failed": 3, "canceled": 3, "unknown": 4, "in_progress": 4}
"""The exit code for an outcome; 0 for the others, which say that the phone conversation took
place.
"""

_NOT_CALLED = "Not called."


@click.command()
@click.argument("respondent_phone", metavar="NUMBER")
@click.argument("task_description", metavar="TASK")
@click.option("--business", "business_name", metavar="NAME", help="Who is called.")
@click.option("--name", "user_name", metavar="NAME", help="Who the booking is for.")
@click.option("--phone", "user_phone", metavar="NUMBER", help="Your callback number.")
@click.option(
    "--date", "appointment_date", metavar="YYYY-MM-DD", help="The day of the appointment."
)
@click.option(
    "--time", "appointment_time", metavar="HH:MM", help="Its time, 24 hours, by the callee's clock."
)
@click.option(
    "--leeway",
    "time_preference_text",
    metavar="WORDS",
    help='The time in words, such as "after 5pm".',
)
@click.option("--party", "party_size", type=int, metavar="N", help="How many people come, 1 to 50.")
@click.option(
    "--lang",
    "language",
    type=click.Choice(["en", "es"]),
    help="The language of the call and its summary.",
)
@click.option(
    "--category",
    "task_category",
    type=click.Choice(["restaurant", "clinic", "hotel", "general"]),
    metavar="KIND",
    show_default="restaurant with --party, else general",
    help="restaurant, clinic, hotel, or general.",
)
@click.option(
    "--also",
    "additional_instructions",
    multiple=True,
    metavar="WISH",
    help="A wish or limit; repeatable.",
)
@click.option(
    "--booking",
    "changes_call_id",
    metavar="CALL",
    help="The call whose booking this one is about; with --change.",
)
@click.option(
    "--change",
    type=click.Choice(["move", "cancel", "ask"]),
    help="What to do with that booking: move it to --date or --time, cancel it, or ask about it.",
)
@click.option("--urgent", "is_urgent", is_flag=True, help="Say that it is urgent.")
@click.option("--accept-other-time", is_flag=True, help="Let KallyAI agree to another day or time.")
@click.option(
    "--timezone",
    metavar="ZONE",
    help="Where you are, such as America/New_York, if not in the time zone of this computer.",
)
@click.option(
    "--not-before",
    metavar="TIME",
    help=(
        "When to call, such as 2027-03-05T10:00: by the callee's clock, or by yours with "
        "--timezone."
    ),
)
@click.option(
    "--retries",
    type=int,
    default=0,
    metavar="N",
    help="How many more times to call if it is busy or nobody answers, 0 to 3.",
)
@click.option("--redial", is_flag=True, help="Call again although the same call was just made.")
@click.option("--yes", "-y", is_flag=True, help="Place the call without a question.")
@about_calls
async def call(app_context: AppContext, *, yes: bool, **arguments: Any) -> Shown:
    """Have KallyAI call NUMBER and do TASK, and print what was agreed.

    NUMBER begins with + and the country code. TASK says what the call should achieve; it may be
    read aloud.

    You see the call and are asked whether to place it. It is a real call to another person. The
    exit code is 0 if the phone conversation took place or the call is scheduled, 1 if nobody was
    called, 3 if nobody was reached or the call broke off, and 4 if the outcome is not known.

    A call with --not-before, or another attempt, is placed by any kallyai-mcp server of yours that
    runs then.

    Example: kallyai-mcp call +14155551234 "Reserve a table" --party 4 --date 2027-03-05 --time
    19:00 --name Ada
    """
    arguments["task_category"] = arguments["task_category"] or _likely_category(arguments)
    arguments["call_language"] = arguments["language"]
    app_context = app_context.for_user_in(arguments["timezone"])
    if arguments["changes_call_id"]:
        arguments["changes_call_id"] = await whole_id(app_context, arguments["changes_call_id"])
    request, risks = await _read(arguments, app_context)
    placed = await app_context.calls.place(
        request, consent=await _ask(app_context, request, risks, yes=yes)
    )
    record = await followed(app_context, placed)
    result = await telling.call_result(app_context, record, placed_now=placed.is_new)
    code = _exit_code(result.structure)
    if result.is_error or _is_over_already(placed, request, record):
        code = 1
    return Shown(screen_of(app_context, record, result), result.structure, code)


def _likely_category(arguments: Mapping[str, Any]) -> str:
    return "restaurant" if arguments["party_size"] else "general"


def _exit_code(answer: CallAnswer) -> int:
    how_it_ended = answer.outcome or answer.status or "unknown"
    return _EXIT_CODES.get(how_it_ended, 0)


def _is_over_already(placed: CallRecord, request: CallRequest, record: CallRecord) -> bool:
    """Whether a call for later was asked for that was placed before, and has ended."""
    if placed.is_new or request.schedule.not_before is None:
        return False
    return not record.is_open


async def _read(options: Mapping[str, Any], app_context: AppContext) -> "Prepared":
    """The request that the command's options make."""
    from kallyai_mcp.cli.wrong_options import in_a_persons_words
    from kallyai_mcp.tools.arguments import InvalidArgumentsError, validate, without_blanks
    from kallyai_mcp.tools.booking_changes import prepared, problems_of_change
    from kallyai_mcp.tools.call_arguments import CallArguments

    arrived = Stopwatch(app_context.calls.clock)
    try:
        given = without_blanks(options)
        arguments = validate(
            CallArguments,
            "make_call",
            given,
            app_context.now(),
            lacking=problems_of_change(given),
        )
        return await prepared(arguments, arrived, app_context)
    except InvalidArgumentsError as error:
        lines = [
            f"{_as_typed(one.argument)}: {in_a_persons_words(one, options.get(one.argument))}"
            for one in error.problems
        ]
        raise click.UsageError("\n".join(["Not called.", *lines])) from None


def _as_typed(argument: str) -> str:
    """The name of an argument as the user of the command knows it, such as --party; itself, if it
    has no other.
    """
    for parameter in click.get_current_context().command.params:
        if parameter.name == argument:
            is_option = isinstance(parameter, click.Option)
            return parameter.opts[0] if is_option else parameter.human_readable_name
    return argument


async def _ask(
    app_context: AppContext, request: CallRequest, risks: tuple["RiskFlag", ...], *, yes: bool
) -> Any:
    """Show the call to the user, and ask for consent, unless the option `--yes` gave it."""
    from kallyai_mcp.calls.policy import CallPolicy, Consent, RiskFlag
    from kallyai_mcp.calls.quota import check_what_is_left
    from kallyai_mcp.tools.lookup import read_earlier_calls

    found = await app_context.calls.precheck(request, asked_by=_ASKED_BY)
    if not found.is_new:
        return Consent(_ASKED_BY, "not_needed", joins=True)
    now = app_context.now()
    later = request.schedule.not_before
    usage = None
    if not yes or later is not None:
        usage = await app_context.usage()
    check_what_is_left(usage, now, later)
    policy = CallPolicy(app_context.settings)
    flags = policy.risk_flags(
        request.submission, usage, now=later or now, last_call=found.last_call
    )
    flags = (*flags, *risks)
    opt_out = found.opt_out
    if opt_out is not None:
        flags = (RiskFlag.OPTED_OUT, *flags)
    if yes:
        return Consent(_ASKED_BY, "never_asks", flags, last_calls=(found.last_call,))
    service = Service.of(app_context.settings)
    number = request.submission.respondent_phone
    earlier = await read_earlier_calls(app_context, number)
    screen = preview_screen(request, flags, usage, app_context.reader(), service, opt_out, earlier)
    show_screen(screen, err=True)
    if not sys.stdin.isatty():
        raise CommandError("Not called: --yes is needed where there is no terminal to ask on.")
    question = f"{question_of(request, service)} [y/N]:"
    agreed = is_yes(answer_to(question, unanswered=_NOT_CALLED))
    if not agreed:
        raise CommandError(_NOT_CALLED)
    known = () if opt_out is None else (opt_out.id,)
    return Consent(_ASKED_BY, "form", flags, last_calls=(found.last_call,), opt_outs=known)
