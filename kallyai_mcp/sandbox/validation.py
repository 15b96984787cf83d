"""The rules for refusing calls, with the codes of the reference's "Error Code Reference".

`CALL_RULES` lists the checks in their order.
"""

import re
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import phonenumbers

from kallyai_mcp.sandbox.accounts import Account
from kallyai_mcp.sandbox.errors import refusal
from kallyai_mcp.sandbox.number_rules import check_number
from kallyai_mcp.sandbox.simulator.scenario import HH_MM
from kallyai_mcp.sandbox.simulator.submission import Submission

CALL_RULES = {
    "en": (
        "The token and its scope: missing_token (or invalid_token, token_expired), then forbidden.",
        "The schema of the body: validation_error; scheduling_violation for a date that does not exist.",
        "The Idempotency-Key: if it has placed a call, that call is the response, and no rule below applies;"
        " idempotency_key_reused for another body.",
        "The number: missing_phone_number, emergency_number, validation_error unless in E.164, toll_number (also for an"
        " invalid number with a premium-rate prefix), validation_error for any other number that its country can't"
        " have.",
        "The country: unsupported_country, then country_restriction if it is not one of the account's countries.",
        "The languages: unsupported_language.",
        "The time: scheduling_violation for a time that is not HH:MM, a time that is past in the request's time zone,"
        " or a date more than a year ahead.",
        "The words: safety_violation.",
        "The line: blocked_number, suppression_violation, consent_denied, and so on, as its scenario says.",
        "The plan: quota_exceeded.",
    ),
    "es": (
        "El token y su permiso: missing_token (o invalid_token, token_expired), luego forbidden.",
        "El esquema del cuerpo: validation_error; scheduling_violation para una fecha que no existe.",
        "La Idempotency-Key: si ya hizo una llamada, esa llamada es la respuesta y no se aplica ninguna regla de abajo;"
        " idempotency_key_reused con otro cuerpo.",
        "El número: missing_phone_number, emergency_number, validation_error si no es E.164, toll_number (también para"
        " un número no válido con prefijo de tarificación especial), validation_error para cualquier otro número que su"
        " país no puede tener.",
        "El país: unsupported_country, luego country_restriction si no es uno de los países de la cuenta.",
        "Los idiomas: unsupported_language.",
        "La hora: scheduling_violation para una hora que no es HH:MM, una hora ya pasada en la zona horaria de la"
        " solicitud, o una fecha a más de un año.",
        "Las palabras: safety_violation.",
        "La línea: blocked_number, suppression_violation, consent_denied, etc., como dice su escenario.",
        "El plan: quota_exceeded.",
    ),
}
"""The rules of `POST /v1/calls` by language; the response is the error of the first rule that the request breaks."""

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
    """Check the rules of `CALL_RULES` from the number to the words.

    Args:
        submission: The request's submission.
        account: The account that places the call.
        zone: The request's time zone.
        now: The current time, aware.

    Returns:
        The number to call, in E.164.

    Raises:
        ApiError: The first rule that the submission breaks.
    """
    number = check_number(submission.respondent_phone)
    _check_country(number, account)
    for language in (submission.call_language, submission.language):
        if language is not None and language not in SUPPORTED_LANGUAGES:
            raise refusal("unsupported_language", "Supported languages: en, es")
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
