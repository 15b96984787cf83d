"""The pins: whether they are what pyproject.toml asks for, and how they are renewed."""

import tempfile
from pathlib import Path

from tests.supply.declared import PINS, PYTHON, direct, pinned
from tests.supply.report import Finding
from tests.supply.uv import run_well

_OPTIONS = (
    "--all-extras",
    "--group=dev",
    "--universal",
    f"--python-version={PYTHON}",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-emit-package=kallyai-mcp",
    "--no-header",
    "--no-annotate",
)

_FOR_EDITABLE = "editables"
"""What hatchling asks for besides when it installs a work tree to be edited (PEP 660)."""


def pins() -> Finding:
    """Whether the pins are complete, with none too many, and none is of a release that was taken back."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / PINS.name
        copy.write_text(PINS.read_text(encoding="utf-8"), encoding="utf-8")
        said = _compiled(copy)
        wanted = {str(pin) for pin in pinned(copy.read_text(encoding="utf-8"))}
    found = {str(pin) for pin in pinned()}
    faults = [
        *(f"missing: {pin}" for pin in sorted(wanted - found)),
        *(f"not wanted: {pin}" for pin in sorted(found - wanted)),
        *(line.removeprefix("warning: ") for line in said.splitlines() if " is yanked" in line),
    ]
    if faults:
        return Finding("failed", "not what pyproject.toml asks for; renew them", faults)
    return Finding("passed", f"{len(found)} pins, with hashes, are what pyproject.toml asks for; none is yanked")


def renew() -> Finding:
    """Pin the newest versions that go together."""
    before = {str(pin) for pin in pinned()} if PINS.exists() else set()
    _compiled(PINS, "--upgrade")
    after = {str(pin) for pin in pinned()}
    changes = [*(f"out: {pin}" for pin in sorted(before - after)), *(f"in: {pin}" for pin in sorted(after - before))]
    return Finding("passed", f"{len(after)} pins, {len(after - before)} of them new", changes)


def _compiled(output: Path, *options: str) -> str:
    """What uv says while it pins to `output`; versions that stand there are kept if they fit and are not to go up.

    uv itself is pinned, too, and what builds the project: CI installs nothing else.
    """
    besides = f"uv\nhatchling{direct()['hatchling'].specifier}\n{_FOR_EDITABLE}\n"
    command = ["uv", "pip", "compile", "pyproject.toml", "-", *_OPTIONS, *options, "--output-file", str(output)]
    return run_well(command, besides).stderr
