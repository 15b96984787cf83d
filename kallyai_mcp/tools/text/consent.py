"""Texts for the user before a call, in English and Spanish: the preview, and the form for missing details."""

from collections.abc import Sequence

from kallyai_mcp.api.models import Statistics, Submission
from kallyai_mcp.calls.numbers import for_people, local_times, place_of
from kallyai_mcp.calls.other_time import instructions_for_reader
from kallyai_mcp.calls.policy import RiskFlag
from kallyai_mcp.calls.schedule import Schedule
from kallyai_mcp.tools.text.plain import cut, number, one_line
from kallyai_mcp.tools.text.reader import Reader
from kallyai_mcp.tools.text.scheduled import due
from kallyai_mcp.tools.text.times import hour, hour_in_text, weekday

_MAX_LENGTH = 600
"""Characters of one text in a preview, which may be read on a small screen."""

_REASONS: dict[RiskFlag, tuple[str, str]] = {
    RiskFlag.LOCAL_HOUR: ("it is early or late where the call goes", "allí es muy temprano o muy tarde"),
    RiskFlag.CALLED_RECENTLY: (
        "this number was called within the last hour",
        "se llamó a este número hace menos de una hora",
    ),
    RiskFlag.FEW_MINUTES: ("few minutes or calls are left", "quedan pocos minutos o llamadas"),
    RiskFlag.COSTLY: ("calls to this number may cost more", "llamar a este número puede costar más"),
    RiskFlag.URGENT: ("it is an urgent call", "es una llamada urgente"),
}

_FIELDS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "respondent_phone": (
        ("Phone number to call", "With its country, such as +1 415 555 1234"),
        ("Número al que llamar", "Con su país, por ejemplo +34 911 23 45 67"),
    ),
    "user_name": (("Name for the booking", "As KallyAI should say it"), ("Nombre de la reserva", "Tal como se dirá")),
    "appointment_date": (("Date", "YYYY-MM-DD"), ("Fecha", "AAAA-MM-DD")),
    "appointment_time": (("Time", "HH:MM, 24 hours"), ("Hora", "HH:MM, 24 horas")),
    "party_size": (("How many people", "1 to 50"), ("Cuántas personas", "De 1 a 50")),
}

_ASKED = (("Call {}?", "You are asked because"), ("¿Llamar a {}?", "Se te pregunta porque"))
_SHOWN = (("Call to {}", "Risk"), ("Llamada a {}", "Riesgo"))
"""The heading of a preview, and the label of the reasons: `_ASKED` if the user is asked, else `_SHOWN`."""

_LISTS = ("Call up to {count} numbers, one after another?", "¿Llamar a {count} números como máximo, uno tras otro?")

_LEFT = (
    "Go on with the list, and call up to {count} more?",
    "¿Seguir con la lista y llamar a {count} más como máximo?",
)

_UNTIL = {
    "booked": ("It stops when one is booked.", "Se detiene cuando se consigue una reserva."),
    "answered": ("It stops at the first conversation.", "Se detiene en la primera conversación."),
    "all": ("Each is asked; nothing is agreed to.", "Se pregunta a todos; no se acepta nada."),
}

_LANGUAGES = {"en": ("English", "inglés"), "es": ("Spanish", "español")}


def field(name: str, spanish: bool) -> tuple[str, str]:
    """Title and description of one field of the form for missing details."""
    return _FIELDS[name][spanish]


def missing_details(business_name: object, spanish: bool) -> str:
    """The message of the form for missing details."""
    callee = f" {one_line(business_name)}" if isinstance(business_name, str) else ""
    if spanish:
        return f"Para llamar{f' a{callee}' if callee else ''} hace falta algo más."
    return f"More details are needed to call{callee}."


def reasons(risk_flags: Sequence[RiskFlag], spanish: bool) -> str:
    """Why the user is asked before this call; "" if there are no flags, because the user is asked before every call."""
    return "; ".join(_REASONS[risk_flag][spanish] for risk_flag in risk_flags)


def preview(
    submission: Submission,
    risk_flags: Sequence[RiskFlag],
    usage: Statistics | None,
    schedule: Schedule,
    reader: Reader,
    *,
    asks: bool = True,
) -> str:
    """A description of a call, for its user, before it is placed.

    Args:
        submission: What KallyAI is asked to do.
        risk_flags: Why the user is asked.
        usage: The account's statistics; None if they are not known.
        schedule: When the call is due, and how many attempts there are.
        reader: The user.
        asks: The heading asks for the user's consent; otherwise, the user is only shown the call.
    """
    phone, spanish = submission.respondent_phone, reader.spanish
    callee = ", ".join(filter(None, (one_line(submission.business_name or ""), for_people(phone))))
    place, when = place_of(phone, "es" if spanish else "en"), due(schedule, phone, reader.timezone, reader)
    clocks = [hour(t.hour, t.minute, spanish=spanish, number=phone) for t in local_times(phone, reader.now)[:3]]
    there = (" o " if spanish else " or ").join(clocks)
    spoken = submission.call_language or submission.language
    instructions = instructions_for_reader(submission, spanish=spanish)
    minutes = usage.minutes_remaining if usage is not None else None
    left = number(minutes, spanish=spanish, phone=phone) if minutes is not None else ""
    heading, label = (_ASKED if asks else _SHOWN)[spanish]
    rows = [
        heading.format(f"{callee}{f' ({place})' if place else ''}"),
        f"{label}: {why}" if (why := reasons(risk_flags, spanish)) else "",
        _row("Cuándo", "When", when, spanish),
        _row("Intentos", "Attempts", _attempts(schedule.attempts, spanish), spanish),
        _row("Hora allí", "Time there", "" if when else there, spanish),
        _row("Idioma", "Language", _LANGUAGES[spoken][spanish] if spoken in _LANGUAGES else "", spanish),
        _row("Para", "What for", cut(one_line(submission.task_description), _MAX_LENGTH), spanish),
        _row("Detalles", "Details", _details(submission, reader), spanish),
        _row("Además", "Also", cut("; ".join(map(one_line, instructions)), _MAX_LENGTH), spanish),
        _row("Minutos restantes", "Minutes left", left, spanish),
    ]
    return "\n".join(row for row in rows if row)


def _attempts(count: int, spanish: bool) -> str:
    if count == 1:
        return ""
    if spanish:
        return f"hasta {count}, si está ocupado o no contestan, cada 15 minutos o más, de 8:00 a 21:00 allí"
    return f"up to {count} if it is busy or nobody answers, at least 15 minutes apart, 8 AM to 9 PM there"


def _row(in_spanish: str, in_english: str, text: str, spanish: bool) -> str:
    return f"{in_spanish if spanish else in_english}: {text}" if text else ""


def _details(submission: Submission, reader: Reader) -> str:
    spanish = reader.spanish
    day, size, phone = submission.appointment_date, submission.party_size, submission.user_phone
    people = ("persona" if size == 1 else "personas") if spanish else ("person" if size == 1 else "people")
    parts = (
        submission.user_name,
        for_people(phone) if phone else None,
        weekday(day, reader.now, spanish=spanish) if day else None,
        hour_in_text(submission.appointment_time, spanish=spanish, number=submission.respondent_phone),
        submission.time_preference_text,
        f"{size} {people}" if size else None,
    )
    return cut(", ".join(one_line(part) for part in parts if part), _MAX_LENGTH)


def call_now(spanish: bool, *, later: bool = False) -> tuple[str, str]:
    """Title and description of the field with which the user agrees to a call now, or later."""
    if later:
        return ("Llamar entonces", "Es una llamada real") if spanish else ("Call then", "It is a real call")
    if spanish:
        return "Llamar ahora", "Es una llamada real a otra persona"
    return "Call now", "It is a real call to somebody else"


def list_preview(
    submission: Submission,
    parties: Sequence[str],
    flags: Sequence[Sequence[RiskFlag]],
    until: str,
    reader: Reader,
    *,
    goes_on: bool,
) -> str:
    """A description of a list of call_around, for its user, before its first call is placed.

    Args:
        submission: The submission for one candidate; those for the others differ only in number and name.
        parties: The candidates, in the order in which they are called.
        flags: The reasons to ask the user, for each candidate.
        until: The tool's argument: `booked`, `answered`, or `all`.
        reader: The user.
        goes_on: The list goes on, and its consent has become too old.
    """
    spanish = reader.spanish
    heading, ends = (_LEFT if goes_on else _LISTS)[spanish], _UNTIL[until][spanish]
    rows = [f"{heading.format(count=len(parties))} {ends}"]
    for party, reasons_ in zip(parties, flags, strict=True):
        why = reasons(reasons_, spanish)
        rows.append(f"- {party}{f': {why}' if why else ''}")
    instructions = instructions_for_reader(submission, spanish=spanish)
    rows += [
        _row("Para", "What for", cut(one_line(submission.task_description), _MAX_LENGTH), spanish),
        _row("Detalles", "Details", _details(submission, reader), spanish),
        _row("Además", "Also", cut("; ".join(map(one_line, instructions)), _MAX_LENGTH), spanish),
    ]
    return "\n".join(row for row in rows if row)


def to_be_confirmed(
    shown: str, confirmation: str, minutes: int, *, wrong: bool, spanish: bool, tool: str = "make_call"
) -> str:
    """The text for an agent whose client can't show a form: it asks the user, and passes on the `confirmation`.

    Args:
        shown: The preview.
        confirmation: The token for the next call of the tool.
        minutes: How long the confirmation is valid.
        wrong: The agent sent a confirmation that is not valid.
        spanish: In Spanish; otherwise in English.
        tool: The tool that takes the confirmation.
    """
    if spanish:
        first = "Esa confirmación es de otra llamada o ya no es válida; no se llamó. " if wrong else ""
        return (
            f"{first}Aún no se llamó: antes el usuario tiene que aceptar. Muéstrale esto y pregúntale:\n{shown}\n"
            f'Si acepta: {tool} con los mismos argumentos y confirmation "{confirmation}", '
            f"en los próximos {minutes} minutos. Si no, no llames."
        )
    first = "That confirmation is for another call, or too old; no call was placed. " if wrong else ""
    return (
        f"{first}Not called yet: the user must agree first. Show them this and ask:\n{shown}\n"
        f'If they agree: {tool} with the same arguments and confirmation "{confirmation}", '
        f"within {minutes} minutes. If not, do not call."
    )
