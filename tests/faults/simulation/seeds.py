"""What a seed decides for a simulated run: what the agent does, what fails, and how the service differs."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from tests.faults.simulation.plan import Ask, Event, Foreign, Plan, Start, Task, What, table
from tests.faults.simulation.service import ENDINGS, Broken, Quirks, Trouble, spelled_otherwise

STATUSES_AFTER = (408, 409, 425, 499, 500, 502, 503, 504, 520, 301, 302, 303, 307, 308)
"""Statuses that don't prove that no call was placed."""

STATUSES_BEFORE = (*STATUSES_AFTER, 400, 401, 402, 403, 404, 405, 413, 415, 422, 429)

BROKEN: tuple[Broken, ...] = ("cut", "page", "empty", "half")

CLOCK_CHANGES = {
    "America/Los_Angeles": ("2026-03-08 10:00", "2026-11-01 09:00"),
    "Europe/London": ("2026-03-29 01:00", "2026-10-25 01:00"),
}
"""When the clocks there go forward and back, in UTC."""

DISTURBANCES: tuple[What, ...] = (
    "is killed",
    "is terminated",
    "is stopped",
    "is suspended with its machine",
    "someone else signs in",
    "its ledger fails",
    "its ledger fails to confirm",
)
"""What may happen around the times of calls that nobody waits for."""

DATABASE_DISTURBANCES: tuple[What, ...] = ("its database ends all connections", "its database hangs")
"""What may happen to a PostgreSQL database besides."""

_STEPS = 24
"""So many steps a process takes from a request until its call is answered, with some looks for it."""


def simulated_plan(seed: int, *, is_shared: bool = False) -> Plan:
    """The plan of a seed, always the same. If it `is_shared`, two workers use one PostgreSQL database."""
    rng = random.Random(f"simulated {seed} {is_shared}")  # noqa: S311 - it has to be repeatable, not secret
    task = table(rng.choice((*ENDINGS, "success", "success")))
    plan = ACTIONS[seed % len(ACTIONS)](rng, task, round(rng.uniform(0.1, ENDINGS[task.ending] * 1.5), 1))
    plan = replace(plan, seed=seed, quirks=_quirks(rng, plan))
    plan = _with_troubles(rng, plan)
    if is_shared:
        starts = plan.starts if len(plan.starts) > 1 else (*plan.starts, Start())
        asks = (replace(ask, process=rng.randrange(2)) for ask in plan.asks)
        plan = replace(plan, starts=tuple(replace(start, home=0, ahead=0) for start in starts), asks=tuple(asks))
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        plan = _disturbed(rng, plan, is_shared=is_shared)
    return _with_limit(rng, _with_contradictions(rng, plan))


# What the agent does: one task that ends somehow, and `during` it or soon after its end, the client may give up


def _waits(rng: random.Random, task: Task, _: float) -> Plan:
    return Plan("waits for the outcome", (task,), (Ask(0, waits=rng.random() < 0.5),))


def _gives_up(rng: random.Random, task: Task, during: float) -> Plan:
    again = during + rng.choice((0.0, rng.uniform(0, 40)))
    first = Ask(0, gives_up=during, silently=rng.random() < 0.4, waits=True)
    return Plan("gives up and asks again", (task,), (first, Ask(again, retyped=rng.random() < 0.5)))


def _other_process(rng: random.Random, task: Task, during: float) -> Plan:
    asks = (Ask(0, gives_up=during), Ask(during + rng.uniform(0, 30), process=1))
    return Plan("gives up and asks another process", (task,), asks, starts=_TWO)


def _at_once(rng: random.Random, task: Task, _: float) -> Plan:
    asks = (Ask(0, times=rng.randint(1, 4)), Ask(0, process=rng.randrange(2), times=rng.randint(1, 4)))
    return Plan("asks many times at once", (task,), asks, starts=_TWO)


def _once_more(rng: random.Random, task: Task, _: float) -> Plan:
    again = Ask(400 + rng.choice((1, 50, 70, 3000, 3700)), process=rng.randrange(2))
    return Plan("asks once more after the end", (task,), (Ask(0), again), starts=_TWO)


def _clock_set(rng: random.Random, task: Task, _: float) -> Plan:
    """The clock is set while no call is in progress."""
    sets = Event(rng.uniform(350, 400), "has its clock set", seconds=rng.choice((-7200, 3700, 7200, 86400)))
    again = Ask(400 + rng.choice((1, 20, 50, 300, 3000)), process=rng.choice((0, 0, 1)), retyped=rng.random() < 0.5)
    return Plan("asks once more after the clock was set", (task,), (Ask(0), again), (sets,), starts=_TWO)


def _redials(rng: random.Random, task: Task, during: float) -> Plan:
    asks = (Ask(0), Ask(400, redial=True, gives_up=during), Ask(400 + during + rng.uniform(0, 30), redial=True))
    return Plan("redials, gives up, and redials again", (task,), asks)


def _redials_at_once(rng: random.Random, task: Task, _: float) -> Plan:
    times, process = rng.randint(2, 5), rng.randrange(2)
    asks = (Ask(0), Ask(400, redial=True, times=times), Ask(400, redial=True, process=process))
    return Plan("redials many times at once", (task,), asks, starts=_TWO)


def _one_confirmation(rng: random.Random, task: Task, _: float) -> Plan:
    asks = (Ask(0, confirms=True, redial=rng.random() < 0.7, times=rng.randint(6, 20)),)
    return Plan("uses one confirmation for many requests at once", (task,), asks, confirm="always")


def _twelve_tasks(rng: random.Random, task: Task, _: float) -> Plan:
    tasks = tuple(table(task.ending, task_description=f"Ask question {number}") for number in range(12))
    asks = tuple(Ask(0, task=number, process=rng.randrange(2)) for number in range(12))
    return Plan("asks for twelve calls to one number at once", tasks, asks, confirm="auto", starts=_TWO)


def _similar_tasks(rng: random.Random, task: Task, _: float) -> Plan:
    wishes = ("Ask for the terrace", "Ask for a table inside")
    tasks = tuple(table(task.ending, additional_instructions=[wish]) for wish in wishes)
    later = Ask(rng.choice((0.0, rng.uniform(0, 30))), task=1)
    return Plan("asks for two similar calls", tasks, (Ask(0), later))


def _two_homes(rng: random.Random, task: Task, during: float) -> Plan:
    asks = (Ask(0, gives_up=during), Ask(rng.choice((0.0, during)), process=1))
    return Plan("asks two homes of one account", (task,), asks, starts=(Start(), Start(home=1)))


def _clock_ahead(rng: random.Random, task: Task, during: float) -> Plan:
    ahead = rng.choice((-86400 * 2, -3600, -300, 300, 3600, 86400 * 2))
    starts = (Start(ahead=rng.choice((0, ahead))), Start(at=rng.uniform(0, 30), ahead=ahead))
    asks = (Ask(0, gives_up=during), Ask(max(during, 31), process=1))
    title = "asks a process with another clock"
    return Plan(title, (task,), asks, starts=starts, keep_days=rng.choice((0, 90)))


_TWO = (Start(), Start())

ACTIONS: tuple[Callable[[random.Random, Task, float], Plan], ...] = (
    *(_waits, _gives_up, _other_process, _at_once, _once_more, _clock_set, _redials, _redials_at_once),
    *(_one_confirmation, _twelve_tasks, _similar_tasks, _two_homes, _clock_ahead),
)
"""In turn, so that any stretch of seeds covers as much as any other."""


# How the service differs, and what it answers


def _quirks(rng: random.Random, plan: Plan) -> Quirks:
    """Most runs have a service that tells enough to find a call; in some it leaves no way to know."""
    few = rng.random() < 0.1
    homes = len({start.home for start in plan.starts}) > 1
    clocks_agree = not any(start.ahead for start in plan.starts)
    sends_date = not clocks_agree or rng.random() > 0.1
    return Quirks(
        clock_ahead=rng.choice((0, 0, -300, 300, 86400, -86400)) if sends_date else 0,
        sends_date=sends_date,
        order=rng.choice(("newest first", "newest first", "oldest first", "shuffled")),
        page=rng.choice((200, 200, 50)),
        has_total=rng.random() > 0.2,
        dates="missing"
        if few
        else rng.choice(("metadata", "top level", "number", "milliseconds", "e-mail", "without zone")),
        echo=rng.choice(("number", "nothing"))
        if few
        else rng.choice(("all", "all", "not the task", "name and number")),
        times=rng.choice(("as asked", "seconds", "12 hours")),
        is_retyped=rng.random() < 0.3,
        spellings=spelled_otherwise(rng) if rng.random() < 0.4 else {},
        lists_ended_only=rng.random() < 0.3,
        forgets_keys=rng.random() < 0.3 and not homes,
        answers_at_once=rng.random() < 0.15,
    )


def _with_troubles(rng: random.Random, plan: Plan) -> Plan:
    seconds = ENDINGS[plan.tasks[0].ending]
    troubles = tuple(_trouble(rng, seconds) for _ in range(rng.choice((0, 1, 1, 1, 2, 3))))
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


def _with_contradictions(rng: random.Random, plan: Plan) -> Plan:
    """In some runs, the service's answers contradict each other.

    A refusal names the call that was placed, a call that is listed has no details yet, or the list changes its order.
    """
    if rng.random() < 0.1:
        refusal = Trouble(rng.choice((400, 402, 403, 422, 429)), placed=True, names_call=True)
        plan = replace(plan, troubles=(replace(refusal, delay=rng.choice((0.0, 10.0))), *plan.troubles))
    if rng.random() < 0.15:
        plan = replace(plan, quirks=replace(plan.quirks, details_late=rng.choice((1.0, 20.0))))
    if rng.random() < 0.15:
        plan = replace(plan, quirks=replace(plan.quirks, order="changed first"))
    return plan


def _with_limit(rng: random.Random, plan: Plan) -> Plan:
    """In some runs, the service places the call and answers 429 all the same, and mostly its list can't be read then.

    A service that asks for a long pause lists the call at once: with no other sign, a client must say "not called".
    """
    if rng.random() > 0.15:
        return plan
    retry_after = rng.choice((None, 2, 6, 29, 60))
    limit = Trouble(429, placed=True, delay=rng.choice((0.0, 10.0)), retry_after=retry_after)
    looks = tuple(Trouble(rng.choice((*BROKEN, 429, 500, 503, 404))) for _ in range(rng.choice((0, 1, 4, 12, 40))))
    quirks = replace(plan.quirks, lists_ended_only=plan.quirks.lists_ended_only and retry_after != 60)
    return replace(plan, troubles=(limit,), look_troubles=(*looks, *plan.look_troubles), quirks=quirks)


_LATE = 45.0
"""After so many seconds a refusal no longer proves that no call was placed."""


def _trouble(rng: random.Random, call_seconds: float) -> Trouble:
    placed = rng.random() < 0.7
    answer = rng.choice((rng.choice(BROKEN), rng.choice(STATUSES_AFTER if placed else STATUSES_BEFORE)))
    delay = rng.choice((0.0, 0.0, round(rng.uniform(0, 20), 1), call_seconds, call_seconds + 1))
    if placed and delay > _LATE and rng.random() < 0.3:
        answer = rng.choice((402, 422))  # the minutes ran out in the call, or what was said in it was not allowed
    return Trouble(answer, placed=placed, delay=delay if placed or rng.random() < 0.3 else 0.0)


# What else happens


def _disturbed(rng: random.Random, plan: Plan, *, is_shared: bool) -> Plan:
    at = round(rng.choice((rng.uniform(0, 3), rng.uniform(0, 150))), 1)
    process = rng.randrange(len(plan.starts))
    what = rng.choice(
        (
            "at a step",
            "at a step",
            "at a step",
            "ends",
            "stops",
            "clock",
            "account",
            "ledger fails",
            "database" if is_shared else "file",
            "newer",
        )
    )
    match what:
        case "at a step":
            happens: float | Literal["kill"] = rng.choice(("kill", "kill", 30.0, 1000.0))
            if happens == 1000.0 and _asks_at_once(plan):
                # At a step of one request another one may have passed its last check, and no client sees that.
                happens = 30.0
            changed = replace(plan.starts[process], at_step={rng.randint(1, _STEPS): happens})
            starts = (*plan.starts[:process], changed, *plan.starts[process + 1 :])
            if happens == "kill" and len(starts) == 1:
                starts += (Start(at=rng.choice((0.0, 0.5, 10.0))),)
            return replace(plan, starts=starts, asks=tuple(replace(ask, until_told=True) for ask in plan.asks))
        case "ends":
            name: What = rng.choice(("is killed", "is terminated"))
            starts = plan.starts if len(plan.starts) > 1 else (*plan.starts, Start())
            asks = tuple(replace(ask, until_told=True) for ask in plan.asks)
            return replace(plan, starts=starts, asks=asks, events=(*plan.events, Event(at, name, process)))
        case "stops":
            name = rng.choice(("is stopped", "is suspended with its machine"))
            return _with_event(plan, Event(at, name, process, seconds=rng.choice((5.0, 100.0, 1000.0))))
        case "clock" if not is_shared and plan.quirks.sends_date:
            return _with_event(
                plan, Event(at, "has its clock set", process, seconds=rng.choice((-3600, -300, 300, 3600)))
            )
        case "account":
            back = at + rng.choice((1.0, 60.0, 600.0))
            events = (Event(at, "someone else signs in"), Event(back, "the user signs in again"))
            return replace(plan, events=(*plan.events, *events[: rng.randint(1, 2)]))
        case "ledger fails" | "clock":
            name = rng.choice(("its ledger fails", "its ledger fails to confirm"))
            return _with_event(plan, Event(at, name, process, seconds=rng.choice((0.5, 5.0, 60.0))))
        case "file":
            name = rng.choice(("its ledger is locked", "its ledger is deleted", "its disk is full"))
            if name == "its ledger is deleted" and len({start.ahead for start in plan.starts}) > 1:
                # Without the ledger, the key alone stops a second call, and it is of another day on another clock.
                name = "its ledger is locked"
            return _with_event(plan, Event(at, name, process, seconds=rng.choice((0.5, 5.0, 60.0))))
        case "database":
            name = rng.choice(DATABASE_DISTURBANCES)
            return _with_event(plan, Event(at, name, seconds=rng.choice((0.5, 5.0, 60.0))))
        case _:
            return _with_event(plan, Event(at, "its ledger gets a newer record", process))


def disturbances(
    rng: random.Random, moments: Sequence[float], near: Callable[[], float], *, is_shared: bool, back_after: float
) -> tuple[Event, ...]:
    """Up to three events around some moments (seconds since the run's begin); `near` gives how far from them.

    A user who signs in as someone else may do so again only after `back_after` seconds.
    """
    events: list[Event] = []
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at = max(0.1, rng.choice(moments) + near())
        what = rng.choice(DISTURBANCES + (DATABASE_DISTURBANCES if is_shared else ()))
        events.append(Event(at, what, process=rng.randrange(2), seconds=rng.choice((5.0, 100.0, 2500.0))))
        if what == "someone else signs in":
            events.append(Event(at + rng.choice((30.0, back_after)), "the user signs in again"))
    return tuple(events)


def disturbed_around(
    rng: random.Random, plan: Plan, moments: Sequence[float], near: float, *, is_shared: bool, back_after: float
) -> Plan:
    """`plan`, for calls that nobody waits for, with what fails around some moments, up to `near` seconds from them."""

    def distance() -> float:
        return rng.choice((-1.0, 0.0, 0.1, 1.0)) * rng.uniform(0, near)

    events = plan.events + disturbances(rng, moments, distance, is_shared=is_shared, back_after=back_after)
    if rng.random() < 0.2 and not is_shared:
        at = rng.choice(moments) + rng.uniform(1, 60)
        events += (Event(at, "has its clock set", seconds=rng.choice((-3600.0, -90.0, 90.0, 1000.0, 4000.0))),)
    steps: dict[int, float | Literal["kill"]] = {}
    if rng.random() < 0.45:
        steps = {rng.randrange(60): rng.choice(("kill", "kill", 100.0, 2500.0))}
    starts = (Start(at_step=steps), Start()) if is_shared or rng.random() < 0.6 else (Start(at_step=steps),)
    troubles = tuple(
        Trouble(rng.choice((*STATUSES_AFTER, *BROKEN)), placed=True, delay=rng.choice((0.0, 10.0)))
        for _ in range(rng.choice((0, 0, 1, 2)))
    )
    quirks = replace(plan.quirks, answers_at_once=rng.random() < 0.3)
    return replace(plan, events=events, starts=starts, troubles=troubles, quirks=quirks)


def _asks_at_once(plan: Plan) -> bool:
    return any(ask.times > 1 for ask in plan.asks) or len({ask.at for ask in plan.asks}) < len(plan.asks)


def _with_event(plan: Plan, event: Event) -> Plan:
    return replace(plan, events=(*plan.events, event))
