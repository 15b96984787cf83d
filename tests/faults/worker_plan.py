"""What a seed decides for a run at two workers, of which one dies."""

import random
from collections.abc import Iterator

from tests.faults.plan import NUMBERS, SPEED, WORKERS_WAIT_SECONDS, Deed, Plan, Step, misbehaviour

_DECK = (
    (Deed.WORKER_KILLED,) * 4 + (Deed.WORKER_TIMES_OUT,) * 3 + (Deed.WORKERS_AT_ONCE,) * 2 + (Deed.WORKER_TERMINATED,)
)
_STEPS = (None, None, None, *(step for step in Step if step is not Step.HANDED_OUT))
_ERRANDS = (
    "Ask for the opening hours",
    "Ask whether dogs are welcome",
    "Ask what the soup of the day is",
    "Ask whether there is a terrace",
    "Ask how to get there by bus",
)


def worker_plan(seed: int) -> Plan:
    """The plan of this seed, always the same."""
    rng = random.Random(f"workers {seed}")  # noqa: S311 - to be repeated, not to be secret
    shuffled = random.Random(f"workers' deeds {seed // len(_DECK)}").sample(_DECK, len(_DECK))  # noqa: S311 - as above
    step = rng.choice(_STEPS)
    number = rng.choice(list(NUMBERS))
    call_seconds = NUMBERS[number] / SPEED
    wait_seconds = rng.choice([None, 0, 0.5, 30.0])
    dies_twice = rng.random() < 0.2
    deed = shuffled[seed % len(_DECK)]
    return Plan(
        seed=seed,
        mode=rng.choice(("auto", "legacy")),
        number=number,
        errands=tuple(f"{errand}, errand {seed}" for errand in _ERRANDS[: rng.randint(1, len(_ERRANDS))]),
        faults=misbehaviour(rng, call_seconds, certainly_lost=step is Step.LOST),
        deed=deed,
        wait_seconds=0 if step is Step.ENDED else wait_seconds,  # nobody may be there to be told
        setting_seconds=WORKERS_WAIT_SECONDS,
        patience=rng.uniform(0.2, 3.0),
        moment=rng.uniform(0.0, call_seconds),
        step=step,
        witness=rng.random() < 0.5,
        dies_twice=dies_twice,
        then=rng.choice(("asks again", "only looks")),
        retyped=rng.random() < 0.3,
        announced=rng.random() < 0.5,
        comes_back=dies_twice or rng.random() < 0.3,
        pause=rng.choice((0, rng.uniform(0, 3 * call_seconds))) if deed is Deed.WORKER_TIMES_OUT else 0,
    )


def worker_plans(first: int, runs: int) -> Iterator[Plan]:
    """The plans of the seeds from `first` on."""
    return (worker_plan(seed) for seed in range(first, first + runs))
