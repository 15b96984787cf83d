"""The options of the commands about calls. Their implementation is imported when a command runs."""

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

from kallyai_mcp.cli.help_texts import json_option, option, sandbox_option
from kallyai_mcp.settings import Settings

_NUMBER, _NAME = "NUMBER", "NAME"

_id = click.argument("id_", metavar="ID")

Run = Callable[..., None]
"""Runs the function that implements a command, with an app context and the command's other arguments.

It is `terminal.run_with_app_context` with the settings and the options --sandbox and --json.
"""


def _about_calls(command: Callable[..., None]) -> Callable[..., Any]:
    """Give a command the options --sandbox and --json, and a `Run` as its first argument."""

    @wraps(command)
    def with_run(settings: Settings, /, *, sandbox: bool, as_json: bool, **arguments: Any) -> None:
        from kallyai_mcp.cli.terminal import run_with_app_context

        command(partial(run_with_app_context, settings, sandbox=sandbox, as_json=as_json), **arguments)

    return sandbox_option(json_option(click.pass_obj(with_run)))


@click.command(short_help="Place a call, and see what was agreed.")
@click.argument("respondent_phone", metavar=_NUMBER)
@click.argument("task_description", metavar="TASK")
@option("--business business_name", "Who is called.", metavar=_NAME)
@option("--name user_name", "Who the booking is for.", metavar=_NAME)
@option("--phone user_phone", "Your callback number.", metavar=_NUMBER)
@option("--date appointment_date", "The day of the appointment.", metavar="YYYY-MM-DD")
@option("--time appointment_time", "Its time, 24 hours, in the zone of --timezone.", metavar="HH:MM")
@option("--leeway time_preference_text", 'The time in words, such as "after 5pm".', metavar="WORDS")
@option("--party party_size", "How many people, 1 to 50.", metavar="N", type=int)
@option("--lang language", "The language of the summary and the call.", type=click.Choice(["en", "es"]))
@option(
    "--category task_category",
    "What kind of call it is.",
    type=click.Choice(["restaurant", "clinic", "hotel", "general"]),
    show_default="restaurant with --party, else general",
)
@option("--also additional_instructions", "A wish or limit; repeatable.", multiple=True, metavar="WISH")
@option("--urgent is_urgent", "Say that it is urgent.", is_flag=True)
@option("--accept-other-time", "Let KallyAI agree to another day or time.", is_flag=True)
@option("--timezone", "IANA zone of the appointment.", metavar="ZONE", show_default="the callee's")
@option("--not-before", "Call at this time: ISO 8601; without an offset, in the zone of --timezone.", metavar="TIME")
@option("--retries", "Call again up to N times, 0 to 3, if busy or no answer.", type=int, default=0, metavar="N")
@option("--redial", "Call again although the same call was just made.", is_flag=True)
@option("--yes -y", "Place the call without a question.", is_flag=True)
@_about_calls
def call(run: Run, /, *, yes: bool, redial: bool, **arguments: Any) -> None:
    """Have KallyAI call NUMBER and do TASK, and print what was agreed.

    NUMBER begins with + and the country code. TASK says what the call should achieve; it may be read aloud.

    You see the call and are asked whether to place it. It is a real call to another person. The exit code is
    0 if the phone conversation took place or the call is scheduled, 1 if nobody was called, 3 if nobody was reached or
    the call broke off, and 4 if the outcome is not known.

    A call with --not-before, or another attempt, is placed by any kallyai-mcp server of yours that runs then. `cancel`
    cancels it.

    Example: kallyai-mcp call +14155551234 "Reserve a table" --party 4 --date 2027-03-05 --time 19:00 --name Ada
    """
    from kallyai_mcp.cli.call import call

    arguments["task_category"] = arguments["task_category"] or ("restaurant" if arguments["party_size"] else "general")
    arguments["call_language"] = arguments["language"]
    arguments["is_urgent"] = arguments["is_urgent"] or None
    arguments["additional_instructions"] = list(arguments["additional_instructions"]) or None
    run(call, places_calls=True, asked_for=arguments, yes=yes, redial=redial)


@click.command(short_help="List your calls, newest first.")
@option("--limit", "How many.", metavar="N", type=click.IntRange(1, 200), default=20, show_default=True)
@option(
    "--offset", "How many of the newest to skip.", metavar="N", type=click.IntRange(0), default=0, show_default=True
)
@_about_calls
def calls(run: Run, *, limit: int, offset: int) -> None:
    """List your calls, newest first: when, outcome, who, id, and KallyAI's summary."""
    from kallyai_mcp.cli.past_calls import calls

    run(calls, limit=limit, offset=offset)


@click.command(short_help="Show how a call or a list ended; --follow waits.")
@_id
@option("--follow wait", "Wait until the call has ended.", is_flag=True)
@_about_calls
def show(run: Run, *, id_: str, wait: bool) -> None:
    """Show how the call or the list of candidates with this ID ended, or how far it is."""
    from kallyai_mcp.cli.past_calls import show

    run(show, id_=id_, wait=wait)


@click.command(short_help="Cancel a scheduled call, a retry, or a list.")
@_id
@_about_calls
def cancel(run: Run, *, id_: str) -> None:
    """Cancel the scheduled call, the retry, or the list with this ID for good.

    A call in progress can't be hung up; after it, no further call is placed. The exit code is 1 if nothing was
    canceled.
    """
    from kallyai_mcp.cli.past_calls import cancel

    run(cancel, id_=id_)


@click.command(short_help="Show who said what in a call.")
@_id
@_about_calls
def transcript(run: Run, *, id_: str) -> None:
    """Show who said what in the call with this ID."""
    from kallyai_mcp.cli.past_calls import transcript

    run(transcript, id_=id_)


@click.command(short_help="Print a call's appointment as an .ics file.")
@_id
@option("--output -o", "Write it into this file.", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@_about_calls
def calendar(run: Run, *, id_: str, output: Path | None) -> None:
    """Print the appointment that the call with this ID made, as an .ics file."""
    from kallyai_mcp.cli.past_calls import calendar

    run(calendar, id_=id_, output=output)
