"""Checks this project's dependencies: vulnerabilities, licenses, oldest versions, and pins.

    uv run python -m tests.supply [PART ...]

The parts: `audit` asks pip-audit for known vulnerabilities of the pins; `licenses` compares the installed distributions
with .ci/dependencies.toml; `lowest` runs some tests with the oldest versions that pyproject.toml admits; `pins` asks
the package index whether .ci/pins.txt is complete. These run by default. `renew` pins the newest versions.

Exits with 1 if a part failed; else with 69 if a part could not be checked here.
"""

import argparse
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from tests.programs import ROOT, new_environment, run, run_well

PYTHON = "3.11"
"""The oldest Python that pyproject.toml admits."""

PINS = ROOT / ".ci" / "pins.txt"
"""Every distribution that CI installs: one version each, with the hashes of its files (pip's requirements format)."""

DEPENDENCIES: dict[str, Any] = tomllib.loads((ROOT / ".ci" / "dependencies.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]

LOWEST = (
    "tests/api/test_connection.py",
    "tests/api/test_sending.py",
    "tests/auth/oauth_server/test_oauth_tokens.py",
    "tests/auth/test_auth_loopback.py",
    "tests/auth/test_auth_stores.py",
    "tests/cli/test_install.py",
    "tests/cli/test_serve.py::test_a_client_uses_the_tools_over_stdio_and_the_embedded_sandbox_keeps_its_calls",
    "tests/calls/test_policy.py",
    "tests/calls/test_shared_values.py",
    "tests/sandbox/auth/test_browser_flow.py",
    "tests/sandbox/auth/test_tokens.py",
    "tests/sandbox/simulator",
    "tests/test_logs.py::test_calls_and_requests_are_counted_and_a_span_has_the_correlation_id_of_its_log_lines",
    "tests/tools/test_catalog.py",
    "tests/transports/test_access.py",
    "tests/transports/test_limits.py::test_half_of_the_files_are_kept_for_calls",
)
"""Tests that use every dependency, and one for each bound that was once too low."""

EXIT_CODES = {"passed": 0, "not checked": 69, "failed": 1}
"""From the best to the worst outcome; 69 is EX_UNAVAILABLE of sysexits.h."""

Finding = tuple[str, str]
"""An outcome, and what was found."""


def direct() -> dict[str, Requirement]:
    """The requirements in pyproject.toml, by name: run time, extras, groups, and build."""
    own, extras = PROJECT["project"]["dependencies"], PROJECT["project"]["optional-dependencies"]
    lines = chain(own, *extras.values(), *GROUPS.values(), PROJECT["build-system"]["requires"])
    return {one.name: one for one in map(Requirement, lines) if one.name != PROJECT["project"]["name"]}


def pinned(file: Path = PINS) -> Iterator[Requirement]:
    """The pins in a file, without their hashes."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line[:1].strip():
            yield Requirement(line.removesuffix("\\"))


def audit() -> Finding:
    """Check that no pinned version, for any system, has a known vulnerability."""
    options = ("--disable-pip", "--no-deps", "--strict", "--vulnerability-service", "osv", "--timeout", "10")
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "pins.txt"
        lines.write_text("\n".join(f"{pin.name}{pin.specifier}" for pin in pinned()), encoding="utf-8")
        tool = ("uvx", "--quiet", "pip-audit==2.10.1", "--requirement", lines, "--progress-spinner", "off")
        done = run([*tool, *options])
    said = done.stderr.strip().rpartition("\n")[2]
    if done.returncode == 0:
        return "passed", said
    return ("failed", done.stdout) if said.startswith("Found ") else ("not checked", f"pip-audit: {said}")


def licenses() -> Finding:
    """Check that each installed distribution has an accepted license."""
    accepted = [*DEPENDENCIES["permissive"], *DEPENDENCIES["copyleft"]]
    tool = ("uvx", "--quiet", "pip-licenses==5.5.5", "--python", sys.executable, "--from", "mixed")
    done = run([*tool, "--allow-only", ";".join(accepted)])
    if done.returncode:
        return "failed", done.stderr.strip()
    return "passed", f"{len(done.stdout.splitlines()) - 1} distributions have accepted licenses"


def lowest() -> Finding:
    """Run the share on the oldest Python, with the oldest admitted version of each direct dependency."""
    if run(["uv", "python", "find", "--no-python-downloads", PYTHON]).returncode:
        return "not checked", f"there is no Python {PYTHON} on this machine"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        oldest = "--resolution lowest-direct --requirements pyproject.toml --group dev --editable ."
        python = new_environment(Path(folder), *oldest.split(), python=PYTHON)
        done = run([python, "-m", "pytest", "-n", "0", "-q", "--tb=short", "-p", "no:cacheprovider", *LOWEST])
        if done.returncode:
            versions = run_well(["uv", "pip", "freeze", "--python", folder]).stdout
            return "failed", f"{done.stdout}\n{done.stderr}\nwith {', '.join(versions.split())}"
        return "passed", done.stdout.strip().rpartition("\n")[2]


def pins() -> Finding:
    """Check that no pin is missing, unused, or yanked."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / PINS.name
        copy.write_text(PINS.read_text(encoding="utf-8"), encoding="utf-8")
        messages = _compile(copy)
        changes = sorted(set(map(str, pinned(copy))) ^ set(map(str, pinned())))
    faults = [*changes, *(line for line in messages.splitlines() if " is yanked" in line)]
    if faults:
        return "failed", "\n".join(["missing or unused:", *faults])
    return "passed", "all are there, and none is yanked"


def renew() -> Finding:
    """Pin the newest versions that are compatible."""
    before = set(map(str, pinned()))
    _compile(PINS, "--upgrade")
    return "passed", "\n".join(["changed:", *sorted(before ^ set(map(str, pinned())))])


def _compile(output: Path, *options: str) -> str:
    """Write the pins to `output`, whose versions are kept if they fit; returns uv's messages.

    CI installs nothing else, so uv and what hatchling needs are among them.
    """
    form = ("--universal", "--generate-hashes", "--no-emit-package=kallyai-mcp", "--no-header", "--no-annotate")
    places = ("--no-emit-index-url", "--no-emit-find-links")
    groups = (f"--group={group}" for group in GROUPS)
    command = ["uv", "pip", "compile", "pyproject.toml", "-", f"--python-version={PYTHON}", "--all-extras", *groups]
    more = "\n".join(["uv", "editables", *PROJECT["build-system"]["requires"]])
    return run_well([*command, *form, *places, *options, "--output-file", str(output)], stdin=more).stderr


PARTS: dict[str, Callable[[], Finding]] = {"audit": audit, "licenses": licenses, "lowest": lowest, "pins": pins}


def main() -> int:
    """Run the parts at once, and print what they found."""
    parser = argparse.ArgumentParser(prog="python -m tests.supply", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "parts", nargs="*", default=[*PARTS], metavar="PART", help="audit, licenses, lowest, pins, renew"
    )
    known = PARTS | {"renew": renew}

    def timed(part: str) -> str:
        began = time.monotonic()
        try:
            outcome, text = known[part]()
        except RuntimeError as error:  # a program failed
            outcome, text = "failed", str(error)
        print(f"{part:9} {outcome:10} {time.monotonic() - began:4.0f} s  {text}", flush=True)
        return outcome

    with ThreadPoolExecutor() as pool:
        outcomes = set(pool.map(timed, parser.parse_args().parts))
    return next(EXIT_CODES[worst] for worst in reversed(EXIT_CODES) if worst in outcomes)


if __name__ == "__main__":
    raise SystemExit(main())
