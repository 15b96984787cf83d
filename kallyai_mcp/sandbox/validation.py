"""Whether KallyAI would place a call at all ("Error Code Reference"), before anything is dialled.

`RULES` says what is checked, and in which order.
"""

import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import shortnumberinfo

from kallyai_mcp.sandbox.accounts import Account
from kallyai_mcp.sandbox.errors import ApiError
from kallyai_mcp.sandbox.simulator.numbers import lookup
from kallyai_mcp.sandbox.simulator.submission import Submission

RULES = (
    "The token and its scope: missing_token (or invalid_token, token_expired), then forbidden.",
    "The form of the body: validation_error; scheduling_violation for a date that does not exist.",
    "The Idempotency-Key: a call that was placed with it is answered again, and nothing below is asked;"
    " idempotency_key_reused for another body.",
    "The number: missing_phone_number, emergency_number, validation_error unless in E.164, toll_number.",
    "The country: unsupported_country, then country_restriction for an account that may not ring a supported one.",
    "The languages: unsupported_language.",
    "The moment: scheduling_violation for a time not HH:MM, a moment past in the caller's time zone, or a date more"
    " than a year ahead.",
    "The words: safety_violation.",
    "What a test number stands for: blocked_number, suppression_violation, consent_denied and so on.",
    "The plan: quota_exceeded.",
)
"""Every rule of `POST /v1/calls`; the first that is broken is the answer."""

SUPPORTED_COUNTRIES = frozenset({
    "AD", "AT", "BE", "BG", "CA", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR",
    "GB", "GG", "GR", "HR", "HU", "IE", "IM", "IS", "IT", "JE", "LI", "LT", "LU", "LV",
    "MC", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK", "SM", "US", "VA",
})  # fmt: skip
"""ISO 3166: "US, Canada, UK, Spain, and most European countries"."""

SUPPORTED_LANGUAGES = ("en", "es")

UNSAFE = (
    "bomb threat", "amenaza de bomba", "blackmail", "chantaje", "chantajear", "harass", "acosar", "threaten",
    "amenazar", "scam them", "estafar", "impersonate the police", "hacerse pasar por la policía",
)  # fmt: skip
"""Whole words, in any case, that no submission may hold."""

LONGEST_NOTICE = timedelta(days=366)
"""How far ahead an appointment may lie."""

_UNSAFE = re.compile(r"\b(?:" + "|".join(re.escape(words) for words in UNSAFE) + r")\b", re.IGNORECASE)
_HH_MM = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_E164 = re.compile(r"\+[1-9][0-9]{4,14}")
_LONGEST_EMERGENCY_NUMBER = 6

REFUSALS: dict[str, tuple[int, str]] = {
    "blocked_number": (403, "This number is flagged as fraud"),
    "suppression_violation": (403, "This number is on the do-not-call list"),
    "consent_denied": (422, "Consent to this call was declined"),
    "safety_violation": (422, "The content of this call violates the guidelines"),
    "phone_not_provisioned": (400, "No line is provisioned for this account"),
    "rate_limited": (429, "Too many calls; try again later"),
}
"""What a test number can refuse with: HTTP status and message, by code."""


def check(submission: Submission, account: Account, zone: ZoneInfo, now: datetime) -> None:
    """Refuse what KallyAI would refuse: the rules of `RULES` from the number to what a test number stands for.

    Args:
        submission: What is asked for.
        account: Who asks.
        zone: The caller's time zone.
        now: The present moment, aware.

    Raises:
        ApiError: The first rule that the submission breaks.
    """
    number = _check_number(submission.respondent_phone)
    _check_country(number, account)
    for language in (submission.call_language, submission.language):
        if language is not None and language not in SUPPORTED_LANGUAGES:
            raise ApiError(422, "unsupported_language", "This language is not supported", "Supported languages: en, es")
    _check_moment(submission.appointment_date, submission.appointment_time, now.astimezone(zone))
    _check_content(submission)
    known = lookup(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    if known is not None and known.refusal in REFUSALS:
        status, message = REFUSALS[known.refusal]
        headers = {"Retry-After": "1"} if status == 429 else None
        raise ApiError(status, known.refusal, message, f"{known.number} is a test number of the sandbox", headers)


def _check_number(dialled: str | None) -> phonenumbers.PhoneNumber:
    dialled = (dialled or "").strip()
    if not dialled:
        raise ApiError(422, "missing_phone_number", "There is no phone number to call", "Set respondent_phone")
    if _is_emergency(dialled):
        raise ApiError(422, "emergency_number", "Emergency numbers can't be called", "Ring them yourself, at once")
    number = _read_number(dialled)
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


def _read_number(dialled: str) -> phonenumbers.PhoneNumber | None:
    """The number, or None if it isn't written in E.164 or no telephone could have it."""
    if not _E164.fullmatch(dialled):
        return None
    try:
        number = phonenumbers.parse(dialled)
    except phonenumbers.NumberParseException:
        return None
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    return number if possible else None


def _is_emergency(dialled: str) -> bool:
    """Whether this is an emergency number anywhere, or behind a country's code the one of that country."""
    digits = phonenumbers.normalize_digits_only(re.split(r"[;,#]|ext|x", dialled, maxsplit=1, flags=re.IGNORECASE)[0])
    if _is_emergency_in(digits, phonenumbers.SUPPORTED_SHORT_REGIONS):
        return True
    for length in (1, 2, 3):
        if regions := phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length] or 0)):
            return _is_emergency_in(digits[length:], regions)
    return False


def _is_emergency_in(digits: str, regions: Iterable[str]) -> bool:
    return 0 < len(digits) <= _LONGEST_EMERGENCY_NUMBER and any(
        shortnumberinfo.is_emergency_number(digits, region) for region in regions
    )


def _check_country(number: phonenumbers.PhoneNumber, account: Account) -> None:
    # A number in a range that is not in use (the fictional 555 numbers) still lies in its country code's main region.
    country = phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(
        number.country_code or 0
    )
    if country not in SUPPORTED_COUNTRIES:
        raise ApiError(403, "unsupported_country", "Calls to this country are not supported", f"Country: {country}")
    if account.regions is not None and country not in account.regions:
        raise ApiError(
            403,
            "country_restriction",
            "Your account can't call this country",
            f"Country: {country}; allowed: {', '.join(sorted(account.regions))}",
        )


def _check_moment(day: date | None, at: str | None, here: datetime) -> None:
    """Refuse what is past, or too far ahead, by the caller's own clock `here`."""
    reason = None
    if at is not None and not _HH_MM.fullmatch(at):
        reason = "appointment_time: not a time in the form HH:MM (24-hour)"
    elif day is None:
        return
    elif day < here.date():
        reason = f"appointment_date: {day} is past; it is {here.date()} in the caller's time zone"
    elif day > here.date() + LONGEST_NOTICE:
        reason = f"appointment_date: {day} is more than a year ahead"
    elif at is not None and datetime.combine(day, time.fromisoformat(at), here.tzinfo) < here:
        reason = f"appointment_time: {at} is past; it is {here:%H:%M} in the caller's time zone"
    if reason:
        raise ApiError(422, "scheduling_violation", "The date or time is not valid", reason)


def _check_content(submission: Submission) -> None:
    given = submission.model_dump(exclude_none=True).values()
    texts = [
        text for value in given for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)
    ]
    if found := _UNSAFE.search("\n".join(texts)):
        raise ApiError(
            422, "safety_violation", "The content of this call violates the guidelines", f"Not allowed: {found[0]!r}"
        )
