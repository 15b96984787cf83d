"""A call on a terminal: its outcome, its row in a list, and its transcript."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from kallyai_mcp.api.call_ids import is_usable
from kallyai_mcp.calls.appointment import time_of_day
from kallyai_mcp.calls.numbers import for_people
from kallyai_mcp.cli.console import cells, row_width, styled, table, wrapped
from kallyai_mcp.cli.words import Words
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.results import OneCallAnswer, SpokenLine
from kallyai_mcp.tools.text.calls import unconfirmed
from kallyai_mcp.tools.text.listing import reason
from kallyai_mcp.tools.text.plain import clock, duration, named, one_line, quoted
from kallyai_mcp.tools.text.times import Reader, city, day_and_hour, differs, hour_in_text, when

_Style = dict[str, Any]

_STYLES: dict[str, _Style] = {
    "booked": _Style(fg="green"),
    "booked_other_time": _Style(fg="yellow"),
    "answered": _Style(),
    "not_reached": _Style(fg="yellow"),
    "failed": _Style(fg="red"),
    "canceled": _Style(dim=True),
    "unknown": _Style(fg="yellow"),
    "scheduled": _Style(fg="cyan"),
    "expired": _Style(fg="yellow"),
    "refused": _Style(fg="red"),
    "in_progress": _Style(fg="cyan"),
    "ending": _Style(fg="cyan"),
    "needs_decision": _Style(fg="yellow"),
    "needs_sign_in": _Style(fg="yellow"),
}
"""The color of each outcome, and of each state of a list; the cards have the same colors."""

_CALLEE_WIDTH_MIN = 17
"""The least width of the callee's column, so that a number fits; with less room, the callee gets a line of its own."""

_SUMMARY_WIDTH_MIN = 20
"""The least width of the summary's column, so that a day and a time fit."""

_BOOKINGS = ("restaurant", "clinic", "hotel")


@dataclass(frozen=True)
class TerminalReader:
    """The person at this terminal.

    Attributes:
        words: The sentences.
        timezone: IANA name of the person's time zone.
        now: The current time, with a time zone.
        sandbox: The command uses the embedded sandbox, so the commands that it suggests must use it, too.
    """

    words: Words
    timezone: str
    now: datetime
    sandbox: bool = False

    @classmethod
    def of(cls, app_context: AppContext) -> "TerminalReader":
        """The reader of the output of a command."""
        return cls(Words(), app_context.timezone, app_context.now(), app_context.embedded)

    @property
    def sandbox_option(self) -> str:
        """The option that the suggested commands need: " --sandbox" or ""."""
        return " --sandbox" if self.sandbox else ""

    def when(self, moment: datetime) -> str:
        """A moment in the reader's time zone."""
        return when(moment, Reader(self.timezone, self.now))


def outcome_of(answer: OneCallAnswer) -> str:
    """The outcome of a call; without one, `in_progress`, `scheduled`, `expired`, `refused`, or `canceled`.

    A status of KallyAI that this program does not know is `unknown`.
    """
    if answer.outcome is not None:
        return answer.outcome
    known = ("in_progress", "scheduled", "expired", "refused", "canceled")
    return "unknown" if answer.status is not None and answer.status not in known else answer.status or "in_progress"


def outcome_style(outcome: str) -> dict[str, Any]:
    """The color of an outcome or of the state of a list, as the arguments of `click.style`."""
    return _STYLES.get(outcome, {})


def outcome_words(answer: OneCallAnswer, words: Words) -> str:
    """The outcome in a few words: "not reached: busy". With a *, it is not known whether the call booked something."""
    detail = reason(answer.status or "")
    mark = "*" if answer.calendar_checked is False else ""
    return f"{words.say(outcome_of(answer))}{mark}{f': {detail}' if detail else ''}"


def footnote(calls: Sequence[OneCallAnswer], reader: TerminalReader, indent: str) -> list[str]:
    """The line that explains the * of `outcome_words`; none if no call has it."""
    is_marked = any(answer.calendar_checked is False for answer in calls)
    text = reader.words.say("not_looked_up", more=reader.sandbox_option)
    return [wrapped(f"* {text}", indent)] if is_marked else []


def callee(answer: OneCallAnswer, words: Words) -> str:
    """The callee, for example "Italian Bistro, +1 415-555-1234"."""
    number = for_people(answer.respondent_phone) if answer.respondent_phone else None
    name = named(answer.business_name) if answer.business_name else None
    return ", ".join(part for part in (name, number) if part) or words.say("the_number")


def outcome_lines(
    answer: OneCallAnswer, reader: TerminalReader, *, commands: bool = True, indent: str = ""
) -> list[str]:
    """A call as lines: how it ended or how far it is, what was agreed, and with `commands` the suggested commands."""
    outcome, words = outcome_of(answer), reader.words
    facts = [reader.when(answer.created_at)] if answer.created_at else []
    facts += [duration(answer.duration_seconds)] if answer.duration_seconds is not None else []
    facts += [_so_far(answer, words)] if answer.elapsed_seconds is not None else []
    lines = [
        _sentence(answer, reader),
        ", ".join(facts),
        _attempts(answer, reader),
        f"{words.say('summary')}: {quoted(answer.highlights)}" if answer.highlights else "",
        f"{words.say('steps')}: {quoted(answer.next_steps)}" if answer.next_steps else "",
    ]
    next_commands = _next_commands(answer) if commands else []
    return [
        f"{indent}{styled(words.say(outcome), bold=True, **_STYLES[outcome])}  {callee(answer, words)}",
        *(wrapped(line, f"{indent}  ") for line in lines if line),
        *(styled(f"{indent}  kallyai-mcp {command}{reader.sandbox_option}", dim=True) for command in next_commands),
    ]


def _sentence(answer: OneCallAnswer, reader: TerminalReader) -> str:
    """The sentence about a call, the same as on the card (`callSentence` of call_view.js); "" if no sentence is needed.

    No sentence is needed if KallyAI's summary says what happened.
    """
    outcome, asked, words = outcome_of(answer), answer.submission, reader.words
    moment, wanted = appointment_time(answer, reader), _asked(answer, reader)
    is_booking = asked is not None and (asked.appointment_date is not None or asked.task_category in _BOOKINGS)
    not_booked = "not_checked_text" if answer.calendar_checked is False else "not_booked_text"
    keys = [
        "unclear_text" if outcome == "unknown" and answer.placed != "maybe" else "",
        f"{answer.status}_text" if outcome in ("not_reached", "failed") else "",
        not_booked if outcome == "answered" and is_booking else "",
        f"{outcome}_text_dated" if moment and (outcome != "booked_other_time" or wanted) else "",
        f"{outcome}_text",
    ]
    key = next(key for key in keys if words.has(key))
    is_in_summary = key == "answered_text" and answer.highlights
    said = "" if is_in_summary else words.say(key, when=moment, asked=wanted, more=reader.sandbox_option)
    if key == "booked_other_time_text" and moment:
        said = f"{words.say('booked_text_dated', when=moment)} {said}"
    names = answer.appointment.unconfirmed if answer.appointment is not None else None
    what = unconfirmed(asked, names or ()) if asked is not None else ""
    return " ".join(filter(None, (said, words.say("unconfirmed", what=what) if what else "")))


def transcript_lines(entries: Sequence[SpokenLine], other_side: str, indent: str = "") -> list[str]:
    """A transcript as lines: time and speaker, and below them the words."""
    lines = []
    for entry in entries:
        speaker = one_line(entry.speaker)[:20] or "?"
        is_ai = speaker.upper() == "AI"
        name = "KallyAI" if is_ai else other_side if speaker.upper() == "HUMAN" else speaker
        style = {"fg": "cyan"} if is_ai else {}
        lines.append(f"{indent}{clock(entry.timestamp):>5}  {styled(name, bold=True, **style)}")
        lines.append(wrapped(one_line(entry.content), f"{indent}{' ' * 7}"))
    return lines


def appointment_time(answer: OneCallAnswer, reader: TerminalReader) -> str:
    """When the appointment is, or when a scheduled call is due, in the zone of the request.

    The text has the name of that zone if the reader's clock shows another time.
    """
    made = answer.appointment
    start = made.start if made is not None else answer.scheduled_for
    if start is None:
        return ""
    moment = datetime.fromisoformat(start) if "T" in start else date.fromisoformat(start)
    text = day_and_hour(moment, reader.now)
    zone = answer.timezone or reader.timezone
    place = city(zone)
    return reader.words.say("time_of", when=text, place=place) if differs(moment, zone, reader.timezone) else text


def _asked(answer: OneCallAnswer, reader: TerminalReader) -> str:
    """The day and time of the submission, or one of them; "" if it has neither."""
    asked = answer.submission
    if asked is None:
        return ""
    if asked.appointment_date is None:
        return one_line(hour_in_text(asked.appointment_time) or "")
    try:
        day = date.fromisoformat(asked.appointment_date)
        hours = time_of_day(asked.appointment_time) if asked.appointment_time else None
    except ValueError:
        return one_line(asked.appointment_date)
    moment = datetime(day.year, day.month, day.day, *hours) if hours else day  # noqa: DTZ001 - the callee's own time
    return day_and_hour(moment, reader.now)


def _next_commands(answer: OneCallAnswer) -> list[str]:
    outcome, call_id, tracking_id = (
        outcome_of(answer),
        one_line(answer.call_id or ""),
        one_line(answer.tracking_id or ""),
    )
    if outcome == "in_progress":
        return [f"show {tracking_id or call_id} --follow"]
    if outcome == "unknown":
        return [f"show {tracking_id or call_id}"]
    if outcome == "scheduled":
        return [f"cancel {tracking_id}"]
    if not is_usable(call_id):  # the id can't be sent to KallyAI
        return []
    commands = [f"show {call_id}"] if answer.calendar_checked is False else []
    if call_id and outcome not in ("not_reached", "canceled"):
        commands.append(f"transcript {call_id}")
    if call_id and outcome in ("booked", "booked_other_time"):
        commands.append(f"calendar {call_id} -o appointment.ics")
    return commands


def _attempts(answer: OneCallAnswer, reader: TerminalReader) -> str:
    """Which attempt it is, and how the earlier attempts ended; "" for the first one."""
    attempts = answer.earlier_attempts or ()
    earlier = "; ".join(f"{reason(one.status)}, {reader.when(one.at)}" for one in attempts)
    if not earlier:
        return ""
    return reader.words.say("attempts", number=answer.attempt, count=answer.attempts, earlier=earlier)


def _booked_and_said(answer: OneCallAnswer, reader: TerminalReader) -> str:
    """When the appointment is, if there is one, and KallyAI's summary."""
    booked = appointment_time(answer, reader) if answer.appointment is not None else ""
    return ". ".join(filter(None, (booked, one_line(answer.highlights or ""))))


def _so_far(answer: OneCallAnswer, words: Words) -> str:
    return words.say("so_far", time=duration(answer.elapsed_seconds)) if answer.elapsed_seconds is not None else ""


def call_rows(calls: Sequence[OneCallAnswer], reader: TerminalReader, indent: str = "") -> list[str]:
    """A line for each call, in aligned columns: time, outcome, callee, id, and the summary, cut to the console's width.

    The time of a scheduled call is the time when it is due.

    On a narrow console, each call has two lines; the second has the id and the summary. On a very narrow one, it has
    three: time and outcome; callee and summary; id.
    """
    words = reader.words
    rows = []
    for answer in calls:
        due = datetime.fromisoformat(answer.scheduled_for) if answer.scheduled_for else None
        at = answer.created_at or due
        row = (
            reader.when(at) if at is not None else "?",
            outcome_words(answer, words),
            callee(answer, words),
            one_line(answer.call_id or answer.tracking_id or ""),
            _booked_and_said(answer, reader) or _so_far(answer, words),
        )
        rows.append(row)
    styles = [_STYLES[outcome_of(answer)] for answer in calls]
    columns = [max((cells(row[column]) for row in rows), default=0) for column in range(4)]
    least = min(_SUMMARY_WIDTH_MIN, max((cells(row[4]) for row in rows), default=0))
    if len(indent) + sum(columns) + 2 * len(columns) + least <= row_width():
        lines = table(rows, styles=styles, indent=indent)
    else:
        below = f"{indent}  "
        if row_width() - len(indent) - columns[0] - columns[1] - 4 >= min(columns[2], _CALLEE_WIDTH_MIN):
            parts = [table([row[:3] for row in rows], styles=styles, indent=indent)]
            parts += [table([row[3:] for row in rows], indent=below)]
        else:
            parts = [table([row[:2] for row in rows], styles=styles, indent=indent)]
            parts += [table([(row[2], row[4]) for row in rows], indent=below), [f"{below}{row[3]}" for row in rows]]
        lines = [line for lines_of_call in zip(*parts, strict=True) for line in lines_of_call]
    return lines + footnote(calls, reader, indent)
