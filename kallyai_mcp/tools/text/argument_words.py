"""Sentences about wrong arguments."""

from collections.abc import Mapping, Sequence
from typing import Any

from kallyai_mcp.calls.numbers import NumberProblem, country_name, place_of
from kallyai_mcp.tools.text.plain import plural
from kallyai_mcp.tools.text.times import weekday_name

_WRONG = {
    "literal_error": "{given} is not one of {expected}",
    "less_than_equal": "{given} is over the limit of {le:g}",
    "greater_than_equal": "{given} is under {ge:g}",
    "string_type": "{given} is not a text",
    "string_too_long": "{given} is longer than {max_length} characters; shorten it to what the call needs",
    "string_pattern_mismatch": "{given} is not a time as HH:MM (24 hours)",
    "int": "{given} is not a whole number",
    "int_parsing_size": "{given} is not a whole number of sensible size",
    "float": "{given} is not a number",
    "finite_number": "{given} is not a finite number",
    "number_expected": "{given} must be a number",
    "bool": "{given} is neither true nor false",
    "list_type": "{given} is not a list",
    "too_long": "{given} has more than {max_length} items",
    "model_type": '{given} is not an object such as {{"respondent_phone": "+14155551234", "business_name": "Bistro"}}',
    "no_call_of_list": "{given} is no call of this list; take the call_id of its last call",
    "iso_date": "{given} must be a date written YYYY-MM-DD",
    "date_from_datetime_parsing": "{given} is not a date that exists",
    "time_zone": "{given} is not an IANA time zone; it looks like America/New_York",
    "moment": "{given} is not a date and time; it looks like {example}",
    "before_arrival": "{given} is not after the day of arrival",
    "not_times": '{given} is not times such as "10:00-12:00, 15:00"',
    "past_time": "{given} is past; it is {now} in {zone}",
    "far_time": "{given} is more than {days} days away; call or schedule later",
    "after_appointment": "{given} is after the appointment that the call asks for",
    "other": "{given} is not what this argument takes",
    "missing": "missing or empty",
    "lacks_appointment_date": "missing; for which day?",
    "lacks_party_size": "missing; for how many people?",
    "too_short": "fewer than {min_length} candidates; make_call calls one number",
    "extra_forbidden": "a candidate has no such key; it has respondent_phone and business_name",
    "no_list": "there is no list with these arguments; to go on with the list of {given}, repeat its other arguments",
    "past_date": "{day} is past; today is {weekday}, {today}",
    "past_date_there": "{day} is past; it is {weekday}, {today} there",
    "twice": "names a number twice",
    "surrogates": "holds half of a surrogate pair, which is no text",
    "unknown": "{tool} has no such argument; it takes {takes}",
    "unknown_takes_none": "{tool} has no such argument; it takes none",
    "unknown_again": "{tool} has no such argument",
    "unknown_wish": "{tool} has no such argument; it takes {takes}. Wishes go into additional_instructions",
}
"""What is wrong with a value, by the type of pydantic's error, or its first word, or by that of this program's."""

_NUMBERS = {
    "emergency": "is an emergency number, which KallyAI can't call",
    "not_a_number": "is not a phone number; E.164 looks like +14155551234",
    "no_country": "has no country code; {meanings}",
    "no_such_country": "has a country code that doesn't exist; E.164 looks like +14155551234",
    "prefix": "starts with {prefix}; in E.164 it is {meant}",
    "letters": "has letters; in digits it is {meant}",
    "extension": "has an extension, which KallyAI does not support; give the number without it",
    "too_short": "is too short for a number of {country}",
    "too_long": "is too long for a number of {country}",
    "impossible": "is not possible as a number of {country}",
    "invalid": "is not valid as a number of {country}",
    "premium_rate": "is a premium-rate number, which KallyAI can't call",
}
"""What is wrong with a phone number, by the kind of `NumberProblem`."""

ADVICE = {
    "emergency": "tell the user to dial it themselves, now",
    "invalid": "check it with the user",
    "premium_rate": "ask the user for an ordinary one",
}
"""What an agent should do about a number, by the kind of `NumberProblem`; people don't see it."""


def wrong(kind: str, given: str, context: Mapping[str, Any]) -> str:
    """What is wrong with an argument, without a period.

    `kind` is a key of `_WRONG`; an unknown one gets a general sentence. `given` is the argument's value, quoted
    and cut, and `context` has the other values in the sentence.
    """
    values = dict(context)
    if "today" in values:
        values |= {"weekday": weekday_name(values["today"])}
    if "expected" in values:
        values |= {"expected": str(values["expected"]).replace("'", "").replace(" or ", ", ")}
    sentence = _WRONG.get(kind) or _WRONG.get(kind.partition("_")[0], _WRONG["other"])
    return sentence.format(given=given, **values)


def wrong_number(problem: NumberProblem, given: str) -> str:
    """What is wrong with a phone number, without a period."""
    meant = problem.meant[0] if problem.meant else ""
    text = _NUMBERS[problem.kind].format(
        country=country_name(problem.country_code) if problem.country_code is not None else "",
        prefix=problem.prefix,
        meant=_with_place(meant) if meant else "",
        meanings=_meanings(problem.meant),
    )
    return f"{given} {text}"


def _meanings(numbers: Sequence[str]) -> str:
    """The numbers in E.164 that a number without a country code may mean; without any, how such a number begins."""
    if not numbers:
        return "E.164 starts with + and the country code"
    return f"with one, it may be {' or '.join(map(_with_place, numbers))}"


def _with_place(number: str) -> str:
    place = place_of(number)
    return f"{number} ({place})" if place else number


def fix(count: int, *, places_calls: bool) -> str:
    """The heading above the list of wrong arguments."""
    return f"{'Not called. ' if places_calls else ''}Fix {plural(count, 'argument')}:"


def emergency(dial: str | None) -> str:
    """The text of the error for an emergency number; `dial` is what the user must dial, if that is known."""
    return (
        "Not called: KallyAI cannot call emergency services. "
        f"Tell the user to dial {dial or 'the number'} themselves, now."
    )
