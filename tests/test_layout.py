"""The house of DESIGN: which room may use which, and where a library may be imported."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "kallyai_mcp"

DOWNSTREAM = {
    "cli": {"transports", "server", "tools", "calls", "api", "auth", "sandbox", "settings", "logs", "telemetry"},
    "transports": {"server", "tools", "settings"},
    "server": {"tools", "cards", "settings", "logs"},
    "cards": set(),
    "tools": {"calls", "api.models", "api.errors", "settings", "logs"},
    "calls": {"api.models", "api.errors", "settings", "telemetry"},
    "auth": {"api.models", "api.errors"},
    "api": {"telemetry"},
    "logs": {"telemetry"},
    "telemetry": set(),
    "settings": {"api.urls"},
    "sandbox": set(),
    "__main__": {"cli"},
}
"""Each room, and what it may import of the others; `TYPE_CHECKING` imports of api.client are the parameters' types."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that `path` imports, and whether only for its types."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports name the whole way"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node in for_types
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in for_types


def room_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_data_goes_one_way(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        assert not list(imports(path))
        return
    for module, for_types in imports(path):
        package, _, inside = module.partition(".")
        if package != "kallyai_mcp" or not inside:
            continue
        other = inside.split(".")[0]
        if other in (room, "__version__") or (for_types and inside.startswith("api.client.")):
            continue
        allowed = DOWNSTREAM[room]
        assert other in allowed or any(inside == name or inside.startswith(f"{name}.") for name in allowed), (
            f"{path.relative_to(PACKAGE)} imports {module}, against the stream"
        )


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_httpx_is_imported_in_the_api_room_alone(path: Path) -> None:
    if room_of(path) != "api":
        assert not any(module.split(".")[0] in {"httpx", "httpx_retries", "httpcore"} for module, _ in imports(path))


@pytest.mark.parametrize("name", ["models", "errors", "urls"])
def test_what_every_room_may_use_of_the_api_is_a_leaf(name: str) -> None:
    ours = {module for module, _ in imports(PACKAGE / "api" / f"{name}.py") if module.startswith("kallyai_mcp")}

    assert not ours


def test_no_file_is_so_long_that_it_must_be_two_rooms() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}

    assert not {name: length for name, length in lengths.items() if length > 400}
