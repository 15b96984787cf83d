"""What follows from a phone number alone: its E.164 form, its country, its time zones, and why it
can't be called.

`phonenumbers` is imported in the functions: its import takes about 50 ms, and `tools/list` does not
need it.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

_GUESS_REGIONS = ("US", "ES", "GB")
"""The countries for which a number without a country code is parsed, to suggest numbers; they are
never called.
"""

_LONGEST_EMERGENCY_NUMBER = 6

_MORE_EMERGENCY_NUMBERS = {
    "ES": ("061", "062", "080", "091", "092"),
    "FR": ("114", "115", "119", "191", "196"),
    "HR": ("195",),
    "IT": ("114", "117"),
    "PL": ("984", "985", "986"),
    "PT": ("117",),
}
"""Emergency numbers by country (ISO 3166-1) that `phonenumbers` takes for ordinary short
numbers.
"""

_SATELLITES = ("+870", "+881", "+882", "+883")
"""How the numbers of satellite networks begin (ITU-T E.164)."""

_PREFIX = re.compile("^(011|00)")
"""What is dialed in place of a plus sign."""

_EXTENSION = re.compile(r"[;,#]|ext|x", re.IGNORECASE)


@dataclass(frozen=True)
class NumberProblem:
    """Why a number can't be called.

    Attributes:
        kind: What is wrong; `tools.argument_types` has the words for it. Of a number that KallyAI
            refuses to call, it is the code of "Error Code Reference": `emergency_number` or
            `toll_number`.
        meant: The numbers that may be meant, in E.164.
        dial: The digits that the user must dial, if it is an emergency number.
    """

    kind: str
    meant: tuple[str, ...] = ()
    dial: str | None = None


def normalize(number: str) -> str | NumberProblem:
    """The E.164 form of `number`, which may be in any format; or why it can't be called.

    These can't be called: a number without a country code, an emergency number of any country, a
    premium-rate number, and a number that its country does not assign.
    """
    import phonenumbers

    meant = "".join(number.split())
    dial = _emergency_number_in(meant)
    if dial is not None:
        return NumberProblem("emergency_number", dial=dial)
    if not meant.startswith(("+", "\N{FULLWIDTH PLUS SIGN}")):  # some keyboards type the wide one
        return _without_country(meant)
    parsed = _parsed(meant)
    if parsed is None:
        return NumberProblem("not_a_number")
    if parsed.extension:
        return NumberProblem("extension")
    kind = phonenumbers.number_type(parsed)
    if kind == phonenumbers.PhoneNumberType.PREMIUM_RATE:
        return NumberProblem("toll_number")
    if kind == phonenumbers.PhoneNumberType.UNKNOWN:
        return NumberProblem("invalid")
    e164: str = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if any(map(str.isalpha, meant)):
        return NumberProblem("letters", meant=(e164,))
    return e164


def for_people(number: str) -> str:
    """`number` (E.164) in groups of digits, such as "+1 415-555-1234"; unchanged when it can't be
    parsed.
    """
    import phonenumbers

    parsed = _parsed(number)
    if parsed is None:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def local_time(number: str, now: datetime) -> datetime | None:
    """`now` in the zone of `number` (E.164); None when no zone is known, or the clocks of its zones
    differ.
    """
    times = local_times(number, now)
    return times[0] if len(times) == 1 else None


def local_times(number: str, now: datetime) -> tuple[datetime, ...]:
    """`now` in the zones of `number` (E.164): one time for each different clock, earliest first.

    Empty when no zone is known.
    """
    there = (now.astimezone(ZoneInfo(zone)) for zone in zones_of_number(number))
    by_clock = {moment.replace(tzinfo=None): moment for moment in there}
    return tuple(by_clock[clock] for clock in sorted(by_clock))


def zone_of_number(number: str) -> str | None:
    """The IANA name of the time zone of `number` (E.164); None when it has none or several."""
    zones = zones_of_number(number)
    return zones[0] if len(zones) == 1 else None


def zone_of_callee(number: str | None, *, otherwise: str) -> str:
    """The IANA name of the one time zone of `number` (E.164), `otherwise` that name."""
    return zone_of_number(number or "") or otherwise


@lru_cache(1024)  # one call asks several times
def zones_of_number(number: str) -> tuple[str, ...]:
    """The IANA names of the time zones in which `number` (E.164) may be, sorted; empty when none is
    known.
    """
    from phonenumbers import PhoneNumberType
    from phonenumbers.phonenumberutil import is_number_type_geographical

    parsed = _parsed(number)
    kind = _kind_of(number)
    if parsed is None or kind == PhoneNumberType.UNKNOWN:
        return ()
    digits = str(parsed.country_code)
    if is_number_type_geographical(kind, parsed.country_code or 0):
        digits = number.removeprefix("+")
    known = _zones_by_prefix()
    while digits and digits not in known:
        digits = digits[:-1]
    return known.get(digits, ())


@cache
def _zones_by_prefix() -> dict[str, tuple[str, ...]]:
    """The time zones of numbers by prefix without a plus sign; the longest prefix counts.

    `tests/number_zones.py` makes the table, because phonenumberslite has none.
    """
    file = files("kallyai_mcp.calls") / "number_zones.json"
    table: dict[str, tuple[str, ...]] = {}
    for zones, prefixes in json.loads(file.read_text("utf-8"))["prefixes"].items():
        table |= dict.fromkeys(prefixes.split(), tuple(zones.split()))
    return table


def may_cost_more(number: str) -> bool:
    """Whether `number` (E.164) is a satellite phone or a shared-cost number."""
    from phonenumbers import PhoneNumberType

    return number.startswith(_SATELLITES) or _kind_of(number) == PhoneNumberType.SHARED_COST


@lru_cache(1024)
def place_of(number: str, language: str = "en") -> str | None:
    """The name of the country of `number` (E.164), in `language` (`en` or `es`).

    None when it may be in several countries, or is neither in a country that KallyAI calls nor in a
    neighbor of one. The town is left out, because the geocoder of `phonenumbers` takes seconds and
    190 MB to load.
    """
    import phonenumbers

    parsed = phonenumbers.parse(number)
    regions = phonenumbers.region_codes_for_country_code(parsed.country_code or 0)
    possible = [
        region for region in regions if phonenumbers.is_valid_number_for_region(parsed, region)
    ]
    names: dict[str, list[str]] = json.loads(
        (files("kallyai_mcp.calls") / "countries.json").read_text("utf-8")
    )
    if len(possible) != 1 or possible[0] not in names:
        return None
    in_english, in_spanish = names[possible[0]]
    return in_spanish if language == "es" else in_english


@lru_cache(1024)
def _parsed(number: str, region: str | None = None) -> "PhoneNumber | None":
    import phonenumbers

    try:
        return phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None


@lru_cache(1024)
def _kind_of(number: str) -> int:
    """The `PhoneNumberType` of a number (E.164); `UNKNOWN` for one that its country does not
    assign.
    """
    import phonenumbers

    parsed = _parsed(number)
    if parsed is None:
        return phonenumbers.PhoneNumberType.UNKNOWN
    return phonenumbers.number_type(parsed)


def _emergency_number_in(number: str) -> str | None:
    """The digits of the emergency number that `number` is; None when it is none.

    Without a country code, those of all countries count; with one, those of that country.
    """
    import phonenumbers

    digits = phonenumbers.normalize_digits_only(_EXTENSION.split(number, maxsplit=1)[0])
    for dialed in (digits, _PREFIX.sub("", digits)):
        if _is_emergency_number(dialed, phonenumbers.SUPPORTED_SHORT_REGIONS):
            return dialed
        for length in (1, 2, 3):
            code = dialed[:length] or "0"
            rest = dialed[length:]
            regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code), ())
            if _is_emergency_number(rest, regions):
                return rest
    return None


def _is_emergency_number(digits: str, regions: Iterable[str]) -> bool:
    """Whether these digits are an emergency number in any of the countries (ISO 3166-1)."""
    import phonenumbers

    if len(digits) > _LONGEST_EMERGENCY_NUMBER:
        return False
    for region in regions:
        if digits in _MORE_EMERGENCY_NUMBERS.get(region, ()):
            return True
        if phonenumbers.is_emergency_number(digits, region):
            return True
    return False


def _without_country(number: str) -> NumberProblem:
    """The problem of a number without a plus sign, which may have the prefix that stands for it in
    a country.
    """
    import phonenumbers

    guesses = [_parsed(number, region) for region in _GUESS_REGIONS]
    parsed = [found for found in guesses if found is not None]
    if not parsed:
        return NumberProblem("not_a_number")
    valid = filter(phonenumbers.is_valid_number, parsed)
    meant = dict.fromkeys(
        phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164) for found in valid
    )
    return NumberProblem("no_country", meant=tuple(meant))
