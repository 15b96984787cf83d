"""The format of the tasks: `tasks/SUITE/THEME.toml`."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    model_validator,
)

from kallyai_mcp.evals.claims import ClaimedEvent
from kallyai_mcp.evals.facts import TODAY, facts_in
from kallyai_mcp.sandbox.simulator.scenario import E164, Line

FOLDER = Path(__file__).parent / "tasks"

NOW = datetime(TODAY.year, TODAY.month, TODAY.day, 15, 0, tzinfo=UTC)
"""When every task begins: Monday, January 26, 2026, 10:00 AM in New York, where the user is."""

TIMEZONE = "America/New_York"
PHRASINGS = 3
Suite = Literal["errands", "traps", "claims"]
SUITES: tuple[Suite, ...] = get_args(Suite)
"""What an agent does for its user; what may go wrong on the way; what it says of the outcome."""

Mistake = Literal["done", "extra_calls", "stated", "untrue", "unsupported", "questions_asked"]
"""The score that shows a mistake."""


def _compiles(pattern: str) -> str:
    re.compile(pattern)
    return pattern


def _is_fact(text: str) -> str:
    if is_pattern(text):
        return _compiles(text)
    facts = facts_in(text)
    if len(facts) != 1 or len(facts[0].values) != 1:
        raise ValueError(
            f"{text!r} is not one fact, such as 9 AM, 20:30, 2026-01-30, or $45; /words/ are a "
            "pattern"
        )
    return text


def is_pattern(text: str) -> bool:
    """Whether a fact is a regular expression, such as `/busy|engaged/`."""
    return len(text) > 2 and text[0] == text[-1] == "/"


Pattern = Annotated[str, AfterValidator(_compiles)]
StatedFact = Annotated[str, AfterValidator(_is_fact)]
"""A time, a day, an amount, or a number as `facts_in` reads it; or a pattern between slashes."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reply(_Strict):
    """What the user `says`, once, when a question of the assistant matches `when`."""

    id: str
    when: Pattern
    says: str


class ExpectedCall(_Strict):
    """Calls to one number, placed at once or `due` later.

    A text in `fields` is compared as it is, or as a pattern between slashes; `spoken` is the
    language of the call.
    """

    number: str = Field(pattern=E164)
    times: int = 1
    fields: dict[str, Any] = {}
    without: tuple[str, ...] = ()
    due: AwareDatetime | None = None


class Expectation(_Strict):
    """What must be true at the end.

    `after`: replies that came before the first call. `derived`: what may be stated although nobody
    said it, such as the sum of two prices. `claims`: what may be claimed besides what the calls
    show. `refused`: the most refused requests.
    """

    calls: tuple[ExpectedCall, ...] = ()
    refused: int = 0
    after: tuple[str, ...] = ()
    states: tuple[StatedFact, ...] = ()
    derived: tuple[StatedFact, ...] = ()
    claims: tuple[ClaimedEvent, ...] = ()
    avoids: tuple[Pattern, ...] = ()
    without_tools: tuple[str, ...] = ()


class Step(_Strict):
    """A turn of a scripted run: a tool with its arguments, or words.

    `{confirmation}`, `{call_id}`, `{tracking_id}`, and `{id}` (either) in the arguments stand for
    those of the last results. `gold` is the step with this number (from 1) of the task's gold run,
    changed by `args`, or its words by `says`.
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

    @property
    def words(self) -> str:
        """What the user is told; empty while the agent only uses a tool."""
        return self.says or ""


_SCRIPT = TypeAdapter(tuple[Step, ...])


def script_of(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Steps as they are in JSON."""
    script: list[dict[str, Any]] = _SCRIPT.dump_python(
        tuple(steps), mode="json", exclude_defaults=True
    )
    return script


def steps_in(script: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    """The steps of a script; the reverse of `script_of`."""
    return _SCRIPT.validate_python(script)


class BadRun(_Strict):
    """A run in which exactly the scores in `fails` must show a mistake: its turns, or the gold run
    with another last answer.
    """

    fails: tuple[Mistake, ...] = Field(min_length=1)
    why: str
    steps: tuple[Step, ...] = ()
    final: str | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "BadRun":
        if bool(self.steps) == bool(self.final):
            raise ValueError("a bad run has either steps or a final answer")
        return self


class Task(_Strict):
    """A task. `otherwise` is what the user answers, once, to any other question about the call.

    `settings` are the server's, without KALLYAI_. With `is_slow`, calls go on until the client has
    got a result, or has given up after `client_seconds`. `persona` says who the callee is, where a
    model plays it. `also_right` are other last answers of the
    gold run.
    """

    id: str
    suite: Suite
    theme: str
    phrasings: tuple[str, ...] = Field(min_length=PHRASINGS, max_length=PHRASINGS)
    account: str = "acct-personal"
    settings: dict[str, str] = {}
    line: tuple[Line, ...] = ()
    client_seconds: float = 60
    is_slow: bool = False
    reply: tuple[Reply, ...] = ()
    persona: str = "You work at the place that is called. You are friendly and brief."
    otherwise: str = "I have told you all I know. Do what you think is best."
    expect: Expectation
    gold: tuple[Step, ...] = Field(min_length=1)
    also_right: tuple[str, ...] = ()
    bad: tuple[BadRun, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> "Task":
        if unknown := set(self.expect.after) - {reply.id for reply in self.reply}:
            raise ValueError(f"`after` names no reply: {', '.join(sorted(unknown))}")
        return self

    def steps_of(self, bad: BadRun) -> list[Step]:
        """The turns of a bad run, each in full."""
        steps = []
        for step in bad.steps:
            if step.gold is not None:
                gold = self.gold[step.gold - 1]
                step = Step(tool=gold.tool, args=gold.args | step.args, says=step.says or gold.says)
            steps.append(step)
        return steps


def load_tasks(*suites: Suite) -> list[Task]:
    """The tasks of these suites, all of them without any, ordered by suite and theme.

    Raises `ValueError`, which names the file that is not valid.
    """
    paths = (path for suite in suites or SUITES for path in sorted((FOLDER / suite).glob("*.toml")))
    return [task for path in paths for task in _tasks_in(path)]


def by_id(tasks: Iterable[Task]) -> dict[str, Task]:
    """The tasks by their ids."""
    return {task.id: task for task in tasks}


def _tasks_in(path: Path) -> list[Task]:
    place = {"suite": path.parent.name, "theme": path.stem}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return [Task.model_validate(place | task) for task in content["task"]]
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
