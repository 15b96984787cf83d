"""The map of promises names tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAP = (ROOT / "tests" / "promises.md").read_text(encoding="utf-8")


@cache
def _functions(path: Path) -> frozenset[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, functions))


def test_each_test_on_the_map_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", MAP)

    assert [f"{path}::{name}" for path, name in named if name not in _functions(ROOT / path)] == []


def test_each_promise_names_a_test_or_a_broken_build() -> None:
    rows = [line for line in MAP.splitlines() if line.startswith("| ") and not line.startswith("| promise |")]

    assert [row for row in rows if not re.search(r"`(tests/[\w/]+\.py::\w+|--prove [\w-]+)`", row)] == []
