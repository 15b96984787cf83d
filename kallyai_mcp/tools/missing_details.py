"""The details that a call can't do without: which they are, and how the user is asked for them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from mcp.types import ElicitRequestFormParams

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.numbers import for_people, normalize
from kallyai_mcp.tools.arguments import Problem, without_blanks
from kallyai_mcp.tools.elicitation import Elicitation, form
from kallyai_mcp.tools.text.consent_words import Words
from kallyai_mcp.tools.text.plain import one_line

_MOST_FORMS = 3
"""How often the user is asked at most: after that, the agent is told what is wrong."""

_MOST_CALLEES = 3
"""How many candidates of a list a form names."""

_DAY = {"appointment_date": "for which day?"}
_DAY_AND_SIZE = _DAY | {"party_size": "for how many people?"}
_NEEDED = {"restaurant": _DAY_AND_SIZE, "clinic": _DAY, "hotel": _DAY_AND_SIZE}
"""What a booking needs, by the reference's `task_category`, and what to ask the user for it."""

_NUMBER = "respondent_phone"

_FIELDS: dict[str, dict[str, Any]] = {
    _NUMBER: {"type": "string"},
    "user_name": {"type": "string"},
    "appointment_date": {"type": "string", "format": "date"},
    "party_size": {"type": "integer", "minimum": 1, "maximum": 50},
}
"""The fields of the form for what is missing."""

_NO_BOOKING = (
    "A call that books nothing, or changes a booking without changes_call_id, has its day and time "
    "in task_description "
    "alone"
)


def lacking_details(given: Mapping[str, Any]) -> list[Problem]:
    """The arguments without which a booking can't be made.

    Without a day and a time, a call only asks.
    """
    if not _is_for_new_booking(given):
        return []
    needed = _NEEDED.get(str(given.get("task_category")), {})
    return [
        Problem(name, f"missing; {ask} {_NO_BOOKING}")
        for name, ask in needed.items()
        if name not in given
    ]


def _is_for_new_booking(given: Mapping[str, Any]) -> bool:
    if "changes_call_id" in given or given.get("until") == "all":
        return False
    return bool(given.keys() & {"appointment_date", "appointment_time"})


async def ask_missing(
    given: Mapping[str, Any],
    elicitation: Elicitation,
    problems_of: Callable[[Mapping[str, Any]], Sequence[Problem]],
) -> Mapping[str, Any]:
    """Ask the user in one form for the arguments of make_call or call_around that are missing.

    A wrong answer is asked for again, by the `problems_of` the arguments; the other answers are
    kept. If the client can't show forms, nothing is asked, and validation names what is missing.
    So it does if the agent has something else to correct: the user's answers would be lost.
    Returns `given` with the user's answers.
    """
    missing = _missing_in(given)
    if not missing or not elicitation.shows_forms or _is_wrong(given, missing, problems_of):
        return given
    asked: Sequence[str] = missing
    wrong: Mapping[str, Any] = {}
    for place in range(_MOST_FORMS):
        shown = _form_for(asked, given, wrong, elicitation.words)
        reply = await elicitation.ask(f"details_{place}", shown)
        if reply is None:
            return given
        if reply.action != "accept":
            text = "the user was asked for the missing details and did not give them"
            raise KallyAIError(text, code="details_not_given")
        answers = without_blanks({name: reply.content.get(name) for name in asked})
        given = {**given, **answers}
        wrong = _wrong_among(answers, problems_of(given))
        if not wrong:
            break
        asked = list(wrong)
    return given


def _is_wrong(
    given: Mapping[str, Any],
    missing: Collection[str],
    problems_of: Callable[[Mapping[str, Any]], Sequence[Problem]],
) -> bool:
    """Whether something is wrong besides the arguments that are missing."""
    return any(problem.argument not in missing for problem in problems_of(given))


def _wrong_among(answers: Mapping[str, Any], problems: Sequence[Problem]) -> dict[str, Any]:
    """The answers that can't be used."""
    named = {problem.argument for problem in problems}
    return {name: value for name, value in answers.items() if name in named}


def _missing_in(given: Mapping[str, Any]) -> list[str]:
    """The arguments that the user can be asked for: the number, and what a booking needs."""
    wanted = []
    if given.keys().isdisjoint({"candidates", "until"}):
        wanted.append(_NUMBER)
    if details := lacking_details(given):
        wanted += ["user_name", *(one.argument for one in details)]
    return [name for name in wanted if name not in given]


def _form_for(
    asked: Sequence[str], given: Mapping[str, Any], wrong: Mapping[str, Any], words: Words
) -> ElicitRequestFormParams:
    """The form that asks for missing arguments, and says what was `wrong` with earlier answers.

    A client demands a value for the number alone.
    """
    fields = {name: words.field(name) | _FIELDS[name] for name in asked}
    message = "\n".join(_message(given, wrong, words))
    return form(message, fields, required=sorted({_NUMBER} & set(asked)))


def _message(given: Mapping[str, Any], wrong: Mapping[str, Any], words: Words) -> Iterator[str]:
    """The lines above the form: who is called, for what, and which answers can't be used."""
    callee = ", ".join(_callees(given))
    if callee:
        yield words.say("details_needed_for", callee=callee)
    else:
        yield words.say("details_needed")
    task = given.get("task_description")
    if isinstance(task, str) and task:
        yield str(words.row("what_for", one_line(task)))
    for name, value in wrong.items():
        yield words.say(f"wrong_{name}", value=one_line(str(value), 40))


def _callees(given: Mapping[str, Any]) -> list[str]:
    """Who is called, by name and number: the callee, or the first candidates of a list."""
    candidates = given.get("candidates")
    if not isinstance(candidates, list):
        return _party_of(given)
    known: list[str] = []
    for one in candidates:
        if isinstance(one, Mapping):
            known += _party_of(one)[:1]
    if len(known) > _MOST_CALLEES:
        return [*known[:_MOST_CALLEES], "…"]
    return known


def _party_of(callee: Mapping[str, Any]) -> list[str]:
    """The name of a callee, and the number, as far as they are known."""
    name = callee.get("business_name")
    number = callee.get(_NUMBER)
    known = [one_line(name)] if isinstance(name, str) else []
    normal = normalize(number) if isinstance(number, str) else None
    return [*known, for_people(normal)] if isinstance(normal, str) else known
