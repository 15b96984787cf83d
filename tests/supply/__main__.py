"""Checks this project's dependencies: vulnerabilities, licenses, and oldest versions.

    uv run python -m tests.supply [PART ...]

The parts: `audit` asks pip-audit for known vulnerabilities of the pins; `licenses` compares the
installed distributions with .ci/dependencies.toml; `lowest` runs some tests with the oldest
versions that pyproject.toml admits; `size` counts what a plain installation brings. These run by
default. `renew` pins the newest versions.

Exits with 1 if a part failed; else with 69 if a part could not be checked here.
"""

import argparse
import sys
import tempfile
import tomllib
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from tests.limits import MEGABYTES, PACKAGES
from tests.programs import ROOT, new_environment, run, run_well

PYTHON = "3.11"
"""The oldest Python that pyproject.toml admits."""

PINS = ROOT / ".ci" / "pins.txt"
"""Every distribution that CI installs: one version each, with the hashes of its files (pip's
requirements format).
"""

DEPENDENCIES: dict[str, Any] = tomllib.loads(
    (ROOT / ".ci" / "dependencies.toml").read_text(encoding="utf-8")
)
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]

LOWEST = (
    "tests/api/test_connection.py",
    "tests/api/test_sending.py",
    "tests/auth/oauth_server/test_oauth_tokens.py",
    "tests/auth/test_auth_loopback.py",
    "tests/auth/test_auth_stores.py",
    "tests/cli/test_install.py",
    "tests/cli/test_serve.py::test_the_next_client_finds_the_call_before",
    "tests/calls/decisions/test_policy.py",
    "tests/calls/ledger/test_shared_values.py",
    "tests/sandbox/auth/test_browser_flow.py",
    "tests/sandbox/auth/test_tokens.py",
    "tests/sandbox/simulator",
    "tests/test_telemetry.py::test_each_attempt_of_a_request_is_measured",
    "tests/tools/test_catalog.py",
    "tests/transports/test_access.py",
    "tests/transports/test_limits.py::test_half_of_the_files_are_kept_for_calls",
)
"""Tests that use every dependency, and one for each bound that was once too low."""

_NOT_CHECKED = 69
"""EX_UNAVAILABLE of sysexits.h."""


class NotCheckedError(Exception):
    """A part could not be checked here."""


def direct() -> dict[str, Requirement]:
    """The requirements in pyproject.toml, by name: run time, extras, groups, and build."""
    own, extras = PROJECT["project"]["dependencies"], PROJECT["project"]["optional-dependencies"]
    lines = chain(own, *extras.values(), *GROUPS.values(), PROJECT["build-system"]["requires"])
    return {
        one.name: one for one in map(Requirement, lines) if one.name != PROJECT["project"]["name"]
    }


def pinned() -> list[Requirement]:
    """The pins, without their hashes."""
    lines = PINS.read_text(encoding="utf-8").splitlines()
    return [Requirement(line.removesuffix("\\")) for line in lines if line[:1].strip()]


def audit() -> str:
    """Check that no pinned version, for any system, has a known vulnerability."""
    options = (
        "--disable-pip",
        "--no-deps",
        "--strict",
        "--vulnerability-service",
        "osv",
        "--timeout",
        "10",
    )
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "pins.txt"
        lines.write_text(
            "\n".join(f"{pin.name}{pin.specifier}" for pin in pinned()), encoding="utf-8"
        )
        tool = (
            "uvx",
            "--quiet",
            "pip-audit==2.10.1",
            "--requirement",
            lines,
            "--progress-spinner",
            "off",
        )
        done = run([*tool, *options])
    said = done.stderr.strip().rpartition("\n")[2]
    if done.returncode and not said.startswith("Found "):
        raise NotCheckedError(f"pip-audit: {said}")
    if done.returncode:
        raise RuntimeError(done.stdout)
    return said


def licenses() -> str:
    """Check that each installed distribution has an accepted license."""
    accepted = [*DEPENDENCIES["permissive"], *DEPENDENCIES["copyleft"]]
    tool = ("uvx", "--quiet", "pip-licenses==5.5.5", "--python", sys.executable, "--from", "mixed")
    read_in_files = ("--ignore-packages", *DEPENDENCIES["in_files"])
    done = run_well([*tool, "--allow-only", ";".join(accepted), *read_in_files])
    return f"{len(done.stdout.splitlines()) - 1} distributions have accepted licenses"


def lowest() -> str:
    """Run the share on the oldest Python, with the oldest admitted version of each direct
    dependency.
    """
    if run(["uv", "python", "find", "--no-python-downloads", PYTHON]).returncode:
        raise NotCheckedError(f"there is no Python {PYTHON} on this machine")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        oldest = "--resolution lowest-direct --requirements pyproject.toml --group dev --editable ."
        python = new_environment(Path(folder), *oldest.split(), python=PYTHON)
        done = run_well(
            [
                python,
                "-m",
                "pytest",
                "-n",
                "0",
                "-q",
                "--tb=short",
                "-p",
                "no:cacheprovider",
                *LOWEST,
            ]
        )
    return done.stdout.strip().rpartition("\n")[2]


def plain_installation() -> tuple[int, float]:
    """The number of packages of a plain installation with compiled files, this one included, and
    their MB.
    """
    with tempfile.TemporaryDirectory() as folder:
        python = new_environment(Path(folder), "--compile-bytecode", ROOT)
        packages = len(run_well(["uv", "pip", "freeze", "--python", python]).stdout.splitlines())
        return packages, sum(
            path.stat().st_size for path in Path(folder).rglob("*") if not path.is_symlink()
        ) / 1e6


def size() -> str:
    """Check that a plain installation has at most as much as tests/limits.py allows."""
    packages, megabytes = plain_installation()
    found = f"{packages} packages with this one, {megabytes:.0f} MB"
    try:
        PACKAGES.check(packages, "it")
        MEGABYTES.check(megabytes, "it")
    except AssertionError as error:
        raise RuntimeError(str(error)) from None
    return found


def renew() -> str:
    """Pin the newest versions that are compatible.

    CI installs nothing else, so uv and what hatchling needs are among them.
    """
    before = set(map(str, pinned()))
    form = (
        "--universal",
        "--fork-strategy=fewest",  # one version for every Python
        "--generate-hashes",
        "--no-emit-package=kallyai-mcp",
        "--no-header",
        "--no-annotate",
    )
    places = ("--no-emit-index-url", "--no-emit-find-links")
    groups = (f"--group={group}" for group in GROUPS)
    command = [
        "uv",
        "pip",
        "compile",
        "pyproject.toml",
        "-",
        f"--python-version={PYTHON}",
        "--all-extras",
        *groups,
    ]
    more = "\n".join(["uv", "editables", *PROJECT["build-system"]["requires"]])
    run_well([*command, *form, *places, "--upgrade", "--output-file", str(PINS)], stdin=more)
    return "\n".join(["changed:", *sorted(before ^ set(map(str, pinned())))])


PARTS: dict[str, Callable[[], str]] = {
    "audit": audit,
    "licenses": licenses,
    "lowest": lowest,
    "size": size,
}


def main() -> int:
    """Run the parts, and print what they found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.supply", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "parts", nargs="*", default=[*PARTS], help="audit, licenses, lowest, size, renew"
    )
    exit_code = 0
    for part in parser.parse_args().parts:
        try:
            print(f"{part}: {(PARTS | {'renew': renew})[part]()}", flush=True)
        except NotCheckedError as error:
            exit_code = exit_code or _NOT_CHECKED
            print(f"{part} was not checked: {error}", flush=True)
        except RuntimeError as error:
            exit_code = 1
            print(f"{part} failed: {error}", flush=True)
    return exit_code


if __name__ == "__main__":
    raise SystemExit(main())
