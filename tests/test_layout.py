"""The layout: which package may import which, and where a library may be imported."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.limits import MODULE_LINES

PACKAGE = Path(__file__).parent.parent / "kallyai_mcp"

LEAVES = {"clock", "urls"}
"""Modules that import nothing of the package; every package may import them, except the sandbox."""

ALLOWED = {
    "cli": {
        *("transports", "server", "tools", "calls", "api", "auth", "sandbox"),
        *("settings", "setting_values", "logs"),
    },
    "transports": {"server", "tools", "api.errors", "settings", "telemetry"},
    "server": {"tools", "cards", "calls", "api.errors", "settings", "logs"},
    "cards": set(),
    "tools": {"cards.texts", "calls", "api.models", "api.values", "api.errors", "settings", "logs"},
    "calls": {"api.models", "api.errors", "settings", "setting_values", "logs", "telemetry"},
    "auth": {
        *("transports.uvicorn_server", "cards.texts", "cards.style"),
        *("api.models", "api.values", "api.errors", "telemetry"),
    },
    "api": {"logs", "telemetry"},
    "logs": set(),
    "telemetry": {"logs"},
    "settings": {"setting_values"},
    "setting_values": set(),
    "sandbox": set(),
    "testing": {"calls", "cli", "sandbox", "settings"},
    "evals": {
        "cli.app_context",
        "cli.connection",
        "logs",
        "sandbox",
        "server",
        "settings",
        "testing",
        "transports.stdio",
    },
    "__main__": {"cli"},
}
"""What each package may import of the others.

A `TYPE_CHECKING` import of api.client is allowed everywhere.
"""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def imports(path: Path) -> list[tuple[str, bool]]:
    """Every module that `path` imports, and whether only for its types."""
    return list(_imports(path, ast.parse(path.read_text(encoding="utf-8"))))


def _imports(path: Path, tree: ast.Module) -> Iterator[tuple[str, bool]]:
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node in for_types
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in for_types


def package_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def forbidden_imports(path: Path) -> Iterator[str]:
    """The modules of this package that `path` imports and must not."""
    package = package_of(path)
    if package in {"__init__", *LEAVES}:
        yield from (module for module, _ in imports(path) if module.startswith("kallyai_mcp"))
        return
    allowed = ALLOWED[package] | (set() if package == "sandbox" else LEAVES)
    for module, for_types in imports(path):
        distribution, _, inside = module.partition(".")
        if distribution != "kallyai_mcp" or not inside:
            continue
        other = inside.split(".")[0]
        if other in (package, "__version__") or (for_types and inside.startswith("api.client.")):
            continue
        if other not in allowed and not any(
            inside == name or inside.startswith(f"{name}.") for name in allowed
        ):
            yield module


def test_imports_go_one_way() -> None:
    wrong = {str(path): list(forbidden_imports(path)) for path in modules()}

    assert not {path: found for path, found in wrong.items() if found}, (
        "these modules import what their package may not: ALLOWED in tests/test_layout.py says "
        "what it may. Move the code, or pass the value in; a maintainer may allow more"
    )


def test_only_calls_and_tests_know_the_ledger() -> None:
    users = {
        package_of(path)
        for path in modules()
        if any(module.startswith("kallyai_mcp.calls.ledger") for module, _ in imports(path))
    }
    assert users == {"calls", "testing"}, "ask `Calls` in place of `calls.ledger`"


def test_httpx2_is_imported_in_two_packages() -> None:
    users = {
        package_of(path)
        for path in modules()
        for module, _ in imports(path)
        if module.split(".")[0] in {"httpx2", "httpcore2"}
    }

    assert users == {"api", "auth"}, "send the request by kallyai_mcp/api/client.py"


def test_only_evaluations_know_inspect() -> None:
    users = {
        package_of(path)
        for path in modules()
        if any(module.startswith("inspect_ai") for module, _ in imports(path))
    }

    assert users == {"evals"}


@pytest.mark.parametrize(
    ("name", "allowed"), [("values", []), ("errors", []), ("models", ["kallyai_mcp.api.values"])]
)
def test_models_and_errors_of_the_api_are_leaves(name: str, allowed: list[str]) -> None:
    path = PACKAGE / "api" / f"{name}.py"

    used = {
        module.rpartition(".")[0] for module, _ in imports(path) if module.startswith("kallyai")
    }
    assert sorted(used) == allowed


def test_each_test_of_calls_has_a_level() -> None:
    assert not list((Path(__file__).parent / "calls").glob("test_*.py")), (
        "put it where it belongs: tests/calls/decisions (no database), tests/calls/ledger (what is "
        "stored), or tests/calls/process (a process with a fake KallyAI)"
    )


def test_no_file_is_longer_than_400_lines() -> None:
    for path in modules():
        lines = path.read_text(encoding="utf-8").splitlines()
        MODULE_LINES.check(len(lines), f"kallyai_mcp/{path.relative_to(PACKAGE)}")


POSIX_ONLY = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "termios", "tty", "uvloop"}
ON_TERMINALS = {"pseudo_terminal.py", "recording.py"}
"""Modules of the tests that are imported only by tests that Windows skips."""


def test_no_module_needs_what_windows_lacks() -> None:
    for path in [*modules(), *Path(__file__).parent.rglob("*.py")]:
        names = set(
            re.findall(r"^(?:import|from) ([\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        )
        assert (
            path.name in ON_TERMINALS or not {name.split(".")[0] for name in names} & POSIX_ONLY
        ), path
        assert path.name in ON_TERMINALS or "tests.cli.pseudo_terminal" not in names, path
