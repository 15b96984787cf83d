"""The format of the tasks: `tasks/*.toml`, one file for each theme."""

import re
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from kallyai_mcp.sandbox.simulator.scenario import E164, Line
from tests.evals.claims import Claim
from tests.evals.facts import TODAY, facts_in

FOLDER = Path(__file__).parent / "tasks"

NOW = datetime(TODAY.year, TODAY.month, TODAY.day, 15, 0, tzinfo=UTC)
"""When every task begins: Monday, January 26, 2026, 10:00 AM in New York, where the user is."""

TIMEZONE = "America/New_York"

PHRASINGS = 3

GraderName = Literal["calls", "asked_first", "facts", "supported", "claims", "avoids"]


def _compiles(pattern: str) -> str:
    re.compile(pattern)
    return pattern


def _is_fact(text: str) -> str:
    if is_pattern(text):
        return _compiles(text)
    facts = facts_in(text)
    if len(facts) != 1 or len(facts[0].values) != 1:
        raise ValueError(f"{text!r} is not one fact, such as 9 AM, 20:30, 2026-01-30, or $45; /words/ are a pattern")
    return text


def is_pattern(text: str) -> bool:
    """Whether a fact is a regular expression, such as `/busy|engaged/`."""
    return len(text) > 2 and text[0] == text[-1] == "/"


Pattern = Annotated[str, AfterValidator(_compiles)]
"""A regular expression; upper and lower case are the same."""

StatedFact = Annotated[str, AfterValidator(_is_fact)]
"""A time, a day, an amount, or a number as `facts_in` reads it; or a pattern between slashes."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reply(_Strict):
    """What the user answers when the assistant asks something; each reply is given once.

    Attributes:
        id: Its name for `Expectation.after`.
        when: Matches the assistant's question.
        says: The reply.
    """

    id: str
    when: Pattern
    says: str


class ExpectedCall(_Strict):
    """Calls to one number.

    Attributes:
        number: E.164.
        times: How many calls are placed to it.
        fields: Fields of the submission. A text is compared as it is; one between slashes is a pattern that
            has to match. `spoken` is the language of the call.
        without: Fields that may not be given.
        due: When the call is scheduled for; None for a call that is placed at once.
    """

    number: str = Field(pattern=E164)
    times: int = 1
    fields: dict[str, Any] = {}
    without: tuple[str, ...] = ()
    due: AwareDatetime | None = None


class Expectation(_Strict):
    """What must be true at the end.

    Attributes:
        calls: All calls that may be placed or scheduled.
        refused: How many requests KallyAI may have refused.
        after: Replies that the user must have given before the first call.
        states: What the final answer must state.
        derived: What it may state although nobody said it, such as the sum of two prices.
        claims: What it may claim besides what the calls show.
        avoids: What no answer may say.
        without_tools: Tools that may not be used.
    """

    calls: tuple[ExpectedCall, ...] = ()
    refused: int = 0
    after: tuple[str, ...] = ()
    states: tuple[StatedFact, ...] = ()
    derived: tuple[StatedFact, ...] = ()
    claims: tuple[Claim, ...] = ()
    avoids: tuple[Pattern, ...] = ()
    without_tools: tuple[str, ...] = ()


class Step(_Strict):
    """A turn of the scripted model: a tool with its arguments, or words.

    Attributes:
        tool: The tool.
        args: Its arguments. `{confirmation}`, `{call_id}`, and `{tracking_id}` stand for those of the last results.
        says: The words.
        gold: The step with this number (from 1) of the task's gold run, changed by `args`, or its words by `says`.
    """

    tool: str | None = None
    args: dict[str, Any] = {}
    says: str | None = None
    gold: int | None = None

    @model_validator(mode="after")
    def _is_one_turn(self) -> "Step":
        if self.gold is None and (self.tool is None) == (self.says is None):
            raise ValueError("a step has either a tool or words, or the number of a gold step")
        return self


class BadRun(_Strict):
    """A run that a grader must fail.

    Attributes:
        fails: The graders that fail it; all others pass it.
        why: What is wrong with it.
        steps: Its turns; empty if only the last answer differs from the gold run.
        final: The last answer, if only this differs from the gold run; else None.
    """

    fails: tuple[GraderName, ...] = Field(min_length=1)
    why: str
    steps: tuple[Step, ...] = ()
    final: str | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "BadRun":
        if bool(self.steps) == bool(self.final):
            raise ValueError("a bad run has either steps or a final answer")
        return self


class Task(_Strict):
    """A task.

    Attributes:
        id: Its name, unique.
        theme: The name of its file.
        phrasings: How the user asks for it.
        account: The account of the sandbox.
        settings: Settings of the server, without the prefix KALLYAI_.
        line: What happens on the sandbox's lines.
        client_seconds: How long the client waits for a tool before it gives up.
        is_slow: Calls go on until the client has got a result, or has given up.
        reply: What the user answers.
        otherwise: What the user answers, once, to any other question before a tool was used, or when a tool asks for
            a confirmation; "" for nothing.
        expect: What must be true at the end.
        gold: A run that is right.
        also_right: Other last answers of that run.
        bad: Runs that are wrong.
    """

    id: str
    theme: str
    phrasings: tuple[str, ...] = Field(min_length=PHRASINGS, max_length=PHRASINGS)
    account: str = "acct-personal"
    settings: dict[str, str] = {}
    line: tuple[Line, ...] = ()
    client_seconds: float = 60
    is_slow: bool = False
    reply: tuple[Reply, ...] = ()
    otherwise: str = "I have told you all I know. Do what you think is best."
    expect: Expectation
    gold: tuple[Step, ...] = Field(min_length=1)
    also_right: tuple[str, ...] = ()
    bad: tuple[BadRun, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> "Task":
        ids = [reply.id for reply in self.reply]
        if unknown := set(self.expect.after) - set(ids):
            raise ValueError(f"`after` names no reply: {', '.join(sorted(unknown))}")
        if len(set(self.phrasings)) < PHRASINGS or len(set(ids)) < len(ids):
            raise ValueError("two phrasings, or the ids of two replies, are the same")
        if any(step.gold is not None for step in self.gold):
            raise ValueError("a step of the gold run can't refer to the gold run")
        return self

    def steps_of(self, bad: BadRun) -> list[Step]:
        """The turns of a bad run, each in full."""
        steps = []
        for step in bad.steps:
            if step.gold is None:
                steps.append(step)
                continue
            gold = self.gold[step.gold - 1]
            steps.append(Step(tool=gold.tool, args=gold.args | step.args, says=step.says or gold.says))
        return steps


def load_tasks(folder: Path = FOLDER) -> list[Task]:
    """Return the tasks, ordered by theme.

    Raises:
        ValueError: A file is not valid, or an id is used twice; the message names it.
    """
    tasks: list[Task] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            tasks += [Task.model_validate({"theme": path.stem} | task) for task in content["task"]]
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from None
    ids = [task.id for task in tasks]
    if twice := {id_ for id_ in ids if ids.count(id_) > 1}:
        raise ValueError(f"the id of more than one task: {', '.join(sorted(twice))}")
    return tasks


def chosen(tasks: Sequence[Task], names: Sequence[str]) -> list[Task]:
    """Return the tasks with these ids or themes; all of them without any.

    Raises:
        ValueError: There is no such task and no such theme.
    """
    known = {task.id for task in tasks} | {task.theme for task in tasks}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no task and no theme is called {', '.join(unknown)}")
    return [task for task in tasks if not names or {task.id, task.theme} & set(names)]
