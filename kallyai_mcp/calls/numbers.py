"""What a phone number says by itself: its E.164 form, its country, the time there.

`phonenumbers` is imported late: it costs about 50 ms, and listing the tools does not need it.
"""

import json
import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

_GUESS_REGIONS = ("US", "ES", "GB")
"""The countries for which a number without a country code is read, to suggest what may be meant; never to call it."""

_LONGEST_EMERGENCY_NUMBER = 6

_MORE_EMERGENCY_NUMBERS = {
    "ES": ("061", "062", "080", "091", "092"),
    "FR": ("114", "115", "119", "191", "196"),
    "HR": ("195",),
    "IT": ("114", "117"),
    "PL": ("984", "985", "986"),
    "PT": ("117",),
}
"""Police, fire, and rescue by country (ISO 3166), where `phonenumbers` has them as ordinary short numbers."""

_MORE_PREMIUM_PREFIXES = {34: ("905", "907")}
"""Premium-rate prefixes that `phonenumbers` lacks, by country code."""

_SATELLITE_CODES = frozenset({870, 881, 882, 883})
"""Country codes of satellite networks (ITU-T E.164)."""

_EXTENSION = re.compile(r"[;,#]|ext|x", re.IGNORECASE)


@dataclass(frozen=True)
class NumberProblem:
    """Why a number can't be called.

    Attributes:
        kind: What is wrong; `tools.text.argument_words` has the words for it.
        code: The reference's code for such a number; None when it has none.
        country_code: The country code of the number, if it has one.
        meant: What the number may mean, in E.164.
        prefix: What it starts with in place of the plus sign.
        dial: For an emergency number: what the user must dial.
    """

    kind: str
    code: str | None = None
    country_code: int | None = None
    meant: tuple[str, ...] = ()
    prefix: str = ""
    dial: str | None = None


def normalize(number: str) -> str | NumberProblem:
    """The E.164 form of `number`, or what is wrong with it.

    It refuses a number without a country, an emergency number of any country, a premium-rate number, and one that its
    country does not assign.
    """
    import phonenumbers

    meant = "".join(number.split())
    prefix = next((prefix for prefix in ("011", "00") if meant.startswith(prefix)), "")
    international = f"+{meant[len(prefix) :]}" if prefix else None
    dial = _emergency_number_in(meant) or (_emergency_number_in(international) if international is not None else None)
    if dial is not None:
        return NumberProblem("emergency", "emergency_number", dial=dial)
    if not meant.startswith(("+", "\N{FULLWIDTH PLUS SIGN}")):  # people do type it
        return _without_country(meant, international, prefix)
    try:
        parsed = phonenumbers.parse(meant)
    except phonenumbers.NumberParseException as error:
        has_country = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        return NumberProblem("no_such_country" if has_country else "not_a_number")
    code = parsed.country_code or 0  # parsing succeeded, so there is one
    if parsed.extension:
        return NumberProblem("extension")
    reason = phonenumbers.is_possible_number_with_reason(parsed)
    if reason == phonenumbers.ValidationResult.TOO_SHORT:
        return NumberProblem("too_short", country_code=code)
    if reason == phonenumbers.ValidationResult.TOO_LONG:
        return NumberProblem("too_long", country_code=code)
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        return NumberProblem("impossible", country_code=code)
    if _is_premium_rate(parsed):
        return NumberProblem("premium_rate", "toll_number")
    if not phonenumbers.is_valid_number(parsed):
        return NumberProblem("invalid", country_code=code)
    e164: str = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return NumberProblem("letters", meant=(e164,)) if any(char.isalpha() for char in meant) else e164


def for_people(number: str) -> str:
    """`number` (E.164) in groups, as "+1 415-555-1234"; as it is when it can't be parsed."""
    import phonenumbers

    parsed = _parsed(number)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL) if parsed else number


def local_time(number: str, now: datetime) -> datetime | None:
    """The callee's time, or None when `number` (E.164) belongs to zones whose clocks differ."""
    times = local_times(number, now)
    return times[0] if len(times) == 1 else None


def local_times(number: str, now: datetime) -> tuple[datetime, ...]:
    """The callee's time, once for each different clock that the number may have, earliest first.

    That is `now` in the zones of the number (E.164); empty when they are not known.
    """
    # Of zones with one clock the first by name, so that the answer does not change with the library's order.
    there = (now.astimezone(ZoneInfo(zone)) for zone in reversed(zones_of_number(number)))
    by_clock = {moment.replace(tzinfo=None): moment for moment in there}
    return tuple(by_clock[clock] for clock in sorted(by_clock))


def zone_of_number(number: str) -> str | None:
    """The IANA name of the time zone of `number` (E.164); None when it has none or several."""
    zones = zones_of_number(number)
    return zones[0] if len(zones) == 1 else None


def zones_of_number(number: str) -> list[str]:
    """The IANA names of the time zones in which `number` (E.164) may be; empty when they are not known."""
    from phonenumbers import timezone

    parsed = _parsed(number)
    zones = timezone.time_zones_for_number(parsed) if parsed else ()
    return sorted(zone for zone in zones if zone != timezone.UNKNOWN_TIMEZONE)


def may_cost_more(number: str) -> bool:
    """Whether `number` (E.164) is a satellite phone, or one whose caller and callee share the cost."""
    import phonenumbers

    if (parsed := _parsed(number)) is None:
        return False
    shared = phonenumbers.number_type(parsed) == phonenumbers.PhoneNumberType.SHARED_COST
    return shared or parsed.country_code in _SATELLITE_CODES


def place_of(number: str, language: str = "en") -> str | None:
    """The country of a number (E.164), as "Spain"; None for several countries, or one that KallyAI does not call.

    In Spanish when `language` is `es`, else in English. Not the town: the geocoder of `phonenumbers` takes seconds and
    190 MB to load.
    """
    import phonenumbers

    if (parsed := _parsed(number)) is None:
        return None
    regions = phonenumbers.region_codes_for_country_code(parsed.country_code or 0)
    if len(regions) > 1:
        regions = tuple(region for region in regions if phonenumbers.is_valid_number_for_region(parsed, region))
    return _name_of(regions, language)


def country_name(code: int, language: str = "en") -> str:
    """The same for a country code, such as 34; "+1" where it belongs to several countries, or to one without a name."""
    import phonenumbers

    return _name_of(phonenumbers.region_codes_for_country_code(code), language) or f"+{code}"


def _name_of(regions: Sequence[str], language: str) -> str | None:
    """The name of the only one of `regions`, if it has one."""
    names = country_names().get(regions[0]) if len(regions) == 1 else None
    return names[language == "es"] if names else None


@cache
def country_names() -> dict[str, list[str]]:
    """In English and in Spanish, by region (ISO 3166-1): the countries that KallyAI calls, and their neighbors."""
    names: dict[str, list[str]] = json.loads((files("kallyai_mcp.calls") / "countries.json").read_text("utf-8"))
    return names


def _parsed(number: str, region: str | None = None) -> "PhoneNumber | None":
    import phonenumbers

    try:
        return phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None


def _emergency_number_in(number: str) -> str | None:
    """The digits of an emergency number of any country, or, after a country code, of that country; else None."""
    import phonenumbers

    digits = phonenumbers.normalize_digits_only(_EXTENSION.split(number, maxsplit=1)[0])
    if _is_emergency_number_in(digits, phonenumbers.SUPPORTED_SHORT_REGIONS):
        return digits
    for length in (1, 2, 3):  # no country code begins with another one
        if regions := phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length] or 0)):
            return digits[length:] if _is_emergency_number_in(digits[length:], regions) else None
    return None


def _is_emergency_number_in(digits: str, regions: Iterable[str]) -> bool:
    import phonenumbers

    return len(digits) <= _LONGEST_EMERGENCY_NUMBER and any(
        digits in _MORE_EMERGENCY_NUMBERS.get(region, ()) or phonenumbers.is_emergency_number(digits, region)
        for region in regions
    )


def _is_premium_rate(number: "PhoneNumber") -> bool:
    """Whether a number is premium-rate, or is not valid and begins like premium-rate numbers alone."""
    import phonenumbers

    premium, unknown = phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.UNKNOWN
    digits = phonenumbers.national_significant_number(number)
    if (found := phonenumbers.number_type(number)) != unknown:
        return found == premium
    if digits.startswith(_MORE_PREMIUM_PREFIXES.get(number.country_code or 0, ())):
        return True
    for kept in range(len(digits) - 1, 1, -1):
        # The library has patterns of whole numbers only, so the prefix is completed with each digit.
        others = (f"+{number.country_code}{digits[:kept]:{digit}<{len(digits)}}" for digit in string.digits)
        types = {phonenumbers.number_type(phonenumbers.parse(other)) for other in others} - {unknown}
        if types:
            return types == {premium}
    return False


def _without_country(number: str, international: str | None, prefix: str) -> NumberProblem:
    import phonenumbers

    if international is not None:
        with_plus = normalize(international)
        if isinstance(with_plus, str):
            return NumberProblem("prefix", meant=(with_plus,), prefix=prefix)
    meant: list[str] = []
    for region in _GUESS_REGIONS:
        if (parsed := _parsed(number, region)) is None:
            return NumberProblem("not_a_number")
        if phonenumbers.is_valid_number(parsed):
            meant.append(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
    return NumberProblem("no_country", meant=tuple(meant))
