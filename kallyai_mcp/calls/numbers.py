"""What a phone number can tell by itself, asked of the `phonenumbers` library.

That library is imported late: it costs about 50 ms, and listing the tools needs none of it.
"""

from dataclasses import dataclass
from datetime import datetime

from kallyai_mcp.calls.policy import local_times

_GUESS_REGIONS = ("US", "ES", "GB")
"""Whose national numbers a number without its country is held against, to show how it may be meant; never to dial."""


@dataclass(frozen=True)
class NumberProblem:
    """Why a number can't be rung, in words that follow its quoted text."""

    text: str


def normalize(number: str) -> str | NumberProblem:
    """The E.164 form of `number`, or what is wrong with it.

    Refused is only what is certain: no country, not a possible number, an emergency number, a premium-rate number.
    """
    import phonenumbers

    meant = "".join(number.split())
    international = f"+{meant[2:]}" if meant.startswith("00") else None
    if not meant.startswith(("+", "\N{FULLWIDTH PLUS SIGN}")):  # people do type it
        if _is_emergency_everywhere(meant):
            return NumberProblem(
                "is an emergency number, which KallyAI can't call; tell the user to call it themselves"
            )
        return NumberProblem(_without_country(meant, international))
    try:
        parsed = phonenumbers.parse(meant)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
            return NumberProblem("has a country code that doesn't exist; E.164 looks like +14155551234")
        return NumberProblem("is not a phone number; E.164 looks like +14155551234")
    code = parsed.country_code or 0  # parsing succeeded, so there is one
    region = phonenumbers.region_code_for_country_code(code)
    if phonenumbers.is_emergency_number(str(parsed.national_number), region):
        return NumberProblem("is an emergency number, which KallyAI can't call; tell the user to call it themselves")
    if parsed.extension:
        return NumberProblem("has an extension, which KallyAI can't call; give the number alone")
    reason = phonenumbers.is_possible_number_with_reason(parsed)
    where = f"a number of {_country(code)}"
    if reason == phonenumbers.ValidationResult.TOO_SHORT:
        return NumberProblem(f"is too short for {where}")
    if reason == phonenumbers.ValidationResult.TOO_LONG:
        return NumberProblem(f"is too long for {where}")
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        return NumberProblem(f"is not possible as {where}")
    if phonenumbers.number_type(parsed) == phonenumbers.PhoneNumberType.PREMIUM_RATE:
        return NumberProblem("is a premium-rate number, which KallyAI can't call; ask the user for an ordinary one")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def for_people(number: str) -> str:
    """`number` (E.164) in groups, as "+1 415-555-1234"; as it is when it can't be parsed."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def local_time(number: str, now: datetime) -> datetime | None:
    """The time where `number` (E.164) rings, or None when it could ring in zones whose clocks differ."""
    times = local_times(number, now)
    return times[0] if len(times) == 1 else None


def _country(code: int) -> str:
    import phonenumbers

    regions = phonenumbers.region_codes_for_country_code(code)
    return regions[0] if len(regions) == 1 else f"+{code}"


def _is_emergency_everywhere(number: str) -> bool:
    import phonenumbers

    return any(phonenumbers.is_emergency_number(number, region) for region in _GUESS_REGIONS)


def _without_country(number: str, international: str | None) -> str:
    import phonenumbers

    if international is not None:
        with_plus = normalize(international)
        if isinstance(with_plus, str):
            return f"starts with 00; in E.164 it is {with_plus}"
    meanings: list[str] = []
    for region in _GUESS_REGIONS:
        try:
            parsed = phonenumbers.parse(number, region)
        except phonenumbers.NumberParseException:
            return "is not a phone number; E.164 looks like +14155551234"
        if phonenumbers.is_valid_number(parsed):
            e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
            meanings.append(f"as a {region} number it is {e164}")
    return f"lacks its country; {', '.join(meanings) or 'E.164 starts with + and the country code'}"
