"""The properties, and the search for an example that violates one: hypothesis draws examples and shrinks a failure."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.arguments import uses
from tests.fuzz.service_checks import check_client, check_tool_on_service, exchanges, services
from tests.fuzz.tool_checks import check_tool_use

MODES = st.sampled_from(["auto", "legacy"])
"""The MCP client's mode: 2026-07-28, or the handshake up to 2025-11-25."""


@dataclass(frozen=True)
class Property:
    """A property that has to hold for every example.

    Attributes:
        statement: The property, as a sentence.
        examples: Draws an example; its first part names what is checked.
        check: Checks an example. Raises if the property does not hold, else returns the kind of result.
        share: The share of the requested number of examples that is drawn; less than 1 where each takes longer.
    """

    statement: str
    examples: st.SearchStrategy[tuple[Any, ...]]
    check: Callable[..., str]
    share: float = 1


PROPERTIES: Mapping[str, Property] = {
    "agent": Property(
        "A tool answers any arguments with a clear error or the call that was asked for",
        st.tuples(uses(), MODES).map(lambda example: (*example[0], example[1])),
        check_tool_use,
    ),
    "tools": Property(
        "Whatever the service answers, no tool result has a traceback or a token",
        st.tuples(services(), MODES).map(lambda example: (*example[0], example[1])),
        check_tool_on_service,
    ),
    "client": Property(
        "The client makes a model or a typed, truthful error of any response", exchanges(), check_client
    ),
}


def check_property(checked: Property, examples: int, number: int | None) -> Counter[str]:
    """Search for an example that violates a property, and raise what the smallest one raises.

    Args:
        checked: The property.
        examples: How many examples to draw at most.
        number: The seed; None for the same examples each time, without shrinking.

    Returns:
        How often each kind of result came.
    """
    results: Counter[str] = Counter()

    def check(example: tuple[Any, ...]) -> None:
        results[f"{example[0]}: {checked.check(*example)}"] += 1

    test = settings(
        max_examples=max(1, round(examples * checked.share)),
        derandomize=number is None,
        phases=[Phase.generate] if number is None else [Phase.generate, Phase.shrink],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )(given(checked.examples)(check))
    if number is not None:
        test = seed(number)(test)
    state = random.getstate()
    try:
        test()
    finally:
        random.setstate(state)
    return results
