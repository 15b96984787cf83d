"""Dependencies are declared, pinned by hash, and have a reason."""

import ast
import re
import sys
from importlib.metadata import packages_distributions

from packaging.utils import canonicalize_name

from tests.programs import ROOT
from tests.supply.__main__ import DEPENDENCIES, PINS, direct, pinned

RENEW = "run `uv run python -m tests.supply renew`"


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
    declared, distributions, modules = set(direct()), packages_distributions(), imported()

    assert "starlette" in modules
    undeclared = [
        module
        for module in modules
        if not declared & {canonicalize_name(name) for name in distributions.get(module, [module])}
    ]
    assert not undeclared, "add what brings them to pyproject.toml"
    assert set(DEPENDENCIES["direct"]) == declared, (
        "give each requirement of pyproject.toml, and no other, a reason in .ci/dependencies.toml"
    )


def test_every_requirement_has_one_pin_with_hashes() -> None:
    pins = list(pinned())
    versions = {pin.name: str(pin.specifier).removeprefix("==") for pin in pins}
    line = r"[a-z0-9-]+==[A-Za-z0-9.]+( ; [^\\\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+\n"

    assert len(versions) == len(pins), f"a distribution has two pins: {RENEW}"
    wrong = [
        name
        for name, wanted in direct().items()
        if not wanted.specifier.contains(versions.get(name, "0"))
    ]
    assert not wrong, f"{RENEW}: .ci/pins.txt has other versions than pyproject.toml wants"
    assert re.fullmatch(rf"({line})+", PINS.read_text(encoding="utf-8"))
