"""Choosing words: the two phrase tables, wordings picked by the submission, dates and times in words."""

import contextlib
import hashlib
from datetime import date, time
from typing import Final

import phonenumbers
from babel.dates import format_date, format_time
from babel.numbers import format_currency, get_territory_currencies

from kallyai_mcp.sandbox.simulator import phrases_en, phrases_es

_TABLES: Final = {"en": phrases_en.PHRASES, "es": phrases_es.PHRASES}
_THE_WORLD: Final = "001"  # the region of numbers that belong to no country; it has no currency
_INJECTIONS: Final = {"en": phrases_en.INJECTION, "es": phrases_es.INJECTION}


class Phrasebook:
    """The phrases of one language.

    Args:
        language: `en` or `es`.
        seed: What decides between wordings: the same seed always picks the same ones.

    Raises:
        ValueError: There are no phrases in `language`.
    """

    def __init__(self, language: str, seed: str) -> None:
        if language not in _TABLES:
            raise ValueError(f"no phrases in the language {language!r}")
        self.language = language
        self.injection = _INJECTIONS[language]
        self._phrases = _TABLES[language]
        self._seed = seed

    def say(self, key: str, **facts: str) -> str:
        """The phrase of `key`, with `facts` in its places."""
        wordings = self._phrases[key]
        return wordings[number(self._seed, key) % len(wordings)].format(**facts)

    def each(self, key: str) -> tuple[str, ...]:
        """All wordings of `key`, where they are a list and not a choice."""
        return self._phrases[key]

    def quote(self, text: str) -> str:
        """`text` in the language's quotation marks, without the full stop that the sentence around it has."""
        return self.say("quote", text=text.rstrip(".") or text)

    def quotes(self, texts: tuple[str, ...]) -> str:
        """Each of `texts` in quotation marks, one after another."""
        return "; ".join(self.quote(text) for text in texts)

    def moment(self, day: date, at: time | None, *, today: date) -> str:
        """`day`, and the time on it if there is one, in words; the year only if it is not the present one."""
        pattern = self.say("pattern.date" if day.year == today.year else "pattern.date_year")
        words = format_date(day, pattern, locale=self.language)
        if at is None:
            return self.say("moment.date", date=words)
        return self.say("moment.date_time", date=words, time=self.spoken_time(at))

    def spoken_time(self, at: time) -> str:
        """`at` in words, as it is said in a sentence ("7:00 PM", "las 19:00")."""
        return self.say("time.one" if at.hour == 1 else "time", time=self.clock(at))

    def clock(self, at: time) -> str:
        """`at` in figures, without an article ("7:00 PM", "19:00")."""
        return _plain_spaces(format_time(at, "short", locale=self.language))

    def money(self, amount: int, phone: str) -> str:
        """`amount` in the currency of the country that `phone` belongs to; in euros where there is none."""
        region = None
        with contextlib.suppress(phonenumbers.NumberParseException):
            region = phonenumbers.region_code_for_number(phonenumbers.parse(phone))
        currencies = get_territory_currencies(region or _THE_WORLD)
        return _plain_spaces(format_currency(amount, [*currencies, "EUR"][0], locale=self.language))


def _plain_spaces(text: str) -> str:
    """CLDR's no-break spaces look the same and compare unequal to what people type."""
    return text.replace("\u202f", " ").replace("\xa0", " ")


def number(seed: str, key: str) -> int:
    """A number that follows from `seed` and `key` alone, spread evenly."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{key}".encode()).digest()[:4])


def phone_in_words(phone: str) -> str:
    """`phone` in the grouping of its country, or as it is when it is no number with a country code."""
    try:
        parsed = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return phone
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
