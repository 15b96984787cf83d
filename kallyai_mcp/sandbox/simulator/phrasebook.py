"""The phrases of simulated calls in one language, with dates, times, and phone numbers in words."""

import tomllib
from datetime import date, time
from functools import cache
from importlib.resources import files
from typing import Final

import phonenumbers

from kallyai_mcp.sandbox.simulator.simulated_call import Slot

_TWELVE_HOURS: Final = ("+1", "+52")
"""The country codes where times in Spanish have 12 hours; elsewhere they have 24, as in Spain."""


@cache
def phrases() -> dict[str, dict[str, str]]:
    """Return the phrases by key and language; read with the first call."""
    return tomllib.loads(
        (files("kallyai_mcp.sandbox.simulator") / "phrases.toml").read_text(encoding="utf-8")
    )


def date_in_words(day: date, language: str, form: str = "date") -> str:
    """Return a date in words: `date`, `date.with_year`, or `date.without_weekday`."""
    months, weekdays = (phrases()[name][language].split() for name in ("months", "weekdays"))
    return phrases()[form][language].format(
        weekday=weekdays[day.weekday()], month=months[day.month - 1], day=day.day, year=day.year
    )


class Phrasebook:
    """The phrases of one language. Times in Spanish are as in the country that is called."""

    def __init__(self, language: str, *, phone: str, today: date) -> None:
        self.language = language
        self._today = today
        self._has_twelve_hours = language == "en" or phone.startswith(_TWELVE_HOURS)

    def say(self, key: str, **facts: str) -> str:
        """Return the phrase of `key` with `facts` inserted."""
        # After "p. m.", no second period.
        return phrases()[key][self.language].format(**facts).replace(" m..", " m.")

    def say_known(self, key: str, otherwise: str, **facts: str | None) -> str:
        """Return the phrase of `key` with `facts`; that of `otherwise` if one is not known."""
        known = {name: fact for name, fact in facts.items() if fact}
        if known.keys() != facts.keys():
            return self.say(otherwise)
        return self.say(key, **known)

    def quote(self, text: str) -> str:
        """Return `text` in the language's quotation marks."""
        return self.say("quote", text=text)

    def moment(self, slot: Slot) -> str:
        """Return a day, and its time if there is one, in words ("Friday, November 27 at 7:00
        PM").
        """
        form = "date" if slot.day.year == self._today.year else "date.with_year"
        words = self.say("moment.date", date=date_in_words(slot.day, self.language, form))
        if slot.at is None:
            return words
        return self.say("moment.date_time", date=words, time=self.time(slot.at))

    def moment_beside(self, slot: Slot, other: Slot | None) -> str:
        """Return a day and its time in words, beside another one; on the same day, the time is
        enough.
        """
        if slot.at is None:
            return self.moment(slot)
        if other is None or other.day != slot.day:
            return self.moment(slot)
        return self.time(slot.at)

    def time(self, at: time) -> str:
        """Return a time as it is in a sentence ("7:00 PM", "las 7:00 p. m.", "las 19:00")."""
        text = f"{at.hour}:{at.minute:02}"
        if self._has_twelve_hours:
            text = _with_half_of_day(at, self.language)
        return self.say("time.one" if text.startswith("1:") else "time", time=text)


def _with_half_of_day(at: time, language: str) -> str:
    """A time with twelve hours ("7:00 PM", "7:00 p. m.")."""
    hours = f"{at.hour % 12 or 12}:{at.minute:02}"
    is_afternoon = at.hour >= 12
    if language == "es":
        return f"{hours} {'p. m.' if is_afternoon else 'a. m.'}"
    return f"{hours} {'PM' if is_afternoon else 'AM'}"


def phone_in_words(phone: str) -> str:
    """Return `phone` in its country's format; unchanged if it is not a number with a country
    code.
    """
    try:
        parsed = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return phone
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
