"""The words of texts for the user before a call, in their language (`texts.json`): times, days, and
numbers as the place writes them that is called.
"""

from datetime import date, datetime, time
from typing import NamedTuple

from kallyai_mcp.calls.numbers import local_time, zone_of_number
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.cards.texts import Language, texts
from kallyai_mcp.tools.text.plain import (
    Reader,
    city,
    hour_of_12,
    hour_of_24,
    is_own_clock,
    number,
    zone_of,
)


class Row(NamedTuple):
    """A line of a preview."""

    label: str
    text: str

    def __str__(self) -> str:
        """For example "When: Fri Nov 27, 7:00 PM"."""
        return f"{self.label}: {self.text}"


class Words:
    """The texts of forms and previews in one language.

    In English, times have 12 hours, and numbers a decimal point; in Spanish, only for a number in
    North America.
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

    def row(self, key: str, text: str) -> Row:
        """A line of a preview: the label with this key and the text."""
        return Row(self._texts[key], text)

    def number(self, value: float, phone: str) -> str:
        """A number in a text about a call to `phone` (E.164): "12.5" or "12,5"."""
        return number(value) if self._has_american_forms(phone) else number(value).replace(".", ",")

    def hour(self, at: datetime | time, phone: str) -> str:
        """A time of day in a text about a call to `phone` (E.164): "7:00 PM", "7:00 p. m.", or
        "19:00".
        """
        if not self._has_american_forms(phone):
            return hour_of_24(at)
        return hour_of_12(at, am=self._texts["am"], pm=self._texts["pm"])

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
        if there is None:
            there = schedule.not_before.astimezone(zone_of(timezone))
            where = self._in_zone(timezone)
        else:
            where = self._in_zone(zone_of_number(phone))
        due = self._moment(there, reader.now, phone)
        if not reader.zone_is_known or is_own_clock(there, reader):
            return self.say("due", due=due, where=where)
        own = reader.local(there)
        yours = self._moment(own, reader.now, phone)
        if own.date() == there.date():
            yours = self.hour(own, phone)
        return self.say("due_for_both", due=due, where=where, yours=yours)

    def moment(self, at: datetime, phone: str, reader: Reader) -> str:
        """A moment that is past, by the user's clock if that is known, else by the callee's."""
        there = local_time(phone, at)
        if reader.zone_is_known or there is None:
            return self._moment(reader.local(at), reader.now, phone)
        where = self._in_zone(zone_of_number(phone))
        return self.say("due", due=self._moment(there, reader.now, phone), where=where)

    def day_and_time(self, start: date | datetime, now: datetime, phone: str) -> str:
        """The day of an appointment, and its time if it has one."""
        if isinstance(start, datetime):
            return self._moment(start, now, phone)
        return self.day(start, now)

    def people(self, count: int) -> str:
        """How many people: "4 people"."""
        return self.say("person" if count == 1 else "persons", count=count)

    def _in_zone(self, name: str | None) -> str:
        """Where a time is: in the zone with this IANA name, or "there" if its name is not known."""
        if name is None:
            return self._texts["there"]
        return self.say("of_zone", place=city(name))

    def _moment(self, at: datetime, now: datetime, phone: str) -> str:
        moment = self.say("day_and_hour", day=self.day(at, now), hour=self.hour(at, phone))
        return moment.replace("a las 1:", "a la 1:")

    def _has_american_forms(self, phone: str) -> bool:
        return self.language == "en" or phone.startswith("+1")
