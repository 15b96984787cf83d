"""Texts for the user before a call, in their language (`texts.json`): the preview, the forms, and
when it is due.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from kallyai_mcp.api.models import Statistics, Submission
from kallyai_mcp.calls import kept_booking
from kallyai_mcp.calls.appointment import time_of_day
from kallyai_mcp.calls.numbers import for_people, local_time, local_times, place_of, zone_of_number
from kallyai_mcp.calls.other_time import instructions_in
from kallyai_mcp.calls.policy import RiskFlag
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.cards.texts import Language, texts
from kallyai_mcp.tools.confirmations import LIFETIME
from kallyai_mcp.tools.text.account import allowances
from kallyai_mcp.tools.text.plain import (
    Reader,
    city,
    is_own_clock,
    number,
    one_line,
    party_of,
    zone_of,
)

_MAX_LENGTH = 600
"""Characters of one text in a preview, which may be read on a small screen."""


class Words:
    """The texts of forms and previews in one language.

    Times and numbers follow the place that is called: 12 hours and a decimal point in North
    America.
    """

    def __init__(self, language: Language = "en") -> None:
        self.language = language
        self._texts = texts(language, "shared", "call", "forms")

    def say(self, key: str, **values: object) -> str:
        """The text with this key, with `values` for its placeholders."""
        return self._texts[key].format(**values)

    def field(self, key: str, **values: object) -> dict[str, str]:
        """The title and the description of a field of a form, for its JSON schema."""
        return {"title": self.say(key, **values), "description": self.say(f"{key}_help")}

    def row(self, key: str, text: object) -> str:
        """A line of a preview: the label with this key and the text; "" without a text."""
        return f"{self._texts[key]}: {text}" if text else ""

    def number(self, value: float, phone: str) -> str:
        """A number in a text about a call to `phone` (E.164): "12.5" or "12,5"."""
        return number(value) if self._is_american(phone) else number(value).replace(".", ",")

    def hour(self, at: datetime | time, phone: str) -> str:
        """A time of day in a text about a call to `phone` (E.164): "7:00 PM", "7:00 p. m.", or
        "19:00".
        """
        if not self._is_american(phone):
            return f"{at.hour}:{at.minute:02}"
        return f"{at.hour % 12 or 12}:{at.minute:02} {self._texts['pm' if at.hour >= 12 else 'am']}"

    def day(self, moment: date, now: datetime) -> str:
        """A day: "Fri Nov 27" or "viernes 27 de noviembre"; with the year unless it is the year of
        `now`.
        """
        weekday = self._texts["weekdays"].split()[moment.weekday()]
        month = self._texts["months"].split()[moment.month - 1]
        key = "day" if moment.year == now.year else "day_of_year"
        return self.say(key, weekday=weekday, month=month, day=moment.day, year=moment.year)

    def due(self, schedule: Schedule, phone: str, timezone: str, reader: Reader) -> str:
        """When a call is due: "Mon Jan 26, 9:00 AM Denver time (11:00 AM your time)".

        The clocks are the callee's and the user's. The text is "" if the call is due at once. If
        the `phone` (E.164) does not show the callee's clock, the time is in the zone with the IANA
        name `timezone`.
        """
        if schedule.not_before is None:
            return ""
        there = local_time(phone, schedule.not_before)
        zone = zone_of_number(phone) or (timezone if there is None else None)
        there = there or schedule.not_before.astimezone(zone_of(timezone))
        own = reader.local(there)
        where = self.say("of_zone", place=city(zone)) if zone else self._texts["there"]
        yours = (
            self.hour(own, phone)
            if own.date() == there.date()
            else self._moment(own, reader.now, phone)
        )
        key = "due_for_both" if reader.zone_is_known and not is_own_clock(there, reader) else "due"
        return self.say(key, due=self._moment(there, reader.now, phone), where=where, yours=yours)

    def _moment(self, at: datetime, now: datetime, phone: str) -> str:
        moment = self.say("day_and_hour", day=self.day(at, now), hour=self.hour(at, phone))
        return moment.replace("a las 1:", "a la 1:")

    def _is_american(self, phone: str) -> bool:
        return self.language == "en" or phone.startswith("+1")


def reasons(risk_flags: Sequence[RiskFlag], words: Words) -> str:
    """Why the user is asked before this call; "" if there are no flags, because the user is asked
    before every call.
    """
    return "; ".join(words.say(f"reason_{flag}") for flag in risk_flags)


def preview(
    submission: Submission,
    risk_flags: Sequence[RiskFlag],
    usage: Statistics | None,
    schedule: Schedule,
    reader: Reader,
    words: Words,
) -> str:
    """A description of a call, for its user, before it is placed.

    `risk_flags` are the reasons to ask the user, and `usage` are the account's statistics, if they
    are known.
    """
    phone = submission.respondent_phone
    callee = ", ".join(filter(None, (one_line(submission.business_name or ""), for_people(phone))))
    place, when = (
        place_of(phone, words.language),
        words.due(schedule, phone, reader.timezone, reader),
    )
    spoken = submission.call_language or submission.language
    count = schedule.attempts
    rows = [
        words.say("ask_call", callee=f"{callee}{f' ({place})' if place else ''}"),
        words.row("asked_because", reasons(risk_flags, words)),
        words.row("when", when),
        words.row("attempts", words.say("attempts_text", count=count) if count > 1 else ""),
        words.row("time_there", "" if when else _clocks(phone, reader, words)),
        words.row("spoken", words.say(f"language_{spoken}") if spoken else ""),
        *_what_for(submission, usage, reader, words),
    ]
    return "\n".join(row for row in rows if row)


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
) -> str:
    """A description of a list of call_around, for its user, before its first call is placed.

    `submissions` are those of the candidates to come, in the order in which they are called, and
    `flags` the reasons to ask the user for each. With `goes_on`, the list goes on, with a new
    consent.
    """
    heading = words.say("ask_list_on" if goes_on else "ask_list", count=len(submissions))
    rows = [f"{heading} {words.say(f'until_{until}_text')}"]
    for submission, risks in zip(submissions, flags, strict=True):
        why, phone = reasons(risks, words), submission.respondent_phone
        there = words.say("due", due=_clocks(phone, reader, words), where=words.say("there"))
        party = party_of(submission) + (f", {there}" if RiskFlag.LOCAL_HOUR in risks else "")
        rows.append(f"- {party}{f': {why}' if why else ''}")
    rows += _what_for(submissions[0], usage, reader, words)
    return "\n".join(filter(None, rows))


def _what_for(
    submission: Submission, usage: Statistics | None, reader: Reader, words: Words
) -> list[str]:
    """The lines that say what KallyAI is asked to do, and what is left of the plan, the scarcest
    first.
    """
    day, size, phone = submission.appointment_date, submission.party_size, submission.user_phone
    callee, at = submission.respondent_phone, time_of_day(submission.appointment_time)
    parts = (
        submission.user_name,
        for_people(phone) if phone else None,
        words.day(day, reader.now) if day else None,
        words.hour(at, callee) if at is not None else None,
        submission.time_preference_text,
        words.say("person" if size == 1 else "persons", count=size) if size else None,
    )
    details = ", ".join(filter(None, parts))
    also = "; ".join(_instructions(submission, words))
    left = allowances(usage) if usage is not None else []
    return [
        words.row("what_for", one_line(submission.task_description, _MAX_LENGTH)),
        words.row("details", one_line(details, _MAX_LENGTH)),
        words.row("also", one_line(also, _MAX_LENGTH)),
        *(words.row(f"{one.unit}_left", words.number(one.remaining, callee)) for one in left),
    ]


def _instructions(submission: Submission, words: Words) -> list[str]:
    """The additional instructions, with those of this program in the user's language."""
    given, kept = instructions_in(words.language, submission), kept_booking.INSTRUCTION
    return [kept[words.language] if text in kept.values() else text for text in given]


def to_be_confirmed(
    shown: str, confirmation: str, *, wrong: bool, tool: str, later: datetime | None
) -> str:
    """The text for an agent whose client can't show a form: it asks the user, and passes on the
    `confirmation`.

    `shown` is the preview; with `wrong`, the agent sent a confirmation that is not valid. At night,
    the user may want the call `later`, in the morning.
    """
    first = (
        "That confirmation is for another call, or too old; no call was placed. " if wrong else ""
    )
    otherwise = f" If they want it in the morning: {call_at(later)}." if later is not None else ""
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
