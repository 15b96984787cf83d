"""Which instructions of an agent the callee may confirm."""

import pytest

from kallyai_mcp.api.models import Submission
from kallyai_mcp.tools.submissions import wishes_to_confirm


@pytest.mark.parametrize(
    ("instruction", "is_wish"),
    [
        ("By the window", True),
        ("A high chair, if they have one", True),
        ("Any vegetarian dish", True),
        ("Only before 9 PM", False),
        ("No deposit", False),
        ("Any time on Friday evening is fine", False),
        ("Cualquier hora de la noche vale", False),
    ],
)
def test_limits_and_permissions_need_no_confirmation(instruction: str, *, is_wish: bool) -> None:
    submission = Submission(
        task_category="restaurant",
        task_description="Book a table",
        respondent_phone="+14155551234",
        additional_instructions=[instruction],
    )

    assert wishes_to_confirm(submission) == ((instruction,) if is_wish else ())
