"""`kallyai-mcp call`: a person places a call. It uses the same call service and ledger as the tools."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import anyio
import click

from kallyai_mcp.api.models import Submission
from kallyai_mcp.background import background_task
from kallyai_mcp.calls.calls import Placed
from kallyai_mcp.calls.place_with_consent import place_with_consent
from kallyai_mcp.calls.policy import Consent
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.cli.call_view import TerminalReader, callee, outcome_lines, outcome_of
from kallyai_mcp.cli.console import LiveLine, say, wrapped
from kallyai_mcp.cli.errors import CommandError
from kallyai_mcp.cli.terminal import print_json
from kallyai_mcp.cli.words import Words
from kallyai_mcp.tools.arguments import InvalidArgumentsError, validate, without_blanks
from kallyai_mcp.tools.call_results import call_answer, to_result
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.consent import risks_of
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.results import CallAnswer
from kallyai_mcp.tools.scheduling import schedule_of
from kallyai_mcp.tools.submissions import callee_zone, submission_of
from kallyai_mcp.tools.text.consent import preview
from kallyai_mcp.tools.text.plain import duration
from kallyai_mcp.tools.text.words import Words as FormWords

_ASKED_BY = "kallyai-mcp call"

_STEP_SECONDS = 60.0
"""How long one wait for a call lasts; it is shorter than the pause before another attempt, which is not waited for."""

_EXIT_CODES = {"not_reached": 3, "failed": 3, "canceled": 3, "unknown": 4, "in_progress": 4}
"""The exit code for an outcome; 0 for the others, which say that the phone conversation took place."""


async def call(app_context: AppContext, *, asked_for: Mapping[str, Any], yes: bool, redial: bool, as_json: bool) -> int:
    """Place or schedule a call: show it, ask for the user's consent, follow it to its end, and print its outcome.

    Args:
        app_context: What the command works with.
        asked_for: The arguments of `make_call`.
        yes: Place the call without a question.
        redial: Place the call although the same call was just made.
        as_json: Print the structure of make_call's result.

    Returns:
        The exit code: 0 if the phone conversation took place or the call is scheduled, 3 if nobody was reached or the
        call broke off, 4 if the outcome is not known.

    Raises:
        KallyAIError: Nobody was called.
        click.ClickException: Nobody was called, because arguments are wrong, or the user did not agree.
    """
    asked = _read(asked_for, app_context)

    async def ask(_: Sequence[Consent]) -> Consent:
        return await _ask(asked, app_context, yes=yes, redial=redial)

    async def place(consent: Consent) -> Placed:
        return await app_context.calls.place(
            asked.submission, timezone=asked.timezone, redial=redial, consent=consent, schedule=asked.schedule
        )

    placed = await place_with_consent(ask, place)
    record = await follow(placed.record, app_context)
    answer = await to_answer(record, app_context, placed_now=placed.is_new)
    if as_json:
        print_json(answer)
    else:
        reader = TerminalReader.of(app_context)
        if not answer.placed_now:
            say(reader.words.say("scheduled_before" if answer.status == "scheduled" else "made_before"))
        for line in outcome_lines(answer, reader):
            say(line)
    return _EXIT_CODES.get(outcome_of(answer), 0)


async def _ask(asked: "_Asked", app_context: AppContext, *, yes: bool, redial: bool) -> Consent:
    """Show the call to the user, and ask for consent, unless the option `--yes` gave it.

    Raises:
        click.ClickException: The user did not agree, or can't be asked.
        PolicyError: The call policy refuses the call.
    """
    words = Words()
    found = await app_context.calls.precheck(
        asked.submission, timezone=asked.timezone, redial=redial, asked_by=_ASKED_BY, schedule=asked.schedule
    )
    if found.duplicate is not None:
        return Consent(_ASKED_BY, "not_needed", joins=found.duplicate.tracking_id)
    if found.refusal is not None:
        raise found.refusal
    flags, usage = await risks_of(asked.submission, app_context, found, asked.schedule)
    reader = app_context.reader()
    asks = not yes and sys.stdin.isatty()
    shown = preview(asked.submission, flags, usage, asked.schedule, reader, FormWords(), asks=asks)
    heading, *details = shown.splitlines()
    say(wrapped(heading), err=True, bold=True)
    for line in details:
        say(wrapped(line, "  "), err=True)
    if yes:
        return Consent(_ASKED_BY, "never_asks", flags, last_call=found.last_call, since=found.since)
    if not asks:
        raise CommandError(words.say("yes_needed"))
    with _ctrl_c_ends_process(words):
        is_agreed = await anyio.to_thread.run_sync(_confirm, words, asked.schedule)
    if not is_agreed:
        raise CommandError(words.say("not_called"))
    return Consent(_ASKED_BY, "form", flags, last_call=found.last_call)


@dataclass(frozen=True)
class _Asked:
    """What the command asks for: the call, the time zone of its day and time, and when it is due."""

    submission: Submission
    timezone: str
    schedule: Schedule


@contextmanager
def _ctrl_c_ends_process(words: Words) -> Iterator[None]:
    """In this context, Ctrl-C ends the process at once: a thread waits for the user's reply and can't be interrupted.

    Nothing is lost. This call is not in the ledger yet. Of every other call, each step is in the ledger before it is
    done.
    """

    def end(number: int, _: FrameType | None) -> None:
        say(f"\n{words.say('not_called')}", err=True)
        sys.stderr.flush()
        os._exit(128 + number)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _confirm(words: Words, schedule: Schedule) -> bool:
    question = f"{words.say('place_it' if schedule.not_before is None else 'schedule_it')} [{words.say('yes_or_no')}]"
    return words.means_yes(click.prompt(question, default="", show_default=False, err=True))


def _read(arguments: Mapping[str, Any], app_context: AppContext) -> _Asked:
    """Read the command's arguments.

    Raises:
        click.UsageError: Arguments are wrong; the message names each by its option.
        CommandError: The number is an emergency number.
        KallyAIError: Calls can't be scheduled here (code `cannot_schedule`).
    """
    from kallyai_mcp.tools.catalog import tools

    model = next(tool for tool in tools() if tool.name == "make_call").fn_metadata.arg_model
    words = Words()
    try:
        values = validate(model, "make_call", without_blanks(arguments), app_context.now()).model_dump_one_level()
        submission = submission_of(values)
        zone = callee_zone(values["timezone"], submission.respondent_phone, app_context)
        schedule = schedule_of(
            values["not_before"], values["retries"], submission, timezone=zone, app_context=app_context
        )
    except InvalidArgumentsError as error:
        if dial := next((problem.number.dial for problem in error.problems if problem.number is not None), None):
            raise CommandError(words.say("emergency", number=dial)) from None
        options = {parameter.name: parameter for parameter in click.get_current_context().command.params}
        lines = [
            f"{_name(options.get(problem.argument), problem.argument)}: {problem.text}" for problem in error.problems
        ]
        raise click.UsageError("\n".join([words.say("not_called"), *lines])) from None
    return _Asked(submission, zone, schedule)


def _name(parameter: click.Parameter | None, argument: str) -> str:
    """The name under which the user gives an argument: NUMBER, or --party."""
    if parameter is None:
        return argument
    return parameter.human_readable_name if isinstance(parameter, click.Argument) else parameter.opts[0]


async def follow(record: CallRecord, app_context: AppContext) -> CallRecord:
    """Wait until a call has ended, and show how long it has lasted. A later attempt is not waited for.

    On Ctrl-C, a call whose request was not sent yet is canceled. Any other call goes on, and the command that follows
    it is printed.
    """
    if not record.is_active:
        return record
    words = Words()
    calling = words.say("calling_now", callee=callee(call_answer(CallView.of_record(record), app_context.now()), words))
    followed = record
    try:
        with LiveLine() as live:
            live.show(calling)
            async with background_task(live.keep, lambda: f"{calling}  {duration(record.elapsed(app_context.now()))}"):
                while followed.is_active:
                    followed = await app_context.calls.wait(followed, _STEP_SECONDS)
    finally:
        if followed.is_active:
            with anyio.CancelScope(shield=True):
                if await app_context.calls.cancel(record.tracking_id):
                    say(words.say("canceled_now"), err=True)
                else:
                    say(words.say("goes_on"), err=True)
                    more = TerminalReader.of(app_context).sandbox_option
                    say(f"  kallyai-mcp show {record.tracking_id} --follow{more}", err=True)
    return followed


async def to_answer(record: CallRecord, app_context: AppContext, *, placed_now: bool | None) -> CallAnswer:
    """The structure of the result for a call; its outcome counts as delivered.

    Raises:
        KallyAIError: The call was refused or canceled: nobody was called.
    """
    result = await to_result(app_context, record, placed_now=placed_now)  # its text is not used
    return CallAnswer.model_validate(result.structured_content)
