"""What the package imports is declared in pyproject.toml, not only brought along by something else."""

import ast
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

from packaging.requirements import Requirement
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


def installed_with(name: str, extras: tuple[str, ...] = ("",)) -> set[str]:
    """What an installation of a distribution brings along, and the distribution."""
    found, left = set[tuple[str, tuple[str, ...]]](), [(canonicalize_name(name), extras)]
    while left:
        if (one := left.pop()) in found:
            continue
        try:
            lines = requires(one[0]) or []
        except PackageNotFoundError:  # for another system
            continue
        found.add(one)
        left += [
            (canonicalize_name(wanted.name), ("", *sorted(wanted.extras)))
            for wanted in map(Requirement, lines)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in one[1])
        ]
    return {distribution for distribution, _ in found}


def test_a_plain_installation_brings_one_http_client() -> None:
    brought = installed_with("kallyai-mcp")

    assert {"mcp", "httpx2", "httpcore2", "pydantic"} < brought
    assert brought.isdisjoint({"aiohttp", "httpcore", "httpx", "requests", "urllib3"})
