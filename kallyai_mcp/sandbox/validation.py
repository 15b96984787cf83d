"""The rules for refusing calls, with the codes of the reference's "Error Code Reference"; `api.md`
lists them.
"""

import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import shortnumberinfo

from kallyai_mcp.sandbox.accounts import Account
from kallyai_mcp.sandbox.errors import ApiError, refusal
from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from kallyai_mcp.sandbox.simulator.scenario import HH_MM
from kallyai_mcp.sandbox.simulator.submission import Submission

SUPPORTED_COUNTRIES = frozenset(
    {
        "AD",
        "AT",
        "BE",
        "BG",
        "CA",
        "CH",
        "CY",
        "CZ",
        "DE",
        "DK",
        "EE",
        "ES",
        "FI",
        "FR",
        "GB",
        "GG",
        "GR",
        "HR",
        "HU",
        "IE",
        "IM",
        "IS",
        "IT",
        "JE",
        "LI",
        "LT",
        "LU",
        "LV",
        "MC",
        "MT",
        "NL",
        "NO",
        "PL",
        "PT",
        "RO",
        "SE",
        "SI",
        "SK",
        "SM",
        "US",
        "VA",
    }
)
"""ISO 3166: "US, Canada, UK, Spain, and most European countries"."""

SUPPORTED_LANGUAGES = ("en", "es")

UNSAFE = (
    "bomb threat",
    "amenaza de bomba",
    "blackmail",
    "chantaje",
    "chantajear",
    "harass",
    "acosar",
    "threaten",
    "amenazar",
    "scam them",
    "estafar",
    "impersonate the police",
    "hacerse pasar por la policía",
)
"""Phrases that no submission may contain, as whole words in upper or lower case.

The reference says only that the content "violates guidelines".
"""

LONGEST_NOTICE = timedelta(days=366)
"""How far ahead an appointment may be. The reference says only that a date is invalid."""

_E164 = re.compile(r"\+[1-9][0-9]{4,14}")
_TEST_NUMBERS = {line.number for line in TEST_NUMBERS}
_EXTENSION = re.compile(r"[;,#]|ext|x", re.IGNORECASE)
_LONGEST_EMERGENCY_NUMBER = 6

MORE_EMERGENCY_NUMBERS = {
    "ES": frozenset({"061", "062", "080", "091", "092"}),
    "FR": frozenset({"114", "115", "119", "191", "196"}),
    "HR": frozenset({"195"}),
    "IT": frozenset({"114", "117"}),
    "PL": frozenset({"984", "985", "986"}),
    "PT": frozenset({"117"}),
}
"""Numbers of police and rescue services that `phonenumbers` has as ordinary short numbers, by ISO
3166 country.
"""

_UNSAFE = re.compile(
    r"\b(?:" + "|".join(re.escape(phrase) for phrase in UNSAFE) + r")\b", re.IGNORECASE
)


def check(submission: Submission, account: Account, zone: ZoneInfo, now: datetime) -> str:
    """Return the number to call, in E.164; raise the error of the first rule, from number to words,
    that is broken.
    """
    number = _check_number(submission.respondent_phone)
    _check_country(number, account)
    for language in (submission.call_language, submission.language):
        if language is not None and language not in SUPPORTED_LANGUAGES:
            raise refusal("unsupported_language")
    _check_time(submission.appointment_date, submission.appointment_time, now.astimezone(zone))
    _check_content(submission)
    e164: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return e164


def _check_number(phone: str | None) -> phonenumbers.PhoneNumber:
    phone = (phone or "").strip()
    if not phone:
        raise refusal("missing_phone_number")
    if _is_emergency_number(phone):
        raise refusal("emergency_number")
    number = _parse(phone)
    if number is None:
        raise _invalid_number("not a phone number in E.164, such as +14155551234")
    if phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.PREMIUM_RATE:
        raise refusal("toll_number")
    # A test number is reserved for fiction, so no country has given it to anybody.
    if not phonenumbers.is_valid_number(number) and phone not in _TEST_NUMBERS:
        raise _invalid_number(f"not a valid number of country code +{number.country_code}")
    return number


def _invalid_number(reason: str) -> ApiError:
    return ApiError(
        400,
        "validation_error",
        "The request is not valid",
        f"submission.respondent_phone: {reason}",
    )


def _parse(phone: str) -> phonenumbers.PhoneNumber | None:
    """Return the number; None if it is not in E.164, or has a length that no number of its country
    has.
    """
    if not _E164.fullmatch(phone):
        return None
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return None
    if (
        phonenumbers.is_possible_number_with_reason(number)
        != phonenumbers.ValidationResult.IS_POSSIBLE
    ):
        return None
    return number


def _is_emergency_number(phone: str) -> bool:
    """Whether this is an emergency number of any country, or, after a country code, of that
    country.
    """
    digits = phonenumbers.normalize_digits_only(_EXTENSION.split(phone, maxsplit=1)[0])
    if _is_emergency_number_in(digits, phonenumbers.SUPPORTED_SHORT_REGIONS):
        return True
    for length in (1, 2, 3):  # no country code is the beginning of another one
        if regions := phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length] or 0)):
            return _is_emergency_number_in(digits[length:], regions)
    return False


def _is_emergency_number_in(digits: str, regions: Iterable[str]) -> bool:
    if not 0 < len(digits) <= _LONGEST_EMERGENCY_NUMBER:
        return False
    if any(digits in MORE_EMERGENCY_NUMBERS.get(region, ()) for region in regions):
        return True
    return any(shortnumberinfo.is_emergency_number(digits, region) for region in regions)


def _check_country(number: phonenumbers.PhoneNumber, account: Account) -> None:
    # A number without a region of its own belongs to the main region of its country code.
    main_region = phonenumbers.region_code_for_country_code(number.country_code or 0)
    country = phonenumbers.region_code_for_number(number) or main_region
    if country not in SUPPORTED_COUNTRIES:
        raise refusal("unsupported_country", f"Country: {country}")
    if account.regions is not None and country not in account.regions:
        allowed = ", ".join(sorted(account.regions))
        raise refusal("country_restriction", f"Country: {country}; allowed: {allowed}")


def _check_time(day: date | None, at: str | None, here: datetime) -> None:
    """Refuse a time that is past or too far ahead at `here`, the current time in the request's time
    zone.
    """
    reason = None
    if at is not None and not HH_MM.fullmatch(at):
        reason = "appointment_time: not a time in the form HH:MM (24-hour)"
    elif day is None:
        return
    elif day < here.date():
        reason = f"appointment_date: {day} is past; it is {here.date()} in the request's time zone"
    elif day > here.date() + LONGEST_NOTICE:
        reason = f"appointment_date: {day} is more than a year ahead"
    elif at is not None and datetime.combine(day, time.fromisoformat(at), here.tzinfo) < here:
        reason = f"appointment_time: {at} is past; it is {here:%H:%M} in the request's time zone"
    if reason:
        raise refusal("scheduling_violation", reason)


def _check_content(submission: Submission) -> None:
    given = submission.model_dump(exclude_none=True)
    instructions = given.pop("additional_instructions", [])
    texts = [value for value in given.values() if isinstance(value, str)]
    found = _UNSAFE.search("\n".join([*texts, *instructions]))
    if found is not None:
        raise refusal("safety_violation", f"Not allowed: {found[0]!r}")
