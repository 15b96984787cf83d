"""Which numbers may be called: the reference's `missing_phone_number`, `emergency_number`, and `toll_number`.

All rules use the data of `phonenumbers`. Two small tables here have numbers that its data lacks.
"""

import re
import string
from collections.abc import Iterable

import phonenumbers
from phonenumbers import shortnumberinfo
from phonenumbers.phonemetadata import PhoneMetadata

from kallyai_mcp.sandbox.errors import ApiError, refusal
from kallyai_mcp.sandbox.simulator.numbers import lookup

_PREMIUM_RATE = phonenumbers.PhoneNumberType.PREMIUM_RATE
_E164 = re.compile(r"\+[1-9][0-9]{4,14}")
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
"""Numbers of police and rescue services that `phonenumbers` has as ordinary short numbers, by ISO 3166 country."""

_MORE_PREMIUM_PREFIXES = {34: ("905", "907")}
"""Premium-rate prefixes that `phonenumbers` lacks, by country code."""


def check_number(phone: str | None) -> phonenumbers.PhoneNumber:
    """Return the number to call.

    Raises:
        ApiError: 422 `missing_phone_number`, `emergency_number`, or `toll_number`, or 400 `validation_error`.
    """
    phone = (phone or "").strip()
    if not phone:
        raise refusal("missing_phone_number")
    if _is_emergency_number(phone):
        raise refusal("emergency_number")
    number = _parse(phone)
    if number is None:
        raise _invalid_number("not a phone number in E.164, such as +14155551234")
    is_valid = phonenumbers.is_valid_number(number)
    if phonenumbers.number_type(number) == _PREMIUM_RATE or (not is_valid and _has_premium_prefix(number)):
        raise refusal("toll_number")
    if not is_valid and lookup(phone) is None:
        raise _invalid_number(f"not a valid number of country code +{number.country_code}")
    return number


def _invalid_number(reason: str) -> ApiError:
    return ApiError(400, "validation_error", "The request is not valid", f"submission.respondent_phone: {reason}")


def _parse(phone: str) -> phonenumbers.PhoneNumber | None:
    """Return the number; None if it is not in E.164, or has a length that no number of its country has."""
    if not _E164.fullmatch(phone):
        return None
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    return number if possible else None


def _has_premium_prefix(number: phonenumbers.PhoneNumber) -> bool:
    """Whether an invalid number begins like premium-rate numbers.

    Takes the longest prefix that the number shares with valid numbers of its country; all of these must be
    premium-rate. To find valid numbers, the prefix is completed with equal digits, since `phonenumbers` has patterns of
    whole numbers only.
    """
    code = number.country_code or 0
    digits = phonenumbers.national_significant_number(number)
    if digits.startswith(_MORE_PREMIUM_PREFIXES.get(code, ())):
        return True
    region = phonenumbers.region_code_for_country_code(code)
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    premium_lengths = metadata.premium_rate.possible_length if metadata and metadata.premium_rate else ()
    for kept in range(len(digits) - 1, 1, -1):
        types = {
            phonenumbers.number_type(phonenumbers.parse(f"+{code}{digits[:kept]}{(length - kept) * digit}"))
            for length in {len(digits), *premium_lengths}
            for digit in string.digits
            if length > kept
        } - {phonenumbers.PhoneNumberType.UNKNOWN}
        if types:
            return types == {_PREMIUM_RATE}
    return False


def _is_emergency_number(phone: str) -> bool:
    """Whether this is an emergency number of any country, or, after a country code, of that country."""
    digits = phonenumbers.normalize_digits_only(_EXTENSION.split(phone, maxsplit=1)[0])
    if _is_emergency_number_in(digits, phonenumbers.SUPPORTED_SHORT_REGIONS):
        return True
    for length in (1, 2, 3):  # no country code is the beginning of another one
        if regions := phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length] or 0)):
            return _is_emergency_number_in(digits[length:], regions)
    return False


def _is_emergency_number_in(digits: str, regions: Iterable[str]) -> bool:
    return 0 < len(digits) <= _LONGEST_EMERGENCY_NUMBER and any(
        digits in MORE_EMERGENCY_NUMBERS.get(region, ()) or shortnumberinfo.is_emergency_number(digits, region)
        for region in regions
    )
