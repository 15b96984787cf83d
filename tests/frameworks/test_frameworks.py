"""The README shows the very snippets that `python -m tests.frameworks` runs, and their judge misses nothing."""

from pathlib import Path
from typing import Any

import pytest

from tests.frameworks.judge import faults_of, gave_up_too_soon
from tests.frameworks.snippets import FRAMEWORKS, Framework

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")

WELL = {
    "tools": ["get_call", "list_calls", "make_call"],
    "gave_up": "TimeoutError: ",
    "answers": ["This very call is under way already, 9 s so far. Nothing was dialled now.", "Done: … call_id 3f0c"],
    "last_word": "Done: … call_id 3f0c",
}
CALLS = [{"status": "success", "call_id": "3f0c"}]


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.name)
def test_the_readme_shows_the_snippet_that_is_run(framework: Framework) -> None:
    assert f"```python\n{framework.block()}\n```" in README


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=lambda framework: framework.name)
def test_a_snippet_is_short_and_names_the_time_out(framework: Framework) -> None:
    lines = [line for line in framework.block().splitlines() if line]

    assert len(lines) <= 25
    assert [line for line in lines if line.startswith("TIMEOUT = ") and "default" in line]


def test_one_call_that_was_found_again_and_followed_has_no_faults() -> None:
    assert faults_of(WELL, CALLS) == []


@pytest.mark.parametrize(
    ("change", "calls", "fault"),
    [
        ({"tools": ["make_call"]}, CALLS, "not offered: get_call, list_calls"),
        ({"gave_up": "Done: …"}, CALLS, "did not give up"),
        ({"answers": ["Done: … call_id 3f0c"]}, CALLS, "was not found under way"),
        ({"answers": ["The call is under way, 1 s so far.", "Done: …"]}, CALLS, "was not found under way"),
        ({}, CALLS * 2, "there should be one call"),
        ({}, [], "there should be one call"),
        ({}, [{"status": "in_progress", "call_id": "3f0c"}], "it should have succeeded"),
        ({"last_word": "Done: … call_id 91ab"}, CALLS, "its outcome did not arrive"),
    ],
)
def test_whatever_went_wrong_is_named(change: dict[str, Any], calls: list[dict[str, Any]], fault: str) -> None:
    assert [line for line in faults_of(WELL | change, calls) if fault in line]


@pytest.mark.parametrize(
    ("answer", "calls", "too_soon"),
    [
        ("The call is under way, 1 s so far.", CALLS, True),
        ("The call is under way, 1 s so far.", CALLS * 2, False),
        ("This very call is under way already, 9 s so far. Nothing was dialled now.", CALLS, False),
        ("Not dialled: the number is not valid.", CALLS, False),
    ],
)
def test_only_a_client_that_left_before_it_rang_may_try_again(
    answer: str, calls: list[dict[str, Any]], too_soon: bool
) -> None:
    assert gave_up_too_soon(WELL | {"answers": [answer, "Done: …"]}, calls) is too_soon
