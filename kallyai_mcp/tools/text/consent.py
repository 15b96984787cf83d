"""Texts for the user before a call, in their language: the preview, and what an agent is told that
has to ask.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

from kallyai_mcp.api.models import Statistics, Submission
from kallyai_mcp.calls.about_booking import booking_told, change_in, is_about_booking
from kallyai_mcp.calls.appointment import time_of_day
from kallyai_mcp.calls.disclosure import without_disclosure
from kallyai_mcp.calls.numbers import for_people, local_times, place_of
from kallyai_mcp.calls.opt_outs import OptOut
from kallyai_mcp.calls.other_time import instructions_in
from kallyai_mcp.calls.policy import RiskFlag
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.tools.confirmations import LIFETIME
from kallyai_mcp.tools.text.account import allowances
from kallyai_mcp.tools.text.consent_words import Row, Words
from kallyai_mcp.tools.text.languages import in_other_languages
from kallyai_mcp.tools.text.plain import (
    Reader,
    clock_in,
    day_and_hour,
    one_line,
    part,
    party_of,
    quoted,
)

_MAX_LENGTH = 600
"""Characters of one text in a preview, which may be read on a small screen."""

_WRITTEN_DAY = re.compile(r"\d{4}-\d\d-\d\d(?P<time> \d\d:\d\d)?")
"""A day, with or without a time, as KallyAI is told it."""

_WRONG = "That confirmation is for other arguments, or too old; no call was placed. "


def reasons(
    risk_flags: Sequence[RiskFlag], words: Words, reader: Reader, opt_out: OptOut | None
) -> str:
    """Why the user is asked before this call, with the opt-out of its number; "" if there are no
    flags, because the user is asked before every call.
    """
    found = [words.say(f"reason_{flag}") for flag in risk_flags if flag is not RiskFlag.OPTED_OUT]
    if opt_out is not None:
        found.insert(0, opted_out(opt_out, words, reader))
    return "; ".join(found)


def opted_out(opt_out: OptOut, words: Words, reader: Reader) -> str:
    """What shows that a number is not to be called again, and its day."""
    day = words.day(date.fromisoformat(opt_out.day), reader.now)
    if not opt_out.was_said:
        return words.say("is_suppressed", day=day)
    return words.say("they_opted_out", day=day, quote=quoted(opt_out.quote or ""))


def preview(
    submission: Submission,
    risk_flags: Sequence[RiskFlag],
    usage: Statistics | None,
    schedule: Schedule,
    reader: Reader,
    words: Words,
    opt_out: OptOut | None = None,
    earlier: Sequence[Row] = (),
) -> str:
    """A description of a call, for its user, before it is placed.

    `risk_flags` are the reasons to ask the user, with the `opt_out` of the number, and `usage` are
    the account's statistics, if they are known. `earlier` tells of earlier calls to the number.
    """
    why = words.row("asked_because", reasons(risk_flags, words, reader, opt_out))
    rows = [
        words.say("ask_call", callee=_callee(submission, words)),
        *_shown([why, *earlier]),
        *map(str, call_rows(submission, usage, schedule, reader, words)),
    ]
    return "\n".join(rows)


def call_rows(
    submission: Submission,
    usage: Statistics | None,
    schedule: Schedule,
    reader: Reader,
    words: Words,
) -> list[Row]:
    """What a preview says of a call, beside who is called and why the user is asked."""
    rows = (
        *_when(submission.respondent_phone, schedule, reader, words),
        words.row("spoken", _spoken(submission, words)),
        *_what_for(submission, usage, reader, words),
    )
    return [row for row in rows if row.text]


def _shown(rows: Sequence[Row]) -> list[str]:
    """The rows that have a text."""
    return [str(row) for row in rows if row.text]


def _callee(submission: Submission, words: Words) -> str:
    """Who is called: "Italian Bistro, +1 415-555-1234 (United States)"."""
    number_there = number_and_country(submission.respondent_phone, words)
    parties = (one_line(submission.business_name or ""), number_there)
    return ", ".join(filter(None, parties))


def number_and_country(phone: str, words: Words) -> str:
    """A number (E.164) and where it is: "+1 415-555-1234 (United States)"."""
    return f"{for_people(phone)}{part(' ({})', place_of(phone, words.language))}"


def _when(phone: str, schedule: Schedule, reader: Reader, words: Words) -> list[Row]:
    """The rows that say when and how often a number is called: later, or at which time there."""
    due = words.due(schedule, phone, reader.timezone, reader)
    rows = [words.row("when", due)]
    if schedule.attempts > 1:
        rows.append(words.row("attempts", words.say("attempts_text", count=schedule.attempts)))
    if not due:
        rows.append(words.row("time_there", _clocks(phone, reader, words)))
    return rows


def _spoken(submission: Submission, words: Words) -> str:
    """The language that is spoken in the call; "" if KallyAI chooses it."""
    language = submission.call_language or submission.language
    return words.say(f"language_{language}") if language else ""


def _clocks(phone: str, reader: Reader, words: Words) -> str:
    """The time of day at a callee: "7:30 AM"; each, if the number has several zones."""
    return words.say("or").join(words.hour(at, phone) for at in local_times(phone, reader.now)[:3])


def list_preview(
    submissions: Sequence[Submission],
    flags: Sequence[Sequence[RiskFlag]],
    usage: Statistics | None,
    until: str,
    reader: Reader,
    words: Words,
    *,
    goes_on: bool,
    opt_outs: Mapping[str, OptOut],
    earlier: Mapping[str, Sequence[Row]],
) -> str:
    """A description of a list of call_around, for its user, before its first call is placed.

    `submissions` are those of the candidates to come, in the order in which they are called, and
    `flags` the reasons to ask the user for each, with the `opt_outs` and what is told of `earlier`
    calls by their numbers. With `goes_on`, the list goes on, with a new consent.
    """
    question = "ask_list_all" if until == "all" else "ask_list"
    heading = words.say("ask_list_on" if goes_on else question, count=len(submissions))
    rows = [f"{heading} {words.say(f'until_{until}_text')}"]
    for submission, risks in zip(submissions, flags, strict=True):
        phone = submission.respondent_phone
        rows.append(_candidate(submission, risks, reader, words, opt_outs.get(phone)))
        rows += [f"  {row}" for row in earlier.get(phone, ())]
    rows += _shown(_what_for(submissions[0], usage, reader, words))
    return "\n".join(rows)


def _candidate(
    submission: Submission,
    risks: Sequence[RiskFlag],
    reader: Reader,
    words: Words,
    opt_out: OptOut | None,
) -> str:
    """The row of a candidate: who it is, at night the time there, and the reasons to ask."""
    who = party_of(submission)
    if RiskFlag.LOCAL_HOUR in risks:
        clocks = _clocks(submission.respondent_phone, reader, words)
        who = f"{who}, {words.say('due', due=clocks, where=words.say('there'))}"
    return f"- {who}{part(': {}', reasons(risks, words, reader, opt_out))}"


def _what_for(
    submission: Submission, usage: Statistics | None, reader: Reader, words: Words
) -> list[Row]:
    """The rows that say what KallyAI is asked to do, and what is left of the plan, the scarcest
    first.
    """
    details = ", ".join(_details(submission, reader, words))
    also = "; ".join(_instructions(submission, words))
    return [
        words.row("what_for", one_line(submission.task_description, _MAX_LENGTH)),
        words.row("details", one_line(details, _MAX_LENGTH)),
        words.row("booking", _booking(submission, reader, words)),
        words.row("also", one_line(also, _MAX_LENGTH)),
        words.row("as_written", _spoken_as_written(submission, words)),
        *_what_is_left(usage, submission.respondent_phone, words),
    ]


def _spoken_as_written(submission: Submission, words: Words) -> str:
    """Which texts may be spoken as they are, because KallyAI does not speak their language."""
    names = [words.say(f"written_{name}") for name in in_other_languages(submission)]
    return words.say("neither_language", texts=", ".join(names)) if names else ""


def _details(submission: Submission, reader: Reader, words: Words) -> Iterator[str]:
    """The name, the day, the time, and the number of people of a booking, if they are given."""
    at = time_of_day(submission.appointment_time)
    if submission.user_name:
        yield submission.user_name
    if submission.user_phone:
        yield for_people(submission.user_phone)
    if submission.appointment_date is not None:
        yield words.day(submission.appointment_date, reader.now)
    if at is not None:
        yield words.hour(at, submission.respondent_phone)
    if submission.time_preference_text:
        yield submission.time_preference_text
    if submission.party_size is not None:
        yield words.people(submission.party_size)


def _what_is_left(usage: Statistics | None, phone: str, words: Words) -> list[Row]:
    """The rows for what is left of the plan, with the numbers of a text about this callee."""
    if usage is None:
        return []
    return [
        words.row(f"{left.unit}_left", words.number(left.remaining, phone))
        for left in allowances(usage)
    ]


def _booking(submission: Submission, reader: Reader, words: Words) -> str:
    """The booking that a call is about, and what becomes of it; "" if it is about none."""
    facts = booking_told(submission)
    if facts is None:
        return ""

    def in_words(day: re.Match[str]) -> str:
        return _day_in_words(day, submission.respondent_phone, reader, words)

    booking = one_line(_WRITTEN_DAY.sub(in_words, facts), _MAX_LENGTH)
    change = change_in(submission)
    return booking if change is None else words.say(f"booking_{change}", booking=booking)


def _day_in_words(found: re.Match[str], phone: str, reader: Reader, words: Words) -> str:
    """A day that KallyAI is told, or a day and a time, as the user reads it; unchanged if there is
    no such day, because the name of an event may be anything.
    """
    try:
        start = datetime.fromisoformat(found.group())
    except ValueError:
        return found.group()
    has_time = found["time"] is not None
    return words.day_and_time(start if has_time else start.date(), reader.now, phone)


def _instructions(submission: Submission, words: Words) -> list[str]:
    """The additional instructions, with those of this program in the user's language.

    That of every call, to say that it is an AI, is left out, and so are those about a booking.
    """
    asked = Submission(**without_disclosure(submission.as_json()))
    given = instructions_in(words.language, asked)
    return [text for text in given if not is_about_booking(text)]


def to_be_confirmed(
    shown: str, confirmation: str, *, wrong: bool, tool: str, later: datetime | None
) -> str:
    """The text for an agent whose client can't show a form: it asks the user, and passes on the
    `confirmation`.

    `shown` is the preview; with `wrong`, the agent sent a confirmation that is not valid. At night,
    the user may want the call `later`, in the morning.
    """
    first = _WRONG if wrong else ""
    otherwise = ""
    if later is not None:
        when = f"{day_and_hour(later, later)} {clock_in(str(later.tzinfo))}"
        otherwise = f" If they want it in the morning, {when}: {call_at(later)}."
    return (
        f"{first}Not called yet: the user must agree first. Show them this and ask:\n{shown}\n"
        f'If they agree: {tool} with the same arguments and confirmation "{confirmation}", '
        f"within {LIFETIME // timedelta(minutes=1)} minutes.{otherwise} If not, do not call."
    )


def call_at(later: datetime) -> str:
    """The step that places the call `later`."""
    return (
        f'make_call with the same arguments and not_before "{later.isoformat(timespec="minutes")}"'
    )
