"""What a seed decides for a run: the service's faults, what the client does, and when a server ends."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Literal, get_args

from kallyai_mcp.sandbox.faults import KINDS_AFTER_PLACEMENT, Fault, FaultPlan, Kind

SPEED = 12.0
"""The sandbox's speed, relative to real time: a call takes from 1.6 s (the line drops) to 5 s (it succeeds)."""

CLOCK_JUMPS_AT = 1.0
"""Seconds from the first request until the clock of the servers is set, where a plan says so."""

SETTLE_SECONDS = 7.0
"""The servers' `KALLYAI_SETTLE_SECONDS`; it has to be longer than any call takes."""

WORKERS_WAIT_SECONDS = 2.0
"""`KALLYAI_WAIT_SECONDS` of the two workers, which serve several runs; most plans pass `wait_seconds` themselves."""

NUMBERS = {
    "+12025550100": 57.6,
    "+14155551234": 58.0,
    "+12025550104": 30.0,
    "+12025550105": 22.8,
    "+12025550106": 19.0,
}
"""The numbers that are called, with the seconds such a call takes at the speed of real time.

Two calls succeed, one is not answered, one reaches an answering machine, one is cut off. A busy number is not among
them: that call is over before the time within which the same key may be sent again (`Timing.surely_ringing`).
"""

LOSING: tuple[Kind, ...] = (
    "cut_before_read",
    "cut_after_placed",
    "cut_mid_body",
    "unavailable_before",
    "unavailable_after",
    "html",
    "error_after",
)
"""The faults that lose the response to a `POST`, at once or when the call ends."""

_ON_POST: tuple[Kind, ...] = (*LOSING, "rate_limited", "stall", "stall_after")
_ON_GET: tuple[Kind, ...] = tuple(kind for kind in _ON_POST if kind not in KINDS_AFTER_PLACEMENT)

_WORST: tuple[Kind, ...] = (
    "cut_after_placed",
    "unavailable_after",
    "error_after",
    "stall_after",
    "stall",
    "rate_limited",
    "rate_limited",
    "rate_limited",
)
"""Faults that delay the server while a placed call ends unnoticed and the service forgets its idempotency key."""

_QUIRKS: tuple[dict[str, bool], ...] = (
    {},
    {},
    {"list_only_ended": True},
    {"forget_key_when_ended": True},
    {"list_only_ended": True, "forget_key_when_ended": True},
)


class Action(StrEnum):
    """What the client does; the value describes it in the reports."""

    WAITS = "waits for the outcome"
    TIMES_OUT = "times out and asks the same server again"
    TWICE_AT_ONCE = "asks the same server twice at once"
    ANOTHER_PROCESS = "times out and asks another server on the same folder"
    SAME_INSTANT = "asks two servers on the same folder at the same instant"
    ASKS_ONCE_MORE = "asks once more after it was told the outcome"
    REDIALS = "calls again with redial after it was told the outcome"
    KILLED = "loses its server to kill -9"
    LEAVES = "closes its server's stdin while the call is in progress"
    TERMINATES = "sends its server SIGTERM while the call is in progress"
    STOPS_READING = "stops reading, loses its server after the call, and redials"
    WORKER_KILLED = "loses one of two workers to kill -9"
    WORKER_TERMINATED = "loses one of two workers to SIGTERM"
    WORKER_TIMES_OUT = "times out and loses one of two workers to kill -9"
    WORKERS_AT_ONCE = "asks twice at once and loses one of two workers to kill -9"


WORKER_ACTIONS = (Action.WORKER_KILLED, Action.WORKER_TERMINATED, Action.WORKER_TIMES_OUT, Action.WORKERS_AT_ONCE)
"""The actions with two workers over HTTP; all others are with servers over stdio."""

ENDING_ACTIONS = (Action.KILLED, Action.LEAVES, Action.TERMINATES, *WORKER_ACTIONS)
"""The actions in which a server ends before its call does."""

_ACTIONS = (
    (Action.WAITS,) * 4
    + (Action.TIMES_OUT,) * 4
    + (Action.TWICE_AT_ONCE,) * 3
    + (Action.ANOTHER_PROCESS,) * 2
    + (Action.SAME_INSTANT,)
    + (Action.ASKS_ONCE_MORE,) * 3
    + (Action.REDIALS,)
    + (Action.KILLED,) * 5
    + (Action.LEAVES,)
    + (Action.TERMINATES,)
    + (Action.STOPS_READING,) * 2
)
"""The actions of so many seeds in a row, shuffled: any stretch of seeds takes as long and covers as much as any other.

Starting a server is most of the cost of a run, so the actions that need two servers are less than half.
"""


class Step(StrEnum):
    """How far a call is, as its record in the ledger shows it."""

    NO_RECORD = "no record"
    RESERVED = "reserved"
    SENT = "sent"
    RESPONSE_LOST = "response lost"
    ENDED = "ended"
    DELIVERED = "delivered"


Afterwards = Literal["asks again", "only looks"]

UnreadEnd = Literal["is killed", "gets SIGTERM", "loses both pipes"]
"""How the server of a client ends that has stopped reading."""

DatabaseTrouble = Literal["is killed", "is restarted", "hangs"]
"""What happens to the PostgreSQL server of two workers."""


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        seed: The seed that all else is made from.
        mode: The MCP client's mode: `auto` for 2026-07-28, `legacy` for the handshake up to 2025-11-25.
        number: The number that is called.
        tasks: The task description of each call; several calls go to the same number at the same time.
        faults: The service's faults.
        action: What the client does.
        wait_seconds: The argument of `make_call`; None leaves it out.
        setting_seconds: The server's `KALLYAI_WAIT_SECONDS`.
        timeout: Seconds after which the client gives up on a tool, for the actions that time out.
        end_after: Seconds from the request until a server ends.
        end_at: The step at which a server ends, instead of `end_after`.
        has_standby: Another server runs all the time and is asked afterwards, instead of a new one.
        ends_twice: The server that is asked next ends the same way.
        afterwards: What the client does with the last server.
        is_retyped: The second request has the same arguments in other upper case and white space.
        pause: Seconds between a time-out with two workers and the next request.
        is_restarted: The worker that ended is started again at once.
        database: What happens to the database of two workers.
        database_at: Seconds from the request until then.
        database_seconds: Seconds until it works again.
        clock_ahead: How many seconds the clock of the servers over stdio is ahead of the service's.
        clock_jumps: How many seconds it is set after the first request has begun; see `CLOCK_JUMPS_AT`.
        unread_end: How the server ends when its client has stopped reading.
        unread_lists: How many lists of tools the client asks for before its calls and never reads; three fill a pipe.
    """

    seed: int
    mode: Literal["auto", "legacy"]
    number: str
    tasks: tuple[str, ...]
    faults: FaultPlan
    action: Action
    wait_seconds: float | None
    setting_seconds: float
    timeout: float
    end_after: float
    end_at: Step | None
    has_standby: bool
    ends_twice: bool
    afterwards: Afterwards
    is_retyped: bool
    pause: float = 0
    is_restarted: bool = False
    database: DatabaseTrouble | None = None
    database_at: float = 0
    database_seconds: float = 0
    clock_ahead: int = 0
    clock_jumps: int = 0
    unread_end: UnreadEnd = "is killed"
    unread_lists: int = 0

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """The plan of a seed, always the same."""
        rng = random.Random(seed)  # noqa: S311 - it has to be repeatable, not secret
        action = random.Random(seed // len(_ACTIONS)).sample(_ACTIONS, len(_ACTIONS))[seed % len(_ACTIONS)]  # noqa: S311
        end_at = rng.choice([None, *(step for step in Step if step is not Step.DELIVERED)])
        if action is not Action.KILLED:
            end_at = None
        wait_seconds = rng.choice([None, 0, 0.5, 2.0, 30.0])
        number = rng.choice(list(NUMBERS))
        is_read = action is not Action.STOPS_READING
        if not is_read:
            wait_seconds = 30.0
        return cls(
            seed=seed,
            mode=rng.choice(("auto", "legacy")),
            number=number,
            tasks=_task_descriptions(seed, rng),
            faults=make_faults(rng, NUMBERS[number] / SPEED, loses_response=end_at is Step.RESPONSE_LOST),
            action=action,
            wait_seconds=0 if end_at is Step.ENDED else wait_seconds,  # an outcome that is delivered is a later step
            setting_seconds=rng.choice([0.3, 45.0]),
            timeout=rng.uniform(0.2, 3.0),
            end_after=rng.uniform(0.0, 6.0),
            end_at=end_at,
            has_standby=rng.random() < 0.25,
            ends_twice=rng.random() < 0.15,
            afterwards=rng.choice(("asks again", "only looks")),
            is_retyped=rng.random() < 0.3,
            # Few: it makes a server several times slower.
            clock_ahead=(ahead := rng.choice((0,) * 36 + (-1500, -300, 300, 1500))),
            # A worker that takes over knows no more than the clock, which must not have been set then.
            clock_jumps=rng.choice((0, -300, 300)) if ahead and action not in ENDING_ACTIONS and is_read else 0,
            unread_end="is killed" if is_read else rng.choice(get_args(UnreadEnd)),
            unread_lists=0 if is_read else rng.choice((0, 10)),
        )

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of faults in it."""
        return frozenset(fault.kind for fault in self.faults.faults)

    @property
    def command(self) -> str:
        """The command that repeats the run."""
        workers = " --workers" if self.action in WORKER_ACTIONS else ""
        return f"uv run python -m tests.faults{workers} --runs 1 --seed {self.seed}"

    @property
    def is_faultless(self) -> bool:
        """Whether neither the service has faults nor a server ends, so that every outcome has to be known."""
        faultless = not (self.faults.faults or self.faults.list_only_ended or self.faults.forget_key_when_ended)
        return faultless and self.action not in ENDING_ACTIONS and self.database is None

    def describe(self) -> str:
        """The plan as text, for reports."""
        return "\n".join(
            chain(
                [f"seed {self.seed}, mode {self.mode}: calls {self.number}"],
                (f"  task: {task}" for task in self.tasks),
                (f"  fault: {_describe_fault(fault)}" for fault in self.faults.faults),
                (f"  quirk: {quirk}" for quirk in ("list_only_ended", "forget_key_when_ended") if self._has(quirk)),
                [f"  the client {self._describe_action()}"],
                [f"  the database {self.database}: {self.database_at:.2f} s later, for {self.database_seconds:g} s"]
                * bool(self.database),
                [f"  the servers' clock is {self.clock_ahead} s ahead, and is set by {self.clock_jumps} s"]
                * bool(self.clock_ahead),
                [f"  wait_seconds {self.wait_seconds}, KALLYAI_WAIT_SECONDS {self.setting_seconds}"],
            )
        )

    def _has(self, quirk: str) -> bool:
        return bool(getattr(self.faults, quirk))

    def _describe_action(self) -> str:
        parts = [str(self.action)]
        if self.action in (Action.TIMES_OUT, Action.ANOTHER_PROCESS, Action.WORKER_TIMES_OUT):
            parts.append(f"after {self.timeout:.2f} s")
        if self.pause:
            parts.append(f"(and asks again {self.pause:.2f} s later)")
        if self.action in ENDING_ACTIONS:
            parts.append(f"at the step {self.end_at}" if self.end_at else f"after {self.end_after:.2f} s")
            if self.action is not Action.LEAVES and self.action is not Action.TERMINATES and self.ends_twice:
                parts.append("and the next one the same way")
            parts += ["(which is started again)"] * self.is_restarted
            server = "one that ran all the time" if self.has_standby else "a new one"
            parts.append(f"and {self.afterwards} with {server}")
        if self.action is Action.STOPS_READING:
            parts.append(f"(it {self.unread_end} {self.end_after / 10:.2f} s later; {self.unread_lists} lists unread)")
        if self.is_retyped:
            parts.append("(the second time typed differently)")
        return " ".join(parts)


def _task_descriptions(seed: int, rng: random.Random) -> tuple[str, ...]:
    first = f"Ask for the opening hours, run {seed}"
    return (first, f"Ask whether dogs are welcome, run {seed}") if rng.random() < 0.15 else (first,)


def make_faults(rng: random.Random, call_seconds: float, *, loses_response: bool) -> FaultPlan:
    """The service's faults.

    Args:
        rng: Decides everything.
        call_seconds: How long the calls take, in seconds.
        loses_response: The first fault loses the response to a `POST`.
    """
    if worst := rng.random() < 0.3:
        on_post = [_fault(rng, "POST", _WORST, call_seconds) for _ in range(rng.randint(2, 4))]
    else:
        on_post = [_fault(rng, "POST", _ON_POST, call_seconds) for _ in range(rng.choice((0, 1, 1, 1, 2, 3)))]
    if loses_response:
        on_post.insert(0, Fault(kind=rng.choice(LOSING)))
    on_get = [_fault(rng, "GET", _ON_GET, call_seconds) for _ in range(rng.choice((0, 0, 0, 1, 2, 4)))]
    return FaultPlan(faults=on_post + on_get, **(_QUIRKS[-1] if worst else rng.choice(_QUIRKS)))


def _fault(rng: random.Random, method: Literal["GET", "POST"], kinds: Sequence[Kind], call_seconds: float) -> Fault:
    kind = rng.choice(kinds)
    seconds = rng.choice((0.0, 1.0, 2.0))
    if kind.startswith("stall"):  # the worst is about as long as a call: it ends while its response is awaited
        seconds = round(rng.choice((rng.uniform(0.1, 6.0), call_seconds - rng.uniform(0.0, 0.3))), 2)
    long = method == "GET" and kind == "unavailable_before" and rng.random() < 0.2
    return Fault(
        kind=kind,
        times=40 if long else rng.choice((1, 1, 1, 2, 3)),
        method=method,
        path="/v1/calls" if method == "POST" or rng.random() < 0.5 else "*",
        seconds=seconds,
    )


def _describe_fault(fault: Fault) -> str:
    seconds = f", {fault.seconds:g} s" if fault.seconds else ""
    return f"{fault.kind}, {fault.times} times, {fault.method} {fault.path}{seconds}"


def plans(first: int, runs: int) -> Iterator[Plan]:
    """The plans of `runs` seeds from `first` on."""
    return (Plan.of(seed) for seed in range(first, first + runs))
