"""What a seed decides for a run in which one of two workers ends."""

import random
from collections.abc import Iterator

from tests.faults.plans import NUMBERS, SPEED, WORKERS_WAIT_SECONDS, Action, DatabaseTrouble, Plan, Step, make_faults

_ACTIONS = (
    (Action.WORKER_KILLED,) * 4
    + (Action.WORKER_TIMES_OUT,) * 3
    + (Action.WORKERS_AT_ONCE,) * 2
    + (Action.WORKER_TERMINATED,)
)
_STEPS = (None, None, None, *(step for step in Step if step is not Step.DELIVERED))
_TASKS = (
    "Ask for the opening hours",
    "Ask whether dogs are welcome",
    "Ask what the soup of the day is",
    "Ask whether there is a terrace",
    "Ask how to get there by bus",
)


def worker_plan(seed: int) -> Plan:
    """The plan of a seed, always the same."""
    rng = random.Random(f"workers {seed}")  # noqa: S311 - it has to be repeatable, not secret
    shuffled = random.Random(f"actions of workers {seed // len(_ACTIONS)}").sample(_ACTIONS, len(_ACTIONS))  # noqa: S311
    end_at = rng.choice(_STEPS)
    number = rng.choice(list(NUMBERS))
    call_seconds = NUMBERS[number] / SPEED
    wait_seconds = rng.choice([None, 0, 0.5, 30.0])
    ends_twice = rng.random() < 0.2
    action = shuffled[seed % len(_ACTIONS)]
    troubles: tuple[DatabaseTrouble | None, ...] = (None, None, None, "is killed", "is restarted", "hangs")
    return Plan(
        seed=seed,
        mode=rng.choice(("auto", "legacy")),
        number=number,
        tasks=tuple(f"{task}, run {seed}" for task in _TASKS[: rng.randint(1, len(_TASKS))]),
        faults=make_faults(rng, call_seconds, loses_response=end_at is Step.RESPONSE_LOST),
        action=action,
        wait_seconds=0 if end_at is Step.ENDED else wait_seconds,  # an outcome that is delivered is a later step
        setting_seconds=WORKERS_WAIT_SECONDS,
        timeout=rng.uniform(0.2, 3.0),
        end_after=rng.uniform(0.0, call_seconds),
        end_at=end_at,
        has_standby=rng.random() < 0.5,
        ends_twice=ends_twice,
        afterwards=rng.choice(("asks again", "only looks")),
        is_retyped=rng.random() < 0.3,
        is_restarted=ends_twice or rng.random() < 0.3,
        pause=rng.choice((0, rng.uniform(0, 3 * call_seconds))) if action is Action.WORKER_TIMES_OUT else 0,
        database=rng.choice(troubles),
        database_at=rng.uniform(0, call_seconds),
        database_seconds=rng.choice((0.2, 1.0, 6.0)),
    )


def worker_plans(first: int, runs: int) -> Iterator[Plan]:
    """The plans of `runs` seeds from `first` on."""
    return (worker_plan(seed) for seed in range(first, first + runs))
