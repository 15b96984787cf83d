"""What a seed decides: how the service misbehaves, what the agent does about it, and when its server dies."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Literal

from kallyai_mcp.sandbox.faults import KINDS_AFTER_PLACEMENT, Fault, FaultPlan, Kind

SPEED = 12.0
"""How many times faster than real: a call then lasts from 1.6 s (one that breaks off) to 5 s (one that succeeds)."""

SETTLE_SECONDS = 7.0
"""For how long the server looks for a lost call: longer than one lasts, as the setting demands."""

WORKERS_WAIT_SECONDS = 2.0
"""`WAIT_SECONDS` of two workers, which outlive a plan; the plans' own arguments mostly say otherwise."""

NUMBERS = {
    "+12025550100": 57.6,
    "+14155551234": 58.0,
    "+12025550104": 30.0,
    "+12025550105": 22.8,
    "+12025550106": 19.0,
}
"""Whom the agent has rung, and about how long that takes in real seconds: two that succeed, no answer, a machine that
answers, a line that drops. A busy line is too short here: it would be over before `Rules.surely_ringing`."""

LOSING: tuple[Kind, ...] = (
    "cut_before_read",
    "cut_after_placed",
    "cut_mid_body",
    "unavailable_before",
    "unavailable_after",
    "html",
    "error_after",
)
"""The kinds that take the answer of a `POST` away at once or at the call's end."""

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
"""The kinds that make one wait just when a call that was placed may end unseen, and its key be forgotten."""

_QUIRKS: tuple[dict[str, bool], ...] = (
    {},
    {},
    {"list_only_ended": True},
    {"forget_key_when_ended": True},
    {"list_only_ended": True, "forget_key_when_ended": True},
)


class Deed(StrEnum):
    """What the agent does, as a sentence about it."""

    WAITS = "waits for the outcome"
    TIMES_OUT = "loses patience and asks the same server again"
    TWICE_AT_ONCE = "asks the same server twice at once"
    ANOTHER_PROCESS = "loses patience and asks another server on the same folder"
    SAME_INSTANT = "asks two servers on the same folder at the same instant"
    ASKS_ONCE_MORE = "asks once more after it has heard the outcome"
    REDIALS = "rings again on purpose after it has heard the outcome"
    KILLED = "loses its server to kill -9"
    LEAVES = "closes its server's stdin with the call under way"
    TERMINATES = "sends its server SIGTERM with the call under way"
    WORKER_KILLED = "loses one of two workers to kill -9"
    WORKER_TERMINATED = "loses one of two workers to SIGTERM"
    WORKER_TIMES_OUT = "loses patience, and one of two workers to kill -9"
    WORKERS_AT_ONCE = "asks twice at once, and loses one of two workers to kill -9"


OF_WORKERS = (Deed.WORKER_KILLED, Deed.WORKER_TERMINATED, Deed.WORKER_TIMES_OUT, Deed.WORKERS_AT_ONCE)
"""The deeds at two workers over HTTP; all others are at servers over stdio."""

DEADLY = (Deed.KILLED, Deed.LEAVES, Deed.TERMINATES, *OF_WORKERS)
"""The deeds in which a server ends before its work is done."""

_DECK = (
    (Deed.WAITS,) * 4
    + (Deed.TIMES_OUT,) * 4
    + (Deed.TWICE_AT_ONCE,) * 3
    + (Deed.ANOTHER_PROCESS,) * 2
    + (Deed.SAME_INSTANT,)
    + (Deed.ASKS_ONCE_MORE,) * 3
    + (Deed.REDIALS,)
    + (Deed.KILLED,) * 5
    + (Deed.LEAVES,)
    + (Deed.TERMINATES,)
)
"""The deeds of as many seeds in a row, to be shuffled: each stretch of the suite then costs and shows as much as any
other. The start of a server is what a run costs, so the deeds that need two are less than half."""


class Step(StrEnum):
    """How far the dialler has come with a call, as its row in the ledger shows it."""

    NO_ROW = "no row"
    PREPARED = "prepared"
    SENT = "sent"
    LOST = "lost"
    ENDED = "ended"
    HANDED_OUT = "handed out"


Then = Literal["asks again", "only looks"]


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        seed: What it was made from.
        mode: The era of the protocol that the SDK's client speaks.
        number: Whom the agent has rung.
        errands: The task of each call; the second one is another call to the same number, asked for at the same time.
        faults: How the service misbehaves.
        deed: What the agent does.
        wait_seconds: As an argument of `make_call`; None leaves it to the server's setting.
        setting_seconds: The server's setting `WAIT_SECONDS`.
        patience: Seconds after which the client gives up on a tool; for the impatient deeds.
        moment: Seconds after which a server dies, from when it was asked.
        step: Where the dialler has to be when the server dies, in place of `moment`.
        witness: Another server runs on the same folder all the while, and is asked in place of a new one.
        dies_twice: The server that takes over dies as well.
        then: What the agent does in the process that outlives the others.
        retyped: When it asks again, it types the same in another way.
        pause: Seconds for which an agent that has lost patience with two workers thinks before it asks again.
        announced: The ledger is told that a worker has gone; else nobody knows before it has been silent for long.
        comes_back: A worker that has gone is started again at once.
    """

    seed: int
    mode: Literal["auto", "legacy"]
    number: str
    errands: tuple[str, ...]
    faults: FaultPlan
    deed: Deed
    wait_seconds: float | None
    setting_seconds: float
    patience: float
    moment: float
    step: Step | None
    witness: bool
    dies_twice: bool
    then: Then
    retyped: bool
    pause: float = 0
    announced: bool = False
    comes_back: bool = False

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """The plan of this seed, always the same."""
        rng = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        deed = random.Random(seed // len(_DECK)).sample(_DECK, len(_DECK))[seed % len(_DECK)]  # noqa: S311 - as above
        step = rng.choice([None, *(step for step in Step if step is not Step.HANDED_OUT)])
        if deed is not Deed.KILLED:
            step = None
        wait_seconds = rng.choice([None, 0, 0.5, 2.0, 30.0])
        number = rng.choice(list(NUMBERS))
        return cls(
            seed=seed,
            mode=rng.choice(("auto", "legacy")),
            number=number,
            errands=_errands(seed, rng),
            faults=misbehaviour(rng, NUMBERS[number] / SPEED, certainly_lost=step is Step.LOST),
            deed=deed,
            wait_seconds=0 if step is Step.ENDED else wait_seconds,  # nobody may be there to be told
            setting_seconds=rng.choice([0.3, 45.0]),
            patience=rng.uniform(0.2, 3.0),
            moment=rng.uniform(0.0, 6.0),
            step=step,
            witness=rng.random() < 0.25,
            dies_twice=rng.random() < 0.15,
            then=rng.choice(("asks again", "only looks")),
            retyped=rng.random() < 0.3,
        )

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of faults that are armed."""
        return frozenset(fault.kind for fault in self.faults.faults)

    @property
    def command(self) -> str:
        """The line that repeats it."""
        kind = " --workers" if self.deed in OF_WORKERS else ""
        return f"uv run python -m tests.faults{kind} --runs 1 --seed {self.seed}"

    @property
    def all_is_well(self) -> bool:
        """Whether neither the service misbehaves nor a server dies, so that there is no excuse for not knowing."""
        calm = not (self.faults.faults or self.faults.list_only_ended or self.faults.forget_key_when_ended)
        return calm and self.deed not in DEADLY

    def words(self) -> str:
        """The plan for a person to read."""
        return "\n".join(
            chain(
                [f"seed {self.seed}, era {self.mode}: rings {self.number}"],
                (f"  to do: {errand}" for errand in self.errands),
                (f"  fault: {_fault_words(fault)}" for fault in self.faults.faults),
                (f"  quirk: {quirk}" for quirk in ("list_only_ended", "forget_key_when_ended") if self._has(quirk)),
                [f"  the agent {self._deed_words()}"],
                [f"  wait_seconds {self.wait_seconds}, KALLYAI_WAIT_SECONDS {self.setting_seconds}"],
            )
        )

    def _has(self, quirk: str) -> bool:
        return bool(getattr(self.faults, quirk))

    def _deed_words(self) -> str:
        parts = [str(self.deed)]
        if self.deed in (Deed.TIMES_OUT, Deed.ANOTHER_PROCESS, Deed.WORKER_TIMES_OUT):
            parts.append(f"after {self.patience:.2f} s")
        if self.pause:
            parts.append(f"(to ask again {self.pause:.2f} s later)")
        if self.deed in DEADLY:
            parts.append(f"at the step {self.step}" if self.step else f"after {self.moment:.2f} s")
            if self.deed is not Deed.LEAVES and self.deed is not Deed.TERMINATES and self.dies_twice:
                parts.append("and the next one the same way")
            parts += ["(which is announced)"] * self.announced + ["(and started again)"] * self.comes_back
            whom = "another one that ran all the while" if self.witness else "a new one"
            parts.append(f"and {self.then} in {whom}")
        if self.retyped:
            parts.append("(the second time typed differently)")
        return " ".join(parts)


def _errands(seed: int, rng: random.Random) -> tuple[str, ...]:
    first = f"Ask for the opening hours, errand {seed}"
    return (first, f"Ask whether dogs are welcome, errand {seed}") if rng.random() < 0.15 else (first,)


def misbehaviour(rng: random.Random, call_seconds: float, *, certainly_lost: bool) -> FaultPlan:
    """How the service misbehaves, for calls that last so long; `certainly_lost`: it takes an answer away first."""
    if worst := rng.random() < 0.3:
        on_post = [_fault(rng, "POST", _WORST, call_seconds) for _ in range(rng.randint(2, 4))]
    else:
        on_post = [_fault(rng, "POST", _ON_POST, call_seconds) for _ in range(rng.choice((0, 1, 1, 1, 2, 3)))]
    if certainly_lost:
        on_post.insert(0, Fault(kind=rng.choice(LOSING)))
    on_get = [_fault(rng, "GET", _ON_GET, call_seconds) for _ in range(rng.choice((0, 0, 0, 1, 2, 4)))]
    return FaultPlan(faults=on_post + on_get, **(_QUIRKS[-1] if worst else rng.choice(_QUIRKS)))


def _fault(rng: random.Random, method: Literal["GET", "POST"], kinds: Sequence[Kind], call_seconds: float) -> Fault:
    kind = rng.choice(kinds)
    seconds = rng.choice((0.0, 1.0, 2.0))
    if kind.startswith("stall"):  # about as long as a call is the worst: it ends while its answer is missed
        seconds = round(rng.choice((rng.uniform(0.1, 6.0), call_seconds - rng.uniform(0.0, 0.3))), 2)
    long = method == "GET" and kind == "unavailable_before" and rng.random() < 0.2
    return Fault(
        kind=kind,
        times=40 if long else rng.choice((1, 1, 1, 2, 3)),
        method=method,
        path="/v1/calls" if method == "POST" or rng.random() < 0.5 else "*",
        seconds=seconds,
    )


def _fault_words(fault: Fault) -> str:
    seconds = f", {fault.seconds:g} s" if fault.seconds else ""
    return f"{fault.kind}, {fault.times} times, {fault.method} {fault.path}{seconds}"


def plans(first: int, runs: int) -> Iterator[Plan]:
    """The plans of the seeds from `first` on."""
    return (Plan.of(seed) for seed in range(first, first + runs))
