"""docs/frameworks.md shows the snippets that `python -m tests.frameworks` runs, and the checks find every fault."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.frameworks.checks import find_faults, was_too_slow
from tests.frameworks.snippets import FRAMEWORKS, Framework

PAGE = (Path(__file__).parents[2] / "docs" / "frameworks.md").read_text(encoding="utf-8")

GOOD = {
    "tools": ["get_call", "list_calls", "make_call"],
    "timed_out": "TimeoutError: ",
    "answers": ["In progress already; no new call was placed.", "Booked: … call_id 3f0c"],
    "result": "Booked: … call_id 3f0c",
    "seconds": 5.3,
}
CALLS = [{"status": "success", "call_id": "3f0c"}]


SHOWN = [framework for framework in FRAMEWORKS if framework.is_shown]


@pytest.mark.parametrize("framework", SHOWN, ids=lambda framework: framework.name)
def test_the_docs_show_the_snippet_that_is_run(framework: Framework) -> None:
    assert f"```{'js' if framework.is_javascript else 'python'}\n{framework.block()}\n```" in PAGE


def test_at_least_ten_clients_are_tested() -> None:
    assert len({framework.title for framework in FRAMEWORKS}) >= 10


@pytest.mark.parametrize("client", [one for one in FRAMEWORKS if one.is_javascript], ids=lambda client: client.name)
def test_a_client_in_javascript_has_packages_of_its_own_in_the_version_that_is_named(client: Framework) -> None:
    folder = Path(__file__).parent / "node" / client.name
    package, lock = (
        json.loads((folder / name).read_text(encoding="utf-8")) for name in ("package.json", "package-lock.json")
    )

    assert package["dependencies"] == dict(zip(client.packages, client.versions, strict=True))
    assert lock["packages"][""]["dependencies"] == package["dependencies"]


@pytest.mark.parametrize("framework", SHOWN, ids=lambda framework: framework.name)
def test_a_snippet_is_short_and_names_the_timeout(framework: Framework) -> None:
    lines = [line for line in framework.block().splitlines() if line]

    assert len(lines) <= 25
    timeouts = [line for line in lines if line.removeprefix("const ").startswith("TIMEOUT = ") and "default" in line]
    assert bool(timeouts) is framework.has_timeout


def test_one_call_that_was_found_again_and_followed_has_no_fault() -> None:
    assert find_faults(GOOD, CALLS, 5) == []


@pytest.mark.parametrize(
    ("change", "calls", "fault"),
    [
        ({"tools": ["make_call"]}, CALLS, "not offered: get_call, list_calls"),
        ({"timed_out": "Booked: …"}, CALLS, "did not time out"),
        ({"answers": ["Booked: … call_id 3f0c"]}, CALLS, "was not found in progress"),
        ({"answers": ["In progress: the call has lasted 1 s.", "Booked: …"]}, CALLS, "was not found in progress"),
        ({}, CALLS * 2, "there should be one successful call"),
        ({}, [], "there should be one successful call"),
        ({}, [{"status": "in_progress", "call_id": "3f0c"}], "there should be one successful call"),
        ({"result": "Booked: … call_id 91ab"}, CALLS, "does not have its outcome"),
        ({"patient": "McpError: MCP error -32001: Request timed out"}, CALLS, "waits on with each message of progress"),
        ({"seconds": 4.7}, CALLS, "gave up after 4.7 s, not after its 5 s"),
        ({"seconds": 30.1}, CALLS, "gave up after 30.1 s, not after its 5 s"),
        ({"error": "ImportError: no module"}, CALLS, "ImportError: no module"),
    ],
)
def test_every_fault_is_named(change: dict[str, Any], calls: list[dict[str, Any]], fault: str) -> None:
    assert [line for line in find_faults(GOOD | change, calls, 5) if fault in line]


@pytest.mark.parametrize(
    ("answer", "calls", "is_slow"),
    [
        ("In progress: the call has lasted 1 s.", CALLS, True),
        ("In progress: the call has lasted 1 s.", CALLS * 2, False),
        ("In progress already; no new call was placed.", CALLS, False),
        ('{"status": "success", "placed_now": false}', CALLS, True),
        ("Not called: the number is not valid.", CALLS, False),
    ],
)
def test_a_client_may_try_again_where_no_call_was_in_progress_at_its_time_out(
    answer: str, calls: list[dict[str, Any]], is_slow: bool
) -> None:
    assert was_too_slow(GOOD | {"answers": [answer, "Booked: …"]}, calls) is is_slow
