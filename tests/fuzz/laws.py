"""The laws that are held, and how often: examples drawn by hypothesis, with the smallest that breaks one."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.agent_side import hold_to_the_law
from tests.fuzz.arguments import uses
from tests.fuzz.service_side import (
    exchanges,
    hold_client_to_the_law,
    hold_tokens_back,
    hold_tools_to_the_law,
    redirects,
    services,
)

ERAS = st.sampled_from(["auto", "legacy"])
"""2026-07-28 and 2025-11-25."""


@dataclass(frozen=True)
class Law:
    """What is held.

    Attributes:
        says: The law, in words.
        cases: Draws a case; its first part names what is held to the law.
        hold: Raises whatever the law's breach is; returns what the case came to.
        cost: How many of the examples asked for are drawn, 1 for all: some cases take longer.
    """

    says: str
    cases: st.SearchStrategy[tuple[Any, ...]]
    hold: Callable[..., str]
    cost: float = 1


LAWS: Mapping[str, Law] = {
    "agent": Law(
        "A tool answers any arguments with a clear error or the call that was asked for",
        st.tuples(uses(), ERAS).map(lambda case: (*case[0], case[1])),
        hold_to_the_law,
    ),
    "tools": Law(
        "On a service that answers anything, an agent reads no traceback and no token",
        st.tuples(services(), ERAS).map(lambda case: (*case[0], case[1])),
        hold_tools_to_the_law,
    ),
    "client": Law(
        "The client makes a model or a typed, truthful error of any answer", exchanges(), hold_client_to_the_law
    ),
    "redirects": Law("No other host is spoken to, and no token goes there", redirects(), hold_tokens_back, 0.2),
}


@dataclass(frozen=True)
class Outcome:
    """What came of one law: how often what came out, how long it took, and what broke it, if anything did."""

    tally: Counter[str]
    seconds: float
    breach: BaseException | None

    @property
    def examples(self) -> int:
        """How many were tried; the shrinking of one that breaks the law counts."""
        return self.tally.total()


def held(law: Law, examples: int, number: int | None) -> Outcome:
    """Hold to `law`.

    Args:
        law: Which.
        examples: How many to draw, at most.
        number: Seeds the drawing; None for the same examples each time.

    Returns:
        The outcome; its breach has the smallest case as a note.
    """
    tally: Counter[str] = Counter()

    def case(drawn: tuple[Any, ...]) -> None:
        came_to = "broken"
        try:
            came_to = law.hold(*drawn)
        finally:
            tally[f"{drawn[0]}: {came_to}"] += 1

    phases = [Phase.generate] if number is None else [Phase.generate, Phase.shrink]
    test = settings(
        max_examples=max(1, round(examples * law.cost)),
        derandomize=number is None,
        phases=phases,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )(given(law.cases)(case))
    if number is not None:
        test = seed(number)(test)
    state, began = random.getstate(), time.monotonic()
    breach: BaseException | None = None
    try:
        test()
    except Exception as error:  # noqa: BLE001 - whatever is raised breaks the law
        breach = error
    finally:
        random.setstate(state)
    return Outcome(tally, time.monotonic() - began, breach)
