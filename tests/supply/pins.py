"""Checks that the pins satisfy pyproject.toml, and renews them."""

import tempfile
from pathlib import Path

from tests.programs import run_well
from tests.supply.finding import Finding
from tests.supply.requirements import PINS, PYTHON, direct, pinned

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
"""What hatchling also needs for an editable installation (PEP 660)."""


def pins() -> Finding:
    """Check that no pin is missing, unused, or yanked."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / PINS.name
        copy.write_text(PINS.read_text(encoding="utf-8"), encoding="utf-8")
        output = _compile(copy)
        required = {str(pin) for pin in pinned(copy.read_text(encoding="utf-8"))}
    found = {str(pin) for pin in pinned()}
    faults = [
        *(f"missing: {pin}" for pin in sorted(required - found)),
        *(f"unused: {pin}" for pin in sorted(found - required)),
        *(line.removeprefix("warning: ") for line in output.splitlines() if " is yanked" in line),
    ]
    if faults:
        return Finding("failed", "they do not satisfy pyproject.toml; renew them", faults)
    return Finding("passed", f"{len(found)} pins, with hashes, satisfy pyproject.toml; none is yanked")


def renew() -> Finding:
    """Pin the newest versions that are compatible."""
    before = {str(pin) for pin in pinned()} if PINS.exists() else set()
    _compile(PINS, "--upgrade")
    after = {str(pin) for pin in pinned()}
    changes = [
        *(f"removed: {pin}" for pin in sorted(before - after)),
        *(f"added: {pin}" for pin in sorted(after - before)),
    ]
    return Finding("passed", f"{len(after)} pins, {len(after - before)} of them new", changes)


def _compile(output: Path, *options: str) -> str:
    """Write the pins to `output`; returns uv's messages.

    Without `--upgrade`, the versions in `output` are kept if they fit. uv and the build backend are pinned too, because
    CI installs nothing else.
    """
    more = f"uv\nhatchling{direct()['hatchling'].specifier}\n{_FOR_EDITABLE}\n"
    command = ["uv", "pip", "compile", "pyproject.toml", "-", *_OPTIONS, *options, "--output-file", str(output)]
    return run_well(command, stdin=more).stderr
