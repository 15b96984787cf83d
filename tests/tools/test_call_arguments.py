"""The one model of a call's arguments, and what call_around makes of it."""

from datetime import UTC, datetime

import pytest

from kallyai_mcp.tools.arguments import InvalidArgumentsError, validate
from kallyai_mcp.tools.around import ArgumentsOfList
from kallyai_mcp.tools.call_arguments import CallArguments, InList

NOW = datetime(2026, 1, 26, 12, tzinfo=UTC)

FIRST = {"respondent_phone": "+1 415 555 1234", "business_name": " First "}
SECOND = {"respondent_phone": "+14155551236"}

LIST = {
    "candidates": [FIRST, SECOND],
    "until": "booked",
    "task_category": "restaurant",
    "task_description": "Book a table",
    "party_size": "4",
}


@pytest.mark.parametrize("name", CallArguments.model_fields)
def test_an_argument_has_one_mark(name: str) -> None:
    marks = [mark for mark in CallArguments.model_fields[name].metadata if isinstance(mark, InList)]

    assert len(marks) == 1


def test_each_call_has_what_its_list_shares() -> None:
    calls = validate(ArgumentsOfList, "call_around", LIST, NOW).calls()

    assert [call.respondent_phone for call in calls] == ["+14155551234", "+14155551236"]
    assert [call.business_name for call in calls] == ["First", None]
    assert [call.party_size for call in calls] == [4, 4]
    assert [call.retries for call in calls] == [0, 0]


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, field in CallArguments.model_fields.items()
        if InList.ALL_CALLS in field.metadata
    ],
)
def test_a_candidate_has_no_shared_argument(name: str) -> None:
    with pytest.raises(InvalidArgumentsError) as error:
        validate(
            ArgumentsOfList,
            "call_around",
            {**LIST, "candidates": [{**FIRST, name: "x"}, SECOND]},
            NOW,
        )

    assert [one.argument for one in error.value.problems] == [f"candidates[0].{name}"]
