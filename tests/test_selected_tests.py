"""The tests that `tests.clocks` and `tests.supply` select by name exist."""

import ast
from pathlib import Path

import pytest

from tests.clocks.__main__ import AT_NIGHT, YEARS_LATER
from tests.clocks.__main__ import SHARE as CLOCKS
from tests.supply.__main__ import LOWEST

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("node", [*CLOCKS, *AT_NIGHT, *YEARS_LATER, *LOWEST])
def test_a_selected_test_exists(node: str) -> None:
    path, _, name = node.partition("::")

    assert (ROOT / path).exists()
    if name:
        module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        assert name in {statement.name for statement in module.body if isinstance(statement, functions)}
