"""The tests that `tests.clocks` and `tests.supply` select by name exist."""

import ast
from pathlib import Path

from tests.clocks.__main__ import AT_NIGHT, YEARS_LATER
from tests.clocks.__main__ import SHARE as CLOCKS
from tests.supply.__main__ import LOWEST

ROOT = Path(__file__).parent.parent


def test_selected_tests_exist() -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in (*CLOCKS, *AT_NIGHT, *YEARS_LATER, *LOWEST):
        path, _, name = node.partition("::")

        assert (ROOT / path).exists(), node
        if name:
            module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            assert name in {statement.name for statement in module.body if isinstance(statement, functions)}, node
