"""`kallyai-mcp calls`, `show`, `cancel`, `transcript`, and `calendar`: what became of calls."""

import math
from pathlib import Path

import anyio
import click

from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.cli.call import follow, to_answer
from kallyai_mcp.cli.call_view import call_rows, outcome_lines, transcript_lines
from kallyai_mcp.cli.console import LiveLine, say
from kallyai_mcp.cli.errors import reason_of
from kallyai_mcp.cli.list_view import list_lines, list_rows
from kallyai_mcp.cli.terminal import open_terminal_context, report_errors
from kallyai_mcp.cli.words import Words
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools import scheduling
from kallyai_mcp.tools.call_results import find_record, unrecorded_result
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.history import appointment, event_answer, list_page, service_id, spoken_lines
from kallyai_mcp.tools.list_results import list_result
from kallyai_mcp.tools.results import CallAnswer, CancelAnswer, ListAnswer, TranscriptAnswer
from kallyai_mcp.tools.text.calendar import rebuilt
from kallyai_mcp.tools.text.call_lists import calling
from kallyai_mcp.tools.text.canceling import list_canceled
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
            lists = page.lists or []
            for line in list_rows(lists, words, timezone=app_context.timezone, now=app_context.now()):
                say(line)
            of_lists = {candidate.tracking_id for found in lists for candidate in found.calls}
            rows = [one for one in page.calls if one.outcome or one.tracking_id not in of_lists]
            if not page.calls:
                say(words.say("no_calls" if offset == 0 else "no_more"))
            for line in call_rows(rows, words, timezone=app_context.timezone, now=app_context.now()):
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
    """Print how a call or a list of candidates ended, or how far it is.

    Args:
        settings: Which KallyAI, whose account, and which ledger.
        id_: A `call_id` or `tracking_id`, or the `tracking_id` of a list.
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
                return
            now, zone, embedded = app_context.now(), app_context.timezone, app_context.embedded
            if isinstance(answer, ListAnswer):
                lines = list_lines(answer, words, timezone=zone, now=now, sandbox=embedded)
            else:
                lines = outcome_lines(answer, words, timezone=zone, now=now, sandbox=embedded)
            for line in lines:
                say(line)

    with report_errors(words, as_json=as_json):
        anyio.run(run)


async def _find(id_: str, app_context: AppContext, follow_with: Words | None) -> CallAnswer | ListAnswer:
    record = await find_record(app_context, id_)
    if record is None and (found := await app_context.calls.find_list(id_)) is not None:
        if follow_with is not None:
            found = await _follow_list(found, app_context, follow_with)
        else:
            found = await app_context.calls.wait_list(found, _SETTLE_SECONDS, lambda _: None)
        result = await list_result(app_context, found, is_new=None)
        return ListAnswer.model_validate(result.structured_content)
    if record is None:
        result = await unrecorded_result(app_context, await app_context.api().get_call(id_), with_links=False)
        return CallAnswer.model_validate(result.structured_content)
    if follow_with is not None:
        record = await follow(record, app_context, follow_with)
    else:
        record = await app_context.calls.wait(record, _SETTLE_SECONDS)
    return await to_answer(record, app_context, is_new=None)


async def _follow_list(found: CallList, app_context: AppContext, words: Words) -> CallList:
    """Wait until a list has stopped, and show who is being called."""
    with LiveLine() as live:
        live.show(calling(found, spanish=words.spanish))
        return await app_context.calls.wait_list(
            found, math.inf, lambda newer: live.update(calling(newer, spanish=words.spanish))
        )


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
            answer = CancelAnswer.model_validate(result.structured_content)
            found = await app_context.calls.find_list(id_)
            is_list = found is not None and answer.status == "canceled"
            if as_json:
                say(answer.model_dump_json(exclude_none=True, indent=2))
            elif found is not None and is_list:
                say(list_canceled(found, spanish=words.spanish))
            else:
                kind = answer.status if answer.status in ("canceled", "in_progress", "unknown") else "over"
                say(words.say(f"cancel_{kind}"))
            return answer

    with report_errors(words, as_json=as_json):
        answer = anyio.run(run)
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
            event, _ = await appointment(app_context, call_id)
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
        raise click.ClickException(words.say("not_written", file=file, reason=reason_of(error))) from None
