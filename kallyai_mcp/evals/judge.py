"""A model that judges sentences against the record, and how often it agrees with people."""

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from inspect_ai.model import ChatMessageSystem, ChatMessageUser, Model
from pydantic import BaseModel, ConfigDict

from kallyai_mcp.evals.grading import grade
from kallyai_mcp.evals.record import Record
from kallyai_mcp.evals.task_files import Expectation

Verdict = Literal["supported", "unsupported", "untrue"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

_FOLDER = Path(__file__).parent
_LINE = re.compile(r"^\W*(\d+)\W+(supported|unsupported|untrue)\b", re.MULTILINE)


class JudgeError(Exception):
    """The judge's answer has no verdict for some sentence."""


class JudgedSentence(BaseModel):
    """A sentence with the verdict of a person, and the reason."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    says: str
    verdict: Verdict
    why: str


class JudgedRun(BaseModel):
    """A run with sentences that were judged by hand against its record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    record: Record
    sentence: tuple[JudgedSentence, ...]

    @property
    def sentences(self) -> list[str]:
        """The sentences, without verdicts."""
        return [sentence.says for sentence in self.sentence]


@dataclass(frozen=True)
class Comparison:
    """A sentence with the verdict of a person and the one of a judge."""

    run: str
    sentence: JudgedSentence
    found: Verdict

    @property
    def agrees(self) -> bool:
        """Whether both are the same."""
        return self.sentence.verdict == self.found


@cache
def judged_runs() -> tuple[JudgedRun, ...]:
    """The sentences that were judged by hand."""
    content = tomllib.loads((_FOLDER / "judged_sentences.toml").read_text(encoding="utf-8"))
    return tuple(JudgedRun.model_validate(run) for run in content["run"])


async def judge(model: Model, record: Record, sentences: Sequence[str]) -> list[Verdict]:
    """What a model says of each sentence.

    Raises `JudgeError` if its answer can't be read.
    """
    if not sentences:
        return []
    prompt = (_FOLDER / "judge_prompt.md").read_text(encoding="utf-8")
    numbered = "\n".join(f"{number}: {text}" for number, text in enumerate(sentences, start=1))
    question = f"# The record\n\n{evidence_of(record)}\n\n# The sentences\n\n{numbered}"
    output = await model.generate(
        [ChatMessageSystem(content=prompt), ChatMessageUser(content=question)]
    )
    return verdicts_in(output.completion, len(sentences))


def verdicts_in(answer: str, count: int) -> list[Verdict]:
    """The verdicts for `count` sentences; raises `JudgeError` if one is missing."""
    found = {int(number): verdict for number, verdict in _LINE.findall(answer.lower())}
    verdicts: list[Verdict] = []
    for number in range(1, count + 1):
        if number not in found:
            raise JudgeError(f"the judge gave no verdict for sentence {number}: {answer!r}")
        verdicts.append(found[number])
    return verdicts


def evidence_of(record: Record) -> str:
    """The record as a judge reads it."""
    lines = [f"The user asked: {record.asked[-1]}"]
    lines += [f"The user replied: {reply.says}" for reply in record.replies]
    lines += [f"The tool {use.tool} answered: {use.text.strip()}" for use in record.used]
    for call in record.placed:
        booking = "with a booking" if call.is_booked else "without a booking"
        lines.append(f"A call to {call.number} was placed: status {call.status}, {booking}.")
        lines += [f"  {words}" for words in call.words]
    lines += [f"A call to {call.number} is scheduled for {call.due}." for call in record.scheduled]
    lines.append(f"Calls placed: {len(record.placed)}; scheduled: {len(record.scheduled)}.")
    return "\n".join(lines)


def by_patterns(record: Record, sentence: str) -> Verdict:
    """What the patterns of `grading` say of a sentence."""
    found = grade(Expectation(), record.with_final(sentence)).found
    if found["untrue"]:
        return "untrue"
    return "unsupported" if found["unsupported"] else "supported"


def compare_patterns() -> list[Comparison]:
    """The patterns beside people."""
    return [
        Comparison(run.name, sentence, by_patterns(run.record, sentence.says))
        for run in judged_runs()
        for sentence in run.sentence
    ]


async def compare_model(model: Model) -> list[Comparison]:
    """A model beside people; raises `JudgeError` as `judge`."""
    compared: list[Comparison] = []
    for run in judged_runs():
        found = await judge(model, run.record, run.sentences)
        for sentence, verdict in zip(run.sentence, found, strict=True):
            compared.append(Comparison(run.name, sentence, verdict))
    return compared


def agreement(compared: Sequence[Comparison]) -> str:
    """How often they agree, by verdict, and each sentence that they judge otherwise."""
    given = Counter(one.sentence.verdict for one in compared)
    right = Counter(one.sentence.verdict for one in compared if one.agrees)
    lines = [f"{right.total()} of {given.total()} verdicts are those of people:"]
    lines += [f"  {verdict:12} {right[verdict]:2} of {given[verdict]}" for verdict in VERDICTS]
    for one in compared:
        if not one.agrees:
            lines.append(f"{one.run}: {one.sentence.says!r}")
            lines.append(f"  {one.found}; people: {one.sentence.verdict}. {one.sentence.why}")
    return "\n".join(lines)
