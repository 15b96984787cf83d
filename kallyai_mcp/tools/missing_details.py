"""Asks the user for details that a booking can't do without: the number, the day, and the number of people."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, create_model

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.tools.arguments import without_blanks
from kallyai_mcp.tools.elicitation import Elicitation
from kallyai_mcp.tools.text.plain import one_line
from kallyai_mcp.tools.text.words import Words

_NEEDED: dict[str, tuple[str, ...]] = {
    "restaurant": ("appointment_date", "party_size"),
    "clinic": ("appointment_date",),
    "hotel": ("appointment_date", "party_size"),
}
"""What a booking needs, by the reference's `task_category`."""

_FIELDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "respondent_phone": (str, {}),
    "user_name": (str | None, {}),
    "appointment_date": (str | None, {"json_schema_extra": {"format": "date"}}),
    "party_size": (int | None, {"ge": 1, "le": 50}),
}


def lacking_details(given: Mapping[str, Any]) -> list[str]:
    """The arguments without which a booking can't be made. Without a day and a time, a call only asks."""
    category, until = given.get("task_category"), given.get("until")
    if until == "all" or "changes_call_id" in given or not given.keys() & {"appointment_date", "appointment_time"}:
        return []
    needed = _NEEDED.get(category, ()) if isinstance(category, str) else ()
    return [name for name in needed if name not in given]


async def ask_missing(given: Mapping[str, Any], elicitation: Elicitation) -> Mapping[str, Any]:
    """Ask the user in one form for the arguments of make_call or call_around that are missing.

    If the client can't show forms, nothing is asked, and validation names what is missing. Returns `given` with the
    user's answers.
    """
    missing = [] if "candidates" in given or "until" in given or "respondent_phone" in given else ["respondent_phone"]
    missing += lacking_details(given)
    if not missing or not elicitation.shows_forms:
        return given
    if missing != ["respondent_phone"] and "user_name" not in given:
        missing.insert(0, "user_name")
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


def _form(names: list[str], words: Words) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for name in names:
        kind, options = _FIELDS[name]
        if name != "respondent_phone":
            options = options | {"default": None}
        fields[name] = (kind, Field(title=words.say(name), description=words.say(f"{name}_help"), **options))
    return create_model("Details", **fields)
