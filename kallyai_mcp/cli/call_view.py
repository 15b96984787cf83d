"""How a call looks on a terminal: its outcome, its row in a list, and the line that shows it while it lasts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kallyai_mcp.calls.appointment import time_of_day
from kallyai_mcp.calls.numbers import for_people
from kallyai_mcp.calls.outcome import Outcome
from kallyai_mcp.cli.console import styled, table, wrapped
from kallyai_mcp.tools.results import CallAnswer, SpokenLine
from kallyai_mcp.tools.text.call_list import REASONS
from kallyai_mcp.tools.text.plain import clock, duration, named, one_line, quoted, zone_of
from kallyai_mcp.tools.text.times import hour, when

_Style = dict[str, Any]
_GREEN, _AMBER, _RED, _PLAIN, _DIM = (
    _Style(fg="green"), _Style(fg="yellow"), _Style(fg="red"), _Style(), _Style(dim=True)
)  # fmt: skip

_OUTCOMES: dict[str, tuple[str, dict[str, Any], str]] = {
    "booked": ("Booked", _GREEN, ""),
    "booked_other_time": ("Booked for another time", _AMBER, ""),
    "answered": ("Answered", _PLAIN, ""),
    "not_reached": ("Not reached", _AMBER, "Nothing was agreed. You may call again later."),
    "failed": ("Failed", _RED, "The call broke off. Take nothing as agreed."),
    "canceled": ("Canceled", _DIM, "Nothing was agreed."),
    "unknown": ("Unknown", _AMBER, "The connection broke after the request was sent, so the call may have been placed. "
                "Look again before you call again."),
    "in_progress": ("In progress", {"fg": "cyan"}, ""),
}  # fmt: skip
"""For each outcome: the word, its color, which is the card's, and what it means for the user."""


def outcome_of(answer: CallAnswer) -> str:
    """The outcome of a call, or `in_progress`."""
    return answer.outcome or "in_progress"


def callee(answer: CallAnswer) -> str:
    """Who is called, for example "Italian Bistro, +1 415-555-1234"."""
    number = for_people(answer.respondent_phone) if answer.respondent_phone else None
    name = named(answer.business_name) if answer.business_name else None
    return ", ".join(part for part in (name, number) if part) or "the number"


def word_of(answer: CallAnswer) -> tuple[str, dict[str, Any]]:
    """The word for the outcome of a call, and its style."""
    word, style, _ = _OUTCOMES[outcome_of(answer)]
    reason = REASONS.get(answer.status or "")
    return f"{word}: {reason}" if reason else word, style


def outcome_lines(
    answer: CallAnswer, *, timezone: str, now: datetime, commands: bool = True, sandbox: bool = False, indent: str = ""
) -> list[str]:
    """A call in lines: how it ended or how far it is, what was agreed, and with `commands` what to type next."""
    word, style = word_of(answer)
    facts = [when(answer.created_at, zone_of(timezone), now)] if answer.created_at else []
    facts += [duration(answer.duration_seconds)] if answer.duration_seconds is not None else []
    facts += [f"{duration(answer.elapsed_seconds)} so far"] if answer.elapsed_seconds is not None else []
    lines = [
        _appointment(answer),
        ", ".join(facts),
        f"KallyAI: {quoted(answer.highlights)}" if answer.highlights else "",
        f"KallyAI suggests: {quoted(answer.next_steps)}" if answer.next_steps else "",
        _OUTCOMES[outcome_of(answer)][2],
    ]
    next_commands = _next_commands(answer, sandbox=sandbox) if commands else []
    return [
        f"{indent}{styled(word, bold=True, **style)}  {callee(answer)}",
        *(wrapped(line, f"{indent}  ") for line in lines if line),
        *(styled(f"{indent}  {command}", dim=True) for command in next_commands),
    ]


def transcript_lines(entries: Sequence[SpokenLine], other_side: str = "Callee", indent: str = "") -> list[str]:
    """A conversation as a dialog: when and who, and below it what was said."""
    lines = []
    for entry in entries:
        speaker = one_line(entry.speaker)[:20] or "?"
        is_ai = speaker.upper() == "AI"
        name = "KallyAI" if is_ai else other_side if speaker.upper() == "HUMAN" else speaker
        style = {"fg": "cyan"} if is_ai else {}
        lines.append(f"{indent}{clock(entry.timestamp):>5}  {styled(name, bold=True, **style)}")
        lines.append(wrapped(one_line(entry.content), f"{indent}{' ' * 7}"))
    return lines


def _appointment(answer: CallAnswer) -> str:
    """When the appointment is, by the callee's clock, and which other time was asked for."""
    made, asked = answer.appointment, answer.submission
    if made is None or made.start is None:
        return ""
    is_whole_day = "T" not in made.start
    start = datetime.fromisoformat(made.start)
    words = f"{start:%a} {start:%b} {start.day}, {start.year}" + (
        "" if is_whole_day else f", {hour(start.hour, start.minute)} there"
    )
    if answer.outcome == Outcome.BOOKED_OTHER_TIME and asked is not None:
        day = asked.appointment_date if asked.appointment_date != start.date().isoformat() else None
        at = time_of_day(asked.appointment_time) if asked.appointment_time else None
        wanted = ", ".join(filter(None, (one_line(day or ""), hour(*at) if at else "")))
        words += f"; you asked for {wanted}" if wanted else ""
    return words


def _next_commands(answer: CallAnswer, *, sandbox: bool) -> list[str]:
    outcome, more = outcome_of(answer), " --sandbox" if sandbox else ""
    if outcome in ("in_progress", "unknown"):
        following = " --follow" if outcome == "in_progress" else ""
        return [f"kallyai-mcp show {one_line(answer.tracking_id or answer.call_id or '')}{following}{more}"]
    commands = []
    if answer.call_id and outcome not in ("not_reached", "canceled"):
        commands.append(f"kallyai-mcp transcript {one_line(answer.call_id)}{more}")
    if answer.call_id and outcome in ("booked", "booked_other_time"):
        commands.append(f"kallyai-mcp calendar {one_line(answer.call_id)} -o appointment.ics{more}")
    return commands


def _so_far(answer: CallAnswer) -> str:
    return f"{duration(answer.elapsed_seconds)} so far" if answer.elapsed_seconds is not None else ""


def call_rows(calls: Sequence[CallAnswer], *, timezone: str, now: datetime, indent: str = "") -> list[str]:
    """A line for each call, in aligned columns: when, outcome, who, the id, and KallyAI's summary as far as it fits."""
    zone = zone_of(timezone)
    rows, styles = [], []
    for answer in calls:
        word, style = word_of(answer)
        moment = when(answer.created_at, zone, now) if answer.created_at else "?"
        rows.append(
            (
                moment,
                word,
                callee(answer),
                one_line(answer.call_id or answer.tracking_id or ""),
                one_line(answer.highlights or "") or _so_far(answer),
            )
        )
        styles.append(style)
    return table(rows, styles=styles, indent=indent)
