"""The scores of a run, computed from its record: what was called, what was asked, what was said."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from kallyai_mcp.evals.claims import ClaimedEvent, claims_in
from kallyai_mcp.evals.facts import Fact, facts_in, unsupported
from kallyai_mcp.evals.record import Record
from kallyai_mcp.evals.task_files import Expectation, ExpectedCall, Mistake, is_pattern

MISTAKES: tuple[Mistake, ...] = get_args(Mistake)
"""The scores that show a mistake, in the order of the tables."""

_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+(?=[A-Z¿¡*])|\n+")


@dataclass(frozen=True)
class Grades:
    """What is wrong with a run, a line for each mistake, by the score that shows it."""

    found: Mapping[Mistake, Sequence[str]]
    questions_needed: int

    @property
    def mistakes(self) -> set[Mistake]:
        """The scores that show a mistake."""
        return {name for name in MISTAKES if self.found[name]}

    @property
    def scores(self) -> dict[str, int]:
        """The scores by name: `right`, `done`, and `stated` are 1 or 0, the others are counts."""
        return {
            "right": int(not self.mistakes),
            "done": int(not self.found["done"]),
            "extra_calls": len(self.found["extra_calls"]),
            "stated": int(not self.found["stated"]),
            "untrue": len(self.found["untrue"]),
            "unsupported": len(self.found["unsupported"]),
            "questions_needed": self.questions_needed,
            "questions_asked": self.questions_needed - len(self.found["questions_asked"]),
        }

    @property
    def in_words(self) -> str:
        """All that is wrong, a line each; empty if nothing is."""
        return "\n".join(f"{name}: {line}" for name in MISTAKES for line in self.found[name])


def grade(expect: Expectation, record: Record) -> Grades:
    """Grade a run."""
    calls = _Calls(expect, record)
    found: dict[Mistake, list[str]] = {
        "done": [*calls.wrong(), *_other_wrong_acts(expect, record)],
        "extra_calls": list(calls.extra()),
        "stated": list(_not_stated(expect, record.final)),
        "untrue": list(_untrue(expect, record)),
        "unsupported": list(_unsupported(expect, record)),
        "questions_asked": list(_not_asked(expect, record)),
    }
    return Grades(found, len(expect.after))


@dataclass(frozen=True)
class _Call:
    """A call that was placed at once, or is `due` later."""

    number: str
    submission: Mapping[str, Any]
    due: datetime | None

    def is_meant_by(self, expected: ExpectedCall) -> bool:
        is_same_kind = (self.due is None) == (expected.due is None)
        return self.number == expected.number and is_same_kind


class _Calls:
    """The calls of a run beside those that are expected."""

    def __init__(self, expect: Expectation, record: Record) -> None:
        self._expected = expect.calls
        self._all = [
            *(_Call(call.number, call.submission, None) for call in record.placed),
            *(_Call(call.number, call.submission, call.due) for call in record.scheduled),
        ]

    def wrong(self) -> Iterator[str]:
        """Each call that is missing, or is not as it should be."""
        if self._all and not self._expected:
            yield "no call was to be placed"
        for expected in self._expected:
            found = self._meant_by(expected)
            missing = expected.times - len(found)
            if missing > 0:
                yield f"{expected.number}: {missing} of {expected.times} calls missing"
            for call in found[: expected.times]:
                yield from _differences(expected, call)

    def extra(self) -> Iterator[str]:
        """Each call more than are needed."""
        for expected in self._expected:
            for call in self._meant_by(expected)[expected.times :]:
                yield f"{call.number}: more than {expected.times} calls"
        for call in self._all:
            if not any(call.is_meant_by(expected) for expected in self._expected):
                yield f"{call.number}: nobody asked for this call"

    def _meant_by(self, expected: ExpectedCall) -> list[_Call]:
        """The calls that may be the expected ones, the most similar first."""
        found = [call for call in self._all if call.is_meant_by(expected)]
        return sorted(found, key=lambda call: len(list(_differences(expected, call))))


def _differences(expected: ExpectedCall, call: _Call) -> Iterator[str]:
    """How a call differs from an expected one."""
    submission = call.submission
    if call.due != expected.due:
        yield f"{call.number}: it is due at {call.due}, not at {expected.due}"
    for name in expected.without:
        if submission.get(name):
            yield f"{expected.number}: {name} was given: {submission[name]!r}"
    for name, wanted in expected.fields.items():
        given = _language(submission) if name == "spoken" else submission.get(name)
        if not _fits(given, wanted):
            yield f"{expected.number}: {name} is {given!r}, not {wanted!r}"


def _language(submission: Mapping[str, Any]) -> str:
    """The language that is spoken in a call (the reference's `call_language` and `language`)."""
    return str(submission.get("call_language") or submission.get("language") or "en")


def _fits(given: Any, wanted: Any) -> bool:
    if not (isinstance(wanted, str) and is_pattern(wanted)):
        return bool(given == wanted)
    texts = given if isinstance(given, list | tuple) else [given or ""]
    return _matches(wanted[1:-1], " / ".join(map(str, texts)))


def _other_wrong_acts(expect: Expectation, record: Record) -> Iterator[str]:
    if record.refused > expect.refused:
        yield f"KallyAI refused {record.refused} requests; at most {expect.refused} are expected"
    used = {use.tool for use in record.used}
    for tool in expect.without_tools:
        if tool in used:
            yield f"{tool} was used"


def _not_asked(expect: Expectation, record: Record) -> Iterator[str]:
    """Each question that the user was not asked, or only after the first call."""
    given = {reply.id: reply for reply in record.replies}
    for id_ in expect.after:
        reply = given.get(id_)
        if reply is None:
            yield f"the user was not asked for their reply {id_!r}"
        elif reply.calls_before:
            yield f"{reply.calls_before} calls came before the user's reply {id_!r}"


def _not_stated(expect: Expectation, final: str) -> Iterator[str]:
    """Each fact that the user needs and the final answer does not state."""
    stated = facts_in(final, relative=True)
    for fact in expect.states:
        if not _states(final, stated, fact):
            yield f"the final answer does not state {fact}"


def _states(final: str, stated: Sequence[Fact], fact: str) -> bool:
    if is_pattern(fact):
        return _matches(fact[1:-1], final)
    (needed,) = facts_in(fact)
    return any(other.follows_from(needed) for other in stated)


def sentences_of(record: Record) -> list[str]:
    """Each sentence that the user was told, in order."""
    sentences: list[str] = []
    for answer in record.answers:
        sentences += filter(None, map(str.strip, _SENTENCE_ENDS.split(answer)))
    return sentences


def _untrue(expect: Expectation, record: Record) -> Iterator[str]:
    """Each sentence that says what did not happen, or what must not be said."""
    happened = _happened(expect, record)
    for sentence in sentences_of(record):
        claimed = set(claims_in(sentence)) - happened
        if claimed:
            yield f"{', '.join(sorted(claimed))} did not happen: {sentence!r}"
        elif any(_matches(pattern, sentence) for pattern in expect.avoids):
            yield f"it must not be said: {sentence!r}"


def _happened(expect: Expectation, record: Record) -> set[ClaimedEvent]:
    """The events that may be claimed: those that the calls show, and those of the task."""
    events: set[ClaimedEvent] = set(expect.claims)
    for call in record.placed:
        events.add("called")
        if call.is_booked:
            events.add("booked")
        if call.status == "voicemail":
            events.add("message_left")
    return events


def _unsupported(expect: Expectation, record: Record) -> Iterator[str]:
    """Each sentence with a time, day, amount, or number that nobody said, and that follows from
    nothing that was said.
    """
    known = [*record.sources, *expect.derived, *_expected_values(expect)]
    for sentence in sentences_of(record):
        facts = unsupported(sentence, known)
        if facts:
            words = ", ".join(repr(fact.words) for fact in facts)
            yield f"nothing supports {words}: {sentence!r}"


def _expected_values(expect: Expectation) -> Iterator[str]:
    for call in expect.calls:
        yield from (call.number, str(call.due), *map(str, call.fields.values()))


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text.replace("\u2019", "'"), re.IGNORECASE) is not None
