"""`kallyai-mcp calls`, `show`, `cancel`, `transcript`, and `calendar`: what became of calls."""

from pathlib import Path

import anyio
import click

from kallyai_mcp.cli.call import follow, to_answer
from kallyai_mcp.cli.call_view import call_rows, outcome_lines, transcript_lines
from kallyai_mcp.cli.console import say
from kallyai_mcp.cli.terminal import open_terminal_context, report_errors
from kallyai_mcp.cli.words import Words
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools import scheduling
from kallyai_mcp.tools.call_results import find_record, unrecorded_result
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.history import appointment, event_answer, list_page, service_id, spoken_lines
from kallyai_mcp.tools.results import CallAnswer, CancelAnswer, TranscriptAnswer
from kallyai_mcp.tools.text.calendar import rebuilt
from kallyai_mcp.tools.text.plain import one_line

_SETTLE_SECONDS = 3.0
"""How long `show` waits for the end of a call that another process ran: it may just be settled."""


def calls(settings: Settings, *, sandbox: bool, limit: int, offset: int, as_json: bool) -> None:
    """Print a page of calls, newest first.

    Args:
        settings: Which KallyAI, whose account, and which ledger.
        sandbox: Use the embedded sandbox.
        limit: How many, 1 to 200.
        offset: How many of the newest are left out.
        as_json: Print the structure of list_calls.

    Raises:
        click.ClickException: They can't be listed.
    """
    words = Words()

    async def run() -> None:
        async with open_terminal_context(settings, sandbox=sandbox) as app_context:
            _, page = await list_page(app_context, limit=limit, offset=offset)
            if as_json:
                say(page.model_dump_json(exclude_none=True, indent=2))
                return
            if not page.calls:
                say(words.say("no_calls" if offset == 0 else "no_more"))
            for line in call_rows(page.calls, words, timezone=app_context.timezone, now=app_context.now()):
                say(line)
            if page.next_offset is not None:
                shown: object = page.next_offset
                if page.total is not None:
                    shown = words.say("of", part=shown, all=page.total)
                command = f"kallyai-mcp calls --offset {page.next_offset}"
                say(words.say("more_calls", shown=shown, command=command), dim=True)

    with report_errors(words, as_json=as_json):
        anyio.run(run)


def show(settings: Settings, id_: str, *, sandbox: bool, wait: bool, as_json: bool) -> None:
    """Print how a call ended, or that it is in progress.

    Args:
        settings: Which KallyAI, whose account, and which ledger.
        id_: A `call_id` or `tracking_id`.
        sandbox: Use the embedded sandbox.
        wait: Wait until it has ended.
        as_json: Print the structure of get_call.

    Raises:
        click.ClickException: There is no such call, or nobody was called.
    """
    words = Words()

    async def run() -> None:
        async with open_terminal_context(settings, sandbox=sandbox) as app_context:
            answer = await _find(id_, app_context, words if wait else None)
            if as_json:
                say(answer.model_dump_json(exclude_none=True, indent=2))
            else:
                for line in outcome_lines(
                    answer, words, timezone=app_context.timezone, now=app_context.now(), sandbox=app_context.embedded
                ):
                    say(line)

    with report_errors(words, as_json=as_json):
        anyio.run(run)


async def _find(id_: str, app_context: AppContext, follow_with: Words | None) -> CallAnswer:
    record = await find_record(app_context, id_)
    if record is None:
        result = await unrecorded_result(app_context, await app_context.api().get_call(id_), with_links=False)
        return CallAnswer.model_validate(result.structured_content)
    if follow_with is not None:
        record = await follow(record, app_context, follow_with)
    else:
        record = await app_context.calls.wait(record, _SETTLE_SECONDS)
    return await to_answer(record, app_context, is_new=None)


def cancel(settings: Settings, id_: str, *, sandbox: bool, as_json: bool) -> None:
    """Cancel a scheduled call, a retry, or a list. The arguments are those of `show`.

    Raises:
        click.ClickException: There is no such call.
        SystemExit: With 1 if nothing was canceled.
    """
    words = Words()

    async def run() -> CancelAnswer:
        async with open_terminal_context(settings, sandbox=sandbox) as app_context:
            result = await scheduling.cancel(app_context, id_)
            return CancelAnswer.model_validate(result.structured_content)

    with report_errors(words, as_json=as_json):
        answer = anyio.run(run)
    if as_json:
        say(answer.model_dump_json(exclude_none=True, indent=2))
    else:
        kind = answer.status if answer.status in ("canceled", "in_progress", "unknown") else "over"
        say(words.say(f"cancel_{kind}"))
    if answer.status != "canceled":
        raise SystemExit(1)


def transcript(settings: Settings, id_: str, *, sandbox: bool, as_json: bool) -> None:
    """Print who said what in a call. The arguments are those of `show`.

    Raises:
        click.ClickException: There is no transcript.
    """
    words = Words()

    async def run() -> None:
        async with open_terminal_context(settings, sandbox=sandbox) as app_context:
            call_id = await service_id(app_context, id_)
            spoken = await app_context.api().get_transcript(call_id)
            answer = TranscriptAnswer(call_id=call_id, entries=spoken_lines(spoken))
            if as_json:
                say(answer.model_dump_json(exclude_none=True, indent=2))
                return
            if not answer.entries:
                say(words.say("silent"))
            for line in transcript_lines(answer.entries, words.say("other_side")):
                say(line)

    with report_errors(words, as_json=as_json):
        anyio.run(run)


def calendar(settings: Settings, id_: str, *, sandbox: bool, output: Path | None, as_json: bool) -> None:
    """Print the appointment that a call made as an .ics file (RFC 5545), or write it to `output`.

    Args:
        settings: As for `show`.
        id_: As for `show`.
        sandbox: As for `show`.
        output: The file; an existing one is replaced.
        as_json: Print the structure of get_calendar_event.

    Raises:
        click.ClickException: The call made no appointment, or the file can't be written.
    """
    words = Words()

    async def run() -> None:
        async with open_terminal_context(settings, sandbox=sandbox) as app_context:
            call_id = await service_id(app_context, id_)
            event = await appointment(app_context, call_id)
            ics, answer = rebuilt(event, call_id), event_answer(call_id, event)
            if output is not None:
                _write(output, ics, words)
            if as_json:
                say(answer.model_dump_json(exclude_none=True, indent=2))
            elif output is None:
                click.echo(ics, nl=False)
            else:
                what = one_line(answer.summary) if answer.summary else words.say("the_appointment")
                say(words.say("is_in", what=what, file=output))

    with report_errors(words, as_json=as_json):
        anyio.run(run)


def _write(file: Path, text: str, words: Words) -> None:
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        reason = error.strerror or error
        raise click.ClickException(words.say("not_written", file=file, reason=reason)) from None
