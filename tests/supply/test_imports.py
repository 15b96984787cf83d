"""What the package imports is declared in pyproject.toml, not only brought along by something else."""

import ast
import sys
from importlib.metadata import packages_distributions

from packaging.utils import canonicalize_name

from tests.supply.requirements import ROOT, direct


def imported() -> set[str]:
    """The top-level modules of other projects that the package imports anywhere."""
    found: set[str] = set()
    for path in (ROOT / "kallyai_mcp").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"kallyai_mcp"}


def test_every_import_is_a_direct_dependency() -> None:
    declared, distributions = set(direct()), packages_distributions()

    assert "starlette" in imported()
    assert {
        module
        for module in imported()
        if not declared & {canonicalize_name(name) for name in distributions.get(module, [module])}
    } == set()
