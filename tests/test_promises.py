"""The tests exist that the map of promises, `tests.clocks`, and `tests.supply` name."""

import re
from functools import cache
from pathlib import Path

from tests.clocks.__main__ import AT_NIGHT, YEARS_LATER
from tests.clocks.__main__ import SHARE as CLOCKS
from tests.supply.__main__ import LOWEST

ROOT = Path(__file__).parent.parent
MAP = (ROOT / "tests" / "promises.md").read_text(encoding="utf-8")


@cache
def _functions(path: Path) -> frozenset[str]:
    return frozenset(re.findall(r"^(?:async )?def (\w+)", path.read_text("utf-8"), re.MULTILINE))


def test_each_test_on_the_map_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", MAP)

    assert [f"{path}::{name}" for path, name in named if name not in _functions(ROOT / path)] == []


def test_each_promise_names_a_test() -> None:
    rows = [
        line
        for line in MAP.splitlines()
        if line.startswith("| ") and not line.startswith("| promise |")
    ]

    assert [row for row in rows if not re.search(r"`tests/[\w/]+\.py::\w+`", row)] == []


def test_each_test_that_is_selected_by_name_exists() -> None:
    for node in (*CLOCKS, *AT_NIGHT, *YEARS_LATER, *LOWEST):
        path, _, name = node.partition("::")

        assert (ROOT / path).exists(), node
        assert not name or name in _functions(ROOT / path), node
