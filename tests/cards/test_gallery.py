"""Each state of the call card has a picture, and is easy to use."""

from tests.cards.scripts import value_of
from tests.cards.states import STATES

_ROWS = {"list_waiting", "list_not_called"}
"""What a candidate is in the rows of a list."""


def test_each_state_has_a_picture() -> None:
    given = [
        {"input": state.arguments, "data": state.structure, "isError": state.is_error}
        for state in STATES.values()
        if not state.is_quota
    ]
    card = "afterInput(START, one.input)"
    after = f"one.data ? afterResult({card}, result(one.data, one.isError), 0) : {card}"
    shown = value_of(f"given.map((one) => stateOf({after}))", given=given)

    assert set(value_of("Object.keys(STATES)")) - set(shown) == _ROWS
