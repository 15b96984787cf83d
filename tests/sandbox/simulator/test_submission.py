from typing import Any

import pytest
from pydantic import ValidationError

from kallyai_mcp.sandbox.simulator.submission import Submission

MINIMAL: dict[str, Any] = {"task_category": "general", "task_description": "Ask when they open"}
OPTIONAL = [name for name, field in Submission.model_fields.items() if not field.is_required()]


def refused_fields(payload: dict[str, Any]) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        Submission.model_validate(payload)
    return {str(error["loc"][0]) for error in caught.value.errors()}


@pytest.mark.parametrize("name", OPTIONAL)
def test_an_optional_field_may_be_null(name: str) -> None:
    assert Submission.model_validate(MINIMAL | {name: None}) == Submission.model_validate(MINIMAL)


@pytest.mark.parametrize(
    "change",
    [
        {"task_category": "cinema"},
        {"task_category": None},
        {"task_description": ""},
        {"task_description": " \n"},
        {"task_description": None},
        {"respondent_phone": 14155551234},
        {"appointment_date": "27.11.2026"},
        {"appointment_date": "2026-02-30"},
        {"appointment_date": "2026-11-27T19:00:00"},
        {"appointment_date": 1795737600},
        {"party_size": 0},
        {"party_size": 51},
        {"party_size": "4"},
        {"party_size": 4.5},
        {"is_urgent": "yes"},
        {"is_urgent": 1},
        {"additional_instructions": "High chair"},
        {"additional_instructions": [None]},
        {"user_name": "\ud800"},
        {"additional_instructions": ["\udfff"]},
        {"time_zone": "Europe/Madrid"},
    ],
)
def test_a_value_outside_the_reference_is_refused_by_its_field_alone(change: dict[str, Any]) -> None:
    assert refused_fields(MINIMAL | change) == set(change)


@pytest.mark.parametrize("size", [1, 50])
def test_the_limits_of_the_party_size_are_allowed(size: int) -> None:
    assert Submission.model_validate(MINIMAL | {"party_size": size}).party_size == size


def test_values_with_their_own_error_code_are_accepted_by_the_schema() -> None:
    submission = Submission.model_validate(MINIMAL | {"appointment_time": "25:99", "language": "fr"})
    assert (submission.appointment_time, submission.language, submission.respondent_phone) == ("25:99", "fr", None)
