"""What a seed decides for a simulated run: what the agent does, what fails, and how the service
differs.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from kallyai_mcp.settings import Confirm
from tests.faults.simulation.plan import (
    Ask,
    Event,
    Foreign,
    Plan,
    Start,
    Task,
    What,
    question,
    table,
)
from tests.faults.simulation.service import (
    ENDINGS,
    OPTED_OUT,
    STATUS_OF,
    TALKED,
    Broken,
    Quirks,
    Trouble,
)
from tests.faults.simulation.world import NOON

STATUSES_AFTER = (408, 409, 425, 499, 500, 502, 503, 504, 520, 301, 302, 303, 307, 308)
"""Statuses that don't prove that no call was placed."""

STATUSES_BEFORE = (*STATUSES_AFTER, 400, 401, 402, 403, 404, 405, 413, 415, 422, 429)

BROKEN: tuple[Broken, ...] = ("cut", "page", "empty", "half")

DISTURBANCES: tuple[What, ...] = (
    "is killed",
    "is terminated",
    "is stopped",
    "is suspended with its machine",
    "someone else signs in",
    "its ledger fails",
    "its ledger fails to confirm",
)
"""What may happen to a process, or to all of them."""

FILE_DISTURBANCES: tuple[What, ...] = (
    "has its clock set",
    "its ledger is deleted",
    "its ledger gets a newer record",
)
DATABASE_DISTURBANCES: tuple[What, ...] = (
    "its database ends all connections",
    "its ledger gets a newer record",
)
"""What may happen besides to a file, or to a PostgreSQL database; that has a clock of its own."""

_LENGTHS: Mapping[What, tuple[float, ...]] = {
    "is stopped": (5.0, 100.0, 1000.0),
    "is suspended with its machine": (5.0, 100.0, 1000.0),
    "has its clock set": (-3600, -300, 300, 3600),
}
"""`Event.seconds` of what may happen while a client waits; of all else, it is one of `_SHORT`."""

_SHORT = (0.5, 5.0, 60.0)

_STEPS = 24
"""So many steps a process takes from a request until its call is answered, with some looks for
it.
"""

_CANCELED, _CANCELED_WHERE_SHARED = 1 / 3, 2 / 3
"""How often a call or a list is canceled, of all runs in which it may be; also of those with two
workers.
"""

_A_FEW_TRANSACTIONS = 10.0
"""The seconds that a few transactions take at most where each statement takes time."""

_LATE = 45.0
"""After so many seconds a refusal no longer proves that no call was placed."""


def simulated_plan(seed: int, *, is_shared: bool = False) -> Plan:
    """The plan of a seed, always the same.

    If it `is_shared`, two workers use one PostgreSQL database.
    """
    rng = random.Random(f"simulated {seed} {is_shared}")  # noqa: S311 - it has to be repeatable, not secret
    task = table(rng.choice((*ENDINGS, "success", "success")))
    plan = ACTIONS[seed % len(ACTIONS)](
        rng, task, round(rng.uniform(0.1, ENDINGS[task.ending] * 1.5), 1)
    )
    plan = replace(plan, seed=seed, quirks=_quirks(rng, plan))
    plan = _with_troubles(rng, plan)
    if is_shared:
        plan = with_slow_statements(rng, plan)
        starts = plan.starts if len(plan.starts) > 1 else (*plan.starts, Start())
        asks = (replace(ask, process=rng.randrange(2)) if ask.reads else ask for ask in plan.asks)
        plan = replace(
            plan,
            starts=tuple(replace(start, home=0, ahead=0) for start in starts),
            asks=tuple(asks),
        )
        if len(plan.tasks) > 1:
            plan = replace(plan, calls_per_hour=rng.choice((None, 1, 2)))
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        plan = (
            _stopped_at_a_step(rng, plan)
            if rng.random() < 0.3
            else _disturbed(rng, plan, is_shared=is_shared)
        )
    return with_opt_outs(_with_setting_changed(_with_limit(rng, plan)))


def with_opt_outs(plan: Plan) -> Plan:
    """In one run of five, each callee who talks asks not to be called again."""
    rng = random.Random(f"opt-outs {plan.seed}")  # noqa: S311 - it has to be repeatable, not secret
    if rng.random() > 0.2:
        return plan
    return replace(plan, tasks=tuple(map(_opting_out, plan.tasks)))


def _opting_out(task: Task) -> Task:
    endings = {number: _with_opt_out(ending) for number, ending in task.endings.items()}
    return replace(task, ending=_with_opt_out(task.ending), endings=endings)


def _with_opt_out(ending: str) -> str:
    return OPTED_OUT if ending == "success" else ending


def _with_setting_changed(plan: Plan) -> Plan:
    """In every third run, each second process has another setting for what KallyAI says of
    itself.
    """
    if plan.seed % 3:
        return plan
    starts = (replace(start, discloses=place % 2 == 0) for place, start in enumerate(plan.starts))
    return replace(plan, starts=tuple(starts))


# What the agent does: one task that ends somehow, and `during` it or soon after its end, the client
# may give up


def _waits(rng: random.Random, task: Task, _: float) -> Plan:
    return Plan("waits for the outcome", (task,), (Ask(0, waits=rng.random() < 0.5),))


def _gives_up(rng: random.Random, task: Task, during: float) -> Plan:
    again = during + rng.choice((0.0, rng.uniform(0, 40)))
    asks = (
        Ask(0, gives_up=during, silently=rng.random() < 0.4),
        Ask(again, retyped=rng.random() < 0.5),
    )
    return Plan("gives up and asks again", (task,), asks)


def _asks_another(rng: random.Random, task: Task, during: float) -> Plan:
    """Another process of the same machine, of another machine with the same account, or with
    another clock.
    """
    ahead = rng.choice((-86400 * 2, -3600, -300, 300, 3600, 86400 * 2))
    starts = rng.choice(
        (_TWO, (Start(), Start(home=1)), (Start(), Start(ahead=ahead)), (Start(ahead=ahead),) * 2)
    )
    asks = (Ask(0, gives_up=during), Ask(during + rng.uniform(0, 30), process=1))
    return Plan(
        "gives up and asks another", (task,), asks, starts=starts, keep_days=rng.choice((0, 90))
    )


def _asks_days_later(rng: random.Random, task: Task, during: float) -> Plan:
    """A process that starts days after the call, by its clock, deletes its record if it is old."""
    starts = (Start(), Start(at=500, ahead=86400 * 2))
    asks = (Ask(0, gives_up=during), Ask(600, process=1))
    keep_days = rng.choice((0, 0, 90))
    return Plan("gives up and asks days later", (task,), asks, starts=starts, keep_days=keep_days)


def _at_once(rng: random.Random, task: Task, _: float) -> Plan:
    """A call, or a redial of one that has ended."""
    at, redial = rng.choice(((0.0, False), (400.0, True)))
    many = tuple(
        Ask(at, redial=redial, process=process, times=rng.randint(1, 4))
        for process in (0, rng.randrange(2))
    )
    return Plan(
        "asks many times at once", (task,), (Ask(0), *many) if redial else many, starts=_TWO
    )


def _once_more(rng: random.Random, task: Task, _: float) -> Plan:
    """After the end of the call, and perhaps after the clock was set while no call is in
    progress.
    """
    again = Ask(
        400 + rng.choice((1, 20, 50, 70, 300, 3000, 3700)),
        process=rng.randrange(2),
        retyped=rng.random() < 0.5,
    )
    sets = Event(
        rng.uniform(350, 400), "has its clock set", seconds=rng.choice((-7200, 3700, 7200, 86400))
    )
    events = (sets,) if rng.random() < 0.5 else ()
    return Plan("asks once more after the end", (task,), (Ask(0), again), events, starts=_TWO)


def _again_after_nobody(rng: random.Random, task: Task, _: float) -> Plan:
    """After a call that reached nobody as far as is known: what the callee said is shown late, or
    never.
    """
    ending = rng.choice(("no_answer", "busy", "voicemail", TALKED, TALKED, TALKED))
    asks = [Ask(0)]
    for _ in range(rng.choice((1, 1, 2))):
        at = 40 + rng.choice((1, 20, 50, 70, 300, 3000, 3700, 40_000))
        asks.append(Ask(at, process=rng.randrange(2), redial=rng.random() < 0.3))
    quirks = Quirks(words_late=rng.choice((0.0, 1.0, 40.0, 120.0, 1000.0)))
    tasks = (replace(task, ending=ending),)
    return Plan(
        "asks again after nobody was reached", tasks, tuple(asks), starts=_TWO, quirks=quirks
    )


def _redials(rng: random.Random, task: Task, during: float) -> Plan:
    asks = (
        Ask(0),
        Ask(400, redial=True, gives_up=during),
        Ask(400 + during + rng.uniform(0, 30), redial=True),
    )
    return Plan("redials, gives up, and redials again", (task,), asks)


def _one_confirmation(rng: random.Random, task: Task, _: float) -> Plan:
    asks = (Ask(0, confirms=True, redial=rng.random() < 0.7, times=rng.randint(6, 20)),)
    return Plan("uses one confirmation for many requests at once", (task,), asks, confirm="always")


def _several_tasks(rng: random.Random, task: Task, _: float) -> Plan:
    number = rng.choice((2, 12))
    tasks = tuple(
        table(task.ending, additional_instructions=[f"Ask for table {place}"])
        for place in range(number)
    )
    later = rng.choice((0.0, rng.uniform(0, 30)))
    asks = tuple(
        Ask(later if place else 0, task=place, process=rng.randrange(2)) for place in range(number)
    )
    confirm: Confirm = rng.choice(("auto", "never"))
    return Plan("asks for several calls to one number", tasks, asks, confirm=confirm, starts=_TWO)


def _stops_reading(rng: random.Random, task: Task, during: float) -> Plan:
    """The client reads its pipe no more, its server ends after the call, and the next one is
    asked.
    """
    ends = ENDINGS[task.ending] + rng.uniform(0, 100)
    end = Event(ends, rng.choice(("is killed", "is terminated")))
    again = Ask(ends + during, process=1, redial=rng.random() < 0.7)
    return Plan(
        "stops reading and asks another", (task,), (Ask(0, reads=False), again), (end,), starts=_TWO
    )


_TWO = (Start(), Start())

ACTIONS: tuple[Callable[[random.Random, Task, float], Plan], ...] = (
    _waits,
    _gives_up,
    _asks_another,
    _asks_days_later,
    _at_once,
    _once_more,
    _again_after_nobody,
    _redials,
    _one_confirmation,
    _several_tasks,
    _stops_reading,
)
"""In turn, so that any stretch of seeds covers as much as any other."""


# How the service differs, and what it answers


def _quirks(rng: random.Random, plan: Plan) -> Quirks:
    """Most runs have a service that tells enough to find a call; in some it leaves no way to
    know.
    """
    few = rng.random() < 0.1
    homes = len({start.home for start in plan.starts}) > 1
    return Quirks(
        clock_ahead=rng.choice((0, 0, -300, 300, 86400, -86400)),
        order=rng.choice(("newest first", "newest first", "oldest first", "changed first")),
        page=rng.choice((200, 200, 50)),
        has_dates=not few,
        echo="nothing" if few else rng.choice(("all", "all", "not the task", "name and number")),
        with_seconds=rng.random() < 0.3,
        spellings={"success": "completed", "no_answer": "No Answer"} if rng.random() < 0.3 else {},
        lists_ended_only=rng.random() < 0.3,
        forgets_keys=rng.random() < 0.3 and not homes,
        answers_at_once=rng.random() < 0.15,
        details_late=rng.choice((1.0, 20.0)) if rng.random() < 0.15 else 0.0,
        words_late=plan.quirks.words_late,
    )


def _with_troubles(rng: random.Random, plan: Plan) -> Plan:
    ending = plan.tasks[0].ending
    seconds = ENDINGS[STATUS_OF.get(ending, ending)]
    troubles = tuple(_trouble(rng, seconds) for _ in range(rng.choice((0, 1, 1, 1, 2, 3))))
    if rng.random() < 0.1:  # a refusal that names the call that was placed
        names = rng.choice((400, 402, 403, 422, 429))
        troubles = (
            Trouble(names, placed=True, names_call=True, delay=rng.choice((0.0, 10.0))),
            *troubles,
        )
    looks = tuple(
        Trouble(rng.choice((*BROKEN, 429, 500, 503, 404)), delay=rng.choice((0.0, 1.0)))
        for _ in range(rng.choice((0, 0, 0, 1, 3, 8)))
    )
    foreign: tuple[Foreign, ...] = ()
    if rng.random() < 0.25:
        foreign = tuple(
            Foreign(age=rng.choice((150, 900, 7200, 90000)), status=rng.choice(tuple(ENDINGS)))
            for _ in range(rng.choice((1, 3, 20)))
        )
    events = plan.events
    if rng.random() < 0.25:
        events += (Event(rng.uniform(0, 20), "other programs call", number=rng.choice((3, 250))),)
    return replace(plan, troubles=troubles, look_troubles=looks, foreign=foreign, events=events)


def _with_limit(rng: random.Random, plan: Plan) -> Plan:
    """In some runs, the service places the call and answers 429 all the same, and mostly its list
    can't be read then.

    A service that asks for a long pause lists the call at once: with no other sign, a client must
    say "not called".
    """
    if rng.random() > 0.15:
        return plan
    retry_after = rng.choice((None, 2, 6, 29, 60))
    limit = Trouble(429, placed=True, delay=rng.choice((0.0, 10.0)), retry_after=retry_after)
    looks = tuple(
        Trouble(rng.choice((*BROKEN, 429, 500, 503, 404)))
        for _ in range(rng.choice((0, 1, 4, 12, 40)))
    )
    quirks = replace(
        plan.quirks, lists_ended_only=plan.quirks.lists_ended_only and retry_after != 60
    )
    return replace(
        plan, troubles=(limit,), look_troubles=(*looks, *plan.look_troubles), quirks=quirks
    )


def _trouble(rng: random.Random, call_seconds: float) -> Trouble:
    placed = rng.random() < 0.7
    answer = rng.choice(
        (rng.choice(BROKEN), rng.choice(STATUSES_AFTER if placed else STATUSES_BEFORE))
    )
    delay = rng.choice((0.0, 0.0, round(rng.uniform(0, 20), 1), call_seconds, call_seconds + 1))
    if placed and delay > _LATE and rng.random() < 0.3:
        # The minutes ran out in the call, or what was said in it was not allowed.
        answer = rng.choice((402, 422))
    return Trouble(answer, placed=placed, delay=delay if placed or rng.random() < 0.3 else 0.0)


def _stopped_at_a_step(rng: random.Random, plan: Plan) -> Plan:
    """One process is killed, or its machine is suspended, at one of its steps."""
    process = rng.randrange(len(plan.starts))
    happens: float | Literal["kill"] = rng.choice(("kill", "kill", 30.0, 1000.0))
    if happens == 1000.0 and (
        any(ask.times > 1 for ask in plan.asks) or len({ask.at for ask in plan.asks}) == 1
    ):
        # At a step of one request another one may have passed its last check, and no client sees
        # that.
        happens = 30.0
    changed = replace(plan.starts[process], at_step={rng.randint(1, _STEPS): happens})
    starts = (*plan.starts[:process], changed, *plan.starts[process + 1 :])
    if happens == "kill" and len(starts) == 1:
        starts += (Start(at=rng.choice((0.0, 0.5, 10.0))),)
    return replace(plan, starts=starts, asks=_until_told(plan))


def _disturbed(rng: random.Random, plan: Plan, *, is_shared: bool) -> Plan:
    at = round(rng.choice((rng.uniform(0, 3), rng.uniform(0, 150))), 1)
    what = rng.choice(DISTURBANCES + (DATABASE_DISTURBANCES if is_shared else FILE_DISTURBANCES))
    if what == "its ledger is deleted" and len({start.ahead for start in plan.starts}) > 1:
        # Without the ledger, the key alone stops a second call, and it is of another day on another
        # clock.
        what = "its ledger fails"
    process, seconds = rng.randrange(len(plan.starts)), rng.choice(_LENGTHS.get(what, _SHORT))
    events = [Event(at, what, process, seconds=seconds)]
    if what == "someone else signs in" and rng.random() < 0.5:
        events.append(Event(at + rng.choice((1.0, 60.0, 600.0)), "the user signs in again"))
    plan = replace(plan, events=(*plan.events, *events))
    if what in ("is killed", "is terminated"):
        starts = plan.starts if len(plan.starts) > 1 else (*plan.starts, Start())
        plan = replace(plan, starts=starts, asks=_until_told(plan))
    return plan


def _until_told(plan: Plan) -> tuple[Ask, ...]:
    return tuple(replace(ask, until_told=True, gives_up=_patience(ask)) for ask in plan.asks)


def _patience(ask: Ask) -> float | None:
    """After how long a client gives up that asks until it is told: not before a database can
    answer.
    """
    return None if ask.gives_up is None else max(ask.gives_up, _A_FEW_TRANSACTIONS)


def disturbed_around(
    rng: random.Random,
    plan: Plan,
    moments: Sequence[float],
    near: float,
    *,
    is_shared: bool,
    back_after: float,
) -> Plan:
    """`plan`, for calls that nobody waits for, with what fails up to `near` seconds from some
    moments of the run.

    A user who signs in as someone else may do so again only after `back_after` seconds.
    """
    events = [*plan.events]
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at = max(
            0.1, rng.choice(moments) + rng.choice((-1.0, 0.0, 0.1, 1.0)) * rng.uniform(0, near)
        )
        what = rng.choice(DISTURBANCES + (DATABASE_DISTURBANCES[:1] if is_shared else ()))
        events.append(
            Event(at, what, process=rng.randrange(2), seconds=rng.choice((5.0, 100.0, 2500.0)))
        )
        if what == "someone else signs in":
            events.append(Event(at + rng.choice((30.0, back_after)), "the user signs in again"))
    if rng.random() < 0.2 and not is_shared:
        at = rng.choice(moments) + rng.uniform(1, 60)
        events.append(
            Event(
                at, "has its clock set", seconds=rng.choice((-3600.0, -90.0, 90.0, 1000.0, 4000.0))
            )
        )
    steps: dict[int, float | Literal["kill"]] = {}
    if rng.random() < 0.45:
        steps = {rng.randrange(60): rng.choice(("kill", "kill", 100.0, 2500.0))}
    starts = (
        (Start(at_step=steps), Start())
        if is_shared or rng.random() < 0.6
        else (Start(at_step=steps),)
    )
    troubles = tuple(
        Trouble(rng.choice((*STATUSES_AFTER, *BROKEN)), placed=True, delay=rng.choice((0.0, 10.0)))
        for _ in range(rng.choice((0, 0, 1, 2)))
    )
    quirks = replace(plan.quirks, answers_at_once=rng.random() < 0.3)
    plan = replace(plan, events=tuple(events), starts=starts, troubles=troubles, quirks=quirks)
    return with_slow_statements(rng, plan) if is_shared else plan


def with_slow_statements(rng: random.Random, plan: Plan) -> Plan:
    """`plan` with a database whose statements may take time, so that transactions of two workers
    often overlap.
    """
    return replace(plan, statement_seconds=rng.choice((0.0, 0.05, 0.3, 0.3)))


def sometimes_canceled(rng: random.Random, ask: Ask, *, calls: int, is_shared: bool) -> Ask:
    """`ask`, or `ask` with a cancellation, mostly just as one of the first `calls` ends.

    With two workers, mostly the other one is told, because one process writes one thing after
    another.
    """
    if rng.random() > (_CANCELED_WHERE_SHARED if is_shared else _CANCELED):
        return ask
    after = rng.choice(
        (*(rng.uniform(-1.2, 0.3) for _ in range(3)), rng.uniform(-3, 3), rng.uniform(-30, 90))
    )
    other = rng.choice((1, 1, 1, 0)) if is_shared else None
    return replace(
        ask, cancels_at=after, cancels_at_end_of=rng.randint(1, calls), canceled_by=other
    )


def hanging_plan(seed: int, *, is_shared: bool = False) -> Plan:
    """Nothing comes when KallyAI is asked about calls that are to be placed again, until the last
    `Ask`.

    The last but one task is due at about that time, and a process dies during the call of the last
    one.
    """
    rng = random.Random(f"hanging {seed} {is_shared}")  # noqa: S311 - it has to be repeatable, not secret
    numbers = [f"+1415555{1401 + place}" for place in range(rng.randint(6, 12))]
    again = 900.0  # the least seconds until a call is placed again
    due = rng.uniform(again + 5, again + 60)
    not_before = (NOON + timedelta(seconds=due)).isoformat()
    tasks = [
        question("busy", number, task_description=f"Ask {number}", retries=1) for number in numbers
    ]
    tasks.append(question(number="+14155551501", not_before=not_before))
    tasks.append(question(number="+14155551502"))
    asks = [Ask(0, task=place, waits=False) for place in range(len(tasks) - 1)]
    asks.append(Ask(again - rng.uniform(1, 20), task=len(tasks) - 1, process=1, waits=False))
    asks.append(Ask(again + 300, task=len(tasks) - 2, waits=False))
    return Plan(
        "look-ups hang",
        tuple(tasks),
        tuple(asks),
        (Event(again + rng.uniform(15, 40), "is killed", process=1),),
        _TWO,
        seed=seed,
        quirks=Quirks(hangs_for=frozenset(numbers)),
    )
