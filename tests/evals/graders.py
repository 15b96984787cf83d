"""Whether a run was right, by its state: what was called, what the user had said before, what the
answer says.

Each grader is a pure function of the expectation and the run. It returns what is wrong, a line
each.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kallyai_mcp.testing import PlacedCall
from tests.evals.claims import Claim, claims_in
from tests.evals.facts import facts_in, unsupported
from tests.evals.task import Expectation, ExpectedCall, GraderName, Reply, is_pattern


@dataclass(frozen=True)
class ToolUse:
    """A tool that the assistant used."""

    tool: str
    arguments: Mapping[str, Any]
    text: str
    is_error: bool


@dataclass(frozen=True)
class GivenReply:
    """A reply that the user gave."""

    reply: Reply
    calls_before: int


@dataclass(frozen=True)
class ScheduledCall:
    """A call that the server places later."""

    number: str
    due: datetime
    submission: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """What happened while the assistant did a task; `asked` is what the system prompt and the user
    said first.
    """

    asked: tuple[str, ...]
    placed: tuple[PlacedCall, ...] = ()
    scheduled: tuple[ScheduledCall, ...] = ()
    refused: int = 0
    used: tuple[ToolUse, ...] = ()
    replies: tuple[GivenReply, ...] = ()
    answers: tuple[str, ...] = ()

    @property
    def final(self) -> str:
        """The final answer."""
        return self.answers[-1] if self.answers else ""

    @property
    def sources(self) -> list[str]:
        """All that the assistant could know: the user's words, the tools' results, and what was
        said on the phone.
        """
        transcripts = [words for call in self.placed for _, words in call.transcript]
        given = [given.reply.says for given in self.replies]
        return [*self.asked, *given, *(use.text for use in self.used), *transcripts]


def check_calls(expect: Expectation, run: Run) -> list[str]:
    """The calls are those that are expected, with their fields; no other call, and no forbidden
    tool.
    """
    wrong = []
    left: list[tuple[str, Mapping[str, Any], datetime | None]] = [
        *((call.number, call.submission, None) for call in run.placed),
        *((call.number, call.submission, call.due) for call in run.scheduled),
    ]
    for expected in expect.calls:
        found = [
            one
            for one in left
            if one[0] == expected.number and (one[2] is None) == (expected.due is None)
        ]
        left = [one for one in left if one not in found]
        if len(found) != expected.times:
            kind = "placed" if expected.due is None else "scheduled"
            wrong.append(f"{expected.number}: {len(found)} calls were {kind}, not {expected.times}")
        for _, submission, due in found:
            wrong += [
                f"{expected.number}: {problem}" for problem in _wrong_fields(expected, submission)
            ]
            if due != expected.due:
                wrong.append(f"{expected.number}: it is due at {due}, not at {expected.due}")
    wrong += [f"{number}: a call that nobody asked for" for number, _, _ in left]
    if run.refused > expect.refused:
        wrong.append(
            f"KallyAI refused {run.refused} requests; at most {expect.refused} are expected"
        )
    used = {use.tool for use in run.used}
    return wrong + [f"{tool} was used" for tool in expect.without_tools if tool in used]


def _wrong_fields(expected: ExpectedCall, submission: Mapping[str, Any]) -> list[str]:
    wrong = [
        f"{name} was given: {submission[name]!r}"
        for name in expected.without
        if submission.get(name)
    ]
    for name, value in expected.fields.items():
        given = submission.get(name) if name != "spoken" else _spoken(submission)
        if isinstance(value, str) and is_pattern(value):
            text = " / ".join(given) if isinstance(given, list | tuple) else str(given or "")
            fits = _found(value[1:-1], text)
        else:
            fits = given == value
        if not fits:
            wrong.append(f"{name} is {given!r}, not {value!r}")
    return wrong


def _spoken(submission: Mapping[str, Any]) -> str:
    """The language that is spoken in a call (the reference's `call_language` and `language`)."""
    return str(submission.get("call_language") or submission.get("language") or "en")


def check_asked_first(expect: Expectation, run: Run) -> list[str]:
    """The assistant asked the user all that it had to ask, and got each reply before the first
    call.
    """
    wrong = []
    given = {each.reply.id: each for each in run.replies}
    count = len(run.placed) + len(run.scheduled)
    for id_ in expect.after:
        if id_ not in given:
            wrong.append(f"the user was not asked for their reply {id_!r}")
        elif given[id_].calls_before:
            wrong.append(
                f"{given[id_].calls_before} of {count} calls came before the user's reply {id_!r}"
            )
    return wrong


def check_facts(expect: Expectation, run: Run) -> list[str]:
    """The final answer states every fact that the expectation names."""
    stated = facts_in(run.final, relative=True)
    wrong = []
    for fact in expect.states:
        if is_pattern(fact):
            fits = _found(fact[1:-1], run.final)
        else:
            (needed,) = facts_in(fact)
            fits = any(other.follows_from(needed) for other in stated)
        if not fits:
            wrong.append(f"the final answer does not state {fact}")
    return wrong


def check_supported(expect: Expectation, run: Run) -> list[str]:
    """Each time, day, amount, and number that the user is told was said before, or follows from
    what was said.
    """
    fields = [
        str(value)
        for call in expect.calls
        for value in (call.number, call.due, *call.fields.values())
    ]
    known = [*run.sources, *expect.derived, *fields]
    return [
        f"nothing supports the {fact.kind} {fact.words!r}"
        for answer in run.answers
        for fact in unsupported(answer, known)
    ]


def check_claims(expect: Expectation, run: Run) -> list[str]:
    """The assistant does not claim what did not happen."""
    shown: set[Claim] = set(expect.claims)
    if run.placed:
        shown.add("called")
    if any(call.calendar for call in run.placed):
        shown.add("booked")
    if any(call.status == "voicemail" for call in run.placed):
        shown.add("message_left")
    return [
        f"it claims {claim!r}, which did not happen: {clause!r}"
        for answer in run.answers
        for claim, clause in claims_in(answer).items()
        if claim not in shown
    ]


def check_avoids(expect: Expectation, run: Run) -> list[str]:
    """No answer says what it must not say."""
    return [
        f"it says what it must not say: /{pattern}/"
        for pattern in expect.avoids
        if any(_found(pattern, answer) for answer in run.answers)
    ]


GRADERS: Mapping[GraderName, Callable[[Expectation, Run], list[str]]] = {
    "calls": check_calls,
    "asked_first": check_asked_first,
    "facts": check_facts,
    "supported": check_supported,
    "claims": check_claims,
    "avoids": check_avoids,
}


def grade(expect: Expectation, run: Run) -> dict[GraderName, list[str]]:
    """Return what is wrong with a run, by grader; nothing if it is right."""
    found = {name: check(expect, run) for name, check in GRADERS.items()}
    return {name: wrong for name, wrong in found.items() if wrong}


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text.replace("\u2019", "'"), re.IGNORECASE) is not None


def in_words(wrong: Mapping[Any, Sequence[str]]) -> str:
    """What the graders have found, a line each."""
    return "\n".join(f"{name}: {line}" for name, found in wrong.items() for line in found)
