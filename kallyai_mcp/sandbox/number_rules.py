"""Which numbers may be called: the reference's `missing_phone_number`, `emergency_number`, and `toll_number`.

All rules use the data of `phonenumbers`, except for two small tables of what it lacks.
"""

import re
from collections.abc import Iterable

import phonenumbers
from phonenumbers import shortnumberinfo

from kallyai_mcp.sandbox.errors import ApiError

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


def check_number(phone: str | None) -> phonenumbers.PhoneNumber:
    """Return the number to call.

    Args:
        phone: `respondent_phone`, as it was sent.

    Raises:
        ApiError: 422 `missing_phone_number`, `emergency_number`, or `toll_number`, or 400 `validation_error`.
    """
    phone = (phone or "").strip()
    if not phone:
        raise ApiError(422, "missing_phone_number", "There is no phone number to call", "Set respondent_phone")
    if _is_emergency_number(phone):
        raise ApiError(422, "emergency_number", "Emergency numbers can't be called", "Call the number yourself, now")
    number = _parse(phone)
    if number is None:
        raise ApiError(
            400,
            "validation_error",
            "The request is not valid",
            "submission.respondent_phone: not a phone number in E.164, such as +14155551234",
        )
    if phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.PREMIUM_RATE:
        raise ApiError(422, "toll_number", "Premium-rate numbers can't be called")
    return number


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


def _is_emergency_number(phone: str) -> bool:
    """Whether this is an emergency number of any country, or, after a country code, of that country.

    Args:
        phone: The number in any format.
    """
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
