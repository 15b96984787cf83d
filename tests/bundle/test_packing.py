"""`mcpb pack`: the bundle has the program, and nothing else that is in a developer's folder."""

import zipfile
from pathlib import Path

import pytest

from tests.bundle.mcpb import clean_copy, mcpb

UNRELATED = (
    ".venv/bin/python",
    ".env",
    ".coverage",
    ".kallyai_token.json",
    "uv.lock",
    "notes.txt",
    "dist/kallyai_mcp-0.1.0.tar.gz",
    "kallyai_mcp/__pycache__/settings.cpython-311.pyc",
    "kallyai_mcp/cli/__pycache__/main.cpython-311.pyc",
)


@pytest.mark.usefixtures("npm")
def test_the_bundle_has_the_program_and_nothing_else(tmp_path: Path) -> None:
    copy = clean_copy(tmp_path / "copy")
    package = {path.relative_to(copy).as_posix() for path in (copy / "kallyai_mcp").rglob("*") if path.is_file()}
    for name in UNRELATED:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()

    mcpb("pack", copy, tmp_path / "kallyai.mcpb")

    with zipfile.ZipFile(tmp_path / "kallyai.mcpb") as bundle:
        assert set(bundle.namelist()) == package | {"manifest.json", "pyproject.toml", "README.md", "LICENSE"}
    assert (tmp_path / "kallyai.mcpb").stat().st_size < 1_000_000
