"""The tests exist that the map of promises, `tests.clocks`, and `tests.supply` name."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.clocks.__main__ import AT_NIGHT, YEARS_LATER
from tests.clocks.__main__ import SHARE as CLOCKS
from tests.supply.__main__ import LOWEST

ROOT = Path(__file__).parent.parent
MAP = (ROOT / "tests" / "promises.md").read_text(encoding="utf-8")
PROMISES = re.findall(r"^- .+\n(?:  .*\n)+", MAP, re.MULTILINE)
SELECTED = (*CLOCKS, *AT_NIGHT, *YEARS_LATER, *LOWEST)


@cache
def _functions(path: Path) -> frozenset[str]:
    return frozenset(re.findall(r"^(?:async )?def (\w+)", path.read_text("utf-8"), re.MULTILINE))


@cache
def _tests() -> frozenset[str]:
    """The names of all tests."""
    return frozenset[str]().union(*map(_functions, (ROOT / "tests").rglob("test_*.py")))


def _exists(named: str) -> bool:
    path, _, name = named.rpartition("::")
    return name in (_functions(ROOT / path) if path else _tests())


def test_each_test_on_the_map_exists() -> None:
    named = re.findall(r"^  - `((?:tests/[\w/]+\.py::)?\w+)`$", MAP, re.MULTILINE)
    gone = [name for name in named if not _exists(name)]

    assert named
    assert not gone, "tests/promises.md names tests that are gone: name those that show it now"


def test_each_promise_names_a_test() -> None:
    without = [promise for promise in PROMISES if "  - `" not in promise]

    assert not without, "tests/promises.md: name a test below each promise"


@pytest.mark.parametrize("node", sorted(set(SELECTED)))
def test_each_test_that_is_selected_by_name_exists(node: str) -> None:
    path, _, name = node.partition("::")
    where = "change the name in tests/clocks/__main__.py or tests/supply/__main__.py"

    assert (ROOT / path).exists(), where
    assert not name or name in _functions(ROOT / path), where
