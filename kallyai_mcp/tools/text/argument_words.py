"""Sentences about wrong arguments."""

from collections.abc import Mapping
from typing import Any

from kallyai_mcp.calls.numbers import NumberProblem, country_name, place_of

_KINDS = {"string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
"""What is expected, by the type in a schema."""

_WRONG = {
    "date_from_datetime_parsing": "{given} is not a date that exists",
    "extra_forbidden": "a candidate has no such key; it has respondent_phone and business_name",
    "missing": "missing or empty",
    "model_type": '{given} is not an object such as {{"respondent_phone": "+14155551234", "business_name": "Bistro"}}',
    "string_too_long": "{given} is longer than {max_length} characters; shorten it to what the call needs",
    "string_unicode": "holds half of a surrogate pair, which is no text",
    "too_short": "fewer than {min_length} candidates; make_call calls one number",
}
"""What is wrong with a value, by the type of pydantic's error, where the schema does not say what was expected."""

_NO_BOOKING = (
    "A call that books nothing, or changes a booking without changes_call_id, has its day and time in task_description "
    "alone"
)

LACKING = {
    "appointment_date": f"missing; for which day? {_NO_BOOKING}",
    "party_size": f"missing; for how many people? {_NO_BOOKING}",
}
"""What to ask the user, by the argument that a booking lacks."""

_NUMBERS = {
    "not_a_number": "is not a phone number; E.164 looks like +14155551234",
    "no_country": "has no country code",
    "no_such_country": "has a country code that doesn't exist; E.164 looks like +14155551234",
    "prefix": "starts with {prefix}",
    "letters": "has letters",
    "extension": "has an extension, which KallyAI does not support; give the number without it",
    "too_short": "is too short for a number of {country}",
    "too_long": "is too long for a number of {country}",
    "impossible": "is not possible as a number of {country}",
    "invalid": "is not valid as a number of {country}; check it with the user",
}
"""What is wrong with a phone number, by the kind of `NumberProblem`."""


def wrong(kind: str, given: str, context: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """What is wrong with an argument, without a period.

    `kind` is the type of pydantic's error, and `context` has the values of its sentence. `given` is the argument's
    value, quoted and cut; `expected` is its schema.
    """
    if kind in _WRONG:
        return _WRONG[kind].format(given=given, **context)
    if "enum" in expected:
        return f"expected one of {', '.join(expected['enum'])}; got {given}"
    described = f": {expected['description']}" if "description" in expected else ""
    return f"expected {_KINDS.get(expected.get('type', 'string'), 'a list')}{described}; got {given}"


def wrong_number(problem: NumberProblem) -> str:
    """What is wrong with a phone number, and what may be meant, as it follows the number, without a period."""
    country = country_name(problem.country_code) if problem.country_code is not None else ""
    wrong = _NUMBERS[problem.kind].format(country=country, prefix=problem.prefix)
    meant = " or ".join(map(_with_place, problem.meant))
    if meant:
        return f"{wrong}; it may be {meant}"
    return f"{wrong}; E.164 looks like +14155551234" if problem.kind == "no_country" else wrong


def _with_place(number: str) -> str:
    place = place_of(number)
    return f"{number} ({place})" if place else number
