"""The phrases of a simulated call: wordings chosen by the submission, and dates, times, and amounts in words."""

import contextlib
import hashlib
import tomllib
from datetime import date, time
from functools import cache
from importlib.resources import files
from typing import Final

import phonenumbers
from babel.dates import format_date, format_time
from babel.numbers import format_currency, get_currency_name, get_territory_currencies

from kallyai_mcp.sandbox.simulator import spanish_times

_SPANISH: Final = (("+1", "es_US"), ("+52", "es_MX"))
"""The locales of Spanish by country code; for all other numbers, the formats are those of Spain."""
_WORLD: Final = "001"  # the region of numbers without a country; it has no currency


@cache
def phrases() -> dict[str, dict[str, list[str]]]:
    """Return the wordings of each phrase by key and language; read with the first call."""
    return tomllib.loads((files("kallyai_mcp.sandbox.simulator") / "phrases.toml").read_text(encoding="utf-8"))


class Phrasebook:
    """The phrases of one language.

    Args:
        language: `en` or `es`.
        seed: The same seed always chooses the same wordings.
        phone: The number that is called (E.164): times and amounts in Spanish are written as in its country.
        aloud: For what is said on the phone: times and amounts in Spanish are in words.
    """

    def __init__(self, language: str, seed: str, *, phone: str = "", aloud: bool = False) -> None:
        self.language = language
        self._phone = phone
        self._is_aloud = aloud and language == "es"
        of_place = next((name for code, name in _SPANISH if phone.startswith(code)), "es")
        self._locale = of_place if language == "es" else language
        self._seed = seed

    def say(self, key: str, **facts: str) -> str:
        """Return the phrase of `key` with `facts` inserted."""
        wordings = phrases()[key][self.language]
        text = wordings[number(self._seed, key) % len(wordings)].format(**facts)
        return text.replace(" m..", " m.")  # after "p. m.", no second period

    def quote(self, text: str) -> str:
        """Return `text` in the language's quotation marks, without its final period."""
        return self.say("quote", text=text.rstrip(".") or text)

    def quotes(self, texts: tuple[str, ...]) -> str:
        """Return each of `texts` in quotation marks, separated by semicolons."""
        return "; ".join(self.quote(text) for text in texts)

    def moment(self, day: date, at: time | None, *, today: date) -> str:
        """Return a date, and a time if it is not None, in words; with its year if that is not the current one."""
        pattern = self.say("pattern.date" if day.year == today.year else "pattern.date_year")
        date_in_words = format_date(day, pattern, locale=self.language)
        if at is None:
            return self.say("moment.date", date=date_in_words)
        return self.say("moment.date_time", date=date_in_words, time=self.spoken_time(at))

    def spoken_time(self, at: time) -> str:
        """Return a time as it is in a sentence ("7:00 PM", "las siete de la tarde", "las 19:00")."""
        if self._is_aloud:
            return spanish_times.in_words(at)
        text = _plain_spaces(format_time(at, "short", locale=self._locale))
        text = text.replace("a.m.", "a. m.").replace("p.m.", "p. m.")  # as Spanish spelling wants it
        return self.say("time.one" if text.startswith("1:") else "time", time=text)

    def money(self, amount: int) -> str:
        """Return `amount` in the currency of the country that is called; in euros if that has none."""
        region = None
        with contextlib.suppress(phonenumbers.NumberParseException):
            region = phonenumbers.region_code_for_number(phonenumbers.parse(self._phone))
        currency = [*get_territory_currencies(region or _WORLD), "EUR"][0]
        if self._is_aloud:  # "67 pesos", not "67 pesos mexicanos"
            return f"{amount} {get_currency_name(currency, count=amount, locale='es').split()[0]}"
        return _plain_spaces(format_currency(amount, currency, locale=self._locale))


def _plain_spaces(text: str) -> str:
    """Replace CLDR's no-break spaces, which are not equal to typed spaces."""
    return text.replace("\u202f", " ").replace("\xa0", " ")


def number(seed: str, key: str) -> int:
    """Return a hash of `seed` and `key` as a non-negative number."""
    return int.from_bytes(hashlib.sha256(f"{seed}\n{key}".encode()).digest()[:4])


def phone_in_words(phone: str) -> str:
    """Return `phone` in its country's format; unchanged if it is not a number with a country code."""
    try:
        parsed = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return phone
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
