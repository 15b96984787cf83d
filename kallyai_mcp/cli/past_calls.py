"""`kallyai-mcp calls`, `show`, `cancel`, `transcript`, and `calendar`: the commands about calls that were asked for."""

import math
from pathlib import Path

import click

from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.call_lists import CallList
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.cli.call import follow, to_answer
from kallyai_mcp.cli.call_view import TerminalReader, call_rows, outcome_lines, transcript_lines
from kallyai_mcp.cli.console import LiveLine, say
from kallyai_mcp.cli.errors import CommandError, reason_of
from kallyai_mcp.cli.list_view import list_lines, list_rows
from kallyai_mcp.cli.terminal import print_json
from kallyai_mcp.cli.words import Words
from kallyai_mcp.tools import scheduling
from kallyai_mcp.tools.call_results import find_any, unrecorded_result
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.history import appointment, event_answer, list_page, service_id, spoken_lines
from kallyai_mcp.tools.list_results import list_result
from kallyai_mcp.tools.results import CallAnswer, CancelAnswer, ListAnswer, TranscriptAnswer
from kallyai_mcp.tools.text.calendar import rebuilt
from kallyai_mcp.tools.text.call_lists import calling, list_canceled
from kallyai_mcp.tools.text.plain import one_line

_SETTLE_SECONDS = 3.0
"""How long `show` waits for a call to end: another process may be settling it."""


async def calls(app_context: AppContext, *, limit: int, offset: int, as_json: bool) -> None:
    """Print a page of calls, newest first.

    Args:
        app_context: What the command works with.
        limit: How many, 1 to 200.
        offset: How many of the newest calls to skip.
        as_json: Print the structure of list_calls.

    Raises:
        KallyAIError: The calls can't be listed.
    """
    _, page = await list_page(app_context, limit=limit, offset=offset)
    if as_json:
        print_json(page)
        return
    reader = TerminalReader.of(app_context)
    lists = page.lists or []
    for line in list_rows(lists, reader):
        say(line)
    of_lists = {candidate.tracking_id for found in lists for candidate in found.calls}
    rows = [one for one in page.calls if one.outcome or one.tracking_id not in of_lists]
    if not page.calls:
        say(reader.words.say("no_calls" if offset == 0 else "no_more", more=reader.sandbox_option))
    for line in call_rows(rows, reader):
        say(line)
    if page.next_offset is not None:
        shown: object = page.next_offset
        if page.total is not None:
            shown = reader.words.say("of", part=shown, all=page.total)
        command = f"kallyai-mcp calls --limit {limit} --offset {page.next_offset}{reader.sandbox_option}"
        say(reader.words.say("more_calls", shown=shown, command=command), dim=True)


async def show(app_context: AppContext, *, id_: str, wait: bool, as_json: bool) -> None:
    """Print how a call or a list of candidates ended, or how far it is.

    Args:
        app_context: What the command works with.
        id_: A `call_id` or `tracking_id`, or the `tracking_id` of a list.
        wait: Wait until the call or the list has ended.
        as_json: Print the structure of get_call.

    Raises:
        KallyAIError: There is no such call, or nobody was called.
    """
    answer = await _find(id_, app_context, wait=wait)
    if as_json:
        print_json(answer)
        return
    reader = TerminalReader.of(app_context)
    lines = list_lines(answer, reader) if isinstance(answer, ListAnswer) else outcome_lines(answer, reader)
    for line in lines:
        say(line)


async def _find(id_: str, app_context: AppContext, *, wait: bool) -> CallAnswer | ListAnswer:
    found = await find_any(app_context, id_)
    if isinstance(found, CallRecord):
        wait_for_it = follow(found, app_context) if wait else app_context.calls.wait(found, _SETTLE_SECONDS)
        return await to_answer(await wait_for_it, app_context, placed_now=None)
    if isinstance(found, Call):
        result = await unrecorded_result(app_context, found, with_links=False)
        return CallAnswer.model_validate(result.structured_content)
    if wait:
        found = await _follow_list(found, app_context)
    else:
        found = await app_context.calls.wait_for_list(found, _SETTLE_SECONDS, lambda _: None)
    result = await list_result(app_context, found, placed_now=None)
    return ListAnswer.model_validate(result.structured_content)


async def _follow_list(found: CallList, app_context: AppContext) -> CallList:
    """Wait until a list has stopped; meanwhile, show which candidate is being called."""
    with LiveLine() as live:
        live.show(calling(found))
        return await app_context.calls.wait_for_list(found, math.inf, lambda newer: live.update(calling(newer)))


async def cancel(app_context: AppContext, *, id_: str, as_json: bool) -> int:
    """Cancel a scheduled call, a retry, or a list. The arguments are those of `show`.

    Returns:
        The exit code: 1 if nothing was canceled.

    Raises:
        KallyAIError: There is no such call.
    """
    result = await scheduling.cancel(app_context, id_)
    answer = CancelAnswer.model_validate(result.structured_content)
    found = await app_context.calls.find_list(id_)
    words = Words()
    if as_json:
        print_json(answer)
    elif found is not None and answer.status == "canceled":
        say(list_canceled(found))
    else:
        kind = answer.status if answer.status in ("canceled", "in_progress", "unknown") else "over"
        say(words.say(f"cancel_{kind}"))
    return 0 if answer.status == "canceled" else 1


async def transcript(app_context: AppContext, *, id_: str, as_json: bool) -> None:
    """Print who said what in a call. The arguments are those of `show`.

    Raises:
        KallyAIError: There is no transcript.
    """
    call_id = await service_id(app_context, id_)
    spoken = await app_context.api().get_transcript(call_id)
    answer = TranscriptAnswer(call_id=call_id, entries=spoken_lines(spoken))
    if as_json:
        print_json(answer)
        return
    words = Words()
    if not answer.entries:
        say(words.say("silent"))
    for line in transcript_lines(answer.entries, words.say("other_side")):
        say(line)


async def calendar(app_context: AppContext, *, id_: str, output: Path | None, as_json: bool) -> None:
    """Print the appointment that a call made as an .ics file (RFC 5545); the arguments are those of `show`.

    With `output`, write it into that file; an existing one is replaced.

    Raises:
        KallyAIError: The call made no appointment.
        CommandError: The file can't be written.
    """
    call_id = await service_id(app_context, id_)
    event, _ = await appointment(app_context, call_id)
    ics, answer = rebuilt(event, call_id), event_answer(call_id, event)
    words = Words()
    if output is not None:
        _write(output, ics, words)
    if as_json:
        print_json(answer)
    elif output is None:
        click.echo(ics, nl=False)
    else:
        what = one_line(answer.summary) if answer.summary else words.say("the_appointment")
        say(words.say("is_in", what=what, file=output))


def _write(file: Path, text: str, words: Words) -> None:
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise CommandError(words.say("not_written", file=file, reason=reason_of(error))) from None
