"""The rules for refusing calls, with the codes of the reference's "Error Code Reference"; `api.md` lists them."""

import re
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import phonenumbers

from kallyai_mcp.sandbox.accounts import Account
from kallyai_mcp.sandbox.errors import refusal
from kallyai_mcp.sandbox.number_rules import check_number
from kallyai_mcp.sandbox.simulator.scenario import HH_MM
from kallyai_mcp.sandbox.simulator.submission import Submission

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
"""Phrases that no submission may contain, as whole words in upper or lower case."""

LONGEST_NOTICE = timedelta(days=366)
"""How far ahead an appointment may be."""

_UNSAFE = re.compile(r"\b(?:" + "|".join(re.escape(phrase) for phrase in UNSAFE) + r")\b", re.IGNORECASE)


def check(submission: Submission, account: Account, zone: ZoneInfo, now: datetime) -> str:
    """Check the rules from the number to the words, and return the number to call, in E.164.

    Raises:
        ApiError: The first rule that the submission breaks.
    """
    number = check_number(submission.respondent_phone)
    _check_country(number, account)
    for language in (submission.call_language, submission.language):
        if language is not None and language not in SUPPORTED_LANGUAGES:
            raise refusal("unsupported_language")
    _check_time(submission.appointment_date, submission.appointment_time, now.astimezone(zone))
    _check_content(submission)
    e164: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return e164


def _check_country(number: phonenumbers.PhoneNumber, account: Account) -> None:
    # A number without a region of its own belongs to the main region of its country code.
    country = phonenumbers.region_code_for_number(number) or phonenumbers.region_code_for_country_code(
        number.country_code or 0
    )
    if country not in SUPPORTED_COUNTRIES:
        raise refusal("unsupported_country", f"Country: {country}")
    if account.regions is not None and country not in account.regions:
        allowed = ", ".join(sorted(account.regions))
        raise refusal("country_restriction", f"Country: {country}; allowed: {allowed}")


def _check_time(day: date | None, at: str | None, here: datetime) -> None:
    """Refuse a time that is past or too far ahead at `here`, the current time in the request's time zone."""
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
    given = submission.model_dump(exclude_none=True).values()
    texts = [
        text for value in given for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)
    ]
    if found := _UNSAFE.search("\n".join(texts)):
        raise refusal("safety_violation", f"Not allowed: {found[0]!r}")
