import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kallyai_mcp.sandbox.simulator.submission import Submission, TaskCategory

MINIMAL: dict[str, Any] = {"task_category": "general", "task_description": "Ask when they open"}
OPTIONAL = [name for name, field in Submission.model_fields.items() if not field.is_required()]


def refused_fields(payload: dict[str, Any]) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        Submission.model_validate(payload)
    return {str(error["loc"][0]) for error in caught.value.errors()}


def test_a_full_submission_is_read_with_the_types_of_the_reference() -> None:
    submission = Submission.model_validate(
        MINIMAL
        | {
            "task_category": "restaurant",
            "respondent_phone": "+14155551234",
            "business_name": "Italian Bistro",
            "user_name": "Test Guest",
            "user_phone": "+12025550142",
            "appointment_date": "2026-11-27",
            "appointment_time": "19:00",
            "time_preference_text": "after 5pm",
            "party_size": 4,
            "language": "en",
            "call_language": "es",
            "is_urgent": True,
            "additional_instructions": ["High chair"],
        }
    )
    assert submission.task_category is TaskCategory.RESTAURANT
    assert submission.appointment_date == date(2026, 11, 27)
    assert json.loads(submission.model_dump_json())["appointment_date"] == "2026-11-27"
    assert submission.model_dump(mode="json")["task_category"] == "restaurant"


def test_the_references_example_submission_lacks_only_its_category() -> None:
    printed = json.loads((Path(__file__).parents[2] / "reference" / "call_details.json").read_text(encoding="utf-8"))
    assert refused_fields(printed["submission"]) == {"task_category"}
    assert Submission.model_validate(printed["submission"] | {"task_category": "restaurant"}).business_name


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


@pytest.mark.parametrize("missing", list(MINIMAL))
def test_a_missing_required_field_is_named(missing: str) -> None:
    assert refused_fields({name: value for name, value in MINIMAL.items() if name != missing}) == {missing}


def test_values_with_their_own_error_code_are_accepted_by_the_schema() -> None:
    submission = Submission.model_validate(MINIMAL | {"appointment_time": "25:99", "language": "fr"})
    assert (submission.appointment_time, submission.language, submission.respondent_phone) == ("25:99", "fr", None)
