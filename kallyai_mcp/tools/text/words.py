"""Texts about a call for its user, in a language: times and numbers in it, and when it is due."""

from datetime import date, datetime, time

from kallyai_mcp.calls.numbers import local_time, zone_of_number
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.cards.texts import Language, texts
from kallyai_mcp.tools.text.plain import number, zone_of
from kallyai_mcp.tools.text.times import Reader, city, is_own_clock


class Words:
    """The texts of forms and previews in one language.

    Times and numbers follow the place that is called: 12 hours and a decimal point in North America.
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
        """A time of day in a text about a call to `phone` (E.164): "7:00 PM", "7:00 p. m.", or "19:00"."""
        if not self._is_american(phone):
            return f"{at.hour}:{at.minute:02}"
        return f"{at.hour % 12 or 12}:{at.minute:02} {self._texts['pm' if at.hour >= 12 else 'am']}"

    def day(self, moment: date, now: datetime) -> str:
        """A day: "Fri Nov 27" or "viernes 27 de noviembre"; with the year unless it is the year of `now`."""
        weekday = self._texts["weekdays"].split()[moment.weekday()]
        month = self._texts["months"].split()[moment.month - 1]
        key = "day" if moment.year == now.year else "day_of_year"
        return self.say(key, weekday=weekday, month=month, day=moment.day, year=moment.year)

    def due(self, schedule: Schedule, phone: str, timezone: str, reader: Reader) -> str:
        """When a call is due: "Mon Jan 26, 9:00 AM Denver time (11:00 AM your time)".

        The clocks are the callee's and the user's. The text is "" if the call is due at once. If the `phone` (E.164)
        does not show the callee's clock, the time is in the zone with the IANA name `timezone`.
        """
        if schedule.not_before is None:
            return ""
        there = local_time(phone, schedule.not_before)
        zone = zone_of_number(phone) or (timezone if there is None else None)
        there = there or schedule.not_before.astimezone(zone_of(timezone))
        own = there.astimezone(zone_of(reader.timezone))
        where = self.say("of_zone", place=city(zone)) if zone else self._texts["there"]
        yours = self.hour(own, phone) if own.date() == there.date() else self._moment(own, reader.now, phone)
        key = "due_for_both" if reader.zone_is_known and not is_own_clock(there, reader) else "due"
        return self.say(key, due=self._moment(there, reader.now, phone), where=where, yours=yours)

    def _moment(self, at: datetime, now: datetime, phone: str) -> str:
        day = self.day(at, now.astimezone(at.tzinfo))
        return self.say("day_and_hour", day=day, hour=self.hour(at, phone)).replace("a las 1:", "a la 1:")

    def _is_american(self, phone: str) -> bool:
        return self.language == "en" or phone.startswith("+1")
