"""A simulated run: what the agent asks for, what fails, and when; `seeds` and `scenarios` make
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any, Literal

from kallyai_mcp.settings import Confirm
from tests.faults.simulation.service import Quirks, Trouble
from tests.faults.simulation.world import NOON

NUMBER = "+14155551234"

Kind = Literal["calls", "later", "lists"]
"""What a run is about: calls at once; calls that are due later or placed again; lists of
candidates.
"""

ACCOUNT, OTHER_ACCOUNT = "first-account", "second-account"


@dataclass(frozen=True)
class Task:
    """What one call is for, as arguments of a tool, and how it ends, or the call to each number
    (`endings`).
    """

    arguments: Mapping[str, Any]
    ending: str = "success"
    endings: Mapping[str, str] = field(default_factory=dict)

    @property
    def tool(self) -> str:
        """The tool that takes the arguments."""
        return "call_around" if "candidates" in self.arguments else "make_call"

    @property
    def description(self) -> str:
        """The task's description; it may be the same for two tasks."""
        return str(self.arguments["task_description"])


def table(ending: str = "success", **more: object) -> Task:
    """To book a table."""
    arguments = {
        "task_category": "restaurant",
        "task_description": "Book a table",
        "respondent_phone": NUMBER,
        "business_name": "Italian Bistro",
        "appointment_date": "2026-01-30",
        "appointment_time": "19:00",
        "party_size": 4,
    }
    return Task(arguments | more, ending)


def question(ending: str = "success", number: str = NUMBER, **more: object) -> Task:
    """To ask something, at once or later."""
    arguments = {
        "task_category": "general",
        "task_description": "Ask for the hours",
        "respondent_phone": number,
    }
    return Task(arguments | more, ending)


def candidates(endings: Mapping[str, str], until: str = "booked") -> Task:
    """To book a table at one of several numbers, whose calls end so."""
    arguments = {
        "candidates": [{"respondent_phone": number} for number in endings],
        "until": until,
        "task_category": "restaurant",
        "task_description": "Book a table",
    }
    return Task(arguments, endings=endings)


GoesOn = Literal["never", "after a decision", "always"]


@dataclass(frozen=True)
class Ask:
    """The agent asks for a call; times are in seconds since the run's begin, unless they are said
    to be a length.
    """

    at: float
    task: int = 0
    process: int = 0
    times: int = 1  # so many requests at one instant
    redial: bool = False
    gives_up: float | None = None  # the length after which the client gives up
    silently: bool = False  # it does not tell the server that it gave up
    # Over stdio: otherwise its client reads nothing from then on, and the answers stay in the pipe.
    reads: bool = True
    # For the outcome; otherwise it asks with `wait_seconds` 0 and follows the call.
    waits: bool = True
    retyped: bool = False  # the description has other case and spacing, and a final full stop
    confirms: bool = False  # it first asks for a confirmation, and sends that with all requests
    # It asks again and again until it is told an outcome (or that nothing was placed).
    until_told: bool = False
    # It cancels the call or the list then, if that is still to come.
    cancels_at: float | None = None
    # Of so many calls; `cancels_at` is then the length after the end of that one.
    cancels_at_end_of: int | None = None
    canceled_by: int | None = None  # the process that is told to cancel; otherwise the same one
    looks_at: float | None = None  # it asks for the newest call then, by KallyAI's id
    goes_on: GoesOn = "never"  # when it lets a list go on that has stopped
    decides_after: float = 0.0  # the length that it takes for that


What = Literal[
    "is killed",
    "is terminated",
    "is stopped",
    "is suspended with its machine",
    "has its clock set",
    "someone else signs in",
    "the user signs out",
    "the user signs in again",
    "its ledger fails",
    "its ledger fails to confirm",
    "its ledger is deleted",
    "its user is deleted",
    "its database ends all connections",
    "its ledger gets a newer record",
    "other programs call",
    "many calls are due",
]


@dataclass(frozen=True)
class Event:
    """Something happens to a process, `at` so many seconds since the run's begin.

    `seconds` is how long it lasts, or how far the clock is set; so many calls (`number`) are
    placed, or are due then.
    """

    at: float
    what: What
    process: int = 0
    seconds: float = 0.0
    number: int = 0


@dataclass(frozen=True)
class Start:
    """A process that starts `at` so many seconds, on the ledger of a `home`, with a clock that is
    `ahead`. It `discloses` if its setting lets KallyAI say that it is an AI.

    At one of its steps it is killed, or its machine is suspended for so many seconds.
    """

    at: float = 0.0
    home: int = 0
    ahead: float = 0.0
    discloses: bool = True
    at_step: Mapping[int, float | Literal["kill"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Foreign:
    """A call for the first task that another program placed on the same account, `age` seconds
    before the run.
    """

    age: float
    status: str = "success"


@dataclass(frozen=True)
class Plan:
    """One run; `title` says what it is about, and `begins` when it begins."""

    title: str
    tasks: tuple[Task, ...]
    asks: tuple[Ask, ...]
    events: tuple[Event, ...] = ()
    starts: tuple[Start, ...] = (Start(),)
    quirks: Quirks = Quirks()  # noqa: RUF009 - frozen
    troubles: tuple[Trouble, ...] = ()
    look_troubles: tuple[Trouble, ...] = ()
    foreign: tuple[Foreign, ...] = ()
    confirm: Confirm = "never"
    keep_days: float = 90
    calls_per_hour: int | None = None
    seed: int = 0
    begins: datetime = NOON
    # Of a shared database: a statement takes up to so long, so transactions overlap.
    statement_seconds: float = 0.0

    @property
    def is_faultless(self) -> bool:
        """Whether nothing fails, so that every outcome has to be known."""
        steps = any(start.at_step for start in self.starts)
        return not (self.troubles or self.look_troubles or self.events or self.foreign or steps)

    @property
    def kind(self) -> Kind:
        """What it is about."""
        arguments = self.tasks[0].arguments
        if "candidates" in arguments:
            return "lists"
        is_later = {"not_before", "retries"} & arguments.keys() or self.has("many calls are due")
        return "later" if is_later else "calls"

    def has(self, what: What) -> bool:
        """Whether such an event happens."""
        return any(event.what == what for event in self.events)

    def describe(self) -> str:
        """The plan as text, for reports."""
        lines = [
            f"seed {self.seed}: {self.title} (confirm {self.confirm}, keep_days {self.keep_days:g})"
        ]
        parts = (
            self.tasks,
            self.starts,
            self.asks,
            self.events,
            self.troubles,
            self.look_troubles,
            self.foreign,
        )
        lines += [f"  {part}" for part in chain.from_iterable(parts)]
        return "\n".join([*lines, f"  {self.quirks}"])
