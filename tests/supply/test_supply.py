"""Dependencies are declared, pinned by hash, and have a reason; what could not be checked does not pass."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from typing import Any

from packaging.utils import canonicalize_name

from tests.programs import ROOT
from tests.supply.__main__ import DEPENDENCIES, PINS, direct, evaluate, pinned


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
    assert [
        module
        for module in imported()
        if not declared & {canonicalize_name(name) for name in distributions.get(module, [module])}
    ] == []


def test_every_direct_dependency_has_a_reason() -> None:
    assert set(DEPENDENCIES["direct"]) == set(direct())


def test_every_requirement_has_one_pin_with_hashes_that_satisfies_it() -> None:
    pins = list(pinned())
    versions = {pin.name: str(pin.specifier).removeprefix("==") for pin in pins}
    line = r"[a-z0-9-]+==[A-Za-z0-9.]+( ; [^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+\n"

    assert len(versions) == len(pins)
    assert [name for name, wanted in direct().items() if not wanted.specifier.contains(versions[name])] == []
    assert re.fullmatch(rf"({line})+", PINS.read_text(encoding="utf-8"))


def test_only_versions_that_are_known_to_have_no_vulnerability_pass() -> None:
    safe: dict[str, Any] = {"name": "click", "version": "8.5.1", "vulns": []}
    unknown = {"name": "h11", "skip_reason": "Dependency not found on PyPI and could not be audited"}
    vulnerable = {"name": "h11", "version": "0.14.0", "vulns": [{"id": "CVE-2025-43859", "fix_versions": ["0.16.0"]}]}

    assert evaluate([safe])[0] == "passed"
    assert [evaluate(packages)[0] for packages in ([], [safe, unknown])] == ["not checked"] * 2
    assert evaluate([safe, unknown, vulnerable]) == ("failed", "h11 0.14.0: CVE-2025-43859; fixed in 0.16.0")
