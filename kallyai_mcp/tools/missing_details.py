"""Asks the user for missing details: the number, and for a booking also the name, date, time, and party size."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, create_model

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.tools.arguments import without_blanks
from kallyai_mcp.tools.elicitation import Elicitation
from kallyai_mcp.tools.text.plain import one_line
from kallyai_mcp.tools.text.words import Words

_BOOKING_DETAILS: dict[str, tuple[str, ...]] = {
    "restaurant": ("user_name", "appointment_date", "appointment_time", "party_size"),
    "clinic": ("user_name", "appointment_date", "appointment_time"),
    "hotel": ("user_name", "appointment_date", "party_size"),
}
"""What the callee will ask for, by the reference's `task_category`."""

_BOOKS = re.compile(r"\b(book|reserv|schedul|table|appointment|cita|mesa|turno|habitaci)", re.IGNORECASE)
_DOES_NOT_BOOK = re.compile(r"\b(cancel|anul|opening|open|hours|horario|menu|menú|price|precio)", re.IGNORECASE)

_FIELDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "respondent_phone": (str, {}),
    "user_name": (str | None, {}),
    "appointment_date": (str | None, {"json_schema_extra": {"format": "date"}}),
    "appointment_time": (str | None, {}),
    "party_size": (int | None, {"ge": 1, "le": 50}),
}


async def ask_missing(given: Mapping[str, Any], elicitation: Elicitation) -> Mapping[str, Any]:
    """Ask the user in one form for the arguments of make_call or call_around that are missing.

    If the client can't show forms, nothing is asked. Validation then reports a required argument that is missing.

    Returns:
        `given`, with the user's answers.

    Raises:
        InputRequiredError: The tool ends here; the result in the error asks the client for the answers.
        KallyAIError: The user gave no answer (code `details_not_given`).
    """
    missing = _missing(given)
    if not missing or not elicitation.shows_forms:
        return given
    words, callee = elicitation.words, given.get("business_name")
    message = words.say("details_needed")
    if isinstance(callee, str):
        message = words.say("details_needed_for", callee=one_line(callee))
    reply = await elicitation.ask("details", message, _form(missing, words))
    if reply is None:
        return given
    if reply.action != "accept":
        raise KallyAIError("the user was asked for the missing details and did not give them", code="details_not_given")
    return {**given, **without_blanks({name: reply.content.get(name) for name in missing})}


def _missing(given: Mapping[str, Any]) -> list[str]:
    is_list = "candidates" in given or "until" in given  # call_around, which has its numbers in a list
    missing = [] if is_list or "respondent_phone" in given else ["respondent_phone"]
    if given.get("until") == "all":  # nothing is booked
        return missing
    category = given.get("task_category")
    wanted = _BOOKING_DETAILS.get(category, ()) if isinstance(category, str) else ()
    if wanted and _is_booking(given):
        missing += [name for name in wanted if name not in given]
        if "time_preference_text" in given and "appointment_time" in missing:
            missing.remove("appointment_time")
    return missing


def _is_booking(given: Mapping[str, Any]) -> bool:
    task = str(given.get("task_description", ""))
    return bool(_BOOKS.search(task)) and not _DOES_NOT_BOOK.search(task)


def _form(names: list[str], words: Words) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for name in names:
        kind, options = _FIELDS[name]
        if name != "respondent_phone":
            options = options | {"default": None}
        fields[name] = (kind, Field(title=words.say(name), description=words.say(f"{name}_help"), **options))
    return create_model("Details", **fields)
