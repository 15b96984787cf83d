"""docs/frameworks.md shows the snippets that `python -m tests.frameworks` runs, and the checks find
every fault.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.frameworks.drive import find_faults
from tests.frameworks.snippets import FRAMEWORKS, Framework
from tests.limits import SNIPPET_LINES

PAGE = (Path(__file__).parents[2] / "docs" / "frameworks.md").read_text(encoding="utf-8")

GOOD: dict[str, Any] = {
    "tools": ["get_call", "list_calls", "make_call"],
    "timed_out": "TimeoutError: ",
    "answers": [
        "Asked for before; no new call was placed. In progress: …",
        "Booked: … call_id 3f0c",
    ],
    "seconds": 5.3,
}
CALLS = [{"status": "answered", "call_id": "3f0c"}]


@pytest.mark.parametrize(
    "framework", [each for each in FRAMEWORKS if each.is_shown], ids=lambda each: each.name
)
def test_the_docs_show_the_tested_snippet(
    framework: Framework,
) -> None:
    lines = [line for line in framework.block().splitlines() if line]
    timeouts = [line for line in lines if line.startswith("TIMEOUT = ") and "default" in line]

    assert f"```python\n{framework.block()}\n```" in PAGE
    SNIPPET_LINES.check(len(lines), f"the example of {framework.name}")
    assert bool(timeouts) is framework.has_timeout


def test_every_fault_is_named() -> None:
    assert find_faults(GOOD, CALLS, 5) == []
    cases: list[tuple[dict[str, Any], list[dict[str, Any]], str]] = [
        ({"tools": ["make_call"]}, CALLS, "not offered: get_call, list_calls"),
        ({"timed_out": "Booked: …"}, CALLS, "did not time out"),
        ({"answers": ["Booked: … call_id 3f0c"]}, CALLS, "was not found in progress"),
        ({}, CALLS * 2, "there should be one answered call"),
        ({}, [], "there should be one answered call"),
        (
            {"answers": [GOOD["answers"][0], "Booked: … call_id 91ab"]},
            CALLS,
            "does not have its outcome",
        ),
        (
            {"patient": "McpError: MCP error -32001: Request timed out"},
            CALLS,
            "waits on with each message of progress",
        ),
        ({"failed": "node: timed out after 300 seconds"}, [], "timed out after 300 seconds"),
        ({"seconds": 4.7}, CALLS, "gave up after 4.7 s, before its 5 s"),
    ]
    for change, calls, fault in cases:
        assert [line for line in find_faults(GOOD | change, calls, 5) if fault in line], fault
