"""How a list of candidates looks on a terminal, in the words of the call card."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kallyai_mcp.cli.call_view import appointment_time, callee, outcome_of, outcome_style
from kallyai_mcp.cli.console import styled, wrapped
from kallyai_mcp.cli.words import Words
from kallyai_mcp.tools.results import CallAnswer, CandidateAnswer, ListState
from kallyai_mcp.tools.text.listing import reason
from kallyai_mcp.tools.text.plain import one_line, quoted

_LOOKS: dict[str, dict[str, Any]] = {
    "in_progress": {"fg": "cyan"},
    "ending": {"fg": "cyan"},
    "booked": {"fg": "green"},
    "booked_other_time": {"fg": "yellow"},
    "needs_decision": {"fg": "yellow"},
    "unknown": {"fg": "yellow"},
    "needs_sign_in": {"fg": "yellow"},
    "refused": {"fg": "red"},
    "canceled": {"dim": True},
}
"""The color of each state of a list, which is the card's; none for the others."""


def list_lines(found: ListState, words: Words, *, timezone: str, now: datetime, sandbox: bool = False) -> list[str]:
    """A list in lines: how far it is, what came of each candidate, and what to type next."""
    sentence = words.say(_sentence(found))
    if _state(found) == "booked_other_time":
        sentence += f" {words.say('list_booked_text')}"
    more = " --sandbox" if sandbox else ""
    commands = [
        f"kallyai-mcp transcript {one_line(call.call_id or '')}" for call in found.calls[-1:] if _was_talk(call)
    ]
    if is_open(found):
        commands = [f"kallyai-mcp show {one_line(found.tracking_id or '')} --follow"]
    if _state(found) not in ("ending", "booked", "booked_other_time", "done", "canceled"):
        commands.append(f"kallyai-mcp cancel {one_line(found.tracking_id or '')}")
    return [
        _heading(found, words),
        wrapped(sentence, "  "),
        *_candidates(found, words, timezone, now, in_full=True),
        *(styled(f"  {command}{more}", dim=True) for command in commands),
    ]


def list_rows(lists: Sequence[ListState], words: Words, *, timezone: str, now: datetime, indent: str = "") -> list[str]:
    """Lists among other calls: a line for each, and below it one for each of its candidates."""
    lines: list[str] = []
    for found in lists:
        lines.append(f"{indent}{_heading(found, words)}  {one_line(found.tracking_id or '')}")
        lines += [f"{indent}{line}" for line in _candidates(found, words, timezone, now, in_full=False)]
    return lines


def is_open(found: ListState) -> bool:
    """Whether a list goes on, or its last call does."""
    return _state(found) in ("in_progress", "ending")


def _state(found: ListState) -> str:
    is_calling = bool(found.calls) and found.calls[-1].status == "in_progress"
    if found.status == "booked" and found.calls and found.calls[-1].outcome == "booked_other_time":
        return "booked_other_time"
    return "ending" if found.status == "canceled" and is_calling else found.status or "unknown"


def _title(state: str) -> str:
    """The key of the card's word for a state."""
    return state if state == "booked_other_time" else f"list_{state}"


def _heading(found: ListState, words: Words) -> str:
    state, count = _state(found), len(found.calls) + len(found.not_called)
    position = words.say("list_position", number=max(1, len(found.calls)), count=count)
    return f"{styled(words.say(_title(state)), bold=True, **_LOOKS.get(state, {}))}  {position}"


def _sentence(found: ListState) -> str:
    """The key of the card's sentence about a list (`listSentence` of call_list.js)."""
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


def _candidates(found: ListState, words: Words, timezone: str, now: datetime, *, in_full: bool) -> list[str]:
    lines = []
    for number, candidate in enumerate(found.calls, 1):
        call = CallAnswer(**candidate.model_dump())
        outcome, detail = outcome_of(call), reason(call.status or "", spanish=words.spanish)
        mark = "*" if call.calendar_checked is False else ""
        word = f"{words.say(outcome)}{mark}{f': {detail}' if detail else ''}"
        moment = appointment_time(call, words, now, timezone)
        facts = [word, f"{moment[0].lower()}{moment[1:]}" if moment and words.spanish else moment]
        said = styled(", ".join(filter(None, facts)), **outcome_style(outcome))
        id_ = "" if in_full else f"  {one_line(call.call_id or call.tracking_id or '')}"
        lines.append(f"  {number}. {callee(call, words)}  {said}{id_}")
        for key, text in (("summary", call.highlights), ("steps", call.next_steps)) if in_full else ():
            lines += [wrapped(f"{words.say(key)}: {quoted(text)}", "     ")] if text else []
    if any(call.calendar_checked is False for call in found.calls):
        lines.append(wrapped(f"* {words.say('not_looked_up')}", "  "))
    waiting = words.say("list_waiting" if _state(found) == "in_progress" else "list_not_called")
    for number, candidate in enumerate(found.not_called, len(found.calls) + 1):
        lines.append(f"  {number}. {callee(CallAnswer(**candidate.model_dump()), words)}  {styled(waiting, dim=True)}")
    return lines


def _was_talk(call: CandidateAnswer) -> bool:
    return call.call_id is not None and call.outcome in ("booked", "booked_other_time", "answered")
