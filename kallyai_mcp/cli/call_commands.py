"""The commands about calls: call, calls, show, cancel, transcript, calendar. Imported only when one of them is used."""

from pathlib import Path
from typing import Any

import click

from kallyai_mcp.settings import Settings

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_sandbox = click.option("--sandbox", is_flag=True, help="Use the embedded sandbox: nobody is called.")
_id = click.argument("id_", metavar="ID")


@click.command(short_help="Place a call, and see what was agreed.")
@click.argument("respondent_phone", metavar="NUMBER")
@click.argument("task_description", metavar="TASK")
@click.option("--business", "business_name", metavar="NAME", help="Who is called.")
@click.option("--name", "user_name", metavar="NAME", help="Who the booking is for.")
@click.option("--phone", "user_phone", metavar="NUMBER", help="Your callback number.")
@click.option("--date", "appointment_date", metavar="YYYY-MM-DD", help="The day of the appointment.")
@click.option("--time", "appointment_time", metavar="HH:MM", help="Its time, 24 hours, by the callee's clock.")
@click.option("--leeway", "time_preference_text", metavar="WORDS", help='The time in words, such as "after 5pm".')
@click.option("--party", "party_size", metavar="N", type=int, help="How many people, 1 to 50.")
@click.option("--lang", "language", type=click.Choice(["en", "es"]), help="The language of the summary and the call.")
@click.option("--category", "task_category", type=click.Choice(["restaurant", "clinic", "hotel", "general"]),
              show_default="restaurant with --party, else general", help="What kind of call it is.")  # fmt: skip
@click.option("--also", "additional_instructions", multiple=True, metavar="WISH", help="A wish or limit; repeatable.")
@click.option("--urgent", "is_urgent", is_flag=True, help="Say that it is urgent.")
@click.option("--accept-other-time", is_flag=True, help="Let KallyAI agree to another day or time.")
@click.option("--timezone", metavar="ZONE", help="IANA zone of the appointment.", show_default="the callee's")
@click.option("--not-before", metavar="TIME", help="Call later: ISO 8601; the callee's time without an offset.")
@click.option(
    "--retries", type=int, default=0, metavar="N", help="Call again up to N times, 0 to 3, if busy or no answer."
)
@click.option("--redial", is_flag=True, help="Call again although the same call was just made.")
@click.option("--yes", "-y", is_flag=True, help="Place the call without a question.")
@_sandbox
@_json
@click.pass_obj
def call(settings: Settings, /, *, sandbox: bool, as_json: bool, yes: bool, redial: bool, **arguments: Any) -> None:
    """Have KallyAI call NUMBER and do TASK, and print what was agreed.

    NUMBER begins with + and the country code. TASK says what the call should achieve; it may be read aloud.

    You see the call before it is placed, and are asked for a yes. It is a real call to another person. The exit code is
    0 if the phone conversation took place or the call is scheduled, 1 if nobody was called, 3 if nobody was reached or
    the call broke off, and 4 if that is not known.

    A call with --not-before, or another attempt, is placed by any kallyai-mcp server of yours that runs then. `cancel`
    cancels it.

    Example: kallyai-mcp call +14155551234 "Reserve a table" --party 4 --date 2027-03-05 --time 19:00 --name Ada
    """
    from kallyai_mcp.cli.call import call

    arguments["task_category"] = arguments["task_category"] or ("restaurant" if arguments["party_size"] else "general")
    arguments["call_language"] = arguments["language"]
    arguments["is_urgent"] = arguments["is_urgent"] or None
    arguments["additional_instructions"] = list(arguments["additional_instructions"]) or None
    call(settings, arguments, sandbox=sandbox, yes=yes, redial=redial, as_json=as_json)


@click.command(short_help="List your calls, newest first.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many.")
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True, help="How many of the newest to skip.")
@_sandbox
@_json
@click.pass_obj
def calls(settings: Settings, *, limit: int, offset: int, sandbox: bool, as_json: bool) -> None:
    """List your calls, newest first: when, outcome, who, id, and KallyAI's summary."""
    from kallyai_mcp.cli.past_calls import calls

    calls(settings, sandbox=sandbox, limit=limit, offset=offset, as_json=as_json)


@click.command(short_help="Show how a call or a list ended; --follow waits.")
@_id
@click.option("--follow", "wait", is_flag=True, help="Wait until the call has ended.")
@_sandbox
@_json
@click.pass_obj
def show(settings: Settings, *, id_: str, wait: bool, sandbox: bool, as_json: bool) -> None:
    """Show how the call or the list of candidates with this ID ended, or how far it is."""
    from kallyai_mcp.cli.past_calls import show

    show(settings, id_, sandbox=sandbox, wait=wait, as_json=as_json)


@click.command(short_help="Cancel a scheduled call, a retry, or a list.")
@_id
@_sandbox
@_json
@click.pass_obj
def cancel(settings: Settings, *, id_: str, sandbox: bool, as_json: bool) -> None:
    """Cancel the scheduled call, the retry, or the list with this ID for good.

    A call in progress can't be hung up; after it, no further call is placed. The exit code is 1 if nothing was
    canceled.
    """
    from kallyai_mcp.cli.past_calls import cancel

    cancel(settings, id_, sandbox=sandbox, as_json=as_json)


@click.command(short_help="Show who said what in a call.")
@_id
@_sandbox
@_json
@click.pass_obj
def transcript(settings: Settings, *, id_: str, sandbox: bool, as_json: bool) -> None:
    """Show who said what in the call with this ID."""
    from kallyai_mcp.cli.past_calls import transcript

    transcript(settings, id_, sandbox=sandbox, as_json=as_json)


@click.command(short_help="Print a call's appointment as an .ics file.")
@_id
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write it into this file.")
@_sandbox
@_json
@click.pass_obj
def calendar(settings: Settings, *, id_: str, output: Path | None, sandbox: bool, as_json: bool) -> None:
    """Print the appointment that the call with this ID made, as an .ics file."""
    from kallyai_mcp.cli.past_calls import calendar

    calendar(settings, id_, sandbox=sandbox, output=output, as_json=as_json)
