"""A list of candidates on a terminal, in the words of the call card."""

from collections.abc import Sequence

from kallyai_mcp.cli.call_view import (
    TerminalReader,
    appointment_time,
    callee,
    footnote,
    outcome_of,
    outcome_style,
    outcome_words,
)
from kallyai_mcp.cli.console import styled, wrapped
from kallyai_mcp.cli.words import Words
from kallyai_mcp.tools.results import CallAnswer, ListState, OneCallAnswer
from kallyai_mcp.tools.text.plain import one_line, quoted


def list_lines(found: ListState, reader: TerminalReader) -> list[str]:
    """A list as lines: how far it is, the outcome of each candidate, and the suggested commands."""
    words, state, tracking_id = reader.words, _state(found), one_line(found.tracking_id or "")
    sentence = words.say(_sentence(found))
    if state == "booked_other_time":
        sentence += f" {words.say('list_booked_text')}"
    commands = [f"transcript {one_line(call.call_id or '')}" for call in found.calls[-1:] if _was_talk(call)]
    if state in ("in_progress", "ending"):
        commands = [f"show {tracking_id} --follow"]
    if state not in ("ending", "booked", "booked_other_time", "done", "canceled"):
        commands.append(f"cancel {tracking_id}")
    return [
        _heading(found, words),
        wrapped(sentence, "  "),
        *_candidates(found, reader, in_full=True),
        *(styled(f"  kallyai-mcp {command}{reader.sandbox_option}", dim=True) for command in commands),
    ]


def list_rows(lists: Sequence[ListState], reader: TerminalReader, indent: str = "") -> list[str]:
    """Lists as rows above other calls: a line for each list, and below it one for each of its candidates."""
    lines: list[str] = []
    for found in lists:
        lines.append(f"{indent}{_heading(found, reader.words)}  {one_line(found.tracking_id or '')}")
        lines += [f"{indent}{line}" for line in _candidates(found, reader, in_full=False)]
    return lines


def _state(found: ListState) -> str:
    """The status of a list; or `ending` (canceled during a call that goes on), or `booked_other_time`."""
    is_calling = bool(found.calls) and found.calls[-1].status == "in_progress"
    if found.status == "booked" and found.calls and found.calls[-1].outcome == "booked_other_time":
        return "booked_other_time"
    return "ending" if found.status == "canceled" and is_calling else found.status or "unknown"


def _heading(found: ListState, words: Words) -> str:
    state, count = _state(found), len(found.calls) + len(found.not_called)
    position = words.say("list_position", number=max(1, len(found.calls)), count=count)
    title = words.say(state if state == "booked_other_time" else f"list_{state}")
    return f"{styled(title, bold=True, **outcome_style(state))}  {position}"


def _sentence(found: ListState) -> str:
    """The key of the sentence about a list, the same as on the card (`listSentence` of call_list.js)."""
    state = _state(found)
    if state == "booked_other_time":
        return "booked_other_time_text"
    if state == "needs_decision" and found.calls and found.calls[-1].outcome == "booked_other_time":
        return "list_other_time_text"
    if state == "needs_decision" and not found.not_called:
        return "list_needs_decision_last_text"
    if state == "unknown" and found.calls and found.calls[-1].outcome in ("not_reached", "failed", "canceled"):
        return "list_found_unreached_text"
    is_unbooked = state == "done" and found.until == "booked" and not any(call.appointment for call in found.calls)
    return "list_done_unbooked_text" if is_unbooked else f"list_{state}_text"


def _candidates(found: ListState, reader: TerminalReader, *, in_full: bool) -> list[str]:
    words = reader.words
    lines = []
    calls = [CallAnswer(**candidate.model_dump()) for candidate in found.calls]
    for number, call in enumerate(calls, 1):
        moment = appointment_time(call, reader)
        facts = [outcome_words(call, words), moment]
        said = styled(", ".join(filter(None, facts)), **outcome_style(outcome_of(call)))
        id_ = "" if in_full else f"  {one_line(call.call_id or call.tracking_id or '')}"
        lines.append(f"  {number}. {callee(call, words)}  {said}{id_}")
        for key, text in (("summary", call.highlights), ("steps", call.next_steps)) if in_full else ():
            lines += [wrapped(f"{words.say(key)}: {quoted(text)}", "     ")] if text else []
    lines += footnote(calls, reader, "  ")
    waiting = words.say("list_waiting" if _state(found) == "in_progress" else "list_not_called")
    for number, candidate in enumerate(found.not_called, len(found.calls) + 1):
        lines.append(f"  {number}. {callee(CallAnswer(**candidate.model_dump()), words)}  {styled(waiting, dim=True)}")
    return lines


def _was_talk(call: OneCallAnswer) -> bool:
    return call.call_id is not None and call.outcome in ("booked", "booked_other_time", "answered")
