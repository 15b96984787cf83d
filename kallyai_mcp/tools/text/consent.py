"""What a user reads before a call: the preview that they agree to, and the form for what is missing; en and es."""

from collections.abc import Sequence
from datetime import datetime

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.numbers import for_people
from kallyai_mcp.calls.policy import RiskFlag
from kallyai_mcp.tools.text.plain import cut, number, offset, one_line

_LONGEST = 600
"""Characters of one text in a preview: a user reads it on a small screen."""

_WHY: dict[RiskFlag, tuple[str, str]] = {
    RiskFlag.HOUR_THERE: ("it is early or late where the phone rings", "allí es muy temprano o muy tarde"),
    RiskFlag.RUNG_RECENTLY: (
        "this number was rung within the last hour",
        "se llamó a este número hace menos de una hora",
    ),
    RiskFlag.DOUBTFUL_NUMBER: ("the number does not look like one that exists", "el número no parece existir"),
    RiskFlag.FEW_MINUTES: ("few minutes or calls are left", "quedan pocos minutos o llamadas"),
    RiskFlag.URGENT: ("it is an urgent call", "es una llamada urgente"),
}

_FIELDS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "respondent_phone": (
        ("Phone number to ring", "With its country, such as +1 415 555 1234"),
        ("Número al que llamar", "Con su país, por ejemplo +34 911 23 45 67"),
    ),
    "user_name": (("Name for the booking", "As it is to be said"), ("Nombre de la reserva", "Tal como se dirá")),
    "appointment_date": (("Date", "YYYY-MM-DD"), ("Fecha", "AAAA-MM-DD")),
    "appointment_time": (("Time", "HH:MM, 24 hours"), ("Hora", "HH:MM, 24 horas")),
    "party_size": (("How many people", "1 to 50"), ("Cuántas personas", "De 1 a 50")),
}

_LANGUAGES = {"en": ("English", "inglés"), "es": ("Spanish", "español")}


def field(name: str, spanish: bool) -> tuple[str, str]:
    """Title and description of one field of the form for missing details."""
    return _FIELDS[name][spanish]


def details_wanted(business_name: object, spanish: bool) -> str:
    """The form's message."""
    whom = f" {one_line(business_name)}" if isinstance(business_name, str) else ""
    if spanish:
        return f"Para llamar{f' a{whom}' if whom else ''} hace falta algo más."
    return f"A little more is needed to ring{whom}."


def why(risk_flags: Sequence[RiskFlag], spanish: bool) -> str:
    """Why somebody asks before this call; one who is always asked gets no reason."""
    return "; ".join(_WHY[risk_flag][spanish] for risk_flag in risk_flags)


def preview(
    submission: Submission,
    *,
    place: str | None,
    times: Sequence[datetime],
    minutes_left: float | None,
    risk_flags: Sequence[RiskFlag],
    spanish: bool,
) -> str:
    """The call as its user sees it before it is made.

    Args:
        submission: What is to be said to whom.
        place: Where the number is at home.
        times: The time there now, in each zone that it may be.
        minutes_left: Of the quota.
        risk_flags: What speaks against ringing without asking.
        spanish: In Spanish, else in English.
    """
    number_ = for_people(submission.respondent_phone)
    whom = f"{one_line(submission.business_name)}, {number_}" if submission.business_name else number_
    there = " / ".join(f"{moment:%H:%M} {offset(moment)}" for moment in times[:3])
    spoken = submission.call_language or submission.language
    rows = [
        ("¿Llamar a {}?" if spanish else "Ring {}?").format(f"{whom}{f' ({place})' if place else ''}"),
        _row("Es por", "Because", why(risk_flags, spanish), spanish),
        _row("Hora allí", "Time there", there, spanish),
        _row("Idioma", "Language", _LANGUAGES[spoken][spanish] if spoken in _LANGUAGES else "", spanish),
        _row("Para", "What for", cut(one_line(submission.task_description), _LONGEST), spanish),
        _row("Detalles", "Details", _details(submission), spanish),
        _row(
            "Además", "Also", cut("; ".join(map(one_line, submission.additional_instructions or ())), _LONGEST), spanish
        ),
        _row("Minutos restantes", "Minutes left", number(minutes_left) if minutes_left is not None else "", spanish),
    ]
    return "\n".join(row for row in rows if row)


def _row(in_spanish: str, in_english: str, text: str, spanish: bool) -> str:
    return f"{in_spanish if spanish else in_english}: {text}" if text else ""


def _details(submission: Submission) -> str:
    parts = (
        submission.user_name,
        submission.user_phone,
        str(submission.appointment_date) if submission.appointment_date else None,
        submission.appointment_time,
        submission.time_preference_text,
        f"{submission.party_size} p." if submission.party_size else None,
    )
    return cut(", ".join(one_line(part) for part in parts if part), _LONGEST)


def ring_now(spanish: bool) -> tuple[str, str]:
    """Title and description of the one field by which a user agrees."""
    if spanish:
        return "Llamar ahora", "Es una llamada de verdad a otra persona"
    return "Ring now", "It is a real call to somebody else"


def to_be_confirmed(shown: str, confirmation: str, minutes: int, *, wrong: bool) -> str:
    """What an agent reads whose client can't show the user a form."""
    first = "That confirmation is not for this very call, or too old; nothing was dialled. " if wrong else ""
    return (
        f"{first}Not dialled yet: the user must agree first. Show them this and ask:\n{shown}\n"
        f'If they agree: make_call with the same arguments and confirmation "{confirmation}", '
        f"within {minutes} minutes. If not, leave it."
    )
